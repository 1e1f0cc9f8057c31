"""The variables of a data set of metropolitan areas by density (CBSAs and MSAs), and checks that name what is wrong."""

from dataclasses import replace

import numpy as np
import xarray as xr

from spatialjax.data.schema import Variable, positive
from spatialjax.data.structure import label_problems, not_a_dataset, raise_all, title_problems, variable_problems

SHARE = ("1", "between 0 and 1", lambda x: (x > 0) & (x < 1))
OPTIONAL = ("finite, or NaN where missing", lambda x: ~np.isinf(x))


def _cbsa(units: str, description: str, wanted: str = "positive", holds=positive, required: bool = True) -> Variable:
    return Variable(("cbsa",), units, description, wanted, holds, required)


def _amenity(units: str, description: str) -> Variable:
    return _cbsa(units, description, *OPTIONAL, required=False)


CBSA_VARIABLES = {
    "population": _cbsa("persons", "residents, 1990"),
    "land": _cbsa("square miles", "land area, 1990"),
    "college_share": _cbsa(SHARE[0], "adults (25 and over) with a college degree, 1990", *SHARE[1:]),
    "weighted_density": _cbsa(
        "persons per square mile", "density of counties, weighted by their residents", required=False
    ),
    "january_temperature": _amenity("degrees Fahrenheit", "mean temperature in January, 1941-70"),
    "january_sun": _amenity("hours", "mean hours of sun in January, 1941-70"),
    "july_temperature": _amenity("degrees Fahrenheit", "mean temperature in July, 1941-70"),
    "july_humidity": _amenity("percent", "mean relative humidity in July, 1941-70"),
    "topography": _amenity("1", "topography code, 1 (flat plains) to 21 (high mountains), mean over counties"),
    "water_percent": _amenity("percent", "area under water"),
    "elevation": _amenity("metres", "mean elevation, proxy from airfields"),
    "elevation_spread": _amenity("metres", "standard deviation of elevation, proxy from airfields"),
    "employment_2001": _cbsa("workers", "private employees, mid-March 2001"),
    "employment_2007": _cbsa("workers", "private employees, mid-March 2007"),
    "payroll_2001": _cbsa("dollars a quarter", "payroll, first quarter of 2001, nominal"),
    "payroll_2007": _cbsa("dollars a quarter", "payroll, first quarter of 2007, nominal"),
    "establishments_2001": _cbsa("establishments", "private establishments, 2001"),
}
"""Variables by CBSA. Density is population over land, earnings four times a quarter's payroll per worker: computed."""

_CLIMATE = ("january_temperature", "january_sun", "july_temperature", "july_humidity", "topography", "water_percent")
_MSA = {
    **{name: CBSA_VARIABLES[name] for name in ("population", "land", "college_share", *_CLIMATE)},
    "earnings_1992": _cbsa("1997 dollars a year", "real payroll per worker, 1992"),
    "earnings_1997": _cbsa("1997 dollars a year", "real payroll per worker, 1997"),
    "employment_1992": _cbsa("workers", "employees, 1992"),
    "employment_1997": _cbsa("workers", "employees, 1997"),
}
MSA_VARIABLES = {f"msa_{name}": replace(variable, dimensions=("msa",)) for name, variable in _MSA.items()}
"""Variables by MSA of the definition of 1999; optional."""


def check_cbsas(data: xr.Dataset) -> None:
    """Raise `DataError` listing every problem that [`find_cbsa_problems`][] finds."""
    raise_all(data, find_cbsa_problems(data))


def find_cbsa_problems(data: xr.Dataset) -> list[str]:
    """Everything that keeps a data set from being read as CBSAs (and MSAs, where it has them); empty if nothing."""
    if not isinstance(data, xr.Dataset):
        return not_a_dataset(data)
    found, _ = variable_problems(data, CBSA_VARIABLES)
    problems = [*label_problems(data, "cbsa"), *title_problems(data, "cbsa"), *found]
    if "msa" in data.dims:
        problems += [*label_problems(data, "msa"), *variable_problems(data, MSA_VARIABLES)[0]]
    return problems
