"""Average earnings by eq. (1): timing, entrants, exits, and constant dollars."""

import numpy as np
import pandas as pd
import pytest

from spatialjax.density.earnings import CONSUMER_PRICES, average_earnings, deflator, measured_earnings
from spatialjax.errors import DataError

NONE = np.nan


@pytest.mark.parametrize(
    ("row", "expected"),
    [  # employment, employment_lag, payroll, payroll_lag, exit
        ((30.0, 10.0, 999.0, 400.0, False), 400 / 20),  # continuing
        ((5.0, NONE, 150.0, NONE, False), 150 / 5),  # entrant
        ((5.0, 0.0, 150.0, 0.0, False), 150 / 5),  # entrant, with zeros for nothing
        ((30.0, 10.0, 999.0, 400.0, True), 400 / 10),  # exit
        ((5.0, NONE, 150.0, NONE, True), 150 / 5),  # a single year
        ((5.0, 5.0, 150.0, 0.0, False), 0.0),  # no payroll
    ],
)
def test_average_earnings_of_each_kind_of_establishment(row, expected):
    columns = [np.array([x]) for x in row]
    assert average_earnings(*columns)[0] == expected


def test_consumer_prices_cover_the_years_of_the_census_files():
    assert list(CONSUMER_PRICES) == list(range(1975, 2006))
    growth = np.diff(list(CONSUMER_PRICES.values())) / np.array(list(CONSUMER_PRICES.values()))[:-1]
    published = [5.8, 6.5, 7.6, 11.3, 13.5, 10.3, 6.2, 3.2, 4.3, 3.6, 1.9, 3.6, 4.1, 4.8, 5.4, 4.2]
    np.testing.assert_allclose(100 * growth[:16], published, atol=0.06)  # Economic Report of the President 1993
    assert deflator()[1997] == 1
    assert deflator()[1992] == pytest.approx(160.5 / 140.3)


def panel(**changes):
    rows = {
        "year": [1992, 1992, 1997, 1997],
        "employment": [30.0, 5.0, 30.0, 4.0],
        "employment_lag": [10.0, NONE, 10.0, NONE],
        "payroll": [9.0, 150.0, 9.0, 160.0],
        "payroll_lag": [400.0, NONE, 500.0, NONE],
        "exit": [False, False, True, False],
    }
    return pd.DataFrame({**rows, **changes})


def test_each_payroll_is_deflated_by_the_prices_of_its_year():
    prices = {1991: 40.0, 1992: 50.0, 1996: 80.0, 1997: 100.0}
    expected = [400 * 2.5 / 20, 150 * 2 / 5, 500 * 1.25 / 10, 160 / 4]
    np.testing.assert_allclose(measured_earnings(panel(), prices), expected)


def test_default_prices_are_those_of_urban_consumers():
    prices = CONSUMER_PRICES
    expected = [20 * prices[1997] / prices[1991], 30 * prices[1997] / prices[1992]]
    np.testing.assert_allclose(measured_earnings(panel())[:2], expected)


def test_single_precision_stays_single():
    single = panel().astype(dict.fromkeys(("employment", "employment_lag", "payroll", "payroll_lag"), np.float32))
    measured = measured_earnings(single)
    assert measured.dtype == np.float32
    np.testing.assert_allclose(measured, measured_earnings(panel()), rtol=1e-6)


def test_what_is_missing_is_named():
    with pytest.raises(DataError, match=r"column payroll_lag is missing"):
        measured_earnings(panel().drop(columns="payroll_lag"))
    with pytest.raises(DataError, match=r"there is no price of 1991, 1996"):
        measured_earnings(panel(), {1992: 1.0, 1997: 1.0})
    with pytest.raises(DataError, match=r"no price of the base year 1997"):
        deflator({1996: 1.0})
    with pytest.raises(DataError, match=r"must be positive, those of 1996 are not"):
        deflator({1996: 0.0, 1997: 1.0})
