"""Moments of a linear regression with instruments, as functions of its coefficients.

The sum of moments is g(b) = Z'(y - X b), and its clustered covariance S(b) is quadratic in b: with t = (1, -b),
S(b) = sum_ij t_i t_j T_ij, where T_ij are products of cluster sums of Z times the columns of (y, X). They are
computed once, after which g and S cost next to nothing whatever the number of observations.
"""

from dataclasses import dataclass

import numpy as np

from spatialjax.estimation.sample import Partialled


@dataclass(frozen=True)
class Moments:
    """`outcome` Z'y (moment), `endogenous` Z'X (moment, regressor), `products` T (i, j, moment, moment).

    `scale` is, in the same form (i, j), the mean eigenvalue of the part of S that is positive (A + B in A + B - AB).
    """

    outcome: np.ndarray
    endogenous: np.ndarray
    products: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, sample: Partialled) -> "Moments":
        """Cluster sums of a sample's moments; `sample.instruments` are orthonormal."""
        columns = np.column_stack([sample.outcome, sample.endogenous])
        instruments = sample.instruments
        rows, moments = instruments.shape
        scores = (columns[:, :, None] * instruments[:, None, :]).reshape(rows, -1)
        size = columns.shape[1]
        products, scale = np.zeros((size, size, moments, moments)), np.zeros((size, size))
        for part in sample.clusters.sets:
            sums = (part.membership @ scores).reshape(-1, size, moments)
            product = np.einsum("gam,gbn->abmn", sums, sums, optimize=True)
            products += part.sign * product
            scale += np.einsum("abmm->ab", product) / moments * (part.sign > 0)
        cross = instruments.T @ columns
        return cls(cross[:, 0], cross[:, 1:], products, scale)

    def sum(self, coefficients: np.ndarray) -> np.ndarray:
        """g(b)."""
        return self.outcome - self.endogenous @ coefficients

    def covariance(self, coefficients: np.ndarray) -> np.ndarray:
        """S(b), without small-sample factors."""
        t = np.concatenate([[1.0], -coefficients])
        return np.einsum("a,b,abmn->mn", t, t, self.products)

    def covariance_derivative(self, coefficients: np.ndarray) -> np.ndarray:
        """dS/db (regressor, moment, moment)."""
        t = np.concatenate([[1.0], -coefficients])
        half = -np.einsum("b,abmn->amn", t, self.products[1:])
        return half + half.transpose(0, 2, 1)

    def mean_eigenvalue(self, coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean eigenvalue of the positive part of S(b), and its derivative."""
        t = np.concatenate([[1.0], -coefficients])
        return float(t @ self.scale @ t), -2 * self.scale[1:] @ t

    def two_stages(self) -> np.ndarray:
        """Coefficients of two-stage least squares: Z'Z is the identity."""
        return np.linalg.lstsq(self.endogenous, self.outcome, rcond=None)[0]

    def weighted(self, covariance: np.ndarray) -> np.ndarray:
        """Coefficients that minimise g' covariance^-1 g."""
        weighted = np.linalg.solve(covariance, np.column_stack([self.outcome, self.endogenous]))
        return np.linalg.solve(self.endogenous.T @ weighted[:, 1:], self.endogenous.T @ weighted[:, 0])
