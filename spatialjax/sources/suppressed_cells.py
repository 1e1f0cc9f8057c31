"""Imputation of employment that County Business Patterns suppresses.

Each suppressed cell gets an estimate and bounds; where the total of its two-digit industry is published, the suppressed
cells below it are scaled so that they add up to what is left, within their bounds.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from spatialjax.sources.business_patterns import ESTABLISHMENT_CLASSES, SIZE_CLASSES

Method = Literal["establishments", "size_class"]
SECTOR_OF = {"32": "31", "33": "31", "45": "44", "49": "48"}
"""Two-digit industries that the Bureau publishes together, under the first of their codes."""


@dataclass(frozen=True)
class OpenClasses:
    """Workers assumed in classes without an upper end: of an establishment, and of a suppressed cell."""

    establishment: float = 6000.0
    cell: float = 150_000.0


DEFAULT_OPEN_CLASSES = OpenClasses()


def impute(
    table: pd.DataFrame,
    *,
    method: Method = "establishments",
    add_up: bool = True,
    open_classes: OpenClasses = DEFAULT_OPEN_CLASSES,
) -> pd.DataFrame:
    """Fill in suppressed employment.

    **Arguments:**

    - `table`: of [`read_business_patterns`][].
    - `method`: "establishments": establishments by size times the middle of their class, no less and no more than the
      letter of the cell allows; or "size_class": the middle of the letter's class. Each stands in where the other
      cannot be had.
    - `add_up`: scale suppressed cells of three digits to the published total of their two digits, within bounds.
    - `open_classes`: where classes have no upper end.

    **Returns:** the table with `employment` complete, except where nothing at all is known, and with `imputed`: how a
    cell was found (empty: published; establishments, size_class, unknown), with "+total" where it was scaled.
    """
    suppressed = table["employment"].isna()
    low, high = _cell_bounds(table, open_classes)
    by_count, least, most = _from_establishments(table, open_classes)
    middle = (low + high) / 2
    estimate, how = (by_count, "establishments") if method == "establishments" else (middle, "size_class")
    other, other_how = (middle, "size_class") if method == "establishments" else (by_count, "establishments")
    bounds_low, bounds_high = np.fmax(low, least), np.fmin(high, most)
    crossed = bounds_low > bounds_high
    bounds_low, bounds_high = bounds_low.where(~crossed, low), bounds_high.where(~crossed, high)
    filled = estimate.where(estimate.notna(), other).clip(bounds_low, bounds_high)
    label = pd.Series(how, table.index).where(estimate.notna(), other_how).where(filled.notna(), "unknown")
    result = table.assign(
        employment=table["employment"].where(~suppressed, filled), imputed=label.where(suppressed, "")
    )
    if add_up:
        _add_up(result, bounds_low.fillna(0.0), bounds_high.fillna(np.inf))
    return result


def _cell_bounds(table: pd.DataFrame, open_classes: OpenClasses) -> tuple[pd.Series, pd.Series]:
    low = table["size_class"].map({letter: float(ends[0]) for letter, ends in SIZE_CLASSES.items()})
    high = table["size_class"].map({letter: min(ends[1], open_classes.cell) for letter, ends in SIZE_CLASSES.items()})
    return low.astype(float), high.astype(float)


def _from_establishments(table: pd.DataFrame, open_classes: OpenClasses) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Workers by counts of establishments: with the middles, lower and upper ends of classes; NaN where counts are.

    An establishment of an unknown class is one of the smallest.
    """
    counts = table[list(ESTABLISHMENT_CLASSES)]
    low = np.array([ends[0] for ends in ESTABLISHMENT_CLASSES.values()], float)
    high = np.array([min(ends[1], open_classes.establishment) for ends in ESTABLISHMENT_CLASSES.values()], float)
    known = counts.notna().any(axis=1) & (counts.sum(axis=1) > 0)
    counts = counts.fillna(0.0).to_numpy()

    def workers(size: np.ndarray) -> pd.Series:
        return pd.Series(counts @ size, table.index).where(known)

    return workers((low + high) / 2), workers(low), workers(high)


def _add_up(table: pd.DataFrame, low: pd.Series, high: pd.Series) -> None:
    """Scale suppressed cells of three digits to what the published total of their two digits leaves."""
    two = table["naics"].str[:2]
    sector = two.replace(SECTOR_OF)
    totals = table[(table["naics"].str.len() == 2) & (table["imputed"] == "")].set_index(["place", "naics"])[
        "employment"
    ]
    below = table["naics"].str.len() == 3
    for key, cells in table[below].groupby([table["place"], sector]):
        lines = cells.index[(cells["imputed"] != "") & cells["employment"].notna()]
        if key not in totals.index or not len(lines) or cells["employment"].isna().any():
            continue
        left = totals[key] - cells["employment"].drop(lines).sum()
        scaled = scaled_to(cells["employment"][lines].to_numpy(), low[lines].to_numpy(), high[lines].to_numpy(), left)
        table.loc[lines, "employment"] = scaled
        table.loc[lines, "imputed"] += "+total"


def scaled_to(estimate: np.ndarray, low: np.ndarray, high: np.ndarray, total: float) -> np.ndarray:
    """Estimates times one factor, within bounds, that sum to a total; at the bounds where it is out of reach."""
    if total <= low.sum():
        return low.copy()
    if total >= high.sum():
        return high.copy()
    start = np.maximum(estimate, 1e-9)
    # Sum of clip(t * x, low, high) rises with t: bisection in logs of t.
    left, right = -60.0, 60.0
    for _ in range(200):
        middle = (left + right) / 2
        if np.clip(np.exp(middle) * start, low, high).sum() < total:
            left = middle
        else:
            right = middle
    return np.clip(np.exp((left + right) / 2) * start, low, high)
