"""From lives to the rows of a panel: lags and leads of a year, eq. (1), and codes of places and firms."""

from typing import NamedTuple

import numpy as np

from spatialjax.density.earnings import average_earnings
from spatialjax.density.simulation_lives import COUNTIES, Lives
from spatialjax.density.simulation_truth import TENURES

NONE = -1


class Codes(NamedTuple):
    """What numbers in lives stand for."""

    cbsa: np.ndarray
    industry: np.ndarray
    years: np.ndarray
    factor: np.ndarray  # deflator by year
    recorded_from: int  # position of the first year in which a change of place counts
    recorded_to: int
    lives: int
    firms: int


def rows_of_year(lives: Lives, year: int, codes: Codes) -> dict[str, np.ndarray]:
    """Columns of the panel for the establishments active in a year, given by its position."""
    years = lives.years
    rows = np.flatnonzero(years.active[year])
    here = {name: array[year][rows] for name, array in years._asdict().items()}
    continues = years.active[year - 1][rows]
    cbsa = codes.cbsa[here["cbsa"]]
    establishment = lives.number[rows].astype(np.int64) + 1
    industry = codes.industry[lives.industry[rows]]
    missing = np.where(continues, np.float32(1), np.float32(np.nan))
    return {
        "establishment": establishment,
        "firm": _firms(lives, rows, establishment, codes),
        "cbsa": cbsa,
        "cbsa_lag": np.where(continues, codes.cbsa[years.cbsa[year - 1][rows]], np.int32(NONE)),
        "county": cbsa * 10 + here["county"],
        "industry": industry,
        "industry2": (industry // 100).astype(np.int8),
        "year": np.full(len(rows), codes.years[year], np.int16),
        "employment": here["employment"],
        "employment_lag": years.employment[year - 1][rows] * missing,
        "payroll": here["payroll"],
        "payroll_lag": years.payroll[year - 1][rows] * missing,
        "earnings": _earnings(lives, rows, year, codes),
        "earnings_lag": _earnings(lives, rows, year - 1, codes),
        "earnings_lead": _earnings(lives, rows, year + 1, codes),
        "age": here["age"],
        "multi_unit": lives.multi_unit[rows],
        "entrant": ~continues,
        "exit": here["exit"],
        **_history(lives, rows, year, codes),
    }


def _firms(lives: Lives, rows: np.ndarray, establishment: np.ndarray, codes: Codes) -> np.ndarray:
    """Single units are their own firm; multi-unit establishments are divided at random among some firms."""
    drawn = codes.lives + 1 + (lives.firm_draw[rows] * codes.firms).astype(np.int64)
    return np.where(lives.multi_unit[rows], drawn, establishment)


def _earnings(lives: Lives, rows: np.ndarray, year: int, codes: Codes) -> np.ndarray:
    """Eq. (1) in 1997 dollars, from the payrolls and employment on record; NaN where there is no employment."""
    years = lives.years
    active, continues = years.active[year][rows], years.active[year - 1][rows]
    employment, lagged = years.employment[year][rows], years.employment[year - 1][rows]
    now, before = codes.factor[year], codes.factor[year - 1]
    lagged = np.where(continues, lagged, np.float32(np.nan))
    exits = years.exit[year][rows]
    payroll, payroll_lag = years.payroll[year][rows] * now, years.payroll[year - 1][rows] * before
    measured = average_earnings(employment, lagged, payroll, payroll_lag, exits)
    return np.where(active, measured, np.float32(np.nan))


def _history(lives: Lives, rows: np.ndarray, year: int, codes: Codes) -> dict[str, np.ndarray]:
    """Changes of county over the recorded years, and years since the last recorded change of CBSA."""
    years = lives.years
    changes = np.zeros(len(rows), np.int8)
    arrival = np.full(len(rows), NONE, np.int16)
    for position in range(codes.recorded_from, codes.recorded_to + 1):
        both = years.active[position][rows] & years.active[position - 1][rows]
        cbsas = years.cbsa[position][rows], years.cbsa[position - 1][rows]
        counties = (c.astype(np.int32) * COUNTIES + years.county[position - n][rows] for n, c in enumerate(cbsas))
        changes += both & np.not_equal(*counties)
        if position <= year:
            arrival[both & (cbsas[0] != cbsas[1])] = position
    moved = arrival >= 0
    tenure = np.minimum(np.where(moved, year - arrival, years.age[year][rows]), TENURES - 1)
    return {"county_changes": changes, "tenure": tenure.astype(np.int8), "moved": moved}
