"""Equilibria as labelled data sets: named dimensions, labels and units."""

import numpy as np
import xarray as xr

from spatialjax.cities.equilibrium import RESIDUAL_BLOCKS, Equilibrium

DIMENSIONS = {
    "wage": (("city", "occupation"), "US dollars a year", "wage"),
    "employment": (("city", "occupation"), "workers", "employment"),
    "employment_by_sector": (("city", "occupation", "sector"), "workers", "employment by sector"),
    "price": (("city", "sector"), "1", "price of a sector's good"),
    "unit_cost": (("city", "sector"), "1", "unit cost; infinite where nothing is produced"),
    "expenditure": (("city", "sector"), "US dollars a year", "expenditure on a sector's good"),
    "gross_output": (("city", "sector"), "US dollars a year", "gross output"),
    "price_index": (("city",), "1", "consumer price index"),
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
        name: (dimensions, np.asarray(getattr(equilibrium, name)), {"units": units, "long_name": long_name})
        for name, (dimensions, units, long_name) in DIMENSIONS.items()
    }
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
