"""Historical decomposition: what each of several changes did between two economies (CH section 8)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.history_attribution import (
    lookup,
    ordered,
    random_orders,
    sampled,
    sets_needed,
    shapley,
    stages_of,
)
from spatialjax.cities.history_outcomes import Outcome, Positions, default_outcomes
from spatialjax.cities.history_solve import Solver, solve_near, solve_order, solve_sets
from spatialjax.cities.history_steps import Steps, Transition
from spatialjax.cities.outcomes import OccupationPair
from spatialjax.cities.planner import Optimum, optimum
from spatialjax.devices import Devices
from spatialjax.errors import ModelError

Array = np.ndarray
MOST_STEPS = 8
"""Steps up to which every set of steps is solved (256 of them); beyond, orders are sampled."""
SAME_EQUILIBRIUM = 1e-4
"""Log employment in which the last stage may differ from the target's own equilibrium and still be it."""
LEVELS = ("preferences", "location_elasticity", "amenity_spillover")
"""Leaves whose change alters what a level of welfare means."""


@dataclass(frozen=True)
class Decomposition:
    """What each step adds to each outcome between a baseline and a target.

    - `steps`: their names, in the order in which `stages` makes them.
    - `stages`: equilibria, the baseline's first and the target's last; `economies` has what they are equilibria of.
    - `values`: each outcome at each stage, (stage, ...).
    - `contributions`: what each step adds to it in this order, (step, ...).
    - `order_free`: what it adds on average over all orders (Shapley), (step, ...); None if not asked for.
    - `order_free_error`: its standard error where orders are sampled, else None.
    - `optima`: the planner's optima at the baseline and at the target, where asked for; look at `outcome` of each.
    - `gap`: largest difference in log employment between the target's own equilibrium and the one that the steps
      lead to. Above 1e-4 these are two equilibria, and the last step's contribution has the jump between them.
    - `notes`: what to bear in mind with these economies.
    - `compared`: the occupation whose share outcomes tell of, and the one that it is compared with; None for one alone.
    - `transition`, `solver`: what the stages are made and solved with.
    """

    steps: tuple[str, ...]
    stages: tuple[Equilibrium, ...]
    economies: tuple[Economy, ...]
    values: Mapping[str, Array]
    contributions: Mapping[str, Array]
    order_free: Mapping[str, Array] | None
    order_free_error: Mapping[str, Array] | None
    optima: tuple[Optimum, Optimum] | None
    gap: float
    notes: tuple[str, ...]
    compared: OccupationPair | None
    transition: Transition
    solver: Solver

    @property
    def compared_positions(self) -> Positions | None:
        """Where the compared occupations stand among those of the economies."""
        return _compared_positions(self.economies[0], self.compared)

    def leave_out(self, step: str) -> tuple[Economy, Equilibrium]:
        """The target without what one step changes, and its equilibrium (CH Table 3, rows 10 and 21).

        **Raises:** `ModelError` for a step that is none; `ConvergenceError` where there is no such equilibrium.
        """
        if step not in self.steps:
            raise ModelError(f"there is no step {step!r}; there are {', '.join(self.steps)}")
        transition = self.transition
        taken = transition.every & ~(1 << transition.steps.index(step))
        found = solve_near(transition, taken, transition.every, self.stages[-1], self.solver)
        return transition.at(taken), found

    def total(self, outcome: str) -> Array:
        """The whole change of an outcome, which contributions sum to."""
        return self.values[outcome][-1] - self.values[outcome][0]

    def table(self) -> pd.DataFrame:
        """Contributions by step and their total: a column for each outcome in order, and for each without order."""
        frames = {"in this order": self.contributions}
        if self.order_free is not None:
            frames["over all orders"] = self.order_free
        if self.order_free_error is not None:
            frames["standard error"] = self.order_free_error
        labels = self.economies[0].labels.occupation
        columns = {
            (name, of, kind): column
            for name in self.values
            for kind, source in frames.items()
            for of, column in _columns(source[name], labels)
        }
        table = pd.DataFrame(columns, index=pd.Index(self.steps, name="step"))
        table.columns = table.columns.set_names(["outcome", "of", "attribution"])
        total = table.sum()
        total[[column for column in table.columns if column[2] == "standard error"]] = np.nan
        return pd.concat([table, total.to_frame("total").T.rename_axis("step")])

    def to_xarray(self) -> xr.Dataset:
        """Values by stage and contributions by step, with labels: `NAME`, `NAME_contribution`, `NAME_order_free`."""
        labels = self.economies[0].labels.occupation
        named = {"": ("stage", self.values), "_contribution": ("step", self.contributions)}
        if self.order_free is not None:
            named["_order_free"] = ("step", self.order_free)
        if self.order_free_error is not None:
            named["_order_free_error"] = ("step", self.order_free_error)
        variables = {
            f"{name}{ending}": (_dimensions(first, name, array, labels), array)
            for ending, (first, arrays) in named.items()
            for name, array in arrays.items()
        }
        coordinates = {"stage": ["baseline", *self.steps], "step": list(self.steps), "occupation": list(labels)}
        return xr.Dataset(variables, coordinates, {"gap": self.gap, "notes": list(self.notes)})

    def stage_table(self) -> pd.DataFrame:
        """Each outcome at each stage, a row a stage."""
        labels = self.economies[0].labels.occupation
        columns = {(name, of): x for name, values in self.values.items() for of, x in _columns(values, labels)}
        table = pd.DataFrame(columns, index=pd.Index(["baseline", *self.steps], name="stage"))
        table.columns = table.columns.set_names(["outcome", "of"])
        return table


def decompose(
    baseline: Economy,
    target: Economy,
    steps: Steps,
    *,
    order: Sequence[str] | None = None,
    outcomes: Mapping[str, Outcome] | None = None,
    order_free: bool = True,
    permutations: int | None = None,
    seed: int = 0,
    optima: bool = False,
    compared: OccupationPair | None = None,
    tolerance: float = 1e-10,
    max_evaluations: int = 2000,
    devices: Devices | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Decomposition:
    """Attribute the change from one economy to another to steps (CH section 8, Table 3).

    Each step gives leaves of the economy the target's values. Steps are made one after another, with an equilibrium
    after each; what a step adds depends on those before it. Beside it stands what it adds on average over all orders
    (its Shapley value): every set of steps is solved once. Both sum to the whole change.

    Levels of welfare compare only economies in the same units. Two inversions measure goods in units of their own (the
    geometric mean of unit costs is one in each) and scale amenities so that welfare is mean real consumption in each:
    steps that move productivity, consumption shares or amenities between two inverted economies include the change of
    these conventions, unless [`in_units_of`][] has put one in the units of the other. Where a step changes what utility
    is (`preferences`, `location_elasticity`, amenity spillovers), or switches externalities off with their level, its
    contribution to welfare says nothing (docs/model.md, "Counterfactuals and welfare"), and `notes` says so. Values are
    in dollars of the target's wage bill at all stages; real outcomes do not depend on it.

    **Arguments:**

    - `baseline`, `target`: economies of the same cities, occupations and sectors.
    - `steps`: from the name of each to what it moves, one or several: a leaf by name, `"amenity"`, `"input_links.mix"`,
      all leaves of a part, `"spillover"`, or a [`Part`][] of the change of a leaf, whose rest another step names. Every
      leaf that differs must be moved.
    - `order`: names of the steps in the order to make them in; by default as in `steps`.
    - `outcomes`: functions of economy and equilibrium to a number or an array; by default [`default_outcomes`][].
    - `compared`: names of the two occupations that these tell of; by default the first two.
    - `order_free`: average over orders. All orders, for up to eight steps.
    - `permutations`: average over so many orders drawn at random instead, with standard errors; `seed` is theirs.
    - `optima`: find the planner's optima at both ends, with certificates.
    - `tolerance`, `max_evaluations`: as in [`solve`][]. `devices`: as in [`solve_many`][], for the sets of steps.
    - `progress`: called with the sets of steps that are solved and all there are.

    **Raises:** `ModelError` for steps that do not make the one economy the other, an order that is not of these steps,
    occupations that are none, or more than eight steps without `permutations`; `ConvergenceError` naming the steps
    after which there is no equilibrium that small changes lead to. Not inside `jax.jit` or `jax.grad`: starts are
    chosen by looking at values.
    """
    _refuse_tracers(baseline, target)
    transition = Transition.of(baseline, target, steps)
    positions = _positions(transition.steps, order)
    _check_count(len(positions), order_free, permutations)
    compared = _compared(baseline, compared)
    outcomes = default_outcomes(_compared_positions(baseline, compared)) if outcomes is None else outcomes
    solver = Solver(tolerance, max_evaluations, devices)

    found, gap = solve_order(transition, positions, solver)
    values = {taken: _evaluated(outcomes, transition.at(taken), e) for taken, e in found.items()}
    orders = random_orders(len(positions), permutations, seed) if permutations else None
    if order_free or orders:
        sets = sets_needed(orders) if orders else list(range(1 << len(positions)))
        for taken, equilibrium in solve_sets(transition, positions, found, sets, solver):
            values[taken] = _evaluated(outcomes, transition.at(taken), equilibrium)
            if progress is not None:
                progress(len(values), len(set(sets) | set(found)))
    averages, errors = _averages(outcomes, values, len(positions), orders, order_free)
    passed = stages_of(positions)
    economies = tuple(transition.at(made) for made in passed)
    stages = tuple(found[made] for made in passed)
    return Decomposition(
        steps=tuple(transition.steps[s] for s in positions),
        stages=stages,
        economies=economies,
        values={name: np.stack([values[made][name] for made in passed]) for name in outcomes},
        contributions=_in_order({name: ordered(lookup(values, name), positions) for name in outcomes}, positions),
        order_free=None if averages is None else _in_order(averages, positions),
        order_free_error=None if errors is None else _in_order(errors, positions),
        optima=_optima(economies, stages) if optima else None,
        gap=gap,
        notes=_notes(transition, gap),
        compared=compared,
        transition=transition,
        solver=solver,
    )


def _compared(economy: Economy, names: OccupationPair | None) -> OccupationPair | None:
    """The occupations to compare: those named, or the first two."""
    known = economy.labels.occupation
    if names is None:
        return (known[0], known[1]) if len(known) > 1 else None
    if len(names) != 2 or names[0] == names[1] or not set(names) <= set(known):
        raise ModelError(f"compared must name two of the occupations {', '.join(map(repr, known))}, found {names!r}")
    return names[0], names[1]


def _compared_positions(economy: Economy, names: OccupationPair | None) -> Positions | None:
    known = economy.labels.occupation
    return None if names is None else (known.index(names[0]), known.index(names[1]))


def _averages(outcomes, values, steps: int, orders, order_free: bool) -> tuple[dict | None, dict | None]:
    if orders:
        drawn = {name: sampled(lookup(values, name), orders) for name in outcomes}
        return {name: mean for name, (mean, _) in drawn.items()}, {name: error for name, (_, error) in drawn.items()}
    if not order_free:
        return None, None
    return {name: shapley(lookup(values, name), steps) for name in outcomes}, None


def _in_order(by_step: Mapping[str, Array], positions: Sequence[int]) -> dict[str, Array]:
    return {name: values[list(positions)] for name, values in by_step.items()}


def _evaluated(outcomes: Mapping[str, Outcome], economy: Economy, equilibrium: Equilibrium) -> dict[str, Array]:
    return {name: np.asarray(outcome(economy, equilibrium), float) for name, outcome in outcomes.items()}


def _optima(economies: Sequence[Economy], stages: Sequence[Equilibrium]) -> tuple[Optimum, Optimum]:
    first, last = (optimum(economies[at], stages[at], throw=False) for at in (0, -1))
    return first, last


def _positions(steps: tuple[str, ...], order: Sequence[str] | None) -> list[int]:
    if order is None:
        return list(range(len(steps)))
    if sorted(order) != sorted(steps):
        raise ModelError(f"order must name each step once ({', '.join(steps)}), found {', '.join(order)}")
    return [steps.index(step) for step in order]


def _check_count(steps: int, order_free: bool, permutations: int | None) -> None:
    if permutations is not None and permutations < 1:
        raise ModelError(f"permutations must be 1 or more, found {permutations}")
    if order_free and permutations is None and steps > MOST_STEPS:
        raise ModelError(
            f"{steps} steps have {1 << steps} sets, and all orders are averaged for up to {MOST_STEPS} steps: sample "
            "orders with permutations=100, say, make fewer steps, or ask for order_free=False"
        )


def _notes(transition: Transition, gap: float) -> tuple[str, ...]:
    notes = []
    changed = [name for name in LEVELS if any(a == name or a.startswith(f"{name}.") for a in transition.rest)]
    if changed:
        notes.append(f"a step changes {', '.join(changed)}: levels of welfare before and after it do not compare")
    if any(a == "spillover" or a.startswith("spillover.") for a in transition.rest):
        notes.append(
            "a step changes the externalities at given fundamental productivity: its contribution to welfare has the "
            "level of productivity that they stand for, in units in which workers are counted"
        )
    if gap > SAME_EQUILIBRIUM:
        notes.append(
            f"the steps lead to another equilibrium of the target than its own: log employment differs by {gap:.2g}. "
            "The jump is in the last step's contribution"
        )
    return tuple(notes)


def _columns(values: Array, labels: Sequence[str]) -> list[tuple[str, Array]]:
    """A column for each number of an outcome, named by occupation where it has one for each."""
    flat = values.reshape(values.shape[0], -1)
    if values.ndim == 1:
        return [("", values)]
    names = labels if values.shape[1:] == (len(labels),) else [str(position) for position in range(flat.shape[1])]
    return [(str(name), flat[:, position]) for position, name in enumerate(names)]


def _dimensions(first: str, name: str, values: Array, labels: Sequence[str]) -> tuple[str, ...]:
    """Names of dimensions; those of an outcome of the user's shape are numbered."""
    if values.shape[1:] == (len(labels),):
        return first, "occupation"
    return first, *(f"{name}_{axis}" for axis in range(values.ndim - 1))


def _refuse_tracers(*economies: Any) -> None:
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(economies)):
        raise ModelError(
            "decompose chooses its starts by looking at values and cannot be traced: call it outside of jit"
        )
