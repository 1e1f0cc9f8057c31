"""The files of a folder that holds a data set of cities: their names and columns, and which variables they are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LongTable:
    """A table with a row for each combination of labels and one column of numbers, which is a variable."""

    file: str
    variable: str
    keys: tuple[str, ...]
    value: str
    required: bool
    absent: float | None
    """What a missing row means; `None` where rows must not be missing."""
    about: str


CITIES, SECTORS, INPUT_SHARES = "cities.csv", "sectors.csv", "input_shares.csv"

CITY_COLUMNS = {"latitude": "latitude", "longitude": "longitude", "housing_price": "housing_price"}
"""Columns of numbers of cities.csv, and the variables they are."""
SECTOR_COLUMNS = {
    "value_added_share": "value_added_share",
    "distance_elasticity": "distance_elasticity",
    "land_share": "land_share",
}
"""Columns of numbers of sectors.csv, and the variables they are."""
SECTOR_TEXTS = {"label": "sector_label", "group": "sector_group"}
"""Columns of text of sectors.csv, and the variables they are."""

LONG_TABLES = (
    LongTable(
        "employment.csv",
        "employment",
        ("city", "occupation", "sector"),
        "workers",
        True,
        None,
        "A row for every city, occupation and sector; 0 where nobody works.",
    ),
    LongTable(
        "wages.csv",
        "wage",
        ("city", "occupation"),
        "wage",
        True,
        None,
        "A row for every city and occupation. Any currency, the same everywhere; a year's pay.",
    ),
    LongTable(
        "nontradable_prices.csv",
        "nontradable_price",
        ("city", "sector"),
        "price",
        False,
        1.0,
        "Optional: relative prices of sectors that are not traded and do not use land. Rows left out mean 1.",
    ),
    LongTable(
        "distances.csv",
        "distance",
        ("city", "origin"),
        "miles",
        False,
        None,
        "Optional: distances to use instead of great circles between coordinates. A row for every pair of cities, "
        "each city with itself included.",
    ),
    LongTable(
        "iceberg_costs.csv",
        "iceberg_cost",
        ("sector", "city", "origin"),
        "cost",
        False,
        float("inf"),
        "Optional: units to ship from origin for one to arrive in city, instead of costs that grow with distance. "
        "Rows left out mean no trade.",
    ),
)
