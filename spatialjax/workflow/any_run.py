"""Running a configuration of any kind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from spatialjax.errors import ConfigError
from spatialjax.workflow.config import (
    AnyRunConfig,
    DensityRunConfig,
    GranularRunConfig,
    HistoryRunConfig,
    NestedRunConfig,
    SpilloverRunConfig,
    SweepRunConfig,
)
from spatialjax.workflow.stages import Reporter


@dataclass(frozen=True)
class Finished:
    """What any run leaves: its figures, and where it wrote which files."""

    figures: pd.DataFrame
    folder: Path
    files: list[Path]


def run_any(config: AnyRunConfig, folder: Path | None, reporter: Reporter, *, anew: bool = False) -> Finished:
    """Run a configuration, whatever its economy.

    **Raises:** what the run of that economy raises; `ConfigError` for a sweep, which has a command of its own.
    """
    found: Any
    match config:
        case SweepRunConfig():
            raise ConfigError("this configuration describes a sweep: spatialjax sweep runs it")
        case GranularRunConfig():
            from spatialjax.workflow.granular_run import run_granular

            found = run_granular(config, folder, reporter, anew=anew)
        case DensityRunConfig():
            from spatialjax.workflow.density_run import run_density

            found = run_density(config, folder, reporter, anew=anew)
        case SpilloverRunConfig():
            from spatialjax.workflow.spillover_run import run_spillovers

            found = run_spillovers(config, folder, reporter, anew=anew)
        case HistoryRunConfig():
            from spatialjax.workflow.history_run import run_history

            found = run_history(config, folder, reporter, anew=anew)
        case NestedRunConfig():
            from spatialjax.workflow.nested_run import run_nested

            found = run_nested(config, folder, reporter, anew=anew)
        case _:
            from spatialjax.workflow.run import run

            found = run(config, folder, reporter, anew=anew)
    return Finished(found.figures, found.folder, found.files)
