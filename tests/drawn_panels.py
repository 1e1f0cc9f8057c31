"""Small panels of establishments with a known truth, drawn with NumPy in the columns of `spatialjax.density`."""

import numpy as np
import pandas as pd

PREMIUM, COLLEGE, SIZE, MULTI = 0.07, 0.5, 0.03, 0.1


def drawn_cbsas(number=12):
    """Places whose densities rise with their codes."""
    code = pd.Index(10000 + 20 * np.arange(number), name="cbsa")
    density = np.exp(np.linspace(4.0, 7.0, number))
    college = 0.2 + 0.05 * np.sin(np.arange(number))
    table = {"title": [f"Town {n}, ST" for n in range(number)], "density": density, "college_share": college}
    return pd.DataFrame(table | {"population": 1000 * density, "land": 1000.0}, code)


def drawn_panel(seed=0, *, places=12, number=24_000, exit_of=lambda rank: 0.3 - 0.2 * rank, move_of=lambda rank: 0.1):
    """Two cross-sections of establishments that stay, move or exit by the rank of their residual in their place.

    Rank is the share of a place's establishments with a lower residual; a fifth of establishments enter.
    """
    rng = np.random.default_rng(seed)
    cbsas = drawn_cbsas(places)
    origin = rng.integers(0, places, number)
    panel = pd.DataFrame(
        {
            "establishment": rng.permutation(number),
            "year": np.where(np.arange(number) < number // 2, 1992, 1997).astype(np.int16),
            "industry": rng.choice([2011, 2711, 3273, 5812, 7371], number).astype(np.int16),
            "multi_unit": rng.random(number) < 0.3,
            "employment": np.exp(rng.normal(2, 1, number)),
        }
    )
    entrant = rng.random(number) < 0.2
    panel["age"] = np.where(entrant, 0, rng.integers(1, 17, number)).astype(np.int8)
    noise = rng.normal(0, 0.5, number)
    rank = pd.Series(noise).groupby(origin).rank(pct=True).to_numpy()
    moved = (rng.random(number) < move_of(rank)) & ~entrant
    place = np.where(moved, rng.integers(0, places, number), origin)
    codes = cbsas.index.to_numpy().astype(np.int32)
    panel["cbsa"] = codes[place]
    panel["cbsa_lag"] = np.where(entrant, -1, codes[origin]).astype(np.int32)
    panel["entrant"], panel["exit"] = entrant, rng.random(number) < exit_of(rank)
    panel["county_changes"] = moved.astype(np.int8)
    panel["earnings"] = np.exp(systematic(panel, cbsas, origin) + noise)
    return panel.assign(rank=rank), cbsas


def systematic(panel, cbsas, place):
    """Log earnings without noise, at places given by position."""
    earnings = (
        9 + PREMIUM * np.log(cbsas["density"].to_numpy())[place] + COLLEGE * cbsas["college_share"].to_numpy()[place]
    )
    earnings = earnings + SIZE * np.log(panel["employment"]) + MULTI * panel["multi_unit"]
    earnings = earnings + 0.02 * panel["age"] + 0.1 * (panel["industry"] % 7) + 0.05 * (panel["year"] == 1997)
    return earnings.to_numpy()
