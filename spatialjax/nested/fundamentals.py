"""An economy from fundamentals: productivity, amenities, land, trade costs and people, without inversion."""

import difflib
from collections.abc import Iterator
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import xarray as xr

from spatialjax.cities.checks import check_choice, check_economy, check_module
from spatialjax.cities.economy import Economy, Labels
from spatialjax.cities.input_links import CityInputMix, NationalInputMix
from spatialjax.cities.location import (
    FixedEmployment,
    FreeMobility,
    Mobility,
    MobilityWithinGroups,
    PerfectMobility,
    group_of_city,
)
from spatialjax.cities.preferences import MultiplicativeAmenities, Preferences
from spatialjax.cities.spillovers import NoAmenitySpillover, NoSpillover
from spatialjax.cities.state import State
from spatialjax.errors import DataError
from spatialjax.numerics.safe_math import masked_log

CLOSURES = ("free", "perfect", "fixed")
AXES = {
    "productivity": ("city", "occupation", "sector"),
    "amenity": ("city", "occupation"),
    "land": ("city",),
    "consumption_share": ("sector",),
    "value_added_share": ("city", "sector"),
    "land_share": ("city", "sector"),
    "input_share": ("input", "sector"),
    "traded": ("sector",),
    "iceberg_cost": ("sector", "city", "origin"),
    "distance": ("city", "origin"),
    "tariff": ("sector", "city", "origin"),
}
"""Dimensions of each variable; one that lacks some of them is the same along these."""
MORE_AXES = {"consumption_share": ("city", "occupation"), "input_share": ("city",)}
"""Dimensions that a variable may have besides."""
KNOWN = (*AXES, "population", "country_of_city")
"""Every variable that there is."""
DEFAULTS = {"amenity": 1.0, "land": 1.0, "value_added_share": 1.0, "land_share": 0.0, "traded": True}
BOUNDS = {
    "iceberg_cost": (0.0, "above 0"),
    "distance": (0.0, "above 0"),
    "tariff": (-1.0, "a rate above -1, 0.05 for five percent"),
}


def economy_from_fundamentals(
    data: xr.Dataset,
    *,
    trade_elasticity=4.0,
    location_elasticity: float = 2.0,
    occupation_substitution: float = 2.0,
    distance_exponent=1.0,
    mobility: Literal["free", "perfect", "fixed"] = "free",
    spillover: Any = None,
    amenity_spillover: Any = None,
    preferences: Preferences | None = None,
    wage_bill: float | None = None,
) -> Economy:
    """An economy whose fundamentals are known, for [`solve`][]: nothing is inverted.

    Coordinates `city`, `occupation` and `sector` name its parts. A variable that lacks a dimension is the same along
    it, and all but the first two and trade costs may be left out. Labels of `origin` must be those of `city`, labels
    of `input` those of `sector`, in the same order. There are no other variables than these:

    | variable | dimensions | meaning, and what holds without it |
    | --- | --- | --- |
    | `productivity` | city, occupation, sector | lambda-hat; 0 where an occupation is not employed |
    | `population` | occupation; country, occupation; or city, occupation | people |
    | `iceberg_cost` | sector, city, origin | kappa, infinite where there is no trade |
    | `distance` | city, origin | kappa is distance to the power `distance_exponent`, in place of `iceberg_cost` |
    | `amenity` | city, occupation | A, 0 where an occupation cannot live; 1 |
    | `land` | city | H; 1 |
    | `consumption_share` | sector; and occupation, or city, or both | alpha; equal shares |
    | `value_added_share` | city, sector | gamma; 1, no inputs |
    | `land_share` | city, sector | beta; 0. A sector of land alone (1 and 1) is housing, and employs nobody |
    | `input_share` | input, sector; or city, input, sector | mu; sums to 1 over input |
    | `traded` | sector | whether its good is shipped; true |
    | `tariff` | sector, city, origin | rate on what a city buys from an origin, 0 at home; none |
    | `country_of_city` | city | the country within which its workers move; all are one |

    **Arguments:**

    - `trade_elasticity`, `distance_exponent`: a number, or one by sector.
    - `mobility`: "free" (with tastes, `location_elasticity`), "perfect" (without), or "fixed" (population by city).
      With `country_of_city` the first two are within countries.
    - `spillover`, `amenity_spillover`, `preferences`: as fields of [`Economy`][]; without them there
      are no spillovers, and amenities multiply consumption.
    - `wage_bill`: the numeraire; by default the number of people, so that the mean wage is 1.

    **Raises:** `DataError` with all that is wrong with the variables; `ModelError` where they make no economy.
    """
    check_choice("mobility", mobility, CLOSURES)
    spillover = NoSpillover() if spillover is None else spillover
    amenity_spillover = NoAmenitySpillover() if amenity_spillover is None else amenity_spillover
    check_module("spillover", spillover, "a shift of log productivity")
    check_module("amenity_spillover", amenity_spillover, "a shift of log amenity")
    if problems := list(_problems(data, mobility)):
        raise DataError("fundamentals", problems)
    filled = _filled(data)
    labels = Labels(*(tuple(map(str, data[axis].values)) for axis in ("city", "occupation", "sector")))
    people = _people(data)
    closure, population, start = _closure(data, mobility, people, filled["amenity"] > 0)
    bill = float(population.sum()) if wage_bill is None else wage_bill
    sectors = data.sizes["sector"]
    mix = filled.get("input_share", np.zeros((sectors, sectors)))
    economy = Economy(
        spillover=spillover,
        fundamental_productivity=jnp.asarray(filled["productivity"]),
        amenity=jnp.asarray(filled["amenity"]),
        trade_elasticity=jnp.asarray(trade_elasticity, float),
        location_elasticity=jnp.asarray(location_elasticity, float),
        occupation_substitution=jnp.asarray(occupation_substitution, float),
        consumption_share=jnp.asarray(_consumption_share(data)),
        value_added_share=jnp.asarray(filled["value_added_share"]),
        land_share=jnp.asarray(filled["land_share"]),
        input_links=(NationalInputMix if mix.ndim == 2 else CityInputMix)(jnp.asarray(mix)),
        log_iceberg_cost=jnp.asarray(_log_cost(filled, distance_exponent)),
        land=jnp.asarray(_land(filled)),
        population=jnp.asarray(population),
        wage_bill=jnp.asarray(bill, float),
        reference=flat_state(start, _land(filled), bill, sectors),
        traded=tuple(int(j) for j in np.flatnonzero(filled["traded"])),
        labels=labels,
        preferences=MultiplicativeAmenities() if preferences is None else preferences,
        amenity_spillover=amenity_spillover,
        mobility=closure,
        tariff=jnp.asarray(filled["tariff"]) if "tariff" in filled else None,
    )
    check_economy(economy)
    return economy


def flat_state(employment: np.ndarray, land: np.ndarray, wage_bill: float, sectors: int) -> State:
    """A start that knows only where people are: equal wages and prices, and spending in proportion to people."""
    people = employment.sum(1)
    spending = 2 * wage_bill * people / people.sum()
    return State(
        log_wage=jnp.where(jnp.asarray(employment) > 0, jnp.log(wage_bill / people.sum()), 0.0),
        log_employment=masked_log(jnp.asarray(employment)),
        log_rent=masked_log(jnp.asarray(np.where(land > 0, spending / np.where(land > 0, 4 * land, 1.0), 0.0))),
        log_price=jnp.zeros((len(people), sectors)),
        log_expenditure=jnp.broadcast_to(masked_log(jnp.asarray(spending / sectors))[:, None], (len(people), sectors)),
    )


def _problems(data: xr.Dataset, mobility: str) -> Iterator[str]:
    """What is wrong with the variables, in words."""
    missing = [axis for axis in ("city", "occupation", "sector") if axis not in data.coords]
    yield from (f"{axis}: no such coordinate; name each {axis} with assign_coords" for axis in missing)
    if missing:
        return
    yield from (_unknown(str(name)) for name in data.data_vars if name not in KNOWN)
    for name, same in (("origin", "city"), ("input", "sector")):
        if name in data.coords and data[name].values.tolist() != data[same].values.tolist():
            yield f"{name}: must have the labels of {same}, in the same order"
    for name in ("productivity", "population"):
        if name not in data:
            yield f"{name}: no such variable; add it"
    if "iceberg_cost" not in data and "distance" not in data:
        yield "iceberg_cost: neither it nor distance is there; add one, 1 everywhere where trade costs nothing"
    if ("value_added_share" in data and bool((data["value_added_share"] < 1).any())) and "input_share" not in data:
        yield "input_share: no such variable, but value_added_share is below 1; add it, or leave value_added_share out"
    for variable in data.data_vars:
        yield from _variable_problems(data, str(variable))
    if "population" in data:
        yield from _population_problems(data, mobility)


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, KNOWN, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(KNOWN)}"
    return f"{name}: no variable has this name; {remedy}"


def _variable_problems(data: xr.Dataset, name: str) -> Iterator[str]:
    if name not in KNOWN or name == "country_of_city":
        return
    dimensions = tuple(map(str, data[name].dims))
    allowed = (*AXES.get(name, dimensions), *MORE_AXES.get(name, ()))
    if others := [axis for axis in dimensions if axis not in allowed]:
        yield f"{name}: has dimension {', '.join(others)}; it may have {', '.join(allowed)}"
        return
    if data[name].dtype.kind not in "fiub":
        yield f"{name}: must hold numbers, found {data[name].dtype}"
        return
    values = data[name]
    may_be_infinite = name == "iceberg_cost"
    lowest, words = BOUNDS.get(name, (-np.inf, ""))
    bad = values.isnull() | ((abs(values) == np.inf) & (not may_be_infinite)) | (values <= lowest)
    if bool(bad.any()):
        at = tuple(int(i) for i in np.argwhere(bad.values)[0])
        wanted = words or "a number"
        yield f"{name}: found {values.values[at]:g} at {_place(values, at)}; must be {wanted}"


def _population_problems(data: xr.Dataset, mobility: str) -> Iterator[str]:
    wanted = _population_axes(data, mobility)
    if set(map(str, data["population"].dims)) != set(wanted):
        yield (
            f"population: has dimensions {', '.join(map(str, data['population'].dims))}; under {mobility} mobility"
            f"{' within countries' if len(wanted) == 2 and wanted[0] == 'country' else ''} it must have "
            f"{', '.join(wanted)}"
        )
        return
    if "country" in wanted:
        names = set(map(str, data["country_of_city"].values))
        listed = set(map(str, data["country"].values)) if "country" in data.coords else set()
        if names != listed:
            found, needed = (", ".join(sorted(some)) or "without names" for some in (listed, names))
            yield f"population: its countries are {found}; they must be those of country_of_city, {needed}"


def _population_axes(data: xr.Dataset, mobility: str) -> tuple[str, ...]:
    if mobility == "fixed":
        return ("city", "occupation")
    return ("country", "occupation") if "country_of_city" in data else ("occupation",)


def _place(values: xr.DataArray, at: tuple[int, ...]) -> str:
    pairs = zip(values.dims, at, strict=True)
    names = [str(values[axis].values[i]) if axis in values.coords else f"{axis} {i}" for axis, i in pairs]
    return ", ".join(names) or "its only place"


def _filled(data: xr.Dataset) -> dict[str, np.ndarray]:
    """Every variable with all its dimensions, defaults included; but for consumption shares, which may have more."""
    sizes = {axis: data.sizes[axis] for axis in ("city", "occupation", "sector")}
    sizes |= {"origin": sizes["city"], "input": sizes["sector"]}
    filled = {}
    for name, axes in AXES.items():
        if (name not in data and name not in DEFAULTS) or name == "consumption_share":
            continue
        values = data[name] if name in data else xr.DataArray(DEFAULTS[name])
        axes = ("city", *axes) if name == "input_share" and "city" in values.dims else axes
        values = values.drop_vars(list(values.coords)).expand_dims({a: sizes[a] for a in axes if a not in values.dims})
        filled[name] = values.transpose(*axes).values.astype(bool if name == "traded" else float)
    return filled


def _consumption_share(data: xr.Dataset) -> np.ndarray:
    sectors = data.sizes["sector"]
    if "consumption_share" not in data:
        return np.full(sectors, 1 / sectors)
    share = data["consumption_share"]
    if "sector" not in share.dims:
        share = share.expand_dims(sector=sectors)
    if "city" not in share.dims:
        return share.transpose(..., "sector").values.astype(float)
    by = share if "occupation" in share.dims else share.expand_dims(occupation=1)
    return by.transpose("city", "occupation", "sector").values.astype(float)


def _land(filled: dict[str, np.ndarray]) -> np.ndarray:
    return np.where((filled["land_share"] > 0).any(1), filled["land"], 0.0)


def _log_cost(filled: dict[str, np.ndarray], exponent) -> np.ndarray:
    traded = filled["traded"][:, None, None]
    elsewhere = ~np.eye(len(filled["land"]), dtype=bool)
    if "iceberg_cost" in filled:
        cost = np.log(filled["iceberg_cost"])
    else:
        power = np.broadcast_to(np.asarray(exponent, float), len(filled["traded"]))
        cost = power[:, None, None] * np.log(filled["distance"])
    return np.where(traded, cost, np.where(elsewhere, np.inf, 0.0))


def _people(data: xr.Dataset) -> np.ndarray:
    return data["population"].transpose(..., "occupation").values.astype(float)


def _closure(
    data: xr.Dataset, mobility: str, people: np.ndarray, lives: np.ndarray
) -> tuple[Mobility, np.ndarray, np.ndarray]:
    """The closure of location, population by occupation, and where people are to begin with."""
    if mobility == "fixed":
        return FixedEmployment(masked_log(jnp.asarray(people))), people.sum(0), people
    group = (0,) * len(lives)
    by_group = np.atleast_2d(people)
    if "country_of_city" in data:
        group, names = group_of_city(tuple(map(str, data["country_of_city"].values)))
        listed = list(map(str, data["population"]["country"].values))
        by_group = by_group[[listed.index(name) for name in names]]
    index = np.asarray(group)
    cities = np.stack([lives[index == g].sum(0) for g in range(len(by_group))])
    start = np.where(lives, (by_group / np.maximum(cities, 1))[index], 0.0)
    if mobility == "perfect":
        return PerfectMobility(group, jnp.asarray(by_group)), by_group.sum(0), start
    if "country_of_city" in data:
        return MobilityWithinGroups(group, jnp.asarray(by_group)), by_group.sum(0), start
    return FreeMobility(), by_group.sum(0), start
