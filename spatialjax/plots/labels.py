"""Reading labelled results: by city, by occupation, and the words for axes."""

import numpy as np
import xarray as xr

from spatialjax.errors import ModelError

Array = np.ndarray


def total_employment(result: xr.Dataset) -> Array:
    """Workers by city: `employment` summed over every dimension but city."""
    employment = result["employment"]
    return employment.sum([name for name in employment.dims if name != "city"]).values.astype(float)


def employment_by_occupation(result: xr.Dataset) -> Array:
    """Workers (city, occupation): `employment` summed over any further dimensions."""
    employment = result["employment"]
    employment = employment.sum([name for name in employment.dims if name not in ("city", "occupation")])
    return employment.transpose("city", "occupation").values.astype(float)


def occupation_pair(result: xr.Dataset | xr.DataArray) -> tuple[str, str]:
    """Labels of the two occupations, of which shares and premia are the first's.

    **Raises:** `ModelError` unless there are exactly two.
    """
    labels = [str(label) for label in result["occupation"].values] if "occupation" in result.coords else []
    if len(labels) != 2:
        found = ", ".join(labels) or "no occupation labels"
        raise ModelError(
            f"this figure compares two occupations, found {len(labels)} ({found}); "
            "select two, for example results.sel(occupation=[...])"
        )
    return labels[0], labels[1]


def match_cities(values: xr.DataArray, result: xr.Dataset) -> xr.DataArray:
    """The values of the result's cities, in its order.

    **Raises:** `ModelError` where `values` lack a city.
    """
    known = set(values["city"].values.tolist())
    missing = [str(city) for city in result["city"].values.tolist() if city not in known]
    if missing:
        raise ModelError(f"values lack {len(missing)} of the cities of the data, first {missing[0]}")
    return values.sel(city=result["city"].values)


def wage_premium(result: xr.Dataset) -> Array:
    """Log wage of the first over the second occupation by city; NaN where one of them is not employed."""
    wage = result["wage"].transpose("city", "occupation").values.astype(float)
    paid = np.isfinite(wage) & (wage > 0) & (employment_by_occupation(result) > 0)
    log_wage = np.where(paid, np.log(np.where(paid, wage, 1.0)), np.nan)
    return log_wage[:, 0] - log_wage[:, 1]


def describe(values: xr.DataArray) -> str:
    """A label from attributes: long_name, or the name, and units in brackets where there are any."""
    name = str(values.attrs.get("long_name") or values.name or "")
    units = str(values.attrs.get("units") or "1")
    return (name[:1].upper() + name[1:] + ("" if units == "1" else f" ({units})")).strip()
