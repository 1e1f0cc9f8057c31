"""Equilibrium: the contract's `solve` and what it returns."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int

from spatialjax.cities.checks import check_economy, check_start
from spatialjax.cities.consumption import by_occupation
from spatialjax.cities.economy import Economy
from spatialjax.cities.externalities import effective_amenity
from spatialjax.cities.income import IncomeRule, IncomeState, LaissezFaire, total_income
from spatialjax.cities.location import Mobility
from spatialjax.cities.market_clearing import SMALLEST_INCOME, Markets, System, clear_markets, excess, find_equilibrium
from spatialjax.cities.state import State
from spatialjax.errors import ConvergenceError, PrecisionError
from spatialjax.numerics.root import Root, Status
from spatialjax.numerics.safe_math import masked_log
from spatialjax.typing import (
    ByCity,
    CityOccupation,
    CityOccupationSector,
    CitySector,
    PriceIndex,
    Scalar,
)

SINGLE_PRECISION_TOLERANCE = 1e-5
"""The tightest tolerance that a solve in single precision accepts."""
BUDGET_TOLERANCE = 1e-8
"""Relative gap between total income paid and total income earned that an income rule may leave, or the
tolerance of the solve where that is larger."""


class EquilibriumStatus(Status):
    """How a solve for an equilibrium ended."""

    unbalanced = "the income rule pays out more or less than is earned"
    negative_income = "some workers have no income"
    overflow = "some price is too large or too small for a number"


class Residuals(eqx.Module):
    """Largest absolute log excess demand by market, and the city where it occurs.

    `labour`: wage bills; `location`: employment; `land`: rents; `price`: sectoral prices; `goods`:
    expenditure; `budget`: income paid over income earned (no city).
    """

    labour: Scalar
    location: Scalar
    land: Scalar
    price: Scalar
    goods: Scalar
    budget: Scalar
    worst_city: dict[str, Int[Array, ""]]

    def __getitem__(self, block: str) -> Scalar:
        """The residual of one market by name."""
        return self.by_block()[block]

    def by_block(self) -> dict[str, Scalar]:
        """The residuals as a dictionary."""
        return {name: getattr(self, name) for name in RESIDUAL_BLOCKS}

    def largest(self) -> Scalar:
        """The largest of them."""
        return jnp.max(jnp.stack(list(self.by_block().values())))


MARKET_OF_UNKNOWN = {
    "log_wage": "labour",
    "log_employment": "location",
    "log_rent": "land",
    "log_price": "price",
    "log_expenditure": "goods",
}
RESIDUAL_BLOCKS = (*MARKET_OF_UNKNOWN.values(), "budget")


class Equilibrium(eqx.Module):
    """An equilibrium: quantities in workers, values in dollars a year at the numeraire.

    Prices are relative to the units in which inversion measures goods: the geometric mean of
    `unit_cost` over producing cities is one in the data. `unit_cost` is infinite where nothing is
    produced. `price_index` is by city, or by city and occupation where occupations consume different
    baskets. `consumption` is real, per worker; `welfare` is expected utility in the same units, by occupation, or by
    group and occupation where workers may move within groups of cities only, or by city and occupation where they may
    not move at all. `tariff_revenue` is none where there are no tariffs.
    `employment_by_sector` sums to `employment`. `status` says whether this is an equilibrium.
    """

    wage: CityOccupation
    employment: CityOccupation
    employment_by_sector: CityOccupationSector
    price: CitySector
    unit_cost: CitySector
    expenditure: CitySector
    gross_output: CitySector
    price_index: PriceIndex
    rent: ByCity
    land_income: ByCity
    productivity: CityOccupationSector
    income: CityOccupation
    consumption: CityOccupation
    welfare: Float[Array, "*group occupation"]
    residuals: Residuals
    evaluations: Int[Array, ""]
    status: EquilibriumStatus
    tariff_revenue: ByCity | None = None

    @property
    def converged(self) -> Any:
        """Whether every residual is below the tolerance (a boolean array)."""
        return self.status == EquilibriumStatus.converged

    @property
    def outcome(self) -> str:
        """How the solve ended, in words."""
        return str(EquilibriumStatus[self.status])  # type: ignore[misc]

    def state(self) -> State:
        """The unknowns of the solve, to start another one from."""
        return State(
            log_wage=masked_log(self.wage),
            log_employment=masked_log(self.employment),
            log_rent=masked_log(self.rent),
            log_price=jnp.log(self.price),
            log_expenditure=masked_log(self.expenditure),
        )

    def to_xarray(self, data: xr.Dataset) -> xr.Dataset:
        """The equilibrium with the named dimensions and labels of `data`, units as attributes."""
        from spatialjax.cities.labelled import equilibrium_to_xarray

        return equilibrium_to_xarray(self, data)


def solve(
    economy: Economy,
    *,
    income: IncomeRule = LaissezFaire(),
    mobility: Mobility | None = None,
    initial: "Equilibrium | State | None" = None,
    tolerance: float = 1e-10,
    max_evaluations: int = 2000,
    throw: bool = True,
) -> Equilibrium:
    """Solve for an equilibrium (CH section 3; the equations are in docs/model.md).

    Works under `jax.jit`, `jax.vmap`, `jax.grad`, `jax.jvp` and `jax.hessian`; derivatives are implicit
    and flow to every array leaf of `economy` and `income`, not to `initial`.

    **Arguments:**

    - `economy`: the fundamentals ([`Economy`][]).
    - `income`: the tax and transfer system, a callable module (IncomeState, Economy) -> income.
    - `mobility`: where workers may live, by default `economy.mobility`.
    - `initial`: where to start; by default `economy.reference`.
    - `tolerance`: on the largest absolute log excess demand over all markets, undamped.
    - `max_evaluations`: of the equilibrium system.
    - `throw`: raise where there is no solution; otherwise look at `status` and `residuals`.

    **Raises:** `ConvergenceError` naming the worst market and city; `PrecisionError` in single precision
    unless `tolerance` is 1e-5 or more; `ModelError` for an economy that is none. Inside a
    transformation the error is raised at run time, without the names.
    """
    if mobility is not None and isinstance(economy, Economy):
        economy = replace(economy, mobility=mobility)
    check_economy(economy)
    check_precision(economy, income, tolerance)
    start = economy.reference if initial is None else initial
    start = start.state() if isinstance(start, Equilibrium) else start
    check_start(start, economy)
    limits = jnp.asarray(tolerance), jnp.asarray(max_evaluations)
    equilibrium = solve_unchecked(economy, income, None, start, *limits)
    return _raise_unless_converged(equilibrium, economy) if throw else equilibrium


@eqx.filter_jit
def solve_unchecked(economy, income, mobility, start, tolerance, max_evaluations) -> Equilibrium:
    """[`solve`][] without checks and without raising."""
    system = System.of(economy, income, mobility)
    root = find_equilibrium(system, start, tolerance=tolerance, max_evaluations=max_evaluations)
    return equilibrium_at(root, system, tolerance)


@eqx.filter_jit
def evaluate_at(economy: Economy, state: State, income: IncomeRule | None = None) -> Residuals:
    """Residuals of the equilibrium system at a state: how far the state is from an equilibrium."""
    system = System.of(economy, LaissezFaire() if income is None else income)
    return _residuals(excess(state, system), clear_markets(state, system))


def equilibrium_at(root: Root, system: System, tolerance: Scalar) -> Equilibrium:
    """The equilibrium, or what was found in its place, at a root of a system."""
    economy, state = system.economy, root.state
    markets = clear_markets(state, system)
    lives = economy.amenity > 0
    income = jnp.where(lives, markets.income, 0.0)
    consumption = income / by_occupation(markets.price_index)
    residuals = _residuals(root.residual, markets)
    operating = system.technology.operating
    price = jnp.exp(markets.log_price)
    budget_holds = residuals.budget < jnp.maximum(tolerance, BUDGET_TOLERANCE)
    return Equilibrium(
        wage=jnp.where(lives, markets.wage, 0.0),
        employment=markets.employment,
        employment_by_sector=markets.employment_by_sector,
        price=price,
        unit_cost=jnp.where(operating, jnp.exp(markets.log_unit_cost), jnp.inf),
        expenditure=markets.expenditure,
        gross_output=markets.gross_output,
        price_index=markets.price_index,
        rent=jnp.where(economy.land > 0, jnp.exp(state.log_rent), 0.0),
        land_income=markets.land_income,
        productivity=economy.fundamental_productivity * jnp.exp(markets.log_productivity_shift),
        income=income,
        consumption=consumption,
        welfare=system.mobility.welfare(markets.attraction, markets.employment, economy),
        tariff_revenue=markets.tariff_revenue,
        residuals=residuals,
        evaluations=root.evaluations,
        status=_status(
            root.status,
            budget_holds,
            jnp.all((income > SMALLEST_INCOME * markets.wage) | ~lives),
            jnp.all(jnp.isfinite(price) & (price > 0)),
        ),
    )


def income_state(economy: Economy, equilibrium: Equilibrium) -> IncomeState:
    """What an income rule sees at an equilibrium."""
    return IncomeState(
        wage=equilibrium.wage,
        employment=equilibrium.employment,
        employment_by_sector=equilibrium.employment_by_sector,
        price_index=equilibrium.price_index,
        land_income=equilibrium.land_income,
        amenity=effective_amenity(economy, equilibrium.employment),
        tariff_revenue=equilibrium.tariff_revenue,
    )


def _status(solver_status: Status, budget_holds, all_incomes_positive, prices_are_numbers) -> EquilibriumStatus:
    status = EquilibriumStatus.promote(solver_status)
    found = solver_status == Status.converged
    refine = EquilibriumStatus.where
    status = refine(found & ~prices_are_numbers, EquilibriumStatus.overflow, status)
    status = refine(found & ~all_incomes_positive, EquilibriumStatus.negative_income, status)
    return refine(found & ~budget_holds, EquilibriumStatus.unbalanced, status)


def _residuals(excess_demand: State, markets: Markets) -> Residuals:
    values, cities = {}, {}
    for unknown, market in MARKET_OF_UNKNOWN.items():
        excess_by_city = jnp.abs(getattr(excess_demand, unknown))
        excess_by_city = excess_by_city.reshape(excess_by_city.shape[0], -1).max(1)
        values[market] = excess_by_city.max()
        cities[market] = jnp.argmax(excess_by_city)
    paid = (markets.income * markets.employment).sum()
    earned = total_income(markets)
    budget = jnp.abs(jnp.log(jnp.abs(paid)) - jnp.log(earned))
    return jax.tree.map(jax.lax.stop_gradient, Residuals(**values, budget=budget, worst_city=cities))


def describe_failure(equilibrium: Equilibrium, economy: Economy) -> str:
    """Why a solve ended without an equilibrium, with the worst market and city by name."""
    reason = equilibrium.outcome
    if bool(equilibrium.status == EquilibriumStatus.negative_income):
        return f"no equilibrium: {reason}: {_negative_income(equilibrium, economy)}"
    if bool(equilibrium.status == EquilibriumStatus.overflow):
        log_price = np.abs(np.nan_to_num(np.log(np.asarray(equilibrium.price)), posinf=np.inf))
        n, j = np.unravel_index(log_price.argmax(), log_price.shape)
        return (
            f"no equilibrium: {reason}: that of {economy.labels.sector[j]} in {economy.labels.city[n]}. Check trade "
            "costs and productivity there; where there is no trade, log_iceberg_cost is infinite"
        )
    if bool(equilibrium.status == EquilibriumStatus.not_finite):
        return (
            f"no equilibrium: {reason}. Check that `initial` has no zero, infinite or missing values, that every "
            "city can buy every traded good from somebody, and that all who live in a city can work there"
        )
    residuals = equilibrium.residuals
    values = {name: float(value) for name, value in residuals.by_block().items()}
    market = max(values, key=lambda name: np.inf if np.isnan(values[name]) else values[name])
    place = ""
    if market in residuals.worst_city:
        place = f" in {economy.labels.city[int(residuals.worst_city[market])]}"
    ran_out = bool(equilibrium.status == EquilibriumStatus.out_of_evaluations)
    advice = "Allow more with max_evaluations, or start nearer to the solution." if ran_out else ADVICE[market]
    table = ", ".join(f"{name} {value:.1e}" for name, value in values.items())
    return (
        f"no equilibrium: {reason}, after {int(equilibrium.evaluations)} evaluations. The largest log excess is "
        f"{values[market]:.1e} in the {market} market{place} (all: {table}). {advice}"
    )


def _negative_income(equilibrium: Equilibrium, economy: Economy) -> str:
    lives = np.asarray(equilibrium.employment) > 0
    income, wage = np.asarray(equilibrium.income), np.asarray(equilibrium.wage)
    n, k = np.unravel_index(np.where(lives, income, np.inf).argmin(), income.shape)
    cells = int((lives & (income <= SMALLEST_INCOME * wage)).sum())
    return (
        f"{economy.labels.occupation[k]} in {economy.labels.city[n]} would receive {income[n, k]:,.0f} a year "
        f"({cells} such cells). Let the income rule take less from them"
    )


ADVICE = {
    "labour": "Try a start nearer to the solution (initial=), or approach the change in steps.",
    "location": "Strong externalities may leave no nearby equilibrium: try other starts, or a smaller change.",
    "land": "Check `land` and `land_share` of that city.",
    "price": "Check trade costs and productivity: a city that nobody can supply has no price.",
    "goods": "Check consumption shares and input links.",
    "budget": "The income rule must pay out the wage bill plus land income, no more and no less.",
}


def _raise_unless_converged(equilibrium: Equilibrium, economy: Economy) -> Equilibrium:
    converged = equilibrium.converged
    if isinstance(converged, jax.core.Tracer):
        message = "no equilibrium: call solve outside of jit, or with throw=False, to see where it fails"
        return eqx.error_if(equilibrium, ~converged, message)
    if not bool(np.all(converged)):
        raise ConvergenceError(describe_failure(equilibrium, economy))
    return equilibrium


def check_precision(economy: Economy, income: IncomeRule, tolerance: float) -> None:
    """Refuse single precision for a tolerance that it cannot reach, naming the leaf."""
    if not isinstance(tolerance, jax.core.Tracer) and tolerance >= SINGLE_PRECISION_TOLERANCE:
        return
    leaves = jax.tree_util.tree_leaves_with_path({"economy": economy, "income": income})
    single = [(jax.tree_util.keystr(path, simple=True, separator="."), x) for path, x in leaves if _is_single(x)]
    if single:
        name, leaf = single[0]
        raise PrecisionError(
            f"{name} is in {leaf.dtype}, which cannot reach a tolerance of {tolerance}: call "
            'jax.config.update("jax_enable_x64", True) before you build the economy, or ask for single precision '
            f"with tolerance={SINGLE_PRECISION_TOLERANCE:g} or more"
        )


def _is_single(leaf: Any) -> bool:
    return eqx.is_inexact_array(leaf) and leaf.dtype != jnp.float64
