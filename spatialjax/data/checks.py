"""Checks of a city data set: everything that is wrong with it, at once and by name."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from spatialjax.data.schema import VARIABLES, city_names, source_of, traded_sectors, values
from spatialjax.errors import DataError

SHOWN = 3
"""Offending cells that one message lists."""
SHARE_TOLERANCE = 1e-6


def check_data(data: xr.Dataset) -> None:
    """Raise `DataError` listing every problem that [`find_problems`][] finds."""
    problems = find_problems(data)
    if problems:
        raise DataError(source_of(data), problems)


def find_problems(data: xr.Dataset) -> list[str]:
    """Everything that keeps a data set from being read as a city economy; empty if nothing does.

    Structure is checked first, then values, then what relates variables to each other: each stage only
    where the one before found nothing, because its messages would mean nothing otherwise.
    """
    for stage in (_structure, _cell_values, _relations):
        problems = list(stage(data))
        if problems:
            return problems
    return []


def _structure(data: xr.Dataset) -> Iterator[str]:
    for dimension in ("city", "occupation", "sector", "input"):
        if dimension not in data.dims:
            yield f"dimension {dimension} is missing"
        elif dimension not in data.coords:
            yield f"dimension {dimension} has no labels: add a coordinate variable {dimension}"
        else:
            yield from _repeated(data, dimension)
    for name, variable in VARIABLES.items():
        if name not in data:
            if variable.required:
                yield f"variable {name} ({', '.join(variable.dimensions)}) is missing: {variable.description}"
        elif set(data[name].dims) != set(variable.dimensions):
            yield (
                f"variable {name} has dimensions ({', '.join(map(str, data[name].dims))}); "
                f"it must have ({', '.join(variable.dimensions)})"
            )
        elif data[name].dtype.kind not in "fiub":
            yield f"variable {name} holds {data[name].dtype}; it must hold numbers"
    if not {"latitude", "longitude"} <= set(data) and "distance" not in data and "iceberg_cost" not in data:
        yield "no geography: give latitude and longitude, or distance (city, origin), or iceberg_cost"
    yield from _same_labels(data, "input", "sector")
    yield from _same_labels(data, "origin", "city")


def _repeated(data: xr.Dataset, dimension: str) -> Iterator[str]:
    labels, counts = np.unique(data[dimension].values.astype(str), return_counts=True)
    if (counts > 1).any():
        yield f"dimension {dimension} has repeated labels: {', '.join(labels[counts > 1][:SHOWN])}"


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


def _cell_values(data: xr.Dataset) -> Iterator[str]:
    for name, variable in VARIABLES.items():
        if name in data:
            ignored = _unused_cells(data, name)
            bad = ~variable.holds(values(data, name)) & ~ignored
            if bad.any():
                yield _cells(data, name, bad, f"must be {variable.wanted}")


def _unused_cells(data: xr.Dataset, name: str) -> np.ndarray:
    """Cells whose values are never used, so that anything may stand there."""
    shape = values(data, name).shape
    if name == "wage" and data["employment"].dtype.kind in "fiu":
        return np.nan_to_num(values(data, "employment")).sum(2) == 0
    if name == "nontradable_price":
        return np.broadcast_to(traded_sectors(data), shape)
    if name == "iceberg_cost":
        return np.broadcast_to(~traded_sectors(data)[:, None, None], shape)
    return np.zeros(shape, bool)


def _cells(data: xr.Dataset, name: str, bad: np.ndarray, reason: str) -> str:
    found = values(data, name)
    where = np.argwhere(bad)
    shown = "; ".join(f"{_label(data, name, cell)}: {found[tuple(cell)]:g}" for cell in where[:SHOWN])
    more = f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
    return f"variable {name} {reason}, but has {shown}{more}"


def _label(data: xr.Dataset, name: str, cell: np.ndarray) -> str:
    dimensions = VARIABLES[name].dimensions
    named = {"city": city_names(data), "origin": city_names(data)}
    labels = [named.get(d, data[d].values if d in data.coords else None) for d in dimensions]
    return ", ".join(str(i if names is None else names[i]) for names, i in zip(labels, cell, strict=True))


def _relations(data: xr.Dataset) -> Iterator[str]:
    employment = values(data, "employment")
    cities, sectors = city_names(data), data["sector"].values
    yield from _empty(employment.sum((1, 2)), "city", cities)
    yield from _empty(employment.sum((0, 2)), "occupation", data["occupation"].values)
    yield from _empty(employment.sum((0, 1)), "sector", sectors)
    yield from _land_using(data)
    yield from _shares(data)
    traded = traded_sectors(data)
    for j in np.flatnonzero(~traded):
        for n in np.flatnonzero(employment[:, :, j].sum(1) == 0)[:SHOWN]:
            yield (
                f"sector {sectors[j]} is not traded, but nobody works in it in {cities[n]}: "
                "nobody could supply that city"
            )
    if "iceberg_cost" in data:
        yield from _connected(data)


def _empty(totals: np.ndarray, dimension: str, names) -> Iterator[str]:
    if (totals == 0).any():
        yield f"no employment in {dimension} {', '.join(str(names[i]) for i in np.flatnonzero(totals == 0)[:SHOWN])}"


def _land_using(data: xr.Dataset) -> Iterator[str]:
    land = data["uses_land"].values.astype(bool)
    names = data["sector"].values[land]
    if land.sum() != 1:
        yield f"uses_land must mark exactly one sector, but marks {', '.join(map(str, names)) or 'none'}"
    elif traded_sectors(data)[land].any():
        yield f"sector {names[0]} uses land and cannot be traded: its distance_elasticity must be NaN"


def _shares(data: xr.Dataset) -> Iterator[str]:
    inputs = values(data, "input_share").sum(0)
    total = values(data, "value_added_share") + inputs
    local = ~traded_sectors(data) & ~data["uses_land"].values.astype(bool)
    for j, name in enumerate(data["sector"].values):
        if abs(total[j] - 1) > SHARE_TOLERANCE:
            yield f"sector {name}: value_added_share and input_share sum to {total[j]:.6f}, not 1"
        if local[j] and inputs[j] == 0:
            yield f"sector {name} is not traded and buys no inputs: its city-specific input share has nothing to act on"


def _connected(data: xr.Dataset) -> Iterator[str]:
    """Trade must tie all cities together: without ties, relative unit costs are not determined."""
    from scipy.sparse.csgraph import connected_components

    cost, employment = values(data, "iceberg_cost"), values(data, "employment")
    cities = np.array(city_names(data))
    for j in np.flatnonzero(traded_sectors(data)):
        name = data["sector"].values[j]
        produces = employment[:, :, j].sum(1) > 0
        ships = np.isfinite(cost[j]) & produces
        for n in np.flatnonzero(~ships.any(1))[:SHOWN]:
            yield f"sector {name}: no city that produces it can ship to {cities[n]} (iceberg_cost is infinite)"
        groups, member = connected_components(ships, directed=False)
        if groups > 1 and ships.any(1).all():
            yield (
                f"sector {name}: trade is disconnected into {groups} groups of cities, one of them around "
                f"{cities[member == member[0]][0]}, another around {cities[member != member[0]][0]}"
            )
