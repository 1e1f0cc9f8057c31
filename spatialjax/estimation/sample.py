"""Samples of linear regressions with endogenous regressors, and partialling out of what is exogenous."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg

from spatialjax.errors import DataError, EstimationWarning, ModelError
from spatialjax.estimation.covariance import Clusters

COLLINEAR = 1e-9
"""A column is collinear with earlier ones if less than this share of its norm is left once they are partialled out."""


@dataclass(frozen=True)
class Sample:
    """Columns of a regression, a row each observation.

    - `endogenous`: the regressors whose coefficients are estimated.
    - `instruments`: excluded instruments; not needed for ordinary least squares.
    - `exogenous`: included exogenous regressors (controls). A constant is added unless there are `effects`.
    - `effects`: columns of labels; each value of each column has an effect.
    - `clusters`: one or two columns of labels; None for errors that are robust to heteroskedasticity alone.
    - `weights`: analytic weights, positive; every column and the constant are multiplied by their square root.
    """

    outcome: pd.Series
    endogenous: pd.DataFrame
    instruments: pd.DataFrame | None = None
    exogenous: pd.DataFrame | None = None
    effects: pd.DataFrame | None = None
    clusters: pd.DataFrame | None = None
    weights: pd.Series | None = None

    @classmethod
    def from_columns(
        cls,
        frame: pd.DataFrame,
        outcome: str,
        endogenous: Sequence[str],
        *,
        instruments: Sequence[str] = (),
        exogenous: Sequence[str] = (),
        effects: Sequence[str] = (),
        clusters: Sequence[str] = (),
        weights: str | None = None,
    ) -> "Sample":
        """A sample from columns of a frame; "a^b" in `effects` is an effect of each pair.

        **Raises:** `DataError` naming columns that are missing.
        """
        parts = [part for effect in effects for part in effect.split("^")]
        wanted = [outcome, *endogenous, *instruments, *exogenous, *parts, *clusters, *([weights] if weights else [])]
        missing = [f"column {name} is missing" for name in dict.fromkeys(wanted) if name not in frame.columns]
        if missing:
            raise DataError(f"regression of {outcome}", missing)
        pairs = {effect: frame.groupby(effect.split("^"), observed=True).ngroup() for effect in effects}
        return cls(
            outcome=frame[outcome],
            endogenous=frame[list(endogenous)],
            instruments=frame[list(instruments)] if instruments else None,
            exogenous=frame[list(exogenous)] if exogenous else None,
            effects=pd.DataFrame(pairs) if effects else None,
            clusters=frame[list(clusters)] if clusters else None,
            weights=None if weights is None else frame[weights],
        )


@dataclass(frozen=True)
class Partialled:
    """A sample once exogenous columns are partialled out of every other (Frisch, Waugh and Lovell).

    `instruments` are an orthonormal basis of what the excluded instruments span, which is all that two-stage least
    squares, GMM and tests of the first stage use. `exogenous_rank` is the number of coefficients partialled out.
    """

    name: str
    outcome: np.ndarray
    endogenous: np.ndarray
    endogenous_names: tuple[str, ...]
    instruments: np.ndarray
    exogenous_rank: int
    dropped: tuple[str, ...]
    clusters: Clusters

    @property
    def observations(self) -> int:
        """Number of rows."""
        return len(self.outcome)


def partial_out(sample: Sample, *, instrumented: bool = True) -> Partialled:
    """Partial out effects and exogenous columns, after multiplying all by the square root of weights.

    Without `instrumented` the regressors are their own instruments.

    **Raises:** `DataError` for columns that are not finite, weights that are not positive, clusters that are one,
    and endogenous regressors that are collinear; `ModelError` for fewer instruments than endogenous regressors.

    **Warns:** `EstimationWarning` naming exogenous columns and instruments that are collinear and left out.
    """
    _check(sample)
    root = np.ones(len(sample.outcome)) if sample.weights is None else np.sqrt(sample.weights.to_numpy(dtype=float))
    effects = _effect_basis(sample, root)
    exogenous, dropped = orthonormal(_columns(sample.exogenous, root), effects)
    regressors, lost = _partialled(sample.endogenous, root, exogenous)
    _refuse_collinear(sample, lost)
    _warn_collinear(dropped, "exogenous columns")
    instruments = regressors
    if instrumented:
        instruments, lost = _partialled(sample.instruments, root, exogenous)
        _warn_collinear(lost, "instruments")
        _check_order(sample, instruments)
    return Partialled(
        name=str(sample.outcome.name),
        outcome=_residual(root * sample.outcome.to_numpy(dtype=float), exogenous),
        endogenous=_residual(root[:, None] * _matrix(sample.endogenous), exogenous),
        endogenous_names=tuple(str(name) for name in sample.endogenous.columns),
        instruments=instruments,
        exogenous_rank=exogenous.shape[1],
        dropped=dropped if not instrumented else (*dropped, *lost),
        clusters=Clusters.of(sample.clusters, len(root)),
    )


def orthonormal(columns: pd.DataFrame, basis: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """An orthonormal basis of `basis` and the columns, and the names of columns collinear with what is before them."""
    rows, before = basis.shape
    result = np.empty((rows, before + columns.shape[1]))
    result[:, :before] = basis
    found, dropped = before, []
    values = _matrix(columns)
    for name, column in zip(columns.columns, values.T, strict=True):
        rest = column
        for _ in range(2):  # Once loses orthogonality to columns that are nearly collinear.
            rest = rest - result[:, :found] @ (result[:, :found].T @ rest)
        norm = np.linalg.norm(rest)
        if norm <= COLLINEAR * np.linalg.norm(column):
            dropped.append(str(name))
        else:
            result[:, found] = rest / norm
            found += 1
    return result[:, :found], tuple(dropped)


def _partialled(columns: pd.DataFrame | None, root: np.ndarray, exogenous: np.ndarray):
    """An orthonormal basis of columns once `exogenous` is partialled out, and the names of those collinear."""
    basis, dropped = orthonormal(_columns(columns, root), exogenous)
    return basis[:, exogenous.shape[1] :], dropped


def _effect_basis(sample: Sample, root: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the dummies of all effects, or of the constant; redundant dummies are no news."""
    if sample.effects is None or sample.effects.shape[1] == 0:
        return (root / np.linalg.norm(root))[:, None]
    dummies = [pd.get_dummies(sample.effects[name], dtype=float).to_numpy() for name in sample.effects.columns]
    first = root[:, None] * dummies[0]
    first = first / np.linalg.norm(first, axis=0)
    if len(dummies) == 1:
        return first
    others = _residual(root[:, None] * np.hstack(dummies[1:]), first)
    basis, triangle, _ = linalg.qr(others, mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    return np.hstack([first, basis[:, size > COLLINEAR * root.max()]])


def _residual(columns: np.ndarray, basis: np.ndarray) -> np.ndarray:
    for _ in range(2):
        columns = columns - basis @ (basis.T @ columns)
    return columns


def _columns(frame: pd.DataFrame | None, root: np.ndarray) -> pd.DataFrame:
    if frame is None:
        return pd.DataFrame(index=range(len(root)))
    return pd.DataFrame(root[:, None] * _matrix(frame), columns=frame.columns)


def _matrix(columns: pd.DataFrame) -> np.ndarray:
    return columns.to_numpy(dtype=float)


def _check(sample: Sample) -> None:
    source = f"regression of {sample.outcome.name}"
    if len(sample.outcome) == 0:
        raise DataError(source, ["there are no rows"])
    if problems := [*_shape_problems(sample)]:
        raise DataError(source, problems)
    if problems := [*_value_problems(sample)]:
        raise DataError(source, problems)


def _shape_problems(sample: Sample) -> Iterator[str]:
    rows = len(sample.outcome)
    for name in ("endogenous", "instruments", "exogenous", "effects", "clusters", "weights"):
        part = getattr(sample, name)
        if part is not None and len(part) != rows:
            yield f"{name} have {len(part)} rows, but the outcome {rows}"


def _value_problems(sample: Sample) -> Iterator[str]:
    for part in (sample.outcome, sample.endogenous, sample.instruments, sample.exogenous, sample.weights):
        frame = part.to_frame() if isinstance(part, pd.Series) else part
        if frame is not None:
            yield from _numeric_problems(frame)
    for labels in (sample.effects, sample.clusters):
        if labels is not None:
            yield from (
                f"column {name} is missing in {count} of {len(labels)} rows"
                for name, count in labels.isna().sum().items()
                if count
            )
    if sample.weights is not None and not (sample.weights > 0).all():
        yield f"column {sample.weights.name} has weights that are not positive; leave those rows out"


def _numeric_problems(frame: pd.DataFrame) -> Iterator[str]:
    for name in frame.columns:
        if frame[name].dtype.kind not in "bifu":
            yield f"column {name} is not numeric ({frame[name].dtype}): make it effects, or leave it out"
        elif not (finite := np.isfinite(frame[name].to_numpy(dtype=float))).all():
            first = frame.index[~finite][0]
            yield f"column {name} is not finite in {(~finite).sum()} of {len(frame)} rows (first: {first})"


def _refuse_collinear(sample: Sample, lost: Sequence[str]) -> None:
    if lost:
        problem = f"collinear with exogenous columns, effects or each other: {', '.join(lost)}; leave some of them out"
        raise DataError(f"regression of {sample.outcome.name}", [problem])


def _warn_collinear(lost: Sequence[str], what: str) -> None:
    if lost:
        warnings.warn(f"collinear {what}, left out: {', '.join(lost)}", EstimationWarning, stacklevel=3)


def _check_order(sample: Sample, instruments: np.ndarray) -> None:
    wanted, found = sample.endogenous.shape[1], instruments.shape[1]
    if found < wanted:
        names = ", ".join(str(name) for name in sample.endogenous.columns)
        raise ModelError(
            f"{found} instruments for {wanted} endogenous regressors ({names}): give at least as many that are not "
            "collinear with exogenous columns and effects"
        )
