"""How cost grows with the number of cities, kernel stored: inversion, a solve, its gradient, the baselines."""

import spatialjax

from ..cases import without_externalities
from ..comparison import SWEEPS, compare
from ..economies import random_data
from ..floors import evaluation_floor
from ..measuring import free_memory, measure, peak_memory
from ..processes import PartError, in_own_process
from ..protocol import QUICK_SIZE, Part, Row, Setting
from ..report import Column, faster_cell, last_line, memory, run_cell, seconds, table
from .gradients import adjoint_cell, gradient_in_productivity, gradient_rows

SIZES = (100, 382, 1500, 3000, 6000)
SECTORS = 22
COPIES = 7
"""Arrays as large as trade costs (sector, city, origin) that inversion, a solve and its gradient hold at most."""
LARGEST_BASELINE = 1500
"""Cities up to which the baselines are run."""


def run(setting: Setting) -> Row:
    """Each size in a process of its own."""
    return {"rows": [_tried(setting, cities) for cities in ((QUICK_SIZE,) if setting.quick else SIZES)]}


def _tried(setting: Setting, cities: int) -> Row:
    try:
        return in_own_process(measure_size, setting, cities)
    except PartError as error:
        return {"cities": cities, "left_out": last_line(str(error))}


def measure_size(setting: Setting, cities: int) -> Row:
    """Without externalities; memory is the peak of the process so far."""
    needed = COPIES * 8.0 * SECTORS * cities**2
    if needed > free_memory():
        return {"cities": cities, "left_out": f"needs about {needed / 2**30:.0f} GiB with a stored kernel"}
    data = random_data(cities)
    inversion, economy = measure(
        lambda: spatialjax.invert(data, geography="stored"), repeats=setting.few, time_limit=setting.limit
    )
    peaks = {"inversion": peak_memory()}
    economy = without_externalities(economy)
    rows = gradient_rows(economy, setting, {"gradient": gradient_in_productivity})
    forward = next(rows)
    peaks["solve"] = peak_memory()
    gradient = next(rows)
    peaks["gradient"] = peak_memory()
    baselines = SWEEPS if cities <= LARGEST_BASELINE else {}
    solves = list(compare("no externalities", economy, economy.reference, setting, baselines))
    peaks["baselines"] = peak_memory()
    return {
        "cities": cities,
        "inversion": inversion.row(),
        "forward": forward,
        "gradient": gradient,
        "solves": solves,
        "memory": peaks,
    }


def describe(part: Row, results: Row) -> list[str]:
    """One row for each number of cities."""

    def times_floor(row: Row) -> str:
        floor = evaluation_floor(results, row["cities"])
        solve = row["solves"][0]
        return f"{solve['median_seconds'] / (floor * solve['evaluations']):.1f}" if floor else ""

    columns: list[Column] = [
        ("cities", lambda r: f"{r['cities']:,}"),
        ("inversion", lambda r: run_cell(r["inversion"])),
        ("solve", lambda r: run_cell(r["solves"][0])),
        ("evaluations", lambda r: str(r["solves"][0]["evaluations"])),
        ("times the floor of its evaluations", times_floor),
        ("gradient", lambda r: run_cell(r["gradient"])),
        ("adjoint alone", lambda r: adjoint_cell(r["gradient"])),
        ("NumPy, kernel stored", lambda r: _baseline(r, 1)),
        ("NumPy, kernel recomputed", lambda r: _baseline(r, 2)),
        ("peak memory: inversion / solve / gradient", _peaks),
        ("ended", lambda r: r["solves"][0]["outcome"]),
    ]
    measured = [row for row in part["rows"] if "left_out" not in row]
    left_out = [f"{row['cities']:,} ({row['left_out']})" for row in part["rows"] if "left_out" in row]
    missing = f" Left out: {', '.join(left_out)}." if left_out else ""
    return [
        *(table(columns, measured) if measured else []),
        "",
        "Gradient: in fundamental productivity. Memory: peak of the process so far, everything included. The baselines "
        f"are run up to {LARGEST_BASELINE:,} cities.{missing}",
    ]


def _baseline(row: Row, position: int) -> str:
    if position >= len(row["solves"]):
        return ""
    solve = row["solves"][position]
    ended = "" if solve["outcome"] == "converged" else f" at {solve['residual']:.0e}"
    return f"{seconds(solve['median_seconds'])}, {solve['evaluations']} sweeps{ended}, {faster_cell(solve)}"


def _peaks(row: Row) -> str:
    return " / ".join(memory(row["memory"][stage]) for stage in ("inversion", "solve", "gradient"))


PART = Part(lambda _: "Random cities without externalities, kernel stored", run, describe)
