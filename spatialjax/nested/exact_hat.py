"""Exact-hat algebra by itself: the equations in changes of Caliendo and Parro (2015), iterated in NumPy.

It shares nothing with the library's solver but the data: observed trade shares are the only thing it knows of costs
and productivity (Dekle, Eaton and Kortum 2008), and it never has a level of a price. `economy_from_flows` must find
the same changes.
"""

from typing import NamedTuple

import numpy as np

from spatialjax.data.schema import Array
from spatialjax.errors import ConvergenceError, ModelError
from spatialjax.nested.trade_flows import Flows


class HatChanges(NamedTuple):
    """Outcomes after over before."""

    wage: Array
    """Of a city's workers; world value added does not change."""
    price: Array
    """(city, sector)."""
    real_income: Array
    """By city: wages, tariff revenue and deficit, over the price of consumption."""
    trade_flow: Array
    """(sector, city, origin): the level after, dollars a year, tariffs not included."""


def exact_hat(
    flows: Flows,
    *,
    tariff: Array,
    deficit: Array,
    cost_change: Array | float = 1.0,
    tolerance: float = 1e-12,
    max_iterations: int = 20_000,
) -> HatChanges:
    """Changes that follow from new tariffs, trade costs and deficits, workers immobile (CP, Proposition 2).

    **Arguments:**

    - `flows`: of [`read_flows`][spatialjax.nested.trade_flows.read_flows]: the base, an equilibrium at the deficits
      imports less exports. Every city must buy every good.
    - `tariff`: rates after, (sector, city, origin).
    - `deficit`: after, dollars a year where world value added is that of the base; sums to zero.
    - `cost_change`: iceberg costs after over before, (sector, city, origin).
    - `tolerance`: of excess supply over value added, by city.

    **Raises:** `ModelError` where a city does not buy a good; `ConvergenceError` after `max_iterations` steps of wages.
    """
    if (flows.expenditure == 0).any():
        raise ModelError("exact_hat needs flows in which every city buys every good: leave out goods that some do not")
    tariff_before = np.zeros_like(flows.flow) if flows.tariff is None else flows.tariff
    share = flows.paid / flows.paid.sum(2, keepdims=True)
    ease = share * (cost_change * (1 + tariff) / (1 + tariff_before)) ** -flows.elasticity[:, None, None]
    value_added, wage = flows.value_added, np.ones(len(flows.workers))
    log_price = np.zeros_like(flows.expenditure)
    for _ in range(max_iterations):
        log_price = _prices(flows, ease, np.log(wage), log_price)
        cost = np.exp(_log_cost(flows, np.log(wage), log_price))
        strength = ease * (cost.T ** -flows.elasticity[:, None])[:, None, :]
        new_share = strength / strength.sum(2, keepdims=True)
        expenditure, income = _expenditure(flows, new_share, tariff, wage * value_added + deficit)
        received = new_share / (1 + tariff) * expenditure.T[:, :, None]
        # Eq. 14: exports are imports less the deficit.
        excess = received.sum((0, 1)) - received.sum((0, 2)) + deficit
        if np.abs(excess / value_added).max() < tolerance:
            break
        wage = wage * (1 + 0.3 * excess / (wage * value_added))
        wage = wage * value_added.sum() / (wage @ value_added)
    else:
        raise ConvergenceError(f"wages of exact-hat algebra did not settle in {max_iterations} iterations")
    income_before = (flows.expenditure - _input_spending(flows, flows.output)).sum(1)
    index = np.exp((flows.consumption_share * log_price).sum(1))
    return HatChanges(wage, np.exp(log_price), income / income_before / index, received)


def _log_cost(flows: Flows, log_wage: Array, log_price: Array) -> Array:
    """Eq. 10: unit costs in changes, (city, sector)."""
    inputs = np.einsum("nk,nkj->nj", log_price, _mix(flows))
    return flows.value_added_share * log_wage[:, None] + (1 - flows.value_added_share) * inputs


def _prices(flows: Flows, ease: Array, log_wage: Array, log_price: Array) -> Array:
    """Eq. 11 with eq. 10 in it: prices in changes, (city, sector), by iteration from the last ones."""
    theta = flows.elasticity
    for _ in range(10_000):
        power = np.exp(-theta * _log_cost(flows, log_wage, log_price))
        new = -np.log(np.einsum("jni,ij->nj", ease, power)) / theta
        moved, log_price = np.abs(new - log_price).max(), new
        if moved < 1e-14:
            break
    return log_price


def _expenditure(flows: Flows, share: Array, tariff: Array, earned: Array) -> tuple[Array, Array]:
    """Eq. 13, linear in expenditure (city, sector); and income, tariff revenue included."""
    cities, sectors = flows.expenditure.shape
    received = share / (1 + tariff)
    revenue = (share - received).sum(2).T
    demand = (1 - flows.value_added_share)[:, None, :] * _mix(flows)
    # From what city i spends on good k, to what city n spends on good j: as input, and out of tariff revenue.
    links = np.einsum("njk,kin->njik", demand, received)
    links += np.einsum("nj,nk,ni->njik", flows.consumption_share, revenue, np.eye(cities))
    matrix = np.eye(cities * sectors) - links.reshape(cities * sectors, -1)
    spent = np.linalg.solve(matrix, (flows.consumption_share * earned[:, None]).ravel()).reshape(cities, sectors)
    return spent, earned + (revenue * spent).sum(1)


def _input_spending(flows: Flows, output: Array) -> Array:
    return np.einsum("njk,nk->nj", _mix(flows), (1 - flows.value_added_share) * output)


def _mix(flows: Flows) -> Array:
    sectors = len(flows.elasticity)
    mix = np.zeros((sectors, sectors)) if flows.mix is None else flows.mix
    return np.broadcast_to(mix, (len(flows.workers), sectors, sectors))
