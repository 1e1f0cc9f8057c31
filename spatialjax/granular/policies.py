"""Policies towards places: what workers consume and what firms keep, and how that is paid for (KO Proposition 4).

A policy is a rule: it looks at the accounts of an allocation and says what is paid. One instrument, a tax rate or a
sum per head, balances the budget: consumption and entry together take what is produced.
"""

from abc import abstractmethod
from typing import Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.errors import ModelError
from spatialjax.granular.parameters import Parameters
from spatialjax.typing import Scalar

ByPlace = Float[Array, " place"]
Financing = Literal["income-tax", "income-and-profit-tax", "lump-sum"]
FINANCING = ("income-tax", "income-and-profit-tax", "lump-sum")


class Accounts(NamedTuple):
    """What is produced and earned at an allocation, by place.

    `wage` and `marginal_labour` per worker, `profit` and `marginal_firm` per firm and sector (units of m), in units of
    output; `phi`, `psi` as in [`production`][].
    """

    population: ByPlace
    firms: ByPlace
    phi: ByPlace
    psi: ByPlace
    output: ByPlace
    wage: ByPlace
    profit: ByPlace
    marginal_labour: ByPlace
    marginal_firm: ByPlace


class Payments(NamedTuple):
    """Consumption per worker and what a firm keeps, by place."""

    consumption: ByPlace
    profit: ByPlace


class PlacePolicy(eqx.Module):
    """A rule from accounts to payments."""

    @abstractmethod
    def instrument(self, accounts: Accounts, parameters: Parameters) -> Scalar:
        """The tax rate or sum per head at which payments are what is produced."""

    @abstractmethod
    def payments(self, accounts: Accounts, parameters: Parameters, instrument: Scalar) -> Payments:
        """Payments at a value of the instrument."""


class Policy(PlacePolicy):
    """Subsidies to earnings and to profits, by place or alike everywhere; zero by default.

    `financing` pays for them: "income-tax", a proportional tax on what workers receive (KO 6.3);
    "income-and-profit-tax", the same rate on what firms receive too; "lump-sum", the same amount from every worker.

    **Raises:** `ModelError` for an unknown way of financing.
    """

    tau_wage: Float[Array, "*place"]
    tau_profit: Float[Array, "*place"]
    financing: Financing = eqx.field(static=True)

    def __init__(self, tau_wage=0.0, tau_profit=0.0, financing: Financing = "income-tax"):
        self.tau_wage = jnp.asarray(tau_wage, dtype=float)
        self.tau_profit = jnp.asarray(tau_profit, dtype=float)
        self.financing = checked_financing(financing)

    def instrument(self, accounts, parameters):
        return balancing_instrument(self._before(accounts), accounts, self.financing)

    def payments(self, accounts, parameters, instrument):
        return financed(self._before(accounts), instrument, self.financing)

    def _before(self, accounts: Accounts) -> Payments:
        return Payments((1 + self.tau_wage) * accounts.wage, (1 + self.tau_profit) * accounts.profit)


class EfficientPolicy(PlacePolicy):
    """Workers and firms receive what they add to their place's output (KO Proposition 4), less what pays for that."""

    financing: Financing = eqx.field(static=True)

    def __init__(self, financing: Financing = "lump-sum"):
        self.financing = checked_financing(financing)

    def instrument(self, accounts, parameters):
        return balancing_instrument(_marginal_products(accounts), accounts, self.financing)

    def payments(self, accounts, parameters, instrument):
        return financed(_marginal_products(accounts), instrument, self.financing)


class ExpectedUtilityPolicy(PlacePolicy):
    """What maximises expected utility before workers know their tastes, u = (sum (ubar c)^theta)^(1/theta) (spec 4).

    Consumption is theta/(1 + theta) (dY/dl - xi), and firms receive what they add. As in CH Proposition 1 the factor
    insures workers, whose tastes tie them to places, against low consumption; xi balances the budget.
    """

    def instrument(self, accounts, parameters):
        theta = parameters.migration_elasticity
        spent = (accounts.output - accounts.marginal_firm * accounts.firms).sum()
        earned = (accounts.marginal_labour * accounts.population).sum()
        return (earned - (1 + theta) / theta * spent) / accounts.population.sum()

    def payments(self, accounts, parameters, instrument):
        theta = parameters.migration_elasticity
        return Payments(theta / (1 + theta) * (accounts.marginal_labour - instrument), accounts.marginal_firm)


def _marginal_products(accounts: Accounts) -> Payments:
    return Payments(accounts.marginal_labour, accounts.marginal_firm)


def balancing_instrument(before: Payments, accounts: Accounts, financing: Financing) -> Scalar:
    """The tax rate or sum per head that pays for payments promised before taxes."""
    to_workers = (before.consumption * accounts.population).sum()
    to_firms = (before.profit * accounts.firms).sum()
    produced = accounts.output.sum()
    if financing == "income-tax":
        return 1 - (produced - to_firms) / to_workers
    if financing == "income-and-profit-tax":
        return 1 - produced / (to_workers + to_firms)
    return (to_workers + to_firms - produced) / accounts.population.sum()


def financed(before: Payments, instrument: Scalar, financing: Financing) -> Payments:
    """Payments after the tax."""
    if financing == "income-tax":
        return before._replace(consumption=(1 - instrument) * before.consumption)
    if financing == "income-and-profit-tax":
        return Payments((1 - instrument) * before.consumption, (1 - instrument) * before.profit)
    return before._replace(consumption=before.consumption - instrument)


def checked_financing(financing: Financing) -> Financing:
    """The name of a way of financing, or an error that lists them."""
    if financing not in FINANCING:
        raise ModelError(f"financing must be one of {', '.join(map(repr, FINANCING))}, found {financing!r}")
    return financing
