"""Responses of employment to demand for firms' products, by their share of the market (KO eq. 23, Table 3)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from spatialjax.errors import ModelError
from spatialjax.estimation.granular_growth import growth_with_shock
from spatialjax.estimation.regression import CONFIDENCE, Regression, regress

Share = Literal["payroll", "median"]
COLUMNS = {
    "(1)": (("year",), False),
    "(2)": (("year",), True),
    "(3)": (("year", "firm"), False),
    "(4)": (("year", "firm"), True),
}
"""Effects of each column of KO Table 3, and whether it has lagged growth."""


@dataclass(frozen=True)
class EmploymentResponses:
    """The columns of KO Table 3.

    Coefficients are those of shock, shock_share (the shock times the firm's share), share, lagged_growth in columns
    (2) and (4), and market_shock where that was asked for.
    """

    columns: dict[str, Regression]

    def ratio(self, column: str = "(1)", level: float = CONFIDENCE) -> tuple[float, float, float, float]:
        """Beta_3/beta_1, its standard error by the delta method, and its confidence interval.

        The model has -(1/nu - 1/kappa)/(eta + 1/nu), `employment_response_ratio`.
        """
        fit = self.columns[column]
        ratio = fit.coefficients["shock_share"] / fit.coefficients["shock"]
        slope = np.array([1.0, -ratio]) / fit.coefficients["shock"]
        names = ["shock_share", "shock"]
        error = float(np.sqrt(slope @ fit.covariance.loc[names, names].to_numpy() @ slope))
        half = stats.t.ppf(0.5 + level / 2, (fit.clusters or fit.observations) - 1) * error
        return float(ratio), error, float(ratio - half), float(ratio + half)

    def table(self) -> pd.DataFrame:
        """A column each, with coefficients, standard errors (se_), the implied ratio, its interval, observations."""
        return pd.DataFrame({name: self._rows(name, fit) for name, fit in self.columns.items()})

    def _rows(self, name: str, fit: Regression) -> dict[str, float]:
        ratio, error, lower, upper = self.ratio(name)
        errors = {f"se_{label}": value for label, value in fit.standard_errors.items()}
        implied = {"ratio": ratio, "se_ratio": error, "lower": lower, "upper": upper, "observations": fit.observations}
        return {**fit.coefficients.to_dict(), **errors, **implied}


def employment_responses(
    panel: pd.DataFrame,
    products: pd.DataFrame,
    *,
    shipments: pd.DataFrame | None = None,
    leave_out: bool = False,
    share: Share = "payroll",
    market_shock: bool = False,
    columns: tuple[str, ...] = tuple(COLUMNS),
) -> EmploymentResponses:
    """Growth of employment on demand shocks, shares, and their product (KO eq. 23), errors clustered by firm.

    **Arguments:**

    - `panel`, `products`, `shipments`, `leave_out`: as in `estimate_kappa`.
    - `share`: "payroll" is the firm's share of the market's payroll the year before (KO Table 3), at which responses
      to a change are exact; "median" that of median employment. Where shocks to levels are independent use "median":
      last year's share then holds last year's shock, part of the change of which is the reverse of it. Firm effects
      absorb the median share itself in a balanced panel, which is then left out with a warning.
    - `market_shock`: adds the shocks of the market's other firms, weighted by their shares. Eq. 22 has it, eq. 23 does
      not: where firms of a market make the same products their shocks are alike, and without it the ratio is too
      close to zero. Its coefficient is beta_3 too.
    - `columns`: of KO Table 3, by year effects only, with lagged growth, with firm effects, with both.

    **Raises:** `DataError` for panels that cannot be used, `ModelError` for arguments out of range.
    """
    if share not in ("payroll", "median"):
        raise ModelError(f"share must be 'payroll' or 'median', found {share!r}")
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise ModelError(f"columns must be among {', '.join(COLUMNS)}, found {', '.join(map(str, unknown))}")
    growth = with_shares(growth_with_shock(panel, products, shipments, leave_out), share)
    regressors = ["shock", "share", "shock_share", *(["market_shock"] if market_shock else [])]
    return EmploymentResponses({name: _column(growth, regressors, *COLUMNS[name]) for name in columns})


def with_shares(growth: pd.DataFrame, share: Share) -> pd.DataFrame:
    """Rows of `firm_growth` with share, shock_share, and market_shock: sum of shares times shocks of other firms."""
    if share == "median":
        total = growth.groupby("market_year").firm_employment.transform("sum")
        growth = growth.assign(share=growth.firm_employment / total)
    else:
        growth = growth.assign(share=growth.payroll_share)
    product = growth.share * growth.shock
    others = product.groupby(growth.market_year).transform("sum") - product
    return growth.assign(shock_share=product, market_shock=others)


def _column(growth: pd.DataFrame, regressors, effects: tuple[str, ...], lagged: bool) -> Regression:
    rows = growth.dropna(subset=["lagged_growth"]) if lagged else growth
    if "firm" in effects:  # a firm with one row has an effect that fits it
        rows = rows[rows.duplicated("firm", keep=False)]
    covariates = [*regressors, *(["lagged_growth"] if lagged else [])]
    return regress(rows, "employment_growth", covariates, effects=effects, cluster="firm")
