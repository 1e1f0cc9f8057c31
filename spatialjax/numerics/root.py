"""The one solver: a root of a system over places, with implicit derivatives.

Far from the solution, plain damped sweeps; near it, rounds of Anderson acceleration around an exact
local Newton step (see `local_inverse`). Where a round fails, steps of Newton's method with the whole Jacobian
(see `newton_krylov`), in which ties between places count as well. Where these fail, a march: steps in
pseudo-time, as places would adjust gradually, each a compromise between the damped sweep and the local Newton step
that lets residuals rise on the way. It takes a place past the point where one local solution ends and the next is
far, which no method that wants its residuals to fall can pass. All of it is jitted in one piece. Derivatives of
the root, of any order and in both modes, come from the implicit function theorem, never from the iterations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from spatialjax.numerics.anderson import Iterate, accelerated_round
from spatialjax.numerics.batched_inverse import inverse_and_sign
from spatialjax.numerics.implicit import implicit_tangent, local_newton
from spatialjax.numerics.newton_krylov import krylov_step, no_step
from spatialjax.numerics.packing import pack, unpack
from spatialjax.numerics.safe_math import largest

MAX_STEPS = 25
"""Steps of a round, after which the local inverse is computed afresh."""
LOCAL, WHOLE, MARCH = 0, 1, 2
"""Kinds of round: around the local Newton step, a step of the whole Newton method, and one step of a march."""
FIRST_MARCH, LONGEST_MARCH = 10, 40
"""Steps of the first march, and of the longest; twice as many each time what follows fails."""
PACE = 6.0
"""How long a step of a march lasts in a place at first: one is a damped sweep, infinity a local Newton step."""
WHOLE_PACE = 6.0
"""Pace of the local inverse that preconditions the whole Newton method: some cities are nearly singular alone."""
SLOWER, FASTER = 0.3, 1.6
"""The pace of a place that turns back, and of one that goes on in small steps, becomes this multiple of what it was."""
CALMER = 0.7
"""And of one that goes on in larger steps while its pace is above `PACE`."""
LONGEST_PACE = 1e6
SMALL_MOVE = 0.05
"""Log points. Where a local solution has just vanished gradual motion is slower than any bound, and is sped up."""
MARCHING = 0.01
"""Places march whose residual is this part of the largest or more: the others stay where they are solved."""
MAX_ROUNDS = 1500
PROGRESS = 0.5
"""A round must bring its step down to this part of what it was, or the whole Newton method takes over."""
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
        pace = jnp.where(whole, WHOLE_PACE, search.pace)
        damping = jnp.where(search.kind == LOCAL, 0.0, 1 / (pace * relaxation))
        local = local_newton(search.at.state, args, initial, residual, localise, damping)
        backwards = jax.lax.cond(marching, lambda: _leads_backwards(local), lambda: jnp.zeros_like(search.pace, bool))
        left = max_evaluations - search.evaluations
        newton = jax.lax.cond(
            whole,
            lambda: krylov_step(evaluate, search.at, local, wanted=whole, max_evaluations=left),
            lambda: no_step(search.at),
        )
        round_ = accelerated_round(
            evaluate,
            search.at,
            jnp.where(marching & ~(_marches(search.at.residual) & ~backwards)[:, :, None], 0.0, local),
            tolerance=tolerance,
            max_steps=jnp.where(whole, 0, jnp.where(marching, jnp.minimum(1, left), jnp.minimum(MAX_STEPS, left))),
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
        move = at.state - search.at.state
        slow = jnp.where(whole & (newton.norm > SLOW * newton.norm_before), search.slow_steps + 1, 0)
        progressed = jnp.where(whole, newton.accepted & (slow < PATIENCE), progressed)
        return _next_round(search, marching, progressed)._replace(
            at=at,
            error=largest(at.residual),
            last_move=jnp.where(marching, move, 0.0),
            pace=jnp.where(marching, _adapted(search.pace, move, search.last_move, backwards), PACE),
            slow_steps=slow,
            evaluations=search.evaluations + round_.steps + newton.evaluations,
            rounds=search.rounds + 1,
        )

    state = pack(initial)
    first = Iterate(state, evaluate(state))
    approach = approached(evaluate, first, relaxation, max_evaluations)
    search = jax.lax.while_loop(
        search_on,
        run_round,
        _Search(
            approach.best,
            approach.best_error,
            jnp.zeros_like(state),
            jnp.full((state.shape[0], 1), PACE, state.dtype),
            jnp.asarray(LOCAL),
            jnp.zeros((), int),
            jnp.zeros((), int),
            jnp.asarray(FIRST_MARCH),
            1 + approach.sweeps,
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
    """The kind of the next round: a local round that fails is followed by whole Newton steps, and these by a march."""
    marches_on = marching & (search.steps_left > 1)
    march_next = (search.kind == WHOLE) & ~progressed
    local_next = (search.kind == LOCAL) & progressed
    kind = jnp.where(marches_on | march_next, MARCH, jnp.where(local_next, LOCAL, WHOLE))
    return search._replace(
        kind=kind,
        steps_left=jnp.where(march_next, search.next_march, search.steps_left - 1),
        next_march=jnp.where(march_next, jnp.minimum(2 * search.next_march, LONGEST_MARCH), search.next_march),
    )


def _marches(residual):
    """The places that march, (place, one)."""
    size = jnp.abs(residual).max(1, keepdims=True)
    return size >= MARCHING * size.max()


def _leads_backwards(local):
    """Places whose step would lead backwards, (place, one): they wait, and their pace slows down.

    A place on its way from one local solution to another moves away from the first at some rate; a step longer than
    the inverse of that rate would take it back. The determinant of the local inverse is then negative.
    """
    _, sign = inverse_and_sign(local)
    return (sign < 0)[:, None]


def _adapted(pace, move, last_move, backwards):
    """The pace of each place: slower where it turned back or would, faster where it goes on in small steps."""
    turned = backwards | ((move * last_move).sum(1, keepdims=True) < 0)
    small = jnp.abs(move).max(1, keepdims=True) < SMALL_MOVE
    onwards = jnp.where(small, jnp.minimum(FASTER * pace, LONGEST_PACE), jnp.where(pace > PACE, CALMER * pace, pace))
    return jnp.where(turned, SLOWER * pace, onwards)


class Approach(NamedTuple):
    """Where damped sweeps led: the last iterate and the best one, with their largest residuals."""

    current: Iterate
    error: Float[Array, ""]
    best: Iterate
    best_error: Float[Array, ""]
    sweeps: Int[Array, ""]


def approached(evaluate, first: Iterate, relaxation, max_evaluations) -> Approach:
    """Damped sweeps until the residual is small enough for Newton steps, or grows."""

    def far(approach: Approach):
        sweeping = (approach.sweeps < MAX_SWEEPS) & (1 + approach.sweeps < max_evaluations)
        return sweeping & (approach.error > APPROACHED) & (approach.error < 2 * approach.best_error)

    def sweep(approach: Approach) -> Approach:
        state = approach.current.state + relaxation * approach.current.residual
        current = Iterate(state, evaluate(state))
        error = largest(current.residual)
        improved = error < approach.best_error
        best = jax.tree.map(lambda new, old: jnp.where(improved, new, old), current, approach.best)
        best_error = jnp.where(improved, error, approach.best_error)
        return Approach(current, error, best, best_error, approach.sweeps + 1)

    error = largest(first.residual)
    return jax.lax.while_loop(far, sweep, Approach(first, error, first, error, jnp.zeros((), int)))


@_root.def_jvp
def _root_jvp(primals, tangents, *, residual, localise):
    args, initial, *rest = primals
    state, known = _root(args, initial, *rest, residual=residual, localise=localise)
    tangent = implicit_tangent(state, args, tangents[0], initial, residual, localise)
    return (state, known), (tangent, jax.tree.map(lambda _: None, known))
