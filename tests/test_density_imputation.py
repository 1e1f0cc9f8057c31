"""Outliers and imputation (FF appendix A), on a table of cases worked by hand and against a plain reading."""

import numpy as np
import pandas as pd
import pytest

from spatialjax.density.imputation import CASES, REPLACEMENTS, impute_earnings, symmetric_growth
from spatialjax.errors import DataError

NONE = np.nan
MEDIAN = 100.0
EDGE_UP, EDGE_DOWN = 9900.0, 100.0 / 99
"""Earnings at |growth| = 1.96 from the median: 99 times as much, or as little."""
BEYOND = 1.001

WORKED = [
    # name, earnings, lag, lead, expected, case, replacement
    ("both, ordinary", 120, 110, 130, 120, "both", "none"),
    ("both, jump from the lag only", 120, 1, 130, 120, "both", "none"),
    ("both, jump to the lead only", 120, 110, 1, 120, "both", "none"),
    ("both, jumps, mean of neighbours just usable", 120, 1, 1.1, 1.05, "both", "neighbours"),
    ("both, jumps, mean of neighbours extreme", 120, 0.9, 1, MEDIAN, "both", "median"),
    ("both, jumps, mean of neighbours usable", 2, 300, 500, 400, "both", "neighbours"),
    ("both, jumps up and up again, mean extreme", 400, 2, 60000, MEDIAN, "both", "median"),
    ("both, level beyond, no jump", 9901, 9000, 9800, 9400, "both", "neighbours"),
    ("both, level beyond, neighbours too", 9901, 9902, 9903, MEDIAN, "both", "median"),
    ("both, level too low, neighbours usable", 1, 50, 70, 60, "both", "neighbours"),
    ("both, one neighbour extreme, mean usable", 19000, 18000, 100, 9050, "both", "neighbours"),
    ("both, level at the bound above", EDGE_UP, 9000, 9000, EDGE_UP, "both", "none"),
    ("both, level at the bound below", EDGE_DOWN, 2, 2, EDGE_DOWN, "both", "none"),
    ("both, growth at the bound from the lag", 99, 1, 1 / BEYOND, 99, "both", "none"),
    ("both, growth at the bound to the lead", 99, 1 / BEYOND, 1, 99, "both", "none"),
    ("both, mean of neighbours at the bound", 100000, 9800, 10000, EDGE_UP, "both", "neighbours"),
    ("both, mean of neighbours beyond", 100000, 9801, 10001, MEDIAN, "both", "median"),
    ("lag, ordinary", 120, 110, NONE, 120, "lag only", "none"),
    ("lag, jump, lag usable", 5, 500, NONE, 500, "lag only", "neighbours"),
    ("lag, jump, lag extreme", 120, 1, NONE, MEDIAN, "lag only", "median"),
    ("lag, level beyond, lag usable", 9901, 9000, NONE, 9000, "lag only", "neighbours"),
    ("lag, level beyond, lag extreme", 9901, 9902, NONE, MEDIAN, "lag only", "median"),
    ("lag, growth at the bound", 99, 1, NONE, 99, "lag only", "none"),
    ("lag, growth beyond the bound", 99 * BEYOND, 1, NONE, MEDIAN, "lag only", "median"),
    ("lag, level at the bound", EDGE_UP, 9000, NONE, EDGE_UP, "lag only", "none"),
    ("lag at the bound is usable", 50, EDGE_UP, NONE, EDGE_UP, "lag only", "neighbours"),
    ("lead, ordinary", 120, NONE, 110, 120, "lead only", "none"),
    ("lead, jump, lead usable", 5, NONE, 500, 500, "lead only", "neighbours"),
    ("lead, jump, lead extreme", 120, NONE, 1, MEDIAN, "lead only", "median"),
    ("lead, level beyond, lead usable", 0.5, NONE, 40, 40, "lead only", "neighbours"),
    ("lead, level beyond, lead extreme", 9901, NONE, 9902, MEDIAN, "lead only", "median"),
    ("lead, growth at the bound", 99, NONE, 1, 99, "lead only", "none"),
    ("lead, growth beyond the bound", 99 * BEYOND, NONE, 1, MEDIAN, "lead only", "median"),
    ("lead, level at the bound", EDGE_DOWN, NONE, 2, EDGE_DOWN, "lead only", "none"),
    ("lead at the bound is usable", 50, NONE, EDGE_UP, EDGE_UP, "lead only", "neighbours"),
    ("neither, ordinary", 120, NONE, NONE, 120, "neither", "none"),
    ("neither, at the bound above", EDGE_UP, NONE, NONE, EDGE_UP, "neither", "none"),
    ("neither, at the bound below", EDGE_DOWN, NONE, NONE, EDGE_DOWN, "neither", "none"),
    ("neither, beyond the bound above", EDGE_UP * BEYOND, NONE, NONE, MEDIAN, "neither", "median"),
    ("neither, beyond the bound below", EDGE_DOWN / BEYOND, NONE, NONE, MEDIAN, "neither", "median"),
    ("neither, no earnings", 0, NONE, NONE, MEDIAN, "neither", "median"),
    ("both, no earnings in three years", 0, 0, 0, MEDIAN, "both", "median"),
]


def padded(rows):
    """Rows among many others of the same industry and year, so that their median is 100."""
    frame = pd.DataFrame(rows, columns=["name", "earnings", "lag", "lead", "expected", "case", "replacement"])
    filler = pd.DataFrame({"earnings": [MEDIAN] * (4 * len(frame)), "lag": MEDIAN, "lead": MEDIAN})
    return pd.concat([frame, filler.assign(expected=MEDIAN, case="both", replacement="none")], ignore_index=True)


@pytest.fixture(scope="module")
def worked():
    frame = padded(WORKED)
    ones = np.ones(len(frame), int)
    columns = (frame[name].to_numpy(float) for name in ("earnings", "lag", "lead"))
    return frame, impute_earnings(*columns, ones, ones)


@pytest.mark.parametrize("row", range(len(WORKED)), ids=[row[0] for row in WORKED])
def test_worked_cases(worked, row):
    frame, imputation = worked
    assert imputation.medians.item() == MEDIAN
    expected = frame.loc[row]
    assert imputation.earnings[row] == pytest.approx(expected["expected"], rel=1e-12)
    assert CASES[imputation.case[row]] == expected["case"]
    assert REPLACEMENTS[imputation.replacement[row]] == expected["replacement"]


def test_counts_add_up(worked):
    frame, imputation = worked
    expected = pd.crosstab(frame["case"], frame["replacement"]).reindex(CASES)[list(REPLACEMENTS)]
    np.testing.assert_array_equal(imputation.counts, expected)
    assert imputation.share == (frame["replacement"] != "none").mean()


def test_rows_that_are_accepted_are_not_touched(worked):
    frame, imputation = worked
    kept = ~imputation.imputed
    np.testing.assert_array_equal(imputation.earnings[kept], frame["earnings"][kept])


def plain(w, lag, lead, m):
    """Appendix A, one establishment at a time."""

    def d(a, b):
        return abs(a - b) / ((a + b) / 2)

    has_lag, has_lead = not np.isnan(lag), not np.isnan(lead)
    if has_lag and has_lead:
        if (d(w, lag) > 1.96 and d(w, lead) > 1.96) or d(w, m) > 1.96:
            mean = (lag + lead) / 2
            return mean if d(mean, m) <= 1.96 else m
    elif has_lag or has_lead:
        other = lag if has_lag else lead
        if d(w, other) > 1.96 or d(w, m) > 1.96:
            return other if d(other, m) <= 1.96 else m
    elif d(w, m) > 1.96:
        return m
    return w


def test_agrees_with_a_plain_reading_by_industry_and_year():
    rng = np.random.default_rng(0)
    size = 3000
    w, lag, lead = np.exp(10 + 3 * rng.standard_normal((3, size)))
    lag[rng.random(size) < 0.4] = np.nan
    lead[rng.random(size) < 0.4] = np.nan
    industry, year = rng.integers(20, 24, size), rng.choice([1992, 1997], size)
    imputation = impute_earnings(w, lag, lead, industry, year)
    frame = pd.DataFrame({"w": w, "industry": industry, "year": year})
    m = frame.groupby(["industry", "year"])["w"].transform("median")
    expected = [plain(*row) for row in zip(w, lag, lead, m, strict=True)]
    np.testing.assert_allclose(imputation.earnings, expected, rtol=1e-12)
    assert (imputation.counts.drop("neither").to_numpy() > 5).all()
    assert imputation.medians.loc[(21, 1997)] == np.median(w[(industry == 21) & (year == 1997)])


def test_growth_is_symmetric_and_bounded():
    assert symmetric_growth(np.array([3.0]), np.array([1.0]))[0] == 1.0
    assert symmetric_growth(np.array([1.0]), np.array([3.0]))[0] == -1.0
    np.testing.assert_array_equal(symmetric_growth(np.array([0.0, 5.0, 0.0]), np.array([5.0, 0.0, 0.0])), [-2, 2, 0])


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (0, [1.0, NONE, 1.0], r"earnings are missing, infinite or negative in 1 rows \(first: 1\)"),
        (0, [-1.0, 1.0, np.inf], r"in 2 rows \(first: 0, 2\)"),
        (1, [1.0, -1.0, 1.0], r"earnings_lag is negative or infinite in 1 rows \(first: 1\)"),
        (2, [1.0, 1.0, np.inf], r"earnings_lead is negative or infinite in 1 rows \(first: 2\)"),
        (3, [1, 2], r"arrays differ in length"),
    ],
)
def test_bad_values_are_refused(column, values, message):
    columns = [np.ones(3)] * 5
    columns[column] = np.array(values)
    with pytest.raises(DataError, match=message):
        impute_earnings(*columns)


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="there are no rows"):
        impute_earnings(*[np.ones(0)] * 5)
