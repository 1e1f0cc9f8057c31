"""Columns of a design that are made a part of the rows at a time, and the effects that are taken out of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatialjax.errors import ConvergenceError
from spatialjax.estimation.libraries import library

Term = str | tuple[str, str]
"""A column, or (category, column): the column with a coefficient for each value of the category."""

Within = Callable[[np.ndarray], np.ndarray]
"""Columns [row, column] less their projection on effects."""

MAXIMUM_ITERATIONS = 10_000


@dataclass(frozen=True, eq=False)
class Column:
    """A column of the design: values, or their product with the indicator of one value (level) of a category."""

    name: str
    values: np.ndarray
    category: np.ndarray | None = None
    level: int = 0

    def rows(self, part: slice) -> np.ndarray:
        """The column in some rows."""
        values = self.values[part].astype(float)
        return values if self.category is None else values * (self.category[part] == self.level)


def expanded(panel: pd.DataFrame, terms: Sequence[Term]) -> Iterator[Column]:
    """The columns of terms, named as `regress` does: "column", or "category::value:column" for each value."""
    for term in terms:
        if isinstance(term, str):
            yield Column(term, panel[term].to_numpy())
        else:
            codes, levels = pd.factorize(panel[term[0]], sort=True)
            codes, values = codes.astype(np.min_scalar_type(len(levels))), panel[term[1]].to_numpy()
            for level, value in enumerate(levels):
                yield Column(f"{term[0]}::{value}:{term[1]}", values, codes, level)


def built(columns: Sequence[Column], part: slice = slice(None)) -> np.ndarray:
    """Some rows of columns side by side, in column order so that each is contiguous."""
    return np.stack([column.rows(part) for column in columns]).T


def effect_codes(panel: pd.DataFrame, effects: Sequence[str]) -> np.ndarray:
    """Codes of the levels of each effect from 0, [row, effect]; "a^b" are pairs; one level where there are none."""
    codes = np.zeros((len(panel), max(1, len(effects))), np.uint64, order="F")
    for position, effect in enumerate(effects):
        codes[:, position] = panel.groupby(effect.split("^"), sort=False, observed=True).ngroup()
    return codes


def demeaner(codes: np.ndarray, tolerance: float) -> Within:
    """Projection off the effects, by pyfixest.

    **Raises:** (the projection) `ConvergenceError` if pyfixest does not reach the tolerance.
    """
    demean = library("pyfixest.estimation").demean
    ones = np.ones(len(codes))

    def within(block: np.ndarray) -> np.ndarray:
        result, converged = demean(block, codes, ones, tolerance, MAXIMUM_ITERATIONS)
        if not converged:
            raise ConvergenceError(f"effects were not absorbed to {tolerance}; raise the tolerance or drop an effect")
        return result

    return within


def absorbed_parameters(codes: np.ndarray, clusters: np.ndarray) -> int:
    """Parameters that effects take: levels, less one for each effect after the first; nested effects take one."""
    levels = codes.max(0).astype(int) + 1
    nested = np.array([_nested(codes[:, effect], clusters) for effect in range(codes.shape[1])])
    return int(levels[~nested].sum() + nested.sum() - (len(levels) - 1))


def _nested(codes: np.ndarray, clusters: np.ndarray) -> bool:
    """Whether there is more than one level, and all rows of each are in one cluster."""
    if codes.max() == 0:
        return False
    first = np.empty(int(codes.max()) + 1, clusters.dtype)
    first[codes] = clusters
    return bool((first[codes] == clusters).all())
