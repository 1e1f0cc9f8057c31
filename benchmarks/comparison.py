"""The library's solve beside the baselines that solve the same economy from the same start."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from spatialjax import Economy, Equilibrium
from spatialjax.cities.equilibrium import EquilibriumStatus
from spatialjax.cities.state import State

from . import numpy_baseline, numpy_newton_krylov
from .cases import TOLERANCE, solve
from .floors import evaluation_floor
from .measuring import measure
from .protocol import Row, Setting
from .report import Column, compile_cell, ended_cell, faster_cell, number_cell, run_cell, table

Baseline = Callable[[numpy_baseline.Problem, State, float], numpy_baseline.Solution]
SAME = 1e-6
"""Log difference up to which two solutions are the same equilibrium."""


def _sweep(problem: numpy_baseline.Problem, start: State, limit: float, *, stored: bool) -> numpy_baseline.Solution:
    return numpy_baseline.solve(problem, start, tolerance=TOLERANCE, stored_kernel=stored, time_limit=limit)


def _newton_krylov(
    problem: numpy_baseline.Problem, start: State, limit: float, *, preconditioned: bool
) -> numpy_baseline.Solution:
    return numpy_newton_krylov.solve(
        problem, start, tolerance=TOLERANCE, preconditioned=preconditioned, time_limit=limit
    )


SWEEPS: dict[str, Baseline] = {
    "NumPy, kernel stored": partial(_sweep, stored=True),
    "NumPy, kernel recomputed": partial(_sweep, stored=False),
}
BASELINES: dict[str, Baseline] = {
    **SWEEPS,
    "SciPy Newton-Krylov": partial(_newton_krylov, preconditioned=False),
    "SciPy Newton-Krylov, preconditioned": partial(_newton_krylov, preconditioned=True),
}


def compare(
    name: str,
    economy: Economy,
    start: State,
    setting: Setting,
    baselines: dict[str, Baseline] = BASELINES,
) -> Iterator[Row]:
    """The library and the baselines from one start; see [`baseline_rows`][]."""
    library, equilibrium = measure(lambda: solve(economy, start), repeats=setting.repeats, time_limit=setting.limit)
    yield {"problem": name, "solver": "spatialjax", **library.row(), **how_it_ended(equilibrium)}
    problem = numpy_baseline.Problem.of(economy)
    for row in baseline_rows(problem, start, setting, baselines, library.median, equilibrium):
        yield {"problem": name, **row}


def baseline_rows(
    problem: numpy_baseline.Problem,
    start: State,
    setting: Setting,
    baselines: dict[str, Baseline],
    library_seconds: float,
    equilibrium: Equilibrium,
) -> Iterator[Row]:
    """A baseline's time, how it ended, how many times longer it takes, and its distance from the library's solution."""
    for solver, baseline in baselines.items():
        timing, solution = measure(
            lambda baseline=baseline: baseline(problem, start, setting.baseline_limit),
            repeats=setting.few,
            time_limit=setting.limit,
            warm_up=False,
        )
        yield {
            "solver": solver,
            **timing.row(),
            "compile_seconds": None,
            "evaluations": solution.sweeps,
            "residual": solution.residual,
            "outcome": solution.outcome,
            "library_is_faster_by": timing.median / library_seconds,
            "log_difference": log_difference(solution, equilibrium) if solution.converged else None,
        }


def how_it_ended(equilibrium: Equilibrium) -> Row:
    """Evaluations, the largest residual, and the outcome of a solve by the library."""
    return {
        "evaluations": int(equilibrium.evaluations),
        "residual": float(equilibrium.residuals.largest()),
        "outcome": "converged" if equilibrium.converged else EquilibriumStatus[equilibrium.status],
    }


def log_difference(solution: numpy_baseline.Solution, equilibrium: Equilibrium) -> float:
    """Largest log difference of wages and employment between the two."""
    lives = np.asarray(equilibrium.employment) > 0
    pairs = ((solution.wage, equilibrium.wage), (solution.employment, equilibrium.employment))
    return max(float(np.abs(np.log(a[lives]) - np.log(np.asarray(b)[lives])).max()) for a, b in pairs)


def difference_cell(row: Row) -> str:
    """The log difference, and whether it is another equilibrium."""
    difference = row.get("log_difference")
    if difference is None:
        return ""
    return f"{difference:.0e}" if difference < SAME else f"{difference:.1g}: another equilibrium"


def comparison_table(rows: list[Row], cities: int, results: Row) -> list[str]:
    """A row for each problem and solver, with the floor of the library's evaluations."""
    floor = evaluation_floor(results, cities)

    def times_floor(row: Row) -> str:
        if floor is None or row["solver"] != "spatialjax":
            return ""
        return f"{row['median_seconds'] / (floor * row['evaluations']):.1f}"

    columns: list[Column] = [
        ("problem", lambda r: r["problem"]),
        ("solver", lambda r: r["solver"]),
        ("run", run_cell),
        ("compile", compile_cell),
        ("evaluations", number_cell("evaluations")),
        ("ended", ended_cell),
        ("spatialjax is faster by", faster_cell),
        ("log difference", difference_cell),
        ("times the floor of its evaluations", times_floor),
    ]
    return table(columns, rows)


NOTE = (
    "NumPy: damped sweeps (0.3 on wages, employment and rents). Newton-Krylov: `scipy.optimize.newton_krylov` on the "
    "same residuals, kernel stored, preconditioned by inverse blocks of cities or not; evaluations include those "
    "for the blocks. Log difference: the largest of wages and employment from spatialjax's."
)
