"""A run of the city economy: data, inversion, equilibrium, counterfactuals, optima, results in a folder."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, evaluate_at
from spatialjax.cities.objectives import WelfareReference
from spatialjax.cities.planner import Optimum
from spatialjax.cities.policy_effect import PolicyEffect, policy_effect
from spatialjax.cities.stability import Equilibria, Stability, find_equilibria, stability
from spatialjax.data.checks import check_data
from spatialjax.data.datasets import EMBEDDED, load_data
from spatialjax.workflow.cases import (
    Case,
    certificate_summary,
    compared_occupations,
    counterfactual_economy,
    invert_data,
    solve_case,
    solve_optimum,
)
from spatialjax.workflow.ending import finish
from spatialjax.workflow.history_tables import validation_tables
from spatialjax.workflow.output import write_config, write_dataset, write_table
from spatialjax.workflow.run_folder import run_folder
from spatialjax.workflow.schema import RunConfig
from spatialjax.workflow.stages import Reporter, Silent, timed
from spatialjax.workflow.statements import statements_table
from spatialjax.workflow.summary import city_table, figures_table, headline_figures, sector_table


@dataclass(frozen=True)
class RunResult:
    """What a run found, and where it wrote it.

    `cases` are the economies solved: "data", each counterfactual and each variant by name. `policies` are the
    allocations under policies, by name.
    """

    folder: Path
    figures: pd.DataFrame
    cases: dict[str, Case]
    policies: dict[str, xr.Dataset]
    diagnostics: dict[str, Any]
    files: list[Path] = field(default_factory=list)


def run(
    config: RunConfig, folder: str | Path | None = None, reporter: Reporter | None = None, *, anew: bool = False
) -> RunResult:
    """Run a configuration and write its results, each file as soon as it is known.

    **Arguments:**

    - `folder`: where to write; by default `config.output.folder`.
    - `anew`: remove what a run of another configuration left in the folder, instead of refusing it.

    **Raises:** the errors of [`load_data`][], [`invert`][] and [`solve`][], `OutputError`, and `ConfigError` where the
    data lack an occupation that `config.report` names. That there is no
    optimum is a result, said and written, not an error.
    """
    with run_folder(config.output.folder if folder is None else folder, config, anew=anew) as target:
        return _Run(config, target, Silent() if reporter is None else reporter).all_stages()


class _Run:
    """The stages of a run, which write as they go."""

    def __init__(self, config: RunConfig, target: Path, reporter: Reporter):
        self.config, self.target, self.reporter = config, target, reporter
        self.files: list[Path] = []
        self.seconds: dict[str, float] = {}
        self.diagnostics: dict[str, Any] = {}
        self.cases: dict[str, Case] = {}
        self.policies: dict[str, xr.Dataset] = {}

    def all_stages(self) -> RunResult:
        config = self.config
        self._solve_data()
        self._find_optimum("data", "optimum", config.planner.optimum)
        for name, section in config.counterfactual.items():
            self._solve_counterfactual(name)
            self._find_optimum(name, f"counterfactual_{name}_optimum", section.optimum)
        for name, variant in config.variant.items():
            self._solve_variant(name)
            self._find_optimum(name, f"variant_{name}_optimum", variant.optimum)
        for name in config.policy:
            self._solve_policy(name)
        self._examine()
        figures = self._write_tables()
        if config.output.figures:
            with self._stage("drawing figures"):
                from spatialjax.workflow.drawing import draw_figures

                self.files += draw_figures(self.target, self.data, self.cases, self.policies, self.pair)
        self.diagnostics["seconds"] = self.seconds
        report = self._stage("writing the report")
        self.files = finish(self.target, self.files, self.diagnostics, self.data, report)
        return RunResult(self.target, figures, self.cases, self.policies, self.diagnostics, self.files)

    def _stage(self, name: str) -> AbstractContextManager[None]:
        return timed(self.reporter, name, self.seconds)

    def _solve_data(self) -> None:
        config, say = self.config, self.reporter.say
        with self._stage("loading and checking data"):
            self.data = load_data(config.data.source)
            check_data(self.data)
            self.pair = compared_occupations(config.report, self.data)
            say(describe_sizes(self.data))
        with self._stage("inverting the model"):
            economy = invert_data(self.data, config)
            for mended in economy.mended:
                say(
                    f"value-added share of {mended.sector} lowered from {mended.value_added_share_in_data:.4f} to "
                    f"{mended.value_added_share:.4f} (implied consumption share {mended.consumption_share_implied:.4f})"
                )
        with self._stage("checking that the data are an equilibrium"):
            proof = evaluate_at(economy, economy.reference)
            say(f"largest log excess {float(proof.largest()):.1e}")
        with self._stage("solving the equilibrium and its wedges"):
            self._keep("data", "equilibrium", solve_case(economy, self.data, config))
            self.files.insert(0, write_config(self.target, config))
        self.diagnostics |= {
            "data_are_an_equilibrium": {k: float(v) for k, v in proof.by_block().items()},
            "mended_sectors": [vars(m) for m in economy.mended],
        }

    def _keep(self, name: str, file: str, case: Case) -> None:
        self.cases[name] = case
        self.files.append(write_dataset(self.target / f"{file}.nc", case.result))
        self.diagnostics.setdefault("equilibria_solved", {})[name] = {
            "evaluations": int(case.equilibrium.evaluations),
            "largest_log_excess": float(case.equilibrium.residuals.largest()),
        }
        self.reporter.say(_describe(case.equilibrium))

    def _solve_counterfactual(self, name: str) -> None:
        with self._stage(f"solving counterfactual {name}"):
            data = self.cases["data"]
            section = self.config.counterfactual[name]
            economy = counterfactual_economy(data.economy, data.equilibrium, section, self.data)
            case = solve_case(economy, self.data, self.config, data.equilibrium)
            self._keep(name, f"counterfactual_{name}", case)

    def _solve_variant(self, name: str) -> None:
        with self._stage(f"inverting and solving variant {name}"):
            economy = invert_data(self.data, self.config, self.config.variant[name])
            self._keep(name, f"variant_{name}", solve_case(economy, self.data, self.config))

    def _find_optimum(self, name: str, file: str, wanted: bool) -> None:
        if not wanted:
            return
        of = "" if name == "data" else f" of {name}"
        with self._stage(f"finding the optimum{of} and its certificate"):
            case = self.cases[name]
            found = solve_optimum(case, self.config)
            self.cases[name] = case.with_optimum(found, self.data)
            self.diagnostics.setdefault("optima", {})[name] = certificate_summary(found)
            optimum = self.cases[name].optimum
            if optimum is not None:
                self.files.append(write_dataset(self.target / f"{file}.nc", optimum))
            self._say_optimum(found)
            self._say_stability(case, found)

    def _say_optimum(self, found: Optimum) -> None:
        say = self.reporter.say
        if not found.found:
            say(f"no optimum: {found.outcome}")
            return
        gains = ", ".join(f"{100 * float(gain):.4f} percent" for gain in np.unique(np.round(found.gain, 10)))
        say(f"gain {gains}; {_describe(found.equilibrium)}")
        say(_describe_certificate(found))

    def _say_stability(self, case: Case, found: Optimum) -> None:
        """Where there is no optimum, whether the equilibrium that it is sought from is stable."""
        if found.found or not self.config.stability.eigenvalues:
            return
        report = stability(case.economy, case.equilibrium, count=1)
        self.reporter.say(f"the equilibrium itself: {_describe_stability(report)}")

    def _solve_policy(self, name: str) -> None:
        with self._stage(f"phasing in policy {name}"):
            case = self.cases["data"]
            policy = self.config.policy[name].build(WelfareReference.of(case.economy, case.equilibrium))
            effect = policy_effect(case.economy, policy, case.equilibrium)
            self.policies[name] = effect.to_xarray(self.data)
            self.files.append(write_dataset(self.target / f"policy_{name}.nc", self.policies[name]))
            self.diagnostics.setdefault("policies", {})[name] = certificate_summary(effect)
            gains = ", ".join(f"{100 * float(gain):.3f}" for gain in effect.gain)
            self.reporter.say(f"gains by occupation {gains} percent; {effect.outcome}")
            if effect.certificate is not None:
                self.reporter.say(_describe_certificate(effect))

    def _examine(self) -> None:
        """Stability, and the search for other equilibria."""
        config, case = self.config.stability, self.cases["data"]
        if config.eigenvalues:
            with self._stage("computing stability"):
                report = stability(case.economy, case.equilibrium, count=config.eigenvalues)
                self.diagnostics["stability"] = _stability_summary(report)
                self.reporter.say(_describe_stability(report))
        if config.starts:
            with self._stage(f"searching for other equilibria from {config.starts} starts"):
                found = _search(case.economy, self.config)
                self.diagnostics["equilibria"] = _search_summary(found, case.equilibrium)
                self.reporter.say(f"distinct equilibria found: {len(found.equilibria)}")

    def _write_tables(self) -> pd.DataFrame:
        with self._stage("writing tables"):
            published = self.config.data.source in EMBEDDED
            headlines = headline_figures(self.data, self.cases, self.policies, published=published, pair=self.pair)
            figures = without_papers_of_others(figures_table(headlines), self.config)
            data = self.cases["data"]
            self.files += _write_tables(
                self.target, figures, city_table(self.cases, self.policies), sector_table(data.result, data.economy)
            )
            if published:
                self._write_statements()
            tables = validation_tables(data.economy, data.result, published=published, pair=self.pair)
            for name, table in tables.items():
                self.files += write_table(self.target / f"{name}.csv", table)
        return figures

    def _write_statements(self) -> None:
        """Whether what the papers say of their data holds on these."""
        statements = statements_table(self.data, self.cases, self.policies, self.pair)
        self.files += write_table(self.target / "statements.csv", statements)
        for row in statements.itertuples(index=False):
            holds = "holds" if row.holds else "does not hold"
            self.reporter.say(f"{row.source}, {row.statement}: {holds} ({row.measure}: {row.value:.4g})")


def without_papers_of_others(figures: pd.DataFrame, config: RunConfig) -> pd.DataFrame:
    """Headline figures, without CH's where externalities are not those by occupation that CH's are of."""
    return figures if config.spillover.kind == "occupation" else figures.assign(**{"published (CH)": np.nan})


def describe_sizes(data: xr.Dataset) -> str:
    """How many cities, sectors and occupations."""
    plurals = {"city": "cities", "sector": "sectors", "occupation": "occupations"}
    return ", ".join(f"{data.sizes[dimension]} {plural}" for dimension, plural in plurals.items())


def _describe(equilibrium: Equilibrium) -> str:
    return (
        f"{int(equilibrium.evaluations)} evaluations, largest log excess {float(equilibrium.residuals.largest()):.1e}"
    )


def _describe_certificate(effect: PolicyEffect) -> str:
    certificate = effect.certificate
    assert certificate is not None
    signs = "negative" if certificate.concave else "not negative"
    cosine = f", cosine {certificate.cosine:.12g}" if certificate.weights.size > 1 else ""
    return (
        f"certificate: residual of first-order conditions {certificate.residual:.1e}{cosine}; curvature {signs} along "
        f"{certificate.curvature.size} directions"
    )


def _describe_stability(report: Stability) -> str:
    return f"leading eigenvalue {report.eigenvalues[0].real:.3f}: {'' if report.stable else 'not '}stable"


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


def _write_tables(folder: Path, figures: pd.DataFrame, cities: pd.DataFrame, sectors: pd.DataFrame) -> list[Path]:
    return [
        *write_table(folder / "summary.csv", figures),
        *write_table(folder / "cities.csv", cities, index=True),
        *write_table(folder / "sectors.csv", sectors, index=True),
    ]
