"""Size, age, entry and exit of establishments by density: FF Table 2."""

import numpy as np
import pandas as pd

from spatialjax.density import published
from spatialjax.density.columns import require_columns
from spatialjax.density.premium import PLACE
from spatialjax.estimation.regression import Regression, regress

OUTCOMES = {
    "log_employment": (("multi_unit",), ("age", "industry")),
    "age": (("log_employment", "multi_unit"), ("industry",)),
    "entrant": (("log_employment", "multi_unit"), ("industry",)),
    "exit": (("log_employment", "multi_unit"), ("age", "industry")),
}
"""Characteristics, with the controls and effects of their regression: all but themselves. Entrants are those of age 0,
so that their regression has no effects of age."""


def characteristics_table(panel: pd.DataFrame) -> pd.DataFrame:
    """Table 2: means, deviations, and regressions on log density and the college share, clustered by CBSA.

    Units: logs, years, and shares of establishments. All regressions have effects of the year.

    **Arguments:**

    - `panel`: with the columns of `with_regressors`, entrant and exit.

    **Returns:** a row for each characteristic: mean, sd_establishments, sd_cbsas (of means of CBSAs, each counted
    once), coefficients and errors, r_squared, observations, and the same with the prefix published_ of FF.

    **Raises:** `DataError` for columns that are missing or not finite.
    """
    require_columns(panel, [*OUTCOMES, *PLACE, "multi_unit", "industry", "year", "cbsa"], "panel of establishments")
    table = pd.DataFrame([_row(panel, name) for name in OUTCOMES], index=pd.Index(list(OUTCOMES), name="outcome"))
    return table.join(published.TABLE_2.add_prefix("published_"))


def characteristic_on_density(panel: pd.DataFrame, outcome: str) -> Regression:
    """Regression of one characteristic (a key of `OUTCOMES`) on density, the college share and the others."""
    controls, effects = OUTCOMES[outcome]
    columns = dict.fromkeys([outcome, *PLACE, *controls, *effects, "year", "cbsa"])
    rows = panel[list(columns)].assign(**{outcome: panel[outcome].to_numpy(float)})
    return regress(rows, outcome, [*PLACE, *controls], effects=[*effects, "year"], cluster="cbsa")


def _row(panel: pd.DataFrame, outcome: str) -> dict:
    fit = characteristic_on_density(panel, outcome)
    values = panel[outcome].to_numpy(float)
    by_cbsa = pd.Series(values).groupby(panel["cbsa"].to_numpy()).mean()
    moments = {"mean": values.mean(), "sd_establishments": np.std(values, ddof=1), "sd_cbsas": by_cbsa.std()}
    coefficients = fit.coefficients.reindex(PLACE).to_dict()
    errors = fit.standard_errors.reindex(PLACE).add_suffix("_error").to_dict()
    return {**moments, **coefficients, **errors, "r_squared": fit.r_squared, "observations": fit.observations}
