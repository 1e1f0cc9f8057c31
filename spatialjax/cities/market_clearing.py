"""The equilibrium system: every market of the economy, written once.

`clear_markets` evaluates all blocks at a state; `excess` is log demand less log supply by market.
Income rules, closures of location and the kernel of trade are arguments of this one system.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from spatialjax.cities.consumption import by_occupation, final_demand, is_consumed, log_price_index
from spatialjax.cities.economy import Economy
from spatialjax.cities.externalities import effective_amenity, productivity_shift
from spatialjax.cities.income import IncomeRule, IncomeState
from spatialjax.cities.labour import LabourTechnology
from spatialjax.cities.location import Mobility
from spatialjax.cities.preferences import log_attraction
from spatialjax.cities.state import State
from spatialjax.cities.trade import Geography, local_geography, tariff_revenue, trade
from spatialjax.numerics.packing import pack
from spatialjax.numerics.root import Root, find_root
from spatialjax.numerics.safe_math import masked_divide, masked_log
from spatialjax.typing import ByCity, CityOccupation, CityOccupationSector, CitySector, PriceIndex


class System(eqx.Module):
    """An economy, its rules, and what depends on the economy alone and is computed once per solve."""

    economy: Economy
    income: IncomeRule
    mobility: Mobility
    technology: LabourTechnology
    geography: Geography

    @classmethod
    def of(cls, economy: Economy, income: IncomeRule, mobility: Mobility | None = None) -> "System":
        """The system of an economy under an income rule, and under its own closure of location unless told another."""
        return cls(
            economy,
            income,
            economy.mobility if mobility is None else mobility,
            LabourTechnology.of(
                jnp.where(economy.amenity[:, :, None] > 0, economy.fundamental_productivity, 0.0),
                economy.occupation_substitution,
            ),
            Geography.of(economy.log_iceberg_cost, economy.trade_elasticity, economy.traded, economy.tariff),
        )


class Markets(eqx.Module):
    """Every block of the economy evaluated at a state; values in dollars a year."""

    wage: CityOccupation
    employment: CityOccupation
    employment_by_sector: CityOccupationSector
    log_productivity_shift: CityOccupationSector
    log_unit_cost: CitySector
    log_price: CitySector
    expenditure: CitySector
    gross_output: CitySector
    labour_demand: CityOccupation
    land_income: ByCity
    tariff_revenue: ByCity | None
    price_index: PriceIndex
    income: CityOccupation
    attraction: CityOccupation
    desired_log_employment: CityOccupation


SMALLEST_INCOME = 1e-6
"""Fraction of a worker's own wage at which log consumption is guarded on the way to a solution."""


def unit_cost(system: System, log_labour_cost: CitySector, state: State) -> CitySector:
    """Log x = gamma (beta log r + (1 - beta) log W) + sum_i G[n, i, j] log P[n, i] (CH eq. 5)."""
    economy = system.economy
    factors = (1 - economy.land_share) * log_labour_cost + economy.land_share * state.log_rent[:, None]
    inputs = economy.input_links.log_cost(state.log_price, economy.value_added_share)
    return economy.value_added_share * factors + inputs


def clear_markets(state: State, system: System) -> Markets:
    """Evaluate every block of spec section 1 at a state."""
    economy = system.economy
    lives = economy.amenity > 0
    wage = jnp.exp(state.log_wage)
    employment = jnp.where(lives, jnp.exp(state.log_employment), 0.0)

    shift = productivity_shift(economy, employment)
    log_labour_cost, wage_bill_share = system.technology.hire(state.log_wage, shift)
    log_unit_cost = unit_cost(system, log_labour_cost, state)
    expenditure = jnp.where(_is_bought(system), jnp.exp(state.log_expenditure), 0.0)
    log_price, gross_output = trade(system.geography, log_unit_cost, expenditure, system.technology.operating)

    value_added = economy.value_added_share * gross_output
    land_income = (economy.land_share * value_added).sum(1)
    labour_income = (1 - economy.land_share) * value_added
    demand_by_sector = wage_bill_share * labour_income[:, None, :]
    labour_demand = demand_by_sector.sum(2)

    log_index = log_price_index(log_price, economy.consumption_share)
    per_dollar = masked_divide(employment, labour_demand, labour_demand > 0)
    income_state = IncomeState(
        wage=wage,
        employment=employment,
        employment_by_sector=demand_by_sector * per_dollar[:, :, None],
        price_index=jnp.exp(log_index),
        land_income=land_income,
        amenity=effective_amenity(economy, employment),
        tariff_revenue=tariff_revenue(system.geography, log_unit_cost, expenditure, system.technology.operating),
    )
    income = system.income(income_state, economy)
    consumption = positive_income(income, wage) / by_occupation(income_state.price_index)
    attraction = log_attraction(economy.preferences, income_state.amenity, consumption, economy.location_elasticity)
    return Markets(
        wage=wage,
        employment=employment,
        employment_by_sector=income_state.employment_by_sector,
        log_productivity_shift=shift,
        log_unit_cost=log_unit_cost,
        log_price=log_price,
        expenditure=expenditure,
        gross_output=gross_output,
        labour_demand=labour_demand,
        land_income=land_income,
        tariff_revenue=income_state.tariff_revenue,
        price_index=income_state.price_index,
        income=income,
        attraction=attraction,
        desired_log_employment=system.mobility.log_employment(attraction, state.log_employment, economy),
    )


def excess(state: State, system: System) -> State:
    """Log demand less log supply, by market; zero in every element at an equilibrium.

    The numeraire is fixed here: labour demand is scaled to the economy's wage bill. By Walras' law the
    scale is one once the other markets clear. Variables of absent cells are sent to zero.
    """
    economy = system.economy
    markets = clear_markets(state, system)
    lives = economy.amenity > 0
    numeraire = jnp.log(economy.wage_bill) - jnp.log(markets.labour_demand.sum())
    # Workers without employers have no wage: minus infinity, which no solve takes for a solution.
    log_wage = jnp.log(jnp.where(lives, markets.labour_demand, 1.0)) + numeraire - state.log_employment
    spending = markets.income * markets.employment
    inputs = economy.input_links.demand(markets.gross_output, economy.value_added_share)
    demand = final_demand(economy.consumption_share, spending) + inputs
    has_land = economy.land > 0
    log_rent = masked_log(markets.land_income) - masked_log(economy.land)
    return State(
        log_wage=jnp.where(lives, log_wage, 0.0) - state.log_wage,
        log_employment=markets.desired_log_employment - state.log_employment,
        log_rent=jnp.where(has_land, log_rent, 0.0) - state.log_rent,
        log_price=markets.log_price - state.log_price,
        log_expenditure=masked_log(demand) - state.log_expenditure,
    )


RELAXATION = {"log_wage": 0.3, "log_employment": 0.3, "log_rent": 0.3, "log_price": 1.0, "log_expenditure": 1.0}
"""Damped sweeps: wages and workers move part of the way, as do rents; prices and spending move all of it."""


def relaxation_of(start: State) -> Float[Array, "city variable"]:
    """`RELAXATION` by variable of a packed state."""
    return pack(State(**{name: jnp.full_like(getattr(start, name), part) for name, part in RELAXATION.items()}))


def find_equilibrium(system: System, start: State, *, tolerance, max_evaluations) -> Root:
    """Solve the equilibrium system from a start; see [`find_root`][]."""
    relaxation = State(**{name: jnp.asarray(part) for name, part in RELAXATION.items()})
    return find_root(excess, localise, start, system, relaxation, tolerance=tolerance, max_evaluations=max_evaluations)


def localise(state: State, system: System) -> System:
    """The system with the trade ties between cities held fixed at a state."""
    economy = system.economy
    employment = jnp.where(economy.amenity > 0, jnp.exp(state.log_employment), 0.0)
    shift = productivity_shift(economy, employment)
    log_labour_cost, _ = system.technology.hire(state.log_wage, shift)
    expenditure = jnp.where(_is_bought(system), jnp.exp(state.log_expenditure), 0.0)
    log_unit_cost = unit_cost(system, log_labour_cost, state)
    local = local_geography(system.geography, log_unit_cost, expenditure, system.technology.operating)
    return eqx.tree_at(lambda s: s.geography, system, local)


def _is_bought(system: System) -> Bool[Array, "#city sector"]:
    """Where a good is consumed or an input of a sector that operates: elsewhere nothing is spent on it."""
    economy = system.economy
    spends = system.technology.operating * (1 - economy.value_added_share)
    return is_consumed(economy.consumption_share) | economy.input_links.uses(spends)


def positive_income(income, wage):
    """Income, held at a sliver of the wage where it is less: a policy may overshoot on the way to a solution.

    A sliver of the mean would bind at solutions too, where some city's wages are a millionth of another's.
    """
    return jnp.maximum(income, SMALLEST_INCOME * wage)
