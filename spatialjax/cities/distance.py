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
