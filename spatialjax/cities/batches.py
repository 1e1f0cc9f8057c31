"""Many scenarios at once: [`solve_many`][]."""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, _solve, describe_failure
from spatialjax.cities.income import IncomeRule, LaissezFaire
from spatialjax.cities.location import FreeMobility
from spatialjax.cities.scenarios import Changes, Scenarios
from spatialjax.cities.state import State


def solve_many(
    economy: Economy,
    changes: Changes,
    *,
    income: IncomeRule = LaissezFaire(),
    initial: "Equilibrium | State | None" = None,
    tolerance: float = 1e-10,
    max_evaluations: int = 2000,
    max_memory: float | None = None,
) -> Equilibrium:
    """Equilibria of many scenarios (provisional)."""
    found = dict(
        solve_as_completed(
            economy,
            changes,
            income=income,
            initial=initial,
            tolerance=tolerance,
            max_evaluations=max_evaluations,
            max_memory=max_memory,
        )
    )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(found[i] for i in range(len(found))))


def solve_as_completed(
    economy: Economy,
    changes: Changes,
    *,
    income: IncomeRule = LaissezFaire(),
    initial: "Equilibrium | State | None" = None,
    tolerance: float = 1e-10,
    max_evaluations: int = 2000,
    max_memory: float | None = None,
) -> Iterator[tuple[int, Equilibrium]]:
    """Scenario and equilibrium, as each is found (provisional)."""
    scenarios = Scenarios.of(economy, changes, income)
    start = economy.reference if initial is None else initial
    start = start.state() if isinstance(start, Equilibrium) else start
    for index in range(scenarios.count):
        one, rule = scenarios.one(index)
        yield (
            index,
            _solve(one, rule, FreeMobility(), start, jnp.asarray(tolerance), jnp.asarray(max_evaluations)),
        )


def take(batch: Any, index: int) -> Any:
    """One scenario of a batch of results."""
    return jax.tree.map(lambda leaf: leaf[index] if eqx.is_array(leaf) else leaf, batch)


def describe_failures(economy: Economy, batch: Equilibrium) -> dict[int, str]:
    """Why scenarios have no equilibrium, by scenario."""
    return {
        index: describe_failure(take(batch, index), economy)
        for index, found in enumerate(batch.converged.tolist())
        if not found
    }
