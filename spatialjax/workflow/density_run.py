"""A run of the density premium: the panel, every table and figure of FF on it, public data, and solved economies."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from spatialjax.errors import DataError, ModelError
from spatialjax.workflow.density_schema import DensityRunConfig
from spatialjax.workflow.density_sources import Sources
from spatialjax.workflow.density_summary import beside_table, reasons
from spatialjax.workflow.density_tables import CITIES, PANEL, PLACES, ZONES, Table
from spatialjax.workflow.ending import finish
from spatialjax.workflow.output import write_config, write_table
from spatialjax.workflow.remembered import RememberedTables, say_read_back
from spatialjax.workflow.run_folder import run_folder
from spatialjax.workflow.stages import Reporter, Silent, telling_of_warnings, timed


@dataclass(frozen=True)
class DensityRunResult:
    """What a run of the density premium found, and where it wrote it.

    `figures` is the table of FF's figures beside ours, `tables` are all tables by name, `left_out` are the names of
    those that the panel cannot support, with the reasons.
    """

    folder: Path
    figures: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    diagnostics: dict[str, Any]
    files: list[Path] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def run_density(
    config: DensityRunConfig, folder: str | Path | None = None, reporter: Reporter | None = None, *, anew: bool = False
) -> DensityRunResult:
    """Run a configuration of the density premium; each table is written as soon as it is known.

    A run that was interrupted goes on from the tables that it had written, if its configuration and data are the same.
    A table that the panel cannot support is left out, and the reporter hears why; summary and figures do without it.

    **Arguments:**

    - `folder`: where to write; by default `config.output.folder`.
    - `anew`: remove what a run of another configuration left in the folder, instead of refusing it.

    **Raises:** `DataError`, `ModelError`, `ConvergenceError`, `OutputError`.
    """
    with run_folder(config.output.folder if folder is None else folder, config, anew=anew) as target:
        return _DensityRun(config, target, Silent() if reporter is None else reporter).all_stages()


class _DensityRun:
    """The stages of a run, which write as they go."""

    def __init__(self, config: DensityRunConfig, target: Path, reporter: Reporter):
        self.config, self.target, self.reporter = config, target, reporter
        self.sources = Sources(config, reporter)
        self.remembered = RememberedTables(target / "tables", config)
        self.tables: dict[str, pd.DataFrame] = {}
        self.left_out: dict[str, str] = {}
        self.seconds: dict[str, float] = {}

    def all_stages(self) -> DensityRunResult:
        files = [write_config(self.target, self.config)]
        if not all(map(self._is_known, PANEL)):
            self._make_panel()
        for table in self._wanted():
            self._compute(table)
        with self._stage("writing the summary"):
            figures = beside_table(self.tables, self.config)
            files += write_table(self.target / "summary.csv", figures)
            say_read_back(self.reporter, self.remembered)
            self.reporter.say("why ours differ from FF's figures:")
            for reason in reasons(self.config):
                self.reporter.say(f"- {reason}")
        if self.config.output.figures:
            with self._stage("drawing figures"):
                from spatialjax.workflow.density_drawing import draw_density_figures

                files += draw_density_figures(self.target, self.tables)
        files += self.remembered.paths
        files = finish(self.target, files, self._diagnostics(), None, self._stage("writing the report"))
        return DensityRunResult(self.target, figures, self.tables, self._diagnostics(), files, self.left_out)

    def _diagnostics(self) -> dict[str, Any]:
        read_back = {"tables_read_back": self.remembered.reused, "tables_left_out": self.left_out}
        return {"seconds": self.seconds, **read_back}

    def _wanted(self) -> list[Table]:
        bridge = self.config.bridge
        return [*PLACES, *PANEL, *(CITIES if bridge.cities else []), *(ZONES if bridge.granular else [])]

    def _stage(self, name: str) -> AbstractContextManager[None]:
        return timed(self.reporter, name, self.seconds)

    def _compute(self, table: Table) -> None:
        if self.remembered.known(table.name):
            self.tables[table.name] = self.remembered.table(table.name, pd.DataFrame)
            return
        reason = self.remembered.left_out(table.name)
        with self._stage(table.title), telling_of_warnings(self.reporter):
            reason = reason or self._compute_unless_unsupported(table)
            if reason is not None:
                self.left_out[table.name] = reason
                self.reporter.say(f"note: {reason}; table left out")

    def _is_known(self, table: Table) -> bool:
        return self.remembered.known(table.name) or self.remembered.left_out(table.name) is not None

    def _make_panel(self) -> None:
        """Read or simulate the panel, first and in a stage of its own: what is wrong with it ends the run."""
        name = "simulating a panel" if self.sources.simulated else "reading the panel"
        with self._stage(name), telling_of_warnings(self.reporter):
            _ = self.sources.panel

    def _compute_unless_unsupported(self, table: Table) -> str | None:
        """Compute a table, or return why the panel has too little for it."""
        try:
            self.tables[table.name] = self.remembered.table(table.name, lambda: table.of(self.sources))
        except (DataError, ModelError) as error:
            if table not in PANEL:
                raise
            reason = "; ".join(error.problems) if isinstance(error, DataError) else str(error)
            self.remembered.leave_out(table.name, reason)
            return reason
        return None
