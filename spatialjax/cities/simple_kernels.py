"""Kernels of trade in closed form, and what is made of another kernel."""
# Methods are described by their base class:
# ruff: noqa: D102

from collections.abc import Iterator

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.cities.trade import Geography, Kernel, TradeCosts


class BorderKernel(Kernel):
    """A kernel whose elements between different cities are multiplied by a factor of each traded sector."""

    kernel: Kernel
    factor: Float[Array, "#traded"]

    def apply(self, strength):
        return self.factor * self.kernel.apply(strength) + (1 - self.factor) * self.kernel.own() * strength

    def apply_transpose(self, demand):
        return self.factor * self.kernel.apply_transpose(demand) + (1 - self.factor) * self.kernel.own() * demand

    def own(self):
        return self.kernel.own()


class FreeTradeKernel(Kernel):
    """Ones everywhere: products are sums over all cities."""

    cities: int = eqx.field(static=True)
    sectors: int = eqx.field(static=True)

    def apply(self, strength):
        return jnp.broadcast_to(strength.sum(0), strength.shape)

    def apply_transpose(self, demand):
        return self.apply(demand)

    def own(self):
        return jnp.ones((self.cities, self.sectors))


class FreeTrade(TradeCosts):
    """No costs of trade in any traded sector; `border` is the log of what crossing a city's border costs."""

    border: Float[Array, ""]
    cities: int = eqx.field(static=True)
    sectors: int = eqx.field(static=True)

    def geography(self, trade_elasticity, traded):
        elasticity = trade_elasticity if trade_elasticity.ndim == 0 else trade_elasticity[jnp.asarray(traded)]
        none = jnp.zeros((self.cities, len(traded)))
        factor = jnp.broadcast_to(jnp.exp(-elasticity * self.border), (len(traded),))
        kernel = BorderKernel(FreeTradeKernel(self.cities, len(traded)), factor)
        return Geography(kernel, none, self.log_own_cost(traded), elasticity, traded)

    def log_own_cost(self, traded):
        return jnp.zeros((self.cities, self.sectors))

    def log_cost_array(self, traded):
        elsewhere = ~jnp.eye(self.cities, dtype=bool)
        is_traded = jnp.zeros(self.sectors, bool).at[jnp.asarray(traded)].set(True)
        return jnp.where(elsewhere, jnp.where(is_traded[:, None, None], self.border, jnp.inf), 0.0)

    def times_between_cities(self, log_factor):
        return eqx.tree_at(lambda c: c.border, self, self.border + log_factor)

    def problems(self, trade_elasticity, traded, cities, sectors) -> Iterator[str]:
        if (self.cities, self.sectors) != (cities, sectors):
            yield (
                f"log_iceberg_cost is free trade of {self.cities} cities and {self.sectors} sectors, but the economy "
                f"has {cities} and {sectors}"
            )
