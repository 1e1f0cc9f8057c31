"""Checks of a data set against a table of variables, whatever places it is about."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import xarray as xr

from spatialjax.data.schema import Array, Variable, ordered_values, place_names, source_of
from spatialjax.errors import DataError

SHOWN = 3
"""Offending cells that one message lists."""

SMALLEST, LARGEST = 1e-100, 1e100
"""Sizes between which numbers of data are."""

SAME_PLACES = {"origin": "city"}
"""Dimensions over the places of another one, whose names messages take."""


def raise_all(data: xr.Dataset, problems: Sequence[str]) -> None:
    """Raise `DataError` listing the problems, if there are any."""
    if problems:
        raise DataError(source_of(data), problems)


def not_a_dataset(data: object) -> list[str]:
    """The problem of what is no data set at all."""
    return [f"an xarray.Dataset is needed, as load_data returns it, found {type(data).__name__}"]


def label_problems(data: xr.Dataset, dimension: str) -> Iterator[str]:
    """What is wrong with a dimension that must have labels, each of them once."""
    if dimension not in data.dims:
        yield f"dimension {dimension} is missing"
    elif dimension not in data.coords:
        yield f"dimension {dimension} has no labels: add a coordinate variable {dimension}"
    else:
        labels, counts = np.unique(data[dimension].values.astype(str), return_counts=True)
        if (counts > 1).any():
            yield f"dimension {dimension} has repeated labels: {', '.join(labels[counts > 1][:SHOWN])}"


def title_problems(data: xr.Dataset, dimension: str) -> Iterator[str]:
    """What is wrong with the names of places, where they have names beside their labels."""
    if "title" in data and data["title"].dims != (dimension,):
        yield f"variable title has dimensions ({', '.join(map(str, data['title'].dims))}); it must have ({dimension})"


def none_unused(data: xr.Dataset, name: str) -> Array | bool:
    """Every cell of every variable is used."""
    return False


def variable_problems(
    data: xr.Dataset,
    variables: Mapping[str, Variable],
    unused: Callable[[xr.Dataset, str], Array | bool] = none_unused,
) -> tuple[list[str], set[str]]:
    """What is wrong with variables, one by one, and the names of those that are there and sound.

    `unused` marks the cells of a variable that are never read, so that anything may stand there.
    """
    problems, sound = [], set()
    for name, variable in variables.items():
        found = list(_variable(data, name, variable, unused))
        if name in data and not found:
            sound.add(name)
        problems += found
    return problems, sound


def has_form(data: xr.Dataset, name: str, variable: Variable) -> bool:
    """Whether a variable that is there has the dimensions of its description and holds numbers."""
    return set(data[name].dims) == set(variable.dimensions) and data[name].dtype.kind in "fiub"


def _variable(data: xr.Dataset, name: str, variable: Variable, unused) -> Iterator[str]:
    """What is wrong with one variable: its presence, form, and values."""
    if name not in data:
        if variable.required:
            over = f" ({', '.join(variable.dimensions)})" if variable.dimensions else ""
            yield f"variable {name}{over} is missing: {variable.description}"
    elif set(data[name].dims) != set(variable.dimensions):
        wanted = f"have ({', '.join(variable.dimensions)})" if variable.dimensions else "be a single number"
        yield f"variable {name} has dimensions ({', '.join(map(str, data[name].dims))}); it must {wanted}"
    elif data[name].dtype.kind not in "fiub":
        yield f"variable {name} holds {data[name].dtype}; it must hold numbers"
    else:
        found = ordered_values(data, name, variable)
        used = ~np.asarray(unused(data, name))
        bad, extreme = used & ~variable.holds(found), used & _is_extreme(found)
        if bad.any():
            yield f"variable {name} must be {variable.wanted}, but {_cells(data, variable, found, bad)}"
        elif extreme.any():
            yield (
                f"variable {name} must be between {SMALLEST:g} and {LARGEST:g} in size where it is not zero, but "
                f"{_cells(data, variable, found, extreme)}: products of such numbers cannot be computed"
            )


def _is_extreme(values: Array) -> Array:
    """Which numbers are so large or small that products of a few of them are infinite or zero."""
    size = np.abs(values)
    return np.isfinite(size) & ((size > LARGEST) | ((size > 0) & (size < SMALLEST)))


def _cells(data: xr.Dataset, variable: Variable, found: Array, bad: Array) -> str:
    """The first of the bad cells by name, and how many more there are."""
    if not variable.dimensions:
        return f"is {found:g}"
    where = np.argwhere(bad)
    shown = "; ".join(f"{_label(data, variable, cell)}: {found[tuple(cell)]:g}" for cell in where[:SHOWN])
    more = f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
    return f"has {shown}{more}"


def _label(data: xr.Dataset, variable: Variable, cell: Array) -> str:
    return ", ".join(_names(data, name)[i] for name, i in zip(variable.dimensions, cell, strict=True))


def _names(data: xr.Dataset, dimension: str) -> list[str]:
    places = SAME_PLACES.get(dimension, dimension)
    same = places in data.dims and data.sizes[places] == data.sizes[dimension]
    return place_names(data, places if same else dimension)
