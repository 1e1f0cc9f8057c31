"""The steady state in which simulated establishments are first seen: ages and entrants by permanent residual earnings.

Let x(z, a) be the probability of exit of an establishment with permanent residual earnings z and age a, on average over
transitory ones; S(a, z) = prod_{k<a} (1 - x(z, k)) survival; and numbers grow by g a year. If the density of z among
all active establishments is f(z), that of ages is proportional to S(a, z) (1 + g)^-a, and entrants are
f(z) / L(z) per active establishment, with L(z) = sum_a S(a, z) (1 + g)^-a. So f can be chosen, and it is normal; the
entrants, the entry rate and everything else follow without a fixed point.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from spatialjax.density.simulation_truth import AGES, Truth
from spatialjax.errors import ModelError

BINS = 512
"""Quantile bins of permanent residual earnings among active establishments."""


@dataclass(frozen=True, eq=False)
class SteadyState:
    """Distributions by permanent residual earnings, at one rate of growth.

    `age[bin, age]` are shares of ages in a bin, `entrants[bin]` shares of bins among entrants, `entry_rate` entrants
    per active establishment. `exit_by_percentile` are exit rates in the cross-section and `continuing` shares of those
    that continue, by bin of residual earnings.
    """

    age: np.ndarray
    entrants: np.ndarray
    entry_rate: float
    exit_by_percentile: np.ndarray
    continuing: np.ndarray

    @property
    def exit_rate(self) -> float:
        """Exits per active establishment."""
        return float(self.exit_by_percentile.mean())


def steady_state(truth: Truth, growth: float | None = None, bins: np.ndarray | None = None) -> SteadyState:
    """The steady state of a truth; `growth` instead of its own, `bins` those of `percentile_bins`, if at hand.

    **Raises:** `ModelError` if establishments shrink in number faster than the oldest exit.
    """
    growth = truth.growth if growth is None else growth
    bins = percentile_bins(truth) if bins is None else bins
    rate, factor = truth.rates("exit_rate"), truth.by_age("exit_by_age")
    exits = np.outer(bins @ rate, factor)
    age, life = _ages(exits, growth)
    factors = bins.T @ (age @ factor) / bins.sum(axis=0)
    by_percentile = rate * factors
    stay = 1 - by_percentile
    return SteadyState(age, (1 / life) / (1 / life).sum(), float((1 / life).mean()), by_percentile, stay / stay.sum())


def expected_exit_rates(truth: Truth) -> np.ndarray:
    """Exit rate by percentile bin of residual earnings among all active: `exit_rate` times mean `exit_by_age`."""
    return steady_state(truth).exit_by_percentile


def continuing_percentile(state: SteadyState) -> np.ndarray:
    """Percentile among those that continue, at the bounds of the bins of percentiles among all: linear in between."""
    return np.concatenate([[0.0], np.cumsum(state.continuing)])


def percentile_bins(truth: Truth) -> np.ndarray:
    """Probability [bin of z, bin of r] that residual earnings r = z + transitory fall in a percentile bin."""
    z = truth.permanent_sd * ndtri((np.arange(BINS) + 0.5) / BINS)
    count = len(truth.rates("exit_rate"))
    bounds = truth.residual_sd * ndtri(np.arange(count + 1) / count)
    below = ndtr((bounds - z[:, None]) / max(truth.transitory_sd, 1e-9))
    return np.diff(below, axis=1)


def _ages(exits: np.ndarray, growth: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares of ages, and L, by bin; the last age is all ages from 16 on."""
    alive = np.cumprod(np.hstack([np.ones((BINS, 1)), 1 - exits[:, :-1]]), axis=1)
    weights = alive * (1 + growth) ** -np.arange(AGES)
    leaving = 1 - (1 - exits[:, -1]) / (1 + growth)
    if not (leaving > 0).all():
        raise ModelError(f"no steady state: numbers change by {growth:g} a year and the oldest exit at a lower rate")
    weights[:, -1] /= leaving
    life = weights.sum(axis=1)
    return weights / life[:, None], life
