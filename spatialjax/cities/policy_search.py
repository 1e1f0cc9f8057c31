"""The best policy of a given form: gradient search over an instrument's parameters (spec section 7).

For what CH Proposition 1 does not cover. Every point of the search is an equilibrium, every gradient exact: one
adjoint an occupation. Where the smallest of several gains is maximised, which has kinks, the search is for the
largest number that is below all of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import OptimizeResult, minimize

from spatialjax.cities.certificate import (
    CERTIFIED,
    Certificate,
    WelfareGradients,
    first_order_conditions,
    largest_cosine,
    welfare_curvature,
    welfare_gradients,
)
from spatialjax.cities.checks import refuse_unless_planned_for
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, describe_failure, income_state
from spatialjax.cities.instruments import (
    Instrument,
    InstrumentRule,
    Parameters,
    bounds_of,
    reached_bounds,
    rule_of,
)
from spatialjax.cities.objectives import (
    EqualGains,
    GivenGains,
    MaxMin,
    Objective,
    ParetoWeights,
    WelfareReference,
    named_objective,
)
from spatialjax.cities.planner import CERTIFIED_OPTIMUM, Optimum
from spatialjax.cities.policies import net_transfer
from spatialjax.cities.policy_effect import reference_equilibrium, refuse_tracers, solve_under
from spatialjax.cities.wedge import wedge
from spatialjax.errors import ConvergenceError, ModelError
from spatialjax.numerics.implicit import SINGULAR
from spatialjax.typing import ByOccupation

STEP = 0.01
"""Size of a step of one in a scaled parameter: root mean square over workers of what it pays, over mean income."""
SCORE_SCALE = STEP**-2
"""Scores are multiplied by this for the optimiser, so that their second derivatives are of order one."""
BINDING = 1e-8
"""Distance from the smallest score within which others count as the smallest too."""
PENALTY = 1.0
"""By how much scores are below the best ones seen where there is no equilibrium."""
EQUILIBRIUM_TOLERANCE = 1e-11
MAX_EVALUATIONS = 200
"""Evaluations of the equilibrium system that one trial may take."""
MAX_FAILURES = 15
"""Trials without an equilibrium after which a search ends: it has run to the edge of where there is one."""
NO_EFFECT = 1e-14
"""Of welfare: a gradient below this, in scaled parameters, is rounding."""
DIRECTIONS = 4
"""Directions along which curvature is taken, as many as a certificate of transfers has: they share a program."""


class SearchProgress(NamedTuple):
    """How far a search is: equilibria solved, what is maximised (a gain), residual of the first-order conditions."""

    evaluations: int
    value: float
    residual: float


def optimise_policy(
    economy: Economy,
    instrument: Instrument,
    equilibrium: Equilibrium | None = None,
    *,
    objective: Objective | str = "equal-gains",
    initial: Parameters | None = None,
    throw: bool = True,
    tolerance: float = 1e-7,
    max_iterations: int = 300,
    progress: Callable[[SearchProgress], None] | None = None,
) -> Optimum:
    """The parameters of an instrument that are best for an objective, with a certificate.

    A local optimum, found by gradients from `initial`: L-BFGS-B for a sum of welfare; for equal gains and max-min,
    which are not smooth, sequential quadratic programming (SLSQP) in the form: maximise g with no occupation's gain
    below g. An instrument that cannot make gains equal without a loss to all leaves them unequal: the smallest is
    maximised. The optimiser's own work, beyond one equilibrium and its gradients a step, is small for hundreds of
    parameters; SLSQP's grows with their third power.

    In the result, `policy` is an [`InstrumentRule`][] with the `parameters` found, and `base_transfer` the mean net
    transfer of each occupation's workers. The certificate's conditions are those of the instrument's own parameters,
    each in units of its effect (root mean square over workers of dollars paid):

    - `residual` is |sum_k phi[k] g[k]| / sum_k phi[k] |d[k]|, with d the direct effect of the parameters on welfare, at
      given wages, prices and employment. Components of the sum that push against a bound that is reached are dropped.
      `weights` phi are the objective's marginal values of welfare; where a smallest gain is maximised, the values
      phi >= 0 at which the residual is least, zero for occupations that gain more than the smallest gain.
    - `gradient` is g (occupation, parameter) in welfare per unit of each parameter.
    - `curvature` is along directions in which no bound is reached; empty if there is none that keeps gains equal.

    **Arguments:**

    - `instrument`: an [`Instrument`][]: [`CityOccupationTransfers`][], [`OccupationTransfers`][],
      [`CityTransfers`][], [`SizeClassTransfers`][], [`IncomeTestedTransfers`][], or one of your own.
    - `equilibrium`: what gains are relative to and where the search starts; by default `solve(economy)`.
    - `objective`: as for [`optimum`][].
    - `initial`: parameters to start from, by default the instrument's.
    - `throw`: raise where no certified optimum was found; otherwise look at `outcome` and `certificate`.
    - `tolerance`: of the first-order conditions, at which the search ends; the result is certified below 1e-6.
    - `max_iterations`: of the optimiser.
    - `progress`: called after every evaluation with a [`SearchProgress`][].

    **Raises:** `ConvergenceError` where no certified optimum was found, saying which condition fails; and, whatever
    `throw` is, where there is no equilibrium at the first parameters. `ModelError` for instruments, parameters or
    objectives that are none.
    """
    refuse_tracers(economy)
    refuse_unless_planned_for(economy, "the best policy")
    wanted = named_objective(objective, len(economy.labels.occupation))
    start = reference_equilibrium(economy, equilibrium, EQUILIBRIUM_TOLERANCE, 2000)
    wanted.balance(WelfareReference.of(economy, start).accounts)  # refuses weights of other occupations
    parameters = _first_parameters(economy, instrument, start, initial)
    problem = _Problem.of(economy, instrument, wanted, start, parameters)
    end = _Search(problem, tolerance, progress).run(parameters, max_iterations)
    found = _described(problem, end)
    if throw and not found.found:
        raise ConvergenceError(f"no optimum: {found.outcome}")
    return found


class _Problem(NamedTuple):
    """What is maximised over what: `unit` is how much of each parameter a scaled one stands for."""

    economy: Economy
    instrument: Instrument
    objective: Objective
    equilibrium: Equilibrium
    reference: WelfareReference
    mean_income: float
    unit: np.ndarray

    @classmethod
    def of(cls, economy, instrument, objective, equilibrium, parameters: np.ndarray) -> "_Problem":
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


class _Conditions(NamedTuple):
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


class _Point(NamedTuple):
    """A point of the search: `gradient` is of welfare (occupation, scaled parameter), `rows` of the scores."""

    parameters: np.ndarray
    equilibrium: Equilibrium
    derivatives: WelfareGradients
    scores: np.ndarray
    gradient: np.ndarray
    rows: np.ndarray
    conditions: _Conditions


class _Nowhere(NamedTuple):
    """Where there is no point: why."""

    reason: str


class _End(NamedTuple):
    """Where a search ended, and how in words."""

    point: _Point
    message: str


def _point_at(problem: _Problem, parameters: np.ndarray, start: Equilibrium) -> _Point | _Nowhere:
    """The equilibrium at some parameters, and what follows from it."""
    economy, instrument = problem.economy, problem.instrument
    rule = rule_of(instrument, jnp.asarray(parameters), economy)
    found = solve_under(economy, rule, start.state(), EQUILIBRIUM_TOLERANCE, MAX_EVALUATIONS)
    if not bool(found.converged):
        return _Nowhere(describe_failure(found, economy))
    try:
        derivatives = jax.block_until_ready(welfare_gradients(economy, found.state(), rule))
    except RuntimeError as error:
        if SINGULAR not in str(error):
            raise
        return _Nowhere(SINGULAR)
    gradient, direct = _in_parameters(instrument, economy, jnp.asarray(parameters), derivatives)
    gradient, direct = np.asarray(gradient) * problem.unit, np.asarray(direct) * problem.unit
    scores, slopes = map(np.asarray, _scores_and_slopes(problem, derivatives.welfare))
    if not all(np.isfinite(array).all() for array in (scores, slopes, gradient, direct)):
        return _Nowhere("welfare or its gradient is not finite")
    bounds = reached_bounds(instrument, parameters)
    conditions = _conditions(scores, slopes, gradient, direct, np.asarray(derivatives.welfare), bounds)
    return _Point(parameters, found, derivatives, scores, gradient, slopes @ gradient, conditions)


class _Ended(Exception):
    """Raised through the optimiser where the search is over: at an optimum, or at the edge of what exists."""


class _Search:
    """What the optimiser calls, in scaled parameters; it remembers the best point and the last values.

    Every equilibrium is searched from that of the best point.
    """

    def __init__(self, problem: _Problem, tolerance: float, progress: Callable[[SearchProgress], None] | None):
        self.problem, self.tolerance, self.progress = problem, tolerance, progress
        self.evaluations = self.failures = 0
        self.lower, self.upper = bounds_of(problem.instrument, problem.unit)
        self.best: _Point
        self.last: tuple[bytes, np.ndarray, np.ndarray]

    def run(self, parameters: np.ndarray, max_iterations: int) -> _End:
        """Maximise from these parameters."""
        try:
            self._start(parameters)
            maximise = self._maximise_sum if self.best.scores.size == 1 else self._maximise_smallest
            result = maximise(parameters / self.problem.unit, max_iterations)
        except _Ended as ended:
            return _End(self.best, str(ended))
        return _End(self.best, f"{result.message}, after {result.get('nit', 0)} iterations")

    def _maximise_sum(self, scaled: np.ndarray, max_iterations: int) -> OptimizeResult:
        def value_and_gradient(x):
            scores, rows = self._at(x)
            return -scores[0], -rows[0]

        return minimize(
            value_and_gradient,
            scaled,
            jac=True,
            method="L-BFGS-B",
            bounds=self._bounds(),
            options={"maxiter": max_iterations, "maxfun": 10 * max_iterations, "maxcor": 30, "ftol": 0, "gtol": 0},
        )

    def _maximise_smallest(self, scaled: np.ndarray, max_iterations: int) -> OptimizeResult:
        """Maximise the last of the optimiser's variables, which no score may be below."""
        downwards = np.append(np.zeros(scaled.size), -1.0)
        above = {
            "type": "ineq",
            "fun": lambda x: self._at(x[:-1])[0] - x[-1],
            "jac": lambda x: np.pad(self._at(x[:-1])[1], ((0, 0), (0, 1)), constant_values=-1.0),
        }
        return minimize(
            lambda x: -x[-1],
            np.append(scaled, self._at(scaled)[0].min()),
            jac=lambda x: downwards,
            method="SLSQP",
            bounds=[*self._bounds(), (-np.inf, np.inf)],
            constraints=[above],
            options={"maxiter": max_iterations, "ftol": 1e-13},
        )

    def _bounds(self) -> list[tuple[float, float]]:
        unit = self.problem.unit
        return list(zip((self.lower / unit).tolist(), (self.upper / unit).tolist(), strict=True))

    def _at(self, scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and their gradients; where there is no point, scores so low that the optimiser turns back."""
        key = scaled.tobytes()
        if self.last[0] != key:
            scores, rows = self._evaluate(np.clip(self.problem.unit * scaled, self.lower, self.upper))
            self.last = key, SCORE_SCALE * scores, SCORE_SCALE * rows
        return self.last[1:]

    def _start(self, parameters: np.ndarray) -> None:
        point = _point_at(self.problem, parameters, self.problem.equilibrium)
        if isinstance(point, _Nowhere):
            raise ConvergenceError(
                f"{type(self.problem.instrument).__name__} leads nowhere at the first parameters, so that no search "
                f"can start: {point.reason}"
            )
        self.best = point
        scaled = parameters / self.problem.unit
        self.last = scaled.tobytes(), SCORE_SCALE * point.scores, SCORE_SCALE * point.rows
        self._note(point)

    def _evaluate(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        point = _point_at(self.problem, parameters, self.best.equilibrium)
        if isinstance(point, _Nowhere):
            self._note_failure()
            return self.best.scores - PENALTY, self.best.rows
        self._note(point)
        return point.scores, point.rows

    def _note(self, point: _Point) -> None:
        """Report a point, remember it if it is the best, and end the search if it is an optimum."""
        self.evaluations += 1
        conditions, value, best = point.conditions, point.scores.min(), self.best.scores.min()
        if self.progress is not None:
            self.progress(SearchProgress(self.evaluations, float(value), conditions.residual))
        stationary = conditions.residual < self.tolerance and conditions.gap < STEP**2 * self.tolerance
        ends = stationary and value >= best - BINDING  # and is no plateau below what was found
        if ends or value > best:
            self.best = point
        if ends:
            raise _Ended("the first-order conditions hold")

    def _note_failure(self) -> None:
        self.evaluations += 1
        self.failures += 1
        if self.failures == MAX_FAILURES:
            at = self.best.equilibrium
            smallest = float(at.income[at.employment > 0].min())
            raise _Ended(
                f"{MAX_FAILURES} trials had no equilibrium, so that the search has run to the edge of where there is "
                f"one: the smallest income is {smallest:,.0f}"
            )


def _conditions(scores, slopes, gradient, direct, welfare, bounds) -> _Conditions:
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
    return _Conditions(
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


def _described(problem: _Problem, end: _End) -> Optimum:
    """The result at a point of the problem."""
    economy, point = problem.economy, end.point
    allocation = point.equilibrium
    transfer, workers = net_transfer(allocation), allocation.employment
    certificate = _certificate(problem, point)
    return Optimum(
        equilibrium=allocation,
        wedge=wedge(economy, allocation),
        transfer=transfer,
        base_transfer=(transfer * workers).sum(0) / workers.sum(0),
        gain=problem.reference.gain(allocation.welfare),
        certificate=certificate,
        reference=problem.equilibrium,
        policy=InstrumentRule(problem.instrument, jnp.asarray(point.parameters)),
        objective=problem.objective,
        outcome=_judge(certificate, end),
    )


def _judge(certificate: Certificate, end: _End) -> str:
    if not certificate.first_order:
        return (
            f"the first-order conditions do not hold: their residual is {certificate.residual:.1e}, above "
            f"{CERTIFIED:g}, where the search ended ({end.message}). Allow more with max_iterations, start elsewhere "
            "with initial, or bound the instrument"
        )
    if not certificate.concave:
        return (
            f"the first-order conditions hold, but curvature is positive in {int((certificate.curvature >= 0).sum())} "
            f"of {certificate.curvature.size} directions: this is no maximum"
        )
    return CERTIFIED_OPTIMUM


def _certificate(problem: _Problem, point: _Point) -> Certificate:
    conditions = point.conditions
    return Certificate(
        residual=conditions.residual,
        weights=conditions.weights,
        cosine=conditions.cosine,
        curvature=_curvature(problem, point),
        gradient=point.gradient / problem.unit,
    )


def _curvature(problem: _Problem, point: _Point) -> np.ndarray:
    """Curvature of log weighted welfare along the free directions of `_directions`."""
    economy, instrument = problem.economy, problem.instrument
    parameters = jnp.asarray(point.parameters)
    scaled = _directions(problem, point)
    state = income_state(economy, point.equilibrium)
    paid = np.asarray(_paid(instrument, economy, state, parameters, jnp.asarray(scaled * problem.unit)))
    length = np.linalg.norm(scaled, axis=1)
    moves = paid > 1e-6 * STEP * problem.mean_income * length  # else it pays the same to all, which is taken back
    if not moves.any():
        return np.zeros(0)
    size = np.divide(STEP * problem.mean_income, paid, out=np.zeros_like(paid), where=moves)
    scaled = scaled * size[:, None]
    conditions, derivatives = point.conditions, point.derivatives
    weights = jnp.asarray(conditions.weights)
    along = _in_rule(instrument, economy, parameters, jnp.asarray(scaled * problem.unit))
    rule = rule_of(instrument, parameters, economy)
    curvature = welfare_curvature(economy, point.equilibrium.state(), rule, weights, derivatives.multipliers, along)
    response = scaled @ point.gradient.T
    bend = _bend(problem, derivatives.welfare, conditions)
    relative = np.einsum("dk,kl,dl->d", response, bend, response) / float(weights @ derivatives.welfare)
    return (np.asarray(curvature) + relative)[moves]


def _directions(problem: _Problem, point: _Point) -> np.ndarray:
    """Directions (direction, scaled parameter): more of the policy, and noise; for a sum, more to each occupation.

    Where a smallest gain is maximised, they are made orthogonal to the gradients of the gains that are smallest.
    """
    free, size = point.conditions.free, point.parameters.size
    one_sum = point.scores.size == 1
    noise = np.random.default_rng(0).standard_normal((DIRECTIONS, size))
    raw = [point.parameters / problem.unit, *noise]
    if one_sum and point.gradient.shape[0] > 1:
        raw = [*point.gradient[:2], *raw]
    directions = np.stack(raw[:DIRECTIONS]) * free
    if one_sum:
        return directions
    rows = point.rows[point.conditions.share > 0] * free
    _, lengths, basis = np.linalg.svd(rows, full_matrices=False)
    basis = basis[lengths > CERTIFIED * point.conditions.scale]
    kept = directions - (directions @ basis.T) @ basis
    nothing = np.linalg.norm(kept, axis=1) <= 1e-9 * np.linalg.norm(directions, axis=1)
    return np.where(nothing[:, None], 0.0, kept) * free


def _bend(problem: _Problem, welfare: ByOccupation, conditions: _Conditions) -> np.ndarray:
    """Second derivatives of the scores in welfare, at their multipliers and in the units of the weights."""
    share = jnp.asarray(conditions.share)

    def value(welfare):
        return share @ scores_of(problem.objective, problem.reference, problem.economy.population, welfare)

    return np.asarray(jax.hessian(value)(welfare) / jax.grad(value)(welfare).sum())


def _scores_and_slopes(problem: _Problem, welfare: ByOccupation):
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
def _in_rule(instrument: Instrument, economy: Economy, parameters, directions):
    """Directions in the rule's arrays, from those in its parameters."""
    arrays = lambda p: eqx.filter(rule_of(instrument, p, economy), eqx.is_inexact_array)  # noqa: E731
    return jax.vmap(lambda direction: jax.jvp(arrays, (parameters,), (direction,))[1])(directions)


@eqx.filter_jit
def _paid(instrument: Instrument, economy: Economy, state, parameters, directions):
    """Root mean square over workers of the dollars that small steps along directions pay, the budget balanced."""
    pays = lambda p: instrument.transfer(p, state, economy)  # noqa: E731
    workers = state.employment / state.employment.sum()

    def along(direction):
        paid = jax.jvp(pays, (parameters,), (direction,))[1]
        return jnp.sqrt((workers * (paid - (workers * paid).sum()) ** 2).sum())

    return jax.vmap(along)(directions)


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


def _first_parameters(
    economy: Economy, instrument: Instrument, equilibrium: Equilibrium, initial: Parameters | None
) -> np.ndarray:
    """Where to start, refused with what is wrong if instrument or parameters are none."""
    if not isinstance(instrument, Instrument):
        raise ModelError(
            f"instrument must be an Instrument, such as CityOccupationTransfers(), found {type(instrument).__name__}"
        )
    name = type(instrument).__name__
    own = np.asarray(instrument.initial(economy, equilibrium), dtype=float)
    found = own if initial is None else np.asarray(initial, dtype=float)
    if found.ndim != 1 or found.shape != own.shape:
        raise ModelError(
            f"the parameters of {name} are a vector of length {own.size}, but the initial ones have shape {found.shape}"
        )
    if not np.isfinite(found).all():
        raise ModelError(f"initial parameter {int(np.argmin(np.isfinite(found)))} of {name} is not finite")
    _check_bounds(instrument, found)
    paid = jax.eval_shape(
        lambda p: instrument.transfer(p, income_state(economy, equilibrium), economy), jnp.asarray(found)
    )
    if paid.shape != economy.amenity.shape:
        raise ModelError(
            f"{name}.transfer returns shape {paid.shape}, but must return {economy.amenity.shape} (city, occupation)"
        )
    return found


def _check_bounds(instrument: Instrument, parameters: np.ndarray) -> None:
    lower, upper = bounds_of(instrument, parameters)
    outside = np.flatnonzero((parameters < lower) | (parameters > upper))
    if outside.size:
        i = int(outside[0])
        raise ModelError(
            f"initial parameter {i} of {type(instrument).__name__} is {parameters[i]:g}, outside of its bounds "
            f"{lower[i]:g} to {upper[i]:g}"
        )
