"""The wedge between the social and the private value of a worker (CH Lemma 2, SH section II)."""

import equinox as eqx

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.externalities import amenity_wedge, productivity_wedge
from spatialjax.typing import ByOccupation, CityOccupation


@eqx.filter_jit
def wedge(economy: Economy, equilibrium: Equilibrium) -> CityOccupation:
    """What one more worker adds to the output and the amenities of others, in dollars a year.

    Delta[n, k] = (1 / L[n, k]) sum_{l, j} w[n, l] L[n, l, j] d log lambda[n, l, j] / d log L[n, k]
    (CH Lemma 2), and with amenity spillovers also (1 / L[n, k]) sum_l P[n] C[n, l] L[n, l] d log A[n, l] /
    d log L[n, k]: by one reverse pass through the spillovers, whatever they are.
    """
    employment = equilibrium.employment
    wage_bill = equilibrium.wage[:, :, None] * equilibrium.employment_by_sector
    productive = productivity_wedge(economy, employment, wage_bill)
    return productive + amenity_wedge(economy, employment, equilibrium.income * employment)


def social_value_ratio(wedges: CityOccupation, equilibrium: Equilibrium) -> ByOccupation:
    """Social over private value of an occupation's labour, sum (w + Delta) L / sum w L."""
    private = (equilibrium.wage * equilibrium.employment).sum(0)
    return 1 + (wedges * equilibrium.employment).sum(0) / private
