"""Lives of establishments, drawn in JAX: births, places, earnings, employment and exits, year by year.

Random numbers belong to blocks of `BLOCK` lives and to years: a life is the same whatever others are drawn with it.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax, random
from jax.scipy.special import ndtr, ndtri

from spatialjax.density.simulation_truth import AGES, TENURES
from spatialjax.typing import Array

BLOCK = 1024
COUNTIES = 4
"""Counties of each CBSA: their codes are ten times the CBSA's plus 0 to 3."""
UNIT_ERROR = 1000.0


class Tables(NamedTuple):
    """A truth on a table of CBSAs, as arrays in single precision."""

    first_life: Array  # [cohort + 1] the stock of the first year, then the entrants of each year
    cohort_places: Array  # [cohort, cbsa] cumulated shares of CBSAs
    kind: Array  # [cbsa] which steady state
    ages: Array  # [kind, bin, age] cumulated
    entrants: Array  # [kind, bin] cumulated
    city: Array  # [age, cbsa] the city's part of log earnings
    log_density: Array  # [cbsa], less its mean over establishments
    tenure_premium: Array  # [tenure, cbsa] elasticity times log density
    age_effects: Array  # [age]
    industries: Array  # [industry] cumulated shares
    industry_effects: Array  # [industry]
    exit_rate: Array  # [percentile]
    exit_by_age: Array  # [age]
    continuing: Array  # [percentile + 1] percentile among those that continue
    move_rate: Array  # [percentile]
    destinations: Array  # [cbsa + 1] cumulated weights, from zero
    own_entry: Array  # [year] whether payroll of the year of entry is that of age 0
    prices: Array  # [year] consumer prices, 1997 = 1
    year_effects: Array  # [year]
    numbers: dict[str, Array]  # the scalars of `Truth`


Drawn = Any
"""A JAX array while it is drawn, a NumPy array on the host."""


class Years(NamedTuple):
    """What is known of lives in each year, [year, life]; places are rows of the CBSA table as recorded."""

    active: Drawn
    exit: Drawn
    age: Drawn
    cbsa: Drawn
    county: Drawn
    employment: Drawn
    payroll: Drawn  # nominal dollars


class Lives(NamedTuple):
    """Lives: what does not change, and their years."""

    number: Drawn  # from zero
    industry: Drawn
    multi_unit: Drawn
    firm_draw: Drawn
    years: Years


class _State(NamedTuple):
    alive: Array
    age: Array
    cbsa: Array
    county: Array
    tenure: Array  # years since the last move; -1 if none


@jax.jit
def draw_lives(key: Array, blocks: Array, tables: Tables) -> Lives:
    """Draw the lives of some blocks, given by their numbers; lives beyond the last cohort are never active."""
    keys = jax.vmap(partial(random.fold_in, key))(blocks)
    number = (blocks[:, None] * BLOCK + jnp.arange(BLOCK, dtype=jnp.int32)).reshape(-1)
    cohort = jnp.searchsorted(tables.first_life[1:], number, side="right").astype(jnp.int32)
    fixed, birth = _births(_in_blocks(keys, 0), cohort, tables)

    def step(state: _State, year: Array):
        draws = _in_blocks(keys, 1 + year)
        return _year(draws, year, cohort == year, state, fixed, tables)

    _, (log_earnings, years) = lax.scan(step, birth, jnp.arange(len(tables.prices)))
    years = years._replace(payroll=_payroll(jnp.exp(log_earnings), years, years.payroll, cohort, tables))
    return Lives(number, fixed["industry"], fixed["multi_unit"], fixed["firm_draw"], years)


def _in_blocks(keys: Array, step):
    """Draws of a step for every life: keys of blocks, folded with the step; a new key for each draw."""
    keys = jax.vmap(lambda key: random.fold_in(key, step))(keys)

    def draw(number: int, kind=random.uniform) -> Array:
        return jax.vmap(lambda key: kind(random.fold_in(key, number), (BLOCK,), jnp.float32))(keys).reshape(-1)

    return draw


def _births(draw, cohort: Array, tables: Tables) -> tuple[dict[str, Array], _State]:
    """What a life has from its beginning: for the stock of the first year, the steady state's age as well."""
    n = tables.numbers
    stock = cohort == 0
    cbsa = _search_rows(tables.cohort_places, jnp.minimum(cohort, len(tables.cohort_places) - 1), draw(0))
    kind = tables.kind[cbsa]
    bins = tables.entrants.shape[1]
    u = draw(1)
    bin_ = jnp.where(stock, (u * bins).astype(jnp.int32), _search_rows(tables.entrants, kind, u))
    permanent = n["permanent_sd"] * ndtri((bin_ + jnp.clip(draw(2), 1e-6, 1 - 1e-6)) / bins)
    age = (draw(3)[:, None] > tables.ages[kind, bin_, : AGES - 1]).sum(axis=1, dtype=jnp.int32)
    multi_unit = draw(4) < n["multi_unit_share"]
    industry = jnp.searchsorted(tables.industries, draw(5), method="scan_unrolled")
    fixed = {
        "birthplace": cbsa,
        "permanent": permanent,
        "multi_unit": multi_unit,
        "firm_draw": draw(6),
        "industry": industry.astype(jnp.int16),
        "fixed_part": n["constant"] + n["multi_unit"] * multi_unit + tables.industry_effects[industry] + permanent,
        "log_size": n["size_mean"] + n["size_of_multi_unit"] * multi_unit + n["size_sd"] * draw(7, random.normal),
    }
    county = (draw(8) * COUNTIES).astype(jnp.int32)
    none = jnp.full(cohort.shape, -1, jnp.int32)
    return fixed, _State(jnp.zeros(cohort.shape, bool), jnp.where(stock, age, 0), cbsa, county, none)


def _year(draw, year: Array, begins: Array, state: _State, fixed: dict[str, Array], tables: Tables):
    """One year of lives: what is recorded, and the state in which they begin the next one."""
    n = tables.numbers
    active = state.alive | begins
    transitory = n["transitory_sd"] * draw(0, random.normal)
    employment = _employment(draw(1, random.normal), state, fixed, tables)
    city = _city_part(state, fixed["birthplace"], tables)
    log_earnings = fixed["fixed_part"] + tables.year_effects[year] + city + tables.age_effects[state.age] + transitory
    log_earnings += n["size"] * jnp.log(employment)
    percentile = ndtr((fixed["permanent"] + transitory) / jnp.hypot(n["permanent_sd"], n["transitory_sd"]))
    exits, moves = _leaving(draw(2), percentile, state.age, tables)
    records, elsewhere = draw(3), _other_place(draw(4), state.cbsa, tables.destinations)
    miscoded = records < n["miscoding_rate"]
    wrong = _payroll_error(records - n["miscoding_rate"], n["recording_error_rate"])
    changes = (1 - records < n["county_move_rate"]) & ~moves
    county = jnp.where(
        changes, (state.county + 1 + (draw(5) * (COUNTIES - 1)).astype(jnp.int32)) % COUNTIES, state.county
    )
    recorded = Years(
        active,
        active & exits,
        state.age.astype(jnp.int8),
        jnp.where(miscoded, elsewhere, state.cbsa).astype(jnp.int16),
        state.county.astype(jnp.int8),
        employment,
        wrong,
    )
    moved = active & moves
    following = _State(
        active & ~exits,
        jnp.where(active, jnp.minimum(state.age + 1, AGES - 1), state.age),
        jnp.where(moved, elsewhere, state.cbsa),
        jnp.where(active, county, state.county),
        jnp.where(moved, 0, jnp.where(state.tenure >= 0, jnp.minimum(state.tenure + 1, TENURES - 1), -1)),
    )
    return following, (log_earnings, recorded)


def _employment(draw: Array, state: _State, fixed: dict[str, Array], tables: Tables) -> Array:
    """Workers: log-normal around what a life's size, its age and its city make; whole numbers if asked for."""
    n = tables.numbers
    log_size = fixed["log_size"] + n["size_by_age"] * state.age + n["size_slope"] * tables.log_density[state.cbsa]
    employment = jnp.exp(log_size + n["size_shock_sd"] * draw)
    return jnp.where(n["whole_employment"] > 0, jnp.maximum(jnp.round(employment), 1), employment)


def _city_part(state: _State, birthplace: Array, tables: Tables) -> Array:
    """The city's part of log earnings: present city, city of birth, and what tenure adds after a move."""
    stays = tables.numbers["premium_at_birth"]
    present, born = tables.city[state.age, state.cbsa], tables.city[state.age, birthplace]
    tenure = jnp.where(state.tenure >= 0, tables.tenure_premium[state.tenure, state.cbsa], 0)
    return (1 - stays) * present + stays * born + tenure


def _leaving(draw: Array, percentile: Array, age: Array, tables: Tables) -> tuple[Array, Array]:
    """Who exits, and who moves: one uniform number, of which exits take the lowest part."""
    bins = len(tables.exit_rate)
    bin_ = jnp.minimum((percentile * bins).astype(jnp.int32), bins - 1)
    rate = tables.exit_rate[bin_] * tables.exit_by_age[age]
    below, above = tables.continuing[bin_], tables.continuing[bin_ + 1]
    among_continuing = below + (percentile * bins - bin_) * (above - below)
    bin_ = jnp.clip((among_continuing * len(tables.move_rate)).astype(jnp.int32), 0, len(tables.move_rate) - 1)
    return draw < rate, (draw >= rate) & (draw < rate + (1 - rate) * tables.move_rate[bin_])


def _other_place(draw: Array, origin: Array, cumulated: Array) -> Array:
    """A place drawn by weight from all but the origin: the origin's stretch is cut out of the unit interval."""
    below, above = cumulated[origin], cumulated[origin + 1]
    point = draw * (1 - (above - below))
    point = jnp.where(point >= below, point + (above - below), point)
    found = jnp.searchsorted(cumulated[1:-1], point, side="right", method="scan_unrolled")
    return jnp.where(found == origin, (origin + 1) % (len(cumulated) - 1), found)


def _payroll_error(draw: Array, rate: Array) -> Array:
    """Factor on recorded payroll: 1,000 or its inverse for a share `rate`, else 1."""
    wrong = (draw >= 0) & (draw < rate)
    return jnp.where(wrong, jnp.where(draw < rate / 2, UNIT_ERROR, 1 / UNIT_ERROR), 1)


def _payroll(earnings: Array, years: Years, error: Array, cohort: Array, tables: Tables) -> Array:
    """Payrolls from which eq. (1) returns the earnings, in dollars of each year, with errors of recording.

    Payroll of a year is the next year's earnings times employment as eq. (1) divides it; where it is that of an
    entrant in `own_entry` or of a single year, that year's own earnings times employment. In the last of several years
    it is half a year's pay, of which eq. (1) makes no use.
    """
    employment, active = years.employment, years.active
    own = earnings * employment
    average = (employment[:-1] + employment[1:]) / 2
    following = earnings[1:] * jnp.where(years.exit[1:], employment[:-1], average)
    entering = cohort[None] == jnp.arange(len(active))[:, None]
    last = jnp.where(entering, own, own / 2)
    following = jnp.concatenate([jnp.where(active[1:], following, last[:-1]), last[-1:]])
    real = jnp.where(entering & tables.own_entry[:, None], own, following)
    return real * error * tables.prices[:, None]


def _search_rows(cumulated: Array, row: Array, draw: Array) -> Array:
    """Positions of draws in cumulated shares, each in a row of its own, by bisection."""
    low = jnp.zeros(draw.shape, jnp.int32)
    high = jnp.full(draw.shape, cumulated.shape[1] - 1, jnp.int32)
    for _ in range((cumulated.shape[1] - 1).bit_length()):
        middle = (low + high) // 2
        above = draw >= cumulated[row, middle]
        low, high = jnp.where(above, middle + 1, low), jnp.where(above, high, middle)
    return low
