"""The same city economy solved as replication codes do: a damped fixed point in plain NumPy.

Independent of the library's solver: it takes an economy's fundamentals, and nothing else is shared. A
sweep evaluates every market once, moves log wages, log employment and log rents a fraction of the way,
and replaces prices and expenditure. Convergence is judged on the undamped log excess of every market,
as the library judges it, so that the two can be compared at one tolerance.

Rents are damped like wages because they have to be: replaced, as prices are, they cycle between two
states for ever on the embedded data, with externalities and without. Of the dampings from 0.2 to 0.5
tried there, 0.3 throughout needs the fewest sweeps with externalities, and nearly the fewest without.

Two ways of handling trade are offered. `RecomputedTrade` takes (kappa x)^(-theta) anew in each sweep,
sector by sector; `StoredTrade` takes kappa^(-theta) once and then only multiplies matrices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

import numpy as np

from spatialjax import Economy, NoSpillover, OccupationSpillover
from spatialjax.cities.input_links import NationalInputMix
from spatialjax.cities.state import State

Array = np.ndarray
Trade = Callable[[Array, Array], tuple[Array, Array]]
"""From log unit costs and expenditure (traded, city) to log prices and output (traded, city)."""


class Unknowns(NamedTuple):
    """Unknowns in logs, or log excess demand by market in the same order."""

    wage: Array
    employment: Array
    rent: Array
    price: Array
    expenditure: Array


MARKETS = Unknowns("labour", "location", "land", "price", "goods")  # type: ignore[arg-type]


@dataclass(frozen=True)
class Problem:
    """An economy as NumPy arrays; logs of absent cells are minus infinity.

    `log_productivity` (city, occupation, sector), `log_amenity` (city, occupation), `log_iceberg_cost`
    (traded, city, origin), `trade_elasticity` (traded), `input_mix` (input, sector), `spillover_share`
    and `spillover_size` (occupation), 0 without externalities. `policy` gives incomes, instead of wages and
    the land dividend, as in `numpy_planner`.
    """

    log_productivity: Array
    log_amenity: Array
    log_land: Array
    log_iceberg_cost: Array
    log_own_cost: Array
    trade_elasticity: Array
    location_elasticity: float
    substitution: float
    consumption_share: Array
    value_added_share: Array
    land_share: Array
    input_mix: Array
    population: Array
    wage_bill: float
    spillover_share: Array
    spillover_size: Array
    traded: Array
    policy: Callable[..., Array] | None = None

    @classmethod
    def of(cls, economy: Economy) -> "Problem":
        """Convert an economy with a national input mix and no externalities or those of CH."""
        if not isinstance(economy.input_links, NationalInputMix):
            raise TypeError("the baseline knows a national input mix only")
        share, size = _spillover(economy)
        traded = np.array(economy.traded)
        log_cost = np.asarray(economy.log_iceberg_cost)
        elasticity = np.broadcast_to(np.asarray(economy.trade_elasticity), log_cost.shape[:1])
        return cls(
            log_productivity=_log(economy.fundamental_productivity),
            log_amenity=_log(economy.amenity),
            log_land=_log(economy.land),
            log_iceberg_cost=np.ascontiguousarray(log_cost[traded]),
            log_own_cost=np.einsum("jnn->nj", log_cost).copy(),
            trade_elasticity=elasticity[traded],
            location_elasticity=float(economy.location_elasticity),
            substitution=float(economy.occupation_substitution),
            consumption_share=np.asarray(economy.consumption_share),
            value_added_share=np.asarray(economy.value_added_share),
            land_share=np.asarray(economy.land_share),
            input_mix=np.asarray(economy.input_links.mix),
            population=np.asarray(economy.population),
            wage_bill=float(economy.wage_bill),
            spillover_share=share,
            spillover_size=size,
            traded=traded,
        )


@dataclass(frozen=True)
class Solution:
    """Where the sweeps ended: `wage` and `employment` (city, occupation).

    `residual` is the largest absolute undamped log excess at the state returned, `by_market` its
    composition, `history` its value in every sweep, `outcome` why the sweeps ended.
    """

    wage: Array
    employment: Array
    sweeps: int
    residual: float
    by_market: dict[str, float]
    history: Array
    seconds: float
    outcome: str

    @property
    def converged(self) -> bool:
        """Whether every market clears to the tolerance."""
        return self.outcome == "converged"


def solve(
    problem: Problem | Economy,
    start: State,
    *,
    tolerance: float = 1e-10,
    damping: float = 0.3,
    rent_damping: float | None = None,
    stored_kernel: bool = False,
    max_sweeps: int = 5000,
    time_limit: float = float("inf"),
) -> Solution:
    """Sweep from `start` until every market clears to `tolerance`, or a limit is reached.

    **Arguments:**

    - `problem`: an economy, or one converted by `Problem.of`.
    - `start`: a state of the library.
    - `damping`: fraction of the way that log wages and log employment move in a sweep.
    - `rent_damping`: the same of log rents, by default `damping`; 1 replaces them.
    - `stored_kernel`: take kappa^(-theta) once instead of (kappa x)^(-theta) in each sweep.
    - `time_limit`: seconds.
    """
    began = perf_counter()
    if isinstance(problem, Economy):
        problem = Problem.of(problem)
    trade = StoredTrade(problem) if stored_kernel else RecomputedTrade(problem)
    state = Unknowns(*(np.array(getattr(start, f"log_{name}")) for name in Unknowns._fields))
    history: list[float] = []
    while True:
        gap = excess(problem, trade, state)
        history.append(largest(gap))
        late = perf_counter() - began > time_limit
        outcome = _outcome(history, tolerance, max_sweeps, late)
        if outcome:
            break
        state = move(state, gap, damping, damping if rent_damping is None else rent_damping)
    lives = np.isfinite(problem.log_amenity)
    return Solution(
        wage=np.where(lives, np.exp(state.wage), 0.0),
        employment=np.where(lives, np.exp(state.employment), 0.0),
        sweeps=len(history),
        residual=history[-1],
        by_market={name: float(np.abs(part).max()) for name, part in zip(MARKETS, gap, strict=True)},
        history=np.array(history),
        seconds=perf_counter() - began,
        outcome=outcome,
    )


def _outcome(history: list[float], tolerance: float, max_sweeps: int, late: bool) -> str:
    """Why to stop; empty to go on."""
    if not np.isfinite(history[-1]):
        return "not finite"
    if history[-1] < tolerance:
        return "converged"
    if len(history) >= max_sweeps:
        return "sweep limit"
    return "time limit" if late else ""


def move(state: Unknowns, gap: Unknowns, damping: float, rent_damping: float) -> Unknowns:
    """The next state: wages, employment and rents damped, prices and expenditure replaced."""
    return Unknowns(
        wage=state.wage + damping * gap.wage,
        employment=state.employment + damping * gap.employment,
        rent=state.rent + rent_damping * gap.rent,
        price=state.price + gap.price,
        expenditure=state.expenditure + gap.expenditure,
    )


def largest(gap: Unknowns) -> float:
    """Largest absolute excess over all markets; not a number if any is."""
    return max((float(np.abs(part).max()) for part in gap), key=lambda x: (np.isnan(x), x))


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def excess(problem: Problem, trade: Trade, state: Unknowns) -> Unknowns:
    """Log demand less log supply in every market, undamped, at the numeraire (the total wage bill)."""
    lives = np.isfinite(problem.log_amenity)
    wage = np.exp(state.wage)
    employment = np.where(lives, np.exp(state.employment), 0.0)
    log_labour_cost, wage_bill_share = hire(problem, state.wage, employment)
    log_unit_cost = unit_cost(problem, log_labour_cost, state)
    log_price, output = _ship(problem, trade, log_unit_cost, np.exp(state.expenditure))

    value_added = problem.value_added_share * output
    land_income = (problem.land_share * value_added).sum(1)
    labour_income = (1 - problem.land_share) * value_added
    labour_demand = np.einsum("nkj,nj->nk", wage_bill_share, labour_income)
    labour_demand *= problem.wage_bill / labour_demand.sum()

    log_index = log_price @ problem.consumption_share
    if problem.policy is None:
        income = wage + land_dividend(wage, employment, land_income)
    else:
        income = problem.policy(problem, wage, employment, land_income, log_index)
    log_consumption = np.log(np.maximum(income, 1.0)) - log_index[:, None]
    spending = (income * employment).sum(1)
    inputs = ((1 - problem.value_added_share) * output) @ problem.input_mix.T
    demand = problem.consumption_share * spending[:, None] + inputs

    has_land = np.isfinite(problem.log_land)
    return Unknowns(
        wage=np.where(lives, np.log(labour_demand) - state.employment - state.wage, 0.0),
        employment=np.where(lives, choose_location(problem, log_consumption) - state.employment, 0.0),
        rent=np.where(has_land, np.log(land_income) - problem.log_land - state.rent, 0.0),
        price=log_price - state.price,
        expenditure=np.log(demand) - state.expenditure,
    )


def hire(problem: Problem, log_wage: Array, employment: Array) -> tuple[Array, Array]:
    """Log cost of labour (city, sector) and wage-bill shares (city, occupation, sector), CES."""
    power = problem.substitution - 1
    log_productivity = problem.log_productivity + spillover_shift(problem, employment)[:, :, None]
    employed = np.isfinite(problem.log_productivity)
    advantage = np.where(employed, power * (log_productivity - log_wage[:, :, None]), -np.inf)
    top = advantage.max(1, keepdims=True)
    operating = np.isfinite(top)
    relative = np.where(operating, np.exp(advantage - top), 0.0)
    total = relative.sum(1, keepdims=True)
    share = np.where(operating, relative / total, 0.0)
    return np.where(operating, -(top + np.log(total)) / power, np.inf)[:, 0, :], share


def spillover_shift(problem: Problem, employment: Array) -> Array:
    """share[k] log(L[n, k] / L[n]) + size[k] log L[n], 0 where nobody of the occupation lives."""
    size = employment.sum(1, keepdims=True)
    shift = problem.spillover_share * np.log(employment / size) + problem.spillover_size * np.log(size)
    return np.where(employment > 0, shift, 0.0)


def unit_cost(problem: Problem, log_labour_cost: Array, state: Unknowns) -> Array:
    """Log unit cost (city, sector): labour, land and inputs; infinite where nothing can be produced."""
    factors = (1 - problem.land_share) * log_labour_cost + problem.land_share * state.rent[:, None]
    inputs = state.price @ problem.input_mix
    return problem.value_added_share * factors + (1 - problem.value_added_share) * inputs


def land_dividend(wage: Array, employment: Array, land_income: Array) -> Array:
    """A worker's share of the national portfolio of land, by occupation."""
    wage_bill = (wage * employment).sum(0)
    return wage_bill / wage_bill.sum() * land_income.sum() / employment.sum(0)


def choose_location(problem: Problem, log_consumption: Array) -> Array:
    """Log employment that workers choose: logit shares of utility."""
    attraction = problem.location_elasticity * (problem.log_amenity + log_consumption)
    attraction = np.where(np.isfinite(problem.log_amenity), attraction, -np.inf)
    top = attraction.max(0)
    return np.log(problem.population) + attraction - top - np.log(np.exp(attraction - top).sum(0))


def _ship(problem: Problem, trade: Trade, log_unit_cost: Array, expenditure: Array) -> tuple[Array, Array]:
    """Log prices and gross output (city, sector), traded sectors and others."""
    traded = problem.traded
    log_price, output = log_unit_cost + problem.log_own_cost, expenditure.copy()
    price, sold = trade(np.ascontiguousarray(log_unit_cost[:, traded].T), expenditure[:, traded].T)
    log_price[:, traded], output[:, traded] = price.T, sold.T
    return log_price, output


class RecomputedTrade:
    """Trade shares from exp(-theta (log kappa + log x)), anew in each sweep.

    One sector at a time in one buffer, which stays in a processor's cache where three arrays of
    (sector, city, origin) would not.
    """

    def __init__(self, problem: Problem):
        self.log_cost = problem.log_iceberg_cost
        self.elasticity = problem.trade_elasticity
        self.buffer = np.empty(self.log_cost.shape[1:])

    def __call__(self, log_unit_cost: Array, expenditure: Array) -> tuple[Array, Array]:
        """Log prices and output, from log unit costs and expenditure (traded, city)."""
        log_price, output = np.empty_like(log_unit_cost), np.empty_like(log_unit_cost)
        for j, elasticity in enumerate(self.elasticity):
            strength = np.add(self.log_cost[j], log_unit_cost[j], out=self.buffer)
            strength *= -elasticity
            top = strength.max(1)
            strength -= top[:, None]
            np.exp(strength, out=strength)
            access = strength.sum(1)
            log_price[j] = -(top + np.log(access)) / elasticity
            output[j] = (expenditure[j] / access) @ strength
        return log_price, output


class StoredTrade:
    """Trade from products with kappa^(-theta), taken once; rows are scaled by their largest element."""

    def __init__(self, problem: Problem):
        self.elasticity = problem.trade_elasticity[:, None]
        log_kernel = -self.elasticity[:, :, None] * problem.log_iceberg_cost
        self.log_access = log_kernel.max(2)
        log_kernel -= self.log_access[:, :, None]
        self.kernel = np.exp(log_kernel, out=log_kernel)

    def __call__(self, log_unit_cost: Array, expenditure: Array) -> tuple[Array, Array]:
        """Log prices and output, from log unit costs and expenditure (traded, city)."""
        cheapest = log_unit_cost.min(1, keepdims=True)
        strength = np.exp(-self.elasticity * (log_unit_cost - cheapest))
        access = np.matmul(self.kernel, strength[:, :, None])[:, :, 0]
        log_price = cheapest - (np.log(access) + self.log_access) / self.elasticity
        output = strength * np.matmul((expenditure / access)[:, None, :], self.kernel)[:, 0, :]
        return log_price, output


def _spillover(economy: Economy) -> tuple[Array, Array]:
    spillover = economy.spillover
    if isinstance(spillover, OccupationSpillover):
        return np.asarray(spillover.share), np.asarray(spillover.size)
    if isinstance(spillover, NoSpillover):
        none = np.zeros(economy.population.shape)
        return none, none
    raise TypeError(f"the baseline knows OccupationSpillover and NoSpillover, not {type(spillover).__name__}")


def _log(values) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(values))
