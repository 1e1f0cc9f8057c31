"""The planner's optimum in many scenarios at once: [`optimum_many`][]."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spatialjax.cities.batches import solve_many, take
from spatialjax.cities.certificate import Certificate, certify
from spatialjax.cities.checks import refuse_unless_planned_for
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, describe_failure
from spatialjax.cities.income import LaissezFaire
from spatialjax.cities.objectives import Objective, ParetoWeights, WelfareReference, named_objective
from spatialjax.cities.optimal_policy import OptimalPolicy
from spatialjax.cities.planner import CERTIFIED_OPTIMUM, Optimum, judged, optimum
from spatialjax.cities.policies import net_transfer
from spatialjax.cities.policy_effect import refuse_tracers
from spatialjax.cities.scenarios import Changes, Scenarios
from spatialjax.cities.state import State
from spatialjax.devices import Devices
from spatialjax.typing import ByOccupation, CityOccupation

ScenarioOccupation = Float[Array, "scenario occupation"]


@dataclass(frozen=True, kw_only=True)
class Optima:
    """Planners' allocations by scenario; arrays have a leading scenario axis.

    - `equilibrium`: the allocations, and `reference`: the equilibria that gains are relative to.
    - `gain`: by occupation; `transfer`: net, by city and occupation, in dollars a year. As in [`Optimum`][], and NaN
      where no allocation was found.
    - `certificates`: one for each scenario that has an allocation; `None` where there is none or none was asked for.
    - `found`: whether there is an allocation, certified where certificates were asked for.
    - `outcomes`: how each scenario ended, in words.
    """

    equilibrium: Equilibrium
    reference: Equilibrium
    gain: ScenarioOccupation
    transfer: Float[Array, "scenario city occupation"]
    certificates: tuple[Certificate | None, ...]
    found: np.ndarray
    outcomes: tuple[str, ...]


UNCERTIFIED = "an allocation was found; no certificate was asked for"


def optimum_many(
    economy: Economy,
    changes: Changes,
    *,
    objective: Objective | str = "equal-gains",
    initial: "Optimum | Equilibrium | State | None" = None,
    certificates: bool = True,
    tolerance: float = 1e-11,
    max_evaluations: int = 2000,
    max_memory: float | None = None,
    devices: Devices | None = None,
) -> Optima:
    """The planner's optimum in each of many scenarios (CH Proposition 1).

    Equilibria first, from one another's lanes; then allocations under each scenario's own optimal policy, from the
    optimum of the economy itself. A scenario whose lane finds none is left to [`optimum`][], and so are all where the
    objective is a weighted sum of welfare, which has more to be checked.

    **Arguments:**

    - `changes`, `max_memory`, `devices`: as in [`solve_many`][].
    - `objective`, `tolerance`, `max_evaluations`: as in [`optimum`][].
    - `initial`: where searches for allocations start; by default the optimum of `economy`, which is found first.
    - `certificates`: compute a certificate for each scenario, one after another, which takes longer than all else.

    **Raises:** what [`solve_many`][] raises. That a scenario has no optimum is said in `outcomes`.
    """
    refuse_tracers(economy)
    refuse_unless_planned_for(economy, "an optimum")
    wanted = named_objective(objective, len(economy.labels.occupation))
    scenarios = Scenarios.of(economy, changes, LaissezFaire())
    limits: dict[str, Any] = {"tolerance": tolerance, "max_evaluations": max_evaluations}
    reference = solve_many(economy, changes, max_memory=max_memory, devices=devices, **limits)
    alone = partial(_alone, scenarios, reference, objective=wanted, limits=limits)
    if isinstance(wanted, ParetoWeights):
        return _together([alone(i) for i in range(scenarios.count)], reference)
    if initial is None:
        initial = optimum(economy, objective=wanted, throw=False, **limits)
    policies = _policies(scenarios, reference, wanted)
    allocation = solve_many(
        economy,
        (scenarios.changed[0], policies),
        income=take(policies, 0),
        initial=initial.equilibrium if isinstance(initial, Optimum) else initial,
        max_memory=max_memory,
        devices=devices,
        **limits,
    )
    found = [
        _in_lane(scenarios, reference, allocation, i, certificates) if allocation.converged[i] else alone(i)
        for i in range(scenarios.count)
    ]
    return _together(found, reference)


@eqx.filter_jit
def _policies(scenarios: Scenarios, reference: Equilibrium, objective: Objective) -> OptimalPolicy:
    """Each scenario's optimal policy, which depends on its equilibrium."""

    def policy(changed, equilibrium):
        return OptimalPolicy(WelfareReference.of(scenarios.combined(changed)[0], equilibrium), objective)

    return jax.vmap(policy)(scenarios.changed, reference)


class _Found(NamedTuple):
    """What is known of one scenario."""

    equilibrium: Equilibrium
    gain: ByOccupation
    transfer: CityOccupation
    certificate: Certificate | None
    found: bool
    outcome: str


def _in_lane(scenarios: Scenarios, reference: Equilibrium, allocation: Equilibrium, index: int, certificates: bool):
    """A scenario whose allocation was found in its lane."""
    economy, _ = scenarios.one(index)
    own, before = take(allocation, index), take(reference, index)
    certificate = certify(economy, own) if certificates else None
    outcome = judged(economy, own, certificate, None) if certificates else UNCERTIFIED
    gain = WelfareReference.of(economy, before).gain(own.welfare)
    return _Found(own, gain, net_transfer(own), certificate, outcome in (CERTIFIED_OPTIMUM, UNCERTIFIED), outcome)


def _alone(scenarios: Scenarios, reference: Equilibrium, index: int, *, objective: Objective, limits) -> _Found:
    """A scenario by itself, as [`optimum`][] finds its allocation or not."""
    economy, _ = scenarios.one(index)
    before = take(reference, index)
    if not bool(before.converged):
        nothing = jnp.full_like(before.welfare, jnp.nan), jnp.full_like(before.wage, jnp.nan)
        return _Found(before, *nothing, None, False, describe_failure(before, economy))
    one = optimum(economy, before, objective=objective, throw=False, **limits)
    return _Found(one.equilibrium, one.gain, one.transfer, one.certificate, one.found, one.outcome)


def _together(found: list[_Found], reference: Equilibrium) -> Optima:
    return Optima(
        equilibrium=jax.tree.map(lambda *leaves: jnp.stack(leaves), *(one.equilibrium for one in found)),
        reference=reference,
        gain=jnp.stack([one.gain for one in found]),
        transfer=jnp.stack([one.transfer for one in found]),
        certificates=tuple(one.certificate for one in found),
        found=np.asarray([one.found for one in found]),
        outcomes=tuple(one.outcome for one in found),
    )
