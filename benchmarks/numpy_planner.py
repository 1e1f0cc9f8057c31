"""The planner's incomes in plain NumPy, by the papers' hand formulas: CH eqs. 7, 8 and 10 and Proposition 1."""

from dataclasses import dataclass
from math import gamma

import numpy as np

from .numpy_baseline import land_dividend

Array = np.ndarray
STEPS = 20


@dataclass(frozen=True)
class EqualGains:
    """Incomes at which all occupations gain alike on `reference`, welfare by occupation."""

    reference: Array

    def __call__(self, problem, wage: Array, employment: Array, land_income: Array, log_index: Array) -> Array:
        """Income (city, occupation), dollars a year."""
        tax = 1 / (1 + problem.location_elasticity)
        dividend = land_dividend(wage, employment, land_income)
        before = (1 - tax) * (wage + hand_wedge(problem, wage, employment)) + dividend
        earned = (wage * employment).sum() + land_income.sum()
        return before + self._lump_sums(problem, before, employment, log_index, earned)

    def _lump_sums(self, problem, before, employment, log_index, earned) -> Array:
        """R by occupation and the common gain, by Newton's method on the budget and equal gains."""
        nu = problem.location_elasticity
        workers = employment.sum(0)
        lump_sum = np.full(workers.size, (earned - (before * employment).sum()) / workers.sum())
        gain = 0.0
        for _ in range(STEPS):
            income = np.maximum(before + lump_sum, 1e-6 * earned / workers.sum())
            attraction = np.exp(nu * (problem.log_amenity + np.log(income) - log_index[:, None]))
            total = attraction.sum(0)
            welfare = gamma((nu - 1) / nu) * total ** (1 / nu)
            slope = welfare * (attraction / income).sum(0) / total
            missing = (1 + gain) * self.reference - welfare
            change = missing / slope
            shortfall = earned - (income * employment).sum() - workers @ change
            more = shortfall / (workers @ (self.reference / slope))
            gain, step = gain + more, change + more * self.reference / slope
            lump_sum = lump_sum + step
            if np.abs(step).max() < 1e-9:
                break
        return lump_sum


def hand_wedge(problem, wage: Array, employment: Array) -> Array:
    """Delta = w tauR + sum_l w[l] (L[l] / L) (tauL[l] - tauR[l]) (CH eqs. 7, 8 and 10 put together)."""
    share, size = problem.spillover_share, problem.spillover_size
    per_worker = (wage * employment) @ (size - share) / employment.sum(1)
    return np.where(employment > 0, wage * share + per_worker[:, None], 0.0)
