"""The economies that a sweep starts from: the data inverted under a scenario's keys of the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
import xarray as xr
from pydantic import ValidationError

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, solve
from spatialjax.cities.income import IncomeRule, LaissezFaire
from spatialjax.cities.objectives import WelfareReference
from spatialjax.cities.scenarios import leaf_names
from spatialjax.cities.state import State
from spatialjax.errors import ConfigError
from spatialjax.workflow.cases import counterfactual_economy, invert_data
from spatialjax.workflow.config import explain
from spatialjax.workflow.schema import RunConfig
from spatialjax.workflow.sweep_scenarios import ScenarioTable
from spatialjax.workflow.sweep_schema import CALIBRATED, SweepRunConfig, Value


@dataclass(frozen=True)
class Calibration:
    """Where scenarios start from that have the same keys of the configuration.

    - `economy`: inverted from the data, with the sweep's counterfactual applied; `income`: the sweep's policy.
    - `baseline`: the equilibrium of the data, which gains are relative to. `reference`: its welfare accounts.
    - `start`: the equilibrium of `economy` without the policy, or `baseline` where it has none.
    """

    economy: Economy
    income: IncomeRule
    baseline: Equilibrium
    reference: WelfareReference
    start: Equilibrium

    @cached_property
    def leaves(self) -> dict[str, Any]:
        """The arrays that a scenario can change, by name."""
        named = leaf_names(self.economy, self.income)
        return {name: leaf for name, leaf in named.items() if not name.startswith("reference.")}

    @cached_property
    def state(self) -> State:
        """Where a solve starts."""
        return self.start.state()

    @cached_property
    def structure(self) -> Any:
        """What an economy and its policy are made of, apart from the numbers in their arrays."""
        return jax.tree.structure((self.economy, self.income)), {name: leaf.shape for name, leaf in self.leaves.items()}

    @cached_property
    def own_bytes(self) -> int:
        """Bytes of the equilibria."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves((self.baseline, self.start)))

    def differences(self, other: "Calibration") -> set[str]:
        """Names of arrays that two calibrations of one structure do not share."""
        if other is self:
            return set()
        return {name for name, leaf in self.leaves.items() if leaf is not other.leaves[name]}


def calibrate(config: SweepRunConfig, data: xr.Dataset, keys: Mapping[str, Value]) -> Calibration:
    """Invert the data under a configuration in which some keys have other values.

    **Raises:** `ConfigError` for values that a key cannot have, and the errors of [`invert`][] and [`solve`][].
    """
    run = with_keys(config, keys)
    # What was mended is said by `run`; a solve would be compiled anew for each.
    inverted = replace(invert_data(data, run), mended=())
    baseline = _solved(inverted, config)
    economy, start = inverted, baseline
    if config.sweep.counterfactual is not None:
        section = config.counterfactual[config.sweep.counterfactual]
        economy = counterfactual_economy(inverted, baseline, section, data)
        attempt = _solved(economy, config, baseline, throw=False)
        start = attempt if bool(attempt.converged) else baseline
    reference = WelfareReference.of(inverted, baseline)
    name = config.sweep.policy
    income = LaissezFaire() if name is None else config.policy[name].build(reference)
    return Calibration(economy, income, baseline, reference, start)


def _solved(economy: Economy, config: RunConfig, initial: Equilibrium | None = None, *, throw: bool = True):
    solver = config.solver
    return solve(
        economy, initial=initial, tolerance=solver.tolerance, max_evaluations=solver.max_evaluations, throw=throw
    )


def sharing_arrays(calibration: Calibration, other: Calibration) -> Calibration:
    """The calibration with those arrays of another one that are equal to its own, so that they are kept once."""

    def shared(mine, theirs):
        return theirs if mine is theirs or bool(np.array_equal(mine, theirs)) else mine

    if calibration.structure != other.structure:
        return calibration
    economy, income = jax.tree.map(shared, (calibration.economy, calibration.income), (other.economy, other.income))
    return replace(calibration, economy=economy, income=income)


def with_keys(config: RunConfig, keys: Mapping[str, Value]) -> RunConfig:
    """The run whose calibration has other values of some keys, written as in "spillover.share.0".

    **Raises:** `ConfigError` for a key that the configuration lacks and for a value that it cannot have.
    """
    tree = {section: config.model_dump(mode="json", exclude_none=True).get(section) for section in CALIBRATED}
    tree = {section: keys_of for section, keys_of in tree.items() if keys_of is not None}
    for key, value in sorted(keys.items(), key=lambda pair: not pair[0].endswith(".kind")):
        _put(tree, key, value)
    try:
        run = RunConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("; ".join(explain(error, RunConfig))) from error
    if run.model.occupation_substitution == 1:
        raise ConfigError("model.occupation_substitution: must not be 1")
    return run


def check_keys(config: SweepRunConfig, table: ScenarioTable) -> None:
    """Refuse scenarios that give a key a value that it cannot have; draws may, and those scenarios fail.

    **Raises:** `ConfigError` naming the first of them.
    """
    keys = calibrated_keys(config)
    seen = set()
    for scenario in range(table.count if config.sweep.kind != "draws" else 0):
        values = tuple(table.columns[name][scenario] for name in keys)
        if values in seen:
            continue
        seen.add(values)
        try:
            with_keys(config, dict(zip(keys.values(), values, strict=True)))
        except ConfigError as error:
            raise ConfigError(f"sweep: scenario {scenario} ({table.described(scenario)}): {error}") from error


def calibrated_keys(config: SweepRunConfig) -> dict[str, str]:
    """Keys of the configuration that differ between scenarios, by name of the parameter."""
    parameters = config.sweep.parameter
    return {name: p.calibrate for name, p in parameters.items() if p.calibrate is not None}


def _put(tree: dict[str, Any], key: str, value: Value) -> None:
    *path, last = key.split(".")
    at: Any = tree
    for part in path:
        at = _inside(at, part, key)
    if last == "kind" and at.get("kind") != value:
        at.clear()
    new = list(value) if isinstance(value, tuple) else value
    if isinstance(at, list):
        _inside(at, last, key)
        at[int(last)] = new
    elif isinstance(at, dict):
        at[last] = new
    else:
        raise ConfigError(f"{key}: {path[-1]} is a value, which has no {last!r}")


def _inside(at: Any, part: str, key: str) -> Any:
    """One step along a key."""
    if isinstance(at, dict):
        if part not in at:
            raise ConfigError(
                f"{key}: the configuration gives no {part!r} (it gives {', '.join(at) or 'nothing'}): write there what "
                "the sweep changes"
            )
        return at[part]
    if not isinstance(at, list) or not part.isdigit() or int(part) >= len(at):
        wanted = f"a position from 0 to {len(at) - 1}" if isinstance(at, list) else "nothing below it"
        raise ConfigError(f"{key}: {part!r} should be {wanted}")
    return at[int(part)]
