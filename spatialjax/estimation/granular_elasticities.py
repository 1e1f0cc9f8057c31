"""Short-run elasticities of labour supply across firms (kappa) and across markets (nu): KO 4.2, Table 1."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from spatialjax.errors import EstimationWarning, ModelError
from spatialjax.estimation.granular_growth import growth_with_shock
from spatialjax.estimation.regression import CONFIDENCE, Regression, regress

Index = Literal["payroll", "median"]
MARKET = ["market", "year", "location", "sector", "location_year", "sector_year", "weight"]
WAGE = "wage_growth"
WEAK = 10.0
"""First-stage F below which an instrument is called weak."""


@dataclass(frozen=True)
class Elasticity:
    """An elasticity of labour supply: two-stage least squares, and least squares beside it.

    The coefficient is that of wage_growth; `two_stage.first_stage_f` tells how strong the instrument is.
    """

    two_stage: Regression
    least_squares: Regression

    @property
    def estimate(self) -> float:
        """By two-stage least squares."""
        return float(self.two_stage.coefficients[WAGE])

    @property
    def standard_error(self) -> float:
        """Of the estimate by two-stage least squares."""
        return float(self.two_stage.standard_errors[WAGE])

    def confidence_interval(self, level: float = CONFIDENCE) -> tuple[float, float]:
        """Of the estimate by two-stage least squares."""
        bounds = self.two_stage.confidence_interval(level).loc[WAGE]
        return float(bounds["lower"]), float(bounds["upper"])

    def table(self) -> pd.DataFrame:
        """A column for each estimator, with the rows of KO Table 1."""
        fits = {"two-stage": self.two_stage, "least squares": self.least_squares}
        return pd.DataFrame({label: self._rows(fit) for label, fit in fits.items()})

    def _rows(self, fit: Regression) -> dict[str, float | None]:
        return {
            "elasticity": float(fit.coefficients[WAGE]),
            "standard_error": float(fit.standard_errors[WAGE]),
            "observations": fit.observations,
            "first_stage_f": fit.first_stage_f,
        }


def estimate_kappa(
    panel: pd.DataFrame,
    products: pd.DataFrame,
    *,
    shipments: pd.DataFrame | None = None,
    leave_out: bool = False,
    weighted: bool = False,
    lagged_growth: bool = False,
    cluster: str = "firm",
) -> Elasticity:
    """Kappa, by KO eq. 15: growth of firms' employment on growth of their wages, with market-year effects.

    Wages are instrumented by demand for the firm's products (`shift_share`, KO eq. 16).

    **Arguments:**

    - `panel`, `products`, `shipments`: as in `check_granular_panel`; `shipments` None sums them over the panel.
    - `leave_out`: as in `shift_share`.
    - `weighted`: by the median over years of the market's employment, as in KO's baseline. Sizes of markets have a
      thick tail: a few markets make a weighted estimate, and its standard error is too small (intervals of nu cover
      the truth 82 times in 100 where they should 95 times, those without weights 96 times).
    - `lagged_growth`: adds the growth of employment the year before, as KO do. It is consistent where shocks are to
      changes. Where shocks to levels are independent, lagged growth shares last year's taste shock with the error
      and last year's demand with the instrument, and the estimate is too small.
    - `cluster`: firm, market, location, sector, year, or another column of `firm_growth`.

    **Raises:** `DataError` for panels that cannot be used.

    **Warns:** `EstimationWarning` where the first-stage F is below 10.
    """
    growth = growth_with_shock(panel, products, shipments, leave_out)
    growth = growth[growth.duplicated("market_year", keep=False)]  # a firm alone in its market says nothing here
    return _estimate(growth, ["market_year"], weighted, lagged_growth, cluster, "kappa")


def estimate_nu(
    panel: pd.DataFrame,
    products: pd.DataFrame,
    kappa: float,
    *,
    shipments: pd.DataFrame | None = None,
    leave_out: bool = False,
    weighted: bool = False,
    lagged_growth: bool = False,
    cluster: str = "market",
    index: Index = "payroll",
) -> Elasticity:
    """Nu, by KO eq. 18: growth of markets' labour on growth of their wages, with location-year and sector-year effects.

    Labour and wages are the indices that the model implies at `kappa` (`market_growth`, which explains `index`), and
    wages are instrumented by KO eq. 19. That `kappa` is itself estimated is not in the standard error; with it,
    intervals cover the truth as they should in simulation. Other arguments as in `estimate_kappa`.

    **Raises:** `DataError` for panels that cannot be used; `ModelError` for a `kappa` that is not positive.

    **Warns:** `EstimationWarning` where the first-stage F is below 10.
    """
    growth = market_growth(growth_with_shock(panel, products, shipments, leave_out), kappa, index=index)
    return _estimate(growth, ["location_year", "sector_year"], weighted, lagged_growth, cluster, "nu")


def market_growth(growth: pd.DataFrame, kappa: float, *, index: Index = "payroll") -> pd.DataFrame:
    """Growth of markets from that of their firms (`firm_growth` with a column shock), KO 4.2 and eq. 19.

    With s[n] the share of labour committed to a firm before shocks, labour and wages of a market are

        labour = (sum_n s[n]^(-1/kappa) l[n]^((1+kappa)/kappa))^(kappa/(1+kappa)),
        wage = (sum_n s[n] w[n]^(1+kappa))^(1/(1+kappa)).

    `index` says what stands for s[n], which no one observes:

    - "median": shares of firms' median employment, as KO have it. Right where shocks come and go; where they last,
      medians hold them, and nu is too small (1.25 for 1.46 at KO's variances over 18 years).
    - "payroll": their growth in terms of payroll shares p[n] of the year before, which needs no s[n] and is exact in
      both cases: growth of labour is that of (sum_n p[n] (l'[n]/l[n])^((1+kappa)/kappa))^(kappa/(1+kappa)), of wages
      that of (sum_n p[n] (w'[n]/w[n])^(1+kappa))^(1/(1+kappa)).

    The shock is the mean of firms', by shares of median employment. Both years of a change sum over the same firms,
    those with a row in `growth`, and their shares sum to one: entry and exit do not count as growth.

    **Raises:** `ModelError` for a `kappa` that is not positive and an unknown `index`.
    """
    if not kappa > 0:
        raise ModelError(f"kappa must be positive, found {kappa}")
    if index not in ("payroll", "median"):
        raise ModelError(f"index must be 'payroll' or 'median', found {index!r}")
    power = (1 + kappa) / kappa
    median, payroll = (_within(growth, growth[name]) for name in ("firm_employment", "payroll_share"))
    if index == "payroll":
        labour_weight, wage_weight = payroll, payroll
    else:
        labour_weight = _within(growth, median ** (-1 / kappa) * growth.employment_before**power)
        wage_weight = _within(growth, median * growth.wage_before ** (1 + kappa))
    terms = {
        "labour": labour_weight * np.exp(power * growth.employment_growth),
        "wages": wage_weight * np.exp((1 + kappa) * growth.wage_growth),
        "shock": median * growth.shock,
    }
    sums = pd.DataFrame(terms).groupby(growth.market_year).sum()
    markets = growth.drop_duplicates("market_year").set_index("market_year")[MARKET].sort_index()
    markets["employment_growth"] = np.log(sums.labour) / power
    markets["wage_growth"] = np.log(sums.wages) / (1 + kappa)
    markets["shock"] = sums.shock
    before = markets[["market", "year", "employment_growth"]].assign(year=markets.year + 1)
    before = before.rename(columns={"employment_growth": "lagged_growth"})
    return markets.merge(before, on=["market", "year"], how="left")


def _within(growth: pd.DataFrame, values: pd.Series) -> pd.Series:
    """Shares in sums over the firms of a market in a year."""
    return values / values.groupby(growth.market_year).transform("sum")


def _estimate(growth, effects, weighted, lagged_growth, cluster, what: str) -> Elasticity:
    covariates = ["lagged_growth"] if lagged_growth else []
    used = growth.dropna(subset=covariates) if covariates else growth
    common = {"effects": effects, "cluster": cluster, "weights": "weight" if weighted else None}
    two_stage = regress(used, "employment_growth", covariates, endogenous=WAGE, instruments=["shock"], **common)
    least_squares = regress(used, "employment_growth", [WAGE, *covariates], **common)
    if not (two_stage.first_stage_f or 0) >= WEAK:
        warnings.warn(
            f"the instrument of {what} is weak: its first-stage F is {two_stage.first_stage_f:.3g}, below {WEAK:g}; "
            "neither the estimate nor its confidence interval should be relied on",
            EstimationWarning,
            stacklevel=3,
        )
    return Elasticity(two_stage, least_squares)
