"""Trade flows, formed for reports: a solve never needs them."""

import equinox as eqx
import jax
import jax.numpy as jnp

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.typing import SectorCityOrigin


@eqx.filter_jit
def expenditure_share(economy: Economy, equilibrium: Equilibrium) -> SectorCityOrigin:
    """pi[j, n, m], the share of city n's expenditure on sector j that goes to m (CH section 3.2).

    Sums to one over m. One element for each sector and pair of cities: 26 MB for 382 cities and 22 sectors.
    """
    elasticity = jnp.broadcast_to(economy.trade_elasticity, economy.consumption_share.shape)[:, None, None]
    log_price_at_destination = economy.log_iceberg_cost + jnp.log(equilibrium.unit_cost).T[:, None, :]
    return jax.nn.softmax(-elasticity * log_price_at_destination, axis=2)
