"""Equilibria and policies as labelled data sets: named dimensions, labels and units."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from spatialjax.cities.equilibrium import RESIDUAL_BLOCKS, Equilibrium

if TYPE_CHECKING:
    from spatialjax.cities.policy_effect import PolicyEffect

DIMENSIONS = {
    "wage": (("city", "occupation"), "US dollars a year", "wage"),
    "employment": (("city", "occupation"), "workers", "employment"),
    "employment_by_sector": (("city", "occupation", "sector"), "workers", "employment by sector"),
    "price": (("city", "sector"), "1", "price of a sector's good"),
    "unit_cost": (("city", "sector"), "1", "unit cost; infinite where nothing is produced"),
    "expenditure": (("city", "sector"), "US dollars a year", "expenditure on a sector's good"),
    "gross_output": (("city", "sector"), "US dollars a year", "gross output"),
    "price_index": (("city", "occupation"), "1", "consumer price index"),
    "rent": (("city",), "US dollars a year per unit of effective land", "rent of land and structures"),
    "land_income": (("city",), "US dollars a year", "income of land and structures"),
    "productivity": (("city", "occupation", "sector"), "1", "labour-augmenting productivity"),
    "income": (("city", "occupation"), "US dollars a year", "income per worker"),
    "consumption": (("city", "occupation"), "US dollars a year at the price index", "real consumption per worker"),
    "welfare": (("occupation",), "US dollars a year at the price index", "expected utility"),
}
PLACE_NAMES = ("title", "latitude", "longitude")


def equilibrium_to_xarray(equilibrium: Equilibrium, data: xr.Dataset) -> xr.Dataset:
    """An equilibrium with the dimensions and labels of the data it was computed from.

    Units are dollars of the numeraire, the wage bill of the data.
    """
    coordinates = {name: data[name].values for name in ("city", "occupation", "sector")}
    variables = {
        name: _labelled(np.asarray(getattr(equilibrium, name)), *description)
        for name, description in DIMENSIONS.items()
    }
    variables["welfare"] = _welfare(equilibrium)
    if equilibrium.tariff_revenue is not None:
        units = "US dollars a year", "what customs take"
        variables["tariff_revenue"] = _labelled(np.asarray(equilibrium.tariff_revenue), ("city",), *units)
    result = xr.Dataset(variables, coordinates)
    for name in PLACE_NAMES:
        if name in data:
            result = result.assign_coords({name: data[name]})
    residuals = equilibrium.residuals.by_block()
    result.attrs = {
        "status": equilibrium.outcome,
        "evaluations": int(equilibrium.evaluations),
        **{f"residual_{name}": float(residuals[name]) for name in RESIDUAL_BLOCKS},
    }
    return result


def _welfare(equilibrium: Equilibrium):
    """By occupation; by group of cities and occupation, or by city and occupation, where workers cannot go anywhere."""
    values = np.asarray(equilibrium.welfare)
    dimensions, *description = DIMENSIONS["welfare"]
    if values.ndim == 2:
        by_city = len(values) == len(equilibrium.wage)
        dimensions = ("city" if by_city else "group", *dimensions)
    return _labelled(values, dimensions, *description)


def _labelled(values: np.ndarray, dimensions: tuple[str, ...], units: str, long_name: str):
    """A variable; a price index may lack the dimension of occupations."""
    return dimensions[: values.ndim], values, {"units": units, "long_name": long_name}


POLICY_DIMENSIONS = {
    "wedge": (("city", "occupation"), "US dollars a year", "social less private value"),
    "transfer": (("city", "occupation"), "US dollars a year", "net transfer per worker"),
    "base_transfer": (("occupation",), "US dollars a year", "part of the net transfer that is alike in all cities"),
    "gain": (("occupation",), "1", "gain in welfare over the equilibrium"),
}


def policy_to_xarray(effect: "PolicyEffect", data: xr.Dataset) -> xr.Dataset:
    """A policy's allocation, transfers and certificate with the dimensions and labels of the data."""
    result = equilibrium_to_xarray(effect.equilibrium, data)
    for name, description in POLICY_DIMENSIONS.items():
        if hasattr(effect, name):
            result[name] = _labelled(np.asarray(getattr(effect, name)), *description)
    result.attrs["outcome"] = effect.outcome
    if effect.path is not None:
        result.attrs["path_reached"] = effect.path.reached
    if (certificate := effect.certificate) is not None:
        result["certificate_weight"] = _labelled(
            certificate.weights, ("occupation",), "1", "weights at which gradients of welfare add up to zero"
        )
        result.attrs |= {
            "certificate_residual": certificate.residual,
            "certificate_cosine": certificate.cosine,
            "certificate_curvature": certificate.curvature.tolist(),
        }
    return result
