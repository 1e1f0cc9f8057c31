"""Income rules: what a worker receives, as a function of where the economy stands.

A rule is a callable module (IncomeState, economy) -> income (city, occupation) whose total is the wage
bill plus land income. Its parameters are array leaves, so that policy is differentiable too.
"""

import equinox as eqx

from spatialjax.typing import ByCity, ByOccupation, CityOccupation, CityOccupationSector, PriceIndex


class IncomeState(eqx.Module):
    """What an income rule may depend on: dollars a year, workers, and the consumer price index.

    The price index is by city, or by city and occupation where occupations consume different baskets.
    `amenity` includes the effect of amenity spillovers.
    """

    wage: CityOccupation
    employment: CityOccupation
    employment_by_sector: CityOccupationSector
    price_index: PriceIndex
    land_income: ByCity
    amenity: CityOccupation


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
    """What all earn together, wages and land income, in dollars a year: what a rule has to pay out."""
    return (state.wage * state.employment).sum() + state.land_income.sum()


class LaissezFaire(IncomeRule):
    """No policy: the wage and the land dividend, I = w + chi."""

    def __call__(self, state, economy):
        return state.wage + land_dividend(state)
