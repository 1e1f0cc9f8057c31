"""Counterfactual economies that take a feature of the model away (CH sections 4.7 and 7).

The exogenous part of productivity, amenities and land stay what they are: each variant has an equilibrium of its
own, to be solved before its optimum.
"""

import equinox as eqx
import jax.numpy as jnp

from spatialjax.cities.cost_forms import traded_freely
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.input_links import CityInputMix
from spatialjax.cities.spillovers import NoSpillover
from spatialjax.errors import ModelError
from spatialjax.typing import BySector


def without_externalities(economy: Economy) -> Economy:
    """Productivity does not depend on employment (CH section 4.7)."""
    return eqx.tree_at(lambda e: e.spillover, economy, NoSpillover())


def without_trade_costs(economy: Economy) -> Economy:
    """Every sector but those that use land and are not traded is traded at no cost (CH section 7.2)."""
    uses_land = _uses_land(economy)
    traded = tuple(j for j, land in enumerate(uses_land) if not land or j in economy.traded)
    return traded_freely(economy, traded)


def homogeneous_links(economy: Economy, equilibrium: Equilibrium) -> Economy:
    """All sectors but those that use land have the same value-added share and buy inputs alike (CH footnote 32).

    In each city: the value-added share, and the share of each land-using sector's services in cost, are means of
    those in the economy weighted by value added at the equilibrium; the rest of cost is spread evenly over the
    other sectors.
    """
    uses_land = _uses_land(economy)
    share, other = economy.value_added_share, ~uses_land
    weight = jnp.where(other, share * equilibrium.gross_output, 0.0)
    weight = weight / weight.sum(1, keepdims=True)
    mean_share = (weight * share).sum(1, keepdims=True)
    # Spending on each input per dollar of output, were every sector to produce its weight.
    services = jnp.where(uses_land, economy.input_links.demand(weight, share), 0.0)
    evenly = (1 - mean_share - services.sum(1, keepdims=True)) / other.sum()
    if not _is_positive(evenly):
        raise ModelError("services of land-using sectors are more than the cost of inputs: links cannot be made alike")
    inputs = jnp.where(other, evenly, services)
    mix = inputs / inputs.sum(1, keepdims=True)
    own_mix = _mix_by_city(economy)
    mix = jnp.where(uses_land, own_mix, mix[:, :, None])
    share = jnp.where(uses_land, share, mean_share)
    return eqx.tree_at(lambda e: (e.value_added_share, e.input_links), economy, (share, CityInputMix(mix)))


def _uses_land(economy: Economy) -> BySector:
    return (economy.land_share > 0).any(0)


def _mix_by_city(economy: Economy):
    """mu[n, i, j], recovered from what a dollar of output in each sector buys."""
    cities, sectors = economy.value_added_share.shape
    no_value_added = jnp.zeros((cities, sectors))
    columns = [
        economy.input_links.demand(jnp.zeros((cities, sectors)).at[:, j].set(1.0), no_value_added)
        for j in range(sectors)
    ]
    return jnp.stack(columns, axis=2)


def _is_positive(values) -> bool:
    return bool((values > 0).all())
