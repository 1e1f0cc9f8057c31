"""Linear regressions with endogenous regressors: ordinary and two-stage least squares, continuously updated GMM."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy import stats

from spatialjax.errors import DataError, ModelError
from spatialjax.estimation.continuous_updating import FLOOR, Search, continuous_updating, floored_covariance
from spatialjax.estimation.covariance import SmallSample, check_small_sample, floor_eigenvalues
from spatialjax.estimation.diagnostics import FirstStage, OverIdentification, first_stage, hansen
from spatialjax.estimation.libraries import library
from spatialjax.estimation.moments import Moments
from spatialjax.estimation.sample import Partialled, Sample, partial_out

Estimator = Literal["ols", "2sls", "cue"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class InstrumentalEstimate:
    """Coefficients of endogenous regressors.

    - `covariance`: clustered; `clusters` counts them by dimension (empty: robust to heteroskedasticity alone).
      `covariance_floored` says whether negative eigenvalues, which two-way clusters allow, were raised to zero.
    - `exogenous_rank`: coefficients of exogenous columns, effects or the constant, partialled out.
    - `dropped`: exogenous columns and instruments left out as collinear.
    - `freedom`: of t statistics: one less than the smallest number of clusters.
    - `first_stage`, `over_identification`: None for ordinary least squares. `search`: of continuous updating.
    """

    outcome: str
    estimator: Estimator
    coefficients: pd.Series
    covariance: pd.DataFrame
    observations: int
    clusters: dict[str, int]
    exogenous_rank: int
    freedom: int
    dropped: tuple[str, ...] = ()
    covariance_floored: bool = False
    first_stage: FirstStage | None = None
    over_identification: OverIdentification | None = None
    search: Search | None = None

    @property
    def standard_errors(self) -> pd.Series:
        """Square roots of the diagonal of the covariance."""
        return pd.Series(np.sqrt(np.diag(self.covariance)), self.coefficients.index)

    @property
    def p(self) -> pd.Series:
        """Two-sided p-values of each coefficient being zero."""
        statistic = np.abs(self.coefficients / self.standard_errors)
        return pd.Series(2 * stats.t.sf(statistic, self.freedom), self.coefficients.index)

    def confidence_interval(self, level: float = CONFIDENCE) -> pd.DataFrame:
        """Lower and upper bounds by Student's t with `freedom` degrees of freedom."""
        half = stats.t.ppf(0.5 + level / 2, self.freedom) * self.standard_errors
        return pd.DataFrame({"lower": self.coefficients - half, "upper": self.coefficients + half})

    def table(self) -> pd.DataFrame:
        """Coefficients, standard errors, t statistics and p-values, a row each."""
        frame = {"coefficient": self.coefficients, "standard_error": self.standard_errors}
        return pd.DataFrame(frame | {"t": self.coefficients / self.standard_errors, "p": self.p})


def estimate(
    sample: Sample, estimator: Estimator = "2sls", *, small_sample: SmallSample = "smallest", floor: float = FLOOR
) -> InstrumentalEstimate:
    """Estimate the coefficients of endogenous regressors.

    Exogenous columns and effects are partialled out first. That changes nothing in least squares, but continuous
    updating is not invariant to it: its minimum is over the coefficients of endogenous regressors alone, with those
    of exogenous columns always as least squares would have them.

    **Arguments:**

    - `estimator`: "ols", "2sls", or "cue" (continuously updated GMM; covariance (D' S^-1 D)^-1, D = Z'X). With as
      many instruments as endogenous regressors "cue" equals "2sls".
    - `small_sample`: factors of the clustered covariance; see [`Clusters.covariance`][]. The objective of "cue" and J
      have none; the covariance of "cue" takes the factor of "smallest" also for "each".
    - `floor`: of the eigenvalues of the moments' covariance, for "cue" and J, relative to the mean eigenvalue of its
      positive part. [`Search`][] says whether it mattered.

    **Raises:** `DataError` for bad columns, clusters that are one, and collinear endogenous regressors;
    `ModelError` for too few instruments or clusters; `ConvergenceError` where continuous updating finds no minimum.

    **Warns:** `EstimationWarning` for weak instruments (F below 10), few clusters, collinear columns, and minima of
    "cue" that are several or rest on the floor.
    """
    if estimator not in get_args(Estimator):
        raise ModelError(f"estimator must be one of {', '.join(get_args(Estimator))}, found {estimator!r}")
    check_small_sample(small_sample)
    if estimator == "ols":
        return _least_squares(partial_out(sample, instrumented=False), estimator, small_sample)
    if sample.instruments is None:
        raise ModelError(f"estimator {estimator!r} needs instruments")
    partialled = partial_out(sample)
    _check_moments(partialled)
    if estimator == "2sls" or partialled.instruments.shape[1] == partialled.endogenous.shape[1]:
        return _least_squares(partialled, estimator, small_sample, floor)
    return _continuous(partialled, small_sample, floor)


def _least_squares(
    sample: Partialled, estimator: Estimator, small_sample: SmallSample, floor: float = FLOOR
) -> InstrumentalEstimate:
    moments = Moments.of(sample)
    coefficients, covariance, floored = _two_stages(sample, small_sample)
    if estimator == "ols":
        return _result(sample, estimator, coefficients, covariance, covariance_floored=floored)
    weight = floored_covariance(coefficients, moments, floor)[0]
    return _result(
        sample,
        estimator,
        coefficients,
        covariance,
        covariance_floored=floored,
        first_stage=first_stage(sample),
        over_identification=hansen(moments, weight, moments.weighted(weight)),
    )


def _continuous(sample: Partialled, small_sample: SmallSample, floor: float) -> InstrumentalEstimate:
    moments = Moments.of(sample)
    strength = first_stage(sample)
    scale = _search_scale(sample, moments)
    coefficients, search = continuous_updating(sample, moments, scale, floor)
    weight, _ = floored_covariance(coefficients, moments, floor)
    information = moments.endogenous.T @ np.linalg.solve(weight, moments.endogenous)
    factor = sample.clusters.factor(_parameters(sample), small_sample)
    return _result(
        sample,
        "cue",
        coefficients,
        factor * np.linalg.inv(information),
        first_stage=strength,
        over_identification=hansen(moments, weight, coefficients),
        search=search,
    )


def _two_stages(sample: Partialled, small_sample: SmallSample) -> tuple[np.ndarray, np.ndarray, bool]:
    """Coefficients and covariance by linearmodels; without instruments of its own, a sample is its own instrument."""
    model = library("linearmodels.iv").IV2SLS(sample.outcome, None, sample.endogenous, sample.instruments)
    codes, parameters = sample.clusters.codes(), _parameters(sample)
    if codes is None:
        fit, factor = model.fit(cov_type="robust"), sample.clusters.factor(parameters, small_sample)
    elif small_sample == "each":
        fit = model.fit(cov_type="clustered", clusters=codes, debiased=True, extra_df=sample.exogenous_rank)
        factor = 1.0
    else:
        fit = model.fit(cov_type="clustered", clusters=codes)
        factor = sample.clusters.factor(parameters, small_sample)
    covariance, floored = floor_eigenvalues(factor * np.asarray(fit.cov))
    return np.asarray(fit.params), covariance, floored


def _search_scale(sample: Partialled, moments: Moments) -> np.ndarray:
    """Covariance of two-stage least squares with independent errors: it is always positive definite."""
    residual = sample.outcome - sample.endogenous @ moments.two_stages()
    return residual @ residual / len(residual) * np.linalg.inv(moments.endogenous.T @ moments.endogenous)


def _parameters(sample: Partialled) -> int:
    return sample.exogenous_rank + sample.endogenous.shape[1]


def _check_moments(sample: Partialled) -> None:
    """The covariance of moments has no greater rank than there are clusters."""
    most, moments = max(sample.clusters.counts.values(), default=sample.observations), sample.instruments.shape[1]
    if most <= moments:
        raise ModelError(f"{moments} instruments need more clusters than {most}: use fewer instruments")
    if (freedom := sample.observations - sample.exogenous_rank - moments) <= 0:
        problem = f"{sample.observations} rows for {sample.observations - freedom} coefficients of the first stage"
        raise DataError(f"regression of {sample.name}", [problem])


def _result(sample: Partialled, estimator: Estimator, coefficients, covariance, **rest) -> InstrumentalEstimate:
    names = list(sample.endogenous_names)
    return InstrumentalEstimate(
        outcome=sample.name,
        estimator=estimator,
        coefficients=pd.Series(coefficients, names),
        covariance=pd.DataFrame(covariance, names, names),
        observations=sample.observations,
        clusters=dict(sample.clusters.counts),
        exogenous_rank=sample.exogenous_rank,
        freedom=sample.clusters.freedom(_parameters(sample)),
        dropped=sample.dropped,
        **rest,
    )
