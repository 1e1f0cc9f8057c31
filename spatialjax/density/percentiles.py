"""Percentiles of earnings within places, means by percentile with bands, and places grouped by density.

FF Figures 3, 4, D.1 and D.2 rank establishments in the earnings of their CBSA, take means of an outcome in each of 100
bins, and average three neighbouring bins.
"""

import warnings

import numpy as np
import pandas as pd
from scipy import stats

from spatialjax.errors import DataError, EstimationWarning
from spatialjax.estimation.regression import CONFIDENCE

PERCENTILES = 100
GROUPS = ("low", "middle", "high")
NAMED = 5
"""How many places a message names."""


def percentile(values: np.ndarray, places: np.ndarray | None = None, ties: np.ndarray | None = None) -> np.ndarray:
    """Percentile, 1 to 100, of each value within its place: ceil(100 rank / number); without places, among all.

    Equal values rank by `ties` (identifiers), and where these are equal too by their order in the panel.

    **Raises:** `DataError` for values that are not finite.

    **Warns:** `EstimationWarning` naming places with fewer than 100 values, where percentiles stay empty.
    """
    values = np.asarray(values, float)
    if not np.isfinite(values).all():
        raise DataError("percentiles", [f"{(~np.isfinite(values)).sum()} of {len(values)} values are not finite"])
    codes, labels = (np.zeros(len(values), np.int16), None) if places is None else pd.factorize(places)
    order = _sorted(values, codes, ties)
    counts = np.bincount(codes)
    if labels is not None:
        _warn_of_small(labels, counts)
    first = np.cumsum(counts) - counts
    rank = np.arange(1, len(values) + 1) - np.repeat(first, counts)
    result = np.empty(len(values), np.int8)
    result[order] = -(-rank * PERCENTILES // np.repeat(counts, counts))
    return result


def _sorted(values: np.ndarray, codes: np.ndarray, ties: np.ndarray | None) -> np.ndarray:
    order = np.argsort(values, kind="stable") if ties is None else np.lexsort((ties, values))
    small = codes.astype(np.int16) if codes.max(initial=0) < 2**15 else codes  # 16 bits are sorted by radix
    return order[np.argsort(small[order], kind="stable")]


def _warn_of_small(labels, counts: np.ndarray) -> None:
    small = np.flatnonzero(counts < PERCENTILES)
    if len(small):
        named = ", ".join(f"{labels[n]} ({counts[n]})" for n in small[:NAMED])
        more = f" and {len(small) - NAMED} more" if len(small) > NAMED else ""
        message = f"CBSAs with fewer than {PERCENTILES} establishments leave percentiles empty: {named}{more}"
        warnings.warn(message, EstimationWarning, stacklevel=3)


def percentile_means(
    outcome: np.ndarray, percentiles: np.ndarray, clusters: np.ndarray | None = None, *, window: int = 3
) -> pd.DataFrame:
    """Mean of an outcome in each percentile, averaged over a centred window of percentiles, with 95 percent bands.

    The window's mean is the plain average of the means of its percentiles. At the ends it is cut: with three, the first
    and last percentiles average two. Percentiles without observations are left out of averages.

    **Arguments:**

    - `clusters`: groups (CBSAs) within which outcomes may be correlated; without, observations are independent.
      FF do not say which of the two their bands use.
    - `window`: an odd number of percentiles; 1 does not smooth.

    **Returns:** a row for each percentile: mean, standard_error, lower, upper (normal bands), observations (of the
    percentile itself).
    """
    bins = np.asarray(percentiles).astype(np.intp) - 1
    outcome = np.asarray(outcome, float)
    count = np.bincount(bins, minlength=PERCENTILES)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.bincount(bins, outcome, PERCENTILES) / count
    weights = _window_weights(count > 0, window)
    deviation = (outcome - means[bins]) / count[bins]
    if clusters is None:
        variance = _independent(deviation, bins, count, weights)
    else:
        variance = _clustered(deviation, bins, pd.factorize(clusters)[0], weights)
    smooth = np.where(weights.sum(1) > 0, weights @ np.nan_to_num(means), np.nan)
    return with_bands(smooth, np.sqrt(variance), count)


def difference(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The means of one set of establishments less those of another, independent of it, with bands."""
    error = np.hypot(first["standard_error"], second["standard_error"])
    count = first["observations"] + second["observations"]
    return with_bands((first["mean"] - second["mean"]).to_numpy(), error.to_numpy(), count.to_numpy())


def with_bands(mean: np.ndarray, error: np.ndarray, observations: np.ndarray) -> pd.DataFrame:
    """A table by percentile of means with 95 percent normal bands."""
    half = stats.norm.ppf(0.5 + CONFIDENCE / 2) * error
    columns = {"mean": mean, "standard_error": error, "lower": mean - half, "upper": mean + half}
    index = pd.RangeIndex(1, PERCENTILES + 1, name="percentile")
    return pd.DataFrame({**columns, "observations": observations}, index)


def _window_weights(filled: np.ndarray, window: int) -> np.ndarray:
    """Weights [percentile, percentile averaged], rows adding up to one (zero where a window is empty)."""
    steps = np.abs(np.subtract.outer(np.arange(PERCENTILES), np.arange(PERCENTILES)))
    weights = (steps <= window // 2) * filled[None, :].astype(float)
    return weights / np.maximum(weights.sum(1, keepdims=True), 1)


def _independent(deviation: np.ndarray, bins: np.ndarray, count: np.ndarray, weights: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(count > 1, count / (count - 1), np.nan)
    own = np.bincount(bins, deviation**2, PERCENTILES) * np.where(count > 0, factor, 0)
    return np.einsum("pq,q->p", weights**2, own)


def _clustered(deviation: np.ndarray, bins: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Variance from sums over a cluster of each observation's influence on a window's mean, times G / (G - 1)."""
    number = int(codes.max(initial=0)) + 1
    cells = np.bincount(codes * PERCENTILES + bins, deviation, number * PERCENTILES)
    influence = cells.reshape(number, PERCENTILES) @ weights.T
    return (influence**2).sum(0) * (number / (number - 1) if number > 1 else np.nan)


def density_groups(cbsas: pd.DataFrame, share: float = 0.25) -> pd.Series:
    """Which CBSAs are of "low", "middle" or "high" density: the bottom and top quarter, 91 each of 363 (FF Figure 3).

    Equal densities rank by code. **Raises:** `DataError` for densities that are not above zero.
    """
    density = cbsas["density"].to_numpy(float)
    if not (density > 0).all():
        named = ", ".join(str(code) for code in cbsas.index[~(density > 0)][:NAMED])
        raise DataError("table of CBSAs", [f"column density is not above zero in CBSAs {named}"])
    number = int(np.floor(share * len(cbsas) + 0.5))
    rank = np.empty(len(cbsas), int)
    rank[np.lexsort((cbsas.index.to_numpy(), density))] = np.arange(len(cbsas))
    group = np.where(rank < number, "low", np.where(rank >= len(cbsas) - number, "high", "middle"))
    return pd.Series(group, cbsas.index, name="density_group")


def look_up(values: pd.Series, codes: pd.Series, source: str = "panel of establishments") -> np.ndarray:
    """The value that belongs to each code of a CBSA.

    **Raises:** `DataError` naming codes that are not in the table.
    """
    positions = values.index.get_indexer(codes.to_numpy())
    if (positions < 0).any():
        unknown = np.unique(codes.to_numpy()[positions < 0])
        named = ", ".join(str(code) for code in unknown[:NAMED])
        problem = f"column {codes.name} has {len(unknown)} codes that the table of CBSAs lacks: {named}"
        raise DataError(source, [f"{problem}; leave these rows out or add the CBSAs"])
    return values.to_numpy()[positions]
