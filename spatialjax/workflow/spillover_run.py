"""A run that estimates externalities: regressions, Monte Carlo, and what uncertainty does to the optimum."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.inversion import invert
from spatialjax.cities.spillovers import NoSpillover
from spatialjax.data.checks import check_data
from spatialjax.data.datasets import load_data
from spatialjax.errors import DataError, ModelError
from spatialjax.estimation.instruments import model_instruments
from spatialjax.estimation.monte_carlo import spillover_monte_carlo
from spatialjax.estimation.monte_carlo_no_spillovers import no_spillover_experiment
from spatialjax.estimation.spillovers import By, SpilloverEstimates, spillovers
from spatialjax.estimation.tables import beside_published
from spatialjax.estimation.uncertainty import propagate
from spatialjax.files import write
from spatialjax.workflow.ending import finish
from spatialjax.workflow.output import write_config, write_dataset, write_table
from spatialjax.workflow.remembered import RememberedTables, say_read_back
from spatialjax.workflow.run import describe_sizes
from spatialjax.workflow.run_folder import run_folder
from spatialjax.workflow.spillover_schema import SpilloverRunConfig, UncertaintySection
from spatialjax.workflow.stages import Reporter, Silent, telling_of_warnings, timed

NAMES: dict[By, str] = {"occupation": "by occupation (CH Table 2)", "group": "by group of sectors (SH Table 1)"}
PRINTED = {"txt": SpilloverEstimates.to_text, "tex": SpilloverEstimates.to_latex}
SHOWN = 3
"""Cities that one message names."""
TRUTHS = {"none": "no externalities", "configured": "the configured externalities"}


@dataclass(frozen=True)
class SpilloverRunResult:
    """What a run found, and where it wrote it: `figures` are estimates beside published ones, `tables` all by name."""

    folder: Path
    figures: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    diagnostics: dict[str, Any]
    files: list[Path] = field(default_factory=list)


def run_spillovers(
    config: SpilloverRunConfig,
    folder: str | Path | None = None,
    reporter: Reporter | None = None,
    *,
    anew: bool = False,
) -> SpilloverRunResult:
    """Run a configuration that estimates externalities; each table is written as soon as it is known.

    A run that was interrupted goes on from the tables that it had written, if its configuration and data are the same.

    **Arguments:**

    - `folder`: where to write; by default `config.output.folder`.
    - `anew`: remove what a run of another configuration left in the folder, instead of refusing it.

    **Raises:** `DataError`, `ModelError`, `ConvergenceError`, `OutputError`.
    """
    with run_folder(config.output.folder if folder is None else folder, config, anew=anew) as target:
        return _SpilloverRun(config, target, Silent() if reporter is None else reporter).all_stages()


class _SpilloverRun:
    """The stages of a run, which write as they go."""

    def __init__(self, config: SpilloverRunConfig, target: Path, reporter: Reporter):
        self.config, self.target, self.reporter = config, target, reporter
        self.remembered = RememberedTables(target / "tables", config)
        self.tables: dict[str, pd.DataFrame] = {}
        self.files: list[Path] = []
        self.seconds: dict[str, float] = {}

    def all_stages(self) -> SpilloverRunResult:
        self.files.append(write_config(self.target, self.config))
        with self._stage("loading and inverting"):
            self.reporter.say(describe_sizes(self.data))
            self.reporter.say(f"{len(self.economy.traded)} traded sectors are in the regressions")
            self._check()
        for by in self.config.regression.by:
            printed = [f"estimates_{by}.{ending}" for ending in PRINTED]
            self._remember(f"estimates_{by}", f"estimating {NAMES[by]}", partial(self._estimates, by), printed)
        if self.config.regression.instruments == "model":
            self._remember("no_spillovers", "estimating without externalities (CH Table A8)", self._no_spillovers)
        if self.config.monte_carlo.replications:
            for truth in TRUTHS:
                title = f"Monte Carlo of {TRUTHS[truth]}"
                self._remember(f"monte_carlo_{truth}", title, partial(self._monte_carlo, truth))
        if self.config.uncertainty != "none":
            written = ("uncertainty.nc", "draws.csv")
            self._remember("uncertainty", "carrying uncertainty to the optimum", self._uncertainty, written)
        with self._stage("writing the summary"):
            figures = self._summary()
            self.files += write_table(self.target / "summary.csv", figures)
            say_read_back(self.reporter, self.remembered)
        self.files += self.remembered.paths
        diagnostics = {"seconds": self.seconds, "tables_read_back": self.remembered.reused}
        report = self._stage("writing the report")
        self.files = finish(self.target, self.files, diagnostics, self.data, report)
        return SpilloverRunResult(self.target, figures, self.tables, diagnostics, self.files)

    def _check(self) -> None:
        """Refuse, before anything takes long, what a later stage would refuse."""
        regression = self.config.regression
        _ = self.controls
        if regression.instruments != "model":
            _ = self.instruments
        if "group" in regression.by:
            _ = self.groups
        if self.config.uncertainty != "none":
            self._covariance(self.config.uncertainty)

    @cached_property
    def data(self) -> xr.Dataset:
        data = load_data(self.config.data.source)
        check_data(data)
        return data

    @cached_property
    def economy(self) -> Economy:
        return self._inverted(self.data)

    def _inverted(self, data: xr.Dataset) -> Economy:
        model = self.config.model.model_dump()
        if model["minimum_consumption_share"] == "refuse":
            model["minimum_consumption_share"] = None
        return invert(data, **model, spillover=self.config.spillover.build(data))

    def _stage(self, name: str) -> AbstractContextManager[None]:
        return timed(self.reporter, name, self.seconds)

    def _remember(self, name: str, title: str, compute: Callable[[], pd.DataFrame], beside: Sequence[str] = ()) -> None:
        """Compute a table or read it back; `beside` are files that are written with it."""
        if self.remembered.known(name):
            self.tables[name] = self.remembered.table(name, pd.DataFrame)
        else:
            with self._stage(title), telling_of_warnings(self.reporter):
                self.tables[name] = self.remembered.table(name, compute)
        self.files += [self.target / file for file in beside if (self.target / file).exists()]

    @cached_property
    def controls(self) -> pd.DataFrame | None:
        path = self.config.regression.controls
        return None if path is None else _columns_by_city(path)

    @cached_property
    def instruments(self):
        source = self.config.regression.instruments
        return model_instruments(self.economy) if source == "model" else _columns_by_city(source)

    @property
    def groups(self) -> list[str]:
        if "sector_group" not in self.data:
            raise ModelError("regression.by = 'group' needs the variable sector_group (sector) in the data")
        return [str(group) for group in self.data["sector_group"].values]

    def _estimates(self, by: By) -> pd.DataFrame:
        groups = self.groups if by == "group" else None
        found = [
            spillovers(
                self.economy,
                estimator=estimator,
                by=by,
                groups=groups,
                instruments=self.instruments,
                controls=self.controls,
            )
            for estimator in self.config.regression.estimators
        ]
        self._write_printed(by, found)
        tables = {
            estimates.estimator: beside_published(estimates).merge(estimates.table(), how="left") for estimates in found
        }
        return pd.concat(tables, names=["estimator"]).reset_index(level=0)

    def _write_printed(self, by: By, found: list[SpilloverEstimates]) -> None:
        for ending, printed in PRINTED.items():
            content = "\n\n".join(map(printed, found)) + "\n"
            write(self.target / f"estimates_{by}.{ending}", partial(_write_text, content))

    def _no_spillovers(self) -> pd.DataFrame:
        experiment = no_spillover_experiment(self.economy, estimators=self.config.regression.estimators)
        return experiment.table().reset_index(level=0)

    def _monte_carlo(self, truth: str) -> pd.DataFrame:
        section = self.config.monte_carlo
        size = self.data["employment"].sum(("occupation", "sector")).values
        data = self.data.isel(city=np.sort(np.argsort(-size)[: section.cities]))
        spillover = NoSpillover() if truth == "none" else self.config.spillover.build(data)
        study = spillover_monte_carlo(
            self._inverted(data),
            spillover,
            key=jax.random.key(section.seed),
            replications=section.replications,
            estimators=self.config.regression.estimators,
            progress=lambda done: self.reporter.progress(done.number + 1, section.replications),
        )
        for (stage, reason), count in study.failures().items():
            self.reporter.say(f"{count} of {section.replications} failed ({stage}): {reason}")
        return study.table().reset_index()

    def _covariance(self, section: UncertaintySection) -> np.ndarray:
        errors = np.concatenate([section.share_errors, section.size_errors])
        elasticities = sum(np.size(leaf) for leaf in jax.tree.leaves(self.config.spillover.build(self.data)))
        if len(errors) != elasticities:
            raise ModelError(
                f"uncertainty has {len(errors)} standard errors, but [spillover] has {elasticities} elasticities: give "
                "share_errors and size_errors, one for each"
            )
        return np.diag(errors**2)

    def _uncertainty(self) -> pd.DataFrame:
        section = self.config.uncertainty
        assert section != "none"
        found = propagate(
            self.economy,
            self.config.spillover.build(self.data),
            self._covariance(section),
            key=jax.random.key(section.seed),
            draws=section.draws,
            phase_in=False,
            progress=lambda draw: self.reporter.progress(draw.number + 1, section.draws),
        )
        write_dataset(self.target / "uncertainty.nc", found.to_xarray(self.data))
        draws = found.draw_table().reset_index()
        write(self.target / "draws.csv", lambda path: draws.to_csv(path, index=False))
        self.reporter.say(f"{len(found.failures)} of {len(found.draws)} draws have no optimum that was found")
        for reason, count in found.failure_reasons().items():
            self.reporter.say(f"- {count}: {reason}")
        return found.table().reset_index()

    def _summary(self) -> pd.DataFrame:
        """Estimates beside published ones, biases, and standard errors of gains."""
        rows = []
        for by in self.config.regression.by:
            for _, row in self.tables[f"estimates_{by}"].iterrows():
                published = (row["published"], row["published_standard_error"])
                name = f"{row['estimator']}, {row[by]}: {row['coefficient_of']}"
                rows.append((name, row["coefficient"], row["standard_error"], *published))
        for truth in TRUTHS:
            for _, row in self.tables.get(f"monte_carlo_{truth}", pd.DataFrame()).iterrows():
                name = f"bias of {row['estimator']}, truth {row['truth']:g}, {row['regression']}: {row['coefficient']}"
                rows.append((name, row["bias"], row["bias_error"], None, None))
        for _, row in self.tables.get("uncertainty", pd.DataFrame()).iterrows():
            label = f"{row['quantity'].replace('_', ' ')}, {row['occupation']}"
            rows.append(
                (f"{label}: at the estimate, by the delta method", row["value"], row["delta_error"], None, None)
            )
            if self.config.uncertainty != "none" and self.config.uncertainty.draws > 1:
                rows.append((f"{label}: mean of draws", row["draws_mean"], row["draws_error"], None, None))
        return pd.DataFrame(rows, columns=["figure", "ours", "s.e.", "published", "published s.e."])


def _write_text(content: str, path: Path) -> None:
    path.write_text(content)


def _columns_by_city(path: str) -> pd.DataFrame:
    """Columns of a CSV file whose first column names cities, as text: codes keep their zeros."""
    try:
        table = pd.read_csv(path, converters={0: str})
    except (OSError, ValueError) as error:
        raise DataError(path, [f"cannot be read as a CSV file with a row a city: {error}"]) from error
    table = table.set_index(table.columns[0])
    problems = [problem for name in table for problem in _no_numbers(table[name])]
    if problems:
        raise DataError(path, problems)
    return table


def _no_numbers(column: pd.Series) -> list[str]:
    """What keeps a column from being one of finite numbers."""
    if not pd.api.types.is_numeric_dtype(column):
        return [f"column {column.name} holds text; it must hold numbers"]
    bad = ~np.isfinite(column.to_numpy(float))
    if not bad.any():
        return []
    named = ", ".join(str(city) for city in column.index[bad][:SHOWN])
    return [f"column {column.name} is missing or infinite in {bad.sum()} rows ({named})"]
