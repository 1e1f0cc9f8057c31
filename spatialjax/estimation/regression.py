"""Linear regressions with absorbed effects and clustered errors, by pyfixest, with messages that name columns."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from spatialjax.errors import DataError, EstimationWarning
from spatialjax.estimation.libraries import library

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Regression:
    """Coefficients of a linear regression.

    `covariance` is clustered when `clusters` is a number: CRV1 with the factors G/(G-1) and (N-1)/(N-k), where effects
    nested in clusters are not counted in k; otherwise it is robust to heteroskedasticity (HC1). `residuals` are None
    unless they were asked for. `dropped` are collinear columns. `first_stage_f` is the effective first-stage F of a
    regression with an instrument.
    """

    outcome: str
    coefficients: pd.Series
    covariance: pd.DataFrame
    observations: int
    r_squared: float
    clusters: int | None = None
    dropped: tuple[str, ...] = ()
    residuals: np.ndarray | None = None
    first_stage_f: float | None = None

    @property
    def standard_errors(self) -> pd.Series:
        """Square roots of the diagonal of the covariance."""
        return pd.Series(np.sqrt(np.diag(self.covariance)), self.coefficients.index)

    def confidence_interval(self, level: float = CONFIDENCE) -> pd.DataFrame:
        """Lower and upper bounds by Student's t with G - 1 degrees of freedom, or N - k without clusters."""
        freedom = self.observations - len(self.coefficients) if self.clusters is None else self.clusters - 1
        half = stats.t.ppf(0.5 + level / 2, freedom) * self.standard_errors
        return pd.DataFrame({"lower": self.coefficients - half, "upper": self.coefficients + half})

    def table(self) -> pd.DataFrame:
        """Coefficients, standard errors and t statistics, a row each."""
        errors = self.standard_errors
        frame = {"coefficient": self.coefficients, "standard_error": errors, "t": self.coefficients / errors}
        return pd.DataFrame(frame)


def regress(
    panel: pd.DataFrame,
    outcome: str,
    regressors: Sequence[str] = (),
    *,
    effects: Sequence[str] = (),
    cluster: str | None = None,
    weights: str | None = None,
    by: tuple[str, str] | None = None,
    endogenous: str | None = None,
    instruments: Sequence[str] = (),
    keep_residuals: bool = False,
) -> Regression:
    """Regress a column of a panel on others.

    **Arguments:**

    - `effects`: columns whose values have an effect each, absorbed; "a^b" is an effect of each pair.
    - `by`: (category, column): the column with a coefficient for each value of the category, named
      "category::value:column"; all values, without one left out.
    - `endogenous`, `instruments`: two-stage least squares with one endogenous column.
    - `weights`: a column of analytic weights.

    **Raises:** `DataError` for columns that are missing or not finite, and for a single cluster.

    **Warns:** `EstimationWarning` naming collinear columns, which are left out.
    """
    check_columns(panel, outcome, regressors, effects, cluster, weights, by, endogenous, instruments)
    terms = [*regressors, *([f"i({by[0]}, {by[1]})"] if by else [])]
    formula = f"{outcome} ~ {' + '.join(terms) if terms else '1'}"
    formula += f" | {' + '.join(effects)}" if effects else ""
    formula += f" | {endogenous} ~ {' + '.join(instruments)}" if endogenous else ""
    fit = _fit(formula, panel, cluster, weights, keep_residuals)
    names = [str(name) for name in fit._coefnames]
    dropped = tuple(str(name) for name in getattr(fit, "_collin_vars", ()))
    if dropped:
        message = f"collinear with other regressors or effects, and left out: {', '.join(dropped)}"
        warnings.warn(message, EstimationWarning, stacklevel=2)
    return Regression(
        outcome=outcome,
        coefficients=pd.Series(np.asarray(fit._beta_hat)[: len(names)], names),
        covariance=pd.DataFrame(np.atleast_2d(fit._vcov)[: len(names), : len(names)], names, names),
        observations=int(fit._N),
        r_squared=float(fit._r2),
        clusters=panel[cluster].nunique() if cluster else None,
        dropped=dropped,
        residuals=np.asarray(fit.resid()) if keep_residuals else None,
        first_stage_f=_effective_f(fit) if endogenous else None,
    )


def _fit(formula: str, panel: pd.DataFrame, cluster: str | None, weights: str | None, keep: bool):
    with warnings.catch_warnings(), _refusing(formula):
        warnings.filterwarnings("ignore", message="(?s).*multicollinearity")
        warnings.filterwarnings("ignore", message=".*inplace keyword")
        warnings.filterwarnings("ignore", message=r"(?s).*singleton fixed effect")
        return library("pyfixest").feols(
            formula,
            panel,
            vcov={"CRV1": cluster} if cluster else "HC1",
            weights=weights,
            fixef_rm="none",
            lean=not keep,
            store_data=False,
            copy_data=False,
        )


@contextmanager
def _refusing(formula: str) -> Iterator[None]:
    """Say what pyfixest refuses: nothing to estimate beside the effects, or no rows to spare."""
    problem = "every regressor is collinear with the others or with the effects: too few rows, or too little variation"
    try:
        yield
    except (ZeroDivisionError, np.linalg.LinAlgError) as error:  # the latter is a ValueError too
        raise DataError(f"regression {formula}", ["there are no more rows than coefficients"]) from error
    except ValueError as error:
        if "collinear" not in str(error):
            raise
        raise DataError(f"regression {formula}", [problem]) from error


def _effective_f(fit) -> float:
    """Olea and Pflueger's effective F, which with one instrument is the robust first-stage F."""
    fit.IV_Diag()
    return float(fit._eff_F)


def check_columns(panel, outcome, regressors, effects, cluster, weights, by, endogenous, instruments) -> None:
    """Refuse a regression whose columns are missing or not finite, or that has one cluster; arguments of `regress`."""
    absorbed = [part for effect in effects for part in effect.split("^")]
    numeric = [outcome, *regressors, *instruments, *(x for x in (weights, endogenous, by and by[1]) if x)]
    wanted = dict.fromkeys([*numeric, *absorbed, *(x for x in (cluster, by and by[0]) if x)])
    problems = [f"column {name} is missing" for name in wanted if name not in panel.columns]
    if not problems:
        problems = [problem for name in wanted for problem in _not_finite(panel, name)]
        if len(panel) == 0:
            problems.append("there are no rows")
        elif cluster and panel[cluster].nunique() < 2:
            value = panel[cluster].iloc[0]
            problems.append(f"column {cluster} has one cluster ({value}): clustered errors need at least two")
    if problems:
        raise DataError(f"regression of {outcome}", problems)


def _not_finite(panel: pd.DataFrame, name: str) -> list[str]:
    column = panel[name]
    bad = column.isna().to_numpy() if column.dtype.kind not in "f" else ~np.isfinite(column.to_numpy())
    if not bad.any():
        return []
    rows = ", ".join(str(row) for row in panel.index[bad][:3])
    return [
        f"column {name} is missing or not finite in {bad.sum()} of {len(panel)} rows (first: {rows}); leave them out"
    ]
