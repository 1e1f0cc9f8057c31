"""A run that decomposes the change between two economies (CH section 8)."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import pandas as pd
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, evaluate_at, solve
from spatialjax.cities.history import Decomposition, decompose
from spatialjax.cities.history_steps import Steps
from spatialjax.cities.history_table import WelfareTable, welfare_table
from spatialjax.cities.history_technology import historical_steps, in_units_of, local_technology, technology_changes
from spatialjax.cities.inversion import invert
from spatialjax.cities.planner import Optimum
from spatialjax.cities.variants import without_externalities
from spatialjax.data.checks import check_data
from spatialjax.data.datasets import EMBEDDED, load_data
from spatialjax.workflow.cases import certificate_summary, compared_occupations
from spatialjax.workflow.ending import finish
from spatialjax.workflow.history_schema import STYLISED, HistoryRunConfig
from spatialjax.workflow.history_statements import history_statements
from spatialjax.workflow.history_tables import (
    contributions_frame,
    summary_frame,
    validation_tables,
    welfare_frame,
)
from spatialjax.workflow.output import write_config, write_dataset, write_table
from spatialjax.workflow.run_folder import run_folder
from spatialjax.workflow.stages import Reporter, Silent, timed
from spatialjax.workflow.summary import PUBLISHED_PAIR

MODELS = {True: "with externalities", False: "without externalities"}
ENDINGS = {True: "", False: "_no_externalities"}


@dataclass(frozen=True)
class HistoryRunResult:
    """What a run found, and where it wrote it.

    `decompositions` and `welfare` are with externalities (True) and without (False).
    """

    folder: Path
    figures: pd.DataFrame
    decompositions: Mapping[bool, Decomposition]
    welfare: Mapping[bool, WelfareTable]
    tables: dict[str, pd.DataFrame]
    diagnostics: dict[str, Any]
    files: list[Path] = field(default_factory=list)


def run_history(
    config: HistoryRunConfig,
    folder: str | Path | None = None,
    reporter: Reporter | None = None,
    *,
    anew: bool = False,
) -> HistoryRunResult:
    """Invert two data sets, decompose the change between them, and write results, each file as soon as it is known.

    **Arguments:**

    - `folder`: where to write; by default `config.output.folder`.
    - `anew`: remove what a run of another configuration left in the folder, instead of refusing it.

    **Raises:** the errors of [`load_data`][], [`invert`][] and [`decompose`][], and `OutputError`. That there is no
    optimum is a result, said and written, not an error.
    """
    with run_folder(config.output.folder if folder is None else folder, config, anew=anew) as target:
        return _HistoryRun(config, target, Silent() if reporter is None else reporter).all_stages()


class _HistoryRun:
    """The stages of a run, which write as they go."""

    def __init__(self, config: HistoryRunConfig, target: Path, reporter: Reporter):
        self.config, self.target, self.reporter = config, target, reporter
        self.files: list[Path] = [write_config(target, config)]
        self.seconds: dict[str, float] = {}
        self.diagnostics: dict[str, Any] = {}
        self.found: dict[bool, Decomposition] = {}
        self.welfare: dict[bool, WelfareTable] = {}
        self.tables: dict[str, pd.DataFrame] = {}

    def all_stages(self) -> HistoryRunResult:
        config = self.config
        self._load()
        self._invert()
        for external in (True, False) if config.decomposition.without_externalities else (True,):
            self._decompose(external)
            self._welfare(external)
        figures = self._write_tables()
        if config.output.figures:
            self._draw()
        self.diagnostics["seconds"] = self.seconds
        report = self._stage("writing the report")
        self.files = finish(self.target, self.files, self.diagnostics, self.data, report)
        return HistoryRunResult(
            self.target, figures, self.found, self.welfare, self.tables, self.diagnostics, self.files
        )

    def _stage(self, name: str) -> AbstractContextManager[None]:
        return timed(self.reporter, name, self.seconds)

    @property
    def published(self) -> bool:
        """Whether CH's numbers are about these years, cities and occupations."""
        years = self.config.baseline.source == STYLISED and self.config.target.source in EMBEDDED
        return years and self.pair == PUBLISHED_PAIR

    def _load(self) -> None:
        with self._stage("loading and checking data"):
            self.data = load_data(self.config.target.source)
            check_data(self.data)
            if self.config.baseline.source == STYLISED:
                self.past = self.config.stylised.build(self.data)
                self.files.append(write_dataset(self.target / "baseline_data.nc", self.past))
                self.reporter.say("the baseline is a stylised 1980 economy, made from the target's data")
            else:
                self.past = load_data(self.config.baseline.source)
            check_data(self.past)
            self.pair = compared_occupations(self.config.report, self.data)

    def _invert(self) -> None:
        with self._stage("inverting both economies"):
            self.economy, own = (self._inverted(data) for data in (self.data, self.past))
            with_level = self.config.decomposition.amenity_level == "target"
            self.baseline = in_units_of(own, self.economy) if with_level else own
            proof = evaluate_at(self.economy, self.economy.reference)
            self.diagnostics |= {
                "data_are_an_equilibrium": {market: float(value) for market, value in proof.by_block().items()},
                "mended_sectors": [vars(mended) for mended in self.economy.mended],
            }
            for name, economy in (("baseline", self.baseline), ("target", self.economy)):
                for mended in economy.mended:
                    self.reporter.say(
                        f"{name}: value-added share of {mended.sector} lowered from "
                        f"{mended.value_added_share_in_data:.4f} to {mended.value_added_share:.4f}"
                    )
        with self._stage("solving the target"):
            self.equilibrium = solve(
                self.economy,
                tolerance=self.config.solver.tolerance,
                max_evaluations=self.config.solver.max_evaluations,
            )
            chosen = self.config.decomposition.steps
            historical = historical_steps(self.baseline, self.economy, self.equilibrium)
            self.steps: Steps = historical if chosen is None else chosen

    def _inverted(self, data: xr.Dataset) -> Economy:
        model = self.config.model.model_dump()
        if model["minimum_consumption_share"] == "refuse":
            model["minimum_consumption_share"] = None
        economy = invert(data, **model, spillover=self.config.spillover.build(data))
        return jax.block_until_ready(economy)

    def _decompose(self, external: bool) -> None:
        section, solver = self.config.decomposition, self.config.solver
        ends = (self.baseline, self.economy)
        baseline, target = ends if external else map(without_externalities, ends)
        with self._stage(f"decomposing the change {MODELS[external]}"):
            found = decompose(
                baseline,
                target,
                self.steps,
                order=section.order,
                order_free=section.order_free,
                permutations=section.permutations,
                seed=section.seed,
                optima=section.optima,
                compared=self.pair,
                tolerance=solver.tolerance,
                max_evaluations=solver.max_evaluations,
                progress=self.reporter.progress,
            )
            self.found[external] = found
            self._say(found, external)
            ending = ENDINGS[external]
            self.files.append(write_dataset(self.target / f"decomposition{ending}.nc", found.to_xarray()))
            self.files.append(write_dataset(self.target / f"stages{ending}.nc", self._stages(found)))
            self._keep_optima(found, external)

    def _say(self, found: Decomposition, external: bool) -> None:
        say = self.reporter.say
        for name, stage in zip(("baseline", *found.steps), found.stages, strict=True):
            excess = float(stage.residuals.largest())
            solved = {"evaluations": int(stage.evaluations), "largest_log_excess": excess}
            self.diagnostics.setdefault("equilibria_solved", {})[f"{name}{ENDINGS[external]}"] = solved
            say(f"{name}: {int(stage.evaluations)} evaluations, largest log excess {excess:.1e}")
        for note in found.notes:
            say(f"note: {note}")
        described = {"gap_to_targets_own_equilibrium": found.gap, "notes": list(found.notes)}
        self.diagnostics.setdefault("decompositions", {})[MODELS[external]] = described

    def _stages(self, found: Decomposition) -> xr.Dataset:
        """The equilibria of all stages, labelled, stage first."""
        results = [stage.to_xarray(self.data) for stage in found.stages]
        joined = xr.concat(results, pd.Index(["baseline", *found.steps], name="stage"), combine_attrs="drop")
        return joined.assign_attrs(gap=found.gap, notes=list(found.notes))

    def _keep_optima(self, found: Decomposition, external: bool) -> None:
        for name, best in zip(("baseline", "target"), found.optima or (), strict=False):
            self._keep_optimum(f"optimum_{name}{ENDINGS[external]}", best)

    def _keep_optimum(self, name: str, best: Optimum) -> None:
        self.diagnostics.setdefault("optima", {})[name] = certificate_summary(best)
        if best.found:
            self.files.append(write_dataset(self.target / f"{name}.nc", best.to_xarray(self.data)))
        self.reporter.say(f"{name}: {best.outcome}")

    def _welfare(self, external: bool) -> None:
        section, found = self.config.decomposition, self.found[external]
        with self._stage(f"comparing welfare {MODELS[external]}"):
            self.welfare[external] = welfare_table(
                found,
                baseline_stage=_known(section.baseline_stage, found),
                left_out=_known(section.left_out, found),
                optima=section.optima,
            )
            for best in self.welfare[external].optima[1:]:
                self._keep_optimum(f"optimum_without_{section.left_out}{ENDINGS[external]}".replace(" ", "_"), best)

    def _write_tables(self) -> pd.DataFrame:
        with self._stage("writing tables"):
            occupations = [str(name) for name in self.data["occupation"].values]
            self.tables = {
                "welfare": welfare_frame(self.welfare, occupations, published=self.published),
                "contributions": contributions_frame(self.found),
                "technology": self._technology(),
            }
            result = self.equilibrium.to_xarray(self.data)
            self.tables |= validation_tables(
                self.economy, result, published=self.config.target.source in EMBEDDED, pair=self.pair
            )
            for name, table in self.tables.items():
                indexed = name in ("welfare", "technology")
                self.files += write_table(self.target / f"{name}.csv", table, index=indexed)
            figures = summary_frame(self.found, self.welfare, occupations, published=self.published)
            self.files += write_table(self.target / "summary.csv", figures)
            self._write_statements()
        return figures

    def _write_statements(self) -> None:
        """Whether what CH say of these years holds here."""
        statements = history_statements(self.found, self.welfare, self.tables["technology"])
        if not self.published or statements.empty:
            return
        self.tables["statements"] = statements
        self.files += write_table(self.target / "statements.csv", statements)
        for row in statements.itertuples(index=False):
            holds = "holds" if row.holds else "does not hold"
            self.reporter.say(f"{row.source}, {row.statement}: {holds} ({row.measure}: {row.value:.4g})")

    def _technology(self) -> pd.DataFrame:
        """Local changes of exogenous technology (CH Figures 19 and 20), a row a city."""
        changes = technology_changes(self.baseline, self.economy, self.equilibrium)
        other, housing = local_technology(changes, self.economy, self.equilibrium)
        table = pd.DataFrame(
            {"technology_change": other, "real_estate_change": housing},
            index=pd.Index(self.data["city"].values, name="city"),
        )
        if "title" in self.data:
            table.insert(0, "title", self.data["title"].values)
        return table

    def _draw(self) -> None:
        with self._stage("drawing figures"):
            from spatialjax.workflow.history_drawing import draw_history

            self.files += draw_history(
                self.target, self.data, self.found, self.tables["technology"], self._baseline_stage(), self._labels()
            )

    def _labels(self) -> tuple[str, str]:
        return ("Baseline 1980 (stylised)", "2011-15") if self.published else ("baseline", "target")

    def _baseline_stage(self) -> Equilibrium:
        """The stage after which welfare is one: CH's Baseline."""
        found = self.found[True]
        step = _known(self.config.decomposition.baseline_stage, found)
        return found.stages[0 if step is None else 1 + found.steps.index(step)]


def _known(step: str | None, found: Decomposition) -> str | None:
    """The step, unless the user's own steps have none of the name that is the default."""
    default = step in ("skill-biased technology", "real estate")
    return None if default and step not in found.steps else step
