"""Estimators of externalities where the truth is known: bias and coverage in economies with random fundamentals."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import jax
import numpy as np
import pandas as pd

from spatialjax.cities.economy import Economy
from spatialjax.errors import ConvergenceError, EstimationWarning, ModelError
from spatialjax.estimation.instrumental import CONFIDENCE, Estimator
from spatialjax.estimation.instruments import model_instruments
from spatialjax.estimation.monte_carlo_economies import Spread, Truth, random_fundamentals, settled, true_coefficients
from spatialjax.estimation.monte_carlo_result import Failure, MonteCarlo, Replication
from spatialjax.estimation.spillovers import By, SpilloverEstimates, spillovers

RandomInstruments = Literal["amenities", "model"]
DEFAULT_SPREAD = Spread()


def spillover_monte_carlo(
    base: Economy,
    spillover: Any,
    *,
    key: jax.Array,
    replications: int | Sequence[int] = 100,
    spread: Spread = DEFAULT_SPREAD,
    estimators: Sequence[Estimator] = ("ols", "2sls", "cue"),
    instruments: RandomInstruments = "amenities",
    by: By = "occupation",
    groups: Mapping[str, str] | Sequence[str] | None = None,
    clusters: str | Sequence[str] | None = None,
    level: float = CONFIDENCE,
    tolerance: float = 1e-10,
    max_evaluations: int = 2000,
    progress: Callable[[Replication], None] | None = None,
) -> MonteCarlo:
    """Draw economies with given externalities and random fundamentals, solve each, and estimate its externalities.

    Productivity that is high by chance draws workers: least squares takes that for an externality. Instruments that
    move workers and not productivity do not. With no externalities at all this is the experiment of CH Table A8, on
    economies in which the instruments are valid by construction.

    Replication i depends on `key` and i alone. Those without an equilibrium, and estimates that fail, are counted with
    their reasons.

    **Arguments:**

    - `base`: geography, land, shares and, around their means over cities, fundamentals (see
      [`random_fundamentals`][]).
    - `spillover`: the truth: [`OccupationSpillover`][], [`NoSpillover`][], or [`IndustrySpillover`][] alike within
      each group with `by="group"`.
    - `replications`: how many, or which: `range(100, 200)` are those that follow the first 100 (see
      [`MonteCarlo.joined`][]).
    - `spread`: standard deviations of the random fundamentals.
    - `instruments`: "amenities" for those of [`random_fundamentals`][], or "model" for [`model_instruments`][].
    - `by`, `groups`, `clusters`: as for [`spillovers`][].
    - `level`: of the confidence intervals whose coverage is counted.
    - `progress`: called with each [`Replication`][].

    **Raises:** `ModelError` for arguments that are none, or a truth that is not of the form estimated.
    """
    if instruments not in get_args(RandomInstruments):
        raise ModelError(f"instruments must be one of {', '.join(get_args(RandomInstruments))}, found {instruments!r}")
    labels = base.labels.sector
    of_sector = [str(groups[j]) for j in labels] if isinstance(groups, Mapping) else groups
    truth = true_coefficients(spillover, base, by, of_sector)
    options = {"by": by, "groups": of_sector, "clusters": clusters}
    found = []
    for number in range(replications) if isinstance(replications, int) else replications:
        drawn = random_fundamentals(base, spillover, spread, jax.random.fold_in(key, number))
        economy = settled(drawn.economy, tolerance=tolerance, max_evaluations=max_evaluations)
        excluded = drawn.instruments if instruments == "amenities" else None
        found.append(_replication(number, economy, excluded, estimators, truth, level, options))
        if progress is not None:
            progress(found[-1])
    return MonteCarlo(truth=truth, estimators=tuple(estimators), replications=tuple(found), level=level)


def _replication(
    number: int,
    economy: Economy | str,
    instruments: pd.DataFrame | None,
    estimators: Sequence[Estimator],
    truth: Truth,
    level: float,
    options: Mapping[str, Any],
) -> Replication:
    """Estimates in one economy; without instruments, those of the model."""
    if isinstance(economy, str):
        return Replication(number, pd.DataFrame(), (Failure("equilibrium", economy),))
    rows, failures = [], []
    try:
        excluded = model_instruments(economy) if instruments is None else instruments
    except ConvergenceError as error:
        return Replication(number, pd.DataFrame(), (Failure("instruments", str(error)),))
    for estimator in estimators:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", EstimationWarning)  # The table of F shows weak instruments.
                found = spillovers(economy, estimator=estimator, instruments=excluded, **options)
            rows += _rows(found, truth, level)
        except ConvergenceError as error:
            failures.append(Failure(estimator, str(error)))
    return Replication(number, pd.DataFrame(rows), tuple(failures))


def _rows(found: SpilloverEstimates, truth: Truth, level: float) -> list[dict[str, Any]]:
    """A row each coefficient."""
    rows = []
    for name, regression in found.regressions.items():
        interval = regression.confidence_interval(level)
        first = regression.first_stage
        for coefficient, value in regression.coefficients.items():
            true = truth[name, str(coefficient)]
            lower, upper = interval.loc[coefficient]
            rows.append(
                {
                    "estimator": found.estimator,
                    "regression": name,
                    "coefficient": coefficient,
                    "truth": true,
                    "estimate": value,
                    "standard_error": regression.standard_errors[coefficient],
                    "covered": bool(lower <= true <= upper),
                    "first_stage_f": np.nan if first is None else first.sanderson_windmeijer[coefficient],
                }
            )
    return rows
