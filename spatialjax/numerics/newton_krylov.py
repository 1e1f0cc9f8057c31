"""One step of Newton's method with the whole Jacobian, ties between places included, and a line search.

Where damped iterations and accelerated local steps fail, it is because many directions expand at once: with strong
externalities the Jacobian has eigenvalues on both sides of zero. A Krylov method without restarts resolves them all.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from spatialjax.numerics.anderson import Iterate
from spatialjax.numerics.linear import solve_linear
from spatialjax.numerics.local_inverse import LocalInverse, Packed, apply_local
from spatialjax.numerics.safe_math import largest

FORCING = (1e-4, 0.1)
"""The linear system is solved to a tenth of the residual's norm, within these bounds: Newton's method then converges
fast without solving for digits that the next step changes."""
MAX_DIRECTIONS = 400
DIRECTION_BYTES = 256 * 2**20
"""Directions that are kept before a restart: so many, or what fits."""
MAX_MOVE = 1.0
"""Log points that a variable may move in a step."""
SHORTEST = 0.1
"""The shortest part of a step that is tried: where it does not help, Newton's direction misleads."""
SUFFICIENT = 0.01
"""Part of the decrease that the linear picture promises with which a step is accepted."""
MAX_CYCLES = 2
RESERVED = 4 + MAX_CYCLES
"""Evaluations that a step may need besides products: parts of it that are tried, and residuals computed afresh."""


class KrylovStep(NamedTuple):
    """Where a step led: `norm` before and after it, whether it was `accepted`, and the evaluations that it took.

    A product with the Jacobian counts as one evaluation.
    """

    at: Iterate
    norm_before: Float[Array, ""]
    norm: Float[Array, ""]
    accepted: Bool[Array, ""]
    evaluations: Int[Array, ""]


def krylov_step(
    evaluate: Callable[[Packed], Packed],
    start: Iterate,
    local: LocalInverse,
    *,
    wanted: Bool[Array, ""],
    max_evaluations: Int[Array, ""],
) -> KrylovStep:
    """A step from `start`; nothing is computed, and nothing moves, unless it is `wanted`.

    `local` is an approximate inverse of minus the Jacobian, place by place. The Euclidean norm of the residual has to
    fall, or the step is not accepted and the state stays. Where evaluations do not suffice for a step, none is taken.
    """
    enough = max_evaluations > RESERVED
    shape = start.state.shape
    norm_before = jnp.linalg.norm(start.residual)
    _, push = jax.linearize(evaluate, start.state)
    found = solve_linear(
        lambda v: -push(v.reshape(shape)).ravel(),
        jnp.where(wanted & enough, start.residual, 0.0).ravel(),
        lambda v: apply_local(local, v.reshape(shape)).ravel(),
        tolerance=jnp.clip(FORCING[1] * norm_before, *FORCING),
        memory=int(min(MAX_DIRECTIONS, max(10, DIRECTION_BYTES // (2 * start.state.nbytes)))),
        max_cycles=MAX_CYCLES,
        max_products=max_evaluations - RESERVED,
    )
    move = found.value.reshape(shape)
    longest = jnp.minimum(1.0, MAX_MOVE / jnp.maximum(largest(move), MAX_MOVE))

    def helps(part, at: Iterate):
        return jnp.linalg.norm(at.residual) < (1 - SUFFICIENT * part) * norm_before

    def search_on(carry):
        part, at, _ = carry
        return wanted & enough & ~helps(part, at) & (part >= 2 * SHORTEST * longest)

    def halve(carry):
        part, _, evaluations = carry
        state = start.state + part / 2 * move
        return part / 2, Iterate(state, evaluate(state)), evaluations + 1

    # At first twice the step, so that its first half is the step itself: the start helps nothing.
    part, at, evaluations = jax.lax.while_loop(search_on, halve, (2 * longest, start, found.products))
    accepted = wanted & enough & helps(part, at) & jnp.all(jnp.isfinite(move))
    at = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), at, start)
    used = jnp.where(wanted & enough, evaluations, 0)
    return KrylovStep(at, norm_before, jnp.linalg.norm(at.residual), accepted, used)


def no_step(start: Iterate) -> KrylovStep:
    """A step that was not asked for."""
    norm = jnp.linalg.norm(start.residual)
    return KrylovStep(start, norm, norm, jnp.zeros((), bool), jnp.zeros((), int))
