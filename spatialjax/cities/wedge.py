"""The wedge between the social and the private value of a worker (CH Lemma 2, SH section II)."""

import equinox as eqx
import jax
import jax.numpy as jnp

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.market_clearing import productivity_shift
from spatialjax.typing import ByOccupation, CityOccupation


@eqx.filter_jit
def wedge(economy: Economy, equilibrium: Equilibrium) -> CityOccupation:
    """What one more worker adds to the output of others through externalities, in dollars a year.

    Delta[n, k] = (1 / L[n, k]) sum_{l, j} w[n, l] L[n, l, j] d log lambda[n, l, j] / d log L[n, k]
    (CH Lemma 2), by one reverse pass through the spillover, whatever it is, with wage bills held fixed.
    """
    wage_bill = equilibrium.wage[:, :, None] * equilibrium.employment_by_sector

    def shift(employment):
        return jnp.broadcast_to(productivity_shift(economy, employment), wage_bill.shape)

    _, pull = jax.vjp(shift, equilibrium.employment)
    return jnp.where(equilibrium.employment > 0, pull(wage_bill)[0], 0.0)


def social_value_ratio(wedges: CityOccupation, equilibrium: Equilibrium) -> ByOccupation:
    """Social over private value of an occupation's labour, sum (w + Delta) L / sum w L."""
    private = (equilibrium.wage * equilibrium.employment).sum(0)
    return 1 + (wedges * equilibrium.employment).sum(0) / private
