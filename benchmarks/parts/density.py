"""The density premium at the size of FF's sample, and eq. (2) by linearmodels beside it."""

import os
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np

from spatialjax import density

from .. import density_cases
from ..measuring import measure, once, peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import (
    Column,
    compile_cell,
    faster_cell,
    memory,
    memory_line,
    name_cell,
    rate_cell,
    run_cell,
    seconds,
    table,
)
from .granular import loop_row


def run(setting: Setting) -> Row:
    """The steps in one process, the baseline in another."""
    return {
        **in_own_process(measure_density, setting),
        "baseline": in_own_process(measure_density_baseline, setting),
    }


def measure_density(setting: Setting) -> Row:
    """Each step once, after it was called twice on a small panel."""
    first, second = (_density_rows(density_cases.SMALL_PER_YEAR) for _ in range(2))
    rows = second if setting.quick else _density_rows(density_cases.PER_YEAR)
    for row, cold, warm in zip(rows, first, second, strict=True):
        row["compile_seconds"] = max(cold["median_seconds"] - warm["median_seconds"], 0.0)
    return {
        "rows": rows,
        "small_rows": second[0]["rows"],
        "versions": density_cases.versions(),
        "load_average_at_end": os.getloadavg()[0],
        **peak_memory(),
    }


def _density_rows(per_year: int) -> list[Row]:
    rows: list[Row] = []

    def timed(name: str, call: Callable[[], Any]) -> Any:
        began, cpu = perf_counter(), process_time()
        result = call()
        elapsed, busy = perf_counter() - began, process_time() - cpu
        found = density_cases.described(result)
        rows.append(
            {
                "name": name,
                **once(elapsed),
                **found,
                "cpu_seconds": busy,
                "per_second": found["rows"] / elapsed,
                "memory": peak_memory(),
            }
        )
        return result

    density_cases.density_steps(per_year, timed)
    return rows


def measure_density_baseline(setting: Setting) -> Row:
    """Eq. (2) with all controls by the library and by linearmodels, on the same panel."""
    size = density_cases.SMALL_PER_YEAR if setting.quick else density_cases.BASELINE_PER_YEAR
    panel = density.with_regressors(density_cases.simulated(size), density.cbsa_table())
    library, found = measure(lambda: density.premium(panel), repeats=min(setting.repeats, 3))
    rate = len(panel) / library.median
    row = {"name": "eq. (2), all controls", **library.row(), "per_second": rate, "of": "rows"}
    other, theirs = measure(lambda: density_cases.absorbing_least_squares(panel), repeats=1)
    elsewhere = loop_row(
        "the same, linearmodels AbsorbingLS", other.median, len(panel), "rows", rate, theirs["log_density"]
    )
    elsewhere["largest_difference"] = float(np.abs(found.coefficients - theirs).max())
    return {"rows": [row, elsewhere], "panel_rows": len(panel), **peak_memory()}


def describe(part: Row, results: Row) -> list[str]:
    """The steps, and the baseline."""
    steps: list[Column] = [
        ("", name_cell),
        ("rows", lambda r: f"{r['rows']:,}"),
        ("run", lambda r: seconds(r["median_seconds"])),
        ("CPU time", lambda r: seconds(r["cpu_seconds"])),
        ("compile", compile_cell),
        ("rate", rate_cell),
        ("peak memory so far", lambda r: memory(r["memory"])),
        ("elasticity, by density", lambda r: " to ".join(f"{x:.4f}" for x in r["elasticities"])),
    ]
    beside: list[Column] = [
        ("", name_cell),
        ("run", run_cell),
        ("rate", rate_cell),
        ("spatialjax is faster by", faster_cell),
        ("largest difference", lambda r: f"{r['largest_difference']:.0e}" if "largest_difference" in r else ""),
    ]
    return [
        *table(steps, part["rows"]),
        "",
        "Each step ran once at this size, in one process, after two calls on a panel of "
        f"{part['small_rows']:,}: the first of these less the second is compilation, imports included. CPU time is of "
        "all threads. Elasticities of eq. (3) are those of the youngest and the oldest. Load average at the end "
        f"{part['load_average_at_end']:.2f}. {versions_line(part)}",
        "",
        f"Beside it, on {part['baseline']['panel_rows']:,} establishment-years:",
        "",
        *table(beside, part["baseline"]["rows"]),
        "",
        "Largest difference: of coefficients. Both also estimate errors clustered by CBSA. "
        f"{memory_line(part['baseline'])}",
    ]


def versions_line(part: Row) -> str:
    """Versions of the packages that the estimators rest on."""
    return f"{', '.join(f'{name} {number}' for name, number in part['versions'].items())}."


def _title(part: Row) -> str:
    return f"The density premium: {part['rows'][0]['rows']:,} establishment-years"


PART = Part(_title, run, describe, standard=False)
