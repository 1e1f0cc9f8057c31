"""Optimal policy towards places with granular firms, with a certificate (KO Proposition 4, spec 4)."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spatialjax.errors import ConvergenceError, ModelError
from spatialjax.granular.places import (
    Places,
    PlacesEquilibrium,
    System,
    correction_of,
    residual,
    solve,
    solve_from,
)
from spatialjax.granular.policies import (
    ByPlace,
    EfficientPolicy,
    ExpectedUtilityPolicy,
    Financing,
    PlacePolicy,
    Policy,
)
from spatialjax.numerics.packing import pack
from spatialjax.numerics.safe_math import largest

Welfare = Literal["efficiency", "expected_utility"]
CERTIFIED = 1e-8
"""Largest gradient, relative to output or to utility, at which a policy is called an optimum."""
LARGEST_GAP = 1e-8
"""Of an allocation that is to be certified, in free entry and location choice."""


class PlacesCertificate(NamedTuple):
    """First-order conditions of a policy, in all subsidies to earnings and to profits by place.

    - `wage_gradient`, `profit_gradient`: derivatives of the objective in each place's subsidy, per unit of the subsidy.
      For "efficiency" the objective's change is sum (dY/dl - c) dl + (dY/dm - psi) dm, relative to all output; for
      "expected_utility" it is that of log u.
    - `residual`: the largest of them in absolute value.
    """

    residual: float
    wage_gradient: np.ndarray
    profit_gradient: np.ndarray

    @property
    def first_order(self) -> bool:
        """Whether the first-order conditions hold."""
        return bool(self.residual < CERTIFIED)


class PlacesOptimum(NamedTuple):
    """An optimal policy and what it does.

    - `equilibrium`: the allocation under it. `reference`: the equilibrium without policy.
    - `policy`: the subsidies that implement it, as a [`Policy`][] ("lump-sum" where the policy is not itself a tax).
    - `firms_change`, `population_change`, `wage_change`, `consumption_change`: ratios to the equilibrium, less one.
    - `gain`: in expected utility, a ratio less one. `output_gain`: in output less entry costs, likewise; negative where
      workers move to what they like rather than to where they produce most.
    - `certificate`: its first-order conditions.
    """

    equilibrium: PlacesEquilibrium
    reference: PlacesEquilibrium
    policy: Policy
    firms_change: ByPlace
    population_change: ByPlace
    wage_change: ByPlace
    consumption_change: ByPlace
    gain: Float[Array, ""]
    output_gain: Float[Array, ""]
    certificate: PlacesCertificate


def optimum(
    places: Places,
    welfare: Welfare = "efficiency",
    *,
    financing: Financing = "lump-sum",
    equilibrium: PlacesEquilibrium | None = None,
    throw: bool = True,
) -> PlacesOptimum:
    """Optimal subsidies to earnings and to the entry of firms by place.

    **Arguments:**

    - `welfare`: "efficiency" pays workers and firms what they add to output (KO Proposition 4): no move of workers or
      firms raises output by more than it costs. "expected_utility" maximises the utility that workers expect before
      they know their tastes.
    - `financing`: of "efficiency". KO pay by a proportional "income-tax", under which a gradient remains, which the
      certificate reports: those who move pay less than others do; with "lump-sum" none does. "expected_utility" needs
      no other financing than the sum per head that it contains.
    - `equilibrium`: without policy, to compare with; by default solved for.
    - `throw`: raise where the certificate of an optimum does not hold.

    **Raises:** `ConvergenceError`, `ModelError`.
    """
    rule = _rule(welfare, financing)
    reference = solve(places) if equilibrium is None else equilibrium
    allocation = solve(places, rule, initial=reference, tolerance=1e-12)
    policy = as_subsidies(rule, allocation)
    certificate = certify(places, policy, allocation, welfare)
    if throw and not certificate.first_order and not (welfare == "efficiency" and financing != "lump-sum"):
        raise ConvergenceError(
            f"no optimum: the largest gradient in a subsidy is {certificate.residual:.1e}, above {CERTIFIED:g}"
        )
    return PlacesOptimum(
        equilibrium=allocation,
        reference=reference,
        policy=policy,
        firms_change=allocation.firms / reference.firms - 1,
        population_change=allocation.population / reference.population - 1,
        wage_change=allocation.wage / reference.wage - 1,
        consumption_change=allocation.consumption / reference.consumption - 1,
        gain=allocation.utility / reference.utility - 1,
        output_gain=_net_output(places, allocation) / _net_output(places, reference) - 1,
        certificate=certificate,
    )


def _rule(welfare: Welfare, financing: Financing) -> PlacePolicy:
    if welfare == "efficiency":
        return EfficientPolicy(financing)
    if welfare != "expected_utility":
        raise ModelError(f"welfare must be 'efficiency' or 'expected_utility', found {welfare!r}")
    if financing != "lump-sum":
        raise ModelError(f"'expected_utility' is financed by a sum per head, 'lump-sum', found {financing!r}")
    return ExpectedUtilityPolicy()


def as_subsidies(rule: PlacePolicy, allocation: PlacesEquilibrium) -> Policy:
    """The subsidies that lead to the same allocation as a rule does."""
    if isinstance(rule, Policy):
        return rule
    if isinstance(rule, EfficientPolicy):
        return Policy(1 / allocation.labour_wedge - 1, 1 / allocation.firm_wedge - 1, rule.financing)
    return Policy(
        allocation.consumption / allocation.wage - 1, allocation.kept_profit / allocation.profit - 1, "lump-sum"
    )


def certify(
    places: Places, policy: Policy, allocation: PlacesEquilibrium, welfare: Welfare = "efficiency"
) -> PlacesCertificate:
    """First-order conditions of an allocation under a policy, by one adjoint.

    The equilibrium responds to every subsidy; its derivatives are implicit and know nothing of the formula for the
    optimum.

    **Raises:** `ModelError` where the allocation is no equilibrium under the policy, and for unknown welfare.
    """
    _rule(welfare, "lump-sum")
    count = places.productivity.shape
    policy = Policy(
        jnp.broadcast_to(policy.tau_wage, count), jnp.broadcast_to(policy.tau_profit, count), policy.financing
    )
    gradient, gap = _gradient(correction_of(places), places, policy, allocation, welfare)
    if not gap < LARGEST_GAP:
        raise ModelError(
            f"the allocation is no equilibrium under the policy, whose largest log gap there is {float(gap):.1e}: "
            "solve(places, policy) first"
        )
    wage, profit = np.asarray(gradient.tau_wage), np.asarray(gradient.tau_profit)
    return PlacesCertificate(float(np.abs(np.concatenate([wage, profit])).max()), wage, profit)


@eqx.filter_jit
def _gradient(correction, places: Places, policy: Policy, allocation: PlacesEquilibrium, welfare: Welfare):
    """The gradient, and the largest log gap of the allocation under the policy."""
    fixed = jax.lax.stop_gradient(allocation)
    gap = largest(pack(residual(fixed.state(), System(places, policy, correction, None))))

    def value(policy: Policy):
        found = solve_from(correction, places, policy, fixed.state(), tolerance=1e-11)
        if welfare == "expected_utility":
            return jnp.log(found.utility)
        for_people = (fixed.marginal_labour - fixed.consumption) * found.population
        for_firms = (fixed.marginal_firm - places.entry_cost) * found.firms
        return (for_people + for_firms).sum() / fixed.output.sum()

    return eqx.filter_grad(value)(policy), gap


def _net_output(places: Places, allocation: PlacesEquilibrium):
    return (allocation.output - places.entry_cost * allocation.firms).sum()
