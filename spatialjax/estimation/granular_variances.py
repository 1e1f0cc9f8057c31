"""Variances of productivity shocks of sectors and of firms, from means over N firms (KO eqs. 20 and 21)."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from spatialjax.errors import DataError, EstimationWarning, ModelError
from spatialjax.estimation.granular_checks import KEYS, check_granular_panel
from spatialjax.estimation.granular_growth import firm_growth
from spatialjax.estimation.granular_panel import Shocks, check_shocks

Weighting = Literal["efficient", "equal"]
LARGEST_NUMBER = 99
"""Of firms in a sector, in KO's moments."""


@dataclass(frozen=True)
class VarianceEstimates:
    """Variances of log productivity shocks that a sector shares and of a firm's own.

    `covariance` is of both, clustered by market. `fit` has a row for each number of firms: market_years, variance (of
    mean shocks, in the data) and predicted.
    """

    sector_variance: float
    firm_variance: float
    covariance: np.ndarray
    profit_share: float
    shocks: Shocks
    fit: pd.DataFrame

    @property
    def standard_errors(self) -> tuple[float, float]:
        """Of the sector variance and of the firm variance."""
        sector, firm = np.sqrt(np.diag(self.covariance))
        return float(sector), float(firm)


def profit_share(panel: pd.DataFrame, *, year: int | None = None) -> float:
    """Eta: share of sales that is not paid to workers, 1 - sum wage_bill / sum sales, in a year or in all.

    Labour is the model's only input that is paid for: where sales are gross of materials, use value added.

    **Raises:** `DataError` where wages are not between nothing and sales, or there are no rows.
    """
    check_granular_panel(panel, columns=(*KEYS, "wage_bill", "sales"), several_years=False)
    rows = panel if year is None else panel[panel.year == year]
    if rows.empty:
        raise DataError("panel of firms", [f"there are no rows of year {year}"])
    share = 1 - float(rows.wage_bill.sum() / rows.sales.sum())
    if share <= 0:
        raise DataError("panel of firms", [f"wage bills are {1 - share:.3g} of sales: give both in one unit of money"])
    return share


def estimate_shock_variances(
    panel: pd.DataFrame,
    profit_share: float,
    *,
    shocks: Shocks = "levels",
    weighting: Weighting = "efficient",
    largest_number: int = LARGEST_NUMBER,
) -> VarianceEstimates:
    """Variances of shocks by the generalised method of moments: sigma^2(N) = varS + varN / N (KO eq. 21).

    The change of a firm's log productivity is that of log sales less (1 - eta) times that of log employment (KO
    eq. 20); sigma^2(N) is the variance of its mean over the N firms of a market, over markets and years with N firms.

    **Arguments:**

    - `panel`: location, sector, firm, year, employment, wage_bill, sales.
    - `profit_share`: eta (`profit_share`).
    - `shocks`: "changes" takes changes for the shocks, as KO do; "levels" halves their variance, as that of changes is
      twice that of levels that are independent from year to year.
    - `weighting`: of moments: "efficient", by the inverse of their variance at a first estimate, or "equal".

    Both are kept from falling below zero.

    **Raises:** `DataError` for panels that cannot be used or with one number of firms only; `ModelError` for arguments
    out of range.

    **Warns:** `EstimationWarning` where a variance is zero at its bound.
    """
    if not 0 < profit_share < 1:
        raise ModelError(f"profit_share must be between 0 and 1, found {profit_share}")
    check_shocks(shocks)
    if weighting not in ("efficient", "equal"):
        raise ModelError(f"weighting must be 'efficient' or 'equal', found {weighting!r}")
    check_granular_panel(panel)
    means = _mean_shocks(firm_growth(panel), profit_share, largest_number)
    if shocks == "levels":
        means["squared"] /= 2
    fit = _moments(means)
    number, variance, count = fit.index.to_numpy().astype(float), fit.variance.to_numpy(), fit.market_years.to_numpy()
    design = np.column_stack([np.ones_like(number), 1 / number])
    weights = np.ones_like(number)
    if weighting == "efficient":  # the variance of a variance is as its square; first as if all were the firms' own
        weights = count / (design @ _least_squares(design, variance, count * number**2)) ** 2
    estimate = _least_squares(design, variance, weights)
    if (estimate == 0).any():
        name = ("sector", "firm")[int(np.argmin(estimate))]
        message = f"the {name} variance is zero at its bound: its standard error says nothing"
        warnings.warn(message, EstimationWarning, stacklevel=2)
    return VarianceEstimates(
        sector_variance=float(estimate[0]),
        firm_variance=float(estimate[1]),
        covariance=_covariance(means, fit, design, weights),
        profit_share=profit_share,
        shocks=shocks,
        fit=fit.assign(predicted=design @ estimate),
    )


def _mean_shocks(growth: pd.DataFrame, profit_share: float, largest_number: int) -> pd.DataFrame:
    """Number of firms and squared deviation of the mean shock, a row for each market and year."""
    shock = growth.sales_growth - (1 - profit_share) * growth.employment_growth
    rows = growth.assign(shock=shock)[["market_year", "market", "shock"]].groupby("market_year")
    means = rows.agg(market=("market", "first"), number=("shock", "size"), mean=("shock", "mean"))
    means = means[means.number <= largest_number].copy()
    means["squared"] = (means["mean"] - means.groupby("number")["mean"].transform("mean")) ** 2
    return means


def _moments(means: pd.DataFrame) -> pd.DataFrame:
    """Variance of mean shocks by number of firms, where two markets and years have it."""
    table = means.groupby("number").squared.agg(["size", "sum"])
    table = table[table["size"] > 1]
    if len(table) < 2:
        raise DataError("panel of firms", ["markets have one number of firms only: two variances need two at least"])
    return pd.DataFrame({"market_years": table["size"], "variance": table["sum"] / (table["size"] - 1)})


def _least_squares(design: np.ndarray, outcome: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted least squares on two columns, neither coefficient below zero."""
    root = np.sqrt(weights / weights.max())
    return nnls(design * root[:, None], outcome * root)[0]


def _covariance(means: pd.DataFrame, fit: pd.DataFrame, design: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sandwich of the minimum distance; each market adds what its years have to say."""
    weighted = design * weights[:, None]
    bread = np.linalg.inv(design.T @ weighted)
    rows = means[means.number.isin(fit.index)]
    at = fit.index.get_indexer(rows.number)
    deviation = rows.squared.to_numpy() - fit.variance.to_numpy()[at]
    score = (weighted / (fit.market_years.to_numpy() - 1)[:, None])[at] * deviation[:, None]
    by_market = pd.DataFrame(score).groupby(rows.market.to_numpy()).sum().to_numpy()
    return bread @ (by_market.T @ by_market) @ bread
