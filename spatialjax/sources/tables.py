"""Tables of text: read from CSV files with the line of each row, and turned into numbers with errors that name cells.

A table is a `pandas.DataFrame` of text whose index is the line in the file (1 is the first line), so that whatever is
found later can be traced to it.
"""

import csv
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from spatialjax.errors import DataError

SHOWN = 3
"""Offending cells that one message lists."""


def read_csv(path: str | Path, required: Iterable[str] = (), *, comment: str = "#") -> pd.DataFrame:
    """A CSV file as text. Lines that begin with `comment`, and empty ones, are passed over.

    Separators are commas, semicolons or tabs, told by the header; with semicolons decimal commas are read as points.

    **Raises:** `DataError` where the file cannot be read, a row is too long, or columns of `required` are missing.
    """
    path = Path(path)
    rows = [(line, row) for line, row in _rows(path, comment) if any(cell.strip() for cell in row)]
    if not rows:
        raise DataError(str(path), ["is empty: its first row must hold the names of columns"])
    names = [name.strip() for name in rows[0][1]]
    while names and not names[-1]:
        names.pop()
    _check_header(path, names, required)
    cells, lines = [], []
    for line, row in rows[1:]:
        if any(cell.strip() for cell in row[len(names) :]):
            raise DataError(str(path), [f"line {line} has {len(row)} cells for {len(names)} columns"])
        cells.append([cell.strip() for cell in row[: len(names)]] + [""] * (len(names) - len(row)))
        lines.append(line)
    return pd.DataFrame(cells, pd.Index(lines, name="line"), names, dtype=str)


def _rows(path: Path, comment: str) -> list[tuple[int, list[str]]]:
    """Rows and the lines they begin on."""
    text = read_text(path)
    header = next((line for line in text.splitlines() if line.strip() and not _is_comment(line, comment)), "")
    separator = max(",;\t", key=header.count)
    rows, line = [], 1
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
    for row in reader:
        if not (row and _is_comment(row[0], comment)):
            rows.append((line, [_decimal_point(cell) for cell in row] if separator == ";" else row))
        line = reader.line_num + 1
    return rows


def _is_comment(text: str, comment: str) -> bool:
    return text.lstrip(' "').startswith(comment)


def _decimal_point(cell: str) -> str:
    before, comma, after = cell.strip().partition(",")
    return f"{before}.{after}" if comma and before.lstrip("+-").isdigit() and after.isdigit() else cell


def read_text(path: str | Path) -> str:
    """The text of a file, in UTF-8 or, as older files of agencies are, in Latin-1 (Windows-1252)."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise DataError(str(path), [f"cannot be read: {error.strerror or error}"]) from error
    if b"\x00" in raw:
        raise DataError(str(path), ["is not a text file; save it as CSV in UTF-8"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _check_header(path: Path, names: Sequence[str], required: Iterable[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(str(path), [f"column {name or '(without a name)'} occurs more than once" for name in repeated])
    require_columns(names, required, path)


def require_columns(names: Collection[str], required: Iterable[str], source: object) -> None:
    """Raise `DataError` naming the columns that are missing, and those found."""
    missing = [name for name in required if name not in names]
    if missing:
        raise DataError(str(source), [f"has no column {', '.join(missing)}; its columns are {', '.join(names)}"])


def numbers(
    table: pd.DataFrame,
    column: str,
    source: object,
    *,
    wanted: str = "a number",
    holds: Callable[[np.ndarray], np.ndarray] = np.isfinite,
    marks: Mapping[str, float] | None = None,
) -> pd.Series:
    """A column as numbers. Thousands separators (1,234) are understood; `marks` are texts that stand for numbers.

    **Raises:** `DataError` naming the lines of cells that are no number or for which `holds` is false.
    """
    text = table[column].str.strip()
    plain = text.str.replace(r"(?<=\d),(?=\d{3}(\D|$))", "", regex=True)
    values = pd.to_numeric(plain, errors="coerce").astype(float)
    read = values.notna()
    values[read] = np.array(plain[read].tolist(), float)  # to the last digit, which to_numeric is not
    for mark, value in (marks or {}).items():
        values[text == mark] = value
    unread = values.isna() & ~plain.str.lower().isin(["nan", *(mark.lower() for mark in marks or {})])
    bad = unread | ~pd.Series(np.asarray(holds(values.to_numpy()), bool), values.index)
    if bad.any():
        raise DataError(str(source), [bad_cells(text[bad], column, wanted)])
    return values


def bad_cells(cells: pd.Series, column: str, wanted: str) -> str:
    """A sentence that names the first of the cells of a column that are not what is wanted."""
    shown = "; ".join(f"line {line}: {value!r}" for line, value in cells.iloc[:SHOWN].items())
    more = f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else ""
    return f"column {column} must hold {wanted}, but has {shown}{more}"


def labels(table: pd.DataFrame, column: str, source: object) -> list[str]:
    """A column of names, each of them once and none empty.

    **Raises:** `DataError` naming the lines of empty and repeated names.
    """
    problems = []
    if (empty := table[column] == "").any():
        problems.append(bad_cells(table.loc[empty, column], column, "a name in every row"))
    if (again := table[column].duplicated() & ~empty).any():
        problems.append(bad_cells(table.loc[again, column], column, "each name once"))
    if problems:
        raise DataError(str(source), problems)
    return table[column].tolist()


def positions(table: pd.DataFrame, column: str, known: Sequence[str], listed_in: str, source: object) -> np.ndarray:
    """Where the names of a column stand among those known.

    **Raises:** `DataError` naming the lines of unknown names, and where names are listed.
    """
    found = pd.Index(known).get_indexer(table[column])
    if (found < 0).any():
        raise DataError(str(source), [bad_cells(table.loc[found < 0, column], column, f"names that {listed_in} lists")])
    return found


def unique_rows(table: pd.DataFrame, columns: Sequence[str], source: object) -> None:
    """Raise `DataError` where two rows are about the same thing."""
    again = table.duplicated(list(columns))
    if again.any():
        line, row = next(table.loc[again, list(columns)].iterrows())
        named = ", ".join(map(str, row))
        more = f"; {int(again.sum()) - 1} further rows are repeated too" if again.sum() > 1 else ""
        raise DataError(str(source), [f"line {line} repeats {named}{more}"])
