"""Which counties make up which metropolitan area: the Office of Management and Budget's list 1."""

from pathlib import Path

import pandas as pd

from spatialjax.errors import DataError
from spatialjax.sources.tables import bad_cells, read_csv, require_columns
from spatialjax.sources.workbooks import below_header, read_sheet

COLUMNS = {
    "CBSA Code": "cbsa",
    "CBSA Title": "title",
    "Metropolitan/Micropolitan Statistical Area": "kind",
    "FIPS State Code": "state",
    "FIPS County Code": "county",
}
KINDS = {"metropolitan": "Metropolitan Statistical Area", "micropolitan": "Micropolitan Statistical Area"}
PUERTO_RICO = "72"


def read_delineation(path: str | Path, *, kind: str | None = "metropolitan", puerto_rico: bool = False) -> pd.DataFrame:
    """Counties and the areas they belong to, from list1.xls (or .xlsx, or a CSV file with the same columns).

    **Arguments:**

    - `kind`: "metropolitan", "micropolitan", or None for both.
    - `puerto_rico`: whether to keep the areas of Puerto Rico, which the Bureau of Economic Analysis does not cover.

    **Returns:** a table with a row for each county: `fips` (five digits), `cbsa`, `title`, `kind`; by line of the file.

    **Raises:** `DataError` naming file, column and line.
    """
    if kind is not None and kind not in KINDS:
        raise DataError(str(path), [f"kind must be metropolitan, micropolitan or None, found {kind!r}"])
    if str(path).lower().endswith(".csv"):
        table = read_csv(path, COLUMNS)
    else:
        table = below_header(read_sheet(path), list(COLUMNS), path)
    require_columns(table.columns, COLUMNS, path)
    table = table[list(COLUMNS)].rename(columns=COLUMNS)
    _check_codes(table, path)
    table = table.assign(fips=table["state"].str.zfill(2) + table["county"].str.zfill(3))
    if not puerto_rico:
        table = table[table["state"].str.zfill(2) != PUERTO_RICO]
    if kind is not None:
        table = table[table["kind"] == KINDS[kind]]
    if (again := table["fips"].duplicated()).any():
        raise DataError(str(path), [bad_cells(table.loc[again, "fips"], "FIPS County Code", "each county once")])
    return table[["fips", "cbsa", "title", "kind"]]


def _check_codes(table: pd.DataFrame, path: str | Path) -> None:
    forms = {"cbsa": (r"\d{5}", "five digits"), "state": (r"\d{1,2}", "digits"), "county": (r"\d{1,3}", "digits")}
    names = {short: long for long, short in COLUMNS.items()}
    problems = []
    for column, (form, wanted) in forms.items():
        bad = ~table[column].str.fullmatch(form)
        if bad.any():
            problems.append(bad_cells(table.loc[bad, column], names[column], wanted))
    unknown = ~table["kind"].isin(KINDS.values())
    if unknown.any():
        problems.append(bad_cells(table.loc[unknown, "kind"], names["kind"], " or ".join(KINDS.values())))
    if problems:
        raise DataError(str(path), problems)


def areas(delineation: pd.DataFrame) -> pd.Series:
    """Titles of areas by code, in the order of codes."""
    return delineation.drop_duplicates("cbsa").set_index("cbsa")["title"].sort_index()
