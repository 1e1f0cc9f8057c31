"""What a policy search maximises, and what holds at a point of it (spec section 7).

A point is an equilibrium under an instrument's rule, with gradients of welfare in the instrument's parameters, scores
of which the objective wants the smallest to be as large as possible, and first-order conditions.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spatialjax.cities.certificate import (
    WelfareGradients,
    first_order_conditions,
    largest_cosine,
    welfare_gradients,
)
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, describe_failure, income_state
from spatialjax.cities.instruments import Instrument, reached_bounds, rule_of
from spatialjax.cities.objectives import (
    EqualGains,
    GivenGains,
    MaxMin,
    Objective,
    ParetoWeights,
    WelfareReference,
)
from spatialjax.cities.policy_effect import solve_under
from spatialjax.errors import ModelError
from spatialjax.numerics.implicit import SINGULAR
from spatialjax.typing import ByOccupation

STEP = 0.01
"""Size of a step of one in a scaled parameter: root mean square over workers of what it pays, over mean income."""
BINDING = 1e-8
"""Distance from the smallest score within which others count as the smallest too."""
EQUILIBRIUM_TOLERANCE = 1e-11
MAX_EVALUATIONS = 200
"""Evaluations of the equilibrium system that one trial may take."""
NO_EFFECT = 1e-14
"""Of welfare: a gradient below this, in scaled parameters, is rounding."""


class PolicyProblem(NamedTuple):
    """What is maximised over what: `unit` is how much of each parameter a scaled one stands for."""

    economy: Economy
    instrument: Instrument
    objective: Objective
    equilibrium: Equilibrium
    reference: WelfareReference
    mean_income: float
    unit: np.ndarray

    @classmethod
    def of(cls, economy, instrument, objective, equilibrium, parameters: np.ndarray) -> "PolicyProblem":
        """The problem, scaled by what each parameter does at an equilibrium.

        A unit changes incomes by STEP of their mean, root mean square over workers. Effects of a dollar on welfare are
        nearly proportional to employment where it is paid: so scaled, second derivatives are alike for all parameters.
        """
        mean_income = float((equilibrium.income * equilibrium.employment).sum() / equilibrium.employment.sum())
        state = income_state(economy, equilibrium)
        paid = np.asarray(_paid_by_parameter(instrument, economy, state, jnp.asarray(parameters)))
        without_effect = STEP * np.maximum(1.0, np.abs(parameters))
        unit = np.divide(STEP * mean_income, paid, out=without_effect, where=paid > 0)
        reference = WelfareReference.of(economy, equilibrium)
        return cls(economy, instrument, objective, equilibrium, reference, mean_income, unit)


class FirstOrder(NamedTuple):
    """First-order conditions at a point, in scaled parameters.

    `share` are multipliers of the scores, `weights` of welfare; `gap` is the mean distance of scores from the smallest
    at these shares; `free` are parameters that no bound stops; `scale` is the size of direct effects on what is
    maximised, to which `residual` is relative.
    """

    residual: float
    scale: float
    gap: float
    cosine: float
    share: np.ndarray
    weights: np.ndarray
    free: np.ndarray


class PolicyPoint(NamedTuple):
    """A point of the search: `gradient` is of welfare (occupation, scaled parameter), `rows` of the scores."""

    parameters: np.ndarray
    equilibrium: Equilibrium
    derivatives: WelfareGradients
    scores: np.ndarray
    gradient: np.ndarray
    rows: np.ndarray
    conditions: FirstOrder


class Nowhere(NamedTuple):
    """Where there is no point: why."""

    reason: str


def point_at(problem: PolicyProblem, parameters: np.ndarray, start: Equilibrium) -> PolicyPoint | Nowhere:
    """The equilibrium at some parameters, and what follows from it."""
    economy, instrument = problem.economy, problem.instrument
    rule = rule_of(instrument, jnp.asarray(parameters), economy)
    found = solve_under(economy, rule, start.state(), EQUILIBRIUM_TOLERANCE, MAX_EVALUATIONS)
    if not bool(found.converged):
        return Nowhere(describe_failure(found, economy))
    try:
        derivatives = jax.block_until_ready(welfare_gradients(economy, found.state(), rule))
    except RuntimeError as error:
        if SINGULAR not in str(error):
            raise
        return Nowhere(SINGULAR)
    gradient, direct = _in_parameters(instrument, economy, jnp.asarray(parameters), derivatives)
    gradient, direct = np.asarray(gradient) * problem.unit, np.asarray(direct) * problem.unit
    scores, slopes = map(np.asarray, _scores_and_slopes(problem, derivatives.welfare))
    if not all(np.isfinite(array).all() for array in (scores, slopes, gradient, direct)):
        return Nowhere("welfare or its gradient is not finite")
    bounds = reached_bounds(instrument, parameters)
    conditions = _conditions(scores, slopes, gradient, direct, np.asarray(derivatives.welfare), bounds)
    return PolicyPoint(parameters, found, derivatives, scores, gradient, slopes @ gradient, conditions)


def _conditions(scores, slopes, gradient, direct, welfare, bounds) -> FirstOrder:
    """First-order conditions from scores, their derivatives in welfare, and those of welfare in parameters."""
    rows = slopes @ gradient
    at_lower, at_upper = bounds
    binding = scores <= scores.min() + BINDING
    free, seen = ~(at_lower | at_upper), 0
    while True:
        share = np.zeros(scores.size)
        share[binding] = _multipliers(rows[binding][:, free])
        total = share @ rows
        pushes = (at_lower & (total <= 0)) | (at_upper & (total >= 0))
        if (free == ~pushes).all() or (seen := seen + 1) > 20:
            break
        free = ~pushes
    weights = share @ slopes
    scale = weights @ np.linalg.norm(direct, axis=1)
    remains = np.linalg.norm(total[free])
    return FirstOrder(
        residual=float(remains / scale) if remains > NO_EFFECT * (weights @ welfare) else 0.0,
        scale=float(scale),
        gap=float(share @ (scores - scores.min())),
        cosine=largest_cosine(weights[:, None] * gradient[:, free]),
        share=share,
        weights=weights / weights.sum(),
        free=free,
    )


def _multipliers(rows: np.ndarray) -> np.ndarray:
    """Multipliers of scores, summing to one, at which their gradients come nearest to adding up to zero."""
    length = np.linalg.norm(rows, axis=1)
    if rows.shape[0] == 1 or not length.all():
        stationary = length == length.min()
        return stationary / stationary.sum()
    return first_order_conditions(rows)[1]


def _scores_and_slopes(problem: PolicyProblem, welfare: ByOccupation):
    """Scores and their derivatives (score, occupation)."""
    return _differentiated_scores(problem.objective, problem.reference, problem.economy.population, welfare)


@eqx.filter_jit
def _differentiated_scores(objective, reference, population, welfare):
    value = lambda v: scores_of(objective, reference, population, v)  # noqa: E731
    return value(welfare), jax.jacfwd(value)(welfare)


def scores_of(
    objective: Objective, reference: WelfareReference, population: ByOccupation, welfare: ByOccupation
) -> Float[Array, " score"]:
    """Numbers of which an objective wants the smallest to be as large as possible, in units of a gain.

    By occupation for equal or given gains and for max-min; for Pareto weights one number, the weighted sum of
    utility less that at the reference, over what it would gain if all welfare were twice as large, to first order.
    """
    if isinstance(objective, EqualGains):
        return reference.gain(welfare)
    if isinstance(objective, GivenGains):
        return reference.gain(welfare) - objective.difference
    if isinstance(objective, MaxMin):
        return welfare / reference.accounts.welfare.mean()
    if isinstance(objective, ParetoWeights):
        before, weights = reference.accounts.welfare, objective.weights * population
        unit = (weights * objective.marginal_utility(before) * before).sum()
        return (weights * (objective.utility(welfare) - objective.utility(before))).sum()[None] / unit
    raise ModelError(
        f"optimise_policy maximises EqualGains, MaxMin, GivenGains or ParetoWeights, found {type(objective).__name__}"
    )


@eqx.filter_jit
def _in_parameters(instrument: Instrument, economy: Economy, parameters, derivatives: WelfareGradients):
    """Derivatives in the parameters of the rule, from those in the rule's arrays (occupation, parameter)."""
    _, pull = jax.vjp(lambda p: eqx.filter(rule_of(instrument, p, economy), eqx.is_inexact_array), parameters)
    back = jax.vmap(lambda of_rule: pull(of_rule)[0])
    return back(derivatives.gradient), back(derivatives.direct)


@eqx.filter_jit
def _paid_by_parameter(instrument: Instrument, economy: Economy, state, parameters):
    """Root mean square over workers of the dollars that a unit of each parameter pays, before balancing."""
    pays = lambda p: instrument.transfer(p, state, economy)  # noqa: E731
    workers = state.employment / state.employment.sum()

    def of_one(i):
        unit = jnp.zeros_like(parameters).at[i].set(1.0)
        paid = jax.jvp(pays, (parameters,), (unit,))[1]
        return jnp.sqrt((workers * paid**2).sum())

    return jax.lax.map(of_one, jnp.arange(parameters.size), batch_size=64)
