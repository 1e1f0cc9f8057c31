"""Made-up economies that are no country: a small one to start from, and one that uses what the schema allows.

Numbers are of a plausible order and otherwise invented; nothing may be concluded from them.
"""

import numpy as np
import xarray as xr

MADE_UP = "Made-up numbers of a plausible order; they are of no country, and nothing may be concluded from them"


def minimal() -> xr.Dataset:
    """Four cities, two occupations, four sectors: two traded, housing, and one that is neither."""
    cities = ["harbour", "centre", "hills", "south"]
    occupations = ["cognitive", "other"]
    sectors = ["goods", "services", "housing", "local"]
    thousand_workers = [  # by city and occupation: goods, services, housing, local
        [[200, 400, 15, 200], [500, 350, 15, 450]],
        [[300, 900, 30, 400], [450, 600, 25, 700]],
        [[80, 120, 6, 90], [260, 110, 6, 190]],
        [[100, 200, 10, 150], [450, 250, 10, 350]],
    ]
    return xr.Dataset(
        {
            "title": ("city", ["Harbour City", "Centre", "The Hills", "South Point"]),
            "latitude": ("city", [45.0, 42.0, 43.5, 39.0]),
            "longitude": ("city", [-90.0, -88.0, -93.0, -91.0]),
            "housing_price": ("city", [0.95, 1.30, 0.85, 0.80]),
            "population": ("city", [5_100_000, 7_900_000, 1_900_000, 3_400_000]),
            "sector_label": ("sector", ["Goods", "Traded services", "Housing", "Local services and construction"]),
            "sector_group": ("sector", ["goods", "services", "local", "local"]),
            "value_added_share": ("sector", [0.40, 0.60, 0.85, 0.45]),
            "distance_elasticity": ("sector", [1.0, 0.8, np.nan, np.nan]),
            "uses_land": ("sector", [False, False, True, False]),
            "employment": (("city", "occupation", "sector"), 1000.0 * np.array(thousand_workers)),
            "wage": (("city", "occupation"), [[58e3, 31e3], [66e3, 33e3], [52e3, 30e3], [54e3, 29e3]]),
            "input_share": (
                ("input", "sector"),
                [
                    [0.35, 0.05, 0.02, 0.20],
                    [0.15, 0.20, 0.08, 0.20],
                    [0.05, 0.10, 0.02, 0.10],
                    [0.05, 0.05, 0.03, 0.05],
                ],
            ),
        },
        {"city": cities, "occupation": occupations, "sector": sectors, "input": sectors},
        {"title": "A made-up country of four cities", "provenance": MADE_UP},
    )


def archipelago() -> xr.Dataset:
    """Nine cities on islands, three occupations, eight sectors: three neither traded nor housing, four that use land.

    The sectors that are not traded stand between those that are: only the data's names tell them apart. Distances are
    given, for ships go round capes, and prices of local services are observed. Retail, machines and care pay for land
    of their own beside housing.
    """
    place, count = np.arange(9), 9
    size = 2_400_000 / (1 + place) ** 0.9
    sectors = ["retail", "fish", "housing", "machines", "building", "finance", "care", "textiles"]
    national = np.array([0.17, 0.06, 0.012, 0.16, 0.09, 0.12, 0.22, 0.168])
    traded = np.array([False, True, False, True, False, True, False, True])
    tilt = np.where(traded, 0.5 * np.cos(1.7 * place[:, None] + 2.3 * np.arange(8)), 0.0)
    by_sector = national * np.exp(tilt)
    by_sector *= size[:, None] / by_sector.sum(1, keepdims=True)
    occupations = ["professional", "skilled", "elementary"]
    use = np.array(
        [
            [0.20, 0.10, 0.35, 0.25, 0.15, 0.60, 0.40, 0.10],
            [0.35, 0.40, 0.35, 0.50, 0.50, 0.30, 0.35, 0.40],
            [0.45, 0.50, 0.30, 0.25, 0.35, 0.10, 0.25, 0.50],
        ]
    )
    wage = np.array([52_000.0, 34_000.0, 24_000.0]) * (size[:, None] / size.mean()) ** np.array([0.08, 0.05, 0.03])
    value_added = np.array([0.62, 0.45, 0.82, 0.38, 0.42, 0.58, 0.66, 0.36])
    mix = np.array(  # a row for each input; columns, which buy, sum to one below
        [
            [6, 3, 3, 4, 5, 3, 4, 5],
            [1, 15, 0, 1, 0, 0, 3, 1],
            [20, 2, 8, 4, 4, 18, 12, 4],
            [12, 20, 10, 35, 22, 6, 12, 14],
            [5, 3, 25, 3, 20, 4, 5, 3],
            [16, 9, 26, 11, 11, 34, 16, 11],
            [3, 2, 2, 2, 2, 4, 8, 2],
            [8, 4, 2, 5, 3, 1, 5, 30],
        ],
        float,
    )
    east = 170 * np.cos(place * 2.4) * np.sqrt(1 + place)
    north = 170 * np.sin(place * 2.4) * np.sqrt(1 + place)
    straight = np.hypot(east[:, None] - east, north[:, None] - north)
    around = straight * np.where((place[:, None] + place) % 3 == 0, 1.4, 1.1)
    prices = np.ones((count, 8))
    prices[:, [0, 4, 6]] = (size / size.mean())[:, None] ** 0.04
    return xr.Dataset(
        {
            "title": (
                "city",
                [
                    f"Port {name}"
                    for name in ["Amber", "Basalt", "Coral", "Dune", "Ember", "Flint", "Garnet", "Heron", "Iris"]
                ],
            ),
            "housing_price": ("city", (size / size.mean()) ** 0.25),
            "sector_group": (
                "sector",
                ["local", "goods", "local", "goods", "local", "services", "local", "goods"],
            ),
            "value_added_share": ("sector", value_added),
            "distance_elasticity": ("sector", np.where(traded, [0, 1.1, 0, 0.8, 0, 0.5, 0, 1.0], np.nan)),
            "land_share": ("sector", [0.08, 0.0, 0.0, 0.05, 0.0, 0.0, 0.03, 0.0]),
            "uses_land": ("sector", [name == "housing" for name in sectors]),
            "employment": (("city", "occupation", "sector"), np.round(use[None] * by_sector[:, None, :])),
            "wage": (("city", "occupation"), np.round(wage, 0)),
            "input_share": (("input", "sector"), mix / mix.sum(0) * (1 - value_added)),
            "nontradable_price": (("city", "sector"), prices),
            "distance": (("city", "origin"), np.where(straight > 0, np.maximum(around, 30.0), 15.0)),
        },
        {
            "city": [f"P{n + 1}" for n in place],
            "origin": [f"P{n + 1}" for n in place],
            "occupation": occupations,
            "sector": sectors,
            "input": sectors,
        },
        {"title": "A made-up archipelago of nine cities", "provenance": MADE_UP},
    )


EXAMPLES = {"minimal": minimal, "archipelago": archipelago}
"""By name, what makes them."""
