"""Iterative proportional fitting: a table with given margins and the odds ratios of another (Deming, Stephan 1940).

The fitted table is the one nearest to the first in relative entropy among those with the margins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spatialjax.errors import DataError

Array = np.ndarray


@dataclass(frozen=True)
class Fit:
    """A fitted table, sweeps made, and the largest relative gap between its margins and those wanted."""

    table: Array
    sweeps: int
    error: float


def fit_margins(
    start: Array,
    margins: Mapping[Sequence[int], Array],
    *,
    tolerance: float = 1e-12,
    max_sweeps: int = 10_000,
    source: str = "proportional fitting",
) -> Fit:
    """Scale a table until its margins are those wanted.

    **Arguments:**

    - `start`: a table of any number of axes, zero or positive; its zeros stay.
    - `margins`: sums wanted, by the axes that they keep: `{(0, 1): ..., (1, 2): ...}`.
    - `tolerance`: on the largest gap, relative to the margin.

    **Raises:** `DataError` where margins differ in their totals, ask for something where the table is zero, or cannot
    be met together.
    """
    wanted = {tuple(axes): np.asarray(margin, float) for axes, margin in margins.items()}
    _check(np.asarray(start, float), wanted, source)
    table, error = np.array(start, float), np.inf
    for sweep in range(1, max_sweeps + 1):
        for axes, margin in wanted.items():
            found = _margin(table, axes)
            factor = np.divide(margin, found, out=np.zeros_like(margin), where=found > 0)
            table *= _spread(factor, axes, table.ndim)
        last, error = error, max(_gap(_margin(table, axes), margin) for axes, margin in wanted.items())
        if error <= tolerance or (sweep > 50 and error < 1e-9 and error >= last):
            return Fit(table, sweep, error)
    raise DataError(
        source,
        [f"margins are not met after {max_sweeps} sweeps (largest relative gap {error:.1e}); they may contradict"],
    )


def _margin(table: Array, axes: tuple[int, ...]) -> Array:
    return table.sum(tuple(axis for axis in range(table.ndim) if axis not in axes))


def _spread(factor: Array, axes: tuple[int, ...], ndim: int) -> Array:
    return np.expand_dims(factor, tuple(axis for axis in range(ndim) if axis not in axes))


def _gap(found: Array, wanted: Array) -> float:
    return float(np.max(np.abs(found - wanted) / np.where(wanted > 0, wanted, 1.0), initial=0.0))


def _check(start: Array, wanted: Mapping[tuple[int, ...], Array], source: str) -> None:
    problems = []
    if not (np.isfinite(start) & (start >= 0)).all():
        problems.append("the table to start from must be zero or positive")
    totals = {axes: float(margin.sum()) for axes, margin in wanted.items()}
    if max(totals.values()) - min(totals.values()) > 1e-9 * max(totals.values()):
        problems.append(f"margins differ in their totals: {', '.join(f'{total:.10g}' for total in totals.values())}")
    for axes, margin in wanted.items():
        found = _margin(start, axes)
        if not (np.isfinite(margin) & (margin >= 0)).all():
            problems.append(f"the margin over axes {axes} must be zero or positive")
        elif (bad := (found == 0) & (margin > 0)).any():
            where = tuple(np.argwhere(bad)[0].tolist())
            problems.append(f"the margin over axes {axes} is positive at {where}, where the table is zero")
    if problems:
        raise DataError(source, problems)
