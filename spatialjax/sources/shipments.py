"""How far goods travel: a table of one's own, or the Census Bureau's Commodity Flow Survey (table CF1200A18)."""

from pathlib import Path

import numpy as np
import pandas as pd

from spatialjax.errors import DataError
from spatialjax.sources.tables import labels, numbers, read_csv

ALL_COMMODITIES = "0000"
COLUMNS = {"VAL": "value", "TON": "tons", "TMILE": "ton_miles", "AVGMILE": "miles", "AVGMILE_S": "miles_variation"}
_MARKS = dict.fromkeys(("S", "Z", "D", "N", "-", "", "X"), np.nan)


def read_shipments(path: str | Path) -> pd.DataFrame:
    """Shipments by industry of the shipper, all commodities together.

    **Returns:** a table by NAICS code: `industry` (its name), `value` (million dollars), `tons` (thousands),
    `ton_miles` (millions), `miles` (mean miles per shipment), `miles_variation` (coefficient of variation of its
    estimate, percent); NaN where the survey withholds a figure (S).

    **Raises:** `DataError` naming file, column and line.
    """
    table = read_csv(path, ["NAICS.id", "COMM.id", *COLUMNS], comment="\0")
    table = table[table["COMM.id"] == ALL_COMMODITIES]
    found = {
        short: numbers(table, name, path, wanted="a number or S", holds=_not_negative, marks=_MARKS)
        for name, short in COLUMNS.items()
    }
    names = table.get("NAICS.display-label", table["NAICS.id"])
    frame = pd.DataFrame({"industry": names, **found})
    return frame.set_axis(table["NAICS.id"].str.replace(r"\(.*\)", "", regex=True).to_numpy())


def read_mean_miles(path: str | Path) -> dict[str, float]:
    """Mean miles of shipments by sector, of a CSV file with the columns `sector` and `miles`; `#` starts a comment.

    **Raises:** `DataError` naming file, column and line.
    """
    table = read_csv(path, ["sector", "miles"])
    names = labels(table, "sector", path)
    miles = numbers(table, "miles", path, wanted="a positive number", holds=lambda x: x > 0)
    return dict(zip(names, miles.tolist(), strict=True))


def _not_negative(x: np.ndarray) -> np.ndarray:
    return np.isnan(x) | (x >= 0)


def mean_miles(table: pd.DataFrame, industries: list[str]) -> float:
    """Mean miles of shipments of several industries: per shipment, were shipments of all of equal value.

    The survey publishes means over shipments by industry. They are averaged with values of shipments as weights, for
    numbers of shipments are not published. Industries without numbers are left out; NaN where all are.

    **Raises:** `DataError` for an industry that the table has no row of.
    """
    if missing := [industry for industry in industries if industry not in table.index]:
        raise DataError("table of shipments", [f"has no row of industry {', '.join(missing)}: name others"])
    rows = table.loc[industries]
    rows = rows[rows["miles"].notna() & rows["value"].notna()]
    return float((rows["miles"] * rows["value"]).sum() / rows["value"].sum()) if len(rows) else np.nan
