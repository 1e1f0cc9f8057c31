"""Lump sums by occupation that balance a budget and share gains as an objective wants."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from spatialjax.cities.consumption import by_occupation
from spatialjax.cities.economy import Economy
from spatialjax.cities.income import IncomeState, land_dividend, total_income
from spatialjax.cities.market_clearing import positive_income
from spatialjax.cities.objectives import Objective, WelfareAccounts, WelfareReference
from spatialjax.cities.preferences import log_attraction
from spatialjax.typing import ByOccupation, CityOccupation

MAX_STEPS = 60
STEP_TOLERANCE = 1e-14
"""Of mean income: where Newton's steps end."""


def distribute(
    income: Callable[[ByOccupation], CityOccupation],
    state: IncomeState,
    economy: Economy,
    objective: Objective,
    reference: WelfareReference,
) -> ByOccupation:
    """R[k], dollars a year: lump sums at which all is paid out and the objective's balance holds.

    `income` gives the income of workers (city, occupation) given lump sums. One equation for the budget and
    one less than there are occupations for the balance, by Newton's method: welfare is almost linear in lump
    sums. Derivatives are implicit.
    """
    earned = total_income(state)
    scale = earned / state.employment.sum()

    def imbalance(lump_sum: ByOccupation) -> ByOccupation:
        paid = income(lump_sum * scale)
        balance = objective.balance(welfare_accounts(paid, state, economy, reference))
        budget = (paid * state.employment).sum() / earned - 1
        return jnp.concatenate([balance[1:] - balance[:1], budget[None]])

    laissez_faire = state.wage + land_dividend(state)
    shortfall = ((laissez_faire - income(jnp.zeros_like(economy.population))) * state.employment).sum(0)
    start = jax.lax.stop_gradient(shortfall / state.employment.sum(0) / scale)
    return scale * jax.lax.custom_root(imbalance, start, _newton, _solve_tangent)


def welfare_accounts(
    income: CityOccupation, state: IncomeState, economy: Economy, reference: WelfareReference
) -> WelfareAccounts:
    """Welfare by occupation at an income, prices as they are and workers free to move."""
    price = by_occupation(state.price_index)
    elasticity = economy.location_elasticity
    consumption = positive_income(income, state.wage) / price
    attraction = log_attraction(economy.preferences, state.amenity, consumption, elasticity)
    welfare = economy.preferences.welfare(attraction, elasticity)
    spending = (income * state.employment).sum(0)
    price_of_workers = (price * state.employment).sum(0)
    return WelfareAccounts(
        welfare=welfare,
        gain=reference.gain(welfare),
        cost=economy.preferences.cost_of_welfare(spending, price_of_workers, welfare),
        population=economy.population,
    )


def _newton(imbalance, start):
    """Newton's method; a step that does not bring the imbalance down is halved.

    Whole steps suffice near the solution. Far from it they could take more from an occupation than it has, where
    welfare no longer tells how much.
    """

    def at(lump_sum):
        value = imbalance(lump_sum)
        jacobian = jax.jacfwd(imbalance)(lump_sum)
        return jnp.linalg.norm(value), jnp.linalg.solve(jacobian, value)

    def step(carry):
        lump_sum, norm, change, steps = carry
        new_norm, new_change = at(lump_sum - change)
        return jax.tree.map(
            lambda new, halved: jnp.where(new_norm < norm, new, halved),
            (lump_sum - change, new_norm, new_change, steps + 1),
            (lump_sum, norm, change / 2, steps + 1),
        )

    def unfinished(carry):
        _, _, change, steps = carry
        return (jnp.max(jnp.abs(change)) > STEP_TOLERANCE) & (steps < MAX_STEPS)

    lump_sum, _, change, _ = jax.lax.while_loop(unfinished, step, (start, *at(start), jnp.zeros((), int)))
    return lump_sum - change


def _solve_tangent(linear, right_hand_side):
    return jnp.linalg.solve(jax.jacfwd(linear)(right_hand_side), right_hand_side)
