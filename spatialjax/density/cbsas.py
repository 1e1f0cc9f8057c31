"""Tables of the embedded metropolitan areas: 363 CBSAs (2007) and 303 MSAs (1999), a row each."""

import pandas as pd
import xarray as xr

from spatialjax.data.cbsas import CBSA_VARIABLES, MSA_VARIABLES, check_cbsas
from spatialjax.data.datasets import load_data
from spatialjax.data.schema import source_of
from spatialjax.errors import DataError

QUARTERS = 4


def cbsa_table(data: xr.Dataset | None = None) -> pd.DataFrame:
    """Metropolitan areas, indexed by their code (`cbsa`); by default the embedded 363.

    Columns: `title`, the variables of `spatialjax.data.cbsas.CBSA_VARIABLES`, `density` (persons per square mile, 1990)
    and `earnings_2001`, `earnings_2007` (dollars a year per worker: four times the payroll of a first quarter over
    employment in March, nominal). NaN where a figure is missing.

    **Raises:** `DataError` for a data set that is not one of CBSAs.
    """
    data = load_data("us-cbsas") if data is None else data
    check_cbsas(data)
    table = _table(data, "cbsa", CBSA_VARIABLES)
    for year in (2001, 2007):
        table[f"earnings_{year}"] = QUARTERS * table.pop(f"payroll_{year}") / table[f"employment_{year}"]
    return table


def msa_table(data: xr.Dataset | None = None) -> pd.DataFrame:
    """Metropolitan areas of the definition of 1999, indexed by their code (`msa`); by default the embedded 303.

    Columns: `population`, `land`, `density`, `college_share` (1990), climate, topography and water,
    `earnings_1992`, `earnings_1997` (real payroll per worker) and `employment_1992`, `employment_1997`.

    **Raises:** `DataError` for a data set that is not one of CBSAs, or has no MSAs.
    """
    data = load_data("us-cbsas") if data is None else data
    check_cbsas(data)
    if "msa" not in data.dims:
        raise DataError(source_of(data), ["dimension msa is missing: these are CBSAs only"])
    return _table(data, "msa", MSA_VARIABLES).rename(columns=lambda name: name.removeprefix("msa_"))


def _table(data: xr.Dataset, dimension: str, variables) -> pd.DataFrame:
    titles = ["title"] if dimension == "cbsa" and "title" in data else []
    table = data[[*titles, *(name for name in variables if name in data)]].to_dataframe()
    prefix = "msa_" if dimension == "msa" else ""
    density = table[f"{prefix}population"] / table[f"{prefix}land"]
    table.insert(table.columns.get_loc(f"{prefix}land") + 1, f"{prefix}density", density)
    return table.rename_axis(dimension)
