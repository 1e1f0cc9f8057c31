"""Roots of many systems at once, in lanes that share one local inverse.

A lane searches as [`find_root`][] does, by damped sweeps and then by accelerated steps, but around a local inverse that
all lanes share and that is never computed afresh. Where systems differ little it is as good as their own, and a step
costs no more than an evaluation. A lane that does not converge so gives up: its system is left to [`find_root`][].
Lanes are the first axis of every array. One that has finished stands still until it is loaded with another system.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from spatialjax.numerics.anderson import (
    HARMLESS,
    MAX_GROWTH,
    MAX_MOVE,
    MEMORY,
    History,
    combined,
    ends,
    no_history,
    remembered,
    shortened,
)
from spatialjax.numerics.local_inverse import LocalInverse
from spatialjax.numerics.root import APPROACHED, MAX_SWEEPS

MAX_EVALUATIONS = 100
"""Evaluations after which a lane gives up."""
MAX_RESTARTS = 3
"""Times that a lane forgets its history because its step grew, before it gives up."""
SHARE_TO_WAIT_FOR = 0.75
"""Part of the lanes that have to finish before [`advance`][] returns: loading costs about as much as an evaluation."""

States = Float[Array, "lane place variable"]
PerLane = Float[Array, " lane"]
Count = Int[Array, " lane"]


class Lanes(NamedTuple):
    """Where each lane stands.

    - `state`, `residual`, `step`: the current ones; a step is a residual through the local inverse.
    - `error`: largest absolute residual. `least_error`, `least_norm`: the smallest one in sweeps, and the smallest norm
      of a step since the history was last forgotten.
    - `evaluations`: since loading, of which `sweeps` in damped sweeps and `steps` since the history was forgotten.
    - `restarts`: times that it was. `within`: states within the tolerance so far.
    - `sweeping`, `working`: whether the lane still sweeps, and whether it works at all.
    - `converged`: whether it has found its root.
    - `ticks`: evaluations so far of lanes that go together, alike in all: where in the history the newest step is.
    """

    state: States
    residual: States
    step: States
    error: PerLane
    least_error: PerLane
    least_norm: PerLane
    evaluations: Count
    sweeps: Count
    steps: Count
    restarts: Count
    within: Count
    sweeping: Bool[Array, " lane"]
    working: Bool[Array, " lane"]
    converged: Bool[Array, " lane"]
    history: History
    ticks: Count


def empty_lanes(states: States) -> Lanes:
    """Lanes without work, of the shape of these states."""
    lanes, zero = states.shape[0], jnp.zeros(states.shape[0], int)
    infinite, nobody, nothing = jnp.full(lanes, jnp.inf, states.dtype), jnp.zeros(lanes, bool), jnp.zeros_like(states)
    return Lanes(
        state=states,
        residual=nothing,
        step=nothing,
        error=infinite,
        least_error=infinite,
        least_norm=infinite,
        evaluations=zero,
        sweeps=zero,
        steps=zero,
        restarts=zero,
        within=zero,
        sweeping=nobody,
        working=nobody,
        converged=nobody,
        history=no_history(nothing.reshape(lanes, -1)),
        ticks=zero,
    )


def loaded(lanes: Lanes, fresh: Bool[Array, " lane"], states: States) -> Lanes:
    """Lanes of which the `fresh` ones start new searches, from these states."""
    new = empty_lanes(states)._replace(sweeping=fresh, working=fresh)._asdict()
    chosen = {
        name: old if name in GO_ON else jax.tree.map(lambda n, o: _where(fresh, n, o), new[name], old)
        for name, old in lanes._asdict().items()
    }
    return lanes._replace(**chosen)


GO_ON = ("history", "ticks")
"""What loading leaves as it is: what is in the history counts only from the first step on."""


def advance(
    lanes: Lanes,
    residual: Callable[[States], States],
    inverse: LocalInverse,
    relaxation: Float[Array, "place variable"],
    tolerance: Float[Array, ""],
    max_evaluations: Int[Array, ""],
) -> Lanes:
    """Evaluate until a part of the working lanes has finished, by converging or by giving up.

    - `residual`: of all lanes at once.
    - `inverse`: the local inverse that they share; its precision is that of steps, not of residuals.
    - `relaxation`: the part of a residual by which a damped sweep moves each variable.
    """
    working = lanes.working.sum()
    few = working - jnp.ceil(SHARE_TO_WAIT_FOR * working).astype(working.dtype)
    limit = jnp.minimum(max_evaluations, MAX_EVALUATIONS)

    def tick(lanes: Lanes) -> Lanes:
        state = _proposed(lanes, relaxation)
        evaluated = _evaluated(lanes, state, residual(state), inverse)
        return _judged(evaluated, tolerance, limit)

    return jax.lax.while_loop(lambda lanes: lanes.working.sum() > few, tick, lanes)


def _proposed(lanes: Lanes, relaxation) -> States:
    """Where to evaluate next: at the start itself, after a damped sweep, or after an accelerated step."""
    age = (lanes.ticks[0] - 1 - jnp.arange(MEMORY)) % MEMORY
    flat = lanes.step.reshape(lanes.step.shape[0], -1)
    accelerated = combined(flat, lanes.history, age < lanes.steps[:, None]).reshape(lanes.step.shape)
    move = _where(lanes.sweeping, relaxation * lanes.residual, shortened(accelerated, MAX_MOVE))
    return lanes.state + _where(lanes.working & (lanes.evaluations > 0), move, 0.0)


def _evaluated(lanes: Lanes, state: States, residual: States, inverse: LocalInverse) -> Lanes:
    """The lanes at their new states, with the step from there."""
    local = jnp.einsum("pij,lpj->lpi", inverse, residual.astype(inverse.dtype))
    step = shortened(local.astype(state.dtype), MAX_MOVE)
    flat = (state.shape[0], -1)
    move, change = (state - lanes.state).reshape(flat), (step - lanes.step).reshape(flat)
    counted = lanes.working.astype(lanes.evaluations.dtype)
    return lanes._replace(
        state=state,
        residual=residual,
        step=step,
        error=jnp.abs(residual).max((1, 2)),
        evaluations=lanes.evaluations + counted,
        sweeps=lanes.sweeps + (lanes.sweeping & (lanes.evaluations > 0)),
        steps=jnp.where(lanes.sweeping, 0, lanes.steps + 1),
        history=remembered(lanes.history, move, change, lanes.ticks[0] % MEMORY),
        ticks=lanes.ticks + 1,
    )


def _judged(lanes: Lanes, tolerance, limit) -> Lanes:
    """Who sweeps on, whose step grew so that the history misleads, and who has finished."""
    least_error = jnp.minimum(lanes.least_error, lanes.error)
    far = (lanes.error > APPROACHED) & (lanes.error < 2 * least_error) & (lanes.sweeps < MAX_SWEEPS)
    sweeping = lanes.sweeping & far
    norm = jnp.sqrt((lanes.step**2).sum((1, 2)))
    growing = ~lanes.sweeping & ~(norm <= jnp.maximum(MAX_GROWTH * lanes.least_norm, HARMLESS))
    renewed = growing | lanes.sweeping
    within = lanes.within + (lanes.working & (lanes.error < tolerance))
    converged = lanes.converged | (lanes.working & ends(lanes.error, within, tolerance))
    restarts = lanes.restarts + growing
    gives_up = ~jnp.isfinite(lanes.error) | (restarts > MAX_RESTARTS) | (lanes.evaluations >= limit)
    return lanes._replace(
        least_error=least_error,
        least_norm=jnp.where(renewed, norm, jnp.minimum(lanes.least_norm, norm)),
        steps=jnp.where(growing, 0, lanes.steps),
        restarts=restarts,
        within=within,
        sweeping=sweeping,
        working=lanes.working & ~converged & ~gives_up,
        converged=converged,
    )


def _where(lanes: Bool[Array, " lane"], chosen, otherwise):
    """`chosen` in these lanes and `otherwise` in the others."""
    return jnp.where(lanes.reshape(-1, *(1,) * (jnp.ndim(chosen) - 1)), chosen, otherwise)
