"""A weighted straight line through points, and how closely they follow it."""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Fit:
    """The line y = intercept + slope x fitted by weighted least squares, and correlations of x and y."""

    slope: float
    intercept: float
    correlation: float
    weighted_correlation: float

    def __call__(self, x: Array) -> Array:
        """The line's height at x."""
        return self.intercept + self.slope * np.asarray(x, float)


def fit_line(x: Array, y: Array, weights: Array) -> Fit:
    """Fit a line by least squares with these weights; the slope is NaN where x does not vary."""
    weighted = _moments(x, y, weights / weights.sum())
    plain = _moments(x, y, np.full(len(x), 1 / len(x)))
    slope = _ratio(weighted[2], weighted[0])
    intercept = float(np.average(y, weights=weights) - slope * np.average(x, weights=weights))
    return Fit(slope, intercept, _correlation(plain), _correlation(weighted))


def _moments(x: Array, y: Array, share: Array) -> tuple[float, float, float]:
    """Variance of x, variance of y and their covariance, at weights that sum to one."""
    dx, dy = x - share @ x, y - share @ y
    return float(share @ dx**2), float(share @ dy**2), float(share @ (dx * dy))


def _correlation(moments: tuple[float, float, float]) -> float:
    return _ratio(moments[2], float(np.sqrt(moments[0] * moments[1])))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else float("nan")
