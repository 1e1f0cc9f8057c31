"""Small economies for tests: random ones with asymmetric costs, and data made from their equilibria."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import spatialjax as sj
from spatialjax.cities.economy import Labels
from spatialjax.cities.input_links import NationalInputMix
from spatialjax.cities.state import State


def labels(cities, occupations, sectors):
    return Labels(
        city=tuple(f"city {n}" for n in range(cities)),
        occupation=tuple(f"occupation {k}" for k in range(occupations)),
        sector=tuple(f"sector {j}" for j in range(sectors)),
    )


def flat_state(cities, occupations, sectors, population, wage_bill):
    """Everyone everywhere, paid alike: a start that knows nothing of the economy."""
    return State(
        log_wage=jnp.full((cities, occupations), jnp.log(wage_bill / population.sum())),
        log_employment=jnp.broadcast_to(jnp.log(population / cities), (cities, occupations)),
        log_rent=jnp.zeros(cities),
        log_price=jnp.zeros((cities, sectors)),
        log_expenditure=jnp.full((cities, sectors), jnp.log(2 * wage_bill / (cities * sectors))),
    )


def random_economy(
    cities=5,
    sectors=4,
    occupations=2,
    *,
    land_sector=1,
    local_sectors=(3,),
    seed=0,
    spillover=None,
    empty_cells=3,
    trade_elasticity=4.0,
    location_elasticity=2.0,
    occupation_substitution=2.0,
):
    """An economy with an asymmetric cost matrix, empty cells, and sectors in no particular order."""
    rng = np.random.default_rng(seed)
    local = (land_sector, *local_sectors)
    traded = tuple(j for j in range(sectors) if j not in local)
    value_added = np.broadcast_to(rng.uniform(0.3, 0.7, sectors), (cities, sectors)).copy()
    for j in local_sectors:
        value_added[:, j] = rng.uniform(0.3, 0.7, cities)
    land_share = np.zeros((cities, sectors))
    land_share[:, land_sector] = rng.uniform(0.7, 0.95, cities)
    log_cost = rng.uniform(0.1, 0.8, (sectors, cities, cities))
    own = np.eye(cities, dtype=bool)
    log_cost[:, own] = rng.uniform(0.0, 0.1, (sectors, cities))
    for j in local:
        log_cost[j] = np.where(own, 0.0, np.inf)
    productivity = np.exp(rng.normal(0, 0.3, (cities, occupations, sectors)))
    empty = (
        rng.integers(0, cities, empty_cells),
        rng.integers(0, occupations, empty_cells),
        rng.choice(traded, empty_cells),
    )
    productivity[empty] = 0.0
    if empty_cells:
        productivity[0, :, traded[0]] = 0.0
    population = jnp.asarray(1000.0 * np.arange(occupations, 0, -1))
    wage_bill = 3e5
    if spillover is None:
        spillover = sj.OccupationSpillover((0.3, 0.2, 0.1)[:occupations], (0.1, 0.05, 0.08)[:occupations])
    return sj.Economy(
        spillover=spillover,
        fundamental_productivity=jnp.asarray(productivity),
        amenity=jnp.asarray(np.exp(rng.normal(0, 0.2, (cities, occupations)))),
        trade_elasticity=jnp.asarray(trade_elasticity, float),
        location_elasticity=jnp.asarray(location_elasticity),
        occupation_substitution=jnp.asarray(occupation_substitution),
        consumption_share=jnp.asarray(rng.dirichlet(5 * np.ones(sectors))),
        value_added_share=jnp.asarray(value_added),
        land_share=jnp.asarray(land_share),
        input_links=NationalInputMix(jnp.asarray(rng.dirichlet(np.ones(sectors), sectors).T)),
        log_iceberg_cost=jnp.asarray(log_cost),
        land=jnp.asarray(rng.uniform(0.5, 2.0, cities)),
        population=population,
        wage_bill=jnp.asarray(wage_bill),
        reference=flat_state(cities, occupations, sectors, population, wage_bill),
        traded=traded,
        labels=labels(cities, occupations, sectors),
    )


def one_sector_economy(productivity, log_cost, *, value_added_share=1.0, theta=4.0, spillover=None):
    """One traded sector, one occupation, no land: the textbook model."""
    productivity = np.asarray(productivity, float)
    cities = productivity.size
    population = jnp.asarray([100.0 * cities])
    wage_bill = 100.0 * cities
    return sj.Economy(
        spillover=sj.NoSpillover() if spillover is None else spillover,
        fundamental_productivity=jnp.asarray(productivity)[:, None, None],
        amenity=jnp.ones((cities, 1)),
        trade_elasticity=jnp.asarray(theta),
        location_elasticity=jnp.asarray(2.0),
        occupation_substitution=jnp.asarray(2.0),
        consumption_share=jnp.ones(1),
        value_added_share=jnp.full((cities, 1), value_added_share),
        land_share=jnp.zeros((cities, 1)),
        input_links=NationalInputMix(jnp.ones((1, 1))),
        log_iceberg_cost=jnp.asarray(log_cost)[None],
        land=jnp.zeros(cities),
        population=population,
        wage_bill=jnp.asarray(wage_bill),
        reference=flat_state(cities, 1, 1, population, wage_bill),
        traded=(0,),
        labels=labels(cities, 1, 1),
    )


def data_from(economy, equilibrium):
    """The data set that an economy's equilibrium would produce."""
    sectors = list(economy.labels.sector)
    traded = np.isin(np.arange(len(sectors)), economy.traded)
    land = np.asarray(economy.land_share).any(0)
    value_added = np.asarray(economy.value_added_share)
    output = np.asarray(equilibrium.gross_output)
    national = (value_added * output).sum(0) / output.sum(0)
    price = np.asarray(equilibrium.price)
    return xr.Dataset(
        {
            "employment": (("city", "occupation", "sector"), np.asarray(equilibrium.employment_by_sector)),
            "wage": (("city", "occupation"), np.asarray(equilibrium.wage)),
            "housing_price": ("city", price[:, land][:, 0]),
            "nontradable_price": (("city", "sector"), price),
            "value_added_share": ("sector", national),
            "input_share": (("input", "sector"), np.asarray(economy.input_links.mix) * (1 - national)),
            "distance_elasticity": ("sector", np.where(traded, 1.0, np.nan)),
            "uses_land": ("sector", land),
            "iceberg_cost": (("sector", "city", "origin"), np.exp(np.asarray(economy.log_iceberg_cost))),
        },
        {
            "city": list(economy.labels.city),
            "origin": list(economy.labels.city),
            "occupation": list(economy.labels.occupation),
            "sector": sectors,
            "input": sectors,
        },
    )


def city_mix(economy):
    """The economy with a mix of inputs of its own in each city."""
    rng = np.random.default_rng(7)
    cities, sectors = economy.value_added_share.shape
    mix = rng.dirichlet(np.ones(sectors), (cities, sectors)).transpose(0, 2, 1)
    return eqx.tree_at(lambda e: e.input_links, economy, sj.CityInputMix(jnp.asarray(mix)))


def planner_economy(seed=0, *, baskets=None, **options):
    """An economy with all that variants change: baskets by occupation, inputs by city, trade in all but housing.

    Of the same shapes in all tests: they compile once.
    """
    economy = city_mix(random_economy(6, 4, 2, local_sectors=(), seed=seed, **options))
    if baskets is None:
        baskets = np.random.default_rng(seed).dirichlet(5 * np.ones(4), 2)
    return eqx.tree_at(lambda e: e.consumption_share, economy, jnp.asarray(baskets))


class Allocation(eqx.Module):
    """Who works where and earns what, in no equilibrium: for what is defined at any allocation."""

    wage: jax.Array
    employment: jax.Array
    employment_by_sector: jax.Array
    price_index: jax.Array
    land_income: jax.Array
    amenity: jax.Array
    income: jax.Array
    tariff_revenue: None = None


def random_allocation(economy, seed=0):
    """An allocation with the economy's empty cells, and a city in which the last of several occupations is absent."""
    rng = np.random.default_rng(seed)
    cities, occupations, _ = economy.fundamental_productivity.shape
    lives = np.ones((cities, occupations), bool)
    lives[-1, -1] = occupations == 1
    by_sector = np.exp(rng.normal(3.0, 1.0, economy.fundamental_productivity.shape))
    by_sector *= (np.asarray(economy.fundamental_productivity) > 0) & lives[:, :, None]
    wage = np.where(lives, rng.uniform(50.0, 150.0, lives.shape), 0.0)
    return Allocation(
        wage=jnp.asarray(wage),
        employment=jnp.asarray(by_sector.sum(2)),
        employment_by_sector=jnp.asarray(by_sector),
        price_index=jnp.asarray(rng.uniform(0.5, 2.0, cities)),
        land_income=jnp.asarray(rng.uniform(1e3, 1e4, cities)),
        amenity=jnp.asarray(np.where(lives, rng.uniform(0.5, 2.0, lives.shape), 0.0)),
        income=jnp.asarray(wage * rng.uniform(0.5, 1.5, lives.shape)),
    )
