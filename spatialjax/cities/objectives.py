"""Objectives of a planner: how gains are shared between occupations (CH section 5.1, spec section 6).

An objective says which number must be equal across occupations at its optimum; together with the budget
that determines what each occupation receives.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp

from spatialjax.cities.consumption import by_occupation
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.errors import ModelError
from spatialjax.typing import ByOccupation, Scalar


class WelfareAccounts(eqx.Module):
    """What an objective may depend on, by occupation.

    `cost` is sum_n P C L / v in dollars, what the planner must value a unit of welfare at for this
    allocation to be its choice (with additive amenities sum_n P L).
    """

    welfare: ByOccupation
    gain: ByOccupation
    cost: ByOccupation
    population: ByOccupation


class WelfareReference(eqx.Module):
    """The equilibrium that gains are measured against: its accounts, and the `unit` of a gain."""

    accounts: WelfareAccounts
    unit: ByOccupation

    @classmethod
    def of(cls, economy: Economy, equilibrium: Equilibrium) -> "WelfareReference":
        """The reference that an equilibrium of an economy is."""
        employment, welfare = equilibrium.employment, equilibrium.welfare
        workers = employment.sum(0)
        mean_consumption = (equilibrium.consumption * employment).sum(0) / workers
        price_of_workers = (by_occupation(equilibrium.price_index) * employment).sum(0)
        spending = (equilibrium.income * employment).sum(0)
        cost = economy.preferences.cost_of_welfare(spending, price_of_workers, welfare)
        accounts = WelfareAccounts(welfare, jnp.zeros_like(welfare), cost, workers)
        return cls(accounts, economy.preferences.gain_unit(welfare, mean_consumption))

    def gain(self, welfare: ByOccupation) -> ByOccupation:
        """Gain in welfare by occupation: v / v_equilibrium - 1 with multiplicative amenities."""
        return (welfare - self.accounts.welfare) / self.unit


class Objective(eqx.Module):
    """What a planner wants."""

    def balance(self, accounts: WelfareAccounts) -> ByOccupation:
        """Numbers without units that are equal across occupations at the optimum."""
        raise NotImplementedError


class EqualGains(Objective):
    """The largest gain that is the same for all occupations, relative to the equilibrium (CH section 6)."""

    def balance(self, accounts):
        return accounts.gain


class MaxMin(Objective):
    """The largest welfare of the occupation that is worst off, in levels (Rawls)."""

    def balance(self, accounts):
        return accounts.welfare / accounts.welfare.mean()


class ParetoWeights(Objective):
    """The largest sum over workers of weights[k] U(v[k]), U of constant inequality aversion (CH eq. 9).

    U(v) = v^(1 - a) / (1 - a), the logarithm for a = 1. At the logarithm, spending shares are proportional to
    weights[k] L[k].
    """

    weights: ByOccupation
    inequality_aversion: Scalar

    def __init__(self, weights: Sequence[float], inequality_aversion: float = 1.0):
        self.weights = jnp.asarray(weights, dtype=float)
        self.inequality_aversion = jnp.asarray(inequality_aversion, dtype=float)

    def balance(self, accounts):
        if self.weights.shape != accounts.welfare.shape:
            raise ModelError(
                f"{self.weights.size} Pareto weights for {accounts.welfare.size} occupations: give one for each"
            )
        relative = accounts.welfare / accounts.welfare.mean()
        valued = self.weights * accounts.population * relative**-self.inequality_aversion
        return (accounts.cost / accounts.cost.sum()) / (valued / valued.sum())

    def utility(self, welfare: ByOccupation) -> ByOccupation:
        """U(v)."""
        logarithmic = self.inequality_aversion == 1
        power = jnp.where(logarithmic, 0.5, 1 - self.inequality_aversion)
        return jnp.where(logarithmic, jnp.log(welfare), welfare**power / power)

    def marginal_utility(self, welfare: ByOccupation) -> ByOccupation:
        """The derivative of U."""
        return welfare**-self.inequality_aversion


class PhasedIn(Objective):
    """A part of the way from another allocation, of which the accounts are given, to what an objective wants."""

    objective: Objective
    start: WelfareAccounts
    part: Scalar

    def balance(self, accounts):
        return self.objective.balance(accounts) - (1 - self.part) * self.objective.balance(self.start)


class GivenGains(Objective):
    """Gains that differ between occupations by `difference`, in shares: a point of the utility frontier."""

    difference: ByOccupation

    def balance(self, accounts):
        return accounts.gain - self.difference


def named_objective(objective: "Objective | str", occupations: int) -> Objective:
    """An objective by name, or as it is."""
    if isinstance(objective, Objective):
        return objective
    if objective not in OBJECTIVES:
        raise ModelError(
            f"objective must be {', '.join(map(repr, OBJECTIVES))} or an Objective (EqualGains, ParetoWeights, "
            f"MaxMin), found {objective!r}"
        )
    return OBJECTIVES[objective](occupations)


OBJECTIVES = {
    "equal-gains": lambda occupations: EqualGains(),
    "pareto-weights": lambda occupations: ParetoWeights((1.0,) * occupations),
    "utilitarian": lambda occupations: ParetoWeights((1.0,) * occupations, inequality_aversion=0.0),
    "max-min": lambda occupations: MaxMin(),
}
"""Objectives by name; "pareto-weights" are one for every worker, with logarithmic utility."""
