"""Least squares and two-stage least squares with many columns, by cross-products that are accumulated in chunks.

With M the projection off absorbed effects, 2SLS needs Z'MZ, Z'MX and Z'My only. M is pyfixest's demeaner, applied to a
block of columns at a time; because M M = M, the block is multiplied with columns as they are, which are made a chunk of
rows at a time. No array is larger than the block, whatever the number of columns: 290 columns of 10 million rows (FF
Figure C.5) would take 23 GB at once.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatialjax.errors import EstimationWarning, ModelError
from spatialjax.estimation.design import (
    Column,
    Term,
    Within,
    absorbed_parameters,
    built,
    demeaner,
    effect_codes,
    expanded,
)
from spatialjax.estimation.regression import Regression, check_columns

CHUNK = 2**14
COPIES = 4
"""Arrays of the size of a block that are held at once: the block, the demeaned block, and the work of the demeaner."""
COLLINEAR = 1e-9
"""Share of a column's sum of squares below which it counts as a combination of effects and earlier columns."""


@dataclass(frozen=True)
class Solution:
    """Coefficients of 2SLS; `projection` turns instruments into fitted regressors; `bread` inverts their products."""

    coefficients: np.ndarray
    projection: np.ndarray
    bread: np.ndarray


def regress_in_chunks(
    panel: pd.DataFrame,
    outcome: str,
    regressors: Sequence[Term] = (),
    *,
    cluster: str,
    effects: Sequence[str] = (),
    endogenous: Sequence[Term] = (),
    instruments: Sequence[Term] = (),
    memory: float = 4.0,
    tolerance: float = 1e-10,
) -> Regression:
    """Least squares, or two-stage least squares with any number of endogenous columns, in bounded memory.

    The same estimates and clustered errors as `regress`: CRV1 with the factors G/(G-1) and (N-1)/(N-k), effects nested
    in clusters not counted in k. Without effects a constant is absorbed. Names are those of `regress`, endogenous
    columns first.

    **Arguments:**

    - `regressors`, `endogenous`, `instruments`: columns, or (category, column) for the column by category.
    - `memory`: gigabytes for blocks of columns; more needs fewer passes. At least one column is held.
    - `tolerance`: of the demeaner.

    **Raises:** `DataError` for columns that are missing or not finite, and for a single cluster; `ModelError` with
    fewer instruments than endogenous columns; `ConvergenceError` if the demeaner does not converge.

    **Warns:** `EstimationWarning` naming collinear columns, which are left out.
    """
    _check_terms(panel, outcome, [*endogenous, *regressors, *instruments], effects, cluster)
    y = Column(outcome, panel[outcome].to_numpy())
    x = list(expanded(panel, [*endogenous, *regressors]))
    z = list(expanded(panel, [*regressors, *instruments])) if endogenous else x
    codes, clusters = effect_codes(panel, effects), pd.factorize(panel[cluster])[0]
    within, width = demeaner(codes, tolerance), max(1, int(memory * 1e9 / (8 * COPIES * len(panel))))
    products, squares = cross_products(list({c.name: c for c in [y, *z, *x]}.values()), within, width)
    x, z, dropped = _kept(products, squares, x, z)
    solution = solve(products, outcome, [c.name for c in x], [c.name for c in z])
    residual = within(_residual(y, x, solution.coefficients)[:, None])[:, 0]
    scores = cluster_scores(z, solution.projection, residual, clusters, within, width)
    sandwich = solution.bread @ (scores.T @ scores) @ solution.bread
    covariance = _factor(len(panel), len(scores), len(x) + absorbed_parameters(codes, clusters)) * sandwich
    names = [column.name for column in x]
    return Regression(
        outcome=outcome,
        coefficients=pd.Series(solution.coefficients, names),
        covariance=pd.DataFrame(covariance, names, names),
        observations=len(panel),
        r_squared=1 - float(residual @ residual) / (float(np.var(y.rows(slice(None)))) * len(panel)),
        clusters=len(scores),
        dropped=dropped,
    )


def cross_products(columns: Sequence[Column], within: Within, width: int) -> tuple[pd.DataFrame, pd.Series]:
    """Products C'MC of demeaned columns, and the sums of squares of columns before demeaning.

    `width` columns are demeaned at a time.
    """
    names = [column.name for column in columns]
    products, squares = np.zeros((len(columns), len(columns))), np.zeros(len(columns))
    for first in range(0, len(columns), width):
        last = min(first + width, len(columns))
        block = within(built(columns[first:last]))
        for part in _parts(len(block)):
            raw = built(columns[first:], part)
            products[first:last, first:] += block[part].T @ raw
            squares[first:last] += np.square(raw[:, : last - first]).sum(0)
        own = products[first:last, first:last]
        products[first:last, first:last] = (own + own.T) / 2
        products[last:, first:last] = products[first:last, last:].T
    return pd.DataFrame(products, names, names), pd.Series(squares, names)


def solve(products: pd.DataFrame, outcome: str, x: Sequence[str], z: Sequence[str]) -> Solution:
    """2SLS from cross-products; instruments are scaled to one before they are inverted."""
    scale = 1 / np.sqrt(np.diag(products.loc[z, z]))
    inner = products.loc[z, z].to_numpy() * np.outer(scale, scale)
    right = products.loc[z, [*x, outcome]].to_numpy() * scale[:, None]
    solved = np.linalg.solve(inner, right)
    bread = np.linalg.inv(right[:, :-1].T @ solved[:, :-1])
    return Solution(bread @ (solved[:, :-1].T @ right[:, -1]), scale[:, None] * solved[:, :-1], bread)


def cluster_scores(
    z: Sequence[Column], projection: np.ndarray, residual: np.ndarray, clusters: np.ndarray, within: Within, width: int
) -> np.ndarray:
    """Sum over each cluster of fitted, demeaned regressors times the residual, [cluster, regressor]."""
    sums = []
    for first in range(0, projection.shape[1], width):
        weights = projection[:, first : first + width]
        fitted = np.empty((len(residual), weights.shape[1]), order="F")
        for part in _parts(len(residual)):
            fitted[part] = built(z, part) @ weights
        fitted = within(fitted)
        sums += [np.bincount(clusters, fitted[:, j] * residual) for j in range(fitted.shape[1])]
    return np.stack(sums, axis=1)


def _residual(y: Column, x: Sequence[Column], coefficients: np.ndarray) -> np.ndarray:
    """The outcome less regressors times coefficients, before demeaning."""
    residual = y.rows(slice(None))
    for column, coefficient in zip(x, coefficients, strict=True):
        residual -= coefficient * column.rows(slice(None))
    return residual


def _factor(observations: int, groups: int, parameters: int) -> float:
    return groups / (groups - 1) * (observations - 1) / (observations - parameters)


def _parts(count: int) -> Iterator[slice]:
    return (slice(first, first + CHUNK) for first in range(0, count, CHUNK))


def _check_terms(
    panel: pd.DataFrame, outcome: str, terms: Sequence[Term], effects: Sequence[str], cluster: str
) -> None:
    columns = [term if isinstance(term, str) else term[1] for term in terms]
    categories = [term[0] for term in terms if not isinstance(term, str)]
    check_columns(panel, outcome, columns, [*effects, *categories], cluster, None, None, None, ())


def _kept(products: pd.DataFrame, squares: pd.Series, x: list[Column], z: list[Column]):
    """Regressors and instruments that effects and earlier columns do not span, and the names of the others."""
    good_x, good_z = _independent(products, squares, x), _independent(products, squares, z)
    bad = [*(c.name for c in x if c.name not in good_x), *(c.name for c in z if c.name not in good_z)]
    if bad:
        message = f"collinear with other regressors or effects, and left out: {', '.join(dict.fromkeys(bad))}"
        warnings.warn(message, EstimationWarning, stacklevel=3)
    endogenous = good_x - {column.name for column in z}
    if len(outside := good_z - {column.name for column in x}) < len(endogenous):
        message = f"{len(outside)} instruments for {len(endogenous)} endogenous columns"
        raise ModelError(f"{message} ({', '.join(sorted(endogenous))}): at least as many instruments are needed")
    return [c for c in x if c.name in good_x], [c for c in z if c.name in good_z], tuple(dict.fromkeys(bad))


def _independent(products: pd.DataFrame, squares: pd.Series, columns: list[Column]) -> set[str]:
    """Names of columns that earlier ones do not span, by the steps of a Cholesky factorisation."""
    names = [column.name for column in columns]
    matrix = products.loc[names, names].to_numpy().copy()
    bound = COLLINEAR * np.maximum(np.diag(matrix), COLLINEAR * squares[names].to_numpy())
    good = set()
    for position, name in enumerate(names):
        if matrix[position, position] > bound[position]:
            good.add(name)
            row = matrix[position] / np.sqrt(matrix[position, position])
            matrix -= np.outer(row, row)
    return good
