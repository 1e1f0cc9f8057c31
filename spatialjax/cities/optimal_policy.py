"""The income rule of the planner (CH Proposition 1, SH section II)."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike

from spatialjax.cities.consumption import by_occupation
from spatialjax.cities.distribution import distribute
from spatialjax.cities.economy import Economy
from spatialjax.cities.externalities import amenity_wedge_matrix, productivity_wedge
from spatialjax.cities.income import IncomeRule, IncomeState, land_dividend
from spatialjax.cities.objectives import EqualGains, Objective, WelfareReference
from spatialjax.cities.spillovers import NoAmenitySpillover
from spatialjax.numerics.batched_inverse import inverses
from spatialjax.typing import ByOccupation, CityOccupation, Scalar


class Schedule(NamedTuple):
    """What the rule pays, in dollars a year: income (city, occupation) and lump sums R by occupation."""

    income: CityOccupation
    base_transfer: ByOccupation


class OptimalPolicy(IncomeRule):
    """Workers receive their social product, less a tax on place, plus land and lump sums (CH Proposition 1).

    P C[n, k] = (1 - tL)(w[n, k] + Delta[n, k]) + chi[k] + R[k], with tL = 1 / (1 + nu); with additive amenities
    w + Delta - P[n] / nu + chi + R (CH eq. 11). R balances the budget and shares gains as `objective` wants.

    - `reference`: what gains are measured against.
    - `strength`: the part t of the policy that is in force, with tL(t) = t tL and Delta(t) = t Delta.
    - `location_tax`: the part of the tax on place that is levied; 1 at the optimum.
    """

    reference: WelfareReference
    objective: Objective
    strength: Scalar
    location_tax: Scalar

    def __init__(
        self,
        reference: WelfareReference,
        objective: Objective | None = None,
        *,
        strength: ArrayLike = 1.0,
        location_tax: ArrayLike = 1.0,
    ):
        self.reference = reference
        self.objective = EqualGains() if objective is None else objective
        self.strength = jnp.asarray(strength, dtype=float)
        self.location_tax = jnp.asarray(location_tax, dtype=float)

    def __call__(self, state: IncomeState, economy: Economy) -> CityOccupation:
        """Income (city, occupation), dollars a year."""
        return self.schedule(state, economy).income

    def schedule(self, state: IncomeState, economy: Economy) -> Schedule:
        """Incomes and the lump sums in them."""
        wage_bill = state.wage[:, :, None] * state.employment_by_sector
        social_product = state.wage + self.strength * productivity_wedge(economy, state.employment, wage_bill)
        before = self._after_tax(social_product, state, economy) + land_dividend(state)
        if isinstance(economy.amenity_spillover, NoAmenitySpillover):
            income = lambda lump_sum: before + lump_sum  # noqa: E731
        else:
            income = self._with_amenity_wedge(before, state, economy)
        lump_sum = distribute(income, state, economy, self.objective, self.reference)
        return Schedule(income(lump_sum), lump_sum)

    def _after_tax(self, social_product, state: IncomeState, economy: Economy) -> CityOccupation:
        """Social product less the tax on place."""
        price = by_occupation(state.price_index)
        tax = economy.preferences.location_tax(social_product, price, economy.location_elasticity)
        return social_product - self.strength * self.location_tax * tax

    def _with_amenity_wedge(self, before: CityOccupation, state: IncomeState, economy: Economy):
        """Incomes where the wedge has a part in proportion to incomes: a linear system in each city."""
        none, dollar = jnp.zeros_like(before), jnp.ones_like(before)
        kept = self._after_tax(dollar, state, economy) - self._after_tax(none, state, economy)
        matrix = self.strength * kept[:, :, None] * amenity_wedge_matrix(economy, state.employment)
        response = inverses(jnp.eye(before.shape[1], dtype=before.dtype) - matrix)
        return lambda lump_sum: jnp.einsum("nkl,nl->nk", response, before + lump_sum)
