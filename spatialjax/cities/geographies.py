"""Trade costs of a data set: stored, or from coordinates without an array of pairs of cities."""

import os
from typing import Any

import jax
import xarray as xr
from jaxtyping import Array, Float

from spatialjax.cities.distance import log_iceberg_cost
from spatialjax.cities.distance_costs import METHODS, DistanceCosts
from spatialjax.cities.trade import TradeCosts
from spatialjax.data.schema import values
from spatialjax.errors import ModelError
from spatialjax.typing import SectorCityOrigin

GEOGRAPHIES = ("auto", "stored", *METHODS)
STORED_SHARE = 0.125
"""Part of the memory that trade costs and kernels may take together to be stored by default."""
SHARED_CITIES = 20_000
"""Cities from which sectors with the same distance elasticity share one exponent by default."""


def trade_costs(
    data: xr.Dataset, trade_elasticity: Float[Array, "*sector"], geography: str = "auto", **options: Any
) -> SectorCityOrigin | TradeCosts:
    """Log iceberg costs of a data set, or a module from which a solve makes products without storing them.

    `geography` is one of `GEOGRAPHIES`; "auto" stores costs where they fit ([`are_stored`][]) or where the data give
    them, and takes the hierarchical method elsewhere. `options` are those of [`DistanceCosts.of`][].

    **Raises:** `ModelError` for another geography, and where the data have no coordinates, or have distances or costs
    of their own, for those that need coordinates.
    """
    if geography not in GEOGRAPHIES:
        raise ModelError(f"geography must be one of {', '.join(GEOGRAPHIES)}, found {geography!r}")
    if geography == "stored" or (geography == "auto" and are_stored(data)):
        return log_iceberg_cost(data, trade_elasticity)
    for given in ("iceberg_cost", "distance"):
        if given in data:
            raise ModelError(
                f'geography="{geography}" computes distances from latitude and longitude, but the data give {given}: '
                f'drop it, or take geography="stored"'
            )
    options.setdefault("share_exponents", data.sizes["city"] >= SHARED_CITIES)
    return DistanceCosts.of(
        values(data, "latitude"),
        values(data, "longitude"),
        values(data, "distance_elasticity"),
        trade_elasticity,
        method="hierarchical" if geography == "auto" else geography,
        **options,
    )


def are_stored(data: xr.Dataset) -> bool:
    """Whether costs and kernels fit `STORED_SHARE` of the memory, or cannot be computed from coordinates."""
    fits = stored_bytes(data.sizes["city"], data.sizes["sector"]) <= STORED_SHARE * available_memory()
    return fits or "distance" in data or "iceberg_cost" in data


def stored_bytes(cities: int, sectors: int) -> int:
    """Bytes of stored trade costs and of their kernel together."""
    return 2 * 8 * sectors * cities**2


def available_memory() -> float:
    """Bytes of the first device's memory, where it has its own, or of the machine."""
    statistics = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
