"""Panels of establishments: reading a user's own, compact columns, earnings, and moves from an annual history."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spatialjax.density.columns import require_columns
from spatialjax.density.earnings import CONSUMER_PRICES, measured_earnings
from spatialjax.density.imputation import Imputation, impute_earnings
from spatialjax.density.panel_checks import check_panel
from spatialjax.errors import DataError
from spatialjax.estimation.libraries import library
from spatialjax.files import is_there

COLUMNS: dict[str, type[np.generic]] = {
    **{"establishment": np.int64, "firm": np.int64, "cbsa": np.int32, "cbsa_lag": np.int32, "county": np.int32},
    **{"industry": np.int16, "industry2": np.int8, "year": np.int16},
    **dict.fromkeys(("employment", "employment_lag", "payroll", "payroll_lag"), np.float32),
    **dict.fromkeys(("earnings", "earnings_lag", "earnings_lead"), np.float32),
    **{"age": np.int8, "multi_unit": np.bool_, "entrant": np.bool_, "exit": np.bool_},
    **{"county_changes": np.int8, "tenure": np.int8, "moved": np.bool_},
}
"""Columns of a panel and how they are stored: 70 bytes a row. docs/data.md says what they are."""

MISSING = {"cbsa_lag": -1}
"""What stands for a missing value in columns of whole numbers."""
LONGEST_TENURE = 6
SHOWN = 3


def read_panel(path: str | Path, cbsas: pd.DataFrame | None = None) -> pd.DataFrame:
    """Read a panel of establishments from a Parquet or CSV file, in compact columns, and check it.

    **Arguments:**

    - `path`: a file that ends with .parquet, .csv or .csv.gz, with the columns of `COLUMNS`; others are kept.
    - `cbsas`: a table whose index has all CBSAs, such as `cbsa_table` returns; without one, codes are not checked.

    **Raises:** `DataError` for a file that is not there or cannot be read, and as [`as_panel`][] and `check_panel`.
    """
    path = Path(path)
    panel = as_panel(_read(path), source=str(path))
    check_panel(panel, source=str(path), cbsas=cbsas)
    return panel


def as_panel(table: Any, source: str = "panel") -> pd.DataFrame:
    """A table as a panel with compact columns: a pandas DataFrame, or anything that Arrow can read (polars, DuckDB).

    Numbers of codes, years and ages must be whole and flags 0 or 1; missing values of `cbsa_lag` become -1. The table
    given is not changed. Values are not checked otherwise: see `spatialjax.density.panel_checks.check_panel`.

    **Raises:** `DataError` naming columns that cannot be stored so, with rows.
    """
    frame = _frame(table, source)
    problems: list[str] = []
    columns = {name: _compact(frame[name], problems) if name in COLUMNS else frame[name] for name in frame.columns}
    if problems:
        raise DataError(source, problems)
    return pd.DataFrame(columns, copy=False)


def with_earnings(
    panel: pd.DataFrame, prices: Mapping[int, float] = CONSUMER_PRICES
) -> tuple[pd.DataFrame, Imputation]:
    """Add `earnings` to a panel: eq. (1) in 1997 dollars, cleaned by the imputation of appendix A; also its account.

    `earnings_lag` and `earnings_lead`, which the imputation compares with, must be in 1997 dollars as well.

    **Raises:** `DataError` for missing columns, years without prices, and earnings that are not finite.
    """
    measured = measured_earnings(panel, prices)
    absent = [f"column {x} is missing" for x in ("earnings_lag", "earnings_lead", "industry2") if x not in panel]
    if absent:
        raise DataError("panel", absent)
    lag, lead, industry2, year = (panel[x].to_numpy() for x in ("earnings_lag", "earnings_lead", "industry2", "year"))
    imputation = impute_earnings(measured, lag, lead, industry2, year)
    return panel.assign(earnings=imputation.earnings), imputation


def with_moves(panel: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Add `county_changes`, `moved` and `tenure` to a panel, from an annual history of the same establishments.

    `county_changes` is how often the county differs from the one of the year before, in the whole history; `moved`
    whether the CBSA did so by the year of the row; `tenure` the years since it last did, or else age, up to 6.

    **Arguments:**

    - `history`: columns establishment, year, cbsa, county, a row for each year with employment.

    **Raises:** `DataError` for missing columns and for years that occur twice.
    """
    require_columns(history, ("establishment", "year", "cbsa", "county"), "history of establishments")
    require_columns(panel, ("establishment", "year", "age"), "panel of establishments")
    changes = _changes(history)
    total = changes.groupby("establishment")["county_changed"].sum()
    arrivals = changes.loc[changes["cbsa_changed"], ["establishment", "year"]]
    age, year = panel["age"].to_numpy(), panel["year"].to_numpy()
    arrival = _last_arrival(panel, arrivals)
    tenure = np.minimum(np.where(arrival >= 0, year - arrival, age), LONGEST_TENURE).astype(np.int8)
    counts = panel["establishment"].map(total).fillna(0).to_numpy(np.int8)
    return panel.assign(county_changes=counts, moved=arrival >= 0, tenure=tenure)


def _changes(history: pd.DataFrame) -> pd.DataFrame:
    """Whether county and CBSA differ from those of the year before, for each row that has one."""
    ordered = history.sort_values(["establishment", "year"], kind="stable")
    same = ordered["establishment"].to_numpy()[1:] == ordered["establishment"].to_numpy()[:-1]
    step = np.diff(ordered["year"].to_numpy().astype(int))
    twice = np.flatnonzero(same & (step == 0))
    if len(twice):
        named = ", ".join(f"{ordered['establishment'].iloc[n]} ({ordered['year'].iloc[n]})" for n in twice[:SHOWN])
        raise DataError("history of establishments", [f"{len(twice)} establishments have a year twice: {named}"])
    follows = np.concatenate([[False], same & (step == 1)])
    changed = {f"{x}_changed": follows & (ordered[x] != ordered[x].shift()) for x in ("county", "cbsa")}
    return ordered[["establishment", "year"]].assign(**changed)


def _last_arrival(panel: pd.DataFrame, arrivals: pd.DataFrame) -> np.ndarray:
    """Year of the last arrival not after the year of each row; -1 where there is none."""
    left = panel[["establishment", "year"]].astype(np.int64).assign(row=np.arange(len(panel)))
    right = arrivals.astype(np.int64).assign(arrival=arrivals["year"].to_numpy(np.int64)).sort_values("year")
    found = pd.merge_asof(left.sort_values("year", kind="stable"), right, on="year", by="establishment")
    return found.sort_values("row")["arrival"].fillna(-1).to_numpy(int)


def _read(path: Path) -> pd.DataFrame:
    if not is_there(path):
        raise DataError(str(path), ["no such file"])
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return pd.read_parquet(path)
        if name.endswith((".csv", ".csv.gz")):
            return pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise DataError(str(path), [f"cannot be read: {error}"]) from error
    raise DataError(str(path), ["is neither .parquet nor .csv nor .csv.gz"])


def _frame(table: Any, source: str) -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        return table
    if hasattr(table, "__arrow_c_stream__"):
        return library("pyarrow").table(table).to_pandas(split_blocks=True)
    raise DataError(source, [f"a DataFrame or an Arrow table is needed, found {type(table).__name__}"])


def _compact(column: pd.Series, problems: list[str]) -> pd.Series:
    """A column as it is stored; what keeps it from that is added to the problems."""
    name, kind = str(column.name), np.dtype(COLUMNS[str(column.name)])
    if column.dtype == kind:
        return column
    values = _numbers(column)
    if values is None:
        problems.append(f"column {name} holds {column.dtype}; it must hold numbers")
        return column
    if kind.kind != "f":
        values = np.where(np.isnan(values), MISSING[name], values) if name in MISSING else values
    bad = _too_large(values, kind) if kind.kind == "f" else _not_whole(values, kind)
    if bad.any():
        problems.append(_refusal(column, kind, bad))
        return column
    return pd.Series(values.astype(kind), column.index, name=name)


def _numbers(column: pd.Series) -> np.ndarray | None:
    """Values as numbers with NaN for missing ones, without a loss of digits; None if they are not numbers."""
    if column.dtype.kind in "iubf" and isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return None
    if not column.isna().any() and column.dtype.kind in "iub":
        return column.to_numpy(bool if column.dtype.kind == "b" else np.int64)
    return column.to_numpy(float, na_value=np.nan)


def _not_whole(values: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Which values cannot be stored as whole numbers (or flags) of a kind."""
    if values.dtype.kind == "b":
        return np.zeros(len(values), bool)
    low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    fits = (values >= low) & (values <= high)
    return ~(fits & (values == np.round(values)))


def _too_large(values: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Which values are finite, but would be infinite in a kind of floating-point numbers."""
    return np.isfinite(values) & (np.abs(values) > np.finfo(kind).max)


def _bounds(kind: np.dtype) -> str:
    match kind.kind:
        case "b":
            return "0 or 1"
        case "f":
            return f"numbers up to {np.finfo(kind).max:.3g} in size"
    return f"whole numbers from {np.iinfo(kind).min} to {np.iinfo(kind).max}"


def _refusal(column: pd.Series, kind: np.dtype, bad: np.ndarray) -> str:
    shown = ", ".join(f"{column.iloc[n]} in row {column.index[n]}" for n in np.flatnonzero(bad)[:SHOWN])
    return f"column {column.name} must hold {_bounds(kind)}, but {bad.sum()} rows do not: {shown}"
