"""Wald tests in the form of an F statistic."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from spatialjax.errors import ModelError


@dataclass(frozen=True)
class WaldTest:
    """F statistic of a hypothesis of `restrictions` restrictions, and its p-value with `freedom` in the denominator."""

    statistic: float
    restrictions: int
    freedom: int
    p_value: float


def wald_test(deviations: np.ndarray, covariance: np.ndarray, freedom: int, estimated: int = 0) -> WaldTest:
    """Test that the expectation of all deviations is zero: F = d' V^-1 d / q, on q and `freedom` degrees.

    With errors clustered in G groups, `freedom` is G - 1, the largest rank that V can have. q is the number of
    deviations less that of parameters that were `estimated` to make them small.

    **Raises:** `ModelError` if there are no restrictions, or more deviations than `freedom`.
    """
    count = len(deviations) - estimated
    if count < 1 or len(deviations) > freedom:
        message = f"{count} restrictions cannot be tested jointly with {freedom} degrees of freedom of the covariance"
        raise ModelError(f"{message}; at least one is needed, and no more than these degrees")
    statistic = float(deviations @ np.linalg.solve(covariance, deviations)) / count
    return WaldTest(statistic, count, freedom, float(stats.f.sf(statistic, count, freedom)))
