"""The planner's optimum: an equilibrium under the optimal policy, with a certificate (CH sections 5 and 6)."""

from dataclasses import dataclass, field

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from spatialjax.cities.certificate import CERTIFIED, Certificate, certify
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, describe_failure, income_state, solve
from spatialjax.cities.homotopy import Path, follow_path
from spatialjax.cities.income import IncomeRule
from spatialjax.cities.objectives import (
    GivenGains,
    Objective,
    ParetoWeights,
    WelfareReference,
    named_objective,
)
from spatialjax.cities.optimal_policy import OptimalPolicy
from spatialjax.cities.policies import net_transfer
from spatialjax.cities.state import State
from spatialjax.cities.wedge import wedge
from spatialjax.errors import ConvergenceError, ModelError
from spatialjax.typing import ByOccupation, CityOccupation

MAX_EVALUATIONS_PER_STEP = 150
FRONTIER_STEP = 0.01
"""Differences between gains at which the curvature of the utility frontier is taken."""


@dataclass(frozen=True)
class Optimum:
    """A planner's allocation; dollars a year at the numeraire.

    - `equilibrium`: the allocation. `wedge`: social less private value of workers in it (city, occupation).
    - `transfer`: net, P C - w - chi (city, occupation). `base_transfer`: its part R that is alike in all cities, by
      occupation.
    - `gain`: v / v_equilibrium - 1 by occupation; with additive amenities the change of welfare over mean real
      consumption.
    - `certificate`: the first-order conditions checked; `None` where the allocation was not found.
    - `reference`: the equilibrium that gains are relative to. `policy`: the income rule that implements it.
    - `path`: how it was reached, where one solve did not do.
    - `outcome`: in words, whether this is an optimum.
    """

    equilibrium: Equilibrium
    wedge: CityOccupation
    transfer: CityOccupation
    base_transfer: ByOccupation
    gain: ByOccupation
    certificate: Certificate | None
    reference: Equilibrium
    policy: IncomeRule
    objective: Objective
    outcome: str
    path: Path | None = field(default=None)

    @property
    def found(self) -> bool:
        """Whether this is a certified optimum."""
        return self.outcome == CERTIFIED_OPTIMUM

    def to_xarray(self, data: xr.Dataset) -> xr.Dataset:
        """The allocation, its policy and its certificate, with the dimensions and labels of `data`."""
        from spatialjax.cities.labelled import optimum_to_xarray

        return optimum_to_xarray(self, data)


CERTIFIED_OPTIMUM = "the first-order conditions hold and curvature is negative"


def optimum(
    economy: Economy,
    equilibrium: Equilibrium | None = None,
    *,
    objective: Objective | str = "equal-gains",
    throw: bool = True,
    tolerance: float = 1e-11,
    max_evaluations: int = 2000,
) -> Optimum:
    """The planner's optimum (CH Proposition 1), with a certificate.

    The allocation is an equilibrium under [`OptimalPolicy`][]. The whole policy is tried at once from the
    equilibrium; where that fails, it is phased in along a path. To differentiate an optimum, or to solve many at
    once, call `solve(economy, income=OptimalPolicy(...))`, which this does.

    **Arguments:**

    - `equilibrium`: what gains are relative to and where the search starts; by default `solve(economy)`.
    - `objective`: "equal-gains" (CH section 6), "pareto-weights" (one for every worker, logarithmic utility),
      "utilitarian" (the sum of welfare), "max-min" (the welfare of the worst off, in levels), or an [`Objective`][].
    - `throw`: raise where there is no certified optimum; otherwise look at `outcome` and `certificate`.
    - `tolerance`, `max_evaluations`: as in [`solve`][].

    **Raises:** `ConvergenceError` saying how far the path went and where it folds, or which condition of
    optimality fails; among these a sum of welfare that has a minimum where it is stationary, because the utility
    frontier is convex. `ModelError` for arguments that are none.
    """
    _refuse_tracers(economy)
    objective = named_objective(objective, len(economy.labels.occupation))
    if equilibrium is None:
        equilibrium = solve(economy, tolerance=tolerance, max_evaluations=max_evaluations)
    if not bool(equilibrium.converged):
        raise ModelError(f"gains are relative to an equilibrium, and this is none: {equilibrium.outcome}")
    policy = OptimalPolicy(WelfareReference.of(economy, equilibrium), objective)
    found = _implement(economy, policy, equilibrium, tolerance=tolerance, max_evaluations=max_evaluations)
    if throw and not found.found:
        raise ConvergenceError(f"no optimum: {found.outcome}")
    return found


def policy_effect(
    economy: Economy,
    policy: OptimalPolicy,
    equilibrium: Equilibrium,
    *,
    tolerance: float = 1e-11,
    max_evaluations: int = 2000,
) -> Optimum:
    """What a variant of the optimal policy does, for instance one without its tax on place.

    Like [`optimum`][] with `throw=False`: its certificate says how far from optimal it is. Where the path folds, the
    allocation is that of the largest part of the policy that was reached.
    """
    return _implement(economy, policy, equilibrium, tolerance=tolerance, max_evaluations=max_evaluations)


def _implement(economy: Economy, policy: OptimalPolicy, equilibrium: Equilibrium, *, tolerance, max_evaluations):
    """Solve under a policy, at once or along a path, and certify what was found."""

    def solve_under(policy: OptimalPolicy, start: State, most: int) -> Equilibrium:
        return solve(economy, income=policy, initial=start, tolerance=tolerance, max_evaluations=most, throw=False)

    allocation, path = solve_under(policy, equilibrium.state(), max_evaluations), None
    if not bool(allocation.converged):
        path = follow_path(
            lambda strength, start: solve_under(_at(policy, strength), start, MAX_EVALUATIONS_PER_STEP), equilibrium
        )
        if path.reached > 0:
            allocation, policy = path.equilibrium, _at(policy, path.reached)
    certificate = certify(economy, allocation) if bool(allocation.converged) else None
    outcome = _outcome(economy, equilibrium, policy, allocation, certificate, path, tolerance)
    return Optimum(
        equilibrium=allocation,
        wedge=wedge(economy, allocation),
        transfer=net_transfer(allocation),
        base_transfer=_base_transfer(economy, policy, allocation),
        gain=policy.reference.gain(allocation.welfare),
        certificate=certificate,
        reference=equilibrium,
        policy=policy,
        objective=policy.objective,
        outcome=outcome,
        path=path,
    )


def _at(policy: OptimalPolicy, strength: float) -> OptimalPolicy:
    """A part of a policy."""
    return eqx.tree_at(lambda p: p.strength, policy, strength * policy.strength)


@eqx.filter_jit
def _base_transfer(economy: Economy, policy: OptimalPolicy, allocation: Equilibrium) -> ByOccupation:
    return policy.schedule(income_state(economy, allocation), economy).base_transfer


def _outcome(
    economy: Economy,
    equilibrium: Equilibrium,
    policy: OptimalPolicy,
    allocation: Equilibrium,
    certificate: Certificate | None,
    path: Path | None,
    tolerance: float,
) -> str:
    if path is not None and not path.complete:
        return (
            f"the path from the equilibrium folds: the allocation that it follows exists up to {path.reached:.3f} of "
            "the policy and no further (docs/how-to.md)"
        )
    if certificate is None:
        return describe_failure(allocation, economy)
    if not certificate.first_order:
        return (
            f"the first-order conditions do not hold: their residual is {certificate.residual:.1e}, above {CERTIFIED:g}"
        )
    if not certificate.concave:
        return (
            f"the first-order conditions hold, but curvature is positive in {int((certificate.curvature >= 0).sum())} "
            f"of {certificate.curvature.size} directions: this is no maximum"
        )
    if isinstance(policy.objective, ParetoWeights) and len(economy.labels.occupation) > 1:
        curvature = _frontier_curvature(economy, equilibrium, policy, allocation, tolerance)
        if not curvature < 0:
            return (
                "the weighted sum of welfare has a minimum here, between the corners where one occupation has all: the "
                f"utility frontier is convex (second derivative {curvature:.2g} in units of the sum). Ask for equal "
                "gains, or for more inequality_aversion"
            )
    return CERTIFIED_OPTIMUM


def _frontier_curvature(economy, equilibrium, policy: OptimalPolicy, allocation: Equilibrium, tolerance) -> float:
    """Largest second derivative of social welfare along the utility frontier, relative to its size.

    Points of the frontier are optima for given differences between the gains of occupations.
    """
    occupations = allocation.welfare.size
    here = np.asarray(policy.reference.gain(allocation.welfare))
    difference = here - here[0]

    def social_welfare(change: np.ndarray) -> float:
        moved = np.concatenate([[0.0], change])
        point = OptimalPolicy(policy.reference, GivenGains(jnp.asarray(difference + moved)))
        found = solve(economy, income=point, initial=allocation, tolerance=tolerance, throw=False)
        return float(policy.objective.social_welfare(found.welfare, economy.population)) if found.converged else np.nan

    size = abs(float(policy.objective.social_welfare(allocation.welfare, economy.population)))
    size = size if size > 0 else 1.0
    centre = social_welfare(np.zeros(occupations - 1))
    steps = FRONTIER_STEP * np.eye(occupations - 1)

    def second(change: np.ndarray) -> float:
        return (social_welfare(change) + social_welfare(-change) - 2 * centre) / FRONTIER_STEP**2

    hessian = np.diag([second(step) for step in steps])
    for i, j in zip(*np.triu_indices(occupations - 1, 1), strict=True):
        hessian[i, j] = hessian[j, i] = (second(steps[i] + steps[j]) - hessian[i, i] - hessian[j, j]) / 2
    if not np.isfinite(hessian).all():
        return np.nan
    return float(np.linalg.eigvalsh(hessian).max() / size)


def _refuse_tracers(economy: Economy) -> None:
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(economy)):
        raise ModelError(
            "optimum chooses its steps outside of jit and cannot be traced: inside jit, vmap or grad call "
            "solve(economy, income=OptimalPolicy(WelfareReference.of(economy, equilibrium)))"
        )
