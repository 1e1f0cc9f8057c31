"""Tax and transfer systems: income rules of a government (spec section 8).

Each balances its budget by the instrument that its description names.
"""

import jax.numpy as jnp
from jax.typing import ArrayLike

from spatialjax.cities.income import IncomeRule, IncomeState, market_income
from spatialjax.typing import CityOccupation, Scalar


class Transfers(IncomeRule):
    """Given transfers: I = w + chi + T, less the same amount from every worker so that they sum to zero.

    `transfer` (city, occupation), dollars a year.
    """

    transfer: CityOccupation

    def __call__(self, state, economy):
        return market_income(state) + self.transfer - _mean(self.transfer, state)


class FlatTax(IncomeRule):
    """A tax on wages at one rate, returned to every worker alike: the rebate balances the budget."""

    rate: Scalar

    def __init__(self, rate: ArrayLike):
        self.rate = jnp.asarray(rate, dtype=float)

    def __call__(self, state, economy):
        tax = self.rate * state.wage
        return market_income(state) - tax + _mean(tax, state)


class PhasedOutPayment(IncomeRule):
    """A payment to every worker, phased out with the wage: the pandemic programme (CH section 6.2).

    Each receives max(0, payment - phase_out max(0, w - threshold)), dollars a year, and a flat tax on wages pays
    for it: its rate balances the budget. The defaults are CH's 6,200 dollars an adult, phased out above 75,000.
    """

    payment: Scalar
    threshold: Scalar
    phase_out: Scalar

    def __init__(self, payment: ArrayLike = 6200.0, threshold: ArrayLike = 75000.0, phase_out: ArrayLike = 0.05):
        self.payment = jnp.asarray(payment, dtype=float)
        self.threshold = jnp.asarray(threshold, dtype=float)
        self.phase_out = jnp.asarray(phase_out, dtype=float)

    def received(self, wage: CityOccupation) -> CityOccupation:
        """The payment that a worker with this wage receives."""
        return jnp.maximum(self.payment - self.phase_out * jnp.maximum(wage - self.threshold, 0.0), 0.0)

    def __call__(self, state, economy):
        received = self.received(state.wage)
        rate = (received * state.employment).sum() / (state.wage * state.employment).sum()
        return market_income(state) - rate * state.wage + received


class ScaledPolicy(IncomeRule):
    """A part of what another rule does: laissez-faire and `strength` times the rule's net transfers."""

    rule: IncomeRule
    strength: Scalar

    def __call__(self, state, economy):
        laissez_faire = market_income(state)
        return laissez_faire + self.strength * (self.rule(state, economy) - laissez_faire)


def net_transfer(equilibrium) -> CityOccupation:
    """What policy adds to the wage, the land dividend and tariff rebates, P C - w - chi - R / L, in dollars a year.

    0 where nobody lives.
    """
    lives = equilibrium.employment > 0
    return jnp.where(lives, equilibrium.income - market_income(equilibrium), 0.0)


def _mean(transfer: CityOccupation, state: IncomeState) -> Scalar:
    """Mean over workers."""
    return (transfer * state.employment).sum() / state.employment.sum()
