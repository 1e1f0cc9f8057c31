"""Checks of a city data set: everything that is wrong with it, at once and by name."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import xarray as xr

from spatialjax.data.datasets import kind_of
from spatialjax.data.schema import VARIABLES, city_names, place_names, traded_sectors, values
from spatialjax.data.structure import SHOWN, has_form, label_problems, not_a_dataset, raise_all, variable_problems

SHARE_TOLERANCE = 1e-6


def check_data(data: xr.Dataset) -> None:
    """Raise `DataError` listing every problem that [`find_problems`][] finds."""
    raise_all(data, find_problems(data))


def find_problems(data: xr.Dataset) -> list[str]:
    """Everything that keeps a data set from being read as a city economy; empty if nothing does.

    Values are checked in every variable of the right form, and what relates variables to each other
    wherever the variables concerned are sound.
    """
    if not isinstance(data, xr.Dataset):
        return not_a_dataset(data)
    if kind_of(data) == "zones":
        return ["these are commuting zones (dimension zone, none called city), of which no city economy can be made"]
    found, sound = variable_problems(data, VARIABLES, _unused_cells)
    problems = [*_dimensions(data), *found]
    if not {"latitude", "longitude"} <= set(data) and "distance" not in data and "iceberg_cost" not in data:
        problems.append("no geography: give latitude and longitude, or distance (city, origin), or iceberg_cost")
    for needed, relation in RELATIONS:
        if set(needed) <= sound and _square(data, needed):
            problems += relation(data)
    return problems


def _dimensions(data: xr.Dataset) -> Iterator[str]:
    for dimension in ("city", "occupation", "sector", "input"):
        yield from label_problems(data, dimension)
    yield from _same_labels(data, "input", "sector")
    yield from _same_labels(data, "origin", "city")


def _square(data: xr.Dataset, names: Sequence[str]) -> bool:
    """Whether those of the variables that are over pairs of places have as many of both."""
    pairs = (("origin", "city"), ("input", "sector"))
    dimensions = {str(dimension) for name in names for dimension in data[name].dims}
    return all(data.sizes[one] == data.sizes[other] for one, other in pairs if {one, other} <= dimensions)


def _same_labels(data: xr.Dataset, dimension: str, reference: str) -> Iterator[str]:
    if dimension not in data.dims or reference not in data.dims:
        return
    if data.sizes[dimension] != data.sizes[reference]:
        yield f"dimension {dimension} has {data.sizes[dimension]} elements and {reference} {data.sizes[reference]}"
    elif not _labels_agree(data, dimension, reference):
        yield f"labels of {dimension} are not those of {reference}, in the same order"


def _labels_agree(data: xr.Dataset, dimension: str, reference: str) -> bool:
    if dimension not in data.coords or reference not in data.coords:
        return True
    return np.array_equal(data[dimension].values.astype(str), data[reference].values.astype(str))


def _unused_cells(data: xr.Dataset, name: str) -> np.ndarray:
    """Cells whose values are never used, so that anything may stand there."""
    shape = values(data, name).shape
    if name == "wage" and _has_form(data, "employment"):
        return ~(np.nan_to_num(values(data, "employment")) != 0).any(2)
    if name == "nontradable_price" and _has_form(data, "distance_elasticity"):
        return np.broadcast_to(traded_sectors(data), shape)
    if name == "iceberg_cost" and _has_form(data, "distance_elasticity"):
        return np.broadcast_to(~traded_sectors(data)[:, None, None], shape)
    return np.zeros(shape, bool)


def _has_form(data: xr.Dataset, name: str) -> bool:
    return name in data and has_form(data, name, VARIABLES[name])


def _employment_somewhere(data: xr.Dataset) -> Iterator[str]:
    employment = values(data, "employment")
    yield from _empty(employment.sum((1, 2)), "city", city_names(data))
    yield from _empty(employment.sum((0, 2)), "occupation", place_names(data, "occupation"))
    yield from _empty(employment.sum((0, 1)), "sector", place_names(data, "sector"))


def _local_employment(data: xr.Dataset) -> Iterator[str]:
    employment, cities, sectors = values(data, "employment"), city_names(data), place_names(data, "sector")
    traded = traded_sectors(data)
    if not traded.any():
        yield "no sector is traded: give at least one a distance_elasticity"
        return
    for j in np.flatnonzero(~traded):
        for n in np.flatnonzero(employment[:, :, j].sum(1) == 0)[:SHOWN]:
            yield (
                f"sector {sectors[j]} is not traded, but nobody works in it in {cities[n]}: "
                "nobody could supply that city"
            )


def _empty(totals: np.ndarray, dimension: str, names) -> Iterator[str]:
    if (totals == 0).any():
        yield f"no employment in {dimension} {', '.join(str(names[i]) for i in np.flatnonzero(totals == 0)[:SHOWN])}"


def _land_using(data: xr.Dataset) -> Iterator[str]:
    land = data["uses_land"].values.astype(bool)
    names = np.asarray(place_names(data, "sector"))[land]
    if land.sum() != 1:
        marked = ", ".join(map(str, names)) or "none"
        yield f"uses_land must mark exactly one sector, but marks {marked}; land_share names further ones that use land"
    elif traded_sectors(data)[land].any():
        yield f"sector {names[0]} uses land and cannot be traded: its distance_elasticity must be NaN"


def _shares(data: xr.Dataset) -> Iterator[str]:
    inputs = values(data, "input_share").sum(0)
    total = values(data, "value_added_share") + inputs
    local = ~traded_sectors(data) & ~data["uses_land"].values.astype(bool)
    for j, name in enumerate(place_names(data, "sector")):
        if abs(total[j] - 1) > SHARE_TOLERANCE:
            yield f"sector {name}: value_added_share and input_share sum to {total[j]:.6f}, not 1"
        if local[j] and inputs[j] == 0:
            yield f"sector {name} is not traded and buys no inputs: its city-specific input share has nothing to act on"


def _connected(data: xr.Dataset) -> Iterator[str]:
    """Trade must tie all buyers and sellers together: otherwise relative unit costs are not determined."""
    from scipy.sparse.csgraph import connected_components

    cost, employment = values(data, "iceberg_cost"), values(data, "employment")
    cities = city_names(data)
    for j in np.flatnonzero(traded_sectors(data)):
        name = place_names(data, "sector")[j]
        sellers = np.flatnonzero(employment[:, :, j].sum(1) > 0)
        ships = np.isfinite(cost[j][:, sellers])
        alone = np.flatnonzero(~ships.any(1))
        unsold = sellers[~ships.any(0)]
        for n in alone[:SHOWN]:
            yield f"sector {name}: no city that produces it can ship to {cities[n]} (iceberg_cost is infinite)"
        for m in unsold[:SHOWN]:
            yield f"sector {name}: {cities[m]} produces it and can ship it nowhere (iceberg_cost is infinite)"
        buyers = len(cities)
        ties = np.zeros((buyers + sellers.size, buyers + sellers.size), bool)
        ties[:buyers, buyers:] = ships
        groups, member = connected_components(ties, directed=False)
        if groups > 1 and not alone.size and not unsold.size:
            other = int(np.flatnonzero(member[:buyers] != member[0])[0])
            yield (
                f"sector {name}: trade is disconnected into {groups} groups of cities, one of them with "
                f"{cities[0]}, another with {cities[other]}"
            )


RELATIONS: tuple[tuple[tuple[str, ...], Callable[[xr.Dataset], Iterator[str]]], ...] = (
    (("employment",), _employment_somewhere),
    (("employment", "distance_elasticity"), _local_employment),
    (("uses_land", "distance_elasticity"), _land_using),
    (("value_added_share", "input_share", "distance_elasticity", "uses_land"), _shares),
    (("employment", "distance_elasticity", "iceberg_cost"), _connected),
)
"""What relates variables to each other, with the variables that must be sound for it to be checked."""
