"""Amenities, tastes and baskets: formulas by hand, an independent solver, and data reproduced under each of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import data_from, random_economy
from raw_model import near, raw_economy, solve_raw
from scipy.special import gamma

import spatialjax as sj
from spatialjax.cities.location import FreeMobility
from spatialjax.cities.preferences import log_attraction

TIGHT = 1e-12
NU = 2.0
PARAMETERS = {"trade_elasticity": 4.0, "location_elasticity": NU, "occupation_substitution": 2.0}
LAND = 1
AMENITY_ELASTICITY = [[0.1, -0.2], [0.05, -0.15]]


@pytest.fixture(scope="module")
def made():
    """An economy, and the data that it would produce."""
    economy = random_economy(5, 4, 2, seed=31)
    return economy, data_from(economy, sj.solve(economy, tolerance=1e-13))


def housing_shares(economy, data):
    """Shares of housing by occupation that differ, with the economy's as their mean (spending follows wage bills)."""
    wage_bill = (data["wage"] * data["employment"].sum("sector")).sum("city").values
    part = wage_bill / wage_bill.sum()
    mean = float(economy.consumption_share[LAND])
    first = 0.8 * mean
    return first, (mean - part[0] * first) / part[1]


def inverted(made, **options):
    economy, data = made
    options = {"housing_share": float(economy.consumption_share[LAND])} | options
    return sj.invert(data, **PARAMETERS, minimum_consumption_share=None, spillover=economy.spillover, **options)


OPTIONS = {
    "additive amenities": lambda made: {"amenities": "additive"},
    "amenity spillovers": lambda made: {"amenity_spillover": sj.OccupationAmenitySpillover(AMENITY_ELASTICITY)},
    "baskets by occupation": lambda made: {"housing_share": housing_shares(*made)},
}


@pytest.fixture(scope="module", params=OPTIONS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def ours(kind, made):
    """The data's economy under other preferences."""
    return inverted(made, **OPTIONS[kind](made))


class TestInversion:
    def test_reproduces_the_data(self, ours, made):
        _, data = made
        assert float(sj.evaluate_at(ours, ours.reference).largest()) < 1e-11
        noise = np.random.default_rng(0)
        start = jax.tree.map(lambda x: x + 0.2 * jnp.asarray(noise.standard_normal(x.shape)), ours.reference)
        found = sj.solve(ours, initial=start, tolerance=TIGHT)
        assert int(found.evaluations) > 5
        np.testing.assert_allclose(found.wage, data["wage"], rtol=1e-9)
        np.testing.assert_allclose(found.employment_by_sector, data["employment"], rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(found.price[:, LAND], data["housing_price"], rtol=1e-9)

    def test_gives_mean_real_consumption_as_welfare(self, ours):
        found = sj.solve(ours, tolerance=TIGHT)
        mean = (found.employment * found.consumption).sum(0) / found.employment.sum(0)
        np.testing.assert_allclose(found.welfare, mean, rtol=1e-10)

    def test_gives_an_economy_whose_equilibria_are_scipys(self, kind, ours):
        """Amenities moved away from the data; every market written out in levels and loops."""
        factor = jnp.asarray(np.random.default_rng(1).uniform(0.8, 1.25, ours.amenity.shape))
        moved = eqx.tree_at(lambda e: e.amenity, ours, ours.amenity * factor)
        found = sj.solve(moved, tolerance=1e-13)
        raw = {
            "additive amenities": lambda: {"unit": float(ours.preferences.unit)},
            "amenity spillovers": lambda: {"amenity_elasticity": np.asarray(AMENITY_ELASTICITY)},
            "baskets by occupation": dict,
        }[kind]()
        theirs = solve_raw(raw_economy(moved, **raw), near(found))
        for name, values in theirs.items():
            np.testing.assert_allclose(getattr(found, name), values, rtol=1e-9)
        assert float(jnp.abs(found.employment - jnp.exp(ours.reference.log_employment)).max()) > 10

    def test_measures_additive_tastes_in_mean_consumption(self, made):
        ours = inverted(made, amenities="additive")
        found = sj.solve(ours, tolerance=TIGHT)
        mean = (found.employment * found.consumption).sum() / found.employment.sum()
        assert float(ours.preferences.unit) == pytest.approx(float(mean), rel=1e-10)

    def test_refuses_other_amenities(self, made):
        with pytest.raises(sj.errors.ModelError, match="one of multiplicative, additive, found 'linear'"):
            inverted(made, amenities="linear")


class TestBaskets:
    @pytest.fixture(scope="class")
    @classmethod
    def shares(cls, made):
        return housing_shares(*made)

    @pytest.fixture(scope="class")
    @classmethod
    def economy(cls, made, shares):
        return inverted(made, housing_share=shares)

    @pytest.fixture(scope="class")
    @classmethod
    def found(cls, economy):
        return sj.solve(economy, tolerance=TIGHT)

    def test_have_the_housing_shares_given_and_the_others_in_proportion(self, economy, shares):
        alpha = np.asarray(economy.consumption_share)
        others = np.delete(alpha, LAND, axis=1)
        np.testing.assert_allclose(alpha[:, LAND], shares, rtol=1e-13)
        np.testing.assert_allclose(alpha.sum(1), 1, rtol=1e-12)
        np.testing.assert_allclose(others[0] / others[0].sum(), others[1] / others[1].sum(), rtol=1e-12)
        assert alpha[1, LAND] > 1.1 * alpha[0, LAND]

    def test_add_up_to_the_shares_of_the_aggregate(self, economy, found, made):
        spending = np.asarray((found.income * found.employment).sum(0))
        aggregate = spending @ np.asarray(economy.consumption_share) / spending.sum()
        alike = inverted(made)
        np.testing.assert_allclose(aggregate, alike.consumption_share, rtol=1e-9)
        np.testing.assert_allclose(alike.consumption_share, made[0].consumption_share, rtol=1e-9)

    def test_make_final_demand_and_clear_every_market(self, economy, found):
        alpha, mix = np.asarray(economy.consumption_share), np.asarray(economy.input_links.mix)
        income, L = np.asarray(found.income), np.asarray(found.employment)
        inputs = np.asarray((1 - economy.value_added_share) * found.gross_output) @ mix.T
        demand = sum((income[:, k] * L[:, k])[:, None] * alpha[k] for k in range(2)) + inputs
        np.testing.assert_allclose(found.expenditure, demand, rtol=1e-10)
        np.testing.assert_allclose(found.gross_output.sum(0), found.expenditure.sum(0), rtol=1e-10)
        np.testing.assert_allclose((income * L).sum(), economy.wage_bill + found.land_income.sum(), rtol=1e-10)

    def test_have_a_price_index_each(self, economy, found):
        price, alpha = np.asarray(found.price), np.asarray(economy.consumption_share)
        for k in range(2):
            np.testing.assert_allclose(found.price_index[:, k], np.prod(price ** alpha[k], axis=1), rtol=1e-12)
        np.testing.assert_allclose(found.consumption, found.income / found.price_index, rtol=1e-13)
        assert np.abs(found.price_index[:, 0] / found.price_index[:, 1] - 1).max() > 0.01

    def test_are_the_common_one_where_they_are_alike(self, made):
        alike = inverted(made)
        both = jnp.broadcast_to(alike.consumption_share, (2, 4))
        residuals = sj.evaluate_at(eqx.tree_at(lambda e: e.consumption_share, alike, both), alike.reference)
        assert float(residuals.largest()) < 1e-11

    def test_of_a_wrong_number_are_refused(self, made):
        with pytest.raises(sj.errors.DataError, match="housing_share has 3 values for 2 occupations"):
            inverted(made, housing_share=(0.2, 0.2, 0.2))
        with pytest.raises(sj.errors.ModelError, match="housing_share must be between 0 and 1"):
            inverted(made, housing_share=(0.2, 1.2))
        problems = sj.validate(made[1], housing_share=(0.2, 0.2, 0.2), minimum_consumption_share=None)
        assert list(problems) == ["housing_share has 3 values for 2 occupations"]

    @pytest.mark.parametrize(
        ("shares", "message"),
        [
            (
                [[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.5]],
                "consumption_share must sum to 1 for occupation 1, found 1.1",
            ),
            ([0.1, 0.2, 0.3, 0.5], "consumption_share must sum to 1, found 1.1"),
            ([[0.1, 0.2, 0.3, 0.4]] * 3, r"consumption_share has shape \(3, 4\)"),
            ([[0.1, 0.2, 0.3, 0.4], [-0.1, 0.4, 0.3, 0.4]], "consumption_share must be zero or positive, found -0.1"),
        ],
    )
    def test_that_are_none_are_refused(self, made, shares, message):
        economy = eqx.tree_at(lambda e: e.consumption_share, made[0], jnp.asarray(shares))
        with pytest.raises(sj.errors.ModelError, match=message):
            sj.solve(economy)


RNG = np.random.default_rng(5)
AMENITY = RNG.uniform(0.5, 2.0, (4, 2))
AMENITY[3, 1] = 0.0
CONSUMPTION = RNG.uniform(20.0, 60.0, (4, 2))
UNIT = 35.0
PREFERENCES = {"multiplicative": sj.MultiplicativeAmenities(), "additive": sj.AdditiveAmenities(jnp.asarray(UNIT))}
WELFARE = {
    "multiplicative": lambda C: gamma((NU - 1) / NU) * ((AMENITY * C) ** NU).sum(0) ** (1 / NU),
    "additive": lambda C: np.log((AMENITY**NU * np.exp(NU * C / UNIT)).sum(0)) * UNIT / NU,
}


def attraction(name, consumption=CONSUMPTION):
    return log_attraction(PREFERENCES[name], jnp.asarray(AMENITY), jnp.asarray(consumption), jnp.asarray(NU))


def welfare(name, consumption=CONSUMPTION):
    return PREFERENCES[name].welfare(attraction(name, consumption), jnp.asarray(NU))


@pytest.mark.parametrize("name", PREFERENCES)
class TestFormula:
    def test_of_location_shares(self, name):
        """Frechet tastes: (A C)^nu; Gumbel tastes: a logit in (A + C) nu / unit, with A = unit log(amenity)."""
        population = jnp.asarray([300.0, 200.0])
        economy = eqx.tree_at(lambda e: e.population, random_economy(4, 4, 2), population)
        with np.errstate(divide="ignore"):
            additive = np.exp((UNIT * np.log(AMENITY) + CONSUMPTION) * NU / UNIT)
        pull = {"multiplicative": (AMENITY * CONSUMPTION) ** NU, "additive": additive}[name]
        expected = np.asarray(population) * pull / pull.sum(0)
        found = FreeMobility().log_employment(attraction(name), jnp.zeros_like(AMENITY), economy)
        np.testing.assert_allclose(np.where(AMENITY > 0, np.exp(found), 0.0), expected, rtol=1e-13)
        assert float(attraction(name)[3, 1]) == -np.inf

    def test_of_welfare(self, name):
        np.testing.assert_allclose(welfare(name), WELFARE[name](CONSUMPTION), rtol=1e-13)

    def test_of_the_derivative_of_welfare(self, name):
        """Roy's identity: a dollar in a city is worth its share of workers (times v / C with Frechet tastes)."""
        pull = np.exp(np.asarray(attraction(name)))
        share = pull / pull.sum(0)
        worth = {"multiplicative": WELFARE["multiplicative"](CONSUMPTION) / CONSUMPTION, "additive": 1.0}[name]
        gradient = jax.grad(lambda C: welfare(name, C).sum())(jnp.asarray(CONSUMPTION))
        np.testing.assert_allclose(gradient, share * worth, rtol=1e-12)

    def test_of_the_scale_of_amenities(self, name):
        """The factor at which welfare is what is wanted, where attractions sum to one before."""
        wanted, preferences = jnp.asarray([30.0, 50.0]), PREFERENCES[name]
        logs = jnp.log(jnp.asarray(np.random.default_rng(6).dirichlet(np.ones(4), 2).T))
        scaled = logs + NU * preferences.log_amenity_scale(wanted, jnp.asarray(NU))
        np.testing.assert_allclose(preferences.welfare(scaled, jnp.asarray(NU)), wanted, rtol=1e-13)

    def test_of_the_tax_on_place_and_the_price_of_welfare(self, name):
        preferences, product = PREFERENCES[name], jnp.asarray(RNG.uniform(50, 150, (4, 2)))
        price = jnp.asarray(RNG.uniform(0.5, 2.0, (4, 1)))
        spending, workers, v = jnp.asarray([5e3, 9e3]), jnp.asarray([90.0, 80.0]), jnp.asarray([30.0, 50.0])
        tax = preferences.location_tax(product, price, jnp.asarray(NU))
        cost = preferences.cost_of_welfare(spending, workers, v)
        unit = preferences.gain_unit(v, jnp.asarray([33.0, 44.0]))
        expected = {
            "multiplicative": (product / 3, spending / v, v),
            "additive": (np.broadcast_to(price * UNIT / 2, (4, 2)), workers, [33.0, 44.0]),
        }[name]
        for found, value in zip((tax, cost, unit), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-14)
