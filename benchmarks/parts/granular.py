"""The granular economy: sectors and games a second, the curve of Phi, places; loops in NumPy beside."""

from collections.abc import Iterator
from time import perf_counter

import numpy as np

from spatialjax import granular

from .. import granular_cases, numpy_granular
from ..measuring import measure, once, peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import (
    Column,
    compile_cell,
    faster_cell,
    memory_line,
    name_cell,
    number_cell,
    rate_cell,
    run_cell,
    table,
)


def run(setting: Setting) -> Row:
    """All in one process."""
    return in_own_process(measure_granular, setting)


def measure_granular(setting: Setting) -> Row:
    """Everything at the size of the embedded zones."""
    repeats = setting.repeats
    sectors, loop, loop_games = (2**14, 500, 1) if setting.quick else (granular_cases.SECTORS, 20_000, 10)
    rows = [*_monte_carlo(sectors, loop, repeats), *_curves(repeats), *_games(loop_games, repeats), *_places(repeats)]
    return {"rows": rows, **peak_memory()}


def _monte_carlo(sectors: int, loop: int, repeats: int) -> Iterator[Row]:
    timing, found = measure(lambda: granular_cases.simulate(sectors), repeats=repeats)
    name = f"Monte Carlo, {granular_cases.FIRMS_PER_SECTOR:g} firms per sector"
    rate = found.draws / timing.median
    yield {"name": name, **timing.row(), "per_second": rate, "of": "sectors", "value": float(found.mean.psi)}
    baseline = numpy_granular.simulate(granular_cases.FIRMS_PER_SECTOR, loop)
    yield loop_row(f"{name}, NumPy loop", baseline.seconds, baseline.sectors, "sectors", rate, baseline.psi)


def _curves(repeats: int) -> Iterator[Row]:
    m = granular_cases.zones()
    timing, found = measure(lambda: granular_cases.phi_curve(m), repeats=repeats)
    name = f"Phi of {m.size} zones by quadrature"
    rate = m.size / timing.median
    yield {"name": name, **timing.row(), "per_second": rate, "of": "zones", "value": float(found[0].max())}
    began = perf_counter()
    index = numpy_granular.herfindahl(np.asarray(m))
    yield loop_row(f"{name}, SciPy loop (Herfindahl)", perf_counter() - began, m.size, "zones", rate, index.min())
    seeds = iter(range(10**6))
    timing, found = measure(lambda: granular_cases.cournot_curve(m, next(seeds)), repeats=repeats)
    rate = m.size / timing.median
    name = f"Phi and Psi of {m.size} zones, Cournot, draws included"
    yield {"name": name, **timing.row(), "per_second": rate, "of": "zones", "value": float(found[1].min())}


def _games(loop_games: int, repeats: int) -> Iterator[Row]:
    for firms in granular_cases.GAMES:
        shares, shocks = granular_cases.games(firms)
        timing, found = measure(lambda s=shares, x=shocks: granular_cases.play(s, x), repeats=repeats)
        rate = len(shares) / timing.median
        name = f"exact Cournot game, {firms} firms, {shocks.weight.size} states"
        solved = float(found.converged.mean())
        yield {"name": name, **timing.row(), "per_second": rate, "of": "games", "value": solved}
        if firms <= 5:
            games = loop_games if firms == 2 else 1
            arrays = [np.asarray(x) for x in (shares[:games], shocks.log_shock, shocks.weight)]
            began = perf_counter()
            labour = [numpy_granular.play(one, *arrays[1:]) for one in arrays[0]]
            difference = float(np.abs(np.log(labour) - np.log(np.asarray(found.labour[:games]))).max())
            row = loop_row(f"{name}, SciPy loop", perf_counter() - began, games, "games", rate, np.nan)
            yield {**row, "log_difference": difference}


def _places(repeats: int) -> Iterator[Row]:
    for conduct in ("competitive", "cournot"):
        economy = granular_cases.places(conduct)
        timing, found = measure(lambda e=economy: granular_cases.solve_perturbed(e), repeats=repeats)
        yield {"name": f"equilibrium of places, {conduct}", **timing.row(), "value": int(found.evaluations)}
        timing, best = measure(lambda e=economy: granular.optimum(e), repeats=repeats)
        name = f"optimal policy with certificate, {conduct}"
        yield {"name": name, **timing.row(), "value": best.certificate.residual}


def loop_row(name: str, elapsed: float, done: int, of: str, library_rate: float, value: float) -> Row:
    """A loop that was run once, on a part of what the library did, and their ratio."""
    rate = done / elapsed
    return {
        "name": name,
        "compile_seconds": None,
        **once(elapsed),
        "per_second": rate,
        "of": of,
        "value": float(value),
        "library_is_faster_by": library_rate / rate,
        "outcome": "converged",
    }


def describe(part: Row, results: Row) -> list[str]:
    """One row a problem."""
    columns: list[Column] = [
        ("", name_cell),
        ("run", run_cell),
        ("compile", compile_cell),
        ("rate", rate_cell),
        ("spatialjax is faster by", faster_cell),
        ("log difference", number_cell("log_difference", ".0e")),
    ]
    return [
        *table(columns, part["rows"]),
        "",
        "The loops go over sectors, zones or games one at a time. Places: the embedded zones, from a start off by 10 "
        f"percent in firms and 30 in people. {memory_line(part)}",
    ]


PART = Part(lambda _: "The granular economy", run, describe)
