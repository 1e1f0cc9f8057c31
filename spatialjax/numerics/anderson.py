"""One round of Anderson acceleration around a fixed local inverse.

The plain step from a state is its local-Newton step. Acceleration replaces it with the combination of
the last steps whose residual, measured through the local inverse, is smallest.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from spatialjax.numerics.local_inverse import LocalInverse, Packed, apply_local
from spatialjax.numerics.safe_math import largest

MEMORY = 10
"""Steps that are combined: 10 need a quarter fewer evaluations than 5; 20 save little more and cost as much."""
MIN_STEPS_BEFORE_MOVING_ON = 5
MAX_MOVE = 0.5
"""Log points that a step may move, and a round before its local inverse is out of date."""
MAX_GROWTH = 4.0
"""Growth of the step over the round's best at which the round is given up ..."""
HARMLESS = 0.1
"""... unless the step is smaller than this: there the system is as good as linear, and acceleration
copes with directions in which plain steps expand."""
REGULARISATION = 1e-13


class Iterate(NamedTuple):
    """A state and its residual."""

    state: Packed
    residual: Packed


class Round(NamedTuple):
    """Where a round stands: the current iterate, the best one, and the history of steps."""

    current: Iterate
    step: Float[Array, " n"]
    best: Iterate
    norm: Float[Array, ""]
    start_norm: Float[Array, ""]
    best_norm: Float[Array, ""]
    error: Float[Array, ""]
    moved: Float[Array, ""]
    steps: Int[Array, ""]
    state_changes: Float[Array, "memory n"]
    step_changes: Float[Array, "memory n"]


def accelerated_round(
    residual: Callable[[Packed], Packed],
    start: Iterate,
    inverse: LocalInverse,
    *,
    tolerance: Float[Array, ""],
    max_steps: Int[Array, ""],
) -> Round:
    """Iterate until the residual is below `tolerance` or the local inverse is out of date.

    No step moves a variable by more than `MAX_MOVE`: a place whose local system is nearly singular is
    held back alone, the others are not.
    """

    def local_step(residual: Packed) -> Float[Array, " n"]:
        return _within(apply_local(inverse, residual), MAX_MOVE).ravel()

    def keep_going(round_: Round) -> Bool[Array, ""]:
        unfinished = (round_.error >= tolerance) & (round_.steps < max_steps)
        outdated = (round_.steps >= MIN_STEPS_BEFORE_MOVING_ON) & (round_.moved > MAX_MOVE)
        diverging = ~(round_.norm <= jnp.maximum(MAX_GROWTH * round_.best_norm, HARMLESS))
        return unfinished & ~outdated & ~diverging

    def advance(round_: Round) -> Round:
        move = _combine(round_.step, round_.state_changes, round_.step_changes)
        move = _within(move.reshape(start.state.shape), MAX_MOVE)
        state = round_.current.state + move
        current = Iterate(state, residual(state))
        step = local_step(current.residual)
        norm = jnp.linalg.norm(step)
        improved = norm < round_.best_norm
        slot = round_.steps % MEMORY
        return Round(
            current=current,
            step=step,
            best=jax.tree.map(lambda new, old: jnp.where(improved, new, old), current, round_.best),
            norm=norm,
            start_norm=round_.start_norm,
            best_norm=jnp.where(improved, norm, round_.best_norm),
            error=largest(current.residual),
            moved=largest(state - start.state),
            steps=round_.steps + 1,
            state_changes=round_.state_changes.at[slot].set(move.ravel()),
            step_changes=round_.step_changes.at[slot].set(step - round_.step),
        )

    step = local_step(start.residual)
    norm = jnp.linalg.norm(step)
    empty = jnp.zeros((MEMORY, step.size), step.dtype)
    first = Round(
        current=start,
        step=step,
        best=start,
        norm=norm,
        start_norm=norm,
        best_norm=norm,
        error=largest(start.residual),
        moved=jnp.zeros_like(norm),
        steps=jnp.zeros((), int),
        state_changes=empty,
        step_changes=empty,
    )
    return jax.lax.while_loop(keep_going, advance, first)


def _within(step: Packed, radius: float) -> Packed:
    """Shorten the steps of places that would move further than `radius`."""
    size = jnp.abs(step).max(1, keepdims=True)
    return step * jnp.where(size > radius, radius / jnp.where(size > 0, size, 1.0), 1.0)


def _combine(step, state_changes, step_changes):
    """Anderson's move: the step less the part that the history explains (least squares on steps)."""
    gram = step_changes @ step_changes.T
    size = jnp.sqrt(jnp.diag(gram))
    used = size > 0
    scale = jnp.where(used, 1 / jnp.where(used, size, 1.0), 0.0)
    scaled = gram * scale[:, None] * scale
    scaled = scaled + jnp.diag(jnp.where(used, REGULARISATION, 1.0))
    weights = scale * jnp.linalg.solve(scaled, scale * (step_changes @ step))
    return step - weights @ (state_changes + step_changes)
