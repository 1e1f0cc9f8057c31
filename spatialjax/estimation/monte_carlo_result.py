"""What a Monte Carlo of estimators found: bias and coverage by estimator and coefficient, and what failed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from spatialjax.errors import ModelError

KEYS = ["estimator", "regression", "coefficient"]


class Failure(NamedTuple):
    """What failed in a replication, "equilibrium" or an estimator, and why."""

    stage: str
    reason: str


class Replication(NamedTuple):
    """One economy: a row each estimator and coefficient, and what failed.

    Columns of `estimates`: estimator, regression, coefficient, truth, estimate, standard_error, covered,
    first_stage_f (of Sanderson and Windmeijer).
    """

    number: int
    estimates: pd.DataFrame
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class MonteCarlo:
    """Estimates in many economies of one truth, (regression, coefficient) -> elasticity."""

    truth: Mapping[tuple[str, str], float]
    estimators: tuple[str, ...]
    replications: tuple[Replication, ...]
    level: float

    def estimates(self) -> pd.DataFrame:
        """All estimates, a row each, with the replication's number."""
        frames = [r.estimates.assign(replication=r.number) for r in self.replications if len(r.estimates)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*KEYS, "replication"])

    def table(self) -> pd.DataFrame:
        """A row each estimator and coefficient.

        Columns: truth; mean, bias and its simulation error, and median bias, of estimates that instruments give, whose
        distribution may have no mean; standard deviation, root mean square error; the mean standard error reported;
        coverage of confidence intervals and its simulation error; mean and median first-stage F; how many estimates
        there are, and how many replications have none (`failures`).
        """
        groups = self.estimates().groupby(KEYS, sort=False)
        rows = {key: _summary(group, len(self.replications)) for key, group in groups}
        index = pd.MultiIndex.from_tuples(list(rows), names=KEYS) if rows else None
        return pd.DataFrame(list(rows.values()), index)

    def failures(self) -> pd.Series:
        """How many replications failed, by stage and reason."""
        counts = Counter((f.stage, f.reason) for r in self.replications for f in r.failures)
        index = pd.MultiIndex.from_tuples(counts, names=["stage", "reason"]) if counts else None
        return pd.Series(list(counts.values()), index, dtype=int, name="replications")

    def joined(self, other: "MonteCarlo") -> "MonteCarlo":
        """One study of these replications and others.

        **Raises:** `ModelError` for another truth, other estimators, or replications that are in both.
        """
        if (self.truth, self.estimators, self.level) != (other.truth, other.estimators, other.level):
            raise ModelError("replications are of another truth, other estimators or another level: they do not join")
        if both := {r.number for r in self.replications} & {r.number for r in other.replications}:
            raise ModelError(f"replication {min(both)} is in both")
        together = sorted((*self.replications, *other.replications), key=lambda r: r.number)
        return replace(self, replications=tuple(together))


def _summary(group: pd.DataFrame, replications: int) -> dict[str, float]:
    truth, estimate, count = group["truth"].iloc[0], group["estimate"].to_numpy(), len(group)
    spread = estimate.std(ddof=1) if count > 1 else np.nan
    coverage = group["covered"].mean()
    return {
        "truth": truth,
        "mean": estimate.mean(),
        "bias": estimate.mean() - truth,
        "bias_error": spread / np.sqrt(count),
        "median_bias": np.median(estimate) - truth,
        "standard_deviation": spread,
        "root_mean_square_error": np.sqrt(((estimate - truth) ** 2).mean()),
        "mean_standard_error": group["standard_error"].mean(),
        "coverage": coverage,
        "coverage_error": np.sqrt(coverage * (1 - coverage) / count),
        "mean_first_stage_f": group["first_stage_f"].mean(),
        "median_first_stage_f": group["first_stage_f"].median(),
        "estimates": count,
        "failures": replications - count,
    }
