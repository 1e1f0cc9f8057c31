"""Instruments that the model implies (CH section 4.6 and Table A9, SH section III)."""

from dataclasses import dataclass
from typing import Literal, get_args

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import evaluate_at, solve
from spatialjax.cities.externalities import productivity_shift, shown_employment
from spatialjax.cities.spillovers import NoSpillover
from spatialjax.errors import ModelError

Mean = Literal["levels", "logs"]
REFERENCE_TOLERANCE = 1e-5
"""Largest log excess demand at which a reference state counts as an equilibrium."""


@dataclass(frozen=True)
class Employment:
    """What spillovers depend on: logs of each occupation's share of a city's workers, and of the number of workers.

    `share` (city, occupation) is not finite where an occupation does not live; `size` (city). Both are labelled by
    city.
    """

    share: pd.DataFrame
    size: pd.Series

    @classmethod
    def of(cls, economy: Economy, employment: np.ndarray) -> "Employment":
        """From employment (city, occupation) in workers."""
        size = employment.sum(1)
        with np.errstate(divide="ignore"):
            share = np.log(employment) - np.log(size)[:, None]
        index = pd.Index(economy.labels.city, name="city")
        return cls(
            pd.DataFrame(share, index, pd.Index(economy.labels.occupation, name="occupation")),
            pd.Series(np.log(size), index, name="size"),
        )


def model_instruments(economy: Economy, *, mean: Mean = "levels", tolerance: float = 1e-10) -> Employment:
    """Log shares and log totals of employment had productivity been the same in all cities.

    Total productivity lambda is exogenous and, in each occupation and sector, its mean over the cities that employ
    it, also in cities that do not; nothing depends on employment. What remains different between cities are
    amenities, geography, land, and, in sectors that are not traded, value-added shares. The instruments are
    independent of exogenous local productivity as far as these are: inverted amenities are not quite, as prices
    enter both.

    **Arguments:**

    - `mean`: over cities, not weighted, of lambda ("levels", as CH write) or of log lambda ("logs").
    - `tolerance`: of the solve.

    **Raises:** `ConvergenceError` where there is no such equilibrium; `ModelError` as [`log_productivity`][].
    """
    if mean not in get_args(Mean):
        raise ModelError(f"mean must be one of {', '.join(get_args(Mean))}, found {mean!r}")
    productivity = _cross_city_mean(log_productivity(economy), mean)
    alike = eqx.tree_at(
        lambda e: (e.fundamental_productivity, e.spillover),
        economy,
        (jnp.asarray(productivity), NoSpillover()),
    )
    return Employment.of(economy, np.asarray(solve(alike, tolerance=tolerance).employment))


def log_productivity(economy: Economy) -> np.ndarray:
    """Log of total productivity lambda (city, occupation, sector) at the economy's reference.

    Fundamental productivity times what the economy's own spillover makes of it: what inversion found, whatever
    spillover was assumed. Not finite where an occupation is not employed.

    **Raises:** `ModelError` if the reference is no equilibrium of the economy (for an inverted economy it is the data).
    """
    _check_reference(economy)
    shift = productivity_shift(economy, shown_employment(jnp.asarray(reference_employment(economy))))
    with np.errstate(divide="ignore"):
        fundamental = np.log(np.asarray(economy.fundamental_productivity))
    return fundamental + np.asarray(shift)


def reference_employment(economy: Economy) -> np.ndarray:
    """Employment (city, occupation) at the economy's reference, in workers; 0 where an occupation does not live."""
    lives = np.asarray(economy.amenity) > 0
    return np.where(lives, np.exp(np.asarray(economy.reference.log_employment)), 0.0)


def _cross_city_mean(log_values: np.ndarray, mean: Mean) -> np.ndarray:
    """Mean over cities with a finite value, in all cities; 0 where no city has one."""
    employed = np.isfinite(log_values)
    count = np.maximum(employed.sum(0), 1)
    if mean == "levels":
        average = np.where(employed, np.exp(log_values), 0.0).sum(0) / count
    else:
        average = np.where(employed.any(0), np.exp(np.where(employed, log_values, 0.0).sum(0) / count), 0.0)
    return np.broadcast_to(average, log_values.shape)


def _check_reference(economy: Economy) -> None:
    largest = float(evaluate_at(economy, economy.reference).largest())
    if not largest < REFERENCE_TOLERANCE:
        raise ModelError(
            f"the economy's reference is not an equilibrium of it (log excess demand {largest:.1e}), so that "
            "productivity and employment do not belong together: use an economy as invert returns it, or replace its "
            "reference by solve(economy).state()"
        )
