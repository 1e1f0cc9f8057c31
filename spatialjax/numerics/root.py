"""The one solver: a root of a system over places, with implicit derivatives.

Far from the solution, plain damped sweeps; near it, rounds of Anderson acceleration around an exact
local Newton step (see `local_inverse`). Where a round fails, a march follows from where it began: steps in
pseudo-time, as places would adjust gradually, each a compromise between the damped sweep and the local Newton step
that lets residuals rise on the way. It takes a place past the point where one local solution ends and the next is
far, which no method that wants its residuals to fall can pass. Steps of Newton's method with the whole Jacobian (see
`newton_krylov`) are tried before the first march, and take turns with hurried marches where the others were in vain.
All of it is jitted in one piece. Derivatives of the root, of any order and in both modes, come from the implicit
function theorem, never from the iterations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from spatialjax.numerics.anderson import Iterate, accelerated_round
from spatialjax.numerics.batched_inverse import determinant_signs
from spatialjax.numerics.implicit import implicit_tangent, local_newton
from spatialjax.numerics.local_inverse import Packed
from spatialjax.numerics.newton_krylov import krylov_step, no_step
from spatialjax.numerics.packing import pack, unpack
from spatialjax.numerics.safe_math import largest

MAX_STEPS = 25
"""Steps of a round, after which the local inverse is computed afresh."""
LOCAL, DAMPED, MARCH, WHOLE = 0, 1, 2, 3
"""Kinds of round: around the local Newton step, around a march's step, one step of a march, and one of the whole Newton
method."""
TRIAL = 300
"""Evaluations that whole Newton steps may take before the first march."""
FIRST_MARCH, LONGEST_MARCH = 10, 40
"""Steps of the first march, and of the longest; twice as many each time the rounds after it fail."""
PACE = 6.0
"""Longest time that a step of a gradual march lasts in a place: one is a damped sweep, infinity a local Newton step."""
SLOWER, FASTER = 0.5, 1.2
"""The pace of a place that turns back, and of one that goes on, becomes this multiple of what it was."""
BRAKE, HURRY, CALMER = 0.3, 1.6, 0.7
"""In a hurried march: of one that turns back or would, of one that crawls, and of one that does not at a long pace."""
LONGEST_PACE = 1e6
SMALL_MOVE = 0.05
"""Log points. Where a local solution has just vanished gradual motion is slower than any bound, and is sped up."""
MARCHING = 0.01
"""In a hurried march places move whose residual is this part of the largest or more: the others are solved already."""
MAX_ROUNDS = 1500
PROGRESS = 0.5
"""A round must bring its step down to this part of what it was, or a march follows from where it began."""
SLOW, PATIENCE = 0.7, 3
"""After so many steps of the whole Newton method that leave more than this part of the residual, a march follows."""
APPROACHED = 0.5
"""Largest residual at which damped sweeps give way to accelerated rounds."""
MAX_SWEEPS = 25


class Status(eqx.Enumeration):
    """How a solve ended."""

    converged = "every residual is below the tolerance"
    out_of_evaluations = "the evaluations allowed were used up"
    stalled = "the search made no further progress"
    not_finite = "the equations are not finite at the start"


class Root(eqx.Module):
    """A root, or the best state found.

    `residual` has the structure of `state`; `evaluations` counts evaluations of the system.
    """

    state: PyTree
    residual: PyTree
    evaluations: Int[Array, ""]
    status: Status


class _Search(NamedTuple):
    at: Iterate
    error: Float[Array, ""]
    last_move: Float[Array, "place variable"]
    pace: Float[Array, "place one"]
    kind: Int[Array, ""]
    home: Iterate
    began_whole: Int[Array, ""]
    tried_whole: Bool[Array, ""]
    hurried: Bool[Array, ""]
    slow_steps: Int[Array, ""]
    steps_left: Int[Array, ""]
    next_march: Int[Array, ""]
    evaluations: Int[Array, ""]
    rounds: Int[Array, ""]


def find_root(
    residual: Callable[[Any, Any], Any],
    localise: Callable[[Any, Any], Any],
    initial: PyTree,
    args: PyTree,
    relaxation: PyTree,
    *,
    tolerance: Float[Array, ""] | float,
    max_evaluations: Int[Array, ""] | int,
) -> Root:
    """Find state such that residual(state, args) = 0.

    **Arguments:**

    - `residual`: maps (state, args) to a pytree like state, whose leaves have the place as leading
      axis. A module-level function: it is a static argument.
    - `localise`: maps (state, args) to args in which the ties between places are held fixed at their
      values at `state`.
    - `initial`: where to start; no derivative flows through it.
    - `args`: any pytree; derivatives flow through its floating-point arrays.
    - `relaxation`: a pytree like state of numbers, the part of a residual by which a damped sweep moves
      each variable.
    - `tolerance`: on the largest absolute residual.

    **Returns:** a [`Root`][]; whether it is one is in its `status`. Nothing is raised.
    """
    initial = jax.tree.map(jax.lax.stop_gradient, initial)
    limits = (jnp.asarray(tolerance), jnp.asarray(max_evaluations))
    packed, (packed_residual, evaluations, status) = _root(
        args, initial, relaxation, limits, residual=residual, localise=localise
    )
    return Root(unpack(packed, initial), unpack(packed_residual, initial), evaluations, status)


@eqx.filter_custom_jvp
def _root(args, initial, relaxation, limits, *, residual, localise):
    """The packed root and what is known of it."""
    tolerance, max_evaluations = limits
    relaxation = pack(jax.tree.map(jnp.full_like, initial, relaxation))

    def evaluate(state):
        return pack(residual(unpack(state, initial), args))

    def search_on(search: _Search):
        unfinished = (search.error >= tolerance) & (search.evaluations < max_evaluations)
        return unfinished & (search.rounds < MAX_ROUNDS)

    def run_round(search: _Search) -> _Search:
        marching, whole = search.kind == MARCH, search.kind == WHOLE
        pace = jnp.where(whole, PACE, search.pace)
        damping = jnp.where(search.kind == LOCAL, 0.0, 1 / (pace * relaxation))
        local = local_newton(search.at.state, args, initial, residual, localise, damping)
        waits = jax.lax.cond(
            marching & search.hurried,
            lambda: _leads_backwards(local) | ~_marches(search.at.residual),
            lambda: jnp.zeros_like(search.pace, bool),
        )
        left = max_evaluations - search.evaluations
        on_trial = search.began_whole + TRIAL - search.evaluations
        allowed = jnp.where(search.hurried, left, jnp.minimum(left, on_trial))
        newton = jax.lax.cond(
            whole,
            lambda: krylov_step(evaluate, search.at, local, wanted=whole, max_evaluations=allowed),
            lambda: no_step(search.at),
        )
        round_ = accelerated_round(
            evaluate,
            search.at,
            jnp.where(waits[:, :, None], 0.0, local),
            tolerance=tolerance,
            max_steps=jnp.where(whole, 0, jnp.minimum(jnp.where(marching, 1, MAX_STEPS), left)),
        )
        finished = round_.error < tolerance
        better = largest(round_.best.residual) < search.error
        progressed = better & (round_.best_norm < PROGRESS * round_.start_norm)
        to_last = finished | (marching & jnp.isfinite(round_.error))
        at = jax.tree.map(
            lambda last, best, start: jnp.where(to_last, last, jnp.where(progressed, best, start)),
            round_.current,
            round_.best,
            newton.at,
        )
        slow = jnp.where(whole & (newton.norm > SLOW * newton.norm_before), search.slow_steps + 1, 0)
        progressed = jnp.where(whole, newton.accepted & (slow < PATIENCE), progressed)
        tried = whole & ~progressed & ~search.hurried & ~finished
        at = jax.tree.map(lambda home, now: jnp.where(tried, home, now), search.home, at)
        move = at.state - search.at.state
        return _next_round(search, marching, progressed)._replace(
            at=at,
            home=jax.tree.map(lambda home, now: jnp.where(whole, home, now), search.home, at),
            began_whole=jnp.where(whole, search.began_whole, search.evaluations + round_.steps),
            error=largest(at.residual),
            last_move=jnp.where(marching, move, 0.0),
            pace=_next_pace(search, marching, move, waits),
            slow_steps=slow,
            evaluations=search.evaluations + round_.steps + newton.evaluations,
            rounds=search.rounds + 1,
        )

    state = pack(initial)
    approach = approached(evaluate, state, relaxation, max_evaluations)
    search = jax.lax.while_loop(
        search_on,
        run_round,
        _Search(
            approach.best,
            approach.best_error,
            jnp.zeros_like(state),
            jnp.full((state.shape[0], 1), PACE, state.dtype),
            jnp.asarray(LOCAL),
            approach.best,
            approach.evaluations,
            jnp.zeros((), bool),
            jnp.zeros((), bool),
            jnp.zeros((), int),
            jnp.zeros((), int),
            jnp.asarray(FIRST_MARCH),
            approach.evaluations,
            jnp.zeros((), int),
        ),
    )
    status = Status.where(
        search.error < tolerance,
        Status.converged,
        Status.where(
            ~jnp.isfinite(search.error),
            Status.not_finite,
            Status.where(search.evaluations >= max_evaluations, Status.out_of_evaluations, Status.stalled),
        ),
    )
    return search.at.state, (search.at.residual, search.evaluations, status)


def _next_round(search: _Search, marching, progressed) -> _Search:
    """The kind of the next round.

    A local round that fails is followed by whole Newton steps, the first time, then by a damped round, and that by a
    gradual march, each from where the local round began. When the longest march has been made in vain, whole Newton
    steps and hurried marches take turns, and go on from where they are.
    """
    failed = ~marching & ~progressed
    local, damped, whole = (failed & (search.kind == kind) for kind in (LOCAL, DAMPED, WHOLE))
    hurries = damped & (search.next_march > LONGEST_MARCH)
    march_next = (damped & ~hurries) | (whole & search.hurried)
    hurried = search.hurried | hurries
    stays_whole = (search.kind == WHOLE) & progressed
    kind = jnp.where(hurried | stays_whole | (local & ~search.tried_whole), WHOLE, LOCAL)
    kind = jnp.where((local & search.tried_whole) | (whole & ~search.hurried), DAMPED, kind)
    marches_on = marching & (search.steps_left > 1)
    longer = jnp.where(hurried, jnp.minimum(2 * search.next_march, LONGEST_MARCH), 2 * search.next_march)
    next_march = jnp.where(march_next, longer, search.next_march)
    return search._replace(
        kind=jnp.where(marches_on | march_next, MARCH, kind),
        tried_whole=search.tried_whole | local,
        hurried=hurried,
        steps_left=jnp.where(march_next, search.next_march, search.steps_left - 1),
        next_march=jnp.where(hurries, FIRST_MARCH, next_march),
    )


def _next_pace(search: _Search, marching, move, waits):
    gradual = jnp.where(marching, _gradual(search.pace, move, search.last_move), search.pace)
    hurried = jnp.where(marching, _hurried(search.pace, move, search.last_move, waits), PACE)
    return jnp.where(search.hurried, hurried, gradual)


def _marches(residual):
    """The places that march in a hurried march, (place, one)."""
    size = jnp.abs(residual).max(1, keepdims=True)
    return size >= MARCHING * size.max()


def _leads_backwards(local):
    """Places whose step would lead backwards, (place, one): they wait, and their pace slows down.

    A place on its way from one local solution to another moves away from the first at some rate; a step longer than
    the inverse of that rate would take it back. The determinant of the local inverse is then negative.
    """
    return (determinant_signs(local) < 0)[:, None]


def _gradual(pace, move, last_move):
    """The pace of each place in a gradual march: slower where it turned back."""
    turned = (move * last_move).sum(1, keepdims=True) < 0
    return jnp.where(turned, SLOWER * pace, jnp.minimum(FASTER * pace, PACE))


def _hurried(pace, move, last_move, waits):
    """The pace of each place in a hurried march: slower where it turned back or would, faster where it crawls."""
    turned = waits | ((move * last_move).sum(1, keepdims=True) < 0)
    crawls = jnp.abs(move).max(1, keepdims=True) < SMALL_MOVE
    onwards = jnp.where(crawls, jnp.minimum(HURRY * pace, LONGEST_PACE), jnp.where(pace > PACE, CALMER * pace, pace))
    return jnp.where(turned, BRAKE * pace, onwards)


class Approach(NamedTuple):
    """Where damped sweeps led: the last iterate and the best one, with their largest residuals."""

    current: Iterate
    error: Float[Array, ""]
    best: Iterate
    best_error: Float[Array, ""]
    evaluations: Int[Array, ""]


def approached(evaluate, start: Packed, relaxation, max_evaluations) -> Approach:
    """Damped sweeps until the residual is small enough for Newton steps, or grows.

    The start is evaluated first, as the end of a sweep from it without a residual.
    """

    def far(approach: Approach):
        sweeping = (approach.evaluations <= MAX_SWEEPS) & (approach.evaluations < max_evaluations)
        grows = approach.error >= 2 * approach.best_error
        return (approach.evaluations == 0) | (sweeping & (approach.error > APPROACHED) & ~grows)

    def sweep(approach: Approach) -> Approach:
        state = approach.current.state + relaxation * approach.current.residual
        current = Iterate(state, evaluate(state))
        error = largest(current.residual)
        improved = (error < approach.best_error) | (approach.evaluations == 0)
        best = jax.tree.map(lambda new, old: jnp.where(improved, new, old), current, approach.best)
        best_error = jnp.where(improved, error, approach.best_error)
        return Approach(current, error, best, best_error, approach.evaluations + 1)

    at_start = Iterate(start, jnp.zeros_like(start))
    unknown = jnp.full((), jnp.inf, start.dtype)
    return jax.lax.while_loop(far, sweep, Approach(at_start, unknown, at_start, unknown, jnp.zeros((), int)))


@_root.def_jvp
def _root_jvp(primals, tangents, *, residual, localise):
    args, initial, *rest = primals
    state, known = _root(args, initial, *rest, residual=residual, localise=localise)
    tangent = implicit_tangent(state, args, tangents[0], initial, residual, localise)
    return (state, known), (tangent, jax.tree.map(lambda _: None, known))
