"""Many places: geographies that take costs from coordinates and store no kernel, beside the one that stores it."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import jax
import numpy as np

import spatialjax

from ..cases import solve, without_externalities
from ..comparison import how_it_ended
from ..economies import random_data
from ..measuring import free_memory, measure, peak_memory
from ..processes import PartError, in_own_process
from ..protocol import QUICK_SIZE, Part, Row, Setting
from ..report import Column, ended_cell, last_line, memory, number_cell, run_cell, table
from .sizes import COPIES, SECTORS

MODULE = f"{__package__.rpartition('.')[0]}.geography_cases"
"""A module with `run(setting, in_own_process)` and `describe(part, results)` takes the place of this one's."""
CASES = {
    "cpu": ((382, "stored"), (382, "tiled"), (382, "hierarchical"), (3000, "hierarchical")),
    "gpu": (
        *((3000, geography) for geography in ("stored", "tiled", "hierarchical")),
        *((cities, "hierarchical") for cities in (10_000, 30_000)),
    ),
}
LONGEST = 120.0
"""Seconds that a case may take, compilation included."""


def run(setting: Setting) -> Row:
    """Each case in a process of its own."""
    if find_spec(MODULE) is not None:
        return import_module(MODULE).run(setting, in_own_process)
    platform = in_own_process(_platform)
    cases = CASES.get(platform, CASES["gpu"])
    if setting.quick:
        cases = tuple((QUICK_SIZE, geography) for geography in ("stored", "tiled", "hierarchical"))
    return {"rows": [_tried(setting, cities, geography) for cities, geography in cases]}


def _platform() -> str:
    return jax.default_backend()


def _tried(setting: Setting, cities: int, geography: str) -> Row:
    try:
        return in_own_process(measure_case, setting, cities, geography, limit=None if setting.quick else LONGEST)
    except PartError as error:
        return {"cities": cities, "geography": geography, "left_out": last_line(str(error))}


def measure_case(setting: Setting, cities: int, geography: str) -> Row:
    """Inversion and the counterfactual without externalities; how far welfare is from that with a stored kernel."""
    named = {"cities": cities, "geography": geography}
    stored_bytes = COPIES * 8.0 * SECTORS * cities**2
    if geography == "stored" and stored_bytes > free_memory():
        return {**named, "left_out": f"needs about {stored_bytes / 2**30:.0f} GiB"}
    data = random_data(cities)
    timed: dict[str, Any] = {"repeats": 1, "time_limit": setting.limit}
    inversion, economy = measure(lambda: spatialjax.invert(data, geography=geography), **timed)
    economy = without_externalities(economy)
    solving, found = measure(lambda: solve(economy), **timed)
    return {
        **named,
        "inversion": inversion.row(),
        "solve": solving.row(),
        **how_it_ended(found),
        "welfare": [float(value) for value in found.welfare],
        **peak_memory(),
    }


def describe(part: Row, results: Row) -> list[str]:
    """One row for each number of cities and geography."""
    if find_spec(MODULE) is not None:
        return import_module(MODULE).describe(part, results)
    exact = {row["cities"]: row["welfare"] for row in part["rows"] if row["geography"] == "stored" and "welfare" in row}

    def difference(row: Row) -> str:
        if row["geography"] == "stored" or row["cities"] not in exact:
            return ""
        return f"{np.abs(np.array(row['welfare']) / exact[row['cities']] - 1).max():.0e}"

    columns: list[Column] = [
        ("cities", lambda r: f"{r['cities']:,}"),
        ("geography", lambda r: r["geography"]),
        ("inversion", lambda r: run_cell(r["inversion"])),
        ("solve", lambda r: run_cell(r["solve"])),
        ("evaluations", number_cell("evaluations")),
        ("ended", ended_cell),
        ("welfare, relative difference from stored", difference),
        ("peak memory", memory),
    ]
    left_out = [
        f"{row['cities']:,} {row['geography']} ({row['left_out']})" for row in part["rows"] if "left_out" in row
    ]
    measured = [row for row in part["rows"] if "left_out" not in row]
    note = f"Random cities without externalities; compilation is apart. Left out: {', '.join(left_out) or 'nothing'}."
    return [*(table(columns, measured) if measured else []), "", note]


PART = Part(lambda _: "Many places", run, describe)
