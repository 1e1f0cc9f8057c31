"""A data set of cities written as a folder of CSV files, which `read_folder` reads back to the last digit."""

import json
from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.data.schema import VARIABLES
from spatialjax.errors import DataError, OutputError
from spatialjax.files import write
from spatialjax.sources.folder import ABOUT
from spatialjax.sources.folder_layout import (
    CITIES,
    CITY_COLUMNS,
    INPUT_SHARES,
    LONG_TABLES,
    SECTOR_COLUMNS,
    SECTOR_TEXTS,
    SECTORS,
    LongTable,
)

DIMENSIONS = {"city", "occupation", "sector", "input"}


def write_folder(data: xr.Dataset, folder: str | Path, comments: Mapping[str, str] | None = None) -> list[Path]:
    """Write a data set of cities as a folder of CSV files.

    **Arguments:**

    - `data`: with the variables of docs/data.md, and any others by city or by sector.
    - `folder`: a new or empty folder.
    - `comments`: for a file by name, text for the lines above its header.

    **Returns:** the files.

    **Raises:** `DataError` for data that have no place in such a folder; `OutputError` where the folder is not empty or
    cannot be written.
    """
    folder = Path(folder)
    _check(data)
    tables = {
        CITIES: _by_place(data, "city", {"title": "title", **CITY_COLUMNS}),
        SECTORS: _by_place(data, "sector", {**SECTOR_TEXTS, **SECTOR_COLUMNS, "uses_land": "uses_land"}),
        **{table.file: _long(data, table) for table in LONG_TABLES if table.variable in data},
        INPUT_SHARES: _input_shares(data),
    }
    texts = {name: _commented((comments or {}).get(name), frame) for name, frame in tables.items()}
    if about := _about(data):
        texts[ABOUT] = about
    return write_files(folder, texts)


def write_data(data: xr.Dataset, out: Path, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Write a data set as a NetCDF file (.nc) or a folder of CSV files, and tables by name beside it.

    **Raises:** as [`write_folder`][]; `OutputError` where a file cannot be written.
    """
    if out.suffix == ".nc":
        files = [write(out, data.to_netcdf)]
        places = {name: out.with_suffix(f".{name}.csv") for name in tables}
    else:
        files = write_folder(data, out)
        places = {name: out / f"{name}.csv" for name in tables}
    return [*files, *(write(places[name], partial(_to_csv, table)) for name, table in tables.items())]


def _to_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=table.index.name is not None)


def write_files(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write texts into a new or empty folder.

    **Raises:** `OutputError` where the folder is not empty or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty: name a new folder, or remove what is in it")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error
    return [write_text(folder / name, text) for name, text in texts.items()]


def write_text(path: Path, text: str) -> Path:
    """Write a text file whole or not at all."""
    return write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _check(data: xr.Dataset) -> None:
    problems = [f"dimension {name} is missing" for name in sorted(DIMENSIONS - set(data.dims))]
    problems += [
        f"dimension {name} has no labels" for name in sorted(DIMENSIONS & set(data.dims)) if name not in data.coords
    ]
    written = {"input_share", *(table.variable for table in LONG_TABLES)}
    for name, variable in data.data_vars.items():
        if name not in written and variable.dims not in (("city",), ("sector",)):
            dimensions = ", ".join(map(str, variable.dims))
            problems.append(f"variable {name} ({dimensions}) has no place in {CITIES} or {SECTORS}: drop it")
    required = [name for name, v in VARIABLES.items() if v.required and name not in data]
    problems += [f"variable {name} is missing" for name in required]
    if problems:
        raise DataError("data", problems)


def _by_place(data: xr.Dataset, dimension: str, columns: Mapping[str, str]) -> pd.DataFrame:
    """Labels and all variables by that dimension: those of the layout first, others after them."""
    names = {variable: column for column, variable in columns.items()}
    found = [str(name) for name, v in data.data_vars.items() if v.dims == (dimension,)]
    ordered = [name for name in names if name in found] + [name for name in found if name not in names]
    return pd.DataFrame(
        {
            dimension: data[dimension].values.astype(str),
            **{names.get(name, name): _column(data[name].values) for name in ordered},
        }
    )


def _column(values: np.ndarray) -> np.ndarray | list[str]:
    return np.where(values, "true", "false") if values.dtype == bool else values


def _long(data: xr.Dataset, layout: LongTable) -> pd.DataFrame:
    values = data[layout.variable].transpose(*layout.keys).values
    coordinates = [data["city" if key == "origin" else key].values.astype(str) for key in layout.keys]
    frame = pd.DataFrame(list(product(*coordinates)), columns=list(layout.keys))
    frame[layout.value] = values.reshape(-1)
    if layout.absent is not None:
        frame = frame[frame[layout.value] != layout.absent]
    return frame


def _input_shares(data: xr.Dataset) -> pd.DataFrame:
    share = data["input_share"].transpose("input", "sector")
    frame = pd.DataFrame(share.values, columns=data["sector"].values.astype(str))
    frame.insert(0, "input", data["input"].values.astype(str))
    return frame


def _commented(comment: str | None, frame: pd.DataFrame) -> str:
    lines = [f"# {line}".rstrip() for line in (comment or "").splitlines()]
    return "\n".join([*lines, frame.to_csv(index=False, lineterminator="\n")])


def _about(data: xr.Dataset) -> str:
    """The data set's attributes that are text or numbers, as TOML."""
    kept = {key: value for key, value in data.attrs.items() if isinstance(value, str | int | float)}
    return "".join(f"{json.dumps(str(key))} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in kept.items())
