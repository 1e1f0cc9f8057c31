"""Following an equilibrium along a path, in steps that adapt: what a single solve cannot reach."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.state import State

FIRST_STEP = 0.25
SMALLEST_STEP = 1e-3
"""Where halved steps still fail, the path ends: the equilibrium that it follows disappears beyond (a fold)."""
GROWTH = 1.5
"""By how much a step may be longer than the one before."""
AIM = 0.8
"""Part of the largest move allowed that the next step is to make."""
LEAST_CUT = 0.25
"""What is left, at least, of a step that moved too far: it may have met another equilibrium, far away at any step."""
MAX_JUMP = 0.5
"""Log points in employment that one step may move: a larger move may have left the path for another equilibrium."""


class Path(NamedTuple):
    """How far a path was followed: `reached` of 1, the equilibrium there, and the evaluations it took."""

    reached: float
    equilibrium: Equilibrium
    evaluations: int
    steps: int

    @property
    def complete(self) -> bool:
        """Whether the end of the path was reached."""
        return self.reached == 1.0


def follow_path(
    solve_at: Callable[[float, State], Equilibrium],
    start: Equilibrium,
    *,
    smallest_step: float = SMALLEST_STEP,
    max_jump: float = MAX_JUMP,
) -> Path:
    """Follow an equilibrium from 0 to 1, as far as it exists.

    `solve_at` solves at a position from a state, without raising. Each start is extrapolated from the last two
    equilibria. Steps are as long as moves of less than `max_jump` log points of employment allow; one that moves
    further is shortened, one that fails is halved, down to `smallest_step`.
    """
    reached, step = 0.0, FIRST_STEP
    at, before = start, None
    behind = 0.0
    evaluations = steps = 0
    while reached < 1.0 and step >= smallest_step:
        step = min(step, 1.0 - reached)
        target = 1.0 if step == 1.0 - reached else reached + step
        guess = at.state()
        if before is not None:
            ratio = (target - reached) / (reached - behind)
            guess = jax.tree.map(lambda now, then: now + ratio * (now - then), guess, before.state())  # noqa: B023
        found = solve_at(target, guess)
        evaluations += int(found.evaluations)
        steps += 1
        if not bool(found.converged):
            step = step / 2
            continue
        jump = _jump(at, found)
        # Moves are nearly in proportion to steps: the next is one whose move is within the limit.
        wanted = AIM * max_jump / max(jump, AIM * max_jump / GROWTH)
        if jump > max_jump:
            step = max(LEAST_CUT, wanted) * step
            continue
        before, behind = at, reached
        at, reached = found, target
        step = wanted * step
    return Path(reached, at, evaluations, steps)


def _jump(one: Equilibrium, other: Equilibrium) -> float:
    distance = abs(one.state().log_employment - other.state().log_employment)
    return float(distance.max())
