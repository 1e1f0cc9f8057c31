"""Reading labelled results: by city, by occupation, and the words for axes."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import xarray as xr

from spatialjax.errors import ModelError

Array = np.ndarray
Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)
Pair = tuple[str, str]
"""Two occupations: the one whose share is drawn, and the one that it is compared with."""


def variable(result: xr.Dataset, name: str) -> xr.DataArray:
    """A variable of a result.

    **Raises:** `ModelError` where there is none of that name.
    """
    if name not in result:
        found = ", ".join(map(str, result.data_vars)) or "none"
        raise ModelError(f"this figure needs the variable {name}; the data set has {found}")
    return result[name]


def total_employment(result: xr.Dataset) -> Array:
    """Workers by city: `employment` summed over every dimension but city."""
    employment = variable(result, "employment")
    return employment.sum([name for name in employment.dims if name != "city"]).values.astype(float)


def employment_by_occupation(result: xr.Dataset) -> Array:
    """Workers (city, occupation): `employment` summed over any further dimensions."""
    employment = variable(result, "employment")
    employment = employment.sum([name for name in employment.dims if name not in ("city", "occupation")])
    return employment.transpose("city", "occupation").values.astype(float)


def employment_of(result: xr.Dataset, occupation: str) -> Array:
    """Workers of one occupation by city.

    **Raises:** `ModelError` where there is no such occupation.
    """
    return employment_by_occupation(result)[:, occupations(result).index(check_occupation(result, occupation))]


def employment_share(result: xr.Dataset, occupation: str) -> Array:
    """An occupation's share of employment by city; NaN where nobody works."""
    workers = total_employment(result)
    return employment_of(result, occupation) / np.where(workers > 0, workers, np.nan)


def occupations(result: xr.Dataset | xr.DataArray) -> list[str]:
    """Labels of the occupations, in order; an empty list where there are none."""
    return [str(label) for label in result["occupation"].values] if "occupation" in result.coords else []


def check_occupation(result: xr.Dataset | xr.DataArray, occupation: str | None) -> str:
    """The occupation, or the first one in place of None.

    **Raises:** `ModelError` where there is no such occupation.
    """
    known = occupations(result)
    if not known:
        raise ModelError("this figure needs results by occupation, with labels")
    if occupation is not None and occupation not in known:
        raise ModelError(f"no occupation is called {occupation}; there are {', '.join(known)}")
    return known[0] if occupation is None else occupation


def occupation_pair(result: xr.Dataset | xr.DataArray, chosen: Pair | None = None) -> Pair:
    """The two occupations that are compared, of which shares and premia are the first's.

    **Arguments:**

    - `chosen`: their labels; by default those of the only two that there are.

    **Raises:** `ModelError` where a chosen one is not there, the two are one, or, with none chosen, there are not
    exactly two.
    """
    labels = occupations(result)
    if chosen is not None:
        first, second = (check_occupation(result, name) for name in chosen)
        if first == second:
            raise ModelError(f"this figure compares two occupations, found {first} twice")
        return first, second
    if len(labels) != 2:
        found = ", ".join(labels) or "no occupation labels"
        raise ModelError(
            f"this figure compares two occupations, found {len(labels)} ({found}); "
            "name two, occupations=(..., ...), or select them, for example results.sel(occupation=[...])"
        )
    return labels[0], labels[1]


def common_pair(*results: xr.Dataset | xr.DataArray, chosen: Pair | None = None) -> Pair:
    """The two occupations that are compared in all of them, by default the only two that they have.

    **Raises:** `ModelError` where one lacks a chosen occupation; with none chosen, unless they are the same two in the
    same order.
    """
    pairs = [occupation_pair(result, chosen) for result in results]
    if len(set(pairs)) > 1:
        raise ModelError(f"results are of different occupations: {' and '.join(map(str, pairs))}")
    return pairs[0]


def places(result: xr.Dataset | xr.DataArray, names: Sequence[str]) -> list[int]:
    """Where occupations stand among those of a result."""
    return [occupations(result).index(name) for name in names]


def match_cities(values: Labelled, result: xr.Dataset) -> Labelled:
    """The values of the result's cities, in its order.

    **Raises:** `ModelError` where `values` lack a city.
    """
    known = set(values["city"].values.tolist())
    missing = [str(city) for city in result["city"].values.tolist() if city not in known]
    if missing:
        raise ModelError(f"values lack {len(missing)} of the cities of the data, first {missing[0]}")
    return values.sel(city=result["city"].values)


def by_city(values: xr.DataArray, result: xr.Dataset) -> Array:
    """One value for each of the result's cities, in its order.

    **Raises:** `ModelError` where `values` have further dimensions, lack a city, or none is finite.
    """
    if values.dims != ("city",):
        raise ModelError(
            f"this figure takes one value per city, found dimensions {values.dims}: select the others, "
            "for example values.sel(occupation=...)"
        )
    value = match_cities(values, result).values.astype(float)
    if not np.isfinite(value).any():
        raise ModelError("this figure needs at least one finite value")
    return value


def kept_cities(result: xr.Dataset, omit: Sequence[str]) -> Array:
    """Which of the result's cities are not among those to `omit`, as a mask.

    **Raises:** `ModelError` where a city to omit is not in the result.
    """
    cities = result["city"].values.tolist()
    unknown = [str(city) for city in omit if city not in cities]
    if unknown:
        raise ModelError(f"cities to leave out are not in the data: {', '.join(unknown)}")
    return ~np.isin(result["city"].values, list(omit)) if len(omit) else np.ones(len(cities), bool)


def city_names(cities: Sequence[str], *results: xr.Dataset) -> str:
    """Names of cities in a sentence, from `title` of the first result that has it; codes where none has."""
    titled = [result for result in results if "title" in result.variables and result["title"].dims == ("city",)]
    names = [str(titled[0]["title"].sel(city=city).item()) if titled else str(city) for city in cities]
    return "; ".join(names)


def point_names(result: xr.Dataset) -> Array:
    """What each city is called: its `title`, or its code."""
    named = "title" in result.variables and result["title"].dims == ("city",)
    return result["title" if named else "city"].values.astype(str)


def wage_premium(result: xr.Dataset, pair: Pair) -> Array:
    """Log wage of the first over the second of a pair by city; NaN where one of them is not employed."""
    wage = variable(result, "wage").transpose("city", "occupation").values.astype(float)
    paid = np.isfinite(wage) & (wage > 0) & (employment_by_occupation(result) > 0)
    log_wage = np.where(paid, np.log(np.where(paid, wage, 1.0)), np.nan)
    first, second = places(result, pair)
    return log_wage[:, first] - log_wage[:, second]


def wage_bill(result: xr.Dataset) -> xr.DataArray:
    """Wages paid (city, occupation, sector), zero where nobody works.

    **Raises:** `ModelError` where employment by sector is not in the result.
    """
    name = "employment_by_sector" if "employment_by_sector" in result else "employment"
    employment = variable(result, name)
    if "sector" not in employment.dims:
        raise ModelError("this figure needs employment by sector: the variable employment_by_sector")
    bill = (variable(result, "wage") * employment).where(employment > 0, 0.0)
    return bill.transpose("city", "occupation", "sector")


def wedge_gap(result: xr.Dataset | xr.DataArray, pair: Pair) -> Array:
    """The first occupation's wedge less the second's of a pair by city, in thousands of their unit."""
    wedge = variable(result, "wedge") if isinstance(result, xr.Dataset) else result
    values = wedge.transpose("city", "occupation").values.astype(float)
    first, second = places(wedge, pair)
    return (values[:, first] - values[:, second]) / 1000.0


def percent_change(before: Array, after: Array) -> Array:
    """Change in percent of what was there before; NaN where nothing was."""
    return 100.0 * (after / np.where(before > 0, before, np.nan) - 1.0)


def describe(values: xr.DataArray) -> str:
    """A label from attributes: long_name, or the name, and units in brackets where there are any."""
    name = str(values.attrs.get("long_name") or values.name or "")
    units = str(values.attrs.get("units") or "1")
    return (name[:1].upper() + name[1:] + ("" if units == "1" else f" ({units})")).strip()
