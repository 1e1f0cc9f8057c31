"""Measure the library, and plain NumPy beside it: `python benchmarks/run.py [--out DIRECTORY] [--quick]`.

Writes a JSON file and a Markdown table named by date and device. Every part runs in a process of its
own, so that its peak memory is its own; compilation is timed apart from running.
"""

import argparse
import dataclasses
import datetime
import json
import multiprocessing
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

# As the command line does: LAPACK's threads and XLA's wait for each other busily. NumPy is bound by it too.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax

jax.config.update("jax_enable_x64", True)

import density_cases  # noqa: E402
import granular_cases  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import numpy_baseline  # noqa: E402
import numpy_granular  # noqa: E402
import numpy_planner  # noqa: E402
import xarray as xr  # noqa: E402
from cases import (  # noqa: E402
    ITERATIONS,
    TOLERANCE,
    gradient_in_productivity,
    gradient_in_spillover,
    local_inverse_at,
    perturbed,
    repeat_evaluations,
    repeat_kernel_products,
    solve,
    system_of,
    total_welfare,
    unit_cost_step,
    with_zero_externalities,
    without_externalities,
)
from economies import random_data  # noqa: E402
from measuring import Timing, machine, measure, peak_memory  # noqa: E402
from report import to_markdown  # noqa: E402

import spatialjax  # noqa: E402
from spatialjax import Economy, Equilibrium, density, estimation, granular  # noqa: E402
from spatialjax.cities.certificate import certify  # noqa: E402
from spatialjax.cities.equilibrium import EquilibriumStatus  # noqa: E402
from spatialjax.cities.state import State  # noqa: E402

Row = dict[str, Any]
Gradients = dict[str, Callable[[Economy], Any]]
SIZES = (100, 200, 382, 750, 1500)
QUICK_SIZE = 100
REPEATS = 9
BASELINE_REPEATS = 3
BASELINE_TIME_LIMIT = 120.0
"""Seconds that one baseline solve may take."""
GRADIENTS: Gradients = {
    "gradient in externalities": gradient_in_spillover,
    "gradient in fundamental productivity": gradient_in_productivity,
}
BASELINES = {"NumPy, kernel stored": True, "NumPy, kernel recomputed": False}
STARTS = (0.05, 0.2)
"""Standard deviations of the noise on every log unknown from which economies with externalities start."""


def main() -> None:
    """Measure and write the files."""
    arguments = _arguments()
    results = measure_all(quick=arguments.quick, only=arguments.only)
    for path, text in _files(results, arguments.out, arguments.quick, arguments.only):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"written: {path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the library, and plain NumPy beside it.")
    default = Path(__file__).parent / "results"
    parser.add_argument("--out", type=Path, default=default, help="directory of the results")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SIZE} random cities or small panels, one repeat")
    parser.add_argument("--only", choices=PARTS, help="one part")
    return parser.parse_args()


PARTS = ("pieces", "counterfactuals", "optimum", "gradients", "sizes", "granular", "density", "estimation")


def measure_all(*, quick: bool, only: str | None = None) -> Row:
    """Everything, or one part, as a dictionary."""
    repeats, sizes = (1, (QUICK_SIZE,)) if quick else (REPEATS, SIZES)
    parts: dict[str, Callable[[], Any]] = {
        "pieces": lambda: in_own_process(measure_pieces, quick, repeats),
        "counterfactuals": lambda: in_own_process(measure_counterfactuals, quick, repeats),
        "optimum": lambda: in_own_process(measure_optimum, quick, repeats),
        "gradients": lambda: in_own_process(measure_gradients, quick, repeats),
        "sizes": lambda: [in_own_process(measure_size, cities, repeats) for cities in sizes],
        "granular": lambda: in_own_process(measure_granular, quick, repeats),
        "density": lambda: {
            **in_own_process(measure_density, quick),
            "baseline": in_own_process(measure_density_baseline, quick),
        },
        "estimation": lambda: in_own_process(measure_estimation, quick, repeats),
    }
    return {
        "date": datetime.date.today().isoformat(),
        "quick": quick,
        "tolerance": TOLERANCE,
        "machine": in_own_process(machine),
        **{name: parts[name]() for name in PARTS if only in (None, name)},
    }


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process and return what it returns."""
    print(f"{function.__name__}{arguments} ...", flush=True)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _data(quick: bool) -> xr.Dataset:
    return random_data(QUICK_SIZE) if quick else spatialjax.load_data("us-metros")


def measure_pieces(quick: bool, repeats: int) -> Row:
    """Inversion, and what one step of the solver consists of."""
    data = _data(quick)
    inversion, economy = measure(lambda: spatialjax.invert(data), repeats=repeats)
    unit_costs, scaling = measure(unit_cost_step(data, economy), repeats=repeats)
    system, state, step = system_of(economy), economy.reference, jnp.asarray(1e-3)
    products, _ = measure(lambda: repeat_kernel_products(system), repeats=repeats)
    evaluations, _ = measure(lambda: repeat_evaluations(system, state, step), repeats=repeats)
    inverse, _ = measure(lambda: local_inverse_at(system, state), repeats=repeats)
    return {
        "cities": data.sizes["city"],
        "sectors": data.sizes["sector"],
        "rows": [
            {"name": "two kernel products", **products.row(ITERATIONS)},
            {"name": "one evaluation of every market", **evaluations.row(ITERATIONS)},
            {"name": "local inverse", **inverse.row()},
            {"name": "inversion: unit costs", **unit_costs.row(), "newton_steps": int(scaling.steps.max())},
            {"name": "inversion, whole", **inversion.row()},
        ],
        "evaluation_over_kernel_products": evaluations.median / products.median,
        **peak_memory(),
    }


def measure_counterfactuals(quick: bool, repeats: int) -> Row:
    """Solves beside the NumPy baselines."""
    economy = spatialjax.invert(_data(quick))
    cases = [("no externalities, from the data", without_externalities(economy), economy.reference)]
    for size in STARTS:
        start = perturbed(economy.reference, size)
        cases.append((f"CH externalities, from {size:.0%} noise", economy, start))
    rows = [row for name, case, start in cases for row in compare(name, case, start, repeats)]
    return {"cities": len(economy.labels.city), "rows": rows, **peak_memory()}


def compare(name: str, economy: Economy, start: State, repeats: int) -> Iterator[Row]:
    """The library and both baselines from one start.

    For a baseline also its distance from the library's equilibrium, and how many times longer it takes.
    """
    library, equilibrium = measure(lambda: solve(economy, start), repeats=repeats)
    yield {"problem": name, "solver": "spatialjax", **library.row(), **_how_it_ended(equilibrium)}
    problem = numpy_baseline.Problem.of(economy)
    for solver, stored in BASELINES.items():
        timing, solution = measure(
            lambda stored=stored: sweep(problem, start, stored),
            repeats=min(repeats, BASELINE_REPEATS),
            time_limit=BASELINE_TIME_LIMIT,
        )
        yield {
            "problem": name,
            "solver": solver,
            **timing.row(),
            "compile_seconds": None,
            "evaluations": solution.sweeps,
            "residual": solution.residual,
            "outcome": solution.outcome,
            "library_is_faster_by": timing.median / library.median,
            "log_difference": _log_difference(solution, equilibrium),
        }


def measure_optimum(quick: bool, repeats: int) -> Row:
    """The optimum with equal gains from the equilibrium: the allocation, its certificate, both; the baselines."""
    economy = spatialjax.invert(_data(quick))
    equilibrium = spatialjax.solve(economy, tolerance=TOLERANCE)
    policy = spatialjax.OptimalPolicy(spatialjax.WelfareReference.of(economy, equilibrium))

    def allocate():
        return spatialjax.solve(economy, income=policy, initial=equilibrium, tolerance=TOLERANCE, throw=False)

    allocation, found = measure(allocate, repeats=repeats)
    certificate, proof = measure(lambda: certify(economy, found), repeats=repeats)
    whole, optimum = measure(lambda: spatialjax.optimum(economy, equilibrium, throw=False), repeats=repeats)
    rows = [
        {"name": "allocation, spatialjax", **allocation.row(), **_how_it_ended(found)},
        {"name": "certificate, spatialjax", **certificate.row(), "residual": proof.residual},
        {
            "name": "optimum with certificate, spatialjax",
            **whole.row(),
            "evaluations": int(optimum.equilibrium.evaluations),
            "outcome": optimum.outcome,
            "residual": optimum.certificate.residual if optimum.certificate else None,
        },
    ]
    gains = numpy_planner.EqualGains(np.asarray(equilibrium.welfare))
    problem = dataclasses.replace(numpy_baseline.Problem.of(economy), policy=gains)
    for solver, stored in BASELINES.items():
        timing, solution = measure(
            lambda stored=stored: sweep(problem, equilibrium.state(), stored),
            repeats=min(repeats, BASELINE_REPEATS),
            time_limit=BASELINE_TIME_LIMIT,
        )
        rows.append(
            {
                "name": f"allocation, {solver}",
                **timing.row(),
                "compile_seconds": None,
                "evaluations": solution.sweeps,
                "residual": solution.residual,
                "outcome": solution.outcome,
                "library_is_faster_by": timing.median / allocation.median,
                "log_difference": _log_difference(solution, found),
            }
        )
    return {
        "cities": len(economy.labels.city),
        "gain": [float(gain) for gain in optimum.gain],
        "rows": rows,
        **peak_memory(),
    }


def sweep(problem: numpy_baseline.Problem, start: State, stored: bool) -> numpy_baseline.Solution:
    """A baseline at the library's tolerance, stopped where it takes too long."""
    return numpy_baseline.solve(
        problem, start, tolerance=TOLERANCE, stored_kernel=stored, time_limit=BASELINE_TIME_LIMIT
    )


def _how_it_ended(equilibrium: Equilibrium) -> Row:
    return {
        "evaluations": int(equilibrium.evaluations),
        "residual": float(equilibrium.residuals.largest()),
        "outcome": "converged" if equilibrium.converged else EquilibriumStatus[equilibrium.status],
    }


def _log_difference(solution: numpy_baseline.Solution, equilibrium: Equilibrium) -> float:
    """Largest log difference of wages and employment between the two."""
    lives = np.asarray(equilibrium.employment) > 0
    pairs = ((solution.wage, equilibrium.wage), (solution.employment, equilibrium.employment))
    return max(float(np.abs(np.log(a[lives]) - np.log(np.asarray(b)[lives])).max()) for a, b in pairs)


def measure_gradients(quick: bool, repeats: int) -> Row:
    """Gradients of total welfare at the counterfactual without externalities, beside its solve."""
    economy = with_zero_externalities(spatialjax.invert(_data(quick)))
    rows = list(gradient_rows(economy, repeats, GRADIENTS))
    return {"cities": len(economy.labels.city), "rows": rows, **peak_memory()}


def gradient_rows(economy: Economy, repeats: int, gradients: Gradients) -> Iterator[Row]:
    """The forward solve, and gradients with what they cost beyond it."""
    forward, _ = measure(lambda: total_welfare(economy), repeats=repeats)
    yield {"name": "forward solve", **forward.row()}
    for name, gradient in gradients.items():
        timing, _ = measure(lambda gradient=gradient: gradient(economy), repeats=repeats)
        adjoint = timing.median - forward.median
        ratio = adjoint / forward.median
        yield {"name": name, **timing.row(), "adjoint_seconds": adjoint, "adjoint_over_forward": ratio}


def measure_size(cities: int, repeats: int) -> Row:
    """Random cities: inversion, the counterfactual without externalities, its gradient, the baselines."""
    data = random_data(cities)
    inversion, economy = measure(lambda: spatialjax.invert(data), repeats=repeats)
    memory = {"inversion": peak_memory()}
    economy = without_externalities(economy)
    rows = gradient_rows(economy, repeats, {"gradient": gradient_in_productivity})
    forward = next(rows)
    memory["solve"] = peak_memory()
    gradient = next(rows)
    memory["gradient"] = peak_memory()
    solves = list(compare("no externalities", economy, economy.reference, repeats))
    memory["baselines"] = peak_memory()
    return {
        "cities": cities,
        "inversion": inversion.row(),
        "forward": forward,
        "gradient": gradient,
        "solves": solves,
        "memory": memory,
    }


def measure_granular(quick: bool, repeats: int) -> Row:
    """The granular economy: sectors and games a second, the curve of Phi, places; loops in NumPy beside."""
    sectors, loop, loop_games = (2**14, 500, 1) if quick else (granular_cases.SECTORS, 20_000, 10)
    rows = [*_monte_carlo(sectors, loop, repeats), *_curves(repeats), *_games(loop_games, repeats), *_places(repeats)]
    return {"rows": rows, **peak_memory()}


def _monte_carlo(sectors: int, loop: int, repeats: int) -> Iterator[Row]:
    timing, found = measure(lambda: granular_cases.simulate(sectors), repeats=repeats)
    name = f"Monte Carlo, {granular_cases.FIRMS_PER_SECTOR:g} firms per sector"
    rate = found.draws / timing.median
    yield {"name": name, **timing.row(), "per_second": rate, "of": "sectors", "value": float(found.mean.psi)}
    baseline = numpy_granular.simulate(granular_cases.FIRMS_PER_SECTOR, loop)
    yield _loop_row(f"{name}, NumPy loop", baseline.seconds, baseline.sectors, "sectors", rate, baseline.psi)


def _curves(repeats: int) -> Iterator[Row]:
    m = granular_cases.zones()
    timing, found = measure(lambda: granular_cases.phi_curve(m), repeats=repeats)
    name = f"Phi of {m.size} zones by quadrature"
    rate = m.size / timing.median
    yield {"name": name, **timing.row(), "per_second": rate, "of": "zones", "value": float(found[0].max())}
    began = perf_counter()
    index = numpy_granular.herfindahl(np.asarray(m))
    yield _loop_row(f"{name}, SciPy loop (Herfindahl)", perf_counter() - began, m.size, "zones", rate, index.min())
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
            row = _loop_row(f"{name}, SciPy loop", perf_counter() - began, games, "games", rate, np.nan)
            yield {**row, "log_difference": difference}


def _places(repeats: int) -> Iterator[Row]:
    for conduct in ("competitive", "cournot"):
        economy = granular_cases.places(conduct)
        timing, found = measure(lambda e=economy: granular_cases.solve_perturbed(e), repeats=repeats)
        yield {"name": f"equilibrium of places, {conduct}", **timing.row(), "value": int(found.evaluations)}
        timing, best = measure(lambda e=economy: granular.optimum(e), repeats=repeats)
        name = f"optimal policy with certificate, {conduct}"
        yield {"name": name, **timing.row(), "value": best.certificate.residual}


def measure_density(quick: bool) -> Row:
    """The density premium at the size of FF's sample, each step once, after it was called twice on a small panel."""
    first, second = (_density_rows(density_cases.SMALL_PER_YEAR) for _ in range(2))
    rows = second if quick else _density_rows(density_cases.PER_YEAR)
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
                **_once(elapsed),
                **found,
                "cpu_seconds": busy,
                "per_second": found["rows"] / elapsed,
                "memory": peak_memory(),
            }
        )
        return result

    density_cases.density_steps(per_year, timed)
    return rows


def measure_density_baseline(quick: bool) -> Row:
    """Eq. (2) with all controls by the library and by linearmodels, on the same panel."""
    size = density_cases.SMALL_PER_YEAR if quick else density_cases.BASELINE_PER_YEAR
    panel = density.with_regressors(density_cases.simulated(size), density.cbsa_table())
    library, found = measure(lambda: density.premium(panel), repeats=1 if quick else BASELINE_REPEATS)
    rate = len(panel) / library.median
    row = {"name": "eq. (2), all controls", **library.row(), "per_second": rate, "of": "rows"}
    other, theirs = measure(lambda: density_cases.absorbing_least_squares(panel), repeats=1)
    elsewhere = _loop_row(
        "the same, linearmodels AbsorbingLS", other.median, len(panel), "rows", rate, theirs["log_density"]
    )
    elsewhere["largest_difference"] = float(np.abs(found.coefficients - theirs).max())
    return {"rows": [row, elsewhere], "panel_rows": len(panel), **peak_memory()}


def measure_estimation(quick: bool, repeats: int) -> Row:
    """Externalities of cities by each estimator, and the parameters of the granular model from a panel of firms."""
    data = _data(quick)
    economy = spatialjax.invert(data)
    rows = [*_externalities(economy, density_cases.instruments(data, economy), repeats), *_granular_rows(quick)]
    return {"cities": data.sizes["city"], "rows": rows, "versions": density_cases.versions(), **peak_memory()}


def _externalities(economy: Economy, columns, repeats: int) -> Iterator[Row]:
    timing, _ = measure(lambda: estimation.model_instruments(economy), repeats=repeats)
    yield {"name": "instruments of the model", **timing.row()}
    for estimator in ("ols", "2sls", "cue"):
        call = partial(density_cases.spillovers, economy, estimator, columns)
        timing, found = measure(call, repeats=repeats)
        rows = sum(one.observations for one in found.regressions.values())
        searches = [one.search.evaluations for one in found.regressions.values() if one.search]
        evaluations = {"evaluations": sum(searches)} if searches else {}
        yield {"name": f"externalities by occupation, {estimator.upper()}", **timing.row(), "rows": rows, **evaluations}


def _granular_rows(quick: bool) -> Iterator[Row]:
    repeats = 1 if quick else BASELINE_REPEATS
    timing, made = measure(lambda: density_cases.firms(quick), repeats=repeats)
    yield _of_rows("panel of firms simulated", timing, len(made.panel))
    timing, _ = measure(lambda: estimation.estimate_granular(made.panel, made.products), repeats=repeats)
    yield _of_rows("parameters of KO Table 2", timing, len(made.panel))


def _of_rows(name: str, timing: Timing, rows: int) -> Row:
    return {"name": name, **timing.row(), "rows": rows, "per_second": rows / timing.median, "of": "rows"}


def _once(elapsed: float) -> Row:
    return {"median_seconds": elapsed, "minimum_seconds": elapsed, "maximum_seconds": elapsed, "repeats": 1}


def _loop_row(name: str, elapsed: float, done: int, of: str, library_rate: float, value: float) -> Row:
    rate = done / elapsed
    return {
        "name": name,
        "compile_seconds": None,
        **_once(elapsed),
        "per_second": rate,
        "of": of,
        "value": float(value),
        "library_is_faster_by": library_rate / rate,
        "outcome": "converged",
    }


def _files(results: Row, directory: Path, quick: bool, only: str | None) -> Iterator[tuple[Path, str]]:
    where = results["machine"]
    device = f"{where['cores']} cores" if where["platform"] == "cpu" else where["device"]
    name = f"{results['date']} {where['platform']} {device}{' quick' if quick else ''} {only or ''}".strip()
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower())
    yield directory / f"{stem}.json", json.dumps(results, indent=2) + "\n"
    yield directory / f"{stem}.md", to_markdown(results)


if __name__ == "__main__":
    main()
