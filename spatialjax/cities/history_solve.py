"""Equilibria after sets of steps: warm starts, batches, and paths in small steps where a solve fails."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spatialjax.cities.batches import solve_many, take
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, describe_failure, solve
from spatialjax.cities.history_attribution import stages_of
from spatialjax.cities.history_steps import Transition, between
from spatialjax.cities.homotopy import Path, follow_path
from spatialjax.cities.income import LaissezFaire
from spatialjax.cities.scenarios import leaf_names
from spatialjax.cities.state import State
from spatialjax.devices import Devices
from spatialjax.errors import ConvergenceError

BATCH_BYTES = 2**30
"""What the changed leaves of a batch may take together; where trade costs differ, this is a few stages."""


@dataclass(frozen=True)
class Solver:
    """How the stages of a transition are solved."""

    tolerance: float = 1e-10
    max_evaluations: int = 2000
    devices: Devices | None = None

    def attempt(self, economy: Economy, start: Equilibrium | State) -> Equilibrium:
        """A solve that does not raise."""
        return solve(
            economy,
            initial=start,
            tolerance=self.tolerance,
            max_evaluations=self.max_evaluations,
            throw=False,
        )


def solve_order(transition: Transition, order: Sequence[int], solver: Solver) -> tuple[dict[int, Equilibrium], float]:
    """The equilibria along an order of steps, by the steps made, and how far the last is from the target's own.

    The first and the last stage are solved from their economies' references, the others from the stage before. The
    last is also followed from the stage before it: the second value is the largest difference in log employment
    between the two. Where it is not small, the steps lead from the baseline to another equilibrium of the target.
    """
    taken = stages_of(order)
    found = {0: _from_reference(transition, 0, transition.baseline, solver)}
    for before, here in itertools.pairwise(taken):
        found[here] = solve_near(transition, here, before, found[before], solver)
    followed = found[taken[-1]]
    found[taken[-1]] = _from_reference(transition, taken[-1], transition.target, solver)
    difference = followed.state().log_employment - found[taken[-1]].state().log_employment
    return found, float(jnp.abs(difference).max())


def _from_reference(transition: Transition, taken: int, end: Economy, solver: Solver) -> Equilibrium:
    """The equilibrium of an end from its own reference, in dollars of the target."""
    economy = transition.at(taken)
    level = jnp.log(economy.wage_bill / end.wage_bill)
    equilibrium = solver.attempt(economy, _in_dollars(end.reference, level))
    if not bool(equilibrium.converged):
        name = "baseline" if taken == 0 else "target"
        raise ConvergenceError(
            f"the {name} has no equilibrium near its reference: {describe_failure(equilibrium, economy)}"
        )
    return equilibrium


def _in_dollars(state: State, level: Any) -> State:
    """A state with all values in other dollars; what is held at zero, because it does not exist, is kept there."""
    return State(
        log_wage=jnp.where(state.log_wage == 0, 0.0, state.log_wage + level),
        log_employment=state.log_employment,
        log_rent=jnp.where(state.log_rent == 0, 0.0, state.log_rent + level),
        log_price=state.log_price + level,
        log_expenditure=jnp.where(state.log_expenditure == 0, 0.0, state.log_expenditure + level),
    )


def solve_near(
    transition: Transition, taken: int, before: int, start: Equilibrium, solver: Solver, guess: State | None = None
) -> Equilibrium:
    """The equilibrium after some steps, from that after others: at once, or in small steps where that fails.

    **Raises:** `ConvergenceError` naming the steps made and how far the path went.
    """
    economy = transition.at(taken)
    found = solver.attempt(economy, start if guess is None else guess)
    if bool(found.converged):
        return found
    path = _path(transition.at(before), economy, start, solver)
    if path.complete:
        return path.equilibrium
    raise ConvergenceError(
        f"no equilibrium {transition.described(taken)}: from the one {transition.described(before)} the path ends at "
        f"{path.reached:.3f} of the way, where the equilibrium that it follows disappears. Make this step in an order "
        f"that others precede, or smaller. At once: {describe_failure(found, economy)}"
    )


def _path(before: Economy, after: Economy, start: Equilibrium, solver: Solver) -> Path:
    return follow_path(lambda part, state: solver.attempt(between(before, after, part), state), start)


def solve_sets(
    transition: Transition,
    order: Sequence[int],
    known: dict[int, Equilibrium],
    sets: Iterable[int],
    solver: Solver,
) -> Iterator[tuple[int, Equilibrium]]:
    """The equilibria after further sets of steps, in batches where their leaves allow.

    A start adds up, in logs, what the steps of the set did along `order`. A set that a batch does not solve is
    followed from the largest set along the order that it contains.
    """
    wanted = [taken for taken in sets if taken not in known]
    start_of = _additive(order, known)
    for group in _groups(transition, wanted):
        solved = _batch(transition, group, start_of, solver) if len(group) > 1 else [None]
        for taken, found in zip(group, solved, strict=True):
            if found is None or not bool(found.converged):
                inside = max((s for s in known if s & taken == s), key=int.bit_count)
                found = solve_near(transition, taken, inside, known[inside], solver, start_of(taken))
            yield taken, found


def _groups(transition: Transition, wanted: Sequence[int]) -> list[Sequence[int]]:
    """Sets to solve together: all whose changed leaves fit, or each by itself where structures differ."""
    if not transition.alike or not transition.arrays:
        return [[taken] for taken in wanted]
    known = leaf_names(transition.target, LaissezFaire())
    size = sum(known[name].nbytes for name in transition.arrays if name in known)
    most = max(1, BATCH_BYTES // max(size, 1))
    return [wanted[first : first + most] for first in range(0, len(wanted), most)]


def _batch(
    transition: Transition, sets: Sequence[int], start_of: Callable[[int], State], solver: Solver
) -> list[Equilibrium]:
    economies = [transition.at(taken) for taken in sets]
    leaves = [leaf_names(economy, LaissezFaire()) for economy in economies]
    changes = {name: jnp.stack([named[name] for named in leaves]) for name in transition.arrays}
    starts = jax.tree.map(lambda *states: jnp.stack(states), *map(start_of, sets))
    found = solve_many(
        economies[0],
        changes,
        initial=starts,
        tolerance=solver.tolerance,
        max_evaluations=solver.max_evaluations,
        devices=solver.devices,
    )
    return [take(found, position) for position in range(len(sets))]


def _additive(order: Sequence[int], known: dict[int, Equilibrium]) -> Callable[[int], State]:
    """Starts for sets of steps, from the equilibria along an order."""
    stages = [jax.tree.map(np.asarray, known[taken].state()) for taken in stages_of(order)]
    changes = [jax.tree.map(np.subtract, later, earlier) for earlier, later in itertools.pairwise(stages)]

    def start(taken: int) -> State:
        made = [change for step, change in zip(order, changes, strict=True) if taken >> step & 1]
        guess = jax.tree.map(lambda first, *changes: first + sum(changes), stages[0], *made)
        return jax.tree.map(_where_known, guess, stages[0], stages[-1])

    return start


def _where_known(guess, first, last):
    """The guess where both ends have a value; elsewhere, what the end has in which the cell is open."""
    return jnp.asarray(np.where(first == 0, last, np.where(last == 0, first, guess)))
