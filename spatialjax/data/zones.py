"""The variables of a data set of commuting zones, and checks that name what is wrong with one."""

from dataclasses import replace

import xarray as xr

from spatialjax.data.schema import VARIABLES, Variable, positive
from spatialjax.data.structure import label_problems, not_a_dataset, raise_all, title_problems, variable_problems

ZONE_VARIABLES = {
    "population": Variable(("zone",), "persons", "residents", "positive", positive),
    "wage": Variable(("zone",), "10,000 yen a year", "mean wage", "positive", positive),
    "establishments": Variable(("zone",), "establishments", "establishments, in all sectors", "positive", positive),
    "sectors": Variable((), "1", "number of sectors among which a zone's establishments divide", "positive", positive),
    "employment": Variable(("zone",), "workers", "employment", "positive", positive, required=False),
    "latitude": replace(VARIABLES["latitude"], dimensions=("zone",)),
    "longitude": replace(VARIABLES["longitude"], dimensions=("zone",)),
}
"""A zone's firms per sector are its establishments over `sectors`: computed, not stored."""


def check_zones(data: xr.Dataset) -> None:
    """Raise `DataError` listing every problem that [`find_zone_problems`][] finds."""
    raise_all(data, find_zone_problems(data))


def find_zone_problems(data: xr.Dataset) -> list[str]:
    """Everything that keeps a data set from being read as commuting zones; empty if nothing does."""
    if not isinstance(data, xr.Dataset):
        return not_a_dataset(data)
    if "city" in data.dims:
        return ["these are cities (dimension city), of which no granular economy can be made: it needs dimension zone"]
    found, _ = variable_problems(data, ZONE_VARIABLES)
    return [*label_problems(data, "zone"), *title_problems(data, "zone"), *_no_zone(data), *found]


def _no_zone(data: xr.Dataset) -> list[str]:
    return ["dimension zone is empty"] if data.sizes.get("zone") == 0 else []
