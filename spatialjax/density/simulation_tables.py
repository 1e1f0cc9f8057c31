"""A truth on a table of CBSAs as arrays: cohorts and their sizes, cities, industries, rates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from spatialjax.density.earnings import BASE_YEAR, CONSUMER_PRICES
from spatialjax.density.simulation_lives import Tables
from spatialjax.density.simulation_steady import continuing_percentile, percentile_bins, steady_state
from spatialjax.density.simulation_truth import AGES, TENURES, Truth, destination_weights, sizes
from spatialjax.errors import DataError, ModelError

BASE_OF_GROWTH = 1992
_INDUSTRIES = {  # two-digit SIC industry: share of establishments in percent, four-digit industries
    **{10: (0.1, 2), 12: (0.1, 2), 13: (0.3, 4), 14: (0.1, 4), 15: (3.0, 5), 16: (0.6, 3), 17: (6.0, 12)},
    **{20: (0.3, 12), 22: (0.1, 8), 23: (0.4, 10), 24: (0.5, 8), 25: (0.2, 6), 26: (0.1, 8), 27: (1.0, 10)},
    **{28: (0.2, 12), 30: (0.3, 8), 32: (0.3, 9), 33: (0.1, 10), 34: (0.6, 14), 35: (0.9, 16), 36: (0.3, 12)},
    **{37: (0.2, 8), 38: (0.2, 8), 39: (0.3, 8), 40: (0.1, 2), 41: (0.3, 4), 42: (1.8, 4), 44: (0.1, 4)},
    **{45: (0.2, 3), 47: (0.8, 4), 48: (0.6, 5), 49: (0.3, 6), 50: (5.2, 16), 51: (2.8, 12), 52: (1.1, 4)},
    **{53: (0.6, 3), 54: (2.8, 6), 55: (3.2, 7), 56: (2.5, 6), 57: (2.0, 6), 58: (7.2, 2), 59: (5.5, 12)},
    **{60: (1.3, 6), 61: (0.6, 4), 62: (0.5, 4), 63: (0.7, 6), 64: (2.0, 2), 65: (4.3, 6), 67: (0.4, 6)},
    **{70: (0.7, 3), 72: (3.2, 10), 73: (5.2, 14), 75: (2.8, 8), 76: (1.1, 6), 78: (0.7, 5), 79: (1.3, 8)},
    **{80: (7.4, 12), 81: (2.7, 1), 82: (0.7, 5), 83: (2.2, 5), 84: (0.1, 2), 86: (3.2, 6), 87: (4.2, 9)},
}
READY_MIX = 3273
"""Ready-mix concrete: the last four-digit industry of 32 (FF Table 1)."""


class Cohorts(NamedTuple):
    """The stock of the first year and the entrants of the following ones."""

    first_life: np.ndarray
    places: np.ndarray


def industries() -> tuple[np.ndarray, np.ndarray]:
    """Four-digit codes and shares of establishments.

    Two-digit industries are those of the SIC outside agriculture, with shares that add up to FF's groups within a few
    points; within one, codes end with 11, 21, ..., 91, 12, ... and are equally frequent: they are not the
    SIC's own list, but for 3273, ready-mix concrete.
    """
    ends = [10 * tens + ones for ones in (1, 2) for tens in range(1, 10)]
    codes = {two: [100 * two + end for end in ends[:count]] for two, (_, count) in _INDUSTRIES.items()}
    codes[32][-1] = READY_MIX
    shares = np.concatenate([np.full(count, share / count) for share, count in _INDUSTRIES.values()])
    return np.concatenate([np.array(x, np.int16) for x in codes.values()]), shares / shares.sum()


def city_errors(truth: Truth, cbsas: pd.DataFrame, key: jax.Array) -> np.ndarray:
    """Errors u_j of CBSAs in log earnings, drawn for a key: those of a panel simulated with the same one."""
    return truth.city_sd * np.asarray(jax.random.normal(jax.random.fold_in(key, 1), (len(cbsas),), jnp.float32))


def city_part(truth: Truth, cbsas: pd.DataFrame, key: jax.Array, log_earnings=None) -> np.ndarray:
    """The city's part of log earnings [age, cbsa]: premium(a) ln D_j + college C_j + u_j, or what is given instead.

    **Raises:** `ModelError` if what is given is not one finite number for each CBSA.
    """
    if log_earnings is None:
        log_density = np.log(cbsas["density"].to_numpy(float))
        fixed = truth.college * cbsas["college_share"].to_numpy(float) + city_errors(truth, cbsas, key)
        return np.outer(truth.by_age("premium"), log_density) + fixed
    if isinstance(log_earnings, pd.Series):
        log_earnings = log_earnings.reindex(cbsas.index)
    given = np.asarray(log_earnings, float)
    if given.shape != (len(cbsas),) or not np.isfinite(given).all():
        raise ModelError(f"city_log_earnings must be {len(cbsas)} finite numbers, one for each row of the CBSA table")
    return np.broadcast_to(given, (AGES, len(cbsas)))


def tables(
    truth: Truth,
    cbsas: pd.DataFrame,
    key: jax.Array,
    number: float,
    cross_sections: tuple[int, ...],
    years: np.ndarray,
    city_log_earnings=None,
) -> Tables:
    """Arrays of a truth for `number` establishments per cross-section.

    **Raises:** `DataError` for a CBSA table without what is needed, `ModelError` for years without consumer prices.
    """
    _check(cbsas, years)
    shares = sizes(cbsas)
    log_density = np.log(cbsas["density"].to_numpy(float))
    log_density = log_density - shares @ log_density
    growth, kind = np.unique(truth.growth + truth.entry_slope * log_density, return_inverse=True)
    bins = percentile_bins(truth)
    states = [steady_state(truth, rate, bins) for rate in growth]
    cohorts = _cohorts(
        shares, growth[kind], np.array([s.entry_rate for s in states])[kind], number, np.isin(years, cross_sections)
    )
    weights = np.concatenate([[0], np.cumsum(destination_weights(truth, cbsas))])
    tenure = np.broadcast_to(np.asarray(truth.tenure_premium, float), TENURES)
    shares_of_industries = industries()[1]
    effects = jax.random.normal(jax.random.fold_in(key, 2), shares_of_industries.shape, jnp.float32)
    scalars = (
        "permanent_sd",
        "transitory_sd",
        "constant",
        "multi_unit",
        "multi_unit_share",
        "size",
        "size_mean",
        "size_of_multi_unit",
        "size_sd",
        "size_by_age",
        "size_slope",
        "size_shock_sd",
        "whole_employment",
        "premium_at_birth",
        "county_move_rate",
        "miscoding_rate",
        "recording_error_rate",
    )
    floats = {
        "cohort_places": cohorts.places,
        "ages": np.cumsum([s.age for s in states], axis=2),
        "entrants": np.cumsum([s.entrants for s in states], axis=1),
        "city": city_part(truth, cbsas, key, city_log_earnings),
        "log_density": log_density,
        "tenure_premium": np.outer(tenure, np.log(cbsas["density"].to_numpy(float))),
        "age_effects": truth.by_age("age_effects"),
        "industries": np.cumsum(shares_of_industries)[:-1],
        "industry_effects": truth.industry_sd * effects,
        "exit_rate": truth.rates("exit_rate"),
        "exit_by_age": truth.by_age("exit_by_age"),
        "continuing": continuing_percentile(steady_state(truth, bins=bins)),
        "move_rate": truth.rates("move_rate"),
        "destinations": weights,
        "prices": [CONSUMER_PRICES[year] / CONSUMER_PRICES[BASE_YEAR] for year in years.tolist()],
        "year_effects": truth.earnings_growth * (years - BASE_OF_GROWTH),
    }
    return Tables(
        first_life=jnp.asarray(cohorts.first_life, jnp.int32),
        kind=jnp.asarray(kind, jnp.int32),
        own_entry=jnp.asarray(np.isin(years, cross_sections)),
        numbers={name: jnp.asarray(getattr(truth, name), jnp.float32) for name in scalars},
        **{name: jnp.asarray(value, jnp.float32) for name, value in floats.items()},
    )


def _cohorts(shares, growth, entry_rate, number: float, cross_sections: np.ndarray) -> Cohorts:
    """Sizes of cohorts, so that the cross-sections have `number` establishments on average, and where they are born."""
    path = (1 + growth) ** np.arange(len(cross_sections))[:, None] * shares
    path = path * number / path[cross_sections].sum(axis=1).mean()
    born = np.vstack([path[:1], (path * entry_rate)[1:]])
    counts = np.round(born.sum(axis=1)).astype(int)
    places = np.cumsum(born / born.sum(axis=1, keepdims=True), axis=1)
    return Cohorts(np.concatenate([[0], np.cumsum(counts)]), places)


def _check(cbsas: pd.DataFrame, years: np.ndarray) -> None:
    problems = [f"column {name} is missing" for name in ("density", "college_share", "population") if name not in cbsas]
    if not problems:
        for name in ("density", "population"):
            bad = cbsas.index[~(cbsas[name] > 0)]
            problems += (
                [f"column {name} must be positive, CBSA {', '.join(map(str, bad[:3]))} is not"] if len(bad) else []
            )
    if len(cbsas) < 2:
        problems.append(f"there are {len(cbsas)} CBSAs; moves need at least two")
    if problems:
        raise DataError("CBSA table", problems)
    absent = [str(year) for year in years.tolist() if year not in CONSUMER_PRICES]
    if absent:
        raise ModelError(f"years need consumer prices from 1975 to 2005, and there are none of {', '.join(absent)}")
