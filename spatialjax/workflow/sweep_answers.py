"""What is found of each scenario: its equilibrium or its optimum, or why it has none."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from spatialjax.cities.batches import solve_as_completed
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, describe_failure
from spatialjax.cities.homotopy import Path, follow_path
from spatialjax.cities.income import IncomeRule, LaissezFaire
from spatialjax.cities.labelled import DIMENSIONS, POLICY_DIMENSIONS
from spatialjax.cities.planner import Optimum, optimum
from spatialjax.cities.policies import net_transfer
from spatialjax.cities.policy_effect import MAX_EVALUATIONS_PER_STEP, part_of, solve_under
from spatialjax.cities.wedge import wedge
from spatialjax.workflow.cases import OPTIMUM_TOLERANCE
from spatialjax.workflow.sweep_batches import Batch, Refusal
from spatialjax.workflow.sweep_calibration import Calibration
from spatialjax.workflow.sweep_schema import SweepRunConfig

Array = np.ndarray
HEADLINES = {
    "mean_wage": (("occupation",), "US dollars a year", "mean wage"),
    "mean_consumption": (("occupation",), "US dollars a year at the price index", "mean real consumption"),
    "relocated": (("occupation",), "1", "share of workers who live elsewhere than in the equilibrium of reference"),
}
"""Numbers that are kept of every scenario, beside welfare and gains."""
DESCRIPTIONS = {**DIMENSIONS, **POLICY_DIMENSIONS, **HEADLINES}
"""Dimensions, units and name in words of every outcome."""


@dataclass(frozen=True)
class Record:
    """What was found of a scenario: outcomes by name if it was solved, else the reason why not.

    `steps` is the number of steps in which its changes were phased in, 0 if they were made at once.
    """

    scenario: int
    solved: bool
    reason: str = ""
    evaluations: int = 0
    largest_residual: float = np.nan
    steps: int = 0
    outcomes: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Effort:
    """How hard a scenario is tried: evaluations of a solve, and whether changes are phased in where it fails."""

    max_evaluations: int
    in_steps: bool = False


def answers(batches: Iterator[Batch | Refusal], config: SweepRunConfig, effort: Effort) -> Iterator[Record]:
    """What is found of each scenario, as it is found."""
    for batch in batches:
        if isinstance(batch, Refusal):
            yield Record(batch.scenario, False, batch.reason)
        else:
            yield from _of_batch(batch, config, effort)


def _of_batch(batch: Batch, config: SweepRunConfig, effort: Effort) -> Iterator[Record]:
    found = solve_as_completed(
        batch.economy,
        batch.changes,
        income=batch.income,
        initial=batch.start(),
        tolerance=config.solver.tolerance,
        max_evaluations=effort.max_evaluations,
        max_memory=config.sweep.max_memory,
    )
    for position, equilibrium in found:
        yield _record(batch, position, equilibrium, config, effort)


def _record(batch: Batch, position: int, found: Equilibrium, config: SweepRunConfig, effort: Effort) -> Record:
    scenario, calibration = batch.scenarios[position], batch.calibrations[position]
    one = cache(lambda: batch.one(position))  # made where it is needed: that takes longer than all the rest
    reason, evaluations, steps = "", int(found.evaluations), 0
    residual = _largest(found)
    if not bool(found.converged):
        reason = describe_failure(found, batch.economy)
        if effort.in_steps:
            path = approach(calibration, *one(), config.solver.tolerance, effort.max_evaluations)
            found, evaluations, steps = path.equilibrium, evaluations + path.evaluations, path.steps
            reason = "" if path.complete else f"{reason} {_described(path)}"
    if reason:
        return Record(scenario, False, reason, evaluations, residual, steps)
    if config.sweep.question == "optimum":
        return _of_optimum(scenario, one()[0], found, config, effort, evaluations, steps)
    reference = calibration.reference
    gain = (np.asarray(found.welfare) - np.asarray(reference.accounts.welfare)) / np.asarray(reference.unit)
    outcomes = _outcomes(config.sweep.kept(), lambda: one()[0], found, calibration.baseline, gain)
    return Record(scenario, True, "", evaluations, _largest(found), steps, outcomes)


def _largest(found: Equilibrium) -> float:
    """The largest residual, of numbers that are on the host already."""
    return float(np.max([np.asarray(value) for value in found.residuals.by_block().values()]))


def _described(path: Path) -> str:
    return (
        f"Phased in from the equilibrium without the changes, in {path.steps} steps, the path ends at "
        f"{path.reached:.3f} of the way."
    )


def approach(
    calibration: Calibration, economy: Economy, income: IncomeRule, tolerance: float, max_evaluations: int
) -> Path:
    """Phase in the changes of a scenario, and its policy, from the equilibrium of its calibration."""
    most = min(max_evaluations, MAX_EVALUATIONS_PER_STEP)

    def solve_at(part: float, state):
        rule = income if isinstance(income, LaissezFaire) else part_of(income, part)
        between = interpolated(calibration.economy, economy, part)
        return solve_under(between, rule, state, tolerance, most)

    return follow_path(solve_at, calibration.start)


def interpolated(start: Economy, end: Economy, part: float) -> Economy:
    """The economy a part of the way between two, array by array; what is infinite in both stays so."""
    if part == 1.0:
        return end
    return jax.tree.map(lambda old, new: jnp.where(new == old, old, old + part * (new - old)), start, end)


def _of_optimum(
    scenario: int,
    economy: Economy,
    equilibrium: Equilibrium,
    config: SweepRunConfig,
    effort: Effort,
    evaluations: int,
    steps: int,
) -> Record:
    found = optimum(
        economy,
        equilibrium,
        objective=config.planner.build(len(economy.labels.occupation)),
        throw=False,
        tolerance=min(config.solver.tolerance, OPTIMUM_TOLERANCE),
        max_evaluations=effort.max_evaluations,
    )
    path = 0 if found.path is None else found.path.evaluations
    evaluations += int(found.equilibrium.evaluations) + path
    residual = _largest(found.equilibrium)
    if not found.found:
        return Record(scenario, False, f"no optimum: {found.outcome}", evaluations, residual, steps)
    kept = config.sweep.kept()
    outcomes = _outcomes(kept, lambda: economy, found.equilibrium, equilibrium, np.asarray(found.gain), found)
    return Record(scenario, True, "", evaluations, residual, steps, outcomes)


def _outcomes(
    kept: Sequence[str],
    economy: Callable[[], Economy],
    found: Equilibrium,
    before: Equilibrium,
    gain: Array,
    best: Optimum | None = None,
) -> dict[str, Array]:
    """The outcomes that are kept, and headlines, by name."""
    outcomes = {name: np.asarray(getattr(found, name)) for name in kept if name in DIMENSIONS}
    outcomes["gain"] = gain
    for name, of_equilibrium in (("wedge", lambda: wedge(economy(), found)), ("transfer", lambda: net_transfer(found))):
        if name in kept:
            outcomes[name] = np.asarray(of_equilibrium() if best is None else getattr(best, name))
    if best is not None and "base_transfer" in kept:
        outcomes["base_transfer"] = np.asarray(best.base_transfer)
    return outcomes | headlines(found, before)


def headlines(found: Equilibrium, before: Equilibrium) -> dict[str, Array]:
    """Means over cities, and the share of workers who live elsewhere than before, by occupation."""
    workers, there = np.asarray(found.employment), np.asarray(before.employment)
    share, share_there = workers / workers.sum(0), there / there.sum(0)
    return {
        "mean_wage": (share * np.asarray(found.wage)).sum(0),
        "mean_consumption": (share * np.asarray(found.consumption)).sum(0),
        "relocated": np.abs(share - share_there).sum(0) / 2,
    }
