"""Trade between cities: Eaton-Kortum shares as products with a stored kernel (CH section 3.2).

The kernel is kappa^(-theta); a solve needs only its product with seller strengths and the product of
its transpose with buyers, never an N x N power and never the expenditure shares themselves.
"""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from spatialjax.errors import ModelError
from spatialjax.numerics.safe_math import masked_divide, masked_log
from spatialjax.typing import ByCity, BySector, CitySector, SectorCityOrigin

CityTraded = Float[Array, "city traded"]


class Kernel(eqx.Module):
    """Products with the matrix of trade: rows are destinations, columns origins."""

    def apply(self, strength: CityTraded) -> CityTraded:
        """Sum over origins, for each destination."""
        raise NotImplementedError

    def apply_transpose(self, demand: CityTraded) -> CityTraded:
        """Sum over destinations, for each origin."""
        raise NotImplementedError

    def own(self) -> CityTraded:
        """The diagonal: each city with itself."""
        raise NotImplementedError


class DenseKernel(Kernel):
    """A stored kernel (traded, city, origin)."""

    matrix: Float[Array, "traded city origin"]

    def apply(self, strength):
        return jnp.einsum("jnm,mj->nj", self.matrix, strength)

    def apply_transpose(self, demand):
        return jnp.einsum("jnm,nj->mj", self.matrix, demand)

    def own(self):
        return jnp.einsum("jnn->nj", self.matrix)


class LocalKernel(Kernel):
    """A kernel whose sums over other cities are held fixed: only a city's own terms move."""

    diagonal: CityTraded
    from_elsewhere: CityTraded
    to_elsewhere: CityTraded

    @classmethod
    def around(cls, kernel: Kernel, strength: CityTraded, demand: CityTraded) -> "LocalKernel":
        """Hold the ties of `kernel` between cities fixed at these strengths and demands."""
        own = kernel.own()
        return cls(own, kernel.apply(strength) - own * strength, kernel.apply_transpose(demand) - own * demand)

    def apply(self, strength):
        return self.from_elsewhere + self.diagonal * strength

    def apply_transpose(self, demand):
        return self.to_elsewhere + self.diagonal * demand

    def own(self):
        return self.diagonal


class Geography(eqx.Module):
    """Trade costs in the form that market clearing uses.

    Rows of the kernel are divided by their largest element; `log_access` holds what was divided out,
    in logs. `log_own_cost` is the iceberg cost within a city, which is all that a non-traded sector
    pays. `traded` are the positions of the traded sectors. `paid`, where there are tariffs, is the kernel less what
    customs take of each element.
    """

    kernel: Kernel
    log_access: CityTraded
    log_own_cost: CitySector
    elasticity: Float[Array, "*traded"]
    traded: tuple[int, ...] = eqx.field(static=True)
    paid: Kernel | None = None

    @classmethod
    def of(
        cls,
        log_iceberg_cost: "SectorCityOrigin | TradeCosts",
        trade_elasticity: Float[Array, "*sector"],
        traded: tuple[int, ...],
        tariff: SectorCityOrigin | None = None,
    ) -> "Geography":
        """Trade costs as kernels; tariffs raise prices like trade costs, but what they take is not paid to sellers."""
        if isinstance(log_iceberg_cost, TradeCosts):
            if tariff is not None:
                raise ModelError("tariffs need trade costs that are stored: invert with geography='stored'")
            return log_iceberg_cost.geography(trade_elasticity, traded)
        # Without the barrier XLA folds a constant economy's kernel at compile time, for seconds.
        stored = jax.lax.optimization_barrier(log_iceberg_cost)
        elasticity = trade_elasticity if trade_elasticity.ndim == 0 else trade_elasticity[_index(traded)]
        log_cost = stored[_index(traded)]
        log_tariff = None if tariff is None else jnp.log1p(tariff[_index(traded)])
        log_cost = log_cost if log_tariff is None else log_cost + log_tariff
        shipped = log_cost != jnp.inf
        log_strength = -elasticity[..., None, None] * jnp.where(shipped, log_cost, 0.0)
        best = jnp.where(shipped, log_strength, -jnp.inf).max(2)
        best = jax.lax.stop_gradient(jnp.where(jnp.isfinite(best), best, 0.0))
        matrix = jnp.where(shipped, jnp.exp(log_strength - best[:, :, None]), 0.0)
        own = jnp.einsum("jnn->nj", stored)
        paid = None if log_tariff is None else DenseKernel(matrix * jnp.exp(-log_tariff))
        return cls(DenseKernel(matrix), best.T, own, elasticity, traded, paid)

    def seller_strength(
        self, log_unit_cost: CitySector, operating: Bool[Array, "city sector"]
    ) -> tuple[CityTraded, BySector]:
        """x^(-theta), scaled by the cheapest seller of each sector; and the log of that scale."""
        log_cost = self.select(log_unit_cost)
        sells = self.select(operating)
        cheapest = jax.lax.stop_gradient(jnp.where(sells, log_cost, jnp.inf).min(0))
        relative = jnp.where(sells, log_cost - cheapest, 0.0)
        return jnp.where(sells, jnp.exp(-self.elasticity * relative), 0.0), cheapest

    def select(self, values: Float[Array, "... sector"]) -> Float[Array, "... traded"]:
        """The traded sectors."""
        return values[..., _index(self.traded)]

    def replace(self, values: CitySector, traded: CityTraded) -> CitySector:
        """`values` with its traded sectors replaced."""
        index = _index(self.traded)
        if isinstance(index, slice) and index.start == 0:
            return jnp.concatenate([traded, values[:, len(self.traded) :]], axis=1)
        return values.at[:, index].set(traded)


class TradeCosts(eqx.Module):
    """Trade costs that are not stored as an array (sector, city, origin), in the place of `log_iceberg_cost`."""

    def geography(self, trade_elasticity: Float[Array, "*sector"], traded: tuple[int, ...]) -> Geography:
        """The costs in the form that market clearing uses."""
        raise NotImplementedError

    def log_own_cost(self, traded: tuple[int, ...]) -> CitySector:
        """Log iceberg cost within each city; 0 in sectors that are not traded."""
        raise NotImplementedError

    def log_cost_array(self, traded: tuple[int, ...]) -> SectorCityOrigin:
        """The costs as an array, infinite between cities in sectors that are not traded."""
        raise NotImplementedError

    def times_between_cities(self, log_factor: Float[Array, ""]) -> "TradeCosts":
        """The costs with those between different cities multiplied by a factor."""
        raise NotImplementedError

    def problems(
        self, trade_elasticity: Float[Array, "*sector"], traded: tuple[int, ...], cities: int, sectors: int
    ) -> Iterator[str]:
        """What is wrong with the costs, in words; values that are traced pass."""
        raise NotImplementedError


def trade(
    geography: Geography,
    log_unit_cost: CitySector,
    expenditure: CitySector,
    operating: Bool[Array, "city sector"],
) -> tuple[CitySector, CitySector]:
    """Log sectoral prices and gross output, given unit costs and expenditure (in dollars).

    P[n, j] = (sum_m (kappa[j, n, m] x[m, j])^(-theta))^(-1/theta), and
    Y[m, j] = sum_n pi[j, n, m] X[n, j] / (1 + tau[j, n, m]); in a non-traded sector P = kappa[n, n] x and Y = X.
    """
    strength, cheapest = geography.seller_strength(log_unit_cost, operating)
    access = geography.kernel.apply(strength)
    log_traded_price = cheapest - (masked_log(access, -jnp.inf) + geography.log_access) / geography.elasticity
    demand = masked_divide(geography.select(expenditure), access, access > 0)
    paid = geography.kernel if geography.paid is None else geography.paid
    traded_output = strength * paid.apply_transpose(demand)
    log_price = geography.replace(log_unit_cost + geography.log_own_cost, log_traded_price)
    return log_price, geography.replace(expenditure, traded_output)


def tariff_revenue(
    geography: Geography,
    log_unit_cost: CitySector,
    expenditure: CitySector,
    operating: Bool[Array, "city sector"],
) -> ByCity | None:
    """What each city's customs take, in dollars a year; none where there are no tariffs.

    R[n] = sum_j,m tau[j, n, m] / (1 + tau[j, n, m]) pi[j, n, m] X[n, j] (Caliendo and Parro 2015, eq. 9).
    """
    if geography.paid is None:
        return None
    strength, _ = geography.seller_strength(log_unit_cost, operating)
    access = geography.kernel.apply(strength)
    taken = masked_divide(access - geography.paid.apply(strength), access, access > 0)
    return (geography.select(expenditure) * taken).sum(1)


def local_geography(
    geography: Geography,
    log_unit_cost: CitySector,
    expenditure: CitySector,
    operating: Bool[Array, "city sector"],
) -> Geography:
    """The geography with the ties between cities held fixed at these costs and expenditures.

    Strengths are relative to the cheapest seller, which is held fixed with them.
    """
    strength, _ = geography.seller_strength(log_unit_cost, operating)
    access = geography.kernel.apply(strength)
    demand = masked_divide(geography.select(expenditure), access, access > 0)
    local = LocalKernel.around(geography.kernel, strength, demand)
    if geography.paid is None:
        return eqx.tree_at(lambda g: g.kernel, geography, local)
    paid = LocalKernel.around(geography.paid, strength, demand)
    return eqx.tree_at(lambda g: (g.kernel, g.paid), geography, (local, paid))


def _index(positions: tuple[int, ...]) -> slice | Array:
    """A slice where positions are consecutive: slices are free where gathers are not."""
    first, last = (positions[0], positions[-1] + 1) if positions else (0, 0)
    return slice(first, last) if positions == tuple(range(first, last)) else jnp.asarray(positions)
