"""Variances of wage bills and of employment by the number of firms in a market (KO Propositions 5 and 6, Figure 3)."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import pandas as pd

from spatialjax.errors import DataError, ModelError
from spatialjax.estimation.granular_checks import KEYS, check_granular_panel
from spatialjax.estimation.granular_panel import Shocks, check_shocks
from spatialjax.granular.parameters import Parameters
from spatialjax.granular.predictions import employment_variance, wage_bill_variance

BINS = (1, 2, 3, 4, 5, 7, 10, 15, 25, 50, 100)
"""Least numbers of firms of bins."""
FEWEST_YEARS = 3


def wage_bill_moments(
    panel: pd.DataFrame, *, shocks: Shocks = "levels", parameters: Parameters | None = None, bins: Sequence[int] = BINS
) -> pd.DataFrame:
    """Variance over time of markets' log wage bills, by the number of their firms (KO Proposition 5, Figure 3a).

    **Arguments:**

    - `panel`: location, sector, firm, year, employment, wage_bill. Firms that are not there in all years are left
      out, so that entry and exit are no shocks.
    - `shocks`: "levels" takes the variance of log levels, "changes" that of their one-year changes.
    - `parameters`: adds what the model predicts at the markets' Herfindahl indices; the prediction knows productivity
      shocks to first order, and no shocks to labour supply.
    - `bins`: least numbers of firms, ascending; the last bin has no upper end.

    **Returns:** a row for each bin with markets: firms (their mean number), markets, herfindahl (mean over markets, by
    shares of median employment), variance (mean over markets), standard_error, log_ratio (log of the variance over
    that of the first bin, KO's normalisation) and, with `parameters`, predicted and predicted_log_ratio.

    **Raises:** `DataError` for panels that cannot be used, `ModelError` for arguments out of range.
    """
    firms = _balanced(panel, shocks)
    totals = firms.groupby(["market", "year"], as_index=False).wage_bill.sum()
    variance = _variance(totals, "market", "wage_bill", shocks)
    return _binned(firms, variance, bins, parameters and (lambda h: wage_bill_variance(h, parameters)))


def employment_moments(
    panel: pd.DataFrame, *, shocks: Shocks = "levels", parameters: Parameters | None = None, bins: Sequence[int] = BINS
) -> pd.DataFrame:
    """Variance over time of firms' log employment, averaged within markets by share of median employment.

    KO Proposition 6 and Figure 3b. Arguments, results and errors as in `wage_bill_moments`.
    """
    firms = _balanced(panel, shocks)
    of_firm = _variance(firms, "firm", "employment", shocks)
    shares = _shares(firms)
    variance = (shares.set_index("firm").share * of_firm).groupby(shares.set_index("firm").market).sum()
    return _binned(firms, variance, bins, parameters and (lambda h: employment_variance(h, parameters)))


def _balanced(panel: pd.DataFrame, shocks: Shocks) -> pd.DataFrame:
    check_shocks(shocks)
    check_granular_panel(panel, columns=(*KEYS, "employment", "wage_bill"))
    years = panel.year.nunique()
    kept = panel[panel.groupby("firm").year.transform("size") == years]
    problems = [] if len(kept) else ["no firm has a row in all years"]
    if years < FEWEST_YEARS:
        problems.append(f"variances over time need {FEWEST_YEARS} years at least, found {years}")
    if shocks == "changes" and np.ptp(panel.year.to_numpy()) != years - 1:
        problems.append("one-year changes need consecutive years: a year is missing from the whole panel")
    if problems:
        raise DataError("panel of firms", problems)
    market = kept.groupby(["location", "sector"], sort=True).ngroup()
    return kept.assign(market=market).sort_values(["firm", "year"])


def _variance(rows: pd.DataFrame, unit: str, column: str, shocks: Shocks) -> pd.Series:
    """Variance over time of the log of a column, by unit; all units have all years, in order."""
    ordered = rows.sort_values([unit, "year"])
    logs = np.log(ordered[column].to_numpy()).reshape(ordered[unit].nunique(), -1)
    series = np.diff(logs, axis=1) if shocks == "changes" else logs
    return pd.Series(series.var(axis=1, ddof=1), ordered[unit].unique())


def _shares(firms: pd.DataFrame) -> pd.DataFrame:
    """Shares of firms in the median employment of their market."""
    medians = firms.groupby(["market", "firm"], as_index=False).employment.median()
    return medians.assign(share=medians.employment / medians.groupby("market").employment.transform("sum"))


def _binned(firms: pd.DataFrame, variance: pd.Series, bins: Sequence[int], predict) -> pd.DataFrame:
    if len(bins) == 0 or bins[0] > 1 or np.any(np.diff(bins) <= 0):
        raise ModelError("bins must be ascending least numbers of firms, the first one")
    shares = _shares(firms)
    by_market = shares.assign(squared=shares.share**2).groupby("market")
    markets = by_market.agg(firms=("firm", "size"), herfindahl=("squared", "sum")).assign(variance=variance)
    if predict:
        markets["predicted"] = np.asarray(predict(jnp.asarray(markets.herfindahl.to_numpy())))
    grouped = markets.groupby(np.digitize(markets.firms, bins))
    table = grouped.mean().assign(
        markets=grouped.size(), standard_error=grouped.variance.std(ddof=1) / np.sqrt(grouped.size())
    )
    table["log_ratio"] = np.log(table.variance / table.variance.iloc[0])
    if predict:
        table["predicted_log_ratio"] = np.log(table.predicted / table.predicted.iloc[0])
    return table.reset_index(drop=True)
