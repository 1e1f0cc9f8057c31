"""Trade over several devices: each holds the kernel of a part of the cities, as destinations.

An evaluation of the markets makes devices talk twice: once to collect what their rows give, once to add up what they
give to every origin.
"""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float

from spatialjax.cities.trade import CityTraded, DenseKernel, Geography, Kernel, TradeCosts
from spatialjax.devices.meshes import replicated

Rows = Float[Array, "traded destination origin"]
"""Destinations: the cities, and as many more as it takes for every device to have as many; these buy nothing."""
WHOLE = PartitionSpec()


def by_row(axis: str) -> PartitionSpec:
    """How an array (sector, destination, origin) is divided."""
    return PartitionSpec(None, axis)


class ShardedKernel(Kernel):
    """A stored kernel whose destinations are divided over the devices of a mesh."""

    rows: Rows
    diagonal: CityTraded
    mesh: Mesh = eqx.field(static=True)
    axis: str = eqx.field(static=True)

    def apply(self, strength):
        """Each device's destinations, collected."""

        def access(rows: Rows, strength: CityTraded) -> CityTraded:
            return DenseKernel(rows).apply(strength)

        by_destination = self._on_each(access, WHOLE, PartitionSpec(self.axis))(self.rows, strength)
        return _everywhere(by_destination, self.mesh)[: self.rows.shape[2]]

    def apply_transpose(self, demand):
        """What each device's destinations give to every origin, added up."""

        def given(rows: Rows, demand: CityTraded) -> CityTraded:
            return jax.lax.psum(DenseKernel(rows).apply_transpose(demand), self.axis)

        extra = self.rows.shape[1] - self.rows.shape[2]
        # Kept whole, or the compiler divides all that demand comes from, and devices talk at every national sum.
        demand = _everywhere(jnp.pad(demand, ((0, extra), (0, 0))), self.mesh)
        return self._on_each(given, PartitionSpec(self.axis), WHOLE)(self.rows, demand)

    def own(self):
        """The diagonal, on every device."""
        return self.diagonal

    def _on_each(self, function, vector: PartitionSpec, result: PartitionSpec):
        """A function of rows and a vector, on each device with its own rows."""
        return jax.shard_map(function, mesh=self.mesh, in_specs=(by_row(self.axis), vector), out_specs=result)


class ShardedCosts(TradeCosts):
    """Trade costs whose destinations are divided over the devices of a mesh ([`shard_cities`][])."""

    log_iceberg_cost: Float[Array, "sector destination origin"]
    mesh: Mesh = eqx.field(static=True)
    axis: str = eqx.field(static=True)

    def geography(self, trade_elasticity, traded):
        """The costs in the form that market clearing uses; each device makes its own rows of the kernel."""
        index = np.asarray(traded, int)
        elasticity = trade_elasticity if trade_elasticity.ndim == 0 else trade_elasticity[index]

        def of_rows(log_cost, first, elasticity):
            return _kernel_rows(log_cost[index], first, elasticity)

        city = PartitionSpec(self.axis)
        # The barrier, as in Geography.of: a constant economy's kernel is not for the compiler to compute.
        costs = jax.lax.optimization_barrier(self)
        rows, own, log_access = costs._on_rows(of_rows, (by_row(self.axis), city, city), elasticity)
        kernel = ShardedKernel(rows, self._by_city(own), self.mesh, self.axis)
        return Geography(kernel, self._by_city(log_access), self.log_own_cost(traded), elasticity, traded)

    def log_own_cost(self, traded):
        """Log iceberg cost within each city."""
        return self._by_city(self._on_rows(_diagonal, PartitionSpec(self.axis)))

    def log_cost_array(self, traded):
        """The costs in one piece, on every device."""
        return _everywhere(self.log_iceberg_cost, self.mesh)[:, : self.cities]

    def times_between_cities(self, log_factor):
        """The costs with those between different cities multiplied by a factor."""

        def of_rows(log_cost, first, log_factor):
            return log_cost + jnp.where(_is_own(log_cost, first), 0.0, log_factor)

        changed = self._on_rows(of_rows, by_row(self.axis), jnp.asarray(log_factor))
        return ShardedCosts(changed, self.mesh, self.axis)

    def problems(self, trade_elasticity, traded, cities, sectors) -> Iterator[str]:
        """What is wrong with the costs, in words; who can buy from whom was checked when they were divided."""
        costs = self.log_iceberg_cost
        if (self.cities, costs.shape[0]) != (cities, sectors):
            yield (
                f"log_iceberg_cost is of {self.cities} cities and {costs.shape[0]} sectors, but the economy has "
                f"{cities} and {sectors}"
            )
        elif not isinstance(costs, jax.core.Tracer) and not _are_costs(costs):
            yield "log_iceberg_cost must be a number, or infinite where there is no trade"

    @property
    def cities(self) -> int:
        """How many cities there are."""
        return self.log_iceberg_cost.shape[2]

    def _on_rows(self, function, result: Any, *arguments):
        """`function(rows, position of the first, *arguments)`, on each device with its own rows."""

        def on_device(rows, *arguments):
            return function(rows, jax.lax.axis_index(self.axis) * rows.shape[1], *arguments)

        given = (by_row(self.axis), *(WHOLE for _ in arguments))
        divided = jax.shard_map(on_device, mesh=self.mesh, in_specs=given, out_specs=result)
        return divided(self.log_iceberg_cost, *arguments)

    def _by_city(self, by_destination: Float[Array, "destination ..."]) -> Float[Array, "city ..."]:
        """What devices have of their destinations, on every device and without those that are no cities."""
        return _everywhere(by_destination, self.mesh)[: self.cities]


def _kernel_rows(log_cost, first, elasticity):
    """Some destinations of the kernel of [`Geography.of`][], its diagonal, and the log of what was divided out."""
    shipped = log_cost != jnp.inf
    log_strength = -elasticity[..., None, None] * jnp.where(shipped, log_cost, 0.0)
    best = jnp.where(shipped, log_strength, -jnp.inf).max(2)
    best = jax.lax.stop_gradient(jnp.where(jnp.isfinite(best), best, 0.0))
    kernel = jnp.where(shipped, jnp.exp(log_strength - best[:, :, None]), 0.0)
    return kernel, _diagonal(kernel, first), best.T


def _diagonal(rows, first):
    """Each destination with itself (destination, sector); zero for those that are no cities."""
    return jnp.where(_is_own(rows, first), rows, 0.0).sum(2).T


def _is_own(rows, first):
    return first + jnp.arange(rows.shape[1])[:, None] == jnp.arange(rows.shape[2])


@jax.jit
def _are_costs(log_cost) -> Bool[Array, ""]:
    return jnp.all(log_cost > -jnp.inf)


def _everywhere(array: Array, mesh: Mesh) -> Array:
    return jax.lax.with_sharding_constraint(array, replicated(mesh))
