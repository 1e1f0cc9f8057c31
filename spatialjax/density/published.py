"""Numbers that "The Urban Density Premium across Establishments" (FF) publishes, to set beside estimates.

Tables of regressions are tidy: a row for each specification and regressor, with `coefficient`, `standard_error`,
`r_squared`, `observations`. Regressors have the names of the library: log_density, college_share. Tables of statistics
have a row for each statistic. Elasticities are in logs (0.074, not 7.4 percent); earnings in 1997 dollars.

Where FF contradict themselves: C.3 (relocations) has 7,881,354 observations, and the two columns of Table 7 add up to
7,881,454; the F of 2.21 in Table C.1 has the p-value 0.138 of one numerator degree of freedom with 283 clusters, not
that of an F of all instruments.
"""

from collections.abc import Sequence

import pandas as pd

DENSITY, COLLEGE = "log_density", "college_share"
ALL = 10_256_604
RESTRICTED = 7_761_264
RESTRICTED_CBSAS = 283

Estimate = tuple[float, float] | None


def _regressions(
    specifications: Sequence[str],
    density: Sequence[Estimate],
    college: Sequence[Estimate],
    r_squared: Sequence[float],
    observations: Sequence[int] | int,
) -> pd.DataFrame:
    """Tidy rows of a table with a column for each specification."""
    counts = [observations] * len(specifications) if isinstance(observations, int) else observations
    rows = [
        (specification, regressor, *estimate, fit, count)
        for specification, fit, count, *pair in zip(
            specifications, r_squared, counts, density, college or [None] * len(specifications), strict=True
        )
        for regressor, estimate in zip((DENSITY, COLLEGE), pair, strict=True)
        if estimate is not None
    ]
    names = ["specification", "regressor", "coefficient", "standard_error", "r_squared", "observations"]
    return pd.DataFrame(rows, columns=names)


def _stacked(panels: dict[str, pd.DataFrame]) -> pd.DataFrame:
    frames = [frame.assign(panel=name) for name, frame in panels.items()]
    stacked = pd.concat(frames, ignore_index=True)
    return stacked[["panel", *(name for name in stacked.columns if name != "panel")]]


TABLE_1 = pd.DataFrame(
    [
        ("interquartile range", -0.015, 0.004, -0.028, 0.013),
        ("median", 0.018, 0.003, 0.095, 0.015),
        ("size-weighted mean", 0.024, 0.004, 0.081, 0.015),
        ("tenth percentile", 0.056, 0.010, 0.080, 0.027),
        ("mean size", 0.211, 0.012, 0.065, 0.016),
        ("producer-demand ratio", -0.363, 0.015, -0.680, 0.033),
    ],
    columns=["moment", "syverson", "syverson_error", "lbd", "lbd_error"],
).set_index("moment")
"""Table 1: regressions of moments of earnings in ready-mix concrete on the log of construction employment; 665
observations in Syverson (2004), 410 in the LBD."""

TABLE_2 = pd.DataFrame(
    {
        "mean": (1.50, 8.01, 0.103, 0.092),
        "sd_establishments": (1.37, 6.80, 0.304, 0.289),
        "sd_cbsas": (0.10, 0.86, 0.009, 0.015),
        "log_density": (-0.007, 0.189, -0.004, 0.000),
        "log_density_error": (0.012, 0.052, 0.001, 0.002),
        "college_share": (-0.186, -2.139, 0.034, 0.020),
        "college_share_error": (0.090, 0.672, 0.015, 0.012),
        "r_squared": (0.332, 0.195, 0.087, 0.131),
    },
    index=pd.Index(["log_employment", "age", "entrant", "exit"], name="outcome"),
)
"""Table 2: characteristics of establishments, and regressions of them on density; 10,256,604 observations."""

TABLE_3 = _regressions(
    ["density", "density and college", "density and characteristics", "all controls"],
    [(0.102, 0.007), (0.080, 0.010), (0.092, 0.010), (0.074, 0.010)],
    [None, (1.024, 0.102), None, (0.883, 0.093)],
    [0.014, 0.017, 0.310, 0.313],
    ALL,
)
"""Table 3: eq. (2) for all establishments."""

TABLE_4 = _stacked(
    {
        "entrants and exits": _regressions(
            ["entrants", "exits"],
            [(0.076, 0.011), (0.079, 0.013)],
            [(1.135, 0.129), (0.815, 0.100)],
            [0.257, 0.271],
            [1_063_789, 950_456],
        ),
        "single- and multi-unit firms": _regressions(
            ["single-unit", "multi-unit"],
            [(0.080, 0.010), (0.058, 0.009)],
            [(0.945, 0.108), (0.700, 0.088)],
            [0.279, 0.460],
            [7_587_861, 2_668_379],
        ),
        "size": _regressions(
            ["1 to 9", "10 to 99", "100 to 249", "250 to 999", "1000 and more"],
            [(0.079, 0.010), (0.064, 0.010), (0.067, 0.009), (0.075, 0.012), (0.071, 0.013)],
            [(0.926, 0.104), (0.769, 0.084), (0.862, 0.111), (0.749, 0.113), (0.703, 0.421)],
            [0.270, 0.521, 0.539, 0.517, 0.521],
            [7_578_426, 2_437_528, 171_787, 58_707, 10_156],
        ),
        "industry": _regressions(
            [
                "construction",
                "manufacturing",
                "retail trade",
                "finance and professional services",
                "local services",
            ],
            [(0.084, 0.019), (0.072, 0.016), (0.064, 0.016), (0.101, 0.012), (0.056, 0.005)],
            [(0.882, 0.214), (0.911, 0.135), (0.770, 0.099), (1.134, 0.124), (0.803, 0.099)],
            [0.154, 0.279, 0.254, 0.219, 0.280],
            [982_179, 635_839, 2_554_622, 1_795_447, 2_730_177],
        ),
    }
)
"""Table 4: eq. (2) by subgroup, all controls."""

TABLE_5 = _regressions(
    [
        "OLS, restricted",
        "2SLS, restricted",
        "employment-weighted",
        "population",
        "employment density",
        "weighted density",
    ],
    [(0.098, 0.007), (0.104, 0.009), (0.067, 0.010), (0.056, 0.006), (0.073, 0.010), (0.095, 0.006)],
    [(0.898, 0.099), (1.067, 0.237), (0.767, 0.096), (0.798, 0.106), (0.799, 0.091), (0.840, 0.108)],
    [0.317, 0.315, 0.490, 0.313, 0.313, 0.313],
    [RESTRICTED, RESTRICTED, ALL, ALL, ALL, ALL],
)
"""Table 5: eq. (2) on the 283 CBSAs with instruments, and with other measures of density."""

TABLE_6 = pd.DataFrame(
    {
        "low_density": (0.268, 0.208, -0.224, -0.269, -0.613, -0.435, 0.485, 38_820),
        "high_density": (0.252, 0.200, -0.204, -0.222, -0.545, -0.384, 0.479, 332_018),
        "difference": (-0.016, -0.008, 0.020, 0.047, 0.068, 0.051, None, None),
    },
    index=pd.Index(
        ["mean", "median", "standard deviation", "interquartile range", "90-10", "50-10", "survival rate", "count"],
        name="statistic",
    ),
)
"""Table 6: five-year survivors less entrants, log earnings with characteristics held fixed, by quartile of density."""

TABLE_7 = pd.DataFrame(
    [
        ("log_earnings", 9.830, 0.812, 9.937, 0.903, 0.107, 0.003),
        ("employment", 19.08, 110.68, 19.67, 85.22, 0.59, 0.30),
        ("age", 8.59, 5.57, 6.34, 5.16, -2.25, 0.02),
        ("multi_unit", 0.273, 0.446, 0.235, 0.424, -0.038, 0.001),
        ("log_density_origin", 5.936, 1.048, 5.947, 1.068, 0.011, 0.002),
        ("log_density_destination", None, None, 5.730, 1.049, -0.217, 0.005),
        ("college_share_origin", 0.2239, 0.0546, 0.2278, 0.0609, 0.0039, 0.0002),
        ("college_share_destination", None, None, 0.2207, 0.0618, -0.0071, 0.0003),
        ("count", 7_799_688, None, 81_766, None, None, None),
    ],
    columns=["statistic", "stayers", "stayers_sd", "movers", "movers_sd", "difference", "difference_error"],
).set_index("statistic")
"""Table 7: movers against stayers; shares as fractions. The difference at the destination is from the origin."""

TABLE_8 = pd.DataFrame(
    [
        ("all", "mean", 9.640, 9.852, 0.212, 0.013, None),
        ("all", "median", 9.756, 9.936, 0.180, 0.000, None),
        ("all", "standard deviation", 0.883, 0.910, 0.026, -0.014, None),
        ("all", "count", 80_092, 693_139, None, None, None),
        ("multi-unit", "mean", 9.860, 10.023, 0.163, -0.036, -0.049),
        ("multi-unit", "median", 9.906, 10.045, 0.139, -0.041, -0.041),
        ("multi-unit", "standard deviation", 0.677, 0.737, 0.060, 0.019, 0.033),
        ("multi-unit", "count", 18_530, 165_691, None, None, None),
    ],
    columns=[
        "entrants",
        "statistic",
        "low_density",
        "high_density",
        "difference",
        "relative_to_incumbents",
        "relative_to_entrants",
    ],
).set_index(["entrants", "statistic"])
"""Table 8: log earnings of entrants with characteristics held fixed, by quartile of density."""

TABLE_C1 = pd.DataFrame(
    [
        ("water_share", 0.457, 0.142, -0.009, 0.013),
        ("share_above_1000_metres", 0.832, 0.815, -0.051, 0.073),
        ("elevation", -0.0012, 0.0004, -0.0001, 0.0000),
        ("ruggedness", 0.0001, 0.0002, 0.0001, 0.0000),
        ("temperature", -0.008, 0.043, -0.004, 0.004),
        ("moisture", 0.0052, 0.0026, -0.0001, 0.0002),
        ("growing_days", -0.0008, 0.0039, 0.0002, 0.0004),
    ],
    columns=["instrument", DENSITY, f"{DENSITY}_error", COLLEGE, f"{COLLEGE}_error"],
).set_index("instrument")
"""Table C.1: regressions over 283 CBSAs on instruments; soil types are not listed by FF."""

FIRST_STAGES = pd.DataFrame(
    {
        "f_statistic": (15.30, 2.21),
        "p_value": (0.000, 0.138),
        "r_squared": (0.447, 0.384),
        "cbsa_r_squared": (0.280, 0.098),
        "cbsa_f_statistic": (6.90, None),
        "soils_f_statistic": (3.75, 1.61),
    },
    index=pd.Index([DENSITY, COLLEGE], name="endogenous"),
)
"""Table C.1, lower half, and footnote 15: the first stages of the second column of Table 5."""

QUINTILES = ("lowest", "second", "middle", "fourth", "highest")
_COUNTS = [2_034_039, 2_051_268, 2_057_161, 2_057_383, 2_056_753]
_RESTRICTED_COUNTS = [1_538_292, 1_552_522, 1_556_699, 1_556_821, 1_556_928]

TABLE_C2 = _stacked(
    {
        "density": _regressions(
            QUINTILES,
            [(0.080, 0.011), (0.083, 0.009), (0.096, 0.008), (0.110, 0.007), (0.144, 0.008)],
            [],
            [0.022, 0.212, 0.294, 0.332, 0.086],
            _COUNTS,
        ),
        "density and college": _regressions(
            QUINTILES,
            [(0.067, 0.011), (0.064, 0.008), (0.072, 0.007), (0.084, 0.007), (0.117, 0.009)],
            [(0.637, 0.119), (0.919, 0.101), (1.103, 0.107), (1.213, 0.119), (1.285, 0.145)],
            [0.023, 0.270, 0.381, 0.422, 0.102],
            _COUNTS,
        ),
        "all controls": _regressions(
            QUINTILES,
            [(0.067, 0.012), (0.063, 0.008), (0.071, 0.007), (0.083, 0.007), (0.102, 0.007)],
            [(0.640, 0.107), (0.913, 0.099), (1.089, 0.104), (1.188, 0.116), (1.116, 0.133)],
            [0.104, 0.296, 0.407, 0.446, 0.278],
            _COUNTS,
        ),
    }
)
"""Table C.2: eq. (2) within quintiles of the earnings of each CBSA."""

TABLE_C3 = _stacked(
    {
        "employment-weighted": _regressions(
            QUINTILES,
            [(0.057, 0.006), (0.061, 0.008), (0.068, 0.007), (0.080, 0.007), (0.091, 0.007)],
            [(0.812, 0.121), (0.874, 0.090), (1.098, 0.109), (1.074, 0.112), (0.961, 0.110)],
            [0.151, 0.313, 0.439, 0.471, 0.347],
            _COUNTS,
        ),
        "population": _regressions(
            QUINTILES,
            [(0.049, 0.008), (0.049, 0.004), (0.056, 0.004), (0.067, 0.004), (0.083, 0.005)],
            [(0.583, 0.120), (0.831, 0.110), (0.986, 0.114), (1.051, 0.124), (0.945, 0.148)],
            [0.104, 0.308, 0.430, 0.480, 0.286],
            _COUNTS,
        ),
        "employment density": _regressions(
            QUINTILES,
            [(0.067, 0.011), (0.065, 0.008), (0.074, 0.007), (0.085, 0.007), (0.104, 0.007)],
            [(0.556, 0.112), (0.818, 0.102), (0.977, 0.102), (1.065, 0.111), (0.978, 0.125)],
            [0.105, 0.308, 0.425, 0.463, 0.278],
            _COUNTS,
        ),
        "weighted density": _regressions(
            QUINTILES,
            [(0.077, 0.011), (0.071, 0.006), (0.083, 0.008), (0.100, 0.012), (0.124, 0.017)],
            [(0.660, 0.132), (0.947, 0.119), (1.119, 0.121), (1.187, 0.135), (1.098, 0.159)],
            [0.102, 0.277, 0.391, 0.434, 0.275],
            _COUNTS,
        ),
        "OLS, restricted": _regressions(
            QUINTILES,
            [(0.086, 0.008), (0.082, 0.004), (0.093, 0.006), (0.107, 0.008), (0.122, 0.008)],
            [(0.699, 0.096), (0.954, 0.098), (1.093, 0.108), (1.170, 0.123), (1.130, 0.148)],
            [0.112, 0.350, 0.465, 0.497, 0.281],
            _RESTRICTED_COUNTS,
        ),
        "2SLS, restricted": _regressions(
            QUINTILES,
            [(0.089, 0.012), (0.071, 0.010), (0.078, 0.010), (0.087, 0.011), (0.097, 0.015)],
            [(0.878, 0.177), (1.304, 0.225), (1.471, 0.275), (1.588, 0.314), (1.524, 0.360)],
            [0.107, 0.293, 0.382, 0.400, 0.260],
            _RESTRICTED_COUNTS,
        ),
    }
)
"""The first table that FF call C.3: other measures within quintiles, all controls."""

TABLE_C3_RELOCATIONS = _regressions(
    ["levels", "levels, all controls", "differences", "differences, all controls"],
    [(0.101, 0.007), (0.072, 0.008), (0.008, 0.004), (0.007, 0.003)],
    [None, (0.915, 0.091), None, (0.008, 0.030)],
    [0.017, 0.354, 0.001, 0.167],
    7_881_354,
)
"""The second table that FF call C.3: continuing establishments, in levels and in first differences."""

FIGURE_1_RANGES = {"density": (0.093, 0.111), "all controls": (0.069, 0.078)}
"""Figure 1, from the text of section 4: lowest and highest elasticity over ages."""

FIGURE_2_RISES = {"construction": (0.071, 0.111), "weighted density": (0.084, 0.097)}
"""Figure 2, from the text of section 4: elasticities at the lowest and highest age where FF find a rise."""

FIGURE_5 = {"premium at birth": 0.060, "movers, first year": 0.009, "movers, later": (-0.006, 0.016)}
"""Figure 5, from the text of section 5.B: premium at age 0, and what density adds for movers by tenure."""
