"""Models known in closed form, and economies from fundamentals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spatialjax as sj
from spatialjax.errors import DataError, ModelError
from spatialjax.nested import closed_forms
from spatialjax.nested.closed_forms import CASES, condition, symmetric_places, utility_slope


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_is_known_in_closed_form_is_found(case):
    rows = list(case())
    assert rows
    assert [row for row in rows if not row.holds] == []


@pytest.mark.parametrize(
    ("alpha", "beta", "unique"), [(0.1, -0.3, True), (0.1, -0.1, True), (0.1, 0.0, False), (0.0, 0.05, False)]
)
def test_the_condition_is_about_every_trade_cost(alpha, beta, unique):
    gamma1, gamma2 = condition(alpha, beta)
    assert (gamma1 > 0 and abs(gamma2 / gamma1) <= 1 + 1e-12) == unique
    slopes = [utility_slope(2, alpha, beta, cost) for cost in np.geomspace(1.01, 1000, 50)]
    assert all(slope < 0 for slope in slopes) == unique


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


def test_what_makes_no_economy_is_refused():
    with pytest.raises(ModelError, match="mobility must be one of free, perfect, fixed, found 'none'"):
        sj.economy_from_fundamentals(cities(), mobility="none")
    with pytest.raises(ModelError, match=r"fundamental_productivity must be zero or positive.*place 0"):
        sj.economy_from_fundamentals(cities().assign(productivity=-cities()["productivity"]))
    with pytest.raises(ModelError, match="spillover must be a callable module"):
        sj.economy_from_fundamentals(cities(), spillover=0.1)
