"""Occupational Employment and Wage Statistics of the Bureau of Labor Statistics: the workbook of metropolitan areas.

MSA_M20YY_dl.xlsx as published, or a CSV file with the same columns. Marks in cells: * wage not available, ** employment
not available, # wage at or above the highest that is published. Names of columns differ by year; any case is read.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from spatialjax.errors import DataError
from spatialjax.sources.tables import bad_cells, numbers, read_csv, require_columns
from spatialjax.sources.workbooks import below_header, read_sheet

NAMES = {
    "area": ("AREA", "MSA_CODE"),
    "title": ("AREA_TITLE", "AREA_NAME", "MSA_TITLE"),
    "occupation": ("OCC_CODE", "OCC"),
    "level": ("O_GROUP", "OCC_GROUP", "GROUP"),
    "employment": ("TOT_EMP",),
    "wage": ("A_MEAN",),
}
"""Columns of the result, and what they have been called."""
OPTIONAL = {"title", "level"}
UNKNOWN = ("*", "**", "-", "")
TOP_CODE = "#"


def read_occupational_wages(
    path: str | Path, *, sheet: str | None = None, highest_wage: float | None = None
) -> pd.DataFrame:
    """Employment and mean annual wages by area and occupation.

    **Arguments:**

    - `highest_wage`: dollars a year that stand for the mark #, which means this or more; notes of a workbook say how
      much (187,200 in May 2015). By default such wages are unknown.

    **Returns:** a table with a row for each cell published: `area` (five digits), `title`, `occupation` (SOC code,
    11-0000), `level` (total, major, ..., empty where the file has none), `employment`, `wage` (NaN where unknown),
    `top_coded`.

    **Raises:** `DataError` naming file, column and line.
    """
    table = _named(_cells(path, sheet), path)
    area = table["area"].str.strip().str.lstrip("0").str.zfill(5)
    occupation = table["occupation"].str.replace(r"^(\d{2})(\d{4})$", r"\1-\2", regex=True)
    problems = []
    if (bad := ~area.str.fullmatch(r"\d{5,7}")).any():
        problems.append(bad_cells(table.loc[bad, "area"], "AREA", "codes of digits"))
    if (bad := ~occupation.str.fullmatch(r"\d{2}-\d{4}")).any():
        problems.append(bad_cells(table.loc[bad, "occupation"], "OCC_CODE", "codes such as 11-0000"))
    if problems:
        raise DataError(str(path), problems)
    unknown = dict.fromkeys(UNKNOWN, np.nan)
    top = np.nan if highest_wage is None else highest_wage
    found = pd.DataFrame(
        {
            "area": area,
            "title": table.get("title", ""),
            "occupation": occupation,
            "level": table.get("level", pd.Series("", table.index)).str.lower(),
            "employment": numbers(
                table, "employment", path, wanted="workers, or **", holds=_not_negative, marks=unknown
            ),
            "wage": numbers(
                table, "wage", path, wanted="dollars a year, * or #", holds=_positive, marks={**unknown, TOP_CODE: top}
            ),
            "top_coded": table["wage"].str.strip() == TOP_CODE,
        }
    )
    again = found.duplicated(["area", "occupation"])
    if again.any():
        line, row = next(found[again].iterrows())
        raise DataError(str(path), [f"line {line} repeats area {row['area']}, occupation {row['occupation']}"])
    return found


def _cells(path: str | Path, sheet: str | None) -> pd.DataFrame:
    if str(path).lower().endswith(".csv"):
        return read_csv(path, comment="\0")
    cells = read_sheet(path, sheet)
    header = cells.iloc[0].str.upper() if len(cells) else pd.Series(dtype=str)
    return below_header(pd.concat([header.to_frame().T, cells.iloc[1:]]), ["TOT_EMP"], path)


def _named(table: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """Columns by the names of the result."""
    table = table.set_axis([name.strip().upper() for name in table.columns], axis=1)
    found = {}
    for name, candidates in NAMES.items():
        present = [candidate for candidate in candidates if candidate in table]
        if present:
            found[name] = table[present[0]]
        elif name not in OPTIONAL:
            require_columns(table.columns, [candidates[0]], path)
    return pd.DataFrame(found, dtype=str)


def _not_negative(x: np.ndarray) -> np.ndarray:
    return np.isnan(x) | (x >= 0)


def _positive(x: np.ndarray) -> np.ndarray:
    return np.isnan(x) | (x > 0)


def mean_wages(table: pd.DataFrame, occupations: dict[str, list[str]]) -> pd.DataFrame:
    """Mean wages by area and group of occupations, weighted by employment; and the part of employment behind them.

    **Arguments:**

    - `table`: of [`read_occupational_wages`][].
    - `occupations`: for each group, its SOC codes (11-0000, ...).

    **Returns:** a table by area with columns (group, "wage"), (group, "employment") and (group, "cells"): how many of
    the group's occupations have both employment and wage there. NaN and 0 where none has.
    """
    known = table[table["employment"].notna() & table["wage"].notna()]
    parts = {}
    for group, codes in occupations.items():
        of_group = known[known["occupation"].isin(codes)]
        workers = of_group.groupby("area")["employment"].sum()
        bill = (of_group["employment"] * of_group["wage"]).groupby(of_group["area"]).sum()
        parts[group] = pd.DataFrame(
            {"wage": bill / workers.where(workers > 0), "employment": workers, "cells": of_group.groupby("area").size()}
        )
    found = pd.concat(parts, axis=1).reindex(sorted(table["area"].unique()))
    counts = [(group, name) for group in occupations for name in ("employment", "cells")]
    found[counts] = found[counts].fillna(0)
    return found
