"""Tables of a run, written as soon as they are known and read back when the same run is started again."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w
from pydantic import BaseModel

from spatialjax.errors import OutputError
from spatialjax.files import write
from spatialjax.workflow.output import environment, write_table
from spatialjax.workflow.stages import Reporter

MARKER = "configuration.toml"


class RememberedTables:
    """The tables of one folder, which belong to one configuration, the data files it names and a set of versions.

    A run that was interrupted goes on from the tables it had written. A folder whose configuration, data files, or
    versions of the library and of what it computes with, are others is begun anew: its tables are removed when the
    first of the new ones is known, so that a run that is refused costs nothing. `reused` are the names of the tables
    that were read back. A table that was left out is remembered with the reason.

    **Raises:** `OutputError` for a folder with tables that no run wrote.
    """

    def __init__(self, folder: Path, config: BaseModel):
        self.folder = folder
        self.paths: list[Path] = []
        self.reused: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)
        marker = folder / MARKER
        wanted = tomli_w.dumps(_identity(config))
        if not marker.exists() and any(folder.glob("*.csv")):
            raise OutputError(
                f"{folder} has tables that no run of this library wrote; choose another folder with --out"
            )
        self._marker, self._wanted = marker, wanted
        self._begun = marker.exists() and marker.read_text() == wanted

    def known(self, name: str) -> bool:
        """Whether a table was written by this configuration."""
        return self._begun and self._path(name).exists()

    def table(self, name: str, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """The table of that name, computed unless it is known."""
        path = self._path(name)
        if self.known(name):
            self.reused.append(name)
        else:
            frame = compute()
            self._begin()
            write_table(path, frame, float_format="%.10g")
        self.paths += [path, path.with_suffix(".tex")]
        return pd.read_csv(path)

    def leave_out(self, name: str, reason: str) -> None:
        """Remember that a table cannot be made, and why."""
        self._begin()
        write(self._reason(name), lambda path: path.write_text(f"{reason}\n"))

    def left_out(self, name: str) -> str | None:
        """Why a table was left out by this configuration, if it was."""
        path = self._reason(name)
        return path.read_text().strip() if self._begun and path.exists() else None

    def _begin(self) -> None:
        """Remove tables of another configuration, if this one has none yet."""
        if not self._begun:
            for old in (path for ending in ("csv", "tex", "txt") for path in self.folder.glob(f"*.{ending}")):
                old.unlink()
            write(self._marker, lambda path: path.write_text(self._wanted))
            self._begun = True

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.csv"

    def _reason(self, name: str) -> Path:
        return self.folder / f"{name}.txt"


def say_read_back(reporter: Reporter, tables: RememberedTables) -> None:
    """Say how many tables were read back, if any, and how to compute them again."""
    if tables.reused:
        number = len(tables.reused)
        reporter.say(f"{number} tables are those of an earlier run; remove {tables.folder} to compute them again")


def _identity(config: BaseModel) -> dict:
    """What a table depends on: every key but those of the output, what is in the files that keys name, and versions."""
    keys = config.model_dump(mode="json", exclude_none=True)
    keys.pop("output", None)
    files = {name: _digest(name) for name in _texts(keys) if Path(name).is_file()}
    return {**keys, "files": files, "versions": environment()["versions"]}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)


def _digest(name: str) -> str:
    with open(name, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
