"""Gradients of an outcome in many scenarios at once: [`gradient_many`][]."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from spatialjax.cities.batches import CityProblems, in_lanes, solve_many, take
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, equilibrium_at, solve_unchecked
from spatialjax.cities.income import IncomeRule, LaissezFaire
from spatialjax.cities.market_clearing import System, excess
from spatialjax.cities.scenarios import Changes, Scenarios, check_names, leaf_names, with_leaves
from spatialjax.cities.state import State
from spatialjax.devices import Devices
from spatialjax.numerics.lane_pool import Problems, gathered
from spatialjax.numerics.local_inverse import LocalInverse
from spatialjax.numerics.packing import pack, unpack
from spatialjax.numerics.root import Root, Status

Outcome = Callable[[Equilibrium], Float[Array, ""]]
TOLERANCE = 1e-11
"""Of the adjoint equations, relative to the largest derivative of the outcome in the state."""
SCALE = 1e-3
"""Largest derivative in the units that lanes work in, where steps are never cut short."""


class Gradients(NamedTuple):
    """An outcome and its derivatives, by scenario.

    - `value`: the outcome. `gradient`: by name of a parameter, its derivatives in that parameter (scenario, ...).
    - `equilibrium`: the equilibria. `converged`: where there is one; elsewhere value and gradient are NaN.
    """

    value: Float[Array, " scenario"]
    gradient: dict[str, Float[Array, "scenario ..."]]
    equilibrium: Equilibrium
    converged: Bool[Array, " scenario"]


def gradient_many(
    economy: Economy,
    changes: Changes,
    outcome: Outcome,
    *,
    parameters: Sequence[str] = ("fundamental_productivity",),
    income: IncomeRule = LaissezFaire(),
    initial: "Equilibrium | State | None" = None,
    tolerance: float = 1e-10,
    max_evaluations: int = 2000,
    max_memory: float | None = None,
    devices: Devices | None = None,
) -> Gradients:
    """The gradient of an outcome of equilibrium in each of many scenarios.

    One adjoint system a scenario, whatever the number of parameters. It is worked off like the equilibria
    themselves: by accelerated steps around one transposed local inverse.

    **Arguments:**

    - `outcome`: Equilibrium -> number, written with `jax.numpy`, such as `lambda equilibrium: equilibrium.welfare[0]`.
    - `parameters`: names of the leaves to differentiate in, as in the `changes` of [`solve_many`][].
    - the others: as in [`solve_many`][].

    **Raises:** what [`solve_many`][] raises; `ModelError` for a parameter that is not known.
    """
    check_names("parameters", parameters, economy, income)
    scenarios = Scenarios.of(economy, changes, income)
    options: dict[str, Any] = {"max_evaluations": max_evaluations, "max_memory": max_memory, "devices": devices}
    equilibria = solve_many(economy, changes, income=income, initial=initial, tolerance=tolerance, **options)
    problems = _AdjointProblems.of(scenarios, equilibria, outcome, tuple(parameters))
    value, gradient = gathered(in_lanes(problems, TOLERANCE * SCALE, **options), scenarios.count)
    exists = equilibria.converged & jnp.isfinite(value)
    value, gradient = jax.tree.map(lambda x: jnp.where(_along(exists, x), x, jnp.nan), (value, gradient))
    return Gradients(value, gradient, equilibria, exists)


def _along(scenarios: Bool[Array, " scenario"], values) -> Bool[Array, "scenario ..."]:
    """A mask of scenarios in the shape of values."""
    return scenarios.reshape(-1, *(1,) * (values.ndim - 1))


class _AdjointProblems(Problems):
    """The multipliers of the equations of equilibrium for an outcome, as problems for a pool of lanes.

    With F the excess demands and c the outcome's derivatives in the state, the multipliers solve c + F_z' m = 0.
    """

    cities: CityProblems
    states: State
    converged: Bool[Array, " scenario"]
    outcome: Outcome = eqx.field(static=True)
    parameters: tuple[str, ...] = eqx.field(static=True)
    inverse: LocalInverse
    relaxation: Float[Array, "place variable"]
    count: int = eqx.field(static=True)
    workspace: int = eqx.field(static=True)

    @classmethod
    def of(cls, scenarios: Scenarios, equilibria: Equilibrium, outcome: Outcome, parameters: tuple[str, ...]):
        """The problems of these scenarios at their equilibria."""
        states = jax.vmap(lambda one: one.state())(equilibria)
        cities = CityProblems.of(scenarios, states)
        return cls(
            cities=cities,
            states=states,
            converged=equilibria.converged,
            outcome=outcome,
            parameters=parameters,
            inverse=jnp.swapaxes(cities.inverse, 1, 2),
            relaxation=cities.relaxation,
            count=cities.count,
            workspace=3 * cities.workspace,
        )

    def steps(self):
        """Without scenarios and their states: lanes hold what they need of them."""
        return replace(self, cities=self.cities.steps(), states=None, converged=None, count=0)

    def load(self, indices):
        """Start at zero; keep the state, the outcome's derivatives in it, and what systems do not share."""
        states, own = self.cities.load(indices)

        def derivatives(packed, own):
            direct = jax.grad(lambda packed: self._outcome(packed, self.cities.system(own)))(packed)
            size = jnp.abs(direct).max() / SCALE
            return direct / jnp.where(size > 0, size, 1.0), size

        direct, size = jax.vmap(derivatives)(states, own)
        return jnp.zeros_like(states), (own, states, direct, size)

    def residual(self, own):
        """What is left of the adjoint equations; excess demand is linearised once."""
        systems, states, direct, _ = own
        _, pull = jax.vjp(self.cities.residual(systems), states)
        return lambda multipliers: direct + pull(multipliers)[0]

    def result(self, lanes, own):
        """Outcomes, and their derivatives in the parameters."""

        def gradient(multipliers, own):
            system, packed, _, size = own
            base = self.cities.system(system)

            def lagrangian(leaves):
                changed = System.of(*with_leaves(base.economy, base.income, leaves))
                value = self._outcome(packed, changed)
                return value + size * (multipliers * self._excess(packed, changed)).sum(), value

            known = leaf_names(base.economy, base.income)
            leaves = {name: known[name] for name in self.parameters}
            derivatives, value = jax.grad(lagrangian, has_aux=True)(leaves)
            return value, derivatives

        return jax.vmap(gradient)(lanes.state, own)

    def alone(self, index, tolerance, max_evaluations):
        """The same by the derivative of [`solve`][]; NaN where there is no equilibrium or no derivative."""
        economy, income = self.cities.scenarios.one(index)
        known = leaf_names(economy, income)
        leaves = {name: known[name] for name in self.parameters}
        if bool(self.converged[index]):
            # A derivative that cannot be computed is an error of JAX's runtime.
            with suppress(RuntimeError):
                return _gradient_alone(self.outcome, economy, income, leaves, take(self.states, index))
        return jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), (jnp.zeros(()), leaves))

    def _excess(self, packed, system: System):
        return pack(excess(unpack(packed, self.cities.start), system))

    def _outcome(self, packed, system: System):
        state = unpack(packed, self.cities.start)
        root = Root(state, state, jnp.zeros((), int), Status.converged)
        return self.outcome(equilibrium_at(root, system, jnp.zeros(())))


@eqx.filter_jit
def _gradient_alone(outcome: Outcome, economy: Economy, income: IncomeRule, leaves, start: State):
    limits = (jnp.asarray(1e-10), jnp.asarray(100))

    def value(leaves):
        changed = with_leaves(economy, income, leaves)
        return outcome(solve_unchecked(*changed, None, start, *limits))

    return jax.value_and_grad(value)(leaves)
