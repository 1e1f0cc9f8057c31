"""Tables of a run, written as soon as they are known and read back when the same run is started again."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import tomli_w
from pydantic import BaseModel

from spatialjax.workflow.output import environment, write

MARKER = "configuration.toml"


class RememberedTables:
    """The tables of one folder, which belong to one configuration and one set of versions.

    A run that was interrupted goes on from the tables it had written. A folder whose configuration, or whose versions
    of the library and of what it computes with, are others is begun anew: its tables are removed first. `reused` are
    the names of the tables that were read back.
    """

    def __init__(self, folder: Path, config: BaseModel):
        self.folder = folder
        self.paths: list[Path] = []
        self.reused: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)
        marker = folder / MARKER
        wanted = tomli_w.dumps(_identity(config))
        if not (marker.exists() and marker.read_text() == wanted):
            for old in folder.glob("*.csv"):
                old.unlink()
            write(marker, lambda path: path.write_text(wanted))

    def known(self, name: str) -> bool:
        """Whether a table was written by this configuration."""
        return self._path(name).exists()

    def table(self, name: str, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """The table of that name, computed unless it is known."""
        path = self._path(name)
        if path.exists():
            self.reused.append(name)
        else:
            frame = compute()
            write(path, lambda temporary: frame.to_csv(temporary, index=False, float_format="%.10g"))
        self.paths.append(path)
        return pd.read_csv(path)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.csv"


def _identity(config: BaseModel) -> dict:
    """What a table depends on: every key but those of the output, and versions."""
    keys = config.model_dump(mode="json", exclude_none=True)
    keys.pop("output", None)
    return {**keys, "versions": environment()["versions"]}
