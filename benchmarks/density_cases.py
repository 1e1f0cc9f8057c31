"""What is measured of the density premium and of estimation, as functions to call, and a regression beside it."""

import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from spatialjax import Economy, density, estimation
from spatialjax.errors import EstimationWarning
from spatialjax.granular import Parameters

PER_YEAR = 5_128_302
"""Establishments of FF's sample in each of two years: 10,256,604 establishment-years (Table 3)."""
SMALL_PER_YEAR = 30_000
"""Establishments a year with which every step is called first, to compile."""
BASELINE_PER_YEAR = 500_000
"""Establishments a year in the regression that linearmodels runs as well."""
FIRMS_PER_SECTOR = np.geomspace(0.6, 39.0, 40)
"""By location: with 148 sectors and 18 years, a million rows."""
QUICK_FIRMS_PER_SECTOR = np.geomspace(0.6, 9.0, 8)
PACKAGES = ("pyfixest", "linearmodels", "pandas", "scipy")

Timed = Callable[[str, Callable[[], Any]], Any]
"""Call a function, note under a name what that took, and return what it returned."""


def density_steps(per_year: int, timed: Timed) -> None:
    """From the simulator to eq. (3) by 2SLS, each step with what the one before returned."""
    cbsas = density.cbsa_table()
    panel = timed("simulated panel", lambda: simulated(per_year))
    panel = timed("earnings by eq. (1), with imputation", lambda: density.with_earnings(panel)[0])
    panel = timed("density, college share, logs", lambda: density.with_regressors(panel, cbsas))
    timed("eq. (2), all controls", lambda: density.premium(panel))
    timed("eq. (3), all controls", lambda: density.age_profile(panel))
    panel = timed("instruments of CBSAs", lambda: density.with_instruments(panel, cbsas))
    timed("eq. (2) by 2SLS, two endogenous", lambda: density.instrumented_premium(panel))
    timed("eq. (3) by 2SLS, as in Figure C.5", lambda: density.instrumented_age_profile(panel))


def simulated(per_year: int) -> pd.DataFrame:
    """The panel that the simulator draws on the embedded CBSAs."""
    return density.simulate_panel(density.cbsa_table(), key=jax.random.key(0), establishments_per_year=per_year)


def described(result: pd.DataFrame | density.Profile | estimation.Regression) -> dict[str, Any]:
    """Rows that a step returned or used, and elasticities of earnings with respect to density, the first and last."""
    if isinstance(result, pd.DataFrame):
        return {"rows": len(result), "elasticities": []}
    if isinstance(result, density.Profile):
        return {"rows": result.observations, "elasticities": result.elasticities.iloc[[0, -1]].to_list()}
    return {"rows": result.observations, "elasticities": [result.coefficients["log_density"]]}


def absorbing_least_squares(panel: pd.DataFrame) -> pd.Series:
    """Coefficients of eq. (2) with all controls by linearmodels; it estimates clustered errors as well."""
    from linearmodels.iv.absorbing import AbsorbingLS

    specification = density.Specification()
    effects = panel[list(specification.absorbed)].astype("category")
    model = AbsorbingLS(panel["log_earnings"], panel[list(specification.regressors)], absorb=effects)
    return model.fit(cov_type="clustered", clusters=panel["cbsa"]).params


def instruments(data: xr.Dataset, economy: Economy) -> pd.DataFrame:
    """Four columns by city for two endogenous regressors, so that continuous updating has to search.

    They are there for their number: nobody need believe that they are exogenous.
    """
    amenity = np.log(np.asarray(economy.amenity))
    columns = {f"amenity_{k}": amenity[:, k] for k in range(amenity.shape[1])}
    columns |= {name: data[name].values for name in ("latitude", "longitude")}
    return pd.DataFrame(columns, list(economy.labels.city))


def spillovers(economy: Economy, estimator, columns: pd.DataFrame) -> estimation.SpilloverEstimates:
    """Elasticities by occupation, without the warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        return estimation.spillovers(economy, estimator=estimator, instruments=columns)


def firms(quick: bool) -> estimation.SimulatedPanel:
    """A panel of firms of the granular model."""
    firms_per_sector = QUICK_FIRMS_PER_SECTOR if quick else FIRMS_PER_SECTOR
    return estimation.simulate_granular_panel(Parameters(), firms_per_sector, key=jax.random.key(0))


def versions() -> dict[str, str]:
    """Of the packages that the estimators rest on."""
    return {package: version(package) for package in PACKAGES}
