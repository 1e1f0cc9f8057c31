"""Outcomes of an equilibrium that the papers report: shares, premia, correlations."""

import numpy as np
import xarray as xr

Array = np.ndarray


def city_size(result: xr.Dataset) -> xr.DataArray:
    """Employment of each city, workers."""
    return result["employment"].sum("occupation")


def occupation_share(result: xr.Dataset) -> xr.DataArray:
    """Share of each occupation in a city's employment (city, occupation)."""
    return result["employment"] / city_size(result)


def log_premium(result: xr.Dataset) -> xr.DataArray:
    """Log wage of the first occupation over that of the second (CH section 2); NaN where one is absent."""
    wage = result["wage"].where(result["wage"] > 0)
    return np.log(wage.isel(occupation=0)) - np.log(wage.isel(occupation=1))


def correlation(x: xr.DataArray, y: xr.DataArray, weight: xr.DataArray | None = None) -> float:
    """Correlation over the cities where both are known, unweighted or weighted."""
    known = np.isfinite(x.values) & np.isfinite(y.values)
    weights = None if weight is None else weight.values[known]
    covariance = np.cov(x.values[known], y.values[known], aweights=weights)
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


def weighted_mean(x: xr.DataArray, weight: xr.DataArray) -> float:
    """Mean over cities, weighted."""
    return float((x * weight).sum() / weight.sum())


def specialisation(result: xr.Dataset) -> xr.DataArray:
    """Gini coefficient of each city's wage bill over sectors (CH Figure 9), 0 (even) to 1."""
    wage_bill = (result["wage"] * result["employment_by_sector"]).sum("occupation")
    shares = np.sort((wage_bill / wage_bill.sum("sector")).transpose("city", "sector").values, axis=1)
    sectors = shares.shape[1]
    rank = np.arange(1, sectors + 1)
    gini = (2 * rank - sectors - 1) @ shares.T / sectors
    return xr.DataArray(gini, coords={"city": result["city"]}, dims="city", attrs={"units": "1"})


def location_quotient(result: xr.Dataset) -> xr.DataArray:
    """Share of a sector in a city's employment over its national share (city, sector)."""
    employment = result["employment_by_sector"].sum("occupation")
    return (employment / employment.sum("sector")) / (employment.sum("city") / employment.sum())
