"""A polynomial through weighted points, and how closely they follow a straight line."""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.polynomial.polynomial import polyval

Array = np.ndarray


@dataclass(frozen=True)
class Fit:
    """The polynomial c0 + c1 x + ... fitted by weighted least squares, and correlations of x and y."""

    coefficients: tuple[float, ...]
    correlation: float
    weighted_correlation: float

    @property
    def intercept(self) -> float:
        """The height at zero."""
        return self.coefficients[0]

    @property
    def slope(self) -> float:
        """The slope of a line; of a polynomial of higher degree, the slope at zero."""
        return self.coefficients[1]

    def __call__(self, x: Array) -> Array:
        """The curve's height at x."""
        return polyval(np.asarray(x, float), np.array(self.coefficients))


def fit_polynomial(x: Array, y: Array, weights: Array, degree: int = 1) -> Fit:
    """Fit by least squares with these weights; NaN where x has too few different values for the degree."""
    weighted, plain = (_correlation(x, y, share) for share in (weights / weights.sum(), np.full(len(x), 1 / len(x))))
    return Fit(_coefficients(x, y, weights, degree), plain, weighted)


def _coefficients(x: Array, y: Array, weights: Array, degree: int) -> tuple[float, ...]:
    """Lowest power first. The fit is made in x scaled to [-1, 1], where powers are far from collinear."""
    if len(np.unique(x[weights > 0])) <= degree:
        return (float("nan"),) * (degree + 1)
    scaled = Polynomial.fit(x, y, degree, w=np.sqrt(weights / weights.max()))
    found = scaled.convert().coef
    return tuple(np.pad(found, (0, degree + 1 - len(found))).tolist())


def _correlation(x: Array, y: Array, share: Array) -> float:
    """Correlation at weights that sum to one; NaN where one of the two does not vary."""
    dx, dy = x - share @ x, y - share @ y
    scale = float(np.sqrt((share @ dx**2) * (share @ dy**2)))
    return float(share @ (dx * dy)) / scale if scale > 0 else float("nan")
