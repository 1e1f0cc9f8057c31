"""A stylised 1980 economy on the metropolitan areas of 2011-15: few facts of CH section 8, and stated assumptions.

It is no data set of 1980. docs/history.md lists each fact and each assumption.
"""

import numpy as np
import xarray as xr
from jax.typing import ArrayLike

from spatialjax.data.datasets import load_data
from spatialjax.errors import ModelError

Array = np.ndarray

WELFARE_1980 = (0.558 / 1.039, 0.765 / 1.061)
"""Welfare of (CNR, non-CNR) workers in 1980 over that in 2011-15: CH Table 3, row 1 over row 8."""


def stylised_1980(
    data: xr.Dataset,
    *,
    occupation_share: float = 0.24,
    workers: float = 2 / 3,
    wages: tuple[float, float] = WELFARE_1980,
    sector_tilt: float = 0.85,
    dispersion: float = 0.5,
    housing_dispersion: float = 0.5,
    city_size: ArrayLike = 1.0,
) -> xr.Dataset:
    """A stylised 1980 economy made from data of today, to be inverted (CH section 8).

    Employment of city n, occupation k and sector j is that of today times a factor by sector and one by city and
    occupation: sectors intensive in the first occupation are smaller, and its share in each city is given. Shares of
    inputs, distances and which sectors trade stay: the accounts then imply other consumption shares.

    **Arguments:**

    - `data`: a data set of two occupations, such as the embedded one.
    - `occupation_share`: the first occupation's share in national employment.
    - `workers`: national employment, over that of the data.
    - `wages`: mean wage of each occupation over that of the data, in constant dollars.
    - `sector_tilt`: log points by which a sector that employs the first occupation alone was smaller than one that
      employs the second alone.
    - `dispersion`: of log odds of the first occupation over cities, and of its log wage premium, over that of the
      data.
    - `housing_dispersion`: of the log price of housing over cities, over that of the data.
    - `city_size`: employment of each city (city) over that of the data, up to one factor for all, such as
      [`residents_1990`][]; by default alike.

    **Returns:** a data set with the variables of `data`, and attributes that say what it is.

    **Raises:** `ModelError` for data of another number of occupations, or arguments out of range.
    """
    _check(data, occupation_share, workers, wages, dispersion, housing_dispersion)
    today = data["employment"].transpose("city", "occupation", "sector").values
    wage = data["wage"].transpose("city", "occupation").values
    size = today.sum((1, 2)) * _relative(city_size, today.shape[0])
    shares = _city_shares(today.sum(2), size, occupation_share, dispersion)
    target = workers * today.sum() * size[:, None] / size.sum() * np.stack([shares, 1 - shares], 1)
    employment = _with_margins(today * _sector_factor(today, sector_tilt), target)
    price = data["housing_price"].values
    values = {
        "employment": (("city", "occupation", "sector"), employment),
        "wage": (("city", "occupation"), _wages(wage, today.sum(2), employment.sum(2), wages, dispersion)),
        "housing_price": (("city",), _compressed(price, today.sum((1, 2)), housing_dispersion)),
    }
    past = data.copy()
    for name, (dimensions, array) in values.items():
        past[name] = (dimensions, array, data[name].attrs)
    past.attrs = {
        "title": "A stylised 1980 economy; no data of 1980",
        "made_from": str(data.encoding.get("source", data.attrs.get("title", "a data set"))),
        "occupation_share": occupation_share,
        "workers": workers,
        "wages": list(wages),
        "sector_tilt": sector_tilt,
        "dispersion": dispersion,
        "housing_dispersion": housing_dispersion,
    }
    past.encoding["source"] = "stylised 1980 economy"
    return past


def residents_1990(data: xr.Dataset) -> Array:
    """Residents of each city in 1990 over those in the data (city), from the embedded "us-cbsas".

    Cities that it lacks, most of which became metropolitan later, have the median. Los Angeles is matched by its
    earlier code.

    **Raises:** `ModelError` for data without `population` (city), or of other places.
    """
    known = load_data("us-cbsas")
    then = dict(zip(map(str, known["cbsa"].values), known["population"].values.tolist(), strict=True))
    codes = [RECODED.get(str(city), str(city)) for city in data["city"].values]
    if "population" not in data or not set(codes) & set(then):
        raise ModelError("residents of 1990 are known for US metropolitan areas: data with their codes and population")
    ratio = np.asarray([then.get(code, np.nan) for code in codes]) / data["population"].values
    return np.where(np.isfinite(ratio), ratio, np.nanmedian(ratio))


RECODED = {"31080": "31100"}
"""Codes of the embedded metros that "us-cbsas" has under an earlier one: Los Angeles."""


def _relative(city_size: ArrayLike, cities: int) -> Array:
    size = np.asarray(city_size, float)
    if size.shape not in ((), (cities,)) or not (np.isfinite(size) & (size > 0)).all():
        raise ModelError(
            f"city_size must be positive, one number for each of {cities} cities, found shape {size.shape}"
        )
    return size


def _city_shares(workers: Array, size: Array, national: float, dispersion: float) -> Array:
    """Shares of the first occupation by city: log odds nearer to each other, around a mean that gives the nation's."""
    share = workers[:, 0] / workers.sum(1)
    odds = np.log(share / (1 - share))
    spread = dispersion * (odds - np.average(odds, weights=size))
    low, high = -20.0, 20.0
    for _ in range(100):
        middle = (low + high) / 2
        mean = np.average(1 / (1 + np.exp(-middle - spread)), weights=size)
        low, high = (middle, high) if mean < national else (low, middle)
    return 1 / (1 + np.exp(-middle - spread))


def _sector_factor(employment: Array, tilt: float) -> Array:
    """Factors by sector, falling in the first occupation's share of the sector's national workers."""
    by_sector = employment.sum(0)
    return np.exp(-tilt * by_sector[0] / by_sector.sum(0))


def _with_margins(employment: Array, target: Array) -> Array:
    """Cells scaled so that workers by city and occupation are as given."""
    found = employment.sum(2)
    return employment * (target / np.where(found > 0, found, 1.0))[:, :, None]


def _wages(wage: Array, today: Array, past: Array, level: tuple[float, float], dispersion: float) -> Array:
    """Wages whose log premium varies less over cities, with means that changed as given."""
    log = np.log(wage)
    premium = log[:, 0] - log[:, 1]
    premium = premium - (1 - dispersion) * (premium - np.average(premium, weights=today.sum(1)))
    wages = np.exp(np.stack([log[:, 1] + premium, log[:, 1]], 1))
    mean_today, mean = ((w * n).sum(0) / n.sum(0) for w, n in ((wage, today), (wages, past)))
    return wages * np.asarray(level) * mean_today / mean


def _compressed(price: Array, workers: Array, dispersion: float) -> Array:
    """Prices nearer to each other, with the same mean over workers."""
    log = np.log(price)
    found = np.exp(dispersion * (log - np.average(log, weights=workers)))
    return found * np.average(price, weights=workers) / np.average(found, weights=workers)


def _check(data, occupation_share, workers, wages, dispersion, housing_dispersion) -> None:
    if data.sizes["occupation"] != 2 or len(wages) != 2:
        raise ModelError(f"the stylised 1980 economy has two occupations, found {data.sizes['occupation']}")
    if not 0 < occupation_share < 1:
        raise ModelError(f"occupation_share must be between 0 and 1, found {occupation_share}")
    positive = {"workers": workers, "wages of the first": wages[0], "wages of the second": wages[1]}
    for name, value in positive.items():
        if not (np.isfinite(value) and value > 0):
            raise ModelError(f"{name} must be positive, found {value}")
    for name, value in (("dispersion", dispersion), ("housing_dispersion", housing_dispersion)):
        if not 0 <= value <= 2:
            raise ModelError(f"{name} must be between 0 and 2, found {value}")
