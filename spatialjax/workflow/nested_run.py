"""A run of a published model that the city economy nests: its table of results, and a report."""

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from spatialjax.errors import ConfigError
from spatialjax.workflow.ending import finish
from spatialjax.workflow.nested_schema import NestedRunConfig
from spatialjax.workflow.output import write_config, write_table
from spatialjax.workflow.run_folder import run_folder
from spatialjax.workflow.stages import Reporter, Silent, timed


@dataclass(frozen=True)
class NestedRunResult:
    """What a run found, and where it wrote it."""

    folder: Path
    figures: pd.DataFrame
    files: list[Path] = field(default_factory=list)


def run_nested(
    config: NestedRunConfig, folder: str | Path | None = None, reporter: Reporter | None = None, *, anew: bool = False
) -> NestedRunResult:
    """Run a model on its authors' files, and write its table as CSV and LaTeX, and a report.

    **Arguments:**

    - `folder`: where to write; by default `config.output.folder`.
    - `anew`: remove what a run of another configuration left in the folder, instead of refusing it.

    **Raises:** `ConfigError` for an option that the model does not have; `DataError` for files that are missing or
    cannot be read; the errors of [`solve`][]; `OutputError`.
    """
    model = model_named(config)
    reporter = Silent() if reporter is None else reporter
    seconds: dict[str, float] = {}

    def stage(name: str) -> AbstractContextManager[None]:
        return timed(reporter, name, seconds)

    with run_folder(config.output.folder if folder is None else folder, config, anew=anew) as target:
        files = [write_config(target, config)]
        with stage(f"solving {config.model}"):
            table = _with_index_as_column(model(config.folder, **config.options))
            files += write_table(target / "summary.csv", table)
        files = finish(target, files, {"model": config.model, "seconds": seconds}, None, stage("writing the report"))
    return NestedRunResult(target, table, files)


def model_named(config: NestedRunConfig) -> Callable[..., pd.DataFrame]:
    """The function that runs a configuration's model.

    **Raises:** `ConfigError` for an option that it does not have.
    """
    found: Any = import_module(f"spatialjax.nested.{config.model.replace('-', '_')}").run
    known = [name for name in inspect.signature(found).parameters if name != "folder"]
    if unknown := [name for name in config.options if name not in known]:
        raise ConfigError(
            f"options.{unknown[0]}: {config.model} has no such option; it has {', '.join(known) or 'none'}"
        )
    return found


def _with_index_as_column(table: pd.DataFrame) -> pd.DataFrame:
    return table if table.index.names == [None] else table.reset_index()
