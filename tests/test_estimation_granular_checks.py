import numpy as np
import pandas as pd
import pytest

from spatialjax.errors import DataError, ModelError
from spatialjax.estimation.granular_checks import check_granular_panel, restrict_panel
from spatialjax.estimation.granular_growth import average_product_shares, firm_growth, product_shipments, shift_share


@pytest.fixture
def panel():
    """Three firms over three years, the third without a row in the middle."""
    rows = [(0, 1, 7, year) for year in (2001, 2002, 2003)] + [(0, 1, 8, year) for year in (2001, 2002, 2003)]
    rows += [(0, 2, 9, 2001), (0, 2, 9, 2003)]
    frame = pd.DataFrame(rows, columns=["location", "sector", "firm", "year"])
    frame["employment"] = [10.0, 20.0, 15.0, 30.0, 40.0, 60.0, 5.0, 6.0]
    frame["wage_bill"] = [20.0, 50.0, 30.0, 60.0, 70.0, 100.0, 9.0, 10.0]
    return frame.assign(sales=frame.wage_bill * 2.0 + np.arange(8))


@pytest.fixture
def products():
    rows = [(7, "a", 0.25), (7, "b", 0.75), (8, "b", 1.0), (9, "a", 0.5), (9, "c", 0.5)]
    return pd.DataFrame(rows, columns=["firm", "product", "share"])


def test_a_sound_panel_passes(panel, products):
    check_granular_panel(
        panel, products, product_shipments(panel, products).assign(year=2001).drop_duplicates("product")
    )


def test_all_that_is_wrong_is_listed(panel, products):
    bad = panel.copy()
    bad.loc[1, "employment"], bad.loc[2, "employment"] = 0.0, -3.0
    bad.loc[3, "wage_bill"] = np.nan
    bad.loc[5, "year"] = 2002
    bad.loc[7, "sector"] = 1
    wrong = products.assign(share=[0.25, 0.7, 1.0, -0.5, 1.5])[lambda x: x.firm != 8]
    shipments = pd.DataFrame({"product": ["a", "b", "b"], "year": [2001, 2001, 2001], "shipments": [1.0, 2.0, 0.0]})
    with pytest.raises(DataError) as error:
        check_granular_panel(bad, wrong, shipments)
    text = str(error.value)
    assert "2 values of employment are zero or negative (first: rows 1, 2)" in text
    assert "1 values of wage_bill are missing or not finite (first: rows 3)" in text
    assert "1 firm-years occur more than once (first: firm 8, year 2002)" in text
    assert "1 firms are in more than one location or sector (first: firm 9)" in text
    assert "1 firms have product shares that do not sum to one (first: firm 7, share 0.95)" in text
    assert "1 product shares are negative (first: firm 9, product a)" in text
    assert "1 firms have no product shares (first: firm 8)" in text
    assert "1 values of shipments are zero or negative (first: rows 2)" in text
    assert "1 product-years of shipments occur more than once (first: product b, year 2001)" in text
    assert "1 products of firms have no shipments (first: product c)" in text
    assert len(error.value.problems) == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.drop(columns=["sales", "firm"]), "column firm of panel is missing"),
        (lambda x: x[x.year == 2001], "all rows are of one year"),
        (lambda x: x.iloc[:0], "no rows"),
        (lambda x: x.assign(employment="ten"), "column employment is not numeric"),
    ],
)
def test_panels_that_cannot_be_used(panel, change, message):
    with pytest.raises(DataError, match=message):
        check_granular_panel(change(panel))


def test_duplicate_and_missing_product_columns(panel, products):
    with pytest.raises(DataError, match="firm-products occur more than once"):
        check_granular_panel(panel, pd.concat([products, products.iloc[:1]]))
    with pytest.raises(DataError, match="column share of products is missing"):
        check_granular_panel(panel, products.drop(columns="share"))


def test_restrictions_of_the_sample(panel):
    kept = restrict_panel(panel, minimum_employment=12, minimum_years=2)
    assert list(zip(kept.firm, kept.year, strict=True)) == [(7, 2002), (7, 2003), (8, 2001), (8, 2002), (8, 2003)]
    with pytest.raises(DataError, match="no firm has 100 employees in 10 years"):
        restrict_panel(panel, minimum_employment=100)
    with pytest.raises(ModelError):
        restrict_panel(panel, minimum_years=0)


def test_growth_spans_one_year_and_never_two_firms(panel):
    growth = firm_growth(panel.sample(frac=1, random_state=0))
    assert list(zip(growth.firm, growth.year, strict=True)) == [(7, 2002), (7, 2003), (8, 2002), (8, 2003)]
    np.testing.assert_allclose(growth.employment_growth, np.log([20 / 10, 15 / 20, 40 / 30, 60 / 40]), rtol=1e-12)
    wages = [(50 / 20) / (20 / 10), (30 / 15) / (50 / 20), (70 / 40) / (60 / 30), (100 / 60) / (70 / 40)]
    np.testing.assert_allclose(growth.wage_growth, np.log(wages), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(growth.payroll_share, [20 / 80, 50 / 120, 60 / 80, 70 / 120], rtol=1e-12)
    np.testing.assert_allclose(growth.lagged_growth, [np.nan, np.log(2), np.nan, np.log(4 / 3)], rtol=1e-12)
    assert growth.weight.tolist() == [60.0] * 4  # median of 40, 60, 75
    assert growth.firm_employment.tolist() == [15.0, 15.0, 40.0, 40.0]


@pytest.mark.parametrize("leave_out", [False, True])
def test_shift_share_is_the_sum_it_says(panel, products, leave_out):
    found = shift_share(panel, products, leave_out=leave_out).set_index(["firm", "year"]).shock
    sales = panel.set_index(["firm", "year"]).sales

    def national(product, year, without):
        makers = products[(products["product"] == product) & (products.firm != without)]
        return sum(share * sales.get((firm, year), 0.0) for firm, share in zip(makers.firm, makers.share, strict=True))

    for firm, year in [(7, 2002), (7, 2003), (8, 2003)]:
        made = products[products.firm == firm]
        without = firm if leave_out else None
        terms = [
            share * np.log(now / before)
            if (before := national(p, year - 1, without)) and (now := national(p, year, without))
            else np.nan
            for p, share in zip(made["product"], made.share, strict=True)
        ]
        if np.isnan(sum(terms)):
            assert (firm, year) not in found.index
        else:
            np.testing.assert_allclose(found[firm, year], sum(terms), rtol=1e-12)
    assert ((7, 2002) in found.index) != leave_out  # product a is made by 9 too, which 2002 does not know
    assert (8, 2003) in found.index


def test_own_shipments_cannot_be_left_out_of_given_ones(panel, products):
    with pytest.raises(ModelError, match="leave_out"):
        shift_share(panel, products, product_shipments(panel, products), leave_out=True)


def test_product_shares_are_averages_over_all_years_of_a_firm():
    rows = [(1, "a", 2001, 3.0), (1, "b", 2001, 1.0), (1, "b", 2002, 5.0), (2, "a", 2002, 2.0)]
    shares = average_product_shares(pd.DataFrame(rows, columns=["firm", "product", "year", "shipments"]))
    assert shares.share.tolist() == [0.375, 0.625, 1.0]
