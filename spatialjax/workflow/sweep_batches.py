"""Scenarios put together in batches that one call solves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from spatialjax.cities.checks import check_economy
from spatialjax.cities.economy import Economy
from spatialjax.cities.income import IncomeRule
from spatialjax.cities.scenarios import Scenarios
from spatialjax.cities.state import State
from spatialjax.errors import ModelError, SpatialJAXError
from spatialjax.workflow.sweep_calibration import Calibration, calibrate, calibrated_keys, sharing_arrays
from spatialjax.workflow.sweep_changes import Target, is_suspicious, targets
from spatialjax.workflow.sweep_scenarios import ScenarioTable
from spatialjax.workflow.sweep_schema import SweepRunConfig, Value

Array = np.ndarray
MOST_BYTES = 2**29
"""Of what the scenarios of a batch do not share, unless a quarter of max_memory is less."""
MOST_SCENARIOS = 4096


@dataclass(frozen=True)
class Refusal:
    """A scenario that is no economy, and why."""

    scenario: int
    reason: str


@dataclass(frozen=True)
class Batch:
    """Scenarios whose economies differ in arrays alone.

    `calibrations` has one for each scenario; `changes` the arrays in which scenarios differ from the first of these,
    or are changed by parameters, scenario first.
    """

    scenarios: tuple[int, ...]
    calibrations: tuple[Calibration, ...]
    changes: dict[str, Array]

    @property
    def economy(self) -> Economy:
        """The economy that scenarios share."""
        return self.calibrations[0].economy

    @property
    def income(self) -> IncomeRule:
        """The income rule that scenarios share."""
        return self.calibrations[0].income

    @cached_property
    def _all(self) -> Scenarios:
        return Scenarios.of(self.economy, self.changes, self.income)

    def one(self, position: int) -> tuple[Economy, IncomeRule]:
        """The economy and income rule of one scenario."""
        return self._all.one(position)

    def start(self) -> State:
        """Where solves start: one state, or one for each scenario where calibrations differ."""
        states = [calibration.state for calibration in self.calibrations]
        if all(state is states[0] for state in states):
            return states[0]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    def taking(self, positions: Sequence[int]) -> "Batch":
        """Some of the scenarios."""
        return Batch(
            tuple(self.scenarios[p] for p in positions),
            tuple(self.calibrations[p] for p in positions),
            {name: leaf[list(positions)] for name, leaf in self.changes.items()},
        )


class Batches:
    """Makes batches of the scenarios of a sweep.

    `base` is the calibration of the configuration as it stands.

    **Raises:** the errors of [`calibrate`][] for it, and `ConfigError` for parameters that change nothing in it.
    """

    def __init__(self, config: SweepRunConfig, data: xr.Dataset, table: ScenarioTable):
        self.config, self.data, self.table = config, data, table
        self.base = calibrate(config, data, {})
        self._calibrated = calibrated_keys(config)
        self._changing = targets(config.sweep, self.base, data)
        for target in self._changing:
            target.check(table.columns[target.parameter], self.base.leaves[target.leaf].shape)
        self._last: tuple[tuple[Value, ...], Calibration | str] | None = None
        limit = config.sweep.max_memory
        self._most_bytes = MOST_BYTES if limit is None else min(MOST_BYTES, limit * 2**30 / 4)

    def of(self, pending: Sequence[int]) -> Iterator[Batch | Refusal]:
        """Batches of scenarios, and those that are no economies.

        Scenarios with the same calibration follow one another, and so do calibrations of the same kinds.
        """
        gathered: list[tuple[int, Calibration]] = []
        for scenario in self._in_order(pending):
            calibration = self._calibration(scenario)
            if isinstance(calibration, str):
                yield Refusal(scenario, calibration)
                continue
            if gathered and not self._fits(gathered, calibration):
                yield from self._batch(gathered)
                gathered = []
            gathered.append((scenario, calibration))
        if gathered:
            yield from self._batch(gathered)

    def _in_order(self, pending: Sequence[int]) -> list[int]:
        ranks: dict[tuple[Value, ...], int] = {}
        for scenario in pending:
            ranks.setdefault(self._keys(scenario), len(ranks))

        def order(scenario: int):
            keys = self._keys(scenario)
            return tuple(key for key in keys if isinstance(key, str)), ranks[keys], scenario

        return sorted(pending, key=order)

    def _keys(self, scenario: int) -> tuple[Value, ...]:
        return tuple(self.table.columns[name][scenario] for name in self._calibrated)

    def _calibration(self, scenario: int) -> Calibration | str:
        """The calibration of a scenario, or why it has none."""
        values = self._keys(scenario)
        if not values:
            return self.base
        if self._last is None or self._last[0] != values:
            self._last = values, self._calibrated_anew(values)
        return self._last[1]

    def _calibrated_anew(self, values: tuple[Value, ...]) -> Calibration | str:
        try:
            found = calibrate(self.config, self.data, dict(zip(self._calibrated.values(), values, strict=True)))
        except SpatialJAXError as error:
            return f"no calibration: {error}"
        before = None if self._last is None else self._last[1]
        for other in (self.base, before):
            found = sharing_arrays(found, other) if isinstance(other, Calibration) else found
        return found

    def _fits(self, gathered: list[tuple[int, Calibration]], calibration: Calibration) -> bool:
        """Whether a scenario can be solved together with others."""
        first = gathered[0][1]
        if calibration is not first and calibration.structure != first.structure:
            return False
        changed = first.differences(calibration) | {t.leaf for t in self._changing if t.leaf in calibration.leaves}
        bytes_each = sum(calibration.leaves[name].nbytes for name in changed)
        bytes_each += 0 if calibration is first else calibration.own_bytes
        return len(gathered) < MOST_SCENARIOS and (len(gathered) + 1) * bytes_each <= self._most_bytes

    def _targets(self, calibration: Calibration) -> list[Target]:
        if calibration.structure == self.base.structure:
            return self._changing
        return targets(self.config.sweep, calibration, self.data)

    def _batch(self, gathered: list[tuple[int, Calibration]]) -> Iterator[Batch | Refusal]:
        scenarios, calibrations = zip(*gathered, strict=True)
        first = calibrations[0]
        try:
            changing = self._targets(first)
        except SpatialJAXError as error:
            yield from (Refusal(scenario, str(error)) for scenario in scenarios)
            return
        names = {t.leaf for t in changing}.union(*(first.differences(c) for c in calibrations)) or {"wage_bill"}
        changes = {name: np.stack([np.asarray(c.leaves[name]) for c in calibrations]) for name in sorted(names)}
        for target in changing:
            values = [self.table.columns[target.parameter][scenario] for scenario in scenarios]
            changes[target.leaf] = target.applied(changes[target.leaf], values)
        batch = Batch(scenarios, calibrations, changes)
        refusals = {p: reason for p in range(len(scenarios)) if (reason := _problem(batch, p)) is not None}
        yield from (Refusal(scenarios[p], reason) for p, reason in refusals.items())
        if len(refusals) < len(scenarios):
            yield batch.taking([p for p in range(len(scenarios)) if p not in refusals]) if refusals else batch


def _problem(batch: Batch, position: int) -> str | None:
    """Why a scenario is no economy, if it is none."""
    own = batch.calibrations[position].leaves
    if any(is_suspicious(name, own[name], leaf[position]) for name, leaf in batch.changes.items()):
        try:
            check_economy(batch.one(position)[0])
        except ModelError as error:
            return f"no economy: {error}"
    return None
