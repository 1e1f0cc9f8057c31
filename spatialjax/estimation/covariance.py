"""Covariance of sums of scores, clustered in no, one or two dimensions.

With dimensions a and b the covariance is A + B - AB (Cameron, Gelbach and Miller 2011): A and B sum the scores within
the clusters of a and of b, AB within their intersections. It need not be positive definite; [`floor_eigenvalues`][]
mends that, and whoever uses it says so.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy import sparse

from spatialjax.errors import DataError, EstimationWarning, ModelError

SmallSample = Literal["smallest", "each", "none"]
FEW_CLUSTERS = 30
"""Below this many clusters in one of two dimensions, clustered errors are warned about."""


@dataclass(frozen=True)
class ClusterSet:
    """Clusters over which scores are summed, and the sign with which their covariance counts."""

    sign: float
    membership: sparse.csr_matrix
    """(cluster, row): 1 where the row is in the cluster."""

    @property
    def count(self) -> int:
        """Number of clusters."""
        return self.membership.shape[0]


@dataclass(frozen=True)
class Clusters:
    """Clusters in each dimension: `counts` by name, and the sets of A + B - AB.

    Without dimensions every row is a cluster of its own: covariances are robust to heteroskedasticity alone.
    """

    counts: dict[str, int]
    sets: tuple[ClusterSet, ...]
    rows: int

    @classmethod
    def of(cls, frame: pd.DataFrame | None, rows: int) -> "Clusters":
        """From columns of labels.

        **Raises:** `DataError` for a dimension with one cluster, `ModelError` for more than two dimensions.

        **Warns:** `EstimationWarning` for fewer than `FEW_CLUSTERS` clusters in one of two dimensions.
        """
        columns = {} if frame is None else {str(name): pd.factorize(frame[name])[0] for name in frame.columns}
        if len(columns) > 2:
            raise ModelError(f"clusters in at most two dimensions, found {', '.join(columns)}")
        counts = {name: int(codes.max()) + 1 for name, codes in columns.items()}
        _check(counts)
        codes = list(columns.values())
        if not codes:
            return cls({}, (_set(1.0, np.arange(rows)),), rows)
        if len(codes) == 1:
            return cls(counts, (_set(1.0, codes[0]),), rows)
        both = pd.factorize(codes[0].astype(np.int64) * (codes[1].max() + 1) + codes[1])[0]
        return cls(counts, (_set(1.0, codes[0]), _set(1.0, codes[1]), _set(-1.0, both)), rows)

    @property
    def smallest(self) -> int:
        """Clusters in the dimension that has fewest."""
        return min(self.counts.values()) if self.counts else self.rows

    def freedom(self, parameters: int) -> int:
        """Degrees of freedom of t and F: one less than the smallest number of clusters, or N - k without any."""
        return self.smallest - 1 if self.counts else self.rows - parameters

    def covariance(self, scores: np.ndarray, parameters: int, small_sample: SmallSample = "none") -> np.ndarray:
        """Covariance of the sum of scores (row, moment).

        `parameters`, k, are all coefficients with those of what was partialled out. Factors of `small_sample`:
        "smallest" multiplies all by G/(G-1) (N-1)/(N-k), G of the dimension with fewest clusters (Stata's
        ivreg2, pyfixest); "each" takes in each of A, B and AB its own G (linearmodels, debiased); "none" is the
        large-sample formula. Without clusters the factor is N/(N-k).
        """
        total = np.zeros((scores.shape[1], scores.shape[1]))
        for part in self.sets:
            sums = part.membership @ scores
            clusters = part.count if small_sample == "each" else self.smallest
            total += part.sign * _factor(self.rows, clusters, parameters, small_sample) * (sums.T @ sums)
        return total

    def codes(self) -> np.ndarray | None:
        """The cluster of each row in each dimension (row, dimension); None without clusters."""
        if not self.counts:
            return None
        return np.column_stack([part.membership.tocsc().indices for part in self.sets[: len(self.counts)]])

    def factor(self, parameters: int, small_sample: SmallSample) -> float:
        """The factor of `small_sample`="smallest" (1 for "none"), for what is not a sum over clusters."""
        return _factor(self.rows, self.smallest, parameters, small_sample)


def check_small_sample(small_sample: str) -> None:
    """Refuse an unknown convention."""
    if small_sample not in get_args(SmallSample):
        raise ModelError(f"small_sample must be one of {', '.join(get_args(SmallSample))}, found {small_sample!r}")


def floor_eigenvalues(matrix: np.ndarray, floor: float = 0.0) -> tuple[np.ndarray, bool]:
    """A symmetric matrix with eigenvalues below `floor` raised to it, and whether there were any."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if values[0] >= floor:
        return matrix, False
    return (vectors * np.maximum(values, floor)) @ vectors.T, True


def wald(values: np.ndarray, covariance: np.ndarray) -> float:
    """The Wald statistic v'C^-1 v; not a number where the covariance is not positive definite."""
    eigenvalues, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    if eigenvalues[0] <= len(values) * np.finfo(float).eps * eigenvalues[-1]:
        return math.nan
    return float(((vectors.T @ values) ** 2 / eigenvalues).sum())


def _set(sign: float, codes: np.ndarray) -> ClusterSet:
    rows = len(codes)
    return ClusterSet(sign, sparse.csr_matrix((np.ones(rows), (codes, np.arange(rows)))))


def _factor(rows: int, clusters: int, parameters: int, small_sample: SmallSample) -> float:
    if small_sample == "none":
        return 1.0
    return clusters / (clusters - 1) * (rows - 1) / (rows - parameters)


def _check(counts: dict[str, int]) -> None:
    problems = [
        f"column {name} has one cluster: clustered errors need at least two; leave {name} out of clusters"
        for name, count in counts.items()
        if count < 2
    ]
    if problems:
        raise DataError("clusters", problems)
    few = [f"{name} ({count})" for name, count in counts.items() if count < FEW_CLUSTERS and len(counts) > 1]
    if few:
        message = f"few clusters in {', '.join(few)}: two-way clustered errors are unreliable below {FEW_CLUSTERS}"
        warnings.warn(message, EstimationWarning, stacklevel=2)
