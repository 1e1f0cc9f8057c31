"""Distances between cities and the trade costs that follow from them (CH section 4.4)."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float

from spatialjax.data.schema import traded_sectors, values

EARTH_RADIUS = 3958.8
"""Miles."""
SHORTEST_DISTANCE = 20.0
"""Miles: the distance within a city, and the least between two (CH section 4.4)."""

Array = np.ndarray
Points = Float[jax.Array, "*batch city 3"]


def great_circle(latitude: Float[Array, " city"], longitude: Float[Array, " city"]) -> Float[Array, "city origin"]:
    """Great-circle distances in miles from coordinates in degrees, at least `SHORTEST_DISTANCE`."""
    latitude, longitude = np.radians(latitude), np.radians(longitude)
    north = latitude[:, None] - latitude
    east = longitude[:, None] - longitude
    haversine = np.sin(north / 2) ** 2 + np.cos(latitude[:, None]) * np.cos(latitude) * np.sin(east / 2) ** 2
    distance = 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    np.fill_diagonal(distance, SHORTEST_DISTANCE)
    return np.maximum(distance, SHORTEST_DISTANCE)


def log_iceberg_cost(
    data: xr.Dataset, trade_elasticity: Float[jax.Array, "*sector"]
) -> Float[jax.Array, "sector city origin"]:
    """Log iceberg costs, log kappa[sector, city, origin].

    From `iceberg_cost` where the data have it; otherwise distance to the power t of a sector, where the
    data's `distance_elasticity` is theta t. A sector that is not traded costs nothing within a city
    and infinitely much between two.
    """
    traded = traded_sectors(data)[:, None, None]
    elsewhere = ~np.eye(data.sizes["city"], dtype=bool)
    absent = np.where(elsewhere, np.inf, 0.0)
    if "iceberg_cost" in data:
        return jnp.where(traded, np.log(np.where(traded, values(data, "iceberg_cost"), 1.0)), absent)
    exponent = np.where(traded, values(data, "distance_elasticity")[:, None, None], 0.0)
    scale = trade_elasticity if trade_elasticity.ndim == 0 else trade_elasticity[:, None, None]
    return jnp.where(traded, exponent * np.log(distances(data)) / scale, absent)


def distances(data: xr.Dataset) -> Float[Array, "city origin"]:
    """Miles between cities: `distance` as given, or from coordinates."""
    if "distance" in data:
        return values(data, "distance")
    return great_circle(values(data, "latitude"), values(data, "longitude"))


def unit_vectors(latitude: Float[jax.Array, " city"], longitude: Float[jax.Array, " city"]) -> Points:
    """Points on the unit sphere from coordinates in degrees."""
    north, east = jnp.radians(latitude), jnp.radians(longitude)
    return jnp.stack([jnp.cos(north) * jnp.cos(east), jnp.cos(north) * jnp.sin(east), jnp.sin(north)], axis=-1)


def log_relative_distance(
    here: Float[jax.Array, "*batch city 3"], there: Float[jax.Array, "*batch origin 3"]
) -> Float[jax.Array, "*batch city origin"]:
    """Log of great-circle distance over `SHORTEST_DISTANCE`, between points on the unit sphere; at least 0.

    With c the chord, d = 2 R arcsin(c / 2). Derivatives are finite everywhere, and zero where the distance is the
    shortest.
    """
    square = sum((here[..., :, None, k] - there[..., None, :, k]) ** 2 for k in range(3)) / 4
    angle = arcsine_of_root(jnp.clip(square, _SHORTEST_SQUARE, 1.0))
    return jnp.log(angle) - np.log(SHORTEST_DISTANCE / (2 * EARTH_RADIUS))


_SHORTEST_SQUARE = np.sin(SHORTEST_DISTANCE / (2 * EARTH_RADIUS)) ** 2
"""Square of half the chord between points at the shortest distance."""

# arcsin x = x + x P(x^2) / Q(x^2) for x <= 1/2: the coefficients of FDLIBM 5.3 (e_asin.c, Sun Microsystems 1993).
_NUMERATOR = (
    1.66666666666666657415e-01,
    -3.25565818622400915405e-01,
    2.01212532134862925881e-01,
    -4.00555345006794114027e-02,
    7.91534994289814532176e-04,
    3.47933107596021167570e-05,
)
_DENOMINATOR = (
    1.0,
    -2.40339491173441421878e00,
    2.02094576023350569471e00,
    -6.88283971605453293030e-01,
    7.70381505559019352791e-02,
)


def arcsine_of_root(square: Float[jax.Array, "..."]) -> Float[jax.Array, "..."]:
    """arcsin(x) of x^2 between 0 and 1, to rounding: a third of the time of `jnp.arcsin` on a CPU."""
    x = jnp.sqrt(square)
    small = square <= 0.25
    # Elsewhere arcsin x = pi / 2 - 2 arcsin(sqrt((1 - x) / 2)).
    reduced = jnp.where(small, square, jnp.maximum(1 - x, _TINY) / 2)
    root = jnp.where(small, x, jnp.sqrt(reduced))
    angle = root + root * reduced * _polynomial(_NUMERATOR, reduced) / _polynomial(_DENOMINATOR, reduced)
    return jnp.where(small, angle, np.pi / 2 - 2 * angle)


_TINY = 1e-30
"""Keeps the derivative at the antipode finite."""


def _polynomial(coefficients: tuple[float, ...], x: Float[jax.Array, "..."]) -> Float[jax.Array, "..."]:
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value
