"""The steps of CH section 8 between two economies inverted from data: national, skill-biased, local, and the rest."""

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.history_steps import Change, Part
from spatialjax.numerics.safe_math import masked_log
from spatialjax.typing import ByCity

INPUT_SHARES = "input shares"
NATIONAL = "national technology and population"
SKILL_BIASED = "skill-biased technology"
OCCUPATIONS = "occupational shares"
LOCAL = "local technology"
REAL_ESTATE = "real estate"
AMENITIES = "amenities"
TRADE_COSTS = "trade costs"
BASELINE_STAGE = SKILL_BIASED
"""The stage that CH call the Baseline 1980 economy."""


def in_units_of(economy: Economy, other: Economy) -> Economy:
    """The economy with the other's level of amenities by occupation: a choice of units that welfare depends on.

    Inversion scales amenities so that welfare is mean real consumption, in each data set anew. Two inverted economies
    then differ in the level of amenities, which no data identify. Here the mean of log amenities over the workers of
    the other economy's reference is made equal, so that amenities change between cities but not in level.
    """
    both = (economy.amenity > 0) & (other.amenity > 0)
    workers = jnp.where(both, jnp.exp(other.reference.log_employment), 0.0)
    change = _log_change(economy.amenity, other.amenity, both)
    level = (workers * change).sum(0) / workers.sum(0)
    return eqx.tree_at(lambda e: e.amenity, economy, economy.amenity * jnp.exp(level))


def technology_changes(baseline: Economy, target: Economy, equilibrium: Equilibrium) -> dict[str, ArrayLike]:
    """How exogenous productivity changes, in parts (log points).

    `unbiased` (sector): the national mean, over cities and occupations; `biased` (occupation, sector): what the mean of
    an occupation is above it; `local` (city, occupation, sector): the rest; `land` (city) and its mean `national_land`.
    Means have the wage bills, or the land income, of `equilibrium` as weights, over cells that are open in both.
    """
    before, after = baseline.fundamental_productivity, target.fundamental_productivity
    both = (before > 0) & (after > 0)
    change = _log_change(before, after, both)
    bill = jnp.where(both, equilibrium.wage[:, :, None] * equilibrium.employment_by_sector, 0.0)
    by_occupation = _mean(bill, change, 0)
    unbiased = _mean(bill.sum(0), by_occupation, 0)
    land_both = (baseline.land > 0) & (target.land > 0)
    land = _log_change(baseline.land, target.land, land_both)
    return {
        "unbiased": unbiased,
        "biased": by_occupation - unbiased,
        "local": jnp.where(both, change - by_occupation, 0.0),
        "land": land,
        "national_land": _mean(jnp.where(land_both, equilibrium.land_income, 0.0), land, 0),
    }


def local_technology(changes: dict[str, ArrayLike], target: Economy, equilibrium: Equilibrium) -> tuple[ByCity, ByCity]:
    """How exogenous technology changes in a city over its national change (CH Figures 19 and 20), log points by city.

    The first is the mean over occupations and all sectors but real estate, of labour-augmenting productivity; the
    second the mean over land and labour of real estate. Weights are value added in the city at `equilibrium`.

    **Arguments:**

    - `changes`: as [`technology_changes`][] returns them.
    - `target`, `equilibrium`: for the sectors that use land, and the weights.
    """
    uses_land = (target.land_share > 0).any(0)
    bill = equilibrium.wage[:, :, None] * equilibrium.employment_by_sector
    local = jnp.asarray(changes["local"])
    other = _mean(jnp.where(uses_land, 0.0, bill).sum(2), _mean(jnp.where(uses_land, 0.0, bill), local, 2), 1)
    land = jnp.asarray(changes["land"]) - jnp.asarray(changes["national_land"])
    in_housing = jnp.where(uses_land, bill, 0.0)
    paid = in_housing.sum((1, 2))
    total = paid + equilibrium.land_income
    housing = (in_housing * local).sum((1, 2)) + equilibrium.land_income * land
    return other, jnp.where(total > 0, housing / jnp.where(total > 0, total, 1.0), 0.0)


def historical_steps(baseline: Economy, target: Economy, equilibrium: Equilibrium) -> dict[str, list[Change]]:
    """The steps of CH Table 3, in its order, for [`decompose`][].

    1. `input shares`: shares of inputs, value added, land and consumption.
    2. `national technology and population`: the mean change of productivity by sector, of land, and of population.
    3. `skill-biased technology`: what each occupation's mean change by sector is above that. After it comes what CH
       call the Baseline 1980 economy.
    4. `occupational shares` of national employment.
    5. `local technology` outside of real estate: changes of productivity over the national ones.
    6. `real estate`: the same of land, with which real estate's productivity is one number, and of its labour.
    7. `amenities`.

    Trade costs, where they differ, are a step before amenities.

    **Arguments:**

    - `baseline`, `target`: economies of the same cities, occupations and sectors.
    - `equilibrium`: of the target, for the weights of national means.
    """
    changes = technology_changes(baseline, target, equilibrium)
    uses_land = (target.land_share > 0).any(0)
    shape = baseline.fundamental_productivity.shape
    population = jnp.log(target.population.sum() / baseline.population.sum())

    def part(values: ArrayLike) -> Part:
        return Part("fundamental_productivity", jnp.broadcast_to(values, shape))

    steps: dict[str, list[Change]] = {
        INPUT_SHARES: ["consumption_share", "value_added_share", "land_share", "input_links"],
        NATIONAL: [part(changes["unbiased"]), Part("population", population), Part("land", changes["national_land"])],
        SKILL_BIASED: [part(changes["biased"])],
        OCCUPATIONS: ["population"],
        LOCAL: ["fundamental_productivity"],
        REAL_ESTATE: ["land", part(jnp.where(uses_land, changes["local"], 0.0))],
        TRADE_COSTS: ["log_iceberg_cost"],
        AMENITIES: ["amenity"],
    }
    if eqx.tree_equal(baseline.log_iceberg_cost, target.log_iceberg_cost):
        del steps[TRADE_COSTS]
    return steps


def _log_change(before, after, both):
    return jnp.where(both, masked_log(after) - masked_log(before), 0.0)


def _mean(weight, values, axis: int):
    """Weighted mean; 0 where there is no weight."""
    total = weight.sum(axis)
    return jnp.where(total > 0, (weight * values).sum(axis) / jnp.where(total > 0, total, 1.0), 0.0)
