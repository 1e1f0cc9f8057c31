"""What is measured: the pieces of a solve, solves, inversion and gradients, as functions to call."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

import spatialjax
from spatialjax import Economy, Equilibrium, LaissezFaire, NoSpillover, OccupationSpillover
from spatialjax.cities.accounts import build_accounts
from spatialjax.cities.market_clearing import System, excess, localise
from spatialjax.cities.state import State
from spatialjax.numerics.local_inverse import local_inverse
from spatialjax.numerics.matrix_scaling import Scaling, scale_kernel
from spatialjax.numerics.packing import pack, unpack
from spatialjax.typing import Scalar

TOLERANCE = 1e-10
ITERATIONS = 50
"""Iterations of a loop in which the pieces of a solve are measured."""


def without_externalities(economy: Economy) -> Economy:
    """The counterfactual without externalities: fundamental productivity is kept."""
    return eqx.tree_at(lambda e: e.spillover, economy, NoSpillover())


def with_zero_externalities(economy: Economy) -> Economy:
    """The same counterfactual with externalities that are zero: parameters to differentiate in."""
    none = np.zeros(economy.population.shape)
    return eqx.tree_at(lambda e: e.spillover, economy, OccupationSpillover(none, none))


def perturbed(state: State, size: float, seed: int = 0) -> State:
    """A start away from `state`: log-normal noise of this standard deviation on every unknown."""
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda x: x + size * jnp.asarray(generator.standard_normal(x.shape)), state)


def solve(economy: Economy, initial: State | None = None) -> Equilibrium:
    """An equilibrium to the benchmarks' tolerance; whether it is one is in its status."""
    return spatialjax.solve(economy, initial=initial, tolerance=TOLERANCE, throw=False)


@eqx.filter_jit
def system_of(economy: Economy) -> System:
    """What a solve computes once."""
    return System.of(economy, LaissezFaire())


@eqx.filter_jit
def repeat_kernel_products(system: System, iterations: int = ITERATIONS) -> Array:
    """The two products with the kernel of trade that an evaluation needs, `iterations` times."""
    kernel = system.geography.kernel

    def body(_, strength):
        access = kernel.apply(strength)
        return strength * kernel.apply_transpose(1 / access)

    start = jnp.ones((system.economy.land.size, len(system.economy.traded)))
    return jax.lax.fori_loop(0, iterations, body, start)


@eqx.filter_jit
def repeat_evaluations(system: System, state: State, step: Scalar, iterations: int = ITERATIONS) -> State:
    """The equilibrium system, `iterations` times, moving by `step` of the residual in between."""

    def body(_, state):
        return jax.tree.map(lambda x, dx: x + step * dx, state, excess(state, system))

    return jax.lax.fori_loop(0, iterations, body, state)


@eqx.filter_jit
def local_inverse_at(system: System, state: State) -> Array:
    """The solver's local inverse at a state: one block for each city."""
    local = localise(state, system)
    return local_inverse(lambda packed: pack(excess(unpack(packed, state), local)), pack(state))


def unit_cost_step(data: xr.Dataset, economy: Economy) -> Callable[[], Scaling]:
    """The step of inversion that finds unit costs: matrix scaling of all sectors at once."""
    accounts = build_accounts(data)
    geography = system_of(economy).geography
    spending = geography.select(jnp.asarray(accounts.expenditure))
    earnings = geography.select(jnp.asarray(accounts.gross_output))
    scale = eqx.filter_jit(scale_kernel)
    return lambda: scale(geography.kernel, spending, earnings)


@eqx.filter_jit
def total_welfare(economy: Economy) -> Scalar:
    """Welfare summed over workers at the equilibrium nearest to the data."""
    return (solve(economy).welfare * economy.population).sum()


@eqx.filter_jit
def gradient_in_spillover(economy: Economy):
    """Total welfare and its gradient in the parameters of the externalities."""

    def objective(spillover):
        return total_welfare(eqx.tree_at(lambda e: e.spillover, economy, spillover))

    return eqx.filter_value_and_grad(objective)(economy.spillover)


@eqx.filter_jit
def gradient_in_productivity(economy: Economy):
    """Total welfare and its gradient in fundamental productivity, cell by cell."""

    def objective(productivity):
        return total_welfare(eqx.tree_at(lambda e: e.fundamental_productivity, economy, productivity))

    return eqx.filter_value_and_grad(objective)(economy.fundamental_productivity)


SHOCK = 0.05
"""Standard deviation of shocks to logs in a batch of scenarios."""


def productivity_shocks(economy: Economy, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """What scenarios with log-normal shocks to every cell's fundamental productivity change."""
    base = np.asarray(economy.fundamental_productivity)
    noise = np.random.default_rng(seed).standard_normal((count, *base.shape))
    return {"fundamental_productivity": base * np.exp(SHOCK * noise)}


def trade_cost_shocks(economy: Economy, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """What scenarios with other costs of shipping out of every city change: a kernel for each scenario."""
    base = np.asarray(economy.log_iceberg_cost)
    noise = SHOCK * np.random.default_rng(seed).standard_normal((count, base.shape[2]))
    elsewhere = ~np.eye(base.shape[1], dtype=bool)
    return {"log_iceberg_cost": base + noise[:, None, None, :] * elsewhere}
