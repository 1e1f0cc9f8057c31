"""Employment by industry and occupation, national: Occupational Employment and Wage Statistics.

natsector_M20YY_dl.xlsx (two digits), nat3d_M20YY_dl.xlsx (three digits) and their like, or CSV files with the same
columns.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from spatialjax.errors import DataError
from spatialjax.sources.tables import numbers, read_csv, require_columns
from spatialjax.sources.workbooks import below_header, read_sheet

_UNKNOWN = dict.fromkeys(("*", "**", "-", ""), np.nan)
_SPANS = {"31-33": "31", "44-45": "44", "48-49": "48"}


def read_industry_occupations(path: str | Path) -> pd.DataFrame:
    """Employment by industry and occupation.

    **Returns:** a table with `naics` (digits, without zeros at the end; two-digit sectors published together by the
    first of their codes), `occupation` (11-0000), `employment` (NaN where unknown).

    **Raises:** `DataError` naming file, column and line.
    """
    if str(path).lower().endswith(".csv"):
        table = read_csv(path, comment="\0")
    else:
        table = below_header(read_sheet(path), ["TOT_EMP"], path)
    table = table.rename(columns=lambda name: name.strip().upper())
    table = table.rename(columns={"IND": "NAICS", "OCC": "OCC_CODE"})
    require_columns(table.columns, ("NAICS", "OCC_CODE", "TOT_EMP"), path)
    return pd.DataFrame(
        {
            "naics": table["NAICS"].map(_naics),
            "occupation": table["OCC_CODE"].str.replace(r"^(\d{2})(\d{4})$", r"\1-\2", regex=True),
            "employment": numbers(table, "TOT_EMP", path, wanted="workers, or **", holds=_workers, marks=_UNKNOWN),
        }
    )


def _workers(x: np.ndarray) -> np.ndarray:
    """Which numbers of workers there can be; unknown ones may be."""
    return np.isnan(x) | (np.isfinite(x) & (x >= 0))


def _naics(code: str) -> str:
    """The digits that matter: 311000 is 311, 31-33 (or 31--34) is 31."""
    code = code.strip()
    first, dash, _ = code.partition("-")
    if dash:
        return _SPANS.get(code, first)
    return code.rstrip("0") if len(code) == 6 and code != "000000" else code


def national_shares_of_occupations(
    table: pd.DataFrame, industries: Mapping[str, Sequence[str]], occupations: Mapping[str, Sequence[str]], source: str
) -> np.ndarray:
    """Shares of occupations (occupation, sector) in the nation's employment of each sector.

    **Raises:** `DataError` naming industries that the table lacks, and sectors without employment.
    """
    workers = table.dropna(subset="employment").pivot_table(
        index="occupation", columns="naics", values="employment", aggfunc="first"
    )
    missing = [f"{code} ({sector})" for sector, codes in industries.items() for code in codes if code not in workers]
    if missing:
        raise DataError(source, [f"has no industry {', '.join(missing)}"])
    found = np.array(
        [
            [workers.reindex(list(codes))[list(wanted)].sum().sum() for wanted in industries.values()]
            for codes in occupations.values()
        ]
    )
    if (found.sum(0) == 0).any():
        names = [name for name, total in zip(industries, found.sum(0), strict=True) if total == 0]
        raise DataError(source, [f"has no employment of these occupations in {', '.join(names)}"])
    return found / found.sum(0)
