"""What is asked of trade costs whatever their form: an array (sector, city, origin), or `TradeCosts`."""

from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.cities.economy import Economy
from spatialjax.cities.simple_kernels import FreeTrade
from spatialjax.cities.trade import TradeCosts
from spatialjax.errors import ModelError
from spatialjax.typing import CitySector, SectorCityOrigin

LARGEST_ARRAY = 2**32
"""Bytes up to which an array (sector, city, origin) is made of costs that are not stored."""


def log_own_cost(economy: Economy) -> CitySector:
    """Log iceberg cost within each city."""
    costs = economy.log_iceberg_cost
    if isinstance(costs, TradeCosts):
        return costs.log_own_cost(economy.traded)
    return jnp.einsum("jnn->nj", costs)


def log_cost_array(economy: Economy, what: str) -> SectorCityOrigin:
    """Log iceberg costs as an array, for `what` has an element for each sector and pair of cities.

    **Raises:** `ModelError` where the costs are not stored and their array would be too large.
    """
    costs = economy.log_iceberg_cost
    if not isinstance(costs, TradeCosts):
        return costs
    cities, sectors = economy.value_added_share.shape
    size = 8 * sectors * cities**2
    if size > LARGEST_ARRAY:
        raise ModelError(
            f"{what} of {cities} cities and {sectors} sectors are arrays of {size / 2**30:.1f} GiB each, more than "
            f"{LARGEST_ARRAY / 2**30:.0f} GiB: ask for own-trade shares (flows.own_trade_share), which need none"
        )
    return costs.log_cost_array(economy.traded)


def times_between_cities(economy: Economy, factor: Float[Array, ""] | float) -> Economy:
    """The economy with costs of trade between different cities multiplied by a factor."""
    costs, log_factor = economy.log_iceberg_cost, jnp.log(factor)
    if isinstance(costs, TradeCosts):
        return replace(economy, log_iceberg_cost=costs.times_between_cities(log_factor))
    between = jnp.where(jnp.eye(costs.shape[1], dtype=bool), 0.0, log_factor)
    return replace(economy, log_iceberg_cost=costs + between)


def traded_freely(economy: Economy, traded: tuple[int, ...]) -> Economy:
    """The economy with these sectors traded at no cost, and no others traded."""
    costs = economy.log_iceberg_cost
    if isinstance(costs, TradeCosts):
        free = FreeTrade(jnp.zeros(()), *economy.value_added_share.shape)
        return replace(economy, log_iceberg_cost=free, traded=traded)
    is_traded = jnp.zeros(costs.shape[0], bool).at[jnp.asarray(traded)].set(True)
    return replace(economy, log_iceberg_cost=jnp.where(is_traded[:, None, None], 0.0, costs), traded=traded)


def trade_costs_problems(economy: Economy):
    """What is wrong with costs that are not stored, in words."""
    costs = economy.log_iceberg_cost
    if isinstance(costs, TradeCosts):
        cities, sectors = len(economy.labels.city), len(economy.labels.sector)
        yield from costs.problems(economy.trade_elasticity, economy.traded, cities, sectors)
