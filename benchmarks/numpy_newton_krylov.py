"""The same equations given to SciPy's Newton-Krylov solver: residuals in logs of `numpy_baseline`, kernel stored.

Two ways. Without a preconditioner, as one would try first. And with the inverse of the Jacobian's blocks by city,
trade between cities held fixed: the library's own preconditioner, so that the comparison is one of solvers. Its blocks
come from finite differences at the start, one evaluation a variable of a city, and are kept.
"""

from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from scipy.optimize import NoConvergence, newton_krylov
from scipy.sparse.linalg import LinearOperator

from spatialjax.cities.state import State

from .numpy_baseline import (
    MARKETS,
    Problem,
    Solution,
    StoredTrade,
    Unknowns,
    excess,
)

Array = np.ndarray
STEP = 1e-7
"""Of the finite differences in logs."""
MOST_STEPS = 100
"""Of Newton's method."""


class TimeLimitError(Exception):
    """The search took too long."""


def solve(
    problem: Problem,
    start: State,
    *,
    preconditioned: bool,
    tolerance: float = 1e-10,
    time_limit: float = float("inf"),
) -> Solution:
    """Search from `start` for a largest absolute log excess of `tolerance`; `sweeps` counts evaluations."""
    began = perf_counter()
    packed = pack(Unknowns(*(np.array(getattr(start, f"log_{name}")) for name in Unknowns._fields)))
    markets = Markets(problem, StoredTrade(problem), began + time_limit, best=packed.ravel())
    outcome, found = "converged", packed.ravel()
    try:
        inverse = _local_inverse(markets, packed) if preconditioned else None
        found = newton_krylov(
            markets.residual,
            found,
            f_tol=tolerance,
            tol_norm=_largest,
            inner_M=inverse,
            maxiter=MOST_STEPS,
        )
    except TimeLimitError:
        outcome = "time limit"
    except NoConvergence:
        outcome = "no convergence"
    except (ValueError, np.linalg.LinAlgError):  # SciPy's answer to a residual that is not finite
        outcome = "not finite"
    found = found if outcome == "converged" else markets.best
    return _solution(markets, found.reshape(packed.shape), outcome, perf_counter() - began)


def _solution(markets: "Markets", packed: Array, outcome: str, seconds: float) -> Solution:
    gap = excess(markets.problem, markets.trade, unpack(packed, markets.problem))
    state = unpack(packed, markets.problem)
    lives = np.isfinite(markets.problem.log_amenity)
    by_market = {name: _largest(part) for name, part in zip(MARKETS, gap, strict=True)}
    return Solution(
        wage=np.where(lives, np.exp(state.wage), 0.0),
        employment=np.where(lives, np.exp(state.employment), 0.0),
        sweeps=markets.evaluations,
        residual=max(by_market.values()),
        by_market=by_market,
        history=np.array(markets.history),
        seconds=seconds,
        outcome=outcome,
    )


@dataclass
class Markets:
    """The residual as SciPy wants it, and what was seen of it."""

    problem: Problem
    trade: StoredTrade
    deadline: float
    best: Array
    evaluations: int = 0
    history: list[float] = field(default_factory=list)

    def residual(self, flat: Array) -> Array:
        """Log excess demand of every market at a flat state."""
        if perf_counter() > self.deadline:
            raise TimeLimitError
        cities = self.problem.log_land.size
        gap = pack(excess(self.problem, self.trade, unpack(flat.reshape(cities, -1), self.problem)))
        self.evaluations += 1
        largest = _largest(gap)
        if not self.history or largest < min(self.history):
            self.best = flat.copy()
        self.history.append(largest)
        return gap.ravel()


def pack(unknowns: Unknowns) -> Array:
    """Unknowns side by side, (city, variable)."""
    return np.concatenate(
        [unknowns.wage, unknowns.employment, unknowns.rent[:, None], unknowns.price, unknowns.expenditure], axis=1
    )


def unpack(packed: Array, problem: Problem) -> Unknowns:
    """Inverse of `pack`."""
    occupations, sectors = problem.population.size, problem.value_added_share.shape[1]
    widths = np.cumsum([occupations, occupations, 1, sectors])
    wage, employment, rent, price, expenditure = np.split(packed, widths, axis=1)
    return Unknowns(wage, employment, rent[:, 0], price, expenditure)


def _largest(values: Array) -> float:
    return float(np.abs(values).max())


def _local_inverse(markets: Markets, packed: Array) -> LinearOperator:
    """Inverse blocks of the Jacobian at a state, by city.

    Random signs by city keep sums over all cities (the numeraire, the dividend of land) out of the blocks.
    """
    problem = markets.problem
    local = LocalTrade(markets.trade)
    here = pack(excess(problem, local, unpack(packed, problem)))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (packed.shape[0], 1))
    blocks = np.empty((*packed.shape, packed.shape[1]))
    for variable in range(packed.shape[1]):
        moved = packed.copy()
        moved[:, [variable]] += STEP * signs
        blocks[:, :, variable] = signs * (pack(excess(problem, local, unpack(moved, problem))) - here) / STEP
    markets.evaluations += packed.shape[1] + 1
    inverse = np.linalg.inv(blocks)

    def apply(flat: Array) -> Array:
        return np.einsum("nab,nb->na", inverse, flat.reshape(packed.shape)).ravel()

    return LinearOperator((packed.size, packed.size), apply, dtype=float)


class LocalTrade:
    """Trade in which what cities buy from and sell to others is held at its first values."""

    def __init__(self, trade: StoredTrade):
        self.whole = trade
        self.own = np.einsum("jnn->jn", trade.kernel)
        self.held: tuple[Array, Array, Array] | None = None

    def __call__(self, log_unit_cost: Array, expenditure: Array) -> tuple[Array, Array]:
        """Log prices and output, from log unit costs and expenditure (traded, city)."""
        kernel, elasticity = self.whole.kernel, self.whole.elasticity
        if self.held is None:
            cheapest = log_unit_cost.min(1, keepdims=True)
            strength = np.exp(-elasticity * (log_unit_cost - cheapest))
            access = np.matmul(kernel, strength[:, :, None])[:, :, 0]
            sold = np.matmul((expenditure / access)[:, None, :], kernel)[:, 0, :]
            self.held = (cheapest, access - self.own * strength, sold - self.own * expenditure / access)
        cheapest, from_elsewhere, to_elsewhere = self.held
        strength = np.exp(-elasticity * (log_unit_cost - cheapest))
        access = from_elsewhere + self.own * strength
        log_price = cheapest - (np.log(access) + self.whole.log_access) / elasticity
        return log_price, strength * (to_elsewhere + self.own * expenditure / access)
