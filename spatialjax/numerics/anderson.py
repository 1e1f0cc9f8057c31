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
WELL_WITHIN = 0.2
"""Part of the tolerance at which a search ends at once ..."""
LAST_STEPS = 2
"""... where it goes on for as many steps otherwise."""
REGULARISATION = 1e-5
"""Relative to the squares of step changes: directions that are combinations of others but for rounding are left out."""


class Iterate(NamedTuple):
    """A state and its residual."""

    state: Packed
    residual: Packed


class History(NamedTuple):
    """The last steps of a round, or of many rounds with leading axes, newest anywhere.

    It is kept in single precision: it says where to step, not where a root is.

    `step_changes` are the changes of the step from one state to the next, `advances` those changes plus the moves
    between the states. `gram` holds the products of step changes with each other.
    """

    advances: Float[Array, "*lane memory n"]
    step_changes: Float[Array, "*lane memory n"]
    gram: Float[Array, "*lane memory memory"]


class Round(NamedTuple):
    """Where a round stands: the current iterate, the best one, and the history of steps.

    `within` counts states within the tolerance.
    """

    current: Iterate
    step: Float[Array, " n"]
    best: Iterate
    norm: Float[Array, ""]
    start_norm: Float[Array, ""]
    best_norm: Float[Array, ""]
    error: Float[Array, ""]
    moved: Float[Array, ""]
    steps: Int[Array, ""]
    history: History
    within: Int[Array, ""]


def accelerated_round(
    residual: Callable[[Packed], Packed],
    start: Iterate,
    inverse: LocalInverse,
    *,
    tolerance: Float[Array, ""],
    max_steps: Int[Array, ""],
) -> Round:
    """Iterate until the residual is well below `tolerance`, or until the local inverse is out of date.

    No step moves a variable by more than `MAX_MOVE`: a place whose local system is nearly singular is
    held back alone, the others are not.
    """

    def local_step(residual: Packed) -> Float[Array, " n"]:
        return shortened(apply_local(inverse, residual), MAX_MOVE).ravel()

    def keep_going(round_: Round) -> Bool[Array, ""]:
        unfinished = ~ends(round_.error, round_.within, tolerance) & (round_.steps < max_steps)
        outdated = (round_.steps >= MIN_STEPS_BEFORE_MOVING_ON) & (round_.moved > MAX_MOVE)
        diverging = ~(round_.norm <= jnp.maximum(MAX_GROWTH * round_.best_norm, HARMLESS))
        return unfinished & ~outdated & ~diverging

    def advance(round_: Round) -> Round:
        move = combined(round_.step, round_.history, jnp.arange(MEMORY) < round_.steps)
        move = shortened(move.reshape(start.state.shape), MAX_MOVE)
        state = round_.current.state + move
        current = Iterate(state, residual(state))
        worse = (round_.within > 0) & ~(largest(current.residual) < round_.error)
        current = jax.tree.map(lambda new, old: jnp.where(worse, old, new), current, round_.current)
        error = largest(current.residual)
        step = local_step(current.residual)
        norm = jnp.linalg.norm(step)
        improved = norm < round_.best_norm
        return Round(
            current=current,
            step=step,
            best=jax.tree.map(lambda new, old: jnp.where(improved, new, old), current, round_.best),
            norm=norm,
            start_norm=round_.start_norm,
            best_norm=jnp.where(improved, norm, round_.best_norm),
            error=error,
            moved=largest(state - start.state),
            steps=round_.steps + 1,
            within=round_.within + (error < tolerance),
            history=remembered(round_.history, move.ravel(), step - round_.step, round_.steps % MEMORY),
        )

    step = local_step(start.residual)
    norm = jnp.linalg.norm(step)
    error = largest(start.residual)
    first = Round(
        current=start,
        step=step,
        best=start,
        norm=norm,
        start_norm=norm,
        best_norm=norm,
        error=error,
        moved=jnp.zeros_like(norm),
        steps=jnp.zeros((), int),
        history=no_history(step),
        within=jnp.where(error < tolerance, LAST_STEPS + 1, 0),
    )
    return jax.lax.while_loop(keep_going, advance, first)


def ends(error, within, tolerance) -> Bool[Array, "..."]:
    """Whether a search that was `within` the tolerance so often may end.

    A few steps more cost little and bring several times the accuracy: it is then solutions that agree to the
    tolerance, and not only their residuals.
    """
    return (within > LAST_STEPS) | ((within > 0) & (error < WELL_WITHIN * tolerance))


def shortened(step: Float[Array, "*lane place variable"], radius: float) -> Float[Array, "*lane place variable"]:
    """Shorten the steps of places that would move further than `radius`."""
    size = jnp.abs(step).max(-1, keepdims=True)
    return step * jnp.where(size > radius, radius / jnp.where(size > 0, size, 1.0), 1.0)


def no_history(step: Float[Array, "*lane n"]) -> History:
    """The history before the first step."""
    *lanes, n = step.shape
    empty = jnp.zeros((*lanes, MEMORY, n), jnp.float32)
    return History(empty, empty, jnp.zeros((*lanes, MEMORY, MEMORY), jnp.float32))


def remembered(
    history: History, move: Float[Array, "*lane n"], step_change: Float[Array, "*lane n"], slot: Int[Array, ""]
) -> History:
    """The history with a step in the place of the one in `slot`."""
    change, advance = (x.astype(jnp.float32) for x in (step_change, move + step_change))
    step_changes = _placed(history.step_changes, change, slot, -2)
    products = jnp.einsum("...mn,...n->...m", step_changes, change)
    gram = _placed(_placed(history.gram, products, slot, -2), products, slot, -1)
    return History(_placed(history.advances, advance, slot, -2), step_changes, gram)


def _placed(array, part, slot, axis: int):
    """`array` with `part` at one position of an axis: a slice, because scatters are slow."""
    axis = array.ndim + axis
    return jax.lax.dynamic_update_slice_in_dim(array, jnp.expand_dims(part, axis), slot, axis)


def combined(
    step: Float[Array, "*lane n"], history: History, known: Bool[Array, "*lane memory"]
) -> Float[Array, "*lane n"]:
    """Anderson's move: the step less the part that the known history explains (least squares on steps)."""
    size = jnp.sqrt(jnp.diagonal(history.gram, axis1=-2, axis2=-1))
    used = known & (size > 0)
    scale = jnp.where(used, 1 / jnp.where(used, size, 1.0), 0.0)
    scaled = history.gram * scale[..., :, None] * scale[..., None, :]
    diagonal = jnp.where(used, REGULARISATION, 1.0)
    scaled = scaled + diagonal[..., None] * jnp.eye(MEMORY, dtype=scaled.dtype)
    overlap = jnp.einsum("...mn,...n->...m", history.step_changes, step.astype(jnp.float32))
    weights = scale * jnp.linalg.solve(scaled, (scale * overlap)[..., None])[..., 0]
    return step - jnp.einsum("...m,...mn->...n", weights, history.advances).astype(step.dtype)
