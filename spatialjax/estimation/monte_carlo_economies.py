"""Economies whose fundamentals are random: where estimators can be compared with the truth."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import solve
from spatialjax.cities.spillovers import IndustrySpillover, NoSpillover, OccupationSpillover
from spatialjax.errors import ModelError
from spatialjax.typing import CityOccupation, CityOccupationSector

Truth = dict[tuple[str, str], float]


class Spread(NamedTuple):
    """Standard deviations of random fundamentals, in logs; all are independent and normal.

    - `city`: productivity of an occupation in a city, alike in all sectors.
    - `cell`: productivity of an occupation in a sector of a city.
    - `amenity`: amenities of a city for an occupation.
    - `instrument`: noise with which an instrument shows amenities; the larger, the weaker it is.
    """

    city: float = 0.1
    cell: float = 0.2
    amenity: float = 0.2
    instrument: float = 0.0


class RandomEconomy(NamedTuple):
    """An economy with random fundamentals, and its instruments by city: amenities as seen with noise, and land."""

    economy: Economy
    instruments: pd.DataFrame


def random_fundamentals(base: Economy, spillover: Any, spread: Spread, key: jax.Array) -> RandomEconomy:
    """The base economy with random productivity and amenities around its means over cities.

    log lambda_hat[n, k, j] = mean over n of the base's + city[n, k] + cell[n, k, j]; log A[n, k] = mean over n of the
    base's + amenity[n, k]. Shocks are independent of each other. Where the base has no productivity or no amenity
    there is none. Everything else, such as geography and land, is the base's.

    Instruments, columns by city, are amenity[n, k] with noise, a column an occupation, and log land where all cities
    have some: they move workers and are independent of productivity.
    """
    keys = jax.random.split(key, 4)
    cell = base.fundamental_productivity.shape
    city = cell[:2]
    productive = spread.city * jax.random.normal(keys[0], city)[:, :, None]
    productive = productive + spread.cell * jax.random.normal(keys[1], cell)
    pleasant = spread.amenity * jax.random.normal(keys[2], city)
    seen = pleasant + spread.instrument * jax.random.normal(keys[3], city)
    economy = eqx.tree_at(
        lambda e: (e.spillover, e.fundamental_productivity, e.amenity),
        base,
        (spillover, _around_mean(base.fundamental_productivity, productive), _around_mean(base.amenity, pleasant)),
    )
    return RandomEconomy(economy, _instruments(base, np.asarray(seen)))


def settled(economy: Economy, *, tolerance: float = 1e-10, max_evaluations: int = 2000) -> Economy | str:
    """The economy with its equilibrium as reference, as inversion of that equilibrium would find it; or why not."""
    equilibrium = solve(economy, tolerance=tolerance, max_evaluations=max_evaluations, throw=False)
    if not bool(equilibrium.converged):
        return equilibrium.outcome
    return eqx.tree_at(lambda e: e.reference, economy, equilibrium.state())


def true_coefficients(
    spillover: Any, economy: Economy, by: str = "occupation", groups: Sequence[str] | None = None
) -> Truth:
    """What [`spillovers`][] should find: (regression, coefficient) -> elasticity.

    **Raises:** `ModelError` for externalities that are not of the form estimated.
    """
    occupations, sectors = economy.labels.occupation, economy.labels.sector
    if by == "occupation":
        found = _zero(spillover, OccupationSpillover((0.0,) * len(occupations), (0.0,) * len(occupations)))
        if not isinstance(found, OccupationSpillover):
            raise ModelError(f"by='occupation' estimates OccupationSpillover, not {type(found).__name__}")
        both = {"share": found.share.tolist(), "size": found.size.tolist()}
        return {(k, name): values[i] for name, values in both.items() for i, k in enumerate(occupations)}
    found = _zero(spillover, IndustrySpillover(np.zeros((len(occupations), len(sectors))), np.zeros(len(sectors))))
    if not isinstance(found, IndustrySpillover) or found.size.ndim != 1 or groups is None:
        raise ModelError("by='group' needs groups, and estimates IndustrySpillover with a size elasticity by sector")
    truth: Truth = {}
    for j in economy.traded:
        here = {f"share:{k}": float(found.share[i, j]) for i, k in enumerate(occupations)}
        for name, value in (here | {"size": float(found.size[j])}).items():
            if truth.setdefault((str(groups[j]), name), value) != value:
                raise ModelError(f"elasticities differ between sectors of group {groups[j]}, where one is estimated")
    return truth


def _zero(spillover: Any, zero: Any) -> Any:
    return zero if isinstance(spillover, NoSpillover) else spillover


def _around_mean(values: CityOccupationSector | CityOccupation, shock: jax.Array) -> jax.Array:
    """Mean logs over the cities with positive values, times shocks; zero elsewhere."""
    positive = values > 0
    logs = jnp.where(positive, jnp.log(jnp.where(positive, values, 1.0)), 0.0)
    mean = logs.sum(0) / jnp.maximum(positive.sum(0), 1)
    return jnp.where(positive, jnp.exp(mean + shock), 0.0)


def _instruments(base: Economy, seen: np.ndarray) -> pd.DataFrame:
    columns = {f"amenity_{k}": seen[:, i] for i, k in enumerate(base.labels.occupation)}
    land = np.asarray(base.land)
    if (land > 0).all():
        columns["log_land"] = np.log(land)
    return pd.DataFrame(columns, index=pd.Index(base.labels.city, name="city"))
