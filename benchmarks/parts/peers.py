"""Public packages for one-sector structural gravity, on their own examples where these are at hand, and on a made one.

gegravity is Python and runs beside the library; of ge_gravity (Stata, R) the example's published results are compared.
Their data are not distributed here: name a folder that has the files with `--peers`.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from .. import gegravity_baseline, gravity_world
from ..gravity_world import Counterfactual, World
from ..measuring import measure, once, peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import Column, compile_cell, faster_cell, memory_line, name_cell, number_cell, run_cell, seconds, table

GEGRAVITY_FILE = "sample_data_set.dlm"
GE_GRAVITY_FILE = "TradeData0014_with_expected_results_2000.csv"
COUNTRIES = (30, 60)
"""Of the synthetic worlds; gegravity's example has 30."""
QUICK_COUNTRIES = (8,)


def run(setting: Setting) -> Row:
    """All in one process."""
    return in_own_process(measure_peers, setting)


def measure_peers(setting: Setting) -> Row:
    """Every world that is at hand."""
    installed = gegravity_baseline.installed()
    rows = [row for world in _worlds(setting) for row in _rows(world, setting, installed)]
    published, missing = _published(setting)
    return {
        "gegravity": gegravity_baseline.package_version() if installed else None,
        "rows": rows,
        "published": published,
        "missing": missing,
        **peak_memory(),
    }


def _file(setting: Setting, name: str):
    path = setting.peers / name if setting.peers else None
    return path if path and path.exists() else None


def _worlds(setting: Setting) -> Iterator[World]:
    example = _file(setting, GEGRAVITY_FILE)
    if example:
        yield gravity_world.gegravity_example(pd.read_csv(example))
    other = _file(setting, GE_GRAVITY_FILE)
    if other:
        yield gravity_world.ge_gravity_example(pd.read_csv(other))[0]
    for countries in QUICK_COUNTRIES if setting.quick else COUNTRIES:
        yield gravity_world.synthetic(countries)


def _rows(world: World, setting: Setting, installed: bool) -> Iterator[Row]:
    """The library, then the package, by each notion of a counterfactual."""
    held, conditional = measure(lambda: gravity_world.held(world), repeats=setting.repeats)
    full, (equilibrium, found) = measure(lambda: gravity_world.full(world), repeats=setting.repeats)
    named = {"world": world.name, "countries": len(world.countries)}
    yield {**named, "name": "shares held: spatialjax, two matrix scalings", **held.row()}
    rescale = gegravity_baseline.suitable_rescale(world) if installed else 1.0
    if installed:
        yield {**named, **_held_by_gegravity(world, setting, rescale, held.median, conditional, equilibrium)}
    row = {"evaluations": int(found.evaluations), "largest_effect": _largest(_real(equilibrium))}
    yield {**named, "name": "equilibrium: spatialjax, calibration and solve", **full.row(), **row}
    if installed:
        yield {**named, **_full_by_gegravity(world, setting, rescale, full.median, equilibrium)}


def _held_by_gegravity(
    world: World,
    setting: Setting,
    rescale: float,
    library: float,
    ours: Counterfactual,
    equilibrium: Counterfactual,
) -> Row:
    spent: list[float] = []

    def call():
        with gegravity_baseline.time_in_root() as seconds_:
            found = gegravity_baseline.simulate(world, rescale)
        spent[:] = seconds_
        return found

    timing, (theirs, succeeded) = measure(call, repeats=setting.few, time_limit=setting.limit, warm_up=False)
    return {
        "name": "shares held: gegravity, data to counterfactual",
        **timing.row(),
        "compile_seconds": None,
        "in_root": sum(spent),
        "outcome": "converged" if all(succeeded.values()) else "not converged",
        "library_is_faster_by": timing.median / library,
        "log_difference": _difference(theirs, ours),
        "off_equilibrium": _largest(_real(theirs) - _real(equilibrium)),
    }


def _full_by_gegravity(world: World, setting: Setting, rescale: float, library: float, ours: Counterfactual) -> Row:
    def call():
        return gegravity_baseline.repeat(world, rescale, setting.baseline_limit)

    timing, (theirs, calls, step) = measure(call, repeats=1, warm_up=False)
    return {
        "name": f"equilibrium: gegravity, called {calls} times",
        **once(timing.median),
        "compile_seconds": None,
        "outcome": "converged" if step <= gegravity_baseline.ACCEPTED else "not converged",
        "library_is_faster_by": timing.median / library,
        "log_difference": _difference(theirs, ours),
    }


def _real(found: Counterfactual) -> np.ndarray:
    """Log change of real output by country."""
    return np.log(found.price / found.price_index)


def _difference(theirs: Counterfactual, ours: Counterfactual) -> float:
    pairs = ((theirs.price, ours.price), (theirs.price_index, ours.price_index))
    return max(_largest(np.log(a / b)) for a, b in pairs)


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())


def _published(setting: Setting) -> tuple[list[Row], list[str]]:
    """Welfare of ge_gravity's example by the library beside the published; and which files are not at hand."""
    missing = [name for name in (GEGRAVITY_FILE, GE_GRAVITY_FILE) if not _file(setting, name)]
    if GE_GRAVITY_FILE in missing:
        return [], missing
    world, welfare = gravity_world.ge_gravity_example(pd.read_csv(_file(setting, GE_GRAVITY_FILE)))
    rule = gravity_world.transfers(world)
    timing, (found, equilibrium) = measure(lambda: gravity_world.full(world, rule), repeats=setting.repeats)
    ours = gravity_world.welfare_of(world, equilibrium, found)
    row = {"name": world.name, "countries": len(world.countries), **timing.row()}
    return [{**row, "log_difference": _largest(np.log(ours / welfare))}], missing


def describe(part: Row, results: Row) -> list[str]:
    """One row for each world, notion and program."""
    columns: list[Column] = [
        ("world", lambda r: f"{r['world']}, {r['countries']} countries"),
        ("", name_cell),
        ("run", run_cell),
        ("of it in scipy.optimize.root", lambda r: seconds(r["in_root"]) if "in_root" in r else ""),
        ("compile", compile_cell),
        ("spatialjax is faster by", faster_cell),
        ("log difference", number_cell("log_difference", ".0e")),
        ("largest change of real output", lambda r: _percent(r, "largest_effect")),
        ("off that of the equilibrium by", lambda r: _percent(r, "off_equilibrium")),
    ]
    return [*table(columns, part["rows"]), "", " ".join((*_notes(part), memory_line(part)))]


def _percent(row: Row, key: str) -> str:
    return f"{100 * row[key]:.4f} percent" if key in row else ""


def _notes(part: Row) -> Iterator[str]:
    if part["gegravity"]:
        yield (
            f"gegravity {part['gegravity']} holds output and expenditure in its equations at the baseline; the "
            "equilibrium, in which they move with prices, is where repeated calls on its own results end. Its whole "
            "calls include its tables; the column of `scipy.optimize.root` does not. Log difference: the largest of "
            "prices and price indices from spatialjax's."
        )
    else:
        yield "gegravity is not installed, and was left out: `pip install gegravity`."
    for row in part["published"]:
        yield (
            f"With deficits that do not change, welfare in {row['name']} differs from the published by at most "
            f"{row['log_difference']:.0e} ({seconds(row['median_seconds'])})."
        )
    if part["missing"]:
        yield f"Left out, for want of the file (`--peers FOLDER`): {', '.join(part['missing'])}."


PART = Part(lambda _: "One-sector gravity, beside public packages", run, describe)
