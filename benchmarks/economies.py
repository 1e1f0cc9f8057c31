"""Random data sets of any number of cities, to measure how cost grows with it.

Technology is that of the embedded data (input-output table, value added, distance elasticities); cities
are drawn: their place, size, industry mix, occupational mix, wages and housing prices.
"""

import numpy as np
import xarray as xr

import spatialjax

Array = np.ndarray

LATITUDES = (27.0, 48.0)
LONGITUDES = (-122.0, -72.0)
"""Degrees: a box around most of the continental United States."""
PARETO_SHAPE = 1.1
MIX_SPREAD = 0.7
"""Standard deviation of the log share of a traded sector in a city's employment."""
LOCAL_SPREAD = 0.08
"""The same of a sector that is not traded: small, because a city has to supply itself."""
IDLE_SHARE = 0.01
"""Share of the cells (city, manufacturing or other small traded sector) in which nobody works."""
SMALL_SECTOR = 0.02
"""National employment share below which a traded sector may be absent from a city."""
OCCUPATION_SPREAD = 0.2
WAGE_SPREAD = 0.08
WAGE_SIZE_ELASTICITY = 0.05
HOUSING_SPREAD = 0.2
HOUSING_SIZE_ELASTICITY = 0.1


def random_data(cities: int, *, sectors: int = 22, seed: int = 0) -> xr.Dataset:
    """A random data set that `spatialjax.invert` accepts.

    National employment by occupation and sector has the composition of the embedded data, so that the
    national accounts are nearly theirs.

    **Arguments:**

    - `cities`: number of cities.
    - `sectors`: number of sectors, from 3 to 22. Where fewer than 22, the last traded sectors are merged
      into one after the draw, rows and columns of the input-output table with them.
    - `seed`: of the draws.
    """
    national = spatialjax.load_data("us-metros")
    generator = np.random.default_rng(seed)
    size = _sizes(generator, cities)
    latitude, longitude = (generator.uniform(*bounds, cities) for bounds in (LATITUDES, LONGITUDES))
    employment = _employment(generator, size, national)
    data = national[["value_added_share", "input_share", "distance_elasticity", "uses_land"]].assign(
        employment=(("city", "occupation", "sector"), employment),
        wage=(("city", "occupation"), _wages(generator, size, national)),
        housing_price=("city", _around_one(generator, size, HOUSING_SPREAD, HOUSING_SIZE_ELASTICITY)),
        latitude=("city", latitude),
        longitude=("city", longitude),
    )
    names = [f"city{n:04d}" for n in range(cities)]
    data = merge_sectors(data.assign_coords(city=names, occupation=national["occupation"].values), sectors)
    data.encoding["source"] = f"random cities ({cities}, seed {seed})"
    return data


def merge_sectors(data: xr.Dataset, sectors: int) -> xr.Dataset:
    """The data with their last traded sectors merged, so that `sectors` remain; untouched if all do.

    Employment adds up; shares and elasticities are weighted by gross output.
    """
    traded = np.isfinite(data["distance_elasticity"].values)
    kept = sectors - int((~traded).sum())
    if not 1 <= kept <= traded.sum():
        raise ValueError(f"sectors must be from {(~traded).sum() + 1} to {traded.size}, found {sectors}")
    if kept == traded.sum():
        return data
    group = np.empty(traded.size, int)
    group[traded] = np.minimum(np.arange(traded.sum()), kept - 1)
    group[~traded] = kept + np.arange((~traded).sum())
    member = (group == np.arange(sectors)[:, None]).astype(float)

    value_added = data["value_added_share"].values
    wage_bill = (data["wage"] * data["employment"]).sum(("city", "occupation")).values
    output = wage_bill / value_added
    weight = member * output / (member @ output)[:, None]
    first = member.argmax(1)
    return (
        data[["wage", "housing_price", "latitude", "longitude"]]
        .assign(
            {
                "employment": (("city", "occupation", "sector"), data["employment"].values @ member.T),
                "value_added_share": ("sector", weight @ value_added),
                "input_share": (("input", "sector"), member @ data["input_share"].values @ weight.T),
                "distance_elasticity": ("sector", _weighted_elasticity(data, weight)),
                "uses_land": ("sector", data["uses_land"].values[first]),
            }
        )
        .assign_coords(sector=data["sector"].values[first], input=data["sector"].values[first])
    )


def _weighted_elasticity(data: xr.Dataset, weight: Array) -> Array:
    elasticity = data["distance_elasticity"].values
    traded = np.isfinite(elasticity)
    mean = weight @ np.where(traded, elasticity, 0.0)
    return np.where(weight @ traded > 0.5, mean, np.nan)


def _sizes(generator: np.random.Generator, cities: int) -> Array:
    """City sizes relative to their mean: quantiles of a Pareto distribution, in random order."""
    quantile = (np.arange(cities) + 0.5) / cities
    size = (1 - quantile) ** (-1 / PARETO_SHAPE)
    return generator.permutation(size / size.mean())


def _employment(generator: np.random.Generator, size: Array, national: xr.Dataset) -> Array:
    """Employment (city, occupation, sector): the national composition with noise by city.

    Deviations of occupations are one draw by city; those of sectors one by city and sector. The
    result is scaled to the national totals by occupation and sector.
    """
    total = national["employment"].sum("city").values
    traded = np.isfinite(national["distance_elasticity"].values)
    spread = np.where(traded, MIX_SPREAD, LOCAL_SPREAD)
    sector_noise = generator.standard_normal((size.size, traded.size)) * spread
    skill_noise = generator.standard_normal(size.size) * OCCUPATION_SPREAD
    tilt = np.linspace(0.5, -0.5, total.shape[0])
    log_weight = sector_noise[:, None, :] + skill_noise[:, None, None] * tilt[:, None]
    employment = size[:, None, None] * total * np.exp(log_weight)
    employment *= _works(generator, size.size, total, traded)[:, None, :]
    return employment * total / employment.sum(0)


def _works(generator: np.random.Generator, cities: int, total: Array, traded: Array) -> Array:
    """Where anybody works (city, sector): everywhere, but in a few cells of small traded sectors."""
    small = traded & (total.sum(0) < SMALL_SECTOR * total.sum())
    idle = (generator.uniform(size=(cities, traded.size)) < IDLE_SHARE) & small
    idle[0] = False
    return ~idle


def _wages(generator: np.random.Generator, size: Array, national: xr.Dataset) -> Array:
    """Wages (city, occupation) around the national means, higher in larger cities."""
    employment = national["employment"].sum("sector")
    mean = ((national["wage"] * employment).sum("city") / employment.sum("city")).values
    return mean * np.stack(
        [_around_one(generator, size, WAGE_SPREAD, WAGE_SIZE_ELASTICITY) for _ in range(mean.size)], axis=1
    )


def _around_one(generator: np.random.Generator, size: Array, spread: float, size_elasticity: float) -> Array:
    """A log-normal variable by city that rises with city size."""
    return size**size_elasticity * np.exp(spread * generator.standard_normal(size.size))
