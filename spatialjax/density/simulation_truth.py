"""What is true in a simulated panel of establishments: the numbers that its estimators have to recover."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jax.typing import ArrayLike

from spatialjax.errors import ModelError

AGES = 17
"""Ages 0 to 16; 16 stands for 16 and more (FF section 2)."""
TENURES = 7
"""Years in the present CBSA, 0 to 6; 6 stands for 6 and more (FF section 5.B)."""


def _exit_rates() -> np.ndarray:
    """Falls with earnings, steeply in the lowest fifth, as FF Figure 3; with ages, 9 percent a year on average."""
    percentile = (np.arange(100) + 0.5) / 100
    return 0.065 + 0.17 * np.exp(-percentile / 0.12)


def _exit_by_age() -> np.ndarray:
    """Falls with age, so that about half of entrants are alive five years later (FF Table 6)."""
    return 0.68 + 1.25 * np.exp(-np.arange(AGES) / 3.5)


def _move_rates() -> np.ndarray:
    """Flat below the 60th percentile, 1.6 percent a year at the top (FF Figure 4), 1.03 percent on average."""
    percentile = (np.arange(100) + 0.5) / 100
    return 0.0094 + 0.0068 * (np.clip(percentile - 0.6, 0, None) / 0.4) ** 2


def _age_effects() -> np.ndarray:
    return 0.20 * (1 - np.exp(-np.arange(AGES) / 5))


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of simulated establishments.

    Log earnings in 1997 dollars, as eq. (1) measures them, of establishment e of age a in CBSA j and year t are FF eq.
    (2) and (3):

    constant + earnings_growth (t - 1992) + premium(a) ln D_j + college C_j + u_j + size ln N_et + multi_unit M_e
    + age_effects(a) + industry effect + r_et,

    where u_j is N(0, city_sd^2), industry effects are N(0, industry_sd^2) by four-digit industry, and the residual r is
    a permanent part and a transitory one. Among all active establishments the permanent part is exactly
    N(0, permanent_sd^2): entrants have lower ones where low earnings raise the probability of exit.

    `premium_at_birth` is the share of the city's part, premium(a) ln D_j + college C_j + u_j, that remains the one of
    the CBSA of birth when an establishment moves; the rest follows the present CBSA. (FF's second Table C.3 has 0.008
    for the changes of movers and 0.101 in levels, a share of about 0.9.) `tenure_premium(tau)` is an elasticity that
    comes on top, for establishments that have moved, tau years after (FF eq. (4)).

    Exit: an active establishment of age a has its last year with probability `exit_rate` at its percentile in the
    distribution of residual earnings r times `exit_by_age` at a. Without selection by percentile give one number.

    Moving: of those that continue, a share `move_rate` at the percentile of r among those that continue moves to
    another CBSA, drawn with probabilities proportional to `destination_weights` (by row of the CBSA table; by default
    its establishments). Rates are a number, or one for each of any number of percentile bins of equal width.

    Entry: establishments grow in number by `growth` a year in a steady state, so that the entry rate is the exit rate
    plus growth. `entry_slope` tilts growth, and thereby entry and age, with log density (FF Table 2).

    Employment: ln N is normal: `size_mean` + size_slope (ln D - its mean) + size_by_age a + size_of_multi_unit M, with
    a permanent and a transitory standard deviation; `whole_employment` rounds N to whole workers, at least one (the
    mean of ln N then differs).

    Records: a share `miscoding_rate` of establishment-years has the place of another CBSA in one year's records, drawn
    as destinations are, a share `recording_error_rate` has a payroll too high or too low by a factor of 1,000, and a
    share `county_move_rate` changes its county within the CBSA.
    """

    premium: ArrayLike = 0.074
    college: float = 0.883
    size: float = 0.04
    multi_unit: float = 0.10
    age_effects: ArrayLike = field(default_factory=_age_effects)
    constant: float = 8.9
    earnings_growth: float = 0.01
    industry_sd: float = 0.40
    city_sd: float = 0.06
    permanent_sd: float = 0.55
    transitory_sd: float = 0.35
    premium_at_birth: float = 0.0
    tenure_premium: ArrayLike = 0.0
    exit_rate: ArrayLike = field(default_factory=_exit_rates)
    exit_by_age: ArrayLike = field(default_factory=_exit_by_age)
    move_rate: ArrayLike = field(default_factory=_move_rates)
    destination_weights: ArrayLike | None = None
    growth: float = 0.016
    entry_slope: float = 0.0
    multi_unit_share: float = 0.26
    size_mean: float = 0.9
    size_slope: float = 0.0
    size_by_age: float = 0.02
    size_of_multi_unit: float = 0.8
    size_sd: float = 1.6
    size_shock_sd: float = 0.15
    whole_employment: bool = True
    county_move_rate: float = 0.0164
    miscoding_rate: float = 0.0018
    recording_error_rate: float = 0.0005

    def __post_init__(self) -> None:
        problems = [*_shape_problems(self), *_range_problems(self)]
        if problems:
            raise ModelError("; ".join(problems))

    def by_age(self, name: str) -> np.ndarray:
        """A field that may vary by age, with a value for each age."""
        return np.broadcast_to(np.asarray(getattr(self, name), float), AGES)

    def rates(self, name: str) -> np.ndarray:
        """`exit_rate` or `move_rate` with a value for each percentile bin."""
        return np.atleast_1d(np.asarray(getattr(self, name), float))

    @property
    def residual_sd(self) -> float:
        """Standard deviation of residual earnings among active establishments."""
        return float(np.hypot(self.permanent_sd, self.transitory_sd))


def destination_weights(truth: Truth, cbsas: pd.DataFrame) -> np.ndarray:
    """Weights with which destinations are drawn, one for each row of the CBSA table, adding up to one.

    **Raises:** `ModelError` for weights that are not one for each CBSA, finite and at least zero, or all but one 0.
    """
    given = truth.destination_weights
    weights = sizes(cbsas) if given is None else np.asarray(given, float)
    if weights.shape != (len(cbsas),) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ModelError(
            f"destination_weights must be {len(cbsas)} finite numbers, zero or positive: one for each CBSA"
        )
    if (weights > 0).sum() < 2:
        raise ModelError("destination_weights are positive for fewer than two CBSAs: there is nowhere to move")
    return weights / weights.sum()


def sizes(cbsas: pd.DataFrame) -> np.ndarray:
    """Shares of CBSAs in establishments: establishments_2001, or residents times the average ratio where missing."""
    residents = cbsas["population"].to_numpy(float)
    counts = cbsas["establishments_2001"].to_numpy(float) if "establishments_2001" in cbsas else np.nan * residents
    known = np.isfinite(counts)
    ratio = counts[known].sum() / residents[known].sum() if known.any() else 1.0
    counts = np.where(known, counts, ratio * residents)
    return counts / counts.sum()


def _shape_problems(truth: Truth):
    for name, length in (("premium", AGES), ("age_effects", AGES), ("exit_by_age", AGES), ("tenure_premium", TENURES)):
        values = np.asarray(getattr(truth, name), float)
        if values.shape not in ((), (length,)) or not np.isfinite(values).all():
            yield f"{name} must be a number or {length} finite numbers, and has shape {values.shape}"
    for name in ("exit_rate", "move_rate"):
        if np.asarray(getattr(truth, name)).ndim > 1:
            yield f"{name} must be a number, or a number for each percentile bin"


def _range_problems(truth: Truth):
    sds = ("industry_sd", "city_sd", "permanent_sd", "transitory_sd", "size_sd", "size_shock_sd")
    yield from (f"{name} is {getattr(truth, name)}, below zero" for name in sds if not getattr(truth, name) >= 0)
    if truth.residual_sd == 0:
        yield "permanent_sd and transitory_sd are both zero: there are no percentiles of residual earnings"
    shares = ("premium_at_birth", "multi_unit_share", "county_move_rate", "miscoding_rate", "recording_error_rate")
    for name in (*shares, "move_rate", "exit_rate"):
        values = np.asarray(getattr(truth, name), float)
        if not ((values >= 0) & (values <= 1)).all():
            yield f"{name} must be between 0 and 1"
    exits = np.multiply.outer(np.asarray(truth.exit_rate, float), np.asarray(truth.exit_by_age, float))
    if not ((exits >= 0) & (exits < 1)).all():
        yield "exit_rate times exit_by_age must be at least 0 and below 1 at all percentiles and ages"
