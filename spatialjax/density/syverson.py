"""Selection in ready-mix concrete: moments of plants' earnings on density of demand (FF Table 1, appendix B)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatialjax.density.columns import require_columns
from spatialjax.density.published import TABLE_1
from spatialjax.density.residuals import column_values
from spatialjax.errors import DataError
from spatialjax.estimation.regression import Regression, regress

CONCRETE = 3273
"""SIC of ready-mix concrete."""
MINIMUM_EMPLOYEES = 5
MINIMUM_PLANTS = 5
PER = 1000.0
"""The producer-demand ratio counts plants per 1,000 construction employees."""


@dataclass(frozen=True)
class Syverson:
    """Six moments by CBSA and year, and their regressions on log construction employment.

    - `moments`: a row for each CBSA and year: log_demand, plants, and the moments by the names of Table 1.
    - `regressions`: by moment; year effects; errors robust to heteroskedasticity unless a cluster was asked for.
    """

    moments: pd.DataFrame
    regressions: dict[str, Regression]

    def table(self) -> pd.DataFrame:
        """Coefficients on log construction employment beside those of Syverson (2004) and of FF (FF Table 1)."""
        rows = {
            name: {
                "coefficient": fit.coefficients["log_demand"],
                "standard_error": fit.standard_errors["log_demand"],
                "observations": fit.observations,
            }
            for name, fit in self.regressions.items()
        }
        return pd.DataFrame(rows).T.rename_axis("moment").join(TABLE_1.add_prefix("published_"))


def syverson(
    panel: pd.DataFrame,
    construction: pd.DataFrame,
    *,
    industry: int = CONCRETE,
    minimum_employees: float = MINIMUM_EMPLOYEES,
    minimum_plants: int = MINIMUM_PLANTS,
    cluster: str | None = None,
) -> Syverson:
    """Regress moments of log earnings of an industry's plants on the density of demand (FF Table 1).

    Plants below the minimum of employees are left out first, then places and years with too few plants.

    **Arguments:**

    - `panel`: cbsa, year, industry, employment, earnings (FF use 1982, 1987 and 1992).
    - `construction`: cbsa, year, employment: construction workers.
    - `cluster`: "cbsa" for errors clustered by place.

    **Raises:** `DataError` where columns or construction employment are missing, or no place has enough plants.
    """
    moments = concrete_moments(panel, construction, industry, minimum_employees, minimum_plants)
    shared = moments[["log_demand", "year", "cbsa"]]
    fits = {
        name: regress(shared.assign(moment=moments[name]), "moment", ["log_demand"], effects=["year"], cluster=cluster)
        for name in TABLE_1.index
    }
    return Syverson(moments, fits)


def concrete_moments(
    panel: pd.DataFrame,
    construction: pd.DataFrame,
    industry: int = CONCRETE,
    minimum_employees: float = MINIMUM_EMPLOYEES,
    minimum_plants: int = MINIMUM_PLANTS,
) -> pd.DataFrame:
    """The six moments of FF Table 1 by CBSA and year.

    Four of log earnings (their mean weighted by employment), the log of mean employment, and the plants per 1,000
    construction employees. Arguments and errors are those of [`syverson`][].
    """
    require_columns(panel, ("cbsa", "year", "industry", "employment"), "panel of establishments")
    require_columns(construction, ("cbsa", "year", "employment"), "table of construction employment")
    plants = panel[(panel["industry"] == industry) & (panel["employment"] >= minimum_employees)]
    if plants.empty:
        found = f"no plants of industry {industry} have {minimum_employees:g} employees"
        raise DataError("panel of establishments", [found])
    plants = plants.assign(y=column_values(plants, "log_earnings"))
    plants["weighted"] = plants["y"] * plants["employment"]
    groups = plants.groupby(["cbsa", "year"], observed=True)
    quantiles = groups["y"].quantile([0.1, 0.25, 0.5, 0.75]).unstack()
    totals = groups[["weighted", "employment"]].sum().join(groups.size().rename("plants"))
    moments = pd.DataFrame(
        {
            "interquartile range": quantiles[0.75] - quantiles[0.25],
            "median": quantiles[0.5],
            "size-weighted mean": totals["weighted"] / totals["employment"],
            "tenth percentile": quantiles[0.1],
            "mean size": np.log(totals["employment"] / totals["plants"]),
            "plants": totals["plants"],
        }
    ).reset_index()
    return _with_demand(moments[moments["plants"] >= minimum_plants], construction)


def _with_demand(moments: pd.DataFrame, construction: pd.DataFrame) -> pd.DataFrame:
    """Add the logarithm of construction employment and the ratio of plants to it."""
    demand = construction[["cbsa", "year", "employment"]].rename(columns={"employment": "demand"})
    result = moments.merge(demand, how="left", on=["cbsa", "year"], validate="one_to_one")
    bad = ~(result["demand"] > 0)
    if bad.any():
        first = result.loc[bad, ["cbsa", "year"]].iloc[0]
        problem = f"no construction employment above zero for {bad.sum()} of {len(result)} CBSA-years"
        raise DataError("table of construction employment", [f"{problem} (first: {first['cbsa']} in {first['year']})"])
    if result.empty:
        raise DataError("panel of establishments", ["no CBSA has enough plants of the industry in any year"])
    ratio = PER * result["plants"] / result["demand"]
    return result.assign(log_demand=np.log(result["demand"]), **{"producer-demand ratio": ratio}).drop(columns="demand")
