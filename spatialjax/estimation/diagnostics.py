"""Strength of instruments and over-identification, robust to clusters.

Small-sample factors are those of Stata's ivreg2: G/(G-1) (N-1)/(N-k), G of the dimension with fewest clusters, k all
coefficients of the first stage, also those partialled out.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from spatialjax.errors import EstimationWarning
from spatialjax.estimation.covariance import wald
from spatialjax.estimation.moments import Moments
from spatialjax.estimation.sample import Partialled

WEAK = 10.0
"""Rule of thumb of Staiger and Stock (1997) for the first-stage F."""


@dataclass(frozen=True)
class FirstStage:
    """Strength of the excluded instruments, by endogenous regressor where it can be told.

    - `sanderson_windmeijer`: conditional F of each endogenous regressor given the others (Sanderson and Windmeijer
      2016), with `freedom` and G - 1 degrees of freedom (G of the dimension with fewest clusters); `p`: its p-values
      for the hypothesis that the regressor is not identified.
    - `joint`: F of all excluded instruments in each first stage.
    - `kleibergen_paap`: rk Wald F (Kleibergen and Paap 2006) of the hypothesis that the coefficients are not all
      identified. It has no p-value for weakness: the critical values of Stock and Yogo (2005) hold for independent
      errors of equal variance, and are compared with it by custom alone, as is the rule of thumb of 10.

    F are not numbers where the two-way clustered covariance of the first stage is not positive definite.
    """

    sanderson_windmeijer: pd.Series
    p: pd.Series
    joint: pd.Series
    kleibergen_paap: float
    freedom: int


@dataclass(frozen=True)
class OverIdentification:
    """Hansen's J: the minimum of the criterion of efficient GMM, chi-squared with `freedom` degrees under the null.

    After two-stage least squares the criterion is that of two-step GMM. `p` is not a number when exactly identified.
    """

    statistic: float
    freedom: int
    p: float

    @classmethod
    def of(cls, statistic: float, freedom: int) -> "OverIdentification":
        """With its p-value."""
        return cls(statistic, freedom, float(stats.chi2.sf(statistic, freedom)) if freedom else np.nan)


def first_stage(sample: Partialled) -> FirstStage:
    """Test the first stages of a sample.

    **Warns:** `EstimationWarning` naming endogenous regressors with a conditional F below 10.
    """
    names, columns = list(sample.endogenous_names), range(sample.endogenous.shape[1])
    freedom = sample.instruments.shape[1] - len(columns) + 1
    conditional = pd.Series([_f(sample, _less_others(sample, j), freedom) for j in columns], names)
    result = FirstStage(
        sanderson_windmeijer=conditional,
        p=pd.Series(stats.f.sf(conditional, freedom, sample.clusters.freedom(_parameters(sample))), names),
        joint=pd.Series([_f(sample, x, sample.instruments.shape[1]) for x in sample.endogenous.T], names),
        kleibergen_paap=_kleibergen_paap(sample),
        freedom=freedom,
    )
    _warn_weak(result, sample.name)
    return result


def hansen(moments: Moments, covariance: np.ndarray, coefficients: np.ndarray) -> OverIdentification:
    """J at coefficients that minimise g' covariance^-1 g."""
    g = moments.sum(coefficients)
    freedom = len(g) - len(coefficients)
    return OverIdentification.of(float(g @ np.linalg.solve(covariance, g)) if freedom else 0.0, freedom)


def _parameters(sample: Partialled) -> int:
    return sample.exogenous_rank + sample.instruments.shape[1]


def _less_others(sample: Partialled, j: int) -> np.ndarray:
    """An endogenous regressor less what two-stage least squares on the others explains of it."""
    others = np.delete(sample.endogenous, j, axis=1)
    projected = sample.instruments.T @ others
    target = sample.endogenous[:, j]
    return target - others @ np.linalg.lstsq(projected, sample.instruments.T @ target, rcond=None)[0]


def _f(sample: Partialled, column: np.ndarray, freedom: int) -> float:
    """Clustered F of the instruments in a regression of a column; they are orthonormal."""
    coefficients = sample.instruments.T @ column
    scores = sample.instruments * (column - sample.instruments @ coefficients)[:, None]
    covariance = sample.clusters.covariance(scores, _parameters(sample), "smallest")
    return wald(coefficients, covariance) / freedom


def _kleibergen_paap(sample: Partialled) -> float:
    """The rk Wald F.

    With Z'Z = I and X made orthonormal, theta = Z'X = U diag(s) V' holds canonical correlations. The direction v of X
    that instruments explain least has first-stage coefficients theta v = s_min u_min; the test is of their components
    in the m - p + 1 directions of Z other than those that explain the rest of X. By custom it is divided by m.
    """
    instruments, regressors = sample.instruments.shape[1], sample.endogenous.shape[1]
    basis, _ = np.linalg.qr(sample.endogenous)
    left, _, right = np.linalg.svd(sample.instruments.T @ basis)
    column, directions = basis @ right[-1], sample.instruments @ left[:, regressors - 1 :]
    residual = column - sample.instruments @ (sample.instruments.T @ column)
    covariance = sample.clusters.covariance(directions * residual[:, None], _parameters(sample), "smallest")
    return wald(directions.T @ column, covariance) / instruments


def _warn_weak(found: FirstStage, name: str) -> None:
    weak = found.sanderson_windmeijer[~(found.sanderson_windmeijer >= WEAK)]
    if len(weak):
        listed = ", ".join(f"{regressor} (F = {value:.2f})" for regressor, value in weak.items())
        message = f"weak instruments in the regression of {name}: {listed}; estimates and errors may be far off"
        warnings.warn(message, EstimationWarning, stacklevel=4)
