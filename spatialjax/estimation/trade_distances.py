"""Distance elasticities of goods from the mean distances that shipments travel.

At given data trade in a sector is what gravity makes of output and expenditure: flows F[n, m] in proportion to
d[n, m]^(-e), scaled so that sellers sell what they produce and cities buy what they spend (CH Lemma 1, item 2). Output
and expenditure do not depend on e, so the mean distance of flows is a function of the sector's e alone, and the e at
which it is the observed one is found in a bracket. Of what cities buy elsewhere, without their own goods, the mean
distance need not fall as e rises. Inverting data with these elasticities gives an economy whose trade has these means.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float

from spatialjax.cities.accounts import build_accounts
from spatialjax.cities.distance import distances
from spatialjax.cities.trade import CityTraded, DenseKernel
from spatialjax.data.checks import check_data
from spatialjax.data.schema import traded_sectors, values
from spatialjax.errors import ConvergenceError, ModelError
from spatialjax.numerics.matrix_scaling import ACCEPTED, scale_kernel
from spatialjax.numerics.precision import require_double_precision

LARGEST = 4.0
"""Upper end of the bracket of distance elasticities: four times what gravity usually finds."""
MAX_STEPS = 100
Elasticity = Float[Array, " traded"]
Miles = Float[Array, "city origin"]


def mean_trade_distances(data: xr.Dataset, *, own_city: bool = True, **accounts: Any) -> pd.Series:
    """Mean miles of trade flows by traded sector, weighted by value, at the data's distance elasticities.

    **Arguments:**

    - `own_city`: whether what a city buys from itself counts as shipments, over the distance within a city.
    - `accounts`: `housing_share`, `minimum_consumption_share` of [`invert`][].

    **Raises:** `DataError` for data that are no economy; `ModelError` where the data give costs instead of distances.
    """
    miles, spending, earnings, names = _flows(data, accounts)
    elasticity = values(data, "distance_elasticity")[traded_sectors(data)]
    found, error = _mean_miles(jnp.asarray(elasticity), miles, spending, earnings, own_city)
    return pd.Series(np.asarray(_accepted(found, error, names)), names, name="miles")


def calibrate_distance_elasticities(
    data: xr.Dataset,
    miles: Mapping[str, float],
    *,
    own_city: bool = True,
    circuity: float = 1.0,
    tolerance: float = 1e-9,
    **accounts: Any,
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Distance elasticities at which goods travel the observed mean distances.

    **Arguments:**

    - `data`: a data set of cities with coordinates or distances.
    - `miles`: for sectors by name, the observed mean distance of shipments. Other sectors stay as they are.
    - `own_city`: whether what a city buys from itself counts as shipments, over the distance within a city.
    - `circuity`: observed miles over those of the data: 1.2, say, where miles by road are observed and the data have
      great circles.
    - `tolerance`: on the relative gap between model and observed miles.
    - `accounts`: as in [`mean_trade_distances`][].

    **Returns:** the data with new `distance_elasticity`, and a table by sector: `observed` miles, `before` and `after`
    the model's, `elasticity_before`, `elasticity`, and `reached`: false where the observed miles lie
    outside the model's at elasticities of 0 and `LARGEST`, and the data's elasticity stays.

    **Raises:** as [`mean_trade_distances`][]; `ModelError` for sectors that are not traded, and miles or a circuity
    that are not positive.
    """
    if not (np.isfinite(circuity) and circuity > 0):
        raise ModelError(f"circuity must be a positive number, such as 1.2 for roads, found {circuity:g}")
    distance, spending, earnings, names = _flows(data, accounts)
    if unknown := [name for name in miles if name not in names]:
        raise ModelError(f"{', '.join(unknown)}: no traded sector of that name; there are {', '.join(names)}")
    if bad := [name for name, found in miles.items() if not (np.isfinite(found) and found > 0)]:
        raise ModelError(f"miles of {', '.join(bad)} must be positive")
    chosen = [names.index(name) for name in miles]
    wanted = np.array(list(miles.values())) / circuity
    spending, earnings = spending[:, np.array(chosen)], earnings[:, np.array(chosen)]

    def model(elasticity: np.ndarray) -> np.ndarray:
        found, error = _mean_miles(jnp.asarray(elasticity), distance, spending, earnings, own_city)
        return np.asarray(_accepted(found, error, list(miles)))

    before = values(data, "distance_elasticity")[traded_sectors(data)][chosen]
    elasticity, after, reached = _roots(model, wanted, before, tolerance)
    table = pd.DataFrame(
        {
            "observed": wanted * circuity,
            "before": model(before) * circuity,
            "after": after * circuity,
            "elasticity_before": before,
            "elasticity": elasticity,
            "reached": reached,
        },
        index=pd.Index(list(miles), name="sector"),
    )
    changed = data["distance_elasticity"].copy(deep=True)
    for name, value in table["elasticity"].items():
        changed[np.flatnonzero(data["sector"].values.astype(str) == name)] = value
    changed.attrs["comment"] = "of the sectors named, calibrated to mean distances of shipments"
    return data.assign(distance_elasticity=changed), table


def _flows(data: xr.Dataset, accounts: Mapping[str, Any]) -> tuple[Miles, CityTraded, CityTraded, list[str]]:
    """Distances, and what cities spend and earn in traded sectors."""
    require_double_precision("mean distances of trade")
    if "iceberg_cost" in data:
        raise ModelError("the data give iceberg_cost: distance elasticities have no part in their trade; drop it first")
    check_data(data)
    found, traded = build_accounts(data, **accounts), traded_sectors(data)
    names = [str(name) for name in data["sector"].values[traded]]
    spending, earnings = (jnp.asarray(x[:, traded]) for x in (found.expenditure, found.gross_output))
    return jnp.asarray(distances(data)), spending, earnings, names


@eqx.filter_jit
def _mean_miles(elasticity: Elasticity, miles: Miles, spending: CityTraded, earnings: CityTraded, own_city: bool):
    """Mean miles of flows by sector, and the error of their scaling."""
    relative = jnp.log(miles / miles.min(1, keepdims=True))
    matrix = jnp.exp(-elasticity[:, None, None] * relative)
    kernel = DenseKernel(matrix)
    scaling = scale_kernel(kernel, spending, earnings)
    strength = jnp.where(earnings > 0, jnp.exp(scaling.potential), 0.0)
    per_access = spending / kernel.apply(strength)
    travelled = (per_access * DenseKernel(matrix * miles).apply(strength)).sum(0)
    shipped = spending.sum(0)
    if not own_city:
        own = per_access * kernel.own() * strength
        travelled = travelled - (own * jnp.diag(miles)[:, None]).sum(0)
        shipped = shipped - own.sum(0)
    return travelled / shipped, scaling.error


def _accepted(miles, error, names: list[str]):
    if not (error < ACCEPTED).all():
        worst = names[int(np.nan_to_num(np.asarray(error), nan=np.inf).argmax())]
        raise ConvergenceError(f"flows of sector {worst} could not be scaled to output and expenditure")
    return miles


def _roots(
    model, wanted: np.ndarray, before: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elasticities, miles there, and whether they were reached; regula falsi (Illinois), all sectors at once."""
    low, high = np.zeros_like(wanted), np.full_like(wanted, LARGEST)
    gap_low, gap_high = np.log(model(low) / wanted), np.log(model(high) / wanted)
    reached = (gap_low >= 0) & (gap_high <= 0)
    for step in range(MAX_STEPS):
        weight = gap_low / np.where(reached, gap_low - gap_high, 1.0)
        middle = (low + high) / 2 if step % 4 == 3 else low + np.clip(weight, 0.0, 1.0) * (high - low)
        middle = np.where(reached, middle, before)
        miles = model(middle)
        gap = np.log(miles / wanted)
        if (np.abs(gap)[reached] <= tolerance).all():
            return middle, miles, reached
        above = gap > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
        gap_low, gap_high = np.where(above, gap, gap_low / 2), np.where(above, gap_high / 2, gap)
    raise ConvergenceError(f"distance elasticities were not found in {MAX_STEPS} steps")
