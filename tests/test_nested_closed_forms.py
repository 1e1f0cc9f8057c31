"""Models known in closed form, and economies from fundamentals."""

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax.cli import app
from spatialjax.errors import DataError, ModelError
from spatialjax.nested import closed_forms
from spatialjax.nested.closed_forms import CASES, condition, symmetric_places, utility_slope
from spatialjax.nested.first_order import trade_flow


@cache
def rows_of(case):
    return list(case())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_is_known_in_closed_form_is_found(case):
    rows = rows_of(case)
    assert rows
    assert [row for row in rows if not row.holds] == []


def test_the_validation_page_has_these_rows(monkeypatch, tmp_path):
    """The page that `spatialjax validate-models` writes here without anybody's files, against the one in docs."""
    monkeypatch.setattr(closed_forms, "rows", lambda: [row for case in CASES for row in rows_of(case)])
    done = CliRunner().invoke(app, ["validate-models", "--out", str(tmp_path / "validation.md")])
    assert done.exit_code == 0, done.output
    pages = [tmp_path / "validation.md", Path(__file__).parents[1] / "docs" / "validation.md"]
    made, kept = (known_numbers(page.read_text(encoding="utf-8")) for page in pages)
    assert len(made) == sum(len(rows_of(case)) for case in CASES)
    assert made == kept


def known_numbers(page):
    """Model, quantity and known number of each closed form on a page, and whether it holds.

    Which of several places is the worst is a matter of rounding, and so is the number that is known there.
    """
    table = page.partition("## Closed forms")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    return {(row[0], row[1], "" if "the worst of" in row[1] else row[2], row[-1]) for row in cells[2:]}


@pytest.mark.parametrize(
    ("alpha", "beta", "unique"), [(0.1, -0.3, True), (0.1, -0.1, True), (0.1, 0.0, False), (0.0, 0.05, False)]
)
def test_the_condition_is_about_every_trade_cost(alpha, beta, unique):
    gamma1, gamma2 = condition(alpha, beta)
    assert (gamma1 > 0 and abs(gamma2 / gamma1) <= 1 + 1e-12) == unique
    slopes = [utility_slope(2, alpha, beta, cost) for cost in np.geomspace(1.01, 1000, 50)]
    assert all(slope < 0 for slope in slopes) == unique


COSTS = np.geomspace(1.01, 1000, 50)


def test_why_the_condition_fails_says_what_is_stable():
    rising = [utility_slope(2, 0.1, 0.0, cost) for cost in COSTS]
    assert sum(condition(0.1, -0.2)) == pytest.approx(2 + 0.1 + 0.2)
    assert rising[0] < 0 < rising[-1]  # alpha + beta > 0: stable at low trade costs alone
    assert condition(0.3, 0.0)[0] == pytest.approx(-0.2)
    assert all(utility_slope(2, 0.3, 0.0, cost) > 0 for cost in COSTS)
    gamma1, gamma2 = condition(-2.0, 0.5)
    assert gamma1 > 0 > gamma1 + gamma2  # fails although alpha + beta <= 0
    assert all(utility_slope(2, -2.0, 0.5, cost) < 0 for cost in COSTS)


def advantage(log_ratio, alpha, beta, cost, theta=4.0):
    """Log utility of the first of two places over the second's, where it has so many more log people."""
    people = np.array([1 / (1 + np.exp(-log_ratio)), 1 / (1 + np.exp(log_ratio))])
    costs = np.array([[1, cost], [cost, 1]])

    def strength(log_wage):
        return (costs * np.exp([log_wage / 2, -log_wage / 2]) / people**alpha) ** -theta

    def excess(log_wage):
        bill = np.exp([log_wage / 2, -log_wage / 2]) * people
        shares = strength(log_wage) / strength(log_wage).sum(1, keepdims=True)
        return (shares.T @ bill - bill)[0] / bill.sum()

    log_wage = brentq(excess, -60, 60, xtol=1e-14)
    price = strength(log_wage).sum(1) ** (-1 / theta)
    return log_wage - np.log(price[0] / price[1]) + beta * log_ratio


@pytest.mark.parametrize("case", closed_forms.SPILLOVER_CASES, ids=lambda case: case[0])
def test_the_number_of_equilibria_is_that_of_a_scan(case):
    scan = [advantage(ratio, *case[1:]) for ratio in np.linspace(0.01, 12, 200)]
    signs = np.sign(scan)
    larger = int((signs[1:] != signs[:-1]).sum())
    assert closed_forms._number_of_equilibria(*case[1:]) == 1 + 2 * larger
    assert (scan[0] < 0) == (utility_slope(2, *case[1:]) < 0)


@pytest.mark.parametrize(("cost", "stable"), [(1.15, True), (1.6, False)])
def test_the_slope_of_utility_is_that_of_solves(cost, stable):
    alpha, beta, step = 0.1, 0.0, 1e-4
    economy = symmetric_places(2, alpha, beta, cost)
    moved = jnp.log(jnp.array([[500.0], [500.0]])) + jnp.array([[step], [-step]])
    held = sj.solve(economy, mobility=sj.FixedEmployment(moved), tolerance=1e-12)
    found = float(jnp.log(held.welfare[0, 0] / held.welfare[1, 0]) / (2 * step))
    assert found == pytest.approx(utility_slope(2, alpha, beta, cost), abs=1e-6)
    assert (found < 0) == stable
    assert sj.stability(economy, sj.solve(economy)).stable == stable


def cities():
    return closed_forms._cities(4)


def test_variables_may_have_any_order_of_dimensions_and_lack_some():
    one = cities()
    other = one.assign(
        productivity=one["productivity"].expand_dims(sector=one["sector"], occupation=one["occupation"]),
        iceberg_cost=one["iceberg_cost"].transpose("origin", "city").expand_dims(sector=one["sector"]),
        amenity=one["amenity"].expand_dims(occupation=one["occupation"]),
    )
    economies = [sj.economy_from_fundamentals(data) for data in (one, other)]
    for leaf, same in zip(*map(jax.tree.leaves, economies), strict=True):
        np.testing.assert_array_equal(leaf, same)


def test_distances_to_a_power_are_trade_costs():
    data = cities().rename(iceberg_cost="distance")
    found = sj.economy_from_fundamentals(data, distance_exponent=0.5)
    np.testing.assert_allclose(found.log_iceberg_cost[0], 0.5 * np.log(data["distance"]), atol=1e-14)


def test_housing_is_land_alone_and_employs_nobody():
    data = closed_forms._with_housing(cities(), 0.7)
    found = sj.solve(sj.economy_from_fundamentals(data))
    np.testing.assert_allclose(found.employment_by_sector[:, :, 1], 0.0, atol=0)
    np.testing.assert_allclose(found.land_income, found.expenditure[:, 1], rtol=1e-9)
    np.testing.assert_allclose(found.price[:, 1], found.rent, rtol=1e-9)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.drop_vars("sector"), "sector: no such coordinate; name each sector with assign_coords"),
        (lambda d: d.drop_vars("productivity"), "productivity: no such variable; add it"),
        (lambda d: d.drop_vars("iceberg_cost"), "iceberg_cost: neither it nor distance is there"),
        (
            lambda d: d.assign(amenities=d["amenity"]).drop_vars("amenity"),
            "amenities: no variable has this name; did you mean amenity?",
        ),
        (lambda d: d.assign(zzz=1.0), "zzz: no variable has this name; there are productivity, amenity, land"),
        (lambda d: d.assign(land=("city", list("abcd"))), "land: must hold numbers, found <U1"),
        (
            lambda d: d.assign(land_share=("occupation", [0.1])),
            "land_share: has dimension occupation; it may have city, sector$",
        ),
        (
            lambda d: d.assign(consumption_share=("origin", np.ones(4))),
            "consumption_share: has dimension origin; it may have sector, city, occupation$",
        ),
        (
            lambda d: d.assign(tariff=(("city", "origin"), np.full((4, 4), -1.0))),
            "tariff: found -1 at place 0, origin 0; must be a rate above -1, 0.05 for five percent",
        ),
        (
            lambda d: d.assign_coords(origin=d["city"].values[::-1]),
            "origin: must have the labels of city, in the same order",
        ),
        (lambda d: d.assign(value_added_share=0.5), "input_share: no such variable, but value_added_share is below 1"),
        (lambda d: d.assign(land=("sector", [1.0])), "land: has dimension sector; it may have city"),
        (lambda d: d.assign(land=("city", [1.0, np.nan, 1, 1])), "land: found nan at place 1; must be a number"),
        (
            lambda d: d.assign(iceberg_cost=d["iceberg_cost"] * 0),
            "iceberg_cost: found 0 at place 0, origin 0; must be above 0",
        ),
        (
            lambda d: d.assign(population=("city", np.ones(4))),
            "population: has dimensions city; under free mobility it must have occupation",
        ),
        (
            lambda d: d.assign(
                country_of_city=("city", list("aabb")), population=(("country", "occupation"), [[1.0], [2.0]])
            ).assign_coords(country=["a", "c"]),
            "population: its countries are a, c; they must be those of country_of_city, a, b",
        ),
    ],
)
def test_what_is_wrong_is_named(spoil, message):
    with pytest.raises(DataError, match=message):
        sj.economy_from_fundamentals(spoil(cities()))


def test_tariffs_are_those_of_the_economy():
    rate = np.where(np.eye(4, dtype=bool), 0.0, 0.2)
    with_tariffs = sj.economy_from_fundamentals(cities().assign(tariff=(("city", "origin"), rate)))
    np.testing.assert_array_equal(with_tariffs.tariff, rate[None])
    assert sj.economy_from_fundamentals(cities()).tariff is None
    found = sj.solve(with_tariffs, tolerance=1e-12)
    np.testing.assert_allclose(found.tariff_revenue, (rate * trade_flow(with_tariffs, found)[0]).sum(1), rtol=1e-9)
    assert (found.tariff_revenue > 0).all()
    with pytest.raises(ModelError, match="tariff must be 0 on a city's own goods, found 0.1"):
        sj.economy_from_fundamentals(cities().assign(tariff=0.1))


@pytest.mark.parametrize("dims", [(), ("sector",), ("city", "sector"), ("occupation", "city", "sector")])
def test_consumption_shares_may_be_of_each_city_and_occupation(dims):
    data = closed_forms._with_housing(cities(), 0.7).drop_vars("consumption_share")
    share = np.full([data.sizes[axis] for axis in dims], 0.5)
    economy = sj.economy_from_fundamentals(data.assign(consumption_share=(dims, share)))
    np.testing.assert_array_equal(economy.consumption_share, np.full((4, 1, 2) if "city" in dims else 2, 0.5))


def test_what_makes_no_economy_is_refused():
    with pytest.raises(ModelError, match="mobility must be one of free, perfect, fixed, found 'none'"):
        sj.economy_from_fundamentals(cities(), mobility="none")
    with pytest.raises(ModelError, match=r"fundamental_productivity must be zero or positive.*place 0"):
        sj.economy_from_fundamentals(cities().assign(productivity=-cities()["productivity"]))
    with pytest.raises(ModelError, match="spillover must be a callable module"):
        sj.economy_from_fundamentals(cities(), spillover=0.1)
