"""Many scenarios at once: [`solve_many`][] and [`solve_as_completed`][].

Scenarios share a pool of lanes (`numerics/lane_pool`): all lanes are evaluated together, so that the product with the
kernel of trade is one of matrices, and a lane whose scenario has been solved is loaded with the next one.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spatialjax.cities.checks import check_start
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import (
    Equilibrium,
    check_precision,
    describe_failure,
    equilibrium_at,
    solve_unchecked,
)
from spatialjax.cities.income import IncomeRule, LaissezFaire
from spatialjax.cities.market_clearing import System, excess, localise, relaxation_of
from spatialjax.cities.scenario_checks import check_scenarios
from spatialjax.cities.scenarios import Changes, Scenarios
from spatialjax.cities.state import State
from spatialjax.devices import Devices, mesh_over
from spatialjax.errors import ModelError
from spatialjax.numerics.dependence import depends
from spatialjax.numerics.implicit import local_newton
from spatialjax.numerics.lane_pool import LANES_ON_CPU, Problems, gathered, lanes_that_fit, work_off
from spatialjax.numerics.local_inverse import LocalInverse
from spatialjax.numerics.packing import pack, unpack
from spatialjax.numerics.root import MAX_SWEEPS, Root, Status, approached

WORKSPACE = 12
"""Arrays (city, occupation, sector) that an evaluation holds at once, at most."""
SAMPLE, LEAST_SAMPLE, SAMPLE_BYTES = 64, 3, 2**26
"""Scenarios, and bytes of one leaf of theirs, of which the typical scenario is the median."""


def solve_many(
    economy: Economy,
    changes: Changes,
    *,
    income: IncomeRule = LaissezFaire(),
    initial: "Equilibrium | State | None" = None,
    tolerance: float = 1e-10,
    max_evaluations: int = 2000,
    max_memory: float | None = None,
    devices: Devices | None = None,
) -> Equilibrium:
    """Solve for the equilibria of many scenarios at once.

    Each is an equilibrium as [`solve`][] finds it. Inside `jax.jit` and `jax.grad` scenarios are solved in vectorised
    blocks, and derivatives flow to `changes` as well as to the economy.

    **Arguments:**

    - `changes`: what differs between scenarios. Either a dictionary from the names of leaves to arrays with a leading
      scenario axis, `{"spillover.size": (scenario, occupation)}`, names of leaves of the income rule beginning with
      `income.`; or the economy, or a pair of economy and income rule, with such arrays where something changes and
      `None` elsewhere. Values replace the economy's.
    - `income`, `tolerance`, `max_evaluations`: as in [`solve`][].
    - `initial`: where to start; one state or equilibrium for all scenarios, or one with a leading scenario axis. By
      default the economy's `reference`.
    - `max_memory`: GiB that the scenarios in work may take together, besides what they share and the results. By
      default sixteen scenarios are in work on a CPU, one where each has large arrays of its own, such as trade costs;
      and on an accelerator those that fill half of its memory.
    - `devices`: devices, or a mesh with an axis "scenario", over which scenarios are divided; by default one.

    **Returns:** an [`Equilibrium`][] whose arrays have a leading scenario axis. Nothing is raised where a scenario has
    no equilibrium: `converged` says where there is one, and [`describe_failures`][] why there is none.

    **Raises:** `ModelError` for changes that are none, an economy that is none, or memory that does not suffice for
    one scenario; `PrecisionError` in single precision.
    """
    scenarios = Scenarios.of(economy, changes, income)
    starts = checked_starts(scenarios, initial, tolerance)
    if _is_traced((scenarios, starts)):
        return _solve_traced(scenarios, starts, tolerance, max_evaluations)
    return gathered(_pool(scenarios, starts, tolerance, max_evaluations, max_memory, devices), scenarios.count)


def solve_as_completed(
    economy: Economy,
    changes: Changes,
    *,
    income: IncomeRule = LaissezFaire(),
    initial: "Equilibrium | State | None" = None,
    tolerance: float = 1e-10,
    max_evaluations: int = 2000,
    max_memory: float | None = None,
    devices: Devices | None = None,
) -> Iterator[tuple[int, Equilibrium]]:
    """[`solve_many`][] with results as they are found: scenario and equilibrium, in the order of completion."""
    scenarios = Scenarios.of(economy, changes, income)
    starts = checked_starts(scenarios, initial, tolerance)
    return _one_by_one(_pool(scenarios, starts, tolerance, max_evaluations, max_memory, devices))


def take(batch: Any, scenario: int) -> Any:
    """One scenario of a batch of results."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[scenario]), batch)


def describe_failures(economy: Economy, batch: Equilibrium) -> dict[int, str]:
    """Why scenarios of a batch have no equilibrium, by scenario: the reason, the worst market and its city."""
    failed = np.flatnonzero(~np.asarray(batch.converged)).tolist()
    return {scenario: describe_failure(take(batch, scenario), economy) for scenario in failed}


def checked_starts(scenarios: Scenarios, initial, tolerance: float) -> State:
    """The starts of scenarios, with a scenario axis of length one where all start alike.

    **Raises:** the errors of [`solve_many`][] about the economy, its precision and the starts.
    """
    if not _is_traced(scenarios):
        check_scenarios(scenarios)
    economy, income = scenarios.one(0)
    check_precision(economy, income, tolerance)
    start = economy.reference if initial is None else initial
    start = _states(start) if isinstance(start, Equilibrium) else start
    if not isinstance(start, State) or start.log_rent.ndim == 1:
        check_start(start, economy)
        return jax.tree.map(lambda x: jnp.asarray(x)[None], start)
    if start.log_rent.shape[0] != scenarios.count:
        raise ModelError(f"initial has {start.log_rent.shape[0]} starts, but changes have {scenarios.count} scenarios")
    check_start(take(start, 0), economy)
    return start


def _states(equilibria: Equilibrium) -> State:
    return equilibria.state()


class CityProblems(Problems):
    """The equilibria of scenarios as problems for a pool of lanes.

    `fixed` are the leaves of a scenario's system that no scenario changes; `varies` marks the others. `start` is a
    state of the structure of all.
    """

    scenarios: Scenarios
    starts: State
    start: State
    fixed: Any
    varies: Any
    inverse: LocalInverse
    relaxation: Float[Array, "place variable"]
    count: int = eqx.field(static=True)
    workspace: int = eqx.field(static=True)

    @classmethod
    def of(cls, scenarios: Scenarios, starts: State) -> "CityProblems":
        """The problems of these scenarios, from starts with a scenario axis, of length one where they are alike."""
        changed, start = jax.tree.map(_typical, (scenarios.changed, starts))
        varies = depends(lambda changed: system_of(scenarios, changed), changed)
        fixed, inverse = _shared(scenarios, changed, start, varies)
        sizes = (*start.log_employment.shape, start.log_price.shape[1])
        return cls(
            scenarios=scenarios,
            starts=starts,
            start=start,
            fixed=fixed,
            varies=varies,
            inverse=inverse,
            relaxation=relaxation_of(start),
            count=scenarios.count,
            workspace=WORKSPACE * int(np.prod(sizes)) * start.log_rent.dtype.itemsize,
        )

    def steps(self):
        """Without scenarios and starts: lanes hold what they need of them."""
        return replace(self, scenarios=None, starts=None, count=0)

    def load(self, indices):
        """The starts of these scenarios and what their systems do not share."""
        changed = jax.tree.map(lambda x: x[indices], self.scenarios.changed)
        own = jax.vmap(lambda changed: eqx.filter(system_of(self.scenarios, changed), self.varies))(changed)
        states = jax.vmap(pack)(self.starts)
        alike = states.shape[0] == 1
        return (jnp.broadcast_to(states, (indices.size, *states.shape[1:])) if alike else states[indices]), own

    def residual(self, own):
        """Log excess demand of all lanes."""
        return lambda states: jax.vmap(lambda packed, own: pack(excess(*self._at(packed, own))))(states, own)

    def result(self, lanes, own):
        """The equilibria at the states of lanes."""

        def equilibrium(packed, own, evaluations):
            state, system = self._at(packed, own)
            root = Root(state, excess(state, system), evaluations, Status.converged)
            return equilibrium_at(root, system, jnp.zeros(()))

        return jax.vmap(equilibrium)(lanes.state, own, lanes.evaluations)

    def alone(self, index, tolerance, max_evaluations):
        """The equilibrium of one scenario, as [`solve`][] finds it or not."""
        start = take(self.starts, index if self.starts.log_rent.shape[0] > 1 else 0)
        return solve_unchecked(*self.scenarios.one(index), None, start, tolerance, max_evaluations)

    def _at(self, packed, own) -> tuple[State, System]:
        return unpack(packed, self.start), self.system(own)

    def system(self, own) -> System:
        """The system of a lane, from what it has of its own."""
        return eqx.combine(own, self.fixed)


def _typical(values: Float[Array, "scenario ..."]) -> Float[Array, "..."]:
    """The median of a sample of scenarios: one that is absurd does not move it."""
    most = min(SAMPLE, max(LEAST_SAMPLE, SAMPLE_BYTES // max(values[0].nbytes, 1)))
    return jnp.median(values[:: -(-values.shape[0] // most)], axis=0)


def system_of(scenarios: Scenarios, changed: Any) -> System:
    """The system of a scenario with these changes, which have no scenario axis."""
    economy, income = scenarios.combined(changed)
    return System.of(economy, income)


@eqx.filter_jit
def _shared(scenarios: Scenarios, changed, start: State, varies) -> tuple[Any, LocalInverse]:
    """What lanes share, and the local inverse of a typical scenario, where damped sweeps give way to its steps."""
    system = system_of(scenarios, changed)

    def evaluate(packed):
        return pack(excess(unpack(packed, start), system))

    near = approached(evaluate, pack(start), relaxation_of(start), MAX_SWEEPS + 1).best.state
    inverse = local_newton(near, system, start, excess, localise)
    return eqx.filter(system, varies, inverse=True), inverse.astype(jnp.float32)


def _pool(scenarios: Scenarios, starts: State, tolerance, max_evaluations, max_memory, devices):
    return in_lanes(CityProblems.of(scenarios, starts), tolerance, max_evaluations, max_memory, devices)


def in_lanes(problems: Problems, tolerance, max_evaluations, max_memory: float | None, devices: Devices | None):
    """[`work_off`][] in as many lanes as memory allows; `ModelError` where it does not suffice for one."""
    number = 1 if devices is None else mesh_over(devices, "scenario").size
    lanes, one = lanes_that_fit(problems, max_memory, number)
    if lanes == 0:
        raise ModelError(
            f"max_memory: one scenario needs {one:.2g} GiB, found {max_memory:g}: allow more, or leave it out"
        )
    return work_off(problems, lanes, tolerance, max_evaluations, devices)


def _one_by_one(results) -> Iterator[tuple[int, Equilibrium]]:
    for indices, found in results:
        for position, index in enumerate(indices.tolist()):
            yield index, take(found, position)


def _is_traced(tree: Any) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def _solve_traced(scenarios: Scenarios, starts: State, tolerance, max_evaluations) -> Equilibrium:
    """Scenarios inside a JAX transformation, in vectorised blocks."""
    limits = (jnp.asarray(tolerance), jnp.asarray(max_evaluations))
    own_starts = None if starts.log_rent.shape[0] == 1 else starts

    def one(scenario):
        changed, start = scenario
        start = take(starts, 0) if start is None else start
        return solve_unchecked(*scenarios.combined(changed), None, start, *limits)

    return jax.lax.map(one, (scenarios.changed, own_starts), batch_size=min(LANES_ON_CPU, scenarios.count))
