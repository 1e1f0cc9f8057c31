"""What moves prices and unit costs between two equilibria of an economy (SH section I and Figure 2).

All changes are of natural logarithms, after less before, and components add up to what they decompose.
"""

import jax.numpy as jnp
import numpy as np
import xarray as xr

from spatialjax.cities.cost_forms import log_own_cost
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.flows import SectorGroups, group_members, log_own_trade_share
from spatialjax.cities.labour import LabourTechnology
from spatialjax.errors import ModelError
from spatialjax.numerics.safe_math import masked_log
from spatialjax.typing import CityOccupationSector, CitySector

Array = np.ndarray

PRICE_COMPONENTS = {
    "price": "change of log price",
    "unit_cost": "change of log unit cost in the city",
    "variety": "change of log own-trade share over the trade elasticity: varieties bought elsewhere",
    "not_produced": "change of log price of goods that the city does not produce",
}
"""The change of prices and, after it, its components."""

UNIT_COST_COMPONENTS = {
    "unit_cost": "change of log unit cost",
    "wages": "contribution of wages",
    "tfp": "contribution of productivity, negative where it rises",
    "land_rent": "contribution of the rent of land and structures",
    "inputs": "contribution of the prices of inputs",
    "remainder": "contribution of substitution between occupations: all that is not first order",
}
"""The change of unit costs and, after it, its components."""

CONSISTENCY = 1e-4
"""Largest gap, in logs, between an equilibrium's prices and those that the economy implies at its wages."""


def price_decomposition(economy: Economy, before: Equilibrium, after: Equilibrium, data: xr.Dataset) -> xr.Dataset:
    """Changes of prices, by what happens to local costs and to the varieties that are bought elsewhere.

    dlog P[n, j] = dlog x[n, j] + (1 / theta) dlog pi[j, n, n], exactly: pi[j, n, n] = (kappa[j, n, n]
    x[n, j] / P[n, j])^(-theta). SH print the second term with a minus; the derivation gives a plus, so that
    spending more elsewhere (a lower own-trade share) lowers the price. It is zero in sectors that are not
    traded.

    A city has no unit cost of goods that it does not produce (or has one, but cannot sell to itself): there
    the change of price is the third component, `not_produced`, and the other two are zero. No element is
    missing.

    **Arguments:**

    - `economy`: its trade costs and trade elasticity hold at both equilibria.
    - `before`, `after`: two equilibria of it, for instance under two income rules.
    - `data`: for labels, as in [`Equilibrium.to_xarray`][].

    **Returns:** `price`, `unit_cost`, `variety` and `not_produced`, log points (city, sector);
    `produced`, whether the city sells the good to itself; and the weight of [`by_sector_group`][],
    `expenditure` before, in dollars.

    **Raises:** `ModelError` where an equilibrium is not one of this economy.
    """
    _check_equilibria(economy, before, after)
    old, new = before.to_xarray(data), after.to_xarray(data)
    own = [old["price"].copy(data=np.asarray(log_own_trade_share(economy, found))) for found in (before, after)]
    produced = own[0] > -np.inf
    theta = xr.DataArray(np.broadcast_to(economy.trade_elasticity, old.sizes["sector"]), dims="sector")
    price = _log_change(old["price"], new["price"])
    parts = {
        "price": price,
        "unit_cost": _log_change(old["unit_cost"], new["unit_cost"]).where(produced, 0.0),
        "variety": (own[1].where(produced, 0.0) - own[0].where(produced, 0.0)) / theta,
        "not_produced": price.where(~produced, 0.0),
    }
    return _decomposition(parts, PRICE_COMPONENTS, produced, old["expenditure"])


def unit_cost_decomposition(economy: Economy, before: Equilibrium, after: Equilibrium, data: xr.Dataset) -> xr.Dataset:
    """Changes of unit costs, by the prices of what production uses and by productivity (SH eq. 2).

    dlog x[n, j] = gamma (1 - beta) sum_k omega[n, k, j] (dlog w[n, k] - dlog lambda[n, k, j])
    + gamma beta dlog r[n] + sum_i G[n, i, j] dlog P[n, i] + remainder, where omega is the occupation's share
    in the wage bill of the sector in the city before. SH have no rent of land; real estate needs it. Wages
    and productivity are given apart. The remainder is exact and of second order: unit costs are Cobb-Douglas
    but for the aggregate of occupations, and so it is zero with one occupation.

    **Arguments:**

    - `economy`: its shares, input links and substitution of occupations hold at both equilibria.
    - `before`, `after`: two equilibria of it; productivity may differ, by externalities or fundamentals.
    - `data`: for labels, as in [`Equilibrium.to_xarray`][].

    **Returns:** `unit_cost` and its components `wages`, `tfp`, `land_rent`, `inputs` and `remainder`, log
    points (city, sector), not a number where the city does not produce the good; `produced`, where it does;
    and the weight of [`by_sector_group`][], `gross_output` before, in dollars, zero where it does not.

    **Raises:** `ModelError` where an equilibrium is not one of this economy.
    """
    _check_equilibria(economy, before, after)
    old, new = before.to_xarray(data), after.to_xarray(data)
    cells = ("city", "sector")
    value_added = xr.DataArray(np.asarray(economy.value_added_share), dims=cells)
    land = xr.DataArray(np.asarray(economy.land_share), dims=cells)
    wage_bill = old["wage"] * old["employment_by_sector"]
    total = wage_bill.sum("occupation")
    labour = value_added * (1 - land) * wage_bill / total.where(total > 0, 1.0)
    log_price = _log_change(old["price"], new["price"])
    inputs = economy.input_links.log_cost(jnp.asarray(log_price.values), economy.value_added_share)
    parts = {
        "wages": (labour * _log_change(old["wage"], new["wage"])).sum("occupation"),
        "tfp": -(labour * _log_change(old["productivity"], new["productivity"])).sum("occupation"),
        "land_rent": value_added * land * _log_change(old["rent"], new["rent"]),
        "inputs": log_price.copy(data=np.asarray(inputs)),
    }
    unit_cost = _log_change(old["unit_cost"], new["unit_cost"])
    produced = old["unit_cost"] < np.inf
    parts = {"unit_cost": unit_cost, **parts, "remainder": unit_cost - sum(parts.values())}
    parts = {name: part.where(produced) for name, part in parts.items()}
    return _decomposition(parts, UNIT_COST_COMPONENTS, produced, old["gross_output"])


def by_sector_group(decomposition: xr.Dataset, groups: SectorGroups) -> xr.Dataset:
    """A decomposition by groups of sectors (SH Figure 2): means with the weights of the equilibrium before.

    Prices are weighted by the city's expenditure and unit costs by its gross output. Components still add
    up, for means are linear. What a city does not produce has no gross output and no part in its unit
    costs; in its prices it is `not_produced` alone, and `not_produced_share` says how much it weighs.

    **Arguments:**

    - `decomposition`: as [`price_decomposition`][] or [`unit_cost_decomposition`][] returns it.
    - `groups`: the name of each sector's group.

    **Returns:** its variables (sector_group, city), not a number where all weights are zero, as in the unit
    costs of a group of which the city produces nothing; the weight (dollars, summed over the group); and for
    prices `not_produced_share`, the share of the weight on goods that the city does not produce.

    **Raises:** `ModelError` unless there is one name for each sector.
    """
    weight_name = decomposition.attrs["weight"]
    weight, produced = decomposition[weight_name], decomposition["produced"]
    members = group_members(groups, decomposition["sector"])
    total = xr.dot(members, weight, dim="sector")

    def mean(values: xr.DataArray) -> xr.DataArray:
        weighted = weight * values.where(weight > 0, 0.0)
        return xr.dot(members, weighted, dim="sector") / total.where(total > 0)

    names = [name for name in decomposition.data_vars if name not in (weight_name, "produced")]
    grouped = {name: mean(decomposition[name]).assign_attrs(decomposition[name].attrs) for name in names}
    if "not_produced" in grouped:
        described = {"long_name": "share of expenditure on goods that the city does not produce", "units": "1"}
        grouped["not_produced_share"] = mean((~produced).astype(float)).assign_attrs(described)
    grouped[weight_name] = total.assign_attrs(weight.attrs)
    return xr.Dataset(grouped, attrs=decomposition.attrs)


def _decomposition(
    parts: dict[str, xr.DataArray], descriptions: dict[str, str], produced: xr.DataArray, weight: xr.DataArray
) -> xr.Dataset:
    """The parts with their descriptions, and what aggregation needs."""
    variables = {
        name: parts[name].transpose("city", "sector").assign_attrs(long_name=long_name, units="log points")
        for name, long_name in descriptions.items()
    }
    variables["produced"] = produced.assign_attrs(long_name="whether the city produces the good", units="1")
    weight = weight.assign_attrs(long_name=f"{weight.attrs['long_name']}, before")
    missing = int((~produced).sum())
    return xr.Dataset(
        {**variables, str(weight.name): weight}, attrs={"weight": weight.name, "cells_not_produced": missing}
    )


def _log_change(before: xr.DataArray, after: xr.DataArray) -> xr.DataArray:
    """Log after less log before, zero where either is zero or infinite: cells that weigh nothing."""
    known = (before > 0) & (after > 0) & (before < np.inf) & (after < np.inf)
    log_before, log_after = (xr.apply_ufunc(np.log, values.where(known, 1.0)) for values in (before, after))
    return log_after - log_before


def _check_equilibria(economy: Economy, before: Equilibrium, after: Equilibrium) -> None:
    for name, found in (("before", before), ("after", after)):
        _check_prices(economy, found, name)
    employed = _employed(before) != _employed(after)
    if employed.any():
        n, k, j = (int(i) for i in np.argwhere(employed)[0])
        labels = economy.labels
        raise ModelError(
            f"{labels.occupation[k]} can work in {labels.sector[j]} of {labels.city[n]} at only one of the two "
            "equilibria: a decomposition needs the same cells to be active before and after"
        )


def _employed(found: Equilibrium) -> Array:
    """Where an occupation can work in a sector of a city (city, occupation, sector)."""
    return np.asarray((found.productivity > 0) & (found.wage > 0)[:, :, None])


def _check_prices(economy: Economy, found: Equilibrium, name: str) -> None:
    """Refuse an equilibrium whose costs or prices do not follow from this economy's technology and geography."""
    log_unit_cost = np.asarray(masked_log(jnp.where(jnp.isfinite(found.unit_cost), found.unit_cost, 0.0)))
    log_own = np.asarray(log_own_trade_share(economy, found))
    own_cost = np.asarray(log_own_cost(economy))
    with np.errstate(invalid="ignore"):
        log_price = own_cost + log_unit_cost + log_own / np.asarray(economy.trade_elasticity)
    gaps = {
        "unit cost": np.where(_employed(found).any(1), log_unit_cost - _implied_unit_cost(economy, found), 0.0),
        "price": np.where(log_own > -np.inf, np.log(found.price) - log_price, 0.0),
    }
    for kind, gap in gaps.items():
        if not (np.abs(gap) < CONSISTENCY).all():
            n, j = np.unravel_index(np.argmax(np.nan_to_num(np.abs(gap), nan=np.inf)), gap.shape)
            raise ModelError(
                f"`{name}` is not an equilibrium of this economy: the log {kind} of {economy.labels.sector[j]} in "
                f"{economy.labels.city[n]} is {gap[n, j]:.2g} off what the economy's shares, elasticities and trade "
                "costs imply; both equilibria must have them in common"
            )


def _implied_unit_cost(economy: Economy, found: Equilibrium) -> CitySector:
    """Log unit cost from the equilibrium's wages, productivity, rents and prices (CH eq. 5)."""
    productivity: CityOccupationSector = jnp.where(found.wage[:, :, None] > 0, found.productivity, 0.0)
    technology = LabourTechnology.of(productivity, economy.occupation_substitution)
    log_labour_cost, _ = technology.hire(masked_log(found.wage), jnp.zeros_like(productivity))
    factors = (1 - economy.land_share) * log_labour_cost + economy.land_share * masked_log(found.rent)[:, None]
    inputs = economy.input_links.log_cost(jnp.log(found.price), economy.value_added_share)
    return economy.value_added_share * factors + inputs
