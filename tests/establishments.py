"""Panels of establishments drawn with a known premium, in the columns of `spatialjax.density`."""

import numpy as np
import pandas as pd

INSTRUMENTS = ("january_temperature", "july_humidity", "elevation")


def drawn_cbsas(count=120, seed=0):
    """CBSAs whose density and college share depend on instruments; a few lack elevation."""
    draw = np.random.default_rng(seed)
    climate = draw.normal(size=(count, 3))
    log_density = 6 + climate @ [0.4, -0.3, 0.3] + 0.5 * draw.normal(size=count)
    college = 0.2 + climate @ [0.02, 0.02, -0.02] + 0.02 * draw.normal(size=count)
    table = pd.DataFrame({"density": np.exp(log_density), "college_share": college})
    table["land"] = draw.uniform(500, 5000, count)
    table["population"] = table["density"] * table["land"]
    table["weighted_density"] = 3 * table["density"] * np.exp(0.1 * draw.normal(size=count))
    table[list(INSTRUMENTS)] = climate * [12, 10, 300] + [36, 56, 400]
    table.loc[table.index[-5:], "elevation"] = np.nan
    return table.set_index(pd.Index(10000 + 20 * np.arange(count), name="cbsa"))


def drawn_panel(cbsas, count=20000, seed=1, premium=0.07, college=0.9, slope=0.0, tenure_slope=0.0, noise=0.4):
    """Establishments of 1992 and 1997. Log earnings have the premium, plus `slope` log D for each year of age.

    A third have moved once: their earnings have a further `tenure_slope` log D for each year since.
    """
    draw = np.random.default_rng(seed)
    size = np.exp(np.clip(draw.normal(1.5, 2.2, count), 0, None)).round()
    panel = pd.DataFrame(
        {
            "establishment": np.arange(count),
            "cbsa": draw.choice(cbsas.index, count).astype(np.int32),
            "year": draw.choice(np.array([1992, 1997], np.int16), count),
            "industry2": draw.choice(np.array([15, 25, 36, 50, 54, 60, 73, 80, 81], np.int8), count),
            "employment": size,
            "age": draw.integers(0, 17, count).astype(np.int8),
            "multi_unit": draw.random(count) < 0.25,
            "exit": draw.random(count) < 0.1,
        }
    )
    panel["industry"] = (100 * panel["industry2"].astype(int) + draw.integers(0, 4, count)).astype(np.int16)
    panel["entrant"] = panel["age"] == 0
    _move(panel, cbsas, draw)
    error = noise * draw.normal(size=count)
    panel["earnings"] = np.exp(
        _log_earnings(panel, panel["cbsa"], cbsas, premium, college, slope, tenure_slope) + error
    )
    before = _log_earnings(panel, panel["cbsa_lag"], cbsas, premium, college, slope, 0.0)
    drift = 0.1 * draw.normal(size=count)
    panel["earnings_lag"] = np.where(panel["entrant"], np.nan, np.exp(before + error + drift))
    panel["employment_lag"] = np.where(
        panel["entrant"], np.nan, np.ceil(panel["employment"] * draw.uniform(0.7, 1.3, count))
    )
    return panel


def _move(panel, cbsas, draw):
    count, age = len(panel), panel["age"].to_numpy()
    moved = (draw.random(count) < 1 / 3) & (age > 0)
    years = np.minimum(draw.integers(0, 7, count), age - 1)
    panel["moved"] = moved
    panel["tenure"] = np.where(moved, years, np.minimum(age, 6)).astype(np.int8)
    elsewhere = draw.choice(cbsas.index, count)
    panel["cbsa_lag"] = np.where(moved & (years == 0), elsewhere, panel["cbsa"]).astype(np.int32)
    panel.loc[panel["entrant"], "cbsa_lag"] = -1
    panel["county_changes"] = moved.astype(np.int8)


def _log_earnings(panel, codes, cbsas, premium, college, slope, tenure_slope):
    place = cbsas.reindex(codes)
    log_density = np.log(place["density"].to_numpy())
    elasticity = premium + slope * panel["age"] + tenure_slope * panel["tenure"]
    characteristics = 0.03 * np.log(panel["employment"]) + 0.1 * panel["multi_unit"] + 0.01 * panel["age"]
    industry, year = 0.002 * panel["industry2"], 0.02 * (panel["year"] == 1997)
    return (
        8.5 + elasticity * log_density + college * place["college_share"].to_numpy() + characteristics + industry + year
    )
