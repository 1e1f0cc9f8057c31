"""A run of the density premium: the panel, every table and figure of FF on it, public data, and solved economies."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from spatialjax.workflow.density_schema import DensityRunConfig
from spatialjax.workflow.density_sources import Sources
from spatialjax.workflow.density_summary import beside_table, reasons
from spatialjax.workflow.density_tables import CITIES, PANEL, PLACES, ZONES, Table
from spatialjax.workflow.output import environment, prepare_folder, write, write_config, write_json
from spatialjax.workflow.remembered import RememberedTables
from spatialjax.workflow.stages import Reporter, Silent, telling_of_warnings, timed


@dataclass(frozen=True)
class DensityRunResult:
    """What a run of the density premium found, and where it wrote it.

    `figures` is the table of FF's figures beside ours, `tables` are all tables by name.
    """

    folder: Path
    figures: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    diagnostics: dict[str, Any]
    files: list[Path] = field(default_factory=list)


def run_density(
    config: DensityRunConfig, folder: str | Path | None = None, reporter: Reporter | None = None
) -> DensityRunResult:
    """Run a configuration of the density premium; each table is written as soon as it is known.

    A run that was interrupted goes on from the tables that it had written, if its configuration is the same.

    **Arguments:**

    - `folder`: where to write; by default `config.output.folder`.

    **Raises:** `DataError`, `ModelError`, `ConvergenceError`, `OutputError`.
    """
    target = prepare_folder(config.output.folder if folder is None else folder)
    return _DensityRun(config, target, Silent() if reporter is None else reporter).all_stages()


class _DensityRun:
    """The stages of a run, which write as they go."""

    def __init__(self, config: DensityRunConfig, target: Path, reporter: Reporter):
        self.config, self.target, self.reporter = config, target, reporter
        self.sources = Sources(config, reporter)
        self.remembered = RememberedTables(target / "tables", config)
        self.tables: dict[str, pd.DataFrame] = {}
        self.seconds: dict[str, float] = {}

    def all_stages(self) -> DensityRunResult:
        files = [write_config(self.target, self.config)]
        for table in self._wanted():
            self._compute(table)
        with self._stage("writing the summary"):
            figures = beside_table(self.tables, self.config)
            files.append(write(self.target / "summary.csv", lambda path: figures.to_csv(path, index=False)))
            self.reporter.say("why ours differ from FF's figures:")
            for reason in reasons(self.config):
                self.reporter.say(f"- {reason}")
        if self.config.output.figures:
            with self._stage("drawing figures"):
                from spatialjax.workflow.density_drawing import draw_density_figures

                files += draw_density_figures(self.target, self.tables)
        diagnostics = {"seconds": self.seconds, "tables_read_back": self.remembered.reused, **environment()}
        files.append(write_json(self.target / "run.json", diagnostics))
        return DensityRunResult(self.target, figures, self.tables, diagnostics, files)

    def _wanted(self) -> list[Table]:
        bridge = self.config.bridge
        return [*PLACES, *PANEL, *(CITIES if bridge.cities else []), *(ZONES if bridge.granular else [])]

    def _stage(self, name: str) -> AbstractContextManager[None]:
        return timed(self.reporter, name, self.seconds)

    def _compute(self, table: Table) -> None:
        if self.remembered.known(table.name):
            self.tables[table.name] = self.remembered.table(table.name, pd.DataFrame)
            return
        if table in PANEL and "panel" not in self.sources.__dict__:
            with self._stage("reading the panel" if self.config.panel.source != "simulated" else "simulating a panel"):
                _ = self.sources.panel
        with self._stage(table.title), telling_of_warnings(self.reporter):
            self.tables[table.name] = self.remembered.table(table.name, lambda: table.compute(self.sources))
