"""The best policy of a given form: gradient search over an instrument's parameters (spec section 7).

For what CH Proposition 1 does not cover. Every point of the search is an equilibrium, every gradient exact: one
adjoint an occupation. Where the smallest of several gains is maximised, which has kinks, the search is for the
largest number that is below all of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import OptimizeResult, minimize

from spatialjax.cities.certificate import CERTIFIED, Certificate
from spatialjax.cities.checks import refuse_unless_planned_for
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, income_state
from spatialjax.cities.instruments import Instrument, InstrumentRule, Parameters, bounds_of
from spatialjax.cities.objectives import Objective, WelfareReference, named_objective
from spatialjax.cities.planner import CERTIFIED_OPTIMUM, Optimum
from spatialjax.cities.policies import net_transfer
from spatialjax.cities.policy_certificate import parameter_certificate
from spatialjax.cities.policy_effect import reference_equilibrium, refuse_tracers
from spatialjax.cities.policy_problem import (
    BINDING,
    EQUILIBRIUM_TOLERANCE,
    STEP,
    Nowhere,
    PolicyPoint,
    PolicyProblem,
    point_at,
)
from spatialjax.cities.wedge import wedge
from spatialjax.errors import ConvergenceError, ModelError

SCORE_SCALE = STEP**-2
"""Scores are multiplied by this for the optimiser, so that their second derivatives are of order one."""
PENALTY = 1.0
"""By how much scores are below the best ones seen where there is no equilibrium."""
MAX_FAILURES = 15
"""Trials without an equilibrium after which a search ends: it has run to the edge of where there is one."""


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
    problem = PolicyProblem.of(economy, instrument, wanted, start, parameters)
    end = _Search(problem, tolerance, progress).run(parameters, max_iterations)
    found = _described(problem, end)
    if throw and not found.found:
        raise ConvergenceError(f"no optimum: {found.outcome}")
    return found


class _End(NamedTuple):
    """Where a search ended, and how in words."""

    point: PolicyPoint
    message: str


class _Ended(Exception):
    """Raised through the optimiser where the search is over: at an optimum, or at the edge of what exists."""


class _Search:
    """What the optimiser calls, in scaled parameters; it remembers the best point and the last values.

    Every equilibrium is searched from that of the best point.
    """

    def __init__(self, problem: PolicyProblem, tolerance: float, progress: Callable[[SearchProgress], None] | None):
        self.problem, self.tolerance, self.progress = problem, tolerance, progress
        self.evaluations = self.failures = 0
        self.lower, self.upper = bounds_of(problem.instrument, problem.unit)
        self.best: PolicyPoint
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
        point = point_at(self.problem, parameters, self.problem.equilibrium)
        if isinstance(point, Nowhere):
            raise ConvergenceError(
                f"{type(self.problem.instrument).__name__} leads nowhere at the first parameters, so that no search "
                f"can start: {point.reason}"
            )
        self.best = point
        scaled = parameters / self.problem.unit
        self.last = scaled.tobytes(), SCORE_SCALE * point.scores, SCORE_SCALE * point.rows
        self._note(point)

    def _evaluate(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        point = point_at(self.problem, parameters, self.best.equilibrium)
        if isinstance(point, Nowhere):
            self._note_failure()
            return self.best.scores - PENALTY, self.best.rows
        self._note(point)
        return point.scores, point.rows

    def _note(self, point: PolicyPoint) -> None:
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


def _described(problem: PolicyProblem, end: _End) -> Optimum:
    """The result at a point of the problem."""
    economy, point = problem.economy, end.point
    allocation = point.equilibrium
    transfer, workers = net_transfer(allocation), allocation.employment
    certificate = parameter_certificate(problem, point)
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
