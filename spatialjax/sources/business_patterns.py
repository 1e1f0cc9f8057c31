"""County Business Patterns of the Census Bureau: employment and establishments by industry, of counties or metros.

The files cbpYYco.txt and cbpYYmsa.txt, years 1998 and later, as published. Layouts differ by year:

- to 2016 a suppressed cell has employment 0 and a letter in `empflag` that tells its size class (A 0-19, ...);
- from 2017 there is no `empflag`: cells of fewer than three establishments are left out of the files, and the
  smallest class of establishments is called n<5 instead of n1_4;
- from 2007 numbers carry noise, whose size a letter in `emp_nf` tells: G below 2 percent, H below 5, J 5 and more,
  D and S withheld;
- counts of establishments that are withheld are N.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from spatialjax.errors import DataError
from spatialjax.sources.tables import bad_cells, numbers, require_columns

SIZE_CLASSES = {
    "A": (0, 19),
    "B": (20, 99),
    "C": (100, 249),
    "E": (250, 499),
    "F": (500, 999),
    "G": (1000, 2499),
    "H": (2500, 4999),
    "I": (5000, 9999),
    "J": (10_000, 24_999),
    "K": (25_000, 49_999),
    "L": (50_000, 99_999),
    "M": (100_000, np.inf),
}
"""Workers of a suppressed cell by the letter in `empflag`."""

ESTABLISHMENT_CLASSES = {
    "n1_4": (1, 4),
    "n5_9": (5, 9),
    "n10_19": (10, 19),
    "n20_49": (20, 49),
    "n50_99": (50, 99),
    "n100_249": (100, 249),
    "n250_499": (250, 499),
    "n500_999": (500, 999),
    "n1000_1": (1000, 1499),
    "n1000_2": (1500, 2499),
    "n1000_3": (2500, 4999),
    "n1000_4": (5000, np.inf),
}
"""Workers of an establishment by the column that counts such establishments."""

NOISE = {"G", "H", "J"}
WITHHELD = {"D", "S"}
OTHER_NAMES = {"n<5": "n1_4"}
_NAICS = r"[-/0-9]{6}"


def read_business_patterns(path: str | Path) -> pd.DataFrame:
    """Employment and establishments by place and industry, from cbpYYco.txt or cbpYYmsa.txt.

    **Returns:** a table with a row for each cell published: `place` (five digits: state and county, or metropolitan
    area), `naics` (digits alone; empty for the total), `employment` (NaN where suppressed), `size_class` (the letter of
    a suppressed cell, empty otherwise or where the file has none), `noise` (G, H, J, or empty), `establishments`, and
    the counts of establishments by size (`ESTABLISHMENT_CLASSES`; NaN where withheld).

    **Raises:** `DataError` naming file, column and line.
    """
    table = _read(path)
    place, county = _place(table, path)
    industry = table["naics"].str.strip()
    if (bad := ~industry.str.fullmatch(_NAICS)).any():
        raise DataError(str(path), [bad_cells(table.loc[bad, "naics"], "naics", "six digits, dashes or slashes")])
    flag = table.get("empflag", pd.Series("", table.index)).str.strip()
    noise = table.get("emp_nf", pd.Series("", table.index)).str.strip()
    known = {"", *SIZE_CLASSES} | ({"S"} if "empflag" in table else set())
    problems = [
        bad_cells(values[~values.isin(allowed)], column, f"one of {', '.join(sorted(allowed - {''}))} or nothing")
        for column, values, allowed in (("empflag", flag, known), ("emp_nf", noise, {"", "N", *NOISE, *WITHHELD}))
        if not values.isin(allowed).all()
    ]
    if problems:
        raise DataError(str(path), problems)
    workers = numbers(table, "emp", path, wanted="a number of workers", holds=_count, marks={"N": np.nan, "S": np.nan})
    suppressed = flag.ne("") | noise.isin(WITHHELD) | workers.isna()
    found = pd.DataFrame(
        {
            "place": place,
            "naics": industry.str.replace(r"[-/]", "", regex=True),
            "employment": workers.where(~suppressed),
            "size_class": flag.where(flag.isin(list(SIZE_CLASSES)), ""),
            "noise": noise.where(noise.isin(list(NOISE)), ""),
            "establishments": numbers(table, "est", path, wanted="a number of establishments", holds=_count),
            **{name: _establishments(table, name, path) for name in ESTABLISHMENT_CLASSES},
        }
    )
    found.attrs = {"source": str(path), "places": "counties" if county else "metros"}
    return _checked_rows(found, path)


def _read(path: str | Path) -> pd.DataFrame:
    """The file as text with lower-case names of columns; millions of rows, so not by the general reader."""
    if not Path(path).is_file():
        raise DataError(str(path), ["no such file"])
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="cp1252")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(str(path), [f"is not the comma-separated text that the Bureau publishes: {error}"]) from error
    table.columns = [OTHER_NAMES.get(name.strip().lower(), name.strip().lower()) for name in table.columns]
    table.index = pd.RangeIndex(2, len(table) + 2, name="line")
    require_columns(table.columns, ("naics", "emp", "est"), path)
    return table


def _place(table: pd.DataFrame, path: str | Path) -> tuple[pd.Series, bool]:
    """The codes of places, and whether they are counties."""
    if "msa" in table:
        column, codes, county = "msa", table["msa"].str.strip(), False
    else:
        require_columns(table.columns, ("fipstate", "fipscty"), path)
        column, county = "fipstate, fipscty", True
        codes = table["fipstate"].str.strip().str.zfill(2) + table["fipscty"].str.strip().str.zfill(3)
    if (bad := ~codes.str.fullmatch(r"\d{5}")).any():
        raise DataError(str(path), [bad_cells(codes[bad], column, "five digits")])
    return codes, county


def _establishments(table: pd.DataFrame, name: str, path: str | Path) -> pd.Series:
    if name not in table:
        return pd.Series(np.nan, table.index)
    return numbers(table, name, path, wanted="a number of establishments, or N", holds=_count, marks={"N": np.nan})


def _count(x: np.ndarray) -> np.ndarray:
    return np.isnan(x) | (x >= 0)


def _checked_rows(found: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    again = found.duplicated(["place", "naics"])
    if again.any():
        line, row = next(found[again].iterrows())
        raise DataError(
            str(path),
            [f"line {line} repeats place {row['place']}, industry {row['naics'] or 'total'}; {again.sum()} such"],
        )
    return found


def finest_cells(table: pd.DataFrame, digits: int) -> pd.DataFrame:
    """The rows of industries of so many digits."""
    return table[table["naics"].str.len() == digits]
