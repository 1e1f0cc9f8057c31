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
    welfare_curvature,
    welfare_gradients,
)
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
    maximised. Work grows with the square (L-BFGS-B: in proportion) of the number of parameters; hundreds are no
    problem.

    In the result, `policy` is an [`InstrumentRule`][] with the `parameters` found, and `base_transfer` the mean net
    transfer of each occupation's workers. The certificate's conditions are those of the instrument's own parameters,
    each in units of its effect (root mean square over workers of dollars paid):

    - `residual` is |sum_k phi[k] g[k]| / sum_k phi[k] |d[k]|, with d the direct effect of the parameters on welfare, at
      given wages, prices and employment. Components that push against a bound that is reached are left out of all
      norms. phi are the objective's marginal values of welfare; where a smallest gain is maximised, the values
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
    wanted = named_objective(objective, len(economy.labels.occupation))
    start = reference_equilibrium(economy, equilibrium, EQUILIBRIUM_TOLERANCE, 2000)
    wanted.balance(WelfareReference.of(economy, start).accounts)  # refuses weights of other occupations
    parameters = _first_parameters(economy, instrument, start, initial)
    search = _Search(economy, instrument, wanted, start, parameters, tolerance, progress)
    end = search.run(parameters, max_iterations)
    found = _described(search, end)
    if throw and not found.found:
        raise ConvergenceError(f"no optimum: {found.outcome}")
    return found


class _Conditions(NamedTuple):
    """First-order conditions at a point, in scaled parameters.

    `share` are multipliers of the scores, `weights` of welfare; `free` are parameters that no bound stops.
    """

    residual: float
    gap: float
    cosine: float
    share: np.ndarray
    weights: np.ndarray
    free: np.ndarray


class _Point(NamedTuple):
    """A point of the search; `gradient` of welfare (occupation, scaled parameter), `rows` of scores."""

    parameters: np.ndarray
    equilibrium: Equilibrium
    derivatives: WelfareGradients
    scores: np.ndarray
    gradient: np.ndarray
    rows: np.ndarray
    conditions: _Conditions


class _End(NamedTuple):
    """Where a search ended, and how in words."""

    point: _Point
    message: str


class _Ended(Exception):
    """Raised through the optimiser where the search is over: at an optimum, or at the edge of what exists."""


class _Search:
    """What the optimiser calls: scores and their gradients, with the equilibria behind them.

    Remembers the last point and the best: the next equilibrium is searched from the best.
    """

    def __init__(self, economy, instrument, objective, equilibrium, parameters, tolerance, progress):
        self.economy, self.instrument, self.objective = economy, instrument, objective
        self.equilibrium, self.tolerance, self.progress = equilibrium, tolerance, progress
        self.reference = WelfareReference.of(economy, equilibrium)
        self.mean_income = float((equilibrium.income * equilibrium.employment).sum() / equilibrium.employment.sum())
        self.unit = self._unit(parameters)
        self.best: _Point | None = None
        self.last: tuple[bytes, np.ndarray, np.ndarray] | None = None
        self.evaluations = self.failures = 0

    def run(self, parameters: np.ndarray, max_iterations: int) -> _End:
        """Maximise from these parameters."""
        scaled = parameters / self.unit
        try:
            self.scores(scaled)
            result = self._maximise(scaled, max_iterations)
        except _Ended as ended:
            return _End(self._best(), str(ended))
        return _End(self._best(), f"{result.message}, after {result.nit} iterations")

    def _maximise(self, scaled: np.ndarray, max_iterations: int) -> OptimizeResult:
        bounds = self._bounds(scaled)
        if self._best().scores.size == 1:
            return minimize(
                lambda x: (-self.scores(x)[0], -self.rows(x)[0]),
                scaled,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": max_iterations, "maxfun": 10 * max_iterations, "maxcor": 30, "ftol": 0, "gtol": 0},
            )
        smallest = np.concatenate([np.zeros(scaled.size), [-1.0]])
        above = {
            "type": "ineq",
            "fun": lambda x: self.scores(x[:-1]) - x[-1],
            "jac": lambda x: np.pad(self.rows(x[:-1]), ((0, 0), (0, 1)), constant_values=-1.0),
        }
        return minimize(
            lambda x: -x[-1],
            np.append(scaled, self.scores(scaled).min()),
            jac=lambda x: smallest,
            method="SLSQP",
            bounds=None if bounds is None else [*bounds, (None, None)],
            constraints=[above],
            options={"maxiter": max_iterations, "ftol": 1e-13},
        )

    def scores(self, scaled: np.ndarray) -> np.ndarray:
        """Scores for the optimiser."""
        return SCORE_SCALE * self._at(scaled)[0]

    def rows(self, scaled: np.ndarray) -> np.ndarray:
        """Gradients of the scores."""
        return SCORE_SCALE * self._at(scaled)[1]

    def _at(self, scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and gradients; where there is no equilibrium, scores so low that the optimiser turns back."""
        key = scaled.tobytes()
        if self.last is None or self.last[0] != key:
            point = self._evaluate(self.unit * scaled)
            if point is None:
                best = self._best()
                self.last = key, best.scores - PENALTY, best.rows
            else:
                self.last = key, point.scores, point.rows
        return self.last[1:]

    def _evaluate(self, parameters: np.ndarray) -> _Point | None:
        self.evaluations += 1
        point = self._point(parameters)
        if point is None:
            if self.best is None:
                raise ConvergenceError(
                    f"no equilibrium at the first parameters of {type(self.instrument).__name__}, from which the "
                    f"search could start: {describe_failure(self.trial, self.economy)}"
                )
            self.failures += 1
            if self.failures == MAX_FAILURES:
                raise _Ended(
                    f"{MAX_FAILURES} trials had no equilibrium, so that the search has run to the edge of where there "
                    f"is one: the smallest income is {_smallest_income(self._best().equilibrium):,.0f}"
                )
            return None
        conditions = point.conditions
        stationary = conditions.residual < self.tolerance and conditions.gap < STEP**2 * self.tolerance
        if self.best is None or stationary or point.scores.min() > self.best.scores.min():
            self.best = point
        if self.progress is not None:
            self.progress(SearchProgress(self.evaluations, float(point.scores.min()), conditions.residual))
        if stationary:
            raise _Ended("the first-order conditions hold")
        return point

    def _point(self, parameters: np.ndarray) -> _Point | None:
        """The equilibrium at some parameters, and what follows from it; `None` where there is none."""
        rule = rule_of(self.instrument, jnp.asarray(parameters), self.economy)
        start = (self.equilibrium if self.best is None else self.best.equilibrium).state()
        self.trial = solve_under(self.economy, rule, start, EQUILIBRIUM_TOLERANCE, MAX_EVALUATIONS)
        if not bool(self.trial.converged):
            return None
        derivatives = welfare_gradients(self.economy, self.trial.state(), rule)
        gradient, direct = _in_parameters(self.instrument, self.economy, jnp.asarray(parameters), derivatives)
        gradient, direct = (np.asarray(g) * self.unit for g in (gradient, direct))
        scores, slopes = (np.asarray(s) for s in _scores_and_slopes(self, derivatives.welfare))
        if not all(np.isfinite(array).all() for array in (scores, slopes, gradient, direct)):
            return None
        bounds = reached_bounds(self.instrument, parameters)
        conditions = _conditions(scores, slopes, gradient, direct, bounds)
        return _Point(parameters, self.trial, derivatives, scores, gradient, slopes @ gradient, conditions)

    def _best(self) -> _Point:
        assert self.best is not None
        return self.best

    def _bounds(self, scaled: np.ndarray) -> list[tuple[float, float]] | None:
        if self.instrument.bounds() is None:
            return None
        lower, upper = (side / self.unit for side in bounds_of(self.instrument, scaled))
        return list(zip(lower.tolist(), upper.tolist(), strict=True))

    def _unit(self, parameters: np.ndarray) -> np.ndarray:
        """Of each parameter, the amount that changes incomes by STEP of their mean, root mean square over workers.

        Effects of a dollar on welfare are nearly proportional to employment where it is paid: so scaled, second
        derivatives are of the same size for all.
        """
        state = income_state(self.economy, self.equilibrium)
        paid = np.asarray(_paid_by_parameter(self.instrument, self.economy, state, jnp.asarray(parameters)))
        without = STEP * np.maximum(1.0, np.abs(parameters))
        return np.divide(STEP * self.mean_income, paid, out=without, where=paid > 0)


def _conditions(scores, slopes, gradient, direct, bounds) -> _Conditions:
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
        residual=float(remains / scale) if remains > 0 else 0.0,
        gap=float(share @ (scores - scores.min())),
        cosine=_cosine(weights[:, None] * gradient[:, free]),
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


def _cosine(weighted: np.ndarray) -> float:
    """Largest cosine between a weighted gradient and the sum of the others; nan with one only."""
    weighted = weighted[np.linalg.norm(weighted, axis=1) > 0]
    if weighted.shape[0] < 2:
        return float("nan")
    others = weighted.sum(0) - weighted
    norms = np.linalg.norm(weighted, axis=1) * np.linalg.norm(others, axis=1)
    return float(np.divide((weighted * others).sum(1), norms, out=np.ones_like(norms), where=norms > 0).max())


def _described(search: _Search, end: _End) -> Optimum:
    """The result at a point of the search."""
    economy, point = search.economy, end.point
    allocation = point.equilibrium
    transfer, workers = net_transfer(allocation), allocation.employment
    certificate = _certificate(search, point)
    return Optimum(
        equilibrium=allocation,
        wedge=wedge(economy, allocation),
        transfer=transfer,
        base_transfer=(transfer * workers).sum(0) / workers.sum(0),
        gain=search.reference.gain(allocation.welfare),
        certificate=certificate,
        reference=search.equilibrium,
        policy=InstrumentRule(search.instrument, jnp.asarray(point.parameters)),
        objective=search.objective,
        outcome=_judge(certificate, end),
    )


def _smallest_income(equilibrium: Equilibrium) -> float:
    return float(equilibrium.income[equilibrium.employment > 0].min())


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


def _certificate(search: _Search, point: _Point) -> Certificate:
    conditions = point.conditions
    return Certificate(
        residual=conditions.residual,
        weights=conditions.weights,
        cosine=conditions.cosine,
        curvature=_curvature(search, point),
        gradient=point.gradient / search.unit,
    )


def _curvature(search: _Search, point: _Point) -> np.ndarray:
    """Curvature of log weighted welfare along the free directions of `_directions`."""
    economy, instrument = search.economy, search.instrument
    parameters = jnp.asarray(point.parameters)
    scaled = _directions(search, point)
    state = income_state(economy, point.equilibrium)
    paid = np.asarray(_paid(instrument, economy, state, parameters, jnp.asarray(scaled * search.unit)))
    length = np.linalg.norm(scaled, axis=1)
    moves = paid > 1e-6 * STEP * search.mean_income * length  # else it pays the same to all, which is taken back
    if not moves.any():
        return np.zeros(0)
    size = np.divide(STEP * search.mean_income, paid, out=np.zeros_like(paid), where=moves)
    scaled = scaled * size[:, None]
    conditions, derivatives = point.conditions, point.derivatives
    weights = jnp.asarray(conditions.weights)
    along = _in_rule(instrument, economy, parameters, jnp.asarray(scaled * search.unit))
    rule = rule_of(instrument, parameters, economy)
    curvature = welfare_curvature(economy, point.equilibrium.state(), rule, weights, derivatives.multipliers, along)
    response = scaled @ point.gradient.T
    bend = _bend(search, derivatives.welfare, conditions)
    relative = np.einsum("dk,kl,dl->d", response, bend, response) / float(weights @ derivatives.welfare)
    return (np.asarray(curvature) + relative)[moves]


def _directions(search: _Search, point: _Point) -> np.ndarray:
    """Directions (direction, scaled parameter): more of the policy, and noise; for a sum, more to each occupation.

    Where a smallest gain is maximised, they are made orthogonal to the gradients of the gains that are smallest.
    """
    free, size = point.conditions.free, point.parameters.size
    one_sum = point.scores.size == 1
    noise = np.random.default_rng(0).standard_normal((DIRECTIONS, size))
    raw = [point.parameters / search.unit, *noise]
    if one_sum and point.gradient.shape[0] > 1:
        raw = [*point.gradient[:2], *raw]
    directions = np.stack(raw[:DIRECTIONS]) * free
    if one_sum:
        return directions
    rows = point.rows[point.conditions.share > 0] * free
    _, lengths, basis = np.linalg.svd(rows, full_matrices=False)
    basis = basis[lengths > CERTIFIED * max(lengths.max(), np.finfo(float).tiny)]
    kept = directions - (directions @ basis.T) @ basis
    nothing = np.linalg.norm(kept, axis=1) <= 1e-9 * np.linalg.norm(directions, axis=1)
    return np.where(nothing[:, None], 0.0, kept) * free


def _bend(search: _Search, welfare: ByOccupation, conditions: _Conditions) -> np.ndarray:
    """Second derivatives of the scores in welfare, at their multipliers and in the units of the weights."""
    second = jax.hessian(lambda v: jnp.asarray(conditions.share) @ _scores(search, v))(welfare)
    slopes = jax.jacfwd(lambda v: jnp.asarray(conditions.share) @ _scores(search, v))(welfare)
    return np.asarray(second / slopes.sum())


def _scores_and_slopes(search: _Search, welfare: ByOccupation):
    return _jitted_scores(search.objective, search.reference, search.economy.population, welfare)


def _scores(search: _Search, welfare: ByOccupation) -> Float[Array, " score"]:
    return scores(search.objective, search.reference, search.economy.population, welfare)


def scores(
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
def _jitted_scores(objective, reference, population, welfare):
    """Scores and their derivatives (score, occupation)."""
    value = lambda v: scores(objective, reference, population, v)  # noqa: E731
    return value(welfare), jax.jacfwd(value)(welfare)


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
