"""Continuously updated GMM (Hansen, Heaton and Yaron 1996): the moments' covariance moves with the coefficients."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize

from spatialjax.errors import ConvergenceError, EstimationWarning
from spatialjax.estimation.covariance import floor_eigenvalues
from spatialjax.estimation.moments import Moments
from spatialjax.estimation.sample import Partialled

FLOOR = 1e-6
"""Eigenvalues of S(b) are raised to this share of the mean eigenvalue of its positive part."""
PERTURBED = 8
AGREE = 1e-4
"""Starts agree if their coefficients differ by less than this many standard errors of two-stage least squares."""
GRADIENT = 1e-5
"""Largest derivative of the objective, per such standard error, at what counts as a minimum."""
FAR = 1e4
"""A search that is this many standard errors away has left for infinity, where the objective is flat."""


@dataclass(frozen=True)
class Search:
    """How the minimum of g(b)' S(b)^-1 g(b) was found.

    - `starts`: a row each start, with columns objective, gradient (per standard error of two-stage least squares),
      converged, floored (evaluations at which an eigenvalue was raised) and the coefficients reached.
    - `agree`: whether all starts that converged reached the same coefficients, and none that left for infinity, as
      happens with weak instruments, found a lower objective there.
    - `evaluations`, `floored_evaluations`: of the objective, over all starts.
    - `floored`: whether an eigenvalue floor is active at the solution: the estimate then depends on it.
    """

    starts: pd.DataFrame
    agree: bool
    evaluations: int
    floored_evaluations: int
    floored: bool


def continuous_updating(
    sample: Partialled, moments: Moments, scale: np.ndarray, floor: float = FLOOR
) -> tuple[np.ndarray, Search]:
    """Coefficients that minimise g(b)' S(b)^-1 g(b), and how they were found.

    Starts: two-stage least squares, limited information maximum likelihood, two-step GMM, and draws around the first.
    `scale` is the covariance of two-stage least squares: it is the unit of length of the search.

    **Raises:** `ConvergenceError` if no start reaches a minimum.

    **Warns:** `EstimationWarning` if starts disagree, or a floor is active at the solution.
    """
    centre, root = moments.two_stages(), np.linalg.cholesky(scale)
    runs = pd.DataFrame([_run(name, b, moments, centre, root, floor) for name, b in _starts(sample, moments, root)])
    found = runs[runs["converged"]]
    if found.empty:
        raise ConvergenceError(
            f"continuously updated GMM of {sample.name}: none of {len(runs)} starts reached a minimum (best objective "
            f"{runs['objective'].min():.4g}); {int(runs['far'].sum())} left for infinity, where the objective is flat. "
            "Instruments do not identify the coefficients (see the first-stage F of two-stage least squares), or there "
            "are too many of them for the clusters"
        )
    best = found.loc[found["objective"].idxmin()]
    distance = [np.linalg.solve(root, b - best["coefficients"]) for b in found["coefficients"]]
    search = Search(
        starts=_labelled(runs, sample.endogenous_names),
        agree=bool(np.abs(distance).max() < AGREE and best["objective"] <= (1 + 1e-6) * runs["objective"].min()),
        evaluations=int(runs["evaluations"].sum()),
        floored_evaluations=int(runs["floored"].sum()),
        floored=evaluate(best["coefficients"], moments, floor)[2],
    )
    _warn(search, sample, floor)
    return best["coefficients"], search


def evaluate(coefficients: np.ndarray, moments: Moments, floor: float = FLOOR) -> tuple[float, np.ndarray, bool]:
    """The objective g' S^-1 g, its exact gradient, and whether an eigenvalue of S was raised.

    With S = U diag(s) U', h = U'g and f(s) = 1 / max(s, c): dQ = 2 g' f(S) dg + h' (F o U' dS U) h - [raised] h^2/c^2
    dc, F_ij = (f(s_i) - f(s_j)) / (s_i - s_j) (Daleckii and Krein).
    """
    g, derivative = moments.sum(coefficients), moments.covariance_derivative(coefficients)
    mean, mean_derivative = moments.mean_eigenvalue(coefficients)
    values, vectors = np.linalg.eigh(moments.covariance(coefficients))
    least = floor * mean
    raised = values < least
    inverse = 1 / np.maximum(values, least)
    h = vectors.T @ g
    rotated = vectors.T @ derivative @ vectors
    gradient = -2 * moments.endogenous.T @ (vectors @ (inverse * h))
    gradient += np.einsum("i,ij,aij,j->a", h, _divided_differences(values, inverse, raised), rotated, h)
    gradient -= floor * mean_derivative * ((h * inverse)[raised] ** 2).sum()
    return float(inverse @ h**2), gradient, bool(raised.any())


def floored_covariance(coefficients: np.ndarray, moments: Moments, floor: float = FLOOR) -> tuple[np.ndarray, bool]:
    """S(b) with its eigenvalues floored, and whether any was raised."""
    return floor_eigenvalues(moments.covariance(coefficients), floor * moments.mean_eigenvalue(coefficients)[0])


def _divided_differences(values: np.ndarray, inverse: np.ndarray, raised: np.ndarray) -> np.ndarray:
    """F of `evaluate`. Where both are above the floor, it is -1/(s_i s_j), also in the limit."""
    result = -np.outer(inverse, inverse)
    result[np.ix_(raised, raised)] = 0.0
    difference = values[:, None] - values
    mixed = (raised[:, None] != raised) & (difference != 0)
    result[mixed] = ((inverse[:, None] - inverse)[mixed]) / difference[mixed]
    return result


def _starts(sample: Partialled, moments: Moments, root: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    two_stages = moments.two_stages()
    yield "two-stage least squares", two_stages
    yield "limited information maximum likelihood", limited_information(sample)
    yield "two-step GMM", moments.weighted(floored_covariance(two_stages, moments)[0])
    draws = np.random.default_rng(0).normal(size=(PERTURBED, len(two_stages)))
    for number, draw in enumerate(draws, 1):
        yield f"perturbed {number}", two_stages + 2 * root @ draw


def limited_information(sample: Partialled) -> np.ndarray:
    """Coefficients of limited information maximum likelihood: the k-class with the smallest root as k."""
    columns = np.column_stack([sample.outcome, sample.endogenous])
    total, explained = columns.T @ columns, sample.instruments.T @ columns
    explained = explained.T @ explained
    k = 1 / (1 - np.linalg.eigvals(np.linalg.solve(total, explained)).real.min())
    both = total - k * (total - explained)
    return np.linalg.lstsq(both[1:, 1:], both[1:, 0], rcond=None)[0]


def _run(name: str, start: np.ndarray, moments: Moments, centre: np.ndarray, root: np.ndarray, floor: float) -> dict:
    """One search, in standard errors of two-stage least squares from `centre`."""
    raised: list[bool] = []

    def objective(position: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient, was_raised = evaluate(centre + root @ position, moments, floor)
        raised.append(was_raised)
        return value, root.T @ gradient

    first = np.linalg.solve(root, start - centre)
    end = _polish(objective, optimize.minimize(objective, first, jac=True, method="BFGS", options={"gtol": 1e-9}).x)
    value, gradient = objective(end)
    slope, far = float(np.abs(gradient).max()), bool(np.abs(end).max() > FAR)
    return {
        "start": name,
        "objective": value,
        "gradient": slope,
        "converged": slope < GRADIENT and not far,
        "far": far,
        "evaluations": len(raised),
        "floored": sum(raised),
        "coefficients": centre + root @ end,
    }


def _polish(objective: Callable, position: np.ndarray) -> np.ndarray:
    """Roots of the gradient from where the line search lost precision, unless that leads uphill."""
    root = optimize.root(lambda x: objective(x)[1], position, method="hybr", options={"xtol": 1e-13})
    before, after = objective(position), objective(root.x)
    better = np.abs(after[1]).max() < np.abs(before[1]).max() and after[0] <= before[0] + 1e-9 * abs(before[0])
    return root.x if better else position


def _labelled(runs: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    coefficients = pd.DataFrame(np.stack(runs["coefficients"].to_list()), runs.index, list(names))
    columns = ["objective", "gradient", "converged", "floored"]
    return pd.concat([runs[["start", *columns]], coefficients], axis=1).set_index("start")


def _warn(search: Search, sample: Partialled, floor: float) -> None:
    if not search.agree:
        near, away = (_listed(search.starts[search.starts["converged"] == kept]) for kept in (True, False))
        message = f"continuously updated GMM of {sample.name} has several minima; the lowest is taken of {near}"
        message += f" (where searches left for infinity: {away})" if away else ""
        warnings.warn(message, EstimationWarning, stacklevel=4)
    if search.floored:
        message = (
            f"the covariance of moments of {sample.name} has eigenvalues at the estimate below the floor ({floor:g} "
        )
        message += "of their mean): the estimate depends on it. Use fewer instruments, or clusters in one dimension"
        warnings.warn(message, EstimationWarning, stacklevel=4)


def _listed(starts: pd.DataFrame) -> str:
    return ", ".join(f"{value:.5g}" for value in np.unique(starts["objective"].round(6)))
