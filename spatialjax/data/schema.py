"""The variables of a city data set: dimensions, units, and what their values must satisfy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

Array = np.ndarray


@dataclass(frozen=True)
class Variable:
    """A variable of a data set. `holds` says which values are admissible, `wanted` says it in words."""

    dimensions: tuple[str, ...]
    units: str
    description: str
    wanted: str = "finite"
    holds: Callable[[Array], Array] = np.isfinite
    required: bool = True


def positive(x: Array) -> Array:
    """Which values are finite and above zero."""
    return np.isfinite(x) & (x > 0)


def not_negative(x: Array) -> Array:
    """Which values are finite and at least zero."""
    return np.isfinite(x) & (x >= 0)


VARIABLES = {
    "employment": Variable(("city", "occupation", "sector"), "workers", "employment", "zero or positive", not_negative),
    "wage": Variable(("city", "occupation"), "US dollars a year", "mean wage", "positive", positive),
    "housing_price": Variable(
        ("city",), "1", "price of the land-using sector's services, relative", "positive", positive
    ),
    "value_added_share": Variable(
        ("sector",),
        "1",
        "value added over gross output, national",
        "above 0 and at most 1",
        lambda x: positive(x) & (x <= 1),
    ),
    "input_share": Variable(
        ("input", "sector"),
        "1",
        "purchases of an input over a sector's gross output, national",
        "zero or positive",
        not_negative,
    ),
    "distance_elasticity": Variable(
        ("sector",),
        "1",
        "trade elasticity times the exponent of distance in trade costs; not a number: not traded",
        "zero or positive, or NaN for a sector that is not traded",
        lambda x: np.isnan(x) | not_negative(x),
    ),
    "uses_land": Variable(("sector",), "1", "the sector that lets housing, whose price determines rents"),
    "land_share": Variable(
        ("sector",),
        "1",
        "share of land in the value added of further sectors that use land; 0 elsewhere",
        "zero or positive and below 1",
        lambda x: not_negative(x) & (x < 1),
        required=False,
    ),
    "latitude": Variable(
        ("city",), "degrees north", "latitude", "between -90 and 90", lambda x: np.abs(x) <= 90, required=False
    ),
    "longitude": Variable(
        ("city",),
        "degrees east",
        "longitude",
        "between -180 and 360",
        lambda x: (x >= -180) & (x <= 360),
        required=False,
    ),
    "distance": Variable(("city", "origin"), "miles", "distance, taken as given", "positive", positive, required=False),
    "iceberg_cost": Variable(
        ("sector", "city", "origin"),
        "1",
        "units to ship from origin for one to arrive; infinite: no trade",
        "positive (infinite: no trade)",
        lambda x: x > 0,
        required=False,
    ),
    "nontradable_price": Variable(
        ("city", "sector"),
        "1",
        "price of sectors that are not traded; 1 where absent",
        "positive",
        positive,
        required=False,
    ),
}


def traded_sectors(data: xr.Dataset) -> Array:
    """Which sectors are traded between cities: those with a distance elasticity."""
    return np.isfinite(data["distance_elasticity"].values)


def land_sector(data: xr.Dataset) -> int:
    """Position of the sector that uses land."""
    return int(np.flatnonzero(data["uses_land"].values)[0])


def given_land_shares(data: xr.Dataset) -> Array:
    """Share of land in value added by sector, as given; zero where the data give none, and in the land sector."""
    share = values(data, "land_share") if "land_share" in data else np.zeros(data.sizes["sector"])
    return np.where(data["uses_land"].values.astype(bool), 0.0, share)


def values(data: xr.Dataset, name: str) -> Array:
    """A variable's values in the axis order of the schema, in double precision."""
    return ordered_values(data, name, VARIABLES[name])


def ordered_values(data: xr.Dataset, name: str, variable: Variable) -> Array:
    """Values in the axis order of the variable's description, in double precision."""
    return data[name].transpose(*variable.dimensions).values.astype(float)


def city_names(data: xr.Dataset) -> list[str]:
    """Names of cities for messages: `title` where the data have it, else the code."""
    return place_names(data, "city")


def place_names(data: xr.Dataset, dimension: str) -> list[str]:
    """Names along a dimension for messages: `title` where the data have one, else its labels, else positions."""
    for name in ("title", dimension):
        if name in data and data[name].dims == (dimension,):
            return [str(label) for label in data[name].values]
    return [str(n) for n in range(data.sizes[dimension])]


def source_of(data: xr.Dataset) -> str:
    """Where a data set came from, for messages."""
    return str(getattr(data, "encoding", {}).get("source") or "data")
