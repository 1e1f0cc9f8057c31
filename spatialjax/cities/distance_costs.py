"""Trade costs that are a power of distance, from coordinates: no array of pairs of cities (CH section 4.4)."""
# Methods are described by their base class:
# ruff: noqa: D102

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spatialjax.cities.distance import EARTH_RADIUS, SHORTEST_DISTANCE, log_relative_distance, unit_vectors
from spatialjax.cities.hierarchical_kernel import HierarchicalKernel
from spatialjax.cities.hierarchy import LEAF_SIZE, Hierarchy, build_hierarchy
from spatialjax.cities.simple_kernels import BorderKernel
from spatialjax.cities.tiled_kernel import TiledKernel
from spatialjax.cities.trade import Geography, Kernel, TradeCosts
from spatialjax.errors import ModelError
from spatialjax.numerics.column_groups import ColumnGroups
from spatialjax.numerics.precision import require_double_precision
from spatialjax.typing import ByCity, Scalar

METHODS = ("tiled", "hierarchical")
RELATIVE_ERROR = 1e-8
EXPONENT_MARGIN = 1.2
"""A hierarchy is built for exponents of the kernel from the smallest over this to the largest times this."""
LOG_SHORTEST = float(np.log(SHORTEST_DISTANCE))


class DistanceCosts(TradeCosts):
    """Log kappa[j, n, m] = exponent log d[n, m], and `border` more between different cities.

    d are great-circle miles, at least `SHORTEST_DISTANCE`, which is also the distance within a city.

    - `latitude`, `longitude`: degrees.
    - `exponent`: t, by group of sectors: of each sector unless sectors share exponents. It counts where a sector is
      traded.
    - `border`: log of a factor on costs between different cities; 0 unless set.
    - `hierarchy`: of the hierarchical method; None where kernels are tiled.
    - `group`: of each sector.

    Differentiable in all of them and in the trade elasticity, in both modes. A hierarchical kernel holds for the
    coordinates that it was built for: to move cities build the costs anew.
    """

    latitude: ByCity
    longitude: ByCity
    exponent: Float[Array, " group"]
    border: Scalar
    hierarchy: Hierarchy | None
    group: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        latitude: Any,
        longitude: Any,
        distance_elasticity: Any,
        trade_elasticity: Any,
        *,
        method: str = "hierarchical",
        relative_error: float = RELATIVE_ERROR,
        share_exponents: bool = False,
        exponent_range: tuple[float, float] | None = None,
        leaf_size: int = LEAF_SIZE,
    ) -> "DistanceCosts":
        """Costs d^(distance_elasticity / trade_elasticity) between cities at these coordinates.

        **Arguments:**

        - `latitude`, `longitude`: degrees; of the hierarchical method not traced.
        - `distance_elasticity`: theta t by sector, the exponent of the kernel; not a number where a sector is not
          traded.
        - `trade_elasticity`: theta, a number or one by sector; it may be traced.
        - `method`: "tiled" computes the kernel anew in every product, in memory that does not grow with the number
          of pairs. "hierarchical" stores the kernel between near cities and interpolates it between far ones.
        - `relative_error`: of the hierarchical method, a bound on the error of every element of the kernel.
        - `share_exponents`: sectors of the same distance elasticity have one exponent, and share what is computed
          of it while theta is one number: less memory, and less time where kernels are tiled.
        - `exponent_range`: smallest and largest exponent of the kernel for which the hierarchical method is built;
          by default from the smallest over `EXPONENT_MARGIN` to the largest times it.
        - `leaf_size`: most cities of the smallest clusters of the hierarchical method.

        **Raises:** `ModelError` for what is not among these; `PrecisionError` without double precision.
        """
        _check(method, relative_error)
        elasticity = _checked_elasticity(distance_elasticity)
        theta = jnp.broadcast_to(jnp.asarray(trade_elasticity, float), elasticity.shape)
        groups = ColumnGroups.of(_keys(elasticity, jnp.ndim(trade_elasticity) == 0 and share_exponents))
        first = np.asarray(groups.first(), int)
        hierarchy = None
        if method == "hierarchical":
            span = _range(elasticity) if exponent_range is None else _checked_range(exponent_range)
            hierarchy = _hierarchy(latitude, longitude, span, relative_error, leaf_size)
        return cls(
            latitude=jnp.asarray(latitude, float),
            longitude=jnp.asarray(longitude, float),
            exponent=jnp.asarray(np.nan_to_num(elasticity[first])) / theta[first],
            border=jnp.zeros(()),
            hierarchy=hierarchy,
            group=groups.group,
        )

    def by_sector(self) -> Float[Array, " sector"]:
        """Exponents t by sector."""
        return self.exponent[np.asarray(self.group, int)]

    def geography(self, trade_elasticity, traded):
        index = np.asarray(traded, int)
        elasticity = trade_elasticity if trade_elasticity.ndim == 0 else trade_elasticity[index]
        exponent = elasticity * self.by_sector()[index]
        shape = (self.latitude.size, len(traded))
        log_access = jnp.broadcast_to(-LOG_SHORTEST * exponent, shape)
        factor = jnp.broadcast_to(jnp.exp(-elasticity * self.border), shape[1:])
        kernel = BorderKernel(self._kernel(exponent, traded, trade_elasticity.ndim == 0), factor)
        return Geography(kernel, log_access, self.log_own_cost(traded), elasticity, traded)

    def _kernel(self, exponent: Float[Array, " traded"], traded: tuple[int, ...], one_elasticity: bool) -> Kernel:
        sectors = ColumnGroups.of([self.group[j] for j in traded] if one_elasticity else traded)
        exponent = exponent[np.asarray(sectors.first(), int)]
        point = unit_vectors(self.latitude, self.longitude)
        if self.hierarchy is None:
            return TiledKernel.of(point, exponent, sectors)
        return HierarchicalKernel.of(point, exponent, sectors, self.hierarchy)

    def log_own_cost(self, traded):
        own = jnp.where(_mask(traded, len(self.group)), LOG_SHORTEST * self.by_sector(), 0.0)
        return jnp.broadcast_to(own, (self.latitude.size, own.size))

    def log_cost_array(self, traded):
        point = unit_vectors(self.latitude, self.longitude)
        elsewhere = ~jnp.eye(self.latitude.size, dtype=bool)
        cost = self.by_sector()[:, None, None] * (LOG_SHORTEST + log_relative_distance(point, point))
        cost = cost + jnp.where(elsewhere, self.border, 0.0)
        is_traded = _mask(traded, len(self.group))[:, None, None]
        return jnp.where(is_traded, cost, jnp.where(elsewhere, jnp.inf, 0.0))

    def times_between_cities(self, log_factor):
        return eqx.tree_at(lambda c: c.border, self, self.border + log_factor)

    def problems(self, trade_elasticity, traded, cities, sectors) -> Iterator[str]:
        if (self.latitude.size, len(self.group)) != (cities, sectors):
            yield (
                f"log_iceberg_cost is of {self.latitude.size} cities and {len(self.group)} sectors, but the economy "
                f"has {cities} and {sectors}"
            )
            return
        for name in ("latitude", "longitude", "exponent", "border"):
            value = getattr(self, name)
            if not isinstance(value, jax.core.Tracer) and not np.isfinite(value).all():
                yield f"log_iceberg_cost.{name} must be finite"
        if self.hierarchy is not None:
            yield from self._hierarchy_problems(self.hierarchy, trade_elasticity, np.asarray(traded, int))

    def _hierarchy_problems(self, hierarchy: Hierarchy, trade_elasticity, traded) -> Iterator[str]:
        leaves = (self.latitude, self.longitude, self.exponent, hierarchy.point, trade_elasticity)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return
        moved = np.abs(unit_vectors(self.latitude, self.longitude) - hierarchy.point).max()
        if moved > MOVED:
            yield (
                f"log_iceberg_cost: cities have moved by {moved * EARTH_RADIUS:.1g} miles since its hierarchy was "
                "built: build it anew with DistanceCosts.of"
            )
        exponent = (np.asarray(trade_elasticity) * self.by_sector())[traded]
        if exponent.min() < hierarchy.lowest or exponent.max() > hierarchy.highest:
            yield (
                f"log_iceberg_cost: exponents of distance in trade are {exponent.min():.4g} to {exponent.max():.4g}, "
                f"but its hierarchy was built for {float(hierarchy.lowest):.4g} to {float(hierarchy.highest):.4g}: "
                "build it anew with DistanceCosts.of, with an exponent_range that holds them"
            )


MOVED = 1e-12
"""Distance by which points may differ from those that a hierarchy was built for, in radii of the earth."""


def _check(method: str, relative_error: float) -> None:
    require_double_precision("trade costs from coordinates")
    if method not in METHODS:
        raise ModelError(f"method must be one of {', '.join(METHODS)}, found {method!r}")
    if not SMALLEST_ERROR <= relative_error < 1:
        raise ModelError(f"relative_error must be from {SMALLEST_ERROR:g} and below 1, found {relative_error}")


SMALLEST_ERROR = 1e-12


def _checked_elasticity(distance_elasticity: Any) -> np.ndarray:
    elasticity = np.asarray(distance_elasticity, float)
    traded = ~np.isnan(elasticity)
    if not traded.any():
        raise ModelError("distance_elasticity is not a number in every sector: no sector is traded")
    if (wrong := np.flatnonzero(traded & ~((elasticity > 0) & (elasticity < np.inf)))).size:
        raise ModelError(
            f"distance_elasticity must be positive and finite, or not a number where a sector is not traded; found "
            f"{elasticity[wrong[0]]:g} in sector {wrong[0]} (counted from 0)"
        )
    return elasticity


def _checked_range(exponent_range: tuple[float, float]) -> tuple[float, float]:
    lowest, highest = exponent_range
    if not 0 < lowest <= highest < np.inf:
        raise ModelError(f"exponent_range must be two positive numbers in ascending order, found {exponent_range}")
    return lowest, highest


def _hierarchy(latitude: Any, longitude: Any, span: tuple[float, float], relative_error: float, leaf_size: int):
    if any(isinstance(degrees, jax.core.Tracer) for degrees in (latitude, longitude)):
        raise ModelError(
            "latitude and longitude are traced, but a hierarchy of clusters is built from their values: build the "
            'costs outside of jax.jit and jax.grad and replace latitude and longitude inside, or take method="tiled"'
        )
    # Their values are known, even where exponents are traced.
    with jax.ensure_compile_time_eval():
        point = np.asarray(unit_vectors(jnp.asarray(latitude, float), jnp.asarray(longitude, float)))
        return build_hierarchy(point, span, relative_error, leaf_size=leaf_size)


def _keys(elasticity: np.ndarray, shared: bool) -> list:
    """What sectors have to have in common to be of one group."""
    if not shared:
        return list(range(elasticity.size))
    return ["not traded" if np.isnan(e) else float(e) for e in elasticity]


def _range(elasticity: np.ndarray) -> tuple[float, float]:
    return float(np.nanmin(elasticity)) / EXPONENT_MARGIN, float(np.nanmax(elasticity)) * EXPONENT_MARGIN


def _mask(traded: tuple[int, ...], sectors: int) -> np.ndarray:
    return np.isin(np.arange(sectors), traded)
