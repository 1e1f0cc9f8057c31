"""Trade flows, formed for reports: a solve never needs them."""

from collections.abc import Hashable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float

from spatialjax.cities.cost_forms import log_cost_array
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.trade import Geography, TradeCosts
from spatialjax.errors import ModelError
from spatialjax.numerics.safe_math import masked_divide, masked_log
from spatialjax.typing import CitySector, SectorCityOrigin

SectorGroups = xr.DataArray | Sequence[str]
"""The name of each sector's group: by sector label, or in the order of the sectors."""


@eqx.filter_jit
def expenditure_share(economy: Economy, equilibrium: Equilibrium) -> SectorCityOrigin:
    """pi[j, n, m], the share of city n's expenditure on sector j that goes to m (CH section 3.2).

    Sums to one over m. One element for each sector and pair of cities: 26 MB for 382 cities and 22 sectors.

    **Raises:** `ModelError` where trade costs are not stored and such an array would exceed
    `cost_forms.LARGEST_ARRAY`.
    """
    return jax.nn.softmax(_log_strength(economy, equilibrium), axis=2)


@eqx.filter_jit
def log_own_trade_share(economy: Economy, equilibrium: Equilibrium) -> CitySector:
    """Log pi[j, n, n], of the share of its expenditure on a sector that a city spends at home.

    Minus infinity where the city does not produce the good; zero in sectors that are not traded.
    """
    if isinstance(economy.log_iceberg_cost, TradeCosts):
        return masked_log(_own_share_from_products(economy, equilibrium), -jnp.inf)
    return jnp.einsum("jnn->nj", jax.nn.log_softmax(_log_strength(economy, equilibrium), axis=2))


@eqx.filter_jit
def own_trade_share(economy: Economy, equilibrium: Equilibrium) -> CitySector:
    """pi[j, n, n], the share of its expenditure on a sector that a city spends at home.

    Zero where the city does not produce the good; one in sectors that are not traded.
    """
    if isinstance(economy.log_iceberg_cost, TradeCosts):
        return _own_share_from_products(economy, equilibrium)
    return jnp.einsum("jnn->nj", expenditure_share(economy, equilibrium))


def _own_share_from_products(economy: Economy, equilibrium: Equilibrium) -> CitySector:
    """Own-trade shares by one product with the kernel, which need not be stored."""
    geography = Geography.of(economy.log_iceberg_cost, economy.trade_elasticity, economy.traded)
    sells = equilibrium.unit_cost < jnp.inf
    strength, _ = geography.seller_strength(jnp.log(jnp.where(sells, equilibrium.unit_cost, 1.0)), sells)
    share = geography.kernel.own() * strength / geography.kernel.apply(strength)
    return geography.replace(jnp.ones_like(equilibrium.unit_cost), share)


def _log_strength(economy: Economy, equilibrium: Equilibrium) -> SectorCityOrigin:
    """-theta log(kappa[j, n, m] x[m, j]), minus infinity where m does not sell to n; with finite derivatives."""
    elasticity = jnp.broadcast_to(economy.trade_elasticity, equilibrium.unit_cost.shape[1:])[:, None, None]
    unit_cost = equilibrium.unit_cost.T[:, None, :]
    log_iceberg_cost = log_cost_array(economy, "expenditure shares")
    if economy.tariff is not None:
        log_iceberg_cost = log_iceberg_cost + jnp.log1p(economy.tariff)
    sells = (unit_cost < jnp.inf) & (log_iceberg_cost < jnp.inf)
    log_iceberg_cost = jnp.where(sells, log_iceberg_cost, 0.0)
    log_cost = log_iceberg_cost + jnp.log(jnp.where(sells, unit_cost, 1.0))
    return jnp.where(sells, -elasticity * log_cost, -jnp.inf)


def group_members(groups: SectorGroups, sector: xr.DataArray) -> xr.DataArray:
    """One where a sector is of a group and zero elsewhere (sector_group, sector), groups in order of appearance.

    **Arguments:**

    - `groups`: the name of each sector's group, such as the `sector_group` of a data set; matched by label
      where it is labelled.
    - `sector`: the sectors' labels.

    **Raises:** `ModelError` unless there is one name for each sector.
    """
    if isinstance(groups, xr.DataArray) and "sector" in groups.coords:
        unknown = sorted({str(s) for s in sector.values} - {str(s) for s in groups["sector"].values})
        if unknown:
            raise ModelError(f"groups have no name for {', '.join(unknown)}: name the group of every sector")
        groups = groups.sel(sector=sector.values)
    names = [str(name) for name in np.asarray(groups)]
    if len(names) != sector.size:
        raise ModelError(f"groups have {len(names)} names for {sector.size} sectors: name the group of every sector")
    distinct = list(dict.fromkeys(names))
    members = [[float(name == group) for name in names] for group in distinct]
    return xr.DataArray(members, {"sector_group": distinct, "sector": sector.values}, ("sector_group", "sector"))


def group_trade_share(
    economy: Economy, equilibrium: Equilibrium, data: xr.Dataset, groups: SectorGroups
) -> xr.DataArray:
    """Share of a city's expenditure on a group of sectors that goes to an origin (SH Figure 1).

    sum_j X[n, j] pi[j, n, m] / sum_j X[n, j] over the sectors j of the group; sums to one over origin, or to
    zero where the city buys nothing of the group.

    **Arguments:**

    - `economy`, `equilibrium`: an economy and an equilibrium of it.
    - `data`: for the labels of cities and sectors, as in [`Equilibrium.to_xarray`][].
    - `groups`: the name of each sector's group.

    **Returns:** shares (sector_group, city, origin).

    **Raises:** `ModelError` unless there is one name for each sector.
    """
    members = group_members(groups, data["sector"])
    share = _group_trade_share(economy, equilibrium, jnp.asarray(members.values))
    city = data["city"].values
    return xr.DataArray(
        np.asarray(share),
        {"sector_group": members["sector_group"], "city": city, "origin": city},
        ("sector_group", "city", "origin"),
        "trade_share",
        {"long_name": "share of expenditure on the group that goes to the origin", "units": "1"},
    )


@eqx.filter_jit
def _group_trade_share(economy, equilibrium, members) -> Float[Array, "group city origin"]:
    weight = members[:, None, :] * equilibrium.expenditure
    total = weight.sum(2)[:, :, None]
    return masked_divide(jnp.einsum("gnj,jnm->gnm", weight, expenditure_share(economy, equilibrium)), total, total > 0)


def trade_flows(share: xr.DataArray, threshold: float = 0.05, *, own_city: bool = False) -> pd.DataFrame:
    """Flows from origins to destinations that exceed a threshold, largest first (SH Figure 1, panels A and C).

    **Arguments:**

    - `share`: of a destination's expenditure (city, origin, and any others, of which each becomes a column),
      for instance one group of [`group_trade_share`][].
    - `threshold`: a share; SH draw flows above 5 percent of the destination's expenditure.
    - `own_city`: whether to keep what cities buy from themselves.

    **Returns:** a table with columns origin, destination (labels) and share, a row for each flow.
    """
    return _flows_above(xr.Dataset({"share": share}), "share", threshold, own_city)


def trade_flow_changes(
    before: xr.DataArray, after: xr.DataArray, threshold: float = 0.01, *, own_city: bool = False
) -> pd.DataFrame:
    """Flows that grow by more than a threshold, largest change first (SH Figure 1, panels B and D).

    **Arguments:**

    - `before`, `after`: shares as in [`trade_flows`][] at two equilibria, of the same cities.
    - `threshold`: a difference of shares; SH draw changes above 0.0025 (health and education) and 0.01
      (professional services).
    - `own_city`: whether to keep what cities buy from themselves.

    **Returns:** a table with columns origin, destination (labels), before, after and change.

    **Raises:** `ValueError` where the two have different labels.
    """
    before, after = xr.align(before, after, join="exact")
    both = xr.Dataset({"before": before, "after": after, "change": after - before})
    return _flows_above(both, "change", threshold, own_city)


def _flows_above(flows: xr.Dataset, size: str, threshold: float, own_city: bool) -> pd.DataFrame:
    values: list[Hashable] = list(flows.data_vars)
    table = flows.reset_coords(drop=True).rename(city="destination").to_dataframe()
    table = table[table[size] > threshold].reset_index()
    if not own_city:
        table = table[table["origin"] != table["destination"]]
    others = [name for name in table.columns if name not in ("origin", "destination", *values)]
    table = table.sort_values(size, ascending=False, kind="stable", ignore_index=True)
    return table[[*others, "origin", "destination", *values]]
