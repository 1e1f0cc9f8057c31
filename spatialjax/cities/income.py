"""Income rules: what a worker receives, as a function of where the economy stands.

A rule is a callable module (IncomeState, economy) -> income (city, occupation) whose total is the wage
bill plus land income. Its parameters are array leaves, so that policy is differentiable too.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.typing import ByCity, ByOccupation, CityOccupation, CityOccupationSector, PriceIndex


class IncomeState(eqx.Module):
    """What an income rule may depend on: dollars a year, workers, and the consumer price index.

    The price index is by city, or by city and occupation where occupations consume different baskets.
    `amenity` includes the effect of amenity spillovers. `tariff_revenue` is none where there are no tariffs.
    """

    wage: CityOccupation
    employment: CityOccupation
    employment_by_sector: CityOccupationSector
    price_index: PriceIndex
    land_income: ByCity
    amenity: CityOccupation
    tariff_revenue: ByCity | None = None


class IncomeRule(eqx.Module):
    """A tax and transfer system."""

    def __call__(self, state: IncomeState, economy) -> CityOccupation:
        raise NotImplementedError


def land_dividend(state: IncomeState) -> ByOccupation:
    """chi[k], a worker's share of the national portfolio of land, in dollars a year (CH eq. 1).

    Occupations own it in proportion to their wage bills.
    """
    wage_bill = (state.wage * state.employment).sum(0)
    return wage_bill / wage_bill.sum() * state.land_income.sum() / state.employment.sum(0)


def total_income(state: IncomeState):
    """What all earn together, wages, land income and tariffs, in dollars a year: what a rule has to pay out."""
    earned = (state.wage * state.employment).sum() + state.land_income.sum()
    return earned if state.tariff_revenue is None else earned + state.tariff_revenue.sum()


def tariff_rebate(state: IncomeState) -> Float[Array, "city one"] | float:
    """What each worker of a city receives of the tariffs that it charges, in dollars a year; alike for all."""
    if state.tariff_revenue is None:
        return 0.0
    return (state.tariff_revenue / state.employment.sum(1))[:, None]


def market_income(state: IncomeState) -> CityOccupation:
    """What workers receive without policy, I = w + chi + R / L: wages, the land dividend and the tariff rebate."""
    return state.wage + land_dividend(state) + tariff_rebate(state)


class LaissezFaire(IncomeRule):
    """No policy: the wage, the land dividend and the tariff rebate, I = w + chi + R / L."""

    def __call__(self, state, economy):
        return market_income(state)


class LocalLandRents(IncomeRule):
    """The income of a city's land belongs to its own workers, in proportion to their wages.

    The closure of Helpman (1998) and of Redding and Rossi-Hansberg (2017); [`LaissezFaire`][] shares it nationally.
    """

    def __call__(self, state, economy):
        wage_bill = (state.wage * state.employment).sum(1)
        return state.wage * (1 + state.land_income / wage_bill)[:, None] + tariff_rebate(state)


class TradeDeficits(IncomeRule):
    """Cities spend more than they earn by `deficit`, dollars a year by city at the numeraire, alike for all workers.

    Deficits must add up to zero. They are held while everything else changes, as in Dekle, Eaton and Kortum (2008)
    and Caliendo and Parro (2015); a deficit of zero everywhere removes them.
    """

    deficit: ByCity = eqx.field(converter=jnp.asarray)
    earned: IncomeRule = LaissezFaire()

    def __call__(self, state, economy):
        return self.earned(state, economy) + (self.deficit / state.employment.sum(1))[:, None]


class ProportionalDeficits(IncomeRule):
    """Cities spend `ratio` times what they earn, by city; all ratios are scaled by one number so that totals agree."""

    ratio: ByCity = eqx.field(converter=jnp.asarray)
    earned: IncomeRule = LaissezFaire()

    def __call__(self, state, economy):
        spent = self.ratio[:, None] * self.earned(state, economy)
        return spent * total_income(state) / (spent * state.employment).sum()
