"""Outliers of average earnings, and what is put in their place (FF appendix A)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatialjax.errors import DataError

BOUND = 1.96
"""Largest accepted distance of earnings from others, on a scale from -2 to 2: a factor of 99."""
CASES = ("both", "lag only", "lead only", "neither")
"""Which neighbouring years have earnings."""
REPLACEMENTS = ("none", "neighbours", "median")


@dataclass(frozen=True, eq=False)
class Imputation:
    """Cleaned earnings. `replacement` has a position in `REPLACEMENTS` for each row, `case` one in `CASES`.

    `medians` are the earnings of industries by year before imputation, with index (industry2, year).
    """

    earnings: np.ndarray
    replacement: np.ndarray
    case: np.ndarray
    medians: pd.Series

    @property
    def imputed(self) -> np.ndarray:
        """Which rows were imputed."""
        return self.replacement > 0

    @property
    def share(self) -> float:
        """Share of rows that were imputed; FF have less than 0.001."""
        return float(self.imputed.mean())

    @property
    def counts(self) -> pd.DataFrame:
        """Rows by case (which neighbours have earnings) and by what replaced the earnings."""
        width = len(REPLACEMENTS)
        cells = np.bincount(self.case.astype(np.int16) * width + self.replacement, minlength=len(CASES) * width)
        return pd.DataFrame(cells.reshape(len(CASES), width), pd.Index(CASES, name="case"), REPLACEMENTS)


def symmetric_growth(earnings: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(w - v) / ((w + v) / 2), between -2 and 2 (Davis, Haltiwanger and Schuh); 0 where both are zero."""
    total = np.asarray(earnings) + reference
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total == 0, 0.0, 2 * (earnings - reference) / total)


def impute_earnings(
    earnings: np.ndarray,
    earnings_lag: np.ndarray,
    earnings_lead: np.ndarray,
    industry2: np.ndarray,
    year: np.ndarray,
) -> Imputation:
    """Replace outliers of average earnings by appendix A of FF.

    With w the earnings of year t, m the median of the two-digit industry in that year, and
    d(w, v) = |w - v| / ((w + v) / 2), earnings are imputed where d(w, m) > 1.96, or where the growth from the lag and
    that to the lead exceed 1.96 in absolute value: both of them where there are both, the one that there is where there
    is one. They become the neighbour's earnings, or the mean of both neighbours', if these are within 1.96 of m, and m
    otherwise and without neighbours. Values exactly at 1.96 are accepted. Medians are those before imputation.

    **Arguments:**

    - `earnings_lag`, `earnings_lead`: earnings a year before and after, NaN where there is no employment.

    **Raises:** `DataError` for earnings that are missing, infinite or negative, and for arrays of different lengths.
    """
    arrays = [np.asarray(x) for x in (earnings, earnings_lag, earnings_lead, industry2, year)]
    _check(*arrays)
    w, lag, lead, industry2, year = arrays
    medians, m = _medians(w, industry2, year)
    has_lag, has_lead = ~np.isnan(lag), ~np.isnan(lead)
    case = (np.int8(3) - 2 * has_lag.astype(np.int8) - has_lead).astype(np.int8)
    changed = (has_lag | has_lead) & (_beyond(w, lag) | ~has_lag) & (_beyond(w, lead) | ~has_lead)
    rows = np.flatnonzero(changed | _beyond(w, m))
    cleaned, replacement = w.copy(), np.zeros(len(w), np.int8)
    cleaned[rows], replacement[rows] = _replacements(lag[rows], lead[rows], m[rows])
    return Imputation(cleaned, replacement, case, medians)


def _beyond(earnings: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Whether |growth| > 1.96; False where the reference is missing."""
    with np.errstate(invalid="ignore"):
        return np.abs(symmetric_growth(earnings, reference)) > BOUND


def _replacements(lag: np.ndarray, lead: np.ndarray, median: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The neighbours' earnings, or the mean of both, unless there are none or they are extreme: then the median."""
    number = (~np.isnan(lag)).astype(int) + ~np.isnan(lead)
    with np.errstate(invalid="ignore", divide="ignore"):
        neighbours = (np.nan_to_num(lag) + np.nan_to_num(lead)) / number
    use_median = (number == 0) | _beyond(neighbours, median)
    kind = np.where(use_median, REPLACEMENTS.index("median"), REPLACEMENTS.index("neighbours"))
    return np.where(use_median, median, neighbours), kind


def _medians(earnings: np.ndarray, industry2: np.ndarray, year: np.ndarray) -> tuple[pd.Series, np.ndarray]:
    """Medians by industry and year, and for each row."""
    frame = pd.DataFrame({"industry2": industry2, "year": year}, copy=False)
    groups = frame.groupby(["industry2", "year"], sort=True)
    codes = groups.ngroup().to_numpy()
    order = np.argsort(codes, kind="stable")
    bounds = np.cumsum(np.bincount(codes))[:-1]
    values = np.array([np.median(part) for part in np.split(earnings[order], bounds)], earnings.dtype)
    return pd.Series(values, groups.size().index, name="median_earnings"), values[codes]


def _check(earnings, lag, lead, industry2, year) -> None:
    names = ("earnings", "earnings_lag", "earnings_lead", "industry2", "year")
    lengths = {name: len(x) for name, x in zip(names, (earnings, lag, lead, industry2, year), strict=True)}
    if len(set(lengths.values())) > 1:
        raise DataError("imputation", [f"arrays differ in length: {lengths}"])
    problems = ["there are no rows"] if not len(earnings) else []
    bad = np.flatnonzero(~(np.isfinite(earnings) & (earnings >= 0)))
    if len(bad):
        rows = ", ".join(map(str, bad[:3]))
        problems.append(
            f"earnings are missing, infinite or negative in {len(bad)} rows (first: {rows}): leave them out"
        )
    for name, values in (("earnings_lag", lag), ("earnings_lead", lead)):
        bad = np.flatnonzero((values < 0) | np.isinf(values))
        if len(bad):
            rows = ", ".join(map(str, bad[:3]))
            problems.append(f"{name} is negative or infinite in {len(bad)} rows (first: {rows}); NaN stands for none")
    if problems:
        raise DataError("imputation", problems)
