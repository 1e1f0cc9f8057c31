"""Checks of a city data set: everything that is wrong with it, at once and by name."""

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr

from spatialjax.data.schema import VARIABLES, Variable, city_names, source_of, traded_sectors, values
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

    Values are checked in every variable of the right form, and what relates variables to each other
    wherever the variables concerned are sound.
    """
    if not isinstance(data, xr.Dataset):
        return [f"an xarray.Dataset is needed, as load_data returns it, found {type(data).__name__}"]
    problems = list(_dimensions(data))
    sound = set()
    for name, variable in VARIABLES.items():
        found = list(_variable(data, name, variable))
        if name in data and not found:
            sound.add(name)
        problems += found
    if not {"latitude", "longitude"} <= set(data) and "distance" not in data and "iceberg_cost" not in data:
        problems.append("no geography: give latitude and longitude, or distance (city, origin), or iceberg_cost")
    for needed, relation in RELATIONS:
        if set(needed) <= sound:
            problems += relation(data)
    return problems


def _dimensions(data: xr.Dataset) -> Iterator[str]:
    for dimension in ("city", "occupation", "sector", "input"):
        if dimension not in data.dims:
            yield f"dimension {dimension} is missing"
        elif dimension not in data.coords:
            yield f"dimension {dimension} has no labels: add a coordinate variable {dimension}"
        else:
            yield from _repeated(data, dimension)
    yield from _same_labels(data, "input", "sector")
    yield from _same_labels(data, "origin", "city")


def _variable(data: xr.Dataset, name: str, variable: Variable) -> Iterator[str]:
    """What is wrong with one variable: its presence, form, and values."""
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
    else:
        bad = ~variable.holds(values(data, name)) & ~_unused_cells(data, name)
        if bad.any():
            yield _cells(data, name, bad, f"must be {variable.wanted}")


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


def _unused_cells(data: xr.Dataset, name: str) -> np.ndarray:
    """Cells whose values are never used, so that anything may stand there."""
    shape = values(data, name).shape
    if name == "wage" and _has_form(data, "employment"):
        return np.nan_to_num(values(data, "employment")).sum(2) == 0
    if name == "nontradable_price" and _has_form(data, "distance_elasticity"):
        return np.broadcast_to(traded_sectors(data), shape)
    if name == "iceberg_cost" and _has_form(data, "distance_elasticity"):
        return np.broadcast_to(~traded_sectors(data)[:, None, None], shape)
    return np.zeros(shape, bool)


def _has_form(data: xr.Dataset, name: str) -> bool:
    return name in data and set(data[name].dims) == set(VARIABLES[name].dimensions) and data[name].dtype.kind in "fiub"


def _cells(data: xr.Dataset, name: str, bad: np.ndarray, reason: str) -> str:
    found = values(data, name)
    where = np.argwhere(bad)
    shown = "; ".join(f"{_label(data, name, cell)}: {found[tuple(cell)]:g}" for cell in where[:SHOWN])
    more = f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
    return f"variable {name} {reason}, but has {shown}{more}"


def _label(data: xr.Dataset, name: str, cell: np.ndarray) -> str:
    dimensions = VARIABLES[name].dimensions
    named = {"city": city_names(data), "origin": city_names(data)}
    labels = [named[d] if d in named else _names(data, d) for d in dimensions]
    return ", ".join(names[i] for names, i in zip(labels, cell, strict=True))


def _employment_somewhere(data: xr.Dataset) -> Iterator[str]:
    employment = values(data, "employment")
    yield from _empty(employment.sum((1, 2)), "city", city_names(data))
    yield from _empty(employment.sum((0, 2)), "occupation", _names(data, "occupation"))
    yield from _empty(employment.sum((0, 1)), "sector", _names(data, "sector"))


def _local_employment(data: xr.Dataset) -> Iterator[str]:
    employment, cities, sectors = values(data, "employment"), city_names(data), _names(data, "sector")
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
    names = np.asarray(_names(data, "sector"))[land]
    if land.sum() != 1:
        yield f"uses_land must mark exactly one sector, but marks {', '.join(map(str, names)) or 'none'}"
    elif traded_sectors(data)[land].any():
        yield f"sector {names[0]} uses land and cannot be traded: its distance_elasticity must be NaN"


def _shares(data: xr.Dataset) -> Iterator[str]:
    inputs = values(data, "input_share").sum(0)
    total = values(data, "value_added_share") + inputs
    local = ~traded_sectors(data) & ~data["uses_land"].values.astype(bool)
    for j, name in enumerate(_names(data, "sector")):
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
        name = _names(data, "sector")[j]
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


def _names(data: xr.Dataset, dimension: str) -> list[str]:
    """Labels of a dimension; positions where it has none."""
    return [
        str(name) for name in (data[dimension].values if dimension in data.coords else range(data.sizes[dimension]))
    ]


RELATIONS: tuple[tuple[tuple[str, ...], Callable[[xr.Dataset], Iterator[str]]], ...] = (
    (("employment",), _employment_somewhere),
    (("employment", "distance_elasticity"), _local_employment),
    (("uses_land", "distance_elasticity"), _land_using),
    (("value_added_share", "input_share", "distance_elasticity", "uses_land"), _shares),
    (("employment", "distance_elasticity", "iceberg_cost"), _connected),
)
"""What relates variables to each other, with the variables that must be sound for it to be checked."""
