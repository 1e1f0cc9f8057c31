"""The density premium of establishments that change CBSA: the second of the tables that FF call C.3.

Continuing establishments, active in the year and the year before, give eq. (2) in levels, and in first differences,

    change in ln w = alpha_t + beta (change in ln D) + gamma (change in C) + delta (change in ln N) + phi(a) + error,

where density changes for movers only. FF name the change of employment as a control; here it is that of its log.
"""

import warnings

import numpy as np
import pandas as pd

from spatialjax.density import published
from spatialjax.density.columns import log_density, of_cbsas, require_columns
from spatialjax.density.premium import ALL_CONTROLS, PLACE, UNCONDITIONAL, beside, estimates, premium
from spatialjax.errors import DataError, EstimationWarning
from spatialjax.estimation.regression import Regression, regress

NEEDED = ("cbsa_lag", "earnings_lag", "employment_lag", "entrant", "exit", "county_changes")
MOST_CHANGES = 1
"""Changes of county above which FF take moves for errors of coding (section 5.B)."""


def relocation_table(panel: pd.DataFrame, cbsas: pd.DataFrame) -> pd.DataFrame:
    """The premium among continuing establishments in levels and in first differences, without and with controls.

    **Arguments:**

    - `panel`: with the columns of `with_regressors`, cbsa_lag, earnings_lag and employment_lag of the year before,
      entrant, exit and county_changes.

    **Returns:** rows as in `premium_table`; coefficients of differences are under the names of levels.

    **Raises:** `DataError` for columns that are missing, and if no continuing establishment has moved.
    """
    rows = continuing(panel, cbsas)
    levels = {"levels": UNCONDITIONAL, "levels, all controls": ALL_CONTROLS}
    fits = [(name, premium(rows, specification)) for name, specification in levels.items()]
    changes = first_differences(rows, cbsas)
    fits += [("differences", _differenced(changes)), ("differences, all controls", _differenced(changes, True))]
    return beside(estimates(fits), published.TABLE_C3_RELOCATIONS)


def continuing(panel: pd.DataFrame, cbsas: pd.DataFrame) -> pd.DataFrame:
    """Establishments that neither enter nor exit, were in a CBSA of the table the year before, and moved credibly.

    Moves of establishments whose county changed more than once over their history are left out, as in FF.

    **Raises:** `DataError` for columns that are missing, or if no such establishment has moved.

    **Warns:** `EstimationWarning` with the number of those that lack earnings or employment of the year before.
    """
    require_columns(panel, [*ALL_CONTROLS.columns, *NEEDED], "panel of establishments")
    present = panel["cbsa_lag"].isin(cbsas.index) & ~panel["entrant"].astype(bool) & ~panel["exit"].astype(bool)
    credible = (panel["cbsa"] == panel["cbsa_lag"]) | (panel["county_changes"] <= MOST_CHANGES)
    known = (panel["earnings_lag"] > 0) & (panel["employment_lag"] > 0)
    if lacking := int((present & credible & ~known).sum()):
        message = f"earnings_lag or employment_lag is missing or not positive in {lacking} rows, which are left out"
        warnings.warn(message, EstimationWarning, stacklevel=3)
    columns = list(dict.fromkeys([*ALL_CONTROLS.columns, *NEEDED]))
    rows = panel.loc[present & credible & known, columns]
    if not (rows["cbsa"] != rows["cbsa_lag"]).any():
        problem = f"none of {len(rows)} continuing establishments changed CBSA; differences need movers"
        raise DataError("panel of establishments", [problem])
    return rows


def first_differences(rows: pd.DataFrame, cbsas: pd.DataFrame) -> pd.DataFrame:
    """Changes since the year before of log earnings, log density, college share and log employment."""
    before = rows[["cbsa_lag"]].rename(columns={"cbsa_lag": "cbsa"})
    changes = {
        "log_earnings": rows["log_earnings"] - np.log(rows["earnings_lag"].to_numpy(float)),
        "log_density": log_density(rows, cbsas) - log_density(before, cbsas),
        "college_share": rows["college_share"] - of_cbsas(before["cbsa"], cbsas, "college_share"),
        "log_employment": rows["log_employment"] - np.log(rows["employment_lag"].to_numpy(float)),
    }
    return rows[["age", "year", "cbsa"]].assign(**changes)


def _differenced(changes: pd.DataFrame, controlled: bool = False) -> Regression:
    regressors = (*PLACE, "log_employment") if controlled else PLACE[:1]
    effects = ("age", "year") if controlled else ("year",)
    return regress(changes, "log_earnings", regressors, effects=effects, cluster="cbsa")
