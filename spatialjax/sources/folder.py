"""A data set of cities from a folder of CSV files (docs/own-data.md)."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.data.schema import VARIABLES
from spatialjax.errors import DataError
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
from spatialjax.sources.tables import labels, numbers, positions, read_csv, read_text, require_columns, unique_rows

ABOUT = "about.toml"
REQUIRED_FILES = (CITIES, SECTORS, "employment.csv", "wages.csv", INPUT_SHARES)
Variables = dict[str, tuple[tuple[str, ...], np.ndarray]]
"""Dimensions and values by name."""
TRUTH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


def read_folder(folder: str | Path) -> xr.Dataset:
    """A data set of cities from a folder of CSV files, as `spatialjax data template` writes one.

    Labels are text, in the order of cities.csv and sectors.csv; occupations in the order in which wages.csv first names
    them. Further columns of cities.csv and sectors.csv become variables of their names, which the model does not use,
    and entries of about.toml attributes of the data set.

    **Arguments:**

    - `folder`: with cities.csv, sectors.csv, employment.csv, wages.csv and input_shares.csv, and, where wanted,
      nontradable_prices.csv, distances.csv, iceberg_costs.csv and about.toml.

    **Returns:** a data set with the variables of docs/data.md, whose contents [`validate`][] checks further.

    **Raises:** `DataError` listing everything that keeps the files from being read, by file, column and line.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(str(folder), ["is no folder of CSV files"])
    if missing := [name for name in REQUIRED_FILES if not (folder / name).exists()]:
        raise DataError(
            str(folder), [f"file {name} is missing (spatialjax data template shows one)" for name in missing]
        )
    problems: list[str] = []
    cities = _attempt(problems, _places, folder / CITIES, "city", CITY_COLUMNS, {"title": "title"})
    sectors = _attempt(problems, _places, folder / SECTORS, "sector", SECTOR_COLUMNS, SECTOR_TEXTS)
    occupations = _attempt(problems, _occupations, folder / "wages.csv")
    if cities is None or sectors is None or occupations is None:
        raise DataError(str(folder), problems)
    names = {"city": cities[0], "occupation": occupations, "sector": sectors[0]}
    names |= {"origin": names["city"], "input": names["sector"]}
    variables = {**cities[1], **sectors[1]}
    variables |= _attempt(problems, _input_shares, folder / INPUT_SHARES, names["sector"]) or {}
    for table in LONG_TABLES:
        if (folder / table.file).exists():
            variables |= _attempt(problems, _long, folder / table.file, table, names) or {}
    about = _attempt(problems, _about, folder / ABOUT) if (folder / ABOUT).exists() else {}
    if problems:
        raise DataError(str(folder), problems)
    return _assembled(variables, names, about, str(folder))


def is_folder(path: str | Path) -> bool:
    """Whether a path names a folder with a data set of cities: one that has cities.csv."""
    return (Path(path) / CITIES).exists()


def _attempt(problems: list[str], read: Callable[..., Any], path: Path, *arguments: Any) -> Any:
    """What `read` returns, or None with its problems added to the list, each with the name of the file."""
    try:
        return read(path, *arguments)
    except DataError as error:
        problems += [f"{path.name}: {problem}" for problem in error.problems]
        return None


def _places(path: Path, dimension: str, columns: dict[str, str], texts: dict[str, str]) -> tuple[list[str], Variables]:
    """What cities.csv or sectors.csv holds: labels, variables of the schema, and others by the names of columns."""
    table = read_csv(path, [dimension])
    require_columns(table.columns, [name for name, v in columns.items() if VARIABLES[v].required], path)
    names = labels(table, dimension, path)
    if not names:
        raise DataError(str(path), ["has no rows"])
    found: dict[str, np.ndarray] = {}
    problems: list[str] = []
    for column in table.columns.drop(dimension):
        try:
            found[texts.get(column, columns.get(column, column))] = _variable(table, column, columns, texts, path)
        except DataError as error:
            problems += error.problems
    if dimension == "sector" and "uses_land" not in found:
        problems.append("has no column uses_land: true in the sector that lets land and structures, false elsewhere")
    if problems:
        raise DataError(str(path), problems)
    return names, {name: ((dimension,), values) for name, values in found.items()}


def _variable(
    table: pd.DataFrame, column: str, columns: dict[str, str], texts: dict[str, str], path: Path
) -> np.ndarray:
    if column in texts:
        return table[column].to_numpy().astype(str)
    if column == "uses_land":
        return _booleans(table, column, path)
    if column in columns:
        marks = {"": np.nan} if column == "distance_elasticity" else None
        variable = VARIABLES[columns[column]]
        return numbers(table, column, path, wanted=variable.wanted, holds=variable.holds, marks=marks).to_numpy()
    return _guessed(table[column])


def _booleans(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    found = table[column].str.lower().map(TRUTH)
    if (bad := found.isna()).any():
        line, cell = next(table.loc[bad, column].items())
        raise DataError(str(path), [f"column {column} must hold true or false, but has line {line}: {cell!r}"])
    return found.to_numpy().astype(bool)


def _guessed(cells: pd.Series) -> np.ndarray:
    """Truth values, whole numbers, numbers or text: the first that all cells are."""
    if cells.isin(["true", "false"]).all():
        return (cells == "true").to_numpy()
    try:
        return np.array([int(cell) for cell in cells])
    except ValueError:
        pass
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return cells.to_numpy().astype(str)


def _occupations(path: Path) -> list[str]:
    return list(dict.fromkeys(read_csv(path, ["occupation"])["occupation"]))


def _input_shares(path: Path, sectors: Sequence[str]) -> Variables:
    """A row for each input, a column for each buying sector, in any order."""
    table = read_csv(path, ["input", *sectors])
    if unknown := [name for name in table.columns if name not in ("input", *sectors)]:
        raise DataError(str(path), [f"has columns that {SECTORS} does not list: {', '.join(unknown)}"])
    names = labels(table, "input", path)
    places = positions(table, "input", sectors, SECTORS, path)
    if absent := [name for name in sectors if name not in names]:
        raise DataError(str(path), [f"has no row for input {', '.join(absent)}; write 0 where nothing is bought"])
    variable, share = VARIABLES["input_share"], np.zeros((len(sectors), len(sectors)))
    problems: list[str] = []
    for j, sector in enumerate(sectors):
        try:
            share[places, j] = numbers(table, sector, path, wanted=variable.wanted, holds=variable.holds)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(str(path), problems)
    return {"input_share": (("input", "sector"), share)}


def _long(path: Path, layout: LongTable, names: Mapping[str, Sequence[str]]) -> Variables:
    """A variable from a table with a row for each of its cells."""
    table = read_csv(path, [*layout.keys, layout.value])
    unique_rows(table, layout.keys, path)
    listed = {"city": CITIES, "origin": CITIES, "sector": SECTORS, "occupation": "wages.csv"}
    places: list[np.ndarray] = []
    problems: list[str] = []
    for key in layout.keys:
        try:
            places.append(positions(table, key, names[key], listed[key], path))
        except DataError as error:
            problems += error.problems
    try:
        cells = _cells(table, layout, path)
    except DataError as error:
        problems += error.problems
    if problems:
        raise DataError(str(path), problems)
    shape = tuple(len(names[key]) for key in layout.keys)
    values = np.full(shape, np.nan if layout.absent is None else layout.absent)
    values[tuple(places)] = cells
    if layout.absent is None and len(table) < values.size:
        raise DataError(str(path), [_missing_row(values, layout, names, values.size - len(table), places)])
    return {layout.variable: (layout.keys, values)}


def _cells(table: pd.DataFrame, layout: LongTable, path: Path) -> pd.Series:
    """The numbers of a long table. A wage may be left empty, and a cost infinite: `validate` knows where that is right.

    A data set in memory may likewise hold NaN there.
    """
    marks = {"": np.nan} if layout.variable == "wage" else {"inf": np.inf} if layout.variable == "iceberg_cost" else {}
    variable = VARIABLES[layout.variable]
    return numbers(
        table,
        layout.value,
        path,
        wanted=variable.wanted,
        holds=lambda x: variable.holds(x) | (np.isnan(x) if layout.variable == "wage" else False),
        marks=marks,
    )


def _missing_row(values, layout: LongTable, names: Mapping[str, Sequence[str]], missing: int, places) -> str:
    present = np.zeros(values.shape, bool)
    present[tuple(places)] = True
    first = np.argwhere(~present)[0]
    named = ", ".join(names[key][i] for key, i in zip(layout.keys, first, strict=True))
    mend = "; write 0 where nobody works" if layout.variable == "employment" else ""
    return f"{missing} rows are missing, the first of them {named} ({', '.join(layout.keys)}){mend}"


def _about(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # such as numbers of thousands of digits, or as many brackets
        raise DataError(str(path), [f"is not TOML: {error}"]) from error


def _assembled(
    variables: Variables, names: Mapping[str, Sequence[str]], about: dict[str, Any], source: str
) -> xr.Dataset:
    """The data set with labels, units and descriptions."""
    used = {dimension for dimensions, _ in variables.values() for dimension in dimensions}
    data = xr.Dataset(variables, {name: np.array(names[name], str) for name in names if name in used})
    for name, variable in VARIABLES.items():
        if name in data:
            data[name].attrs = {"long_name": variable.description, "units": variable.units}
    data.attrs = dict(about)
    data.encoding["source"] = source
    return data
