"""Regional price parities of the Bureau of Economic Analysis: the CSV file of metropolitan areas (MARPP)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from spatialjax.errors import DataError
from spatialjax.sources.tables import bad_cells, numbers, read_csv

LINES = {"all": "1", "goods": "2", "housing": "3", "utilities": "4", "other_services": "5"}
"""Line codes of the table."""
NATION, NONMETROPOLITAN = "00000", "00999"
_MARKS = {"(NA)": np.nan, "(D)": np.nan, "(NM)": np.nan}


def read_price_parities(path: str | Path, years: Sequence[int], *, line: str = "housing") -> pd.Series:
    """Price levels relative to the nation (100), a mean over years with a figure, by five-digit code.

    Codes include 00000, the nation, and 00999, its non-metropolitan part.

    **Arguments:**

    - `years`: which years to average.
    - `line`: all, goods, housing, utilities or other_services.

    **Raises:** `DataError` naming file, column and line of the file.
    """
    if line not in LINES:
        raise DataError(str(path), [f"line must be one of {', '.join(LINES)}, found {line!r}"])
    table = read_csv(path, ["GeoFIPS", "LineCode", *map(str, years)], comment="\0")
    table = table[table["LineCode"] == LINES[line]]
    if table.empty:
        raise DataError(str(path), [f"has no row with LineCode {LINES[line]} ({line})"])
    codes = table["GeoFIPS"].str.strip(' "')
    if (bad := ~codes.str.fullmatch(r"\d{5}")).any():
        raise DataError(str(path), [bad_cells(codes[bad], "GeoFIPS", "five digits")])
    if (again := codes.duplicated()).any():
        raise DataError(str(path), [bad_cells(codes[again], "GeoFIPS", "each code once")])
    found = [
        numbers(table, str(year), path, wanted="an index above 0", holds=_positive, marks=_MARKS) for year in years
    ]
    return pd.concat(found, axis=1).mean(axis=1).set_axis(codes.to_numpy()).rename("price_parity")


def _positive(x: np.ndarray) -> np.ndarray:
    return np.isnan(x) | (x > 0)
