"""A run of the city economy: data, inversion, equilibrium, counterfactuals, results in a folder."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import tomli_w
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, evaluate_at, solve
from spatialjax.cities.inversion import invert
from spatialjax.cities.stability import Equilibria, Stability, find_equilibria, stability
from spatialjax.cities.wedge import wedge
from spatialjax.data.checks import check_data
from spatialjax.data.datasets import EMBEDDED, load_data
from spatialjax.workflow.config import CounterfactualSection, RunConfig
from spatialjax.workflow.output import environment, prepare_folder, write, write_dataset, write_json
from spatialjax.workflow.summary import city_table, figures_table, headline_figures, sector_table


class Reporter(Protocol):
    """Who hears how a run is going."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """A stage of the run, entered when it starts and left when it ends."""
        ...

    def say(self, message: str) -> None:
        """A line about the current stage."""
        ...


class Silent:
    """A reporter that says nothing."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Run the stage."""
        yield

    def say(self, message: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class RunResult:
    """What a run found, and where it wrote it."""

    folder: Path
    figures: pd.DataFrame
    baseline: xr.Dataset
    counterfactuals: dict[str, xr.Dataset]
    diagnostics: dict[str, Any]
    files: list[Path] = field(default_factory=list)


def run(config: RunConfig, folder: str | Path | None = None, reporter: Reporter | None = None) -> RunResult:
    """Run a configuration and write its results.

    **Arguments:**

    - `folder`: where to write; by default `config.output.folder`.

    **Raises:** the errors of [`load_data`][], [`invert`][] and [`solve`][], and `OutputError`.
    """
    reporter = Silent() if reporter is None else reporter
    target = prepare_folder(config.output.folder if folder is None else folder)
    seconds: dict[str, float] = {}

    def stage(name: str) -> AbstractContextManager[None]:
        return _timed(reporter, name, seconds)

    with stage("loading and checking data"):
        data = load_data(config.data.source)
        check_data(data)
        reporter.say(describe_sizes(data))
    with stage("inverting the model"):
        economy = _invert(data, config)
        for mended in economy.mended:
            reporter.say(
                f"value-added share of {mended.sector} lowered from {mended.value_added_share_in_data:.4f} to "
                f"{mended.value_added_share:.4f} (implied consumption share {mended.consumption_share_implied:.4f})"
            )
    with stage("checking that the data are an equilibrium"):
        proof = evaluate_at(economy, economy.reference)
        reporter.say(f"largest log excess {float(proof.largest()):.1e}")
    with stage("solving the equilibrium and its wedges"):
        equilibrium = _solve(economy, config)
        baseline = _labelled(equilibrium, economy, data)
        files = [_write_config(target, config), write_dataset(target / "equilibrium.nc", baseline)]
        reporter.say(_describe(equilibrium))
    counterfactuals = {}
    for name, section in config.counterfactual.items():
        with stage(f"solving counterfactual {name}"):
            changed = _apply(economy, section)
            solution = _solve(changed, config, initial=equilibrium)
            counterfactuals[name] = _labelled(solution, changed, data)
            files.append(write_dataset(target / f"counterfactual_{name}.nc", counterfactuals[name]))
            reporter.say(_describe(solution))
    diagnostics: dict[str, Any] = {
        "data_are_an_equilibrium": {k: float(v) for k, v in proof.by_block().items()},
        "mended_sectors": [vars(m) for m in economy.mended],
    }
    if config.stability.eigenvalues:
        with stage("computing stability"):
            report = stability(economy, equilibrium, count=config.stability.eigenvalues)
            diagnostics["stability"] = _stability_summary(report)
            reporter.say(
                f"leading eigenvalue {report.eigenvalues[0].real:.3f}: {'' if report.stable else 'not '}stable"
            )
    if config.stability.starts:
        with stage(f"searching for other equilibria from {config.stability.starts} starts"):
            found = _search(economy, config)
            diagnostics["equilibria"] = _search_summary(found, equilibrium)
            reporter.say(f"distinct equilibria found: {len(found.equilibria)}")
    published = config.data.source in EMBEDDED
    figures = figures_table(headline_figures(baseline, counterfactuals, published=published))
    with stage("writing tables"):
        files += _write_tables(target, figures, city_table(baseline, counterfactuals), sector_table(baseline, economy))
    if config.output.figures:
        with stage("drawing figures"):
            files += _draw(target, data, baseline, counterfactuals)
    diagnostics |= {"seconds": seconds, **environment()}
    files.append(write_json(target / "run.json", diagnostics))
    return RunResult(target, figures, baseline, counterfactuals, diagnostics, files)


def describe_sizes(data: xr.Dataset) -> str:
    """How many cities, sectors and occupations."""
    plurals = {"city": "cities", "sector": "sectors", "occupation": "occupations"}
    return ", ".join(f"{data.sizes[dimension]} {plural}" for dimension, plural in plurals.items())


@contextmanager
def _timed(reporter: Reporter, name: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    with reporter.stage(name):
        yield
    seconds[name] = round(time.perf_counter() - start, 3)


def _invert(data: xr.Dataset, config: RunConfig) -> Economy:
    model = config.model
    minimum = model.minimum_consumption_share
    economy = invert(
        data,
        trade_elasticity=model.trade_elasticity,
        location_elasticity=model.location_elasticity,
        occupation_substitution=model.occupation_substitution,
        housing_share=model.housing_share,
        minimum_consumption_share=None if isinstance(minimum, str) else minimum,
        spillover=config.spillover.build(),
    )
    return jax.block_until_ready(economy)


def _solve(economy: Economy, config: RunConfig, initial: Equilibrium | None = None) -> Equilibrium:
    solver = config.solver
    return solve(economy, initial=initial, tolerance=solver.tolerance, max_evaluations=solver.max_evaluations)


def _apply(economy: Economy, section: CounterfactualSection) -> Economy:
    """The economy of a counterfactual."""
    if section.spillover is not None:
        economy = eqx.tree_at(lambda e: e.spillover, economy, section.spillover.build())
    if section.trade_cost_factor != 1.0:
        between = ~jnp.eye(economy.log_iceberg_cost.shape[1], dtype=bool)
        cost = economy.log_iceberg_cost + jnp.where(between, jnp.log(section.trade_cost_factor), 0.0)
        economy = eqx.tree_at(lambda e: e.log_iceberg_cost, economy, cost)
    return economy


def _labelled(equilibrium: Equilibrium, economy: Economy, data: xr.Dataset) -> xr.Dataset:
    """An equilibrium with its wedges and the amenities and fundamental productivity behind it."""
    result = equilibrium.to_xarray(data)
    for name, dimensions, values, long_name, units in (
        (
            "wedge",
            ("city", "occupation"),
            wedge(economy, equilibrium),
            "social less private value",
            "US dollars a year",
        ),
        ("amenity", ("city", "occupation"), economy.amenity, "amenity", "1"),
        (
            "fundamental_productivity",
            ("city", "occupation", "sector"),
            economy.fundamental_productivity,
            "exogenous part of productivity",
            "1",
        ),
    ):
        result[name] = (dimensions, np.asarray(values), {"units": units, "long_name": long_name})
    return result


def _describe(equilibrium: Equilibrium) -> str:
    return (
        f"{int(equilibrium.evaluations)} evaluations, largest log excess {float(equilibrium.residuals.largest()):.1e}"
    )


def _search(economy: Economy, config: RunConfig) -> Equilibria:
    return find_equilibria(
        economy,
        key=jax.random.key(config.stability.seed),
        starts=config.stability.starts,
        spread=config.stability.spread,
        tolerance=config.solver.tolerance,
        max_evaluations=config.solver.max_evaluations,
    )


def _stability_summary(report: Stability) -> dict[str, Any]:
    return {
        "eigenvalues_of_reduced_map": [[float(v.real), float(v.imag)] for v in report.eigenvalues],
        "eigenvalue_residuals": [float(r) for r in report.residuals],
        "stable": report.stable,
    }


def _search_summary(found: Equilibria, baseline: Equilibrium) -> dict[str, Any]:
    def distance(other: Equilibrium) -> float:
        return float(jnp.max(jnp.abs(other.state().log_employment - baseline.state().log_employment)))

    return {
        "distinct": len(found.equilibria),
        "found_from_start": found.found_from,
        "outcome_of_start": found.reasons,
        "log_distance_to_baseline": [distance(other) for other in found.equilibria],
    }


def _write_config(folder: Path, config: RunConfig) -> Path:
    resolved = config.model_dump(mode="json", exclude_none=True)
    return write(folder / "config.toml", lambda path: path.write_text(tomli_w.dumps(resolved)))


def _write_tables(folder: Path, figures: pd.DataFrame, cities: pd.DataFrame, sectors: pd.DataFrame) -> list[Path]:
    return [
        write(folder / "summary.csv", lambda path: figures.to_csv(path, index=False)),
        write(folder / "cities.csv", cities.to_csv),
        write(folder / "sectors.csv", sectors.to_csv),
    ]


def _draw(folder: Path, data: xr.Dataset, baseline: xr.Dataset, counterfactuals: dict[str, xr.Dataset]) -> list[Path]:
    from spatialjax.workflow.drawing import draw_figures

    return draw_figures(folder, data, baseline, counterfactuals)
