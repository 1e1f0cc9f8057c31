"""Average earnings of establishments: payroll per worker as FF eq. (1) times it, in 1997 dollars."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from spatialjax.errors import DataError

BASE_YEAR = 1997
CONSUMER_PRICES = {
    **{1975: 53.8, 1976: 56.9, 1977: 60.6, 1978: 65.2, 1979: 72.6, 1980: 82.4, 1981: 90.9, 1982: 96.5, 1983: 99.6},
    **{1984: 103.9, 1985: 107.6, 1986: 109.6, 1987: 113.6, 1988: 118.3, 1989: 124.0, 1990: 130.7, 1991: 136.2},
    **{1992: 140.3, 1993: 144.5, 1994: 148.2, 1995: 152.4, 1996: 156.9, 1997: 160.5, 1998: 163.0, 1999: 166.6},
    **{2000: 172.2, 2001: 177.1, 2002: 179.9, 2003: 184.0, 2004: 188.9, 2005: 195.3},
}
"""Consumer Price Index for all urban consumers (CPI-U), US city average, all items, annual averages, 1982-84 = 100
(Bureau of Labor Statistics, series CUUR0000SA0)."""


def average_earnings(
    employment: np.ndarray,
    employment_lag: np.ndarray,
    payroll: np.ndarray,
    payroll_lag: np.ndarray,
    exit: np.ndarray | bool = False,
) -> np.ndarray:
    """Average earnings of year t, FF eq. (1), in the units of payroll per worker.

    P[t-1] / ((N[t] + N[t-1]) / 2) for continuing establishments, P[t] / N[t] for entrants, P[t-1] / N[t-1] for exits.

    **Arguments:**

    - `employment`, `employment_lag`: N[t] and N[t-1]; entrants are those without N[t-1] (NaN or 0).
    - `payroll`, `payroll_lag`: P[t] and P[t-1].
    - `exit`: whether t is the last year with employment. An establishment of a single year is an entrant.
    """
    entrant = ~(np.asarray(employment_lag) > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        workers = np.where(exit, employment_lag, (employment + employment_lag) / 2)
        return np.where(entrant, payroll / employment, payroll_lag / workers)


def deflator(prices: Mapping[int, float] = CONSUMER_PRICES, base: int = BASE_YEAR) -> pd.Series:
    """Factors by year that turn nominal values into those of a base year.

    **Raises:** `DataError` if the prices lack the base year or are not positive.
    """
    series = pd.Series(prices, dtype=float)
    problems = [] if base in series.index else [f"there is no price of the base year {base}"]
    bad = series.index[~(series > 0)]
    problems += [f"prices must be positive, those of {', '.join(map(str, bad))} are not"] if len(bad) else []
    if problems:
        raise DataError("consumer prices", problems)
    return series[base] / series


def measured_earnings(panel: pd.DataFrame, prices: Mapping[int, float] = CONSUMER_PRICES) -> np.ndarray:
    """Average earnings of each row of a panel by eq. (1), in 1997 dollars (in the units of payroll), before imputation.

    Each payroll is deflated by the prices of its own year: P[t-1] of continuing establishments and exits by those of
    t - 1, P[t] of entrants by those of t. FF do not say which year's prices they take; between years dummies absorb the
    difference.

    **Arguments:**

    - `panel`: columns year, employment, employment_lag, payroll, payroll_lag, exit.
    - `prices`: consumer prices by year, of which 1997 is one.

    **Raises:** `DataError` for missing columns and for years without prices.
    """
    columns = ("year", "employment", "employment_lag", "payroll", "payroll_lag", "exit")
    missing = [f"column {name} is missing" for name in columns if name not in panel.columns]
    if missing:
        raise DataError("panel", missing)
    factor = deflator(prices)
    year = panel["year"].to_numpy()
    needed = pd.Index(np.unique(np.concatenate([np.unique(year), np.unique(year) - 1])))
    absent = needed.difference(factor.index)
    if len(absent):
        raise DataError("consumer prices", [f"there is no price of {', '.join(map(str, absent))}"])
    by_year = factor.reindex(range(needed.min(), needed.max() + 1)).to_numpy()

    def real(column: str, lag: int) -> np.ndarray:
        values = panel[column].to_numpy()
        return values * by_year[year - lag - needed.min()].astype(values.dtype if values.dtype.kind == "f" else float)

    employment, lagged = panel["employment"].to_numpy(), panel["employment_lag"].to_numpy()
    return average_earnings(employment, lagged, real("payroll", 0), real("payroll_lag", 1), panel["exit"].to_numpy())
