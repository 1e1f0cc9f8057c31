"""The planner's optimum: an equilibrium under the optimal policy, with a certificate (CH sections 5 and 6)."""

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from spatialjax.cities.certificate import CERTIFIED, Certificate
from spatialjax.cities.checks import refuse_unless_planned_for
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, describe_failure, income_state
from spatialjax.cities.homotopy import Path, follow_path
from spatialjax.cities.objectives import (
    EqualGains,
    GivenGains,
    Objective,
    ParetoWeights,
    PhasedIn,
    WelfareReference,
    named_objective,
)
from spatialjax.cities.optimal_policy import OptimalPolicy
from spatialjax.cities.policy_effect import (
    MAX_EVALUATIONS_PER_STEP,
    PolicyEffect,
    described,
    phase_in,
    reference_equilibrium,
    refuse_tracers,
    solve_under,
)
from spatialjax.errors import ConvergenceError
from spatialjax.typing import ByOccupation

FRONTIER_STEP = 0.01
"""Differences between gains at which the curvature of the utility frontier is taken."""
CERTIFIED_OPTIMUM = "the first-order conditions hold and curvature is negative"


@dataclass(frozen=True, kw_only=True)
class Optimum(PolicyEffect):
    """A planner's allocation.

    - `base_transfer`: R, the part of net transfers that is alike in all cities, by occupation.
    - `objective`: what the planner wants.
    """

    base_transfer: ByOccupation
    objective: Objective

    @property
    def found(self) -> bool:
        """Whether this is a certified optimum."""
        return self.outcome == CERTIFIED_OPTIMUM


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
    equilibrium; where that fails, it is phased in along a path. Objectives other than equal gains are reached from
    the optimum with equal gains. To differentiate an optimum, or to solve many at once, call
    `solve(economy, income=OptimalPolicy(...))`, which this does.

    **Arguments:**

    - `equilibrium`: what gains are relative to and where the search starts; by default `solve(economy)`.
    - `objective`: "equal-gains" (CH section 6), "pareto-weights" (one for every worker, logarithmic utility),
      "utilitarian" (the sum of welfare), "max-min" (the welfare of the worst off, in levels), or an [`Objective`][].
    - `throw`: raise where there is no certified optimum; otherwise look at `outcome` and `certificate`.
    - `tolerance`, `max_evaluations`: as in [`solve`][].

    **Raises:** `ConvergenceError` saying how far the path went and where it folds, or which condition of
    optimality fails; among these a sum of welfare that has no maximum with all occupations well off, because the
    utility frontier is convex. `ModelError` for arguments that are none.
    """
    refuse_tracers(economy)
    refuse_unless_planned_for(economy, "an optimum")
    wanted = named_objective(objective, len(economy.labels.occupation))
    equilibrium = reference_equilibrium(economy, equilibrium, tolerance, max_evaluations)
    policy = OptimalPolicy(WelfareReference.of(economy, equilibrium))
    allocation, path = solve_under(economy, policy, equilibrium.state(), tolerance, max_evaluations), None
    if not bool(allocation.converged):
        path = phase_in(economy, policy, equilibrium, tolerance, max_evaluations)
        if path.reached > 0:
            allocation = path.equilibrium
            policy = eqx.tree_at(lambda p: p.strength, policy, jnp.asarray(path.reached))
    found = _optimum(economy, policy, allocation, equilibrium, path)
    if found.found and not isinstance(wanted, EqualGains):
        found = _change_objective(economy, wanted, found, tolerance, max_evaluations)
    if throw and not found.found:
        raise ConvergenceError(f"no optimum: {found.outcome}")
    return found


def _optimum(
    economy: Economy,
    policy: OptimalPolicy,
    allocation: Equilibrium,
    equilibrium: Equilibrium,
    path: Path | None,
    outcome: str | None = None,
) -> Optimum:
    description = described(economy, policy, allocation, equilibrium)
    return Optimum(
        **description,
        base_transfer=_base_transfer(economy, policy, allocation),
        objective=policy.objective,
        path=path,
        outcome=outcome or judged(economy, allocation, description["certificate"], path),
    )


@eqx.filter_jit
def _base_transfer(economy: Economy, policy: OptimalPolicy, allocation: Equilibrium) -> ByOccupation:
    return policy.schedule(income_state(economy, allocation), economy).base_transfer


def judged(economy: Economy, allocation: Equilibrium, certificate: Certificate | None, path: Path | None) -> str:
    """What an allocation is, in words, given its certificate and the path to it."""
    if path is not None and not path.complete:
        return (
            "the path folds: the allocation that it follows, from the equilibrium or from the optimum with equal "
            f"gains, exists up to {path.reached:.3f} of the way and no further"
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
    return CERTIFIED_OPTIMUM


def _change_objective(
    economy: Economy, objective: Objective, start: Optimum, tolerance: float, max_evaluations: int
) -> Optimum:
    """From the optimum with equal gains to that of another objective, at once or along a path."""
    policy = start.policy
    assert isinstance(policy, OptimalPolicy)
    reference = policy.reference
    if isinstance(objective, ParetoWeights) and (refusal := _refusal(economy, objective, start, tolerance)):
        return _optimum(economy, policy, start.equilibrium, start.reference, None, refusal)
    accounts = WelfareReference.of(economy, start.equilibrium).accounts
    accounts = eqx.tree_at(lambda a: a.gain, accounts, start.gain)

    def policy_at(part: float) -> OptimalPolicy:
        return OptimalPolicy(reference, PhasedIn(objective, accounts, jnp.asarray(part)))

    wanted, path = OptimalPolicy(reference, objective), None
    state, most = start.equilibrium.state(), min(max_evaluations, MAX_EVALUATIONS_PER_STEP)
    allocation = solve_under(economy, wanted, state, tolerance, max_evaluations)
    if not bool(allocation.converged):
        path = follow_path(
            lambda part, state: solve_under(economy, policy_at(part), state, tolerance, most),
            start.equilibrium,
        )
        allocation = path.equilibrium
        wanted = wanted if path.complete else policy_at(path.reached)
    found = _optimum(economy, wanted, allocation, start.reference, path)
    if not found.found or not isinstance(objective, ParetoWeights):
        return found
    refusal = _refusal(economy, objective, found, tolerance)
    return found if refusal is None else _optimum(economy, wanted, allocation, start.reference, path, refusal)


def _refusal(economy: Economy, objective: ParetoWeights, point: Optimum, tolerance: float) -> str | None:
    """Why a weighted sum of welfare has no maximum near a point of the utility frontier, if it has none."""
    if len(economy.labels.occupation) == 1:
        return None
    curvature = frontier_curvature(economy, point, objective, tolerance=tolerance)
    if curvature < 0:
        return None
    return (
        "the weighted sum of welfare has a minimum where it is stationary, between the corners where one occupation "
        f"has all: the utility frontier is convex (second derivative {curvature:.2g} of the sum, relative to it). Ask "
        "for equal gains, or for more inequality_aversion"
    )


def frontier_curvature(
    economy: Economy, point: Optimum, objective: ParetoWeights, *, tolerance: float = 1e-11
) -> float:
    """Curvature of the utility frontier at an optimum, in utilities U of constant inequality aversion.

    The largest second derivative of n . U along the frontier, relative to n . (U v / v), with n the frontier's normal
    there; positive where the frontier is convex, so that no weighted sum of U has a maximum near. Points of the
    frontier are optima for given differences between the gains of occupations.
    """
    policy, certificate = point.policy, point.certificate
    assert isinstance(policy, OptimalPolicy)
    assert certificate is not None
    here = point.equilibrium.welfare
    marginal = objective.marginal_utility(here)
    normal = jnp.asarray(certificate.weights) / marginal
    gains = np.asarray(point.gain)

    def value(change: np.ndarray) -> float:
        difference = gains - gains[0] + np.concatenate([[0.0], change])
        along = OptimalPolicy(policy.reference, GivenGains(jnp.asarray(difference)))
        found = solve_under(economy, along, point.equilibrium.state(), tolerance, MAX_EVALUATIONS_PER_STEP)
        return float(normal @ objective.utility(found.welfare)) if bool(found.converged) else np.nan

    steps = FRONTIER_STEP * np.eye(gains.size - 1)
    centre = value(np.zeros(gains.size - 1))

    def second(change: np.ndarray) -> float:
        return (value(change) + value(-change) - 2 * centre) / FRONTIER_STEP**2

    hessian = np.diag([second(step) for step in steps])
    for i, j in zip(*np.triu_indices(gains.size - 1, 1), strict=True):
        hessian[i, j] = hessian[j, i] = (second(steps[i] + steps[j]) - hessian[i, i] - hessian[j, j]) / 2
    scale = float(normal @ (marginal * here))
    return float(np.linalg.eigvalsh(hessian).max() / scale) if np.isfinite(hessian).all() else np.nan
