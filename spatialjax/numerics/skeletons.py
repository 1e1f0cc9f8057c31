"""Interpolative decomposition: a few columns of a matrix from which the others follow."""

from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Float, Int

SKETCH = 256
"""Rows to which a taller matrix is reduced by random combinations before columns are chosen."""


class Skeleton(NamedTuple):
    """Columns `chosen` and coefficients: matrix[:, i] is near the sum over s of basis[i, s] matrix[:, chosen[s]]."""

    chosen: Int[np.ndarray, " skeleton"]
    basis: Float[np.ndarray, "column skeleton"]


def skeleton(
    matrix: Float[np.ndarray, "row column"], tolerance: float, candidates: Int[np.ndarray, " candidate"]
) -> Skeleton:
    """Choose columns among `candidates` until what they leave is `tolerance` times the largest column.

    Columns are chosen by a pivoted QR decomposition (Cheng, Gimbutas, Martinsson and Rokhlin 2005).
    """
    if matrix.shape[0] > SKETCH:
        mixing = np.random.default_rng(0).standard_normal((SKETCH, matrix.shape[0])) / np.sqrt(SKETCH)
        matrix = mixing @ matrix
    orthogonal, triangle, order = scipy.linalg.qr(matrix[:, candidates], mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    rank = max(int((size > tolerance * size[0]).sum()), 1)
    basis = scipy.linalg.solve_triangular(triangle[:rank, :rank], orthogonal[:, :rank].T @ matrix)
    return Skeleton(candidates[order[:rank]], basis.T)
