"""Reading what a run has written: its configuration, record, tables and data sets, or an error that names the file."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from spatialjax.errors import OutputError

CONFIG, RECORD = "config.toml", "run.json"
REMEDY = "run it again, or choose another folder"
DEEPEST = 50
"""Tables and lists within each other, of what a run writes; deeper ones would exhaust the stack of who reads them."""


@contextmanager
def read_as(path: Path, what: str, remedy: str = REMEDY) -> Iterator[None]:
    """Turn whatever fails in the block into an error that names the file, what it should be, and the remedy.

    **Raises:** `OutputError`.
    """
    try:
        yield
    except OutputError:
        raise
    except UnicodeDecodeError as error:
        raise OutputError(
            f"{path} is not {what}: byte {error.start} is not text in UTF-8; it is damaged: {remedy}"
        ) from error
    except OSError as error:
        raise OutputError(
            f"{path} cannot be read as {what}: {error.strerror or error}; where it is damaged, {remedy}"
        ) from error
    except Exception as error:  # what readers raise of files that are cut off or spoilt is not theirs to document
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise OutputError(f"{path} is not {what}: {reason}; it is damaged: {remedy}") from error


def read_text(path: Path, what: str, remedy: str = REMEDY) -> str:
    """The text of a file in UTF-8, which should be `what`.

    **Raises:** `OutputError` where it cannot be read, or is not text.
    """
    with read_as(path, what, remedy):
        return path.read_text(encoding="utf-8")


def read_keys(path: Path, what: str = "the configuration of a run (TOML)", remedy: str = REMEDY) -> dict[str, Any]:
    """The tables of a file of TOML, such as `config.toml` of a run.

    **Raises:** `OutputError` where it cannot be read, or is not TOML.
    """
    with read_as(path, what, remedy):
        return _checked(tomllib.loads(path.read_text(encoding="utf-8")))


def read_record(folder: Path) -> dict[str, Any]:
    """What `run.json` of a run's folder holds.

    **Raises:** `OutputError` where it cannot be read, or is not the record of a run.
    """
    path = folder / RECORD
    with read_as(path, "the record of a run (JSON)"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError(f"it holds {_named(record)}, not keys and values")
        json.dumps(record, ensure_ascii=False).encode()  # half a character, which JSON can have, no page can
        return _checked(record)


def section(tree: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """A table within a record or a configuration; empty where there is none.

    **Raises:** `OutputError` where something else has its name.
    """
    found = tree.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise OutputError(f"{path}: {name} must hold keys and values, found {_named(found)}; it is damaged: {REMEDY}")
    return found


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """A table that a run wrote as CSV; `options` are those of `pandas.read_csv`.

    **Raises:** `OutputError` where it cannot be read, or is not a table.
    """
    with read_as(path, "a table of a run (CSV)"):
        return pd.read_csv(path, **options)


def read_data_set(path: Path) -> xr.Dataset:
    """A data set that a run wrote as NetCDF, in memory.

    **Raises:** `OutputError` where it cannot be read, or is not such a data set.
    """
    with read_as(path, "a data set of a run (NetCDF)"):
        # Units of results are those of numbers, and other engines would only guess whose file it is.
        return xr.load_dataset(path, engine="netcdf4", decode_times=False)


def _checked(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree, unless its tables and lists lie too deep within each other."""
    level: list[Any] = [tree]
    for _ in range(DEEPEST):
        values = (value for node in level for value in (node.values() if isinstance(node, dict) else node))
        level = [value for value in values if isinstance(value, dict | list)]
    if level:
        raise ValueError(f"its tables and lists lie more than {DEEPEST} deep within each other")
    return tree


def _named(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
