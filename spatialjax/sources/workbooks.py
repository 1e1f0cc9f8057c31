"""Sheets of workbooks (.xls, .xlsx, .xlsb, .ods) as tables of text."""

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from spatialjax.errors import DataError

MISSING = "reading workbooks needs python-calamine: pip install 'spatialjax[sources]'"


def read_sheet(path: str | Path, sheet: str | None = None) -> pd.DataFrame:
    """All cells of a sheet as text, by line of the sheet; of the first sheet by default.

    **Raises:** `DataError` where the file is no workbook, has no such sheet, or the reader is not installed.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise DataError(str(path), [MISSING]) from None
    if not Path(path).is_file():
        raise DataError(str(path), ["no such file"])
    try:
        workbook = CalamineWorkbook.from_path(str(path))
        if sheet is not None and sheet not in workbook.sheet_names:
            raise DataError(str(path), [f"has no sheet {sheet}; its sheets are {', '.join(workbook.sheet_names)}"])
        found = workbook.get_sheet_by_name(sheet) if sheet is not None else workbook.get_sheet_by_index(0)
        cells = found.to_python(skip_empty_area=False)
    except (CalamineError, OSError) as error:
        raise DataError(str(path), [f"cannot be read as a workbook: {error}"]) from error
    text = [[_text(cell) for cell in row] for row in cells]
    return pd.DataFrame(text, pd.RangeIndex(1, len(text) + 1, name="line"), dtype=str)


def _text(cell: object) -> str:
    """A cell as it would be typed: whole numbers without a decimal point."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.date | datetime.datetime):
        return cell.isoformat()
    return str(cell).strip()


def below_header(cells: pd.DataFrame, required: Sequence[str], source: object) -> pd.DataFrame:
    """The table whose header is the first row with all the required names; its rows end at the first empty one.

    **Raises:** `DataError` where there is no such row.
    """
    for line, row in cells.iterrows():
        if set(required) <= set(row):
            table = cells.loc[line + 1 :].set_axis(list(row), axis=1)
            table = table.loc[:, [name != "" for name in table.columns]]
            empty = (table == "").all(axis=1)
            return table.loc[: empty.idxmax() - 1] if empty.any() else table
    first = next((list(row) for _, row in cells.iterrows() if (row != "").sum() > 1), [])
    raise DataError(
        str(source),
        [f"has no row with the names {', '.join(required)}; its first row of several cells is {_shown(first)}"],
    )


def _shown(row: Iterable[str]) -> str:
    return ", ".join(cell for cell in list(row)[:12] if cell) or "empty"
