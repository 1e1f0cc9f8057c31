"""Use and import tables of the Bureau of Economic Analysis: who buys what, at producers' prices.

A sheet of the workbook as published (one sheet a year, IOUse_Before_Redefinitions_PRO_..._Summary.xlsx,
ImportMatrices_Before_Redefinitions_SUM_...xlsx), or a CSV file with codes of industries in the first row and of
commodities in the first column. Cells without transactions are ..., --- or empty: 0.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from spatialjax.errors import DataError
from spatialjax.sources.tables import numbers, read_csv
from spatialjax.sources.workbooks import read_sheet

NOTHING = dict.fromkeys(("...", "---", "", "(*)"), 0.0)
ROWS = {
    "compensation": ("V001", "V00100", "Compensation of employees"),
    "taxes": (
        "V002",
        "V00200",
        "Taxes on production and imports, less subsidies",
        "Other taxes on production",
        "T00OTOP",
    ),
    "surplus": ("V003", "V00300", "Gross operating surplus"),
    "output": ("T018", "T008", "Total Industry Output", "Total industry output"),
}
"""Rows that are not commodities, and what they have been called."""
_TITLE = "Commodities/Industries"


@dataclass(frozen=True)
class UseTable:
    """Million dollars. `uses`: (commodity, buyer), buyers being industries and final uses; the others by buyer."""

    uses: pd.DataFrame
    compensation: pd.Series
    taxes: pd.Series
    surplus: pd.Series
    output: pd.Series


def read_use_table(path: str | Path, *, sheet: str | None = None) -> UseTable:
    """Purchases by commodity and buyer, and value added and output by industry.

    **Arguments:**

    - `sheet`: of a workbook, the year ("2012").

    **Raises:** `DataError` naming file, column and line, or the row that is missing.
    """
    table = _matrix(path, sheet)
    rows = {name: _row(table, candidates, path) for name, candidates in ROWS.items()}
    totals = table.index.str.match(r"(?i)(total|T0|V0|VA)") | table.index.isin(sum(ROWS.values(), ()))
    uses = table.loc[~totals]
    return UseTable(uses, **rows)


def read_import_table(path: str | Path, *, sheet: str | None = None) -> pd.DataFrame:
    """Imports by commodity and buyer, million dollars."""
    table = _matrix(path, sheet)
    return table.loc[~table.index.str.match(r"(?i)(total|T0|V0)")]


def _row(table: pd.DataFrame, candidates: tuple[str, ...], path: str | Path) -> pd.Series:
    for name in candidates:
        if name in table.index:
            return table.loc[name]
    raise DataError(
        str(path), [f"has no row {' or '.join(candidates)}; its last rows are {', '.join(table.index[-8:])}"]
    )


def _matrix(path: str | Path, sheet: str | None) -> pd.DataFrame:
    """All numbers, by codes of rows and columns; by names where a total has no code."""
    cells = _from_csv(path) if str(path).lower().endswith(".csv") else _from_sheet(path, sheet)
    codes = cells["code"]
    if (again := codes.duplicated()).any():
        raise DataError(str(path), [f"line {line} repeats row {code}" for line, code in codes[again].items()])
    values: dict[str, np.ndarray] = {}
    problems: list[str] = []
    for column in cells.columns.drop("code"):
        try:
            found = numbers(cells, column, path, wanted="a number, ... or ---", marks=NOTHING)
            values[column] = found.to_numpy()
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(str(path), problems)
    return pd.DataFrame(values, index=pd.Index(codes.to_numpy(), name="row"))


def _from_csv(path: str | Path) -> pd.DataFrame:
    table = read_csv(path, comment="\0")
    return table.rename(columns={table.columns[0]: "code"})


def _from_sheet(path: str | Path, sheet: str | None) -> pd.DataFrame:
    """The table below the row of codes: the first or second header row, whichever has codes rather than names.

    The published sheets have titles above; a row with codes of industries and, beside or below it, one with their
    names; the first two columns are code and name.
    """
    cells = read_sheet(path, sheet)
    coded = cells.iloc[:, 2:].apply(lambda row: row.str.fullmatch(r"[0-9A-Z]{2,7}").sum(), axis=1).iloc[:12]
    if coded.max() < 2:
        raise DataError(
            str(path), [f"sheet {sheet or 'the first'} has no row of codes of industries in its first 12 rows"]
        )
    line = coded.idxmax()
    names = [cells.loc[n] for n in (line - 1, line + 1) if n in cells.index and coded.get(n, 0) < coded[line]]
    header = cells.loc[line, 2:].to_list()
    for other in names:  # totals have names but no codes
        header = [code or name for code, name in zip(header, other.iloc[2:], strict=True)]
    below = cells.loc[line + 1 :]
    below = below[~below[0].isin(["IOCode", "Code"]) & (below[1] != "") & (below.iloc[:, 2:] != "").any(axis=1)]
    code = np.where(below[0] != "", below[0], below[1])
    body = below.iloc[:, 2:].set_axis(header, axis=1).loc[:, [name != "" for name in header]]
    return body.assign(code=code)
