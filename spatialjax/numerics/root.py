"""The one solver: a root of a system over places, with implicit derivatives.

Far from the solution, plain damped sweeps; near it, rounds of Anderson acceleration around an exact
local Newton step (see `local_inverse`), in a trust region. A round that fails changes the kind of the
next, to rounds around damped sweeps and back. All of it is jitted in one piece. Derivatives of the
root, of any order and in both modes, come from the implicit function theorem with a preconditioned
Krylov solve, never from the iterations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from spatialjax.numerics.anderson import Iterate, accelerated_round
from spatialjax.numerics.linear import solve_linear
from spatialjax.numerics.local_inverse import apply_local, apply_local_transpose, local_inverse
from spatialjax.numerics.packing import pack, unpack
from spatialjax.numerics.safe_math import largest

MAX_RADIUS = 0.5
"""Largest step, in log points, that the solver takes at once."""
MIN_RADIUS = 1e-4
MAX_ROUNDS = 60
APPROACHED = 0.5
"""Largest residual at which damped sweeps give way to accelerated rounds."""
MAX_SWEEPS = 25
DERIVATIVE_TOLERANCE = 1e-11


SINGULAR = (
    "the derivative of this solution could not be computed: its linear system did not converge, which happens "
    "where the solution is about to vanish or to split (an eigenvalue of the reduced map near 1), or where the "
    "solve itself did not converge"
)


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
    best: Iterate
    error: Float[Array, ""]
    radius: Float[Array, ""]
    locally: Bool[Array, ""]
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
        local = _local_inverse(search.best.state, args, initial, residual, localise)
        damped = relaxation[:, :, None] * jnp.eye(relaxation.shape[1], dtype=relaxation.dtype)
        local = jnp.where(search.locally, local, damped)
        round_ = accelerated_round(
            evaluate,
            search.best,
            local,
            radius=search.radius,
            tolerance=tolerance,
            evaluations_left=max_evaluations - search.evaluations,
        )
        finished = round_.error < tolerance
        best = jax.tree.map(lambda last, best: jnp.where(finished, last, best), round_.current, round_.best)
        progressed = round_.best_norm < (1 - 0.1 * search.radius / MAX_RADIUS) * round_.start_norm
        wider = jnp.minimum(2 * search.radius, MAX_RADIUS)
        narrower = jnp.maximum(search.radius / 5, MIN_RADIUS)
        return _Search(
            best,
            largest(best.residual),
            jnp.where(progressed, wider, jnp.where(search.locally, search.radius, narrower)),
            search.locally ^ ~progressed,
            search.evaluations + round_.steps,
            search.rounds + 1,
        )

    state = pack(initial)
    first = Iterate(state, evaluate(state))
    approach = _approach(evaluate, first, relaxation, max_evaluations)
    search = jax.lax.while_loop(
        search_on,
        run_round,
        _Search(
            approach.best,
            approach.best_error,
            jnp.asarray(MAX_RADIUS, state.dtype),
            jnp.asarray(True),
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
    best = search.best
    return best.state, (best.residual, search.evaluations, status)


class _Approach(NamedTuple):
    current: Iterate
    error: Float[Array, ""]
    best: Iterate
    best_error: Float[Array, ""]
    sweeps: Int[Array, ""]


def _approach(evaluate, first: Iterate, relaxation, max_evaluations) -> _Approach:
    """Damped sweeps until the residual is small enough for Newton steps, or grows."""

    def far(approach: _Approach):
        sweeping = (approach.sweeps < MAX_SWEEPS) & (1 + approach.sweeps < max_evaluations)
        return sweeping & (approach.error > APPROACHED) & (approach.error < 2 * approach.best_error)

    def sweep(approach: _Approach) -> _Approach:
        state = approach.current.state + relaxation * approach.current.residual
        current = Iterate(state, evaluate(state))
        error = largest(current.residual)
        improved = error < approach.best_error
        best = jax.tree.map(lambda new, old: jnp.where(improved, new, old), current, approach.best)
        best_error = jnp.where(improved, error, approach.best_error)
        return _Approach(current, error, best, best_error, approach.sweeps + 1)

    error = largest(first.residual)
    return jax.lax.while_loop(far, sweep, _Approach(first, error, first, error, jnp.zeros((), int)))


@_root.def_jvp
def _root_jvp(primals, tangents, *, residual, localise):
    """Implicit function theorem: minus the Jacobian in the state times the tangent is that in the args."""
    args, initial, *rest = primals
    args_tangent = tangents[0]
    state, known = _root(args, initial, *rest, residual=residual, localise=localise)

    def evaluate(packed, args):
        return pack(residual(unpack(packed, initial), args))

    _, forcing = eqx.filter_jvp(lambda args: evaluate(state, args), (args,), (args_tangent,))
    _, push = jax.linearize(lambda packed: evaluate(packed, args), state)
    fixed = jax.tree.map(_stop_gradient, (state, args))
    local = _local_inverse(*fixed, initial, residual, localise)
    tangent = jax.lax.custom_linear_solve(
        lambda packed: -push(packed),
        forcing,
        solve=lambda matvec, b: _krylov(matvec, b, local, apply_local),
        transpose_solve=lambda matvec, b: _krylov(matvec, b, local, apply_local_transpose),
    )
    return (state, known), (tangent, jax.tree.map(lambda _: None, known))


def _krylov(matvec, right_hand_side, local, apply):
    shape = right_hand_side.shape
    solution = solve_linear(
        lambda v: matvec(v.reshape(shape)).ravel(),
        right_hand_side.ravel(),
        lambda v: apply(local, v.reshape(shape)).ravel(),
        tolerance=DERIVATIVE_TOLERANCE,
    )
    # A derivative has no status to carry: what is no solution must not look like one.
    value = eqx.error_if(solution.value, ~solution.converged, SINGULAR)
    return value.reshape(shape)


def _local_inverse(packed, args, initial, residual, localise):
    local_args = localise(unpack(packed, initial), args)
    return local_inverse(lambda state: pack(residual(unpack(state, initial), local_args)), packed)


def _stop_gradient(leaf):
    return jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf
