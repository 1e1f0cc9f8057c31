"""Inversion against the economies that made the data, and refusals by name."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import data_from, random_economy

import spatialjax as sj
from spatialjax.cities.distance import EARTH_RADIUS, great_circle, log_iceberg_cost
from spatialjax.numerics.matrix_scaling import scale_matrix

PARAMETERS = {"trade_elasticity": 4.0, "location_elasticity": 2.0, "occupation_substitution": 2.0}


def made(seed=0, **options):
    """An economy, its equilibrium, and the data that it would produce."""
    economy = random_economy(6, 5, 2, land_sector=1, local_sectors=(3,), seed=seed, **options)
    found = sj.solve(economy, tolerance=1e-13)
    return economy, found, data_from(economy, found)


def inverted(economy, data, **options):
    share = float(economy.consumption_share[1])
    return sj.invert(
        data, **PARAMETERS, housing_share=share, minimum_consumption_share=None, spillover=economy.spillover, **options
    )


def changed(data, name, edit):
    """A copy of the data with one variable edited in place by `edit`."""
    values = data[name].values.copy()
    edit(values)
    return data.assign({name: data[name].copy(data=values)})


def flat(values, at):
    """Flat positions of values[at]."""
    return np.arange(values.size).reshape(values.shape)[at].ravel()


@pytest.fixture(scope="module")
def example():
    economy, found, data = made()
    return economy, found, data, inverted(economy, data)


def test_wages_may_differ_by_eight_orders_of_magnitude():
    economy = random_economy(4, 3, 2, local_sectors=(), empty_cells=1, seed=3)
    data = data_from(economy, sj.solve(economy, tolerance=1e-12))
    data = changed(data, "wage", lambda wage: wage.__setitem__((2, 0), 1e8 * wage[2, 0]))
    found = sj.solve(inverted(economy, data), tolerance=1e-12)
    given = data["employment"].transpose("city", "occupation", "sector").values
    np.testing.assert_allclose(found.employment_by_sector, given, rtol=1e-8)


def test_recovers_the_economy_that_made_the_data(example):
    economy, _, _, ours = example
    np.testing.assert_allclose(ours.consumption_share, economy.consumption_share, rtol=1e-9)
    np.testing.assert_allclose(ours.value_added_share, economy.value_added_share, rtol=1e-9)
    np.testing.assert_allclose(ours.land_share, economy.land_share, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.population, economy.population, rtol=1e-10)
    # Productivity is recovered up to the units of each good and the split between land and its labour.
    traded = list(economy.traded)
    ratio = np.asarray(ours.fundamental_productivity)[:, :, traded]
    theirs = np.asarray(economy.fundamental_productivity)[:, :, traded]
    present = theirs > 0
    assert ((ratio > 0) == present).all()
    scale = np.where(present, ratio / np.where(present, theirs, 1), 1.0)
    both = present.all(1)
    assert both.any()
    np.testing.assert_allclose(scale[:, 0][both], scale[:, 1][both], rtol=1e-8)
    amenity = np.asarray(ours.amenity / economy.amenity)
    np.testing.assert_allclose(amenity / amenity[0], 1.0, rtol=1e-8)


def test_data_are_an_equilibrium_of_the_inverted_economy(example):
    _, found, _, ours = example
    assert float(sj.evaluate_at(ours, ours.reference).largest()) < 1e-11
    again = sj.solve(ours, tolerance=1e-12)
    np.testing.assert_allclose(again.wage, found.wage, rtol=1e-9)
    np.testing.assert_allclose(again.employment_by_sector, found.employment_by_sector, rtol=1e-8, atol=1e-8)


def test_is_found_again_from_elsewhere(example):
    _, found, _, ours = example
    rng = np.random.default_rng(0)
    start = jax.tree.map(lambda x: x + 0.2 * jnp.asarray(rng.standard_normal(x.shape)), ours.reference)
    again = sj.solve(ours, initial=start, tolerance=1e-12)
    assert int(again.evaluations) > 5
    np.testing.assert_allclose(again.wage, found.wage, rtol=1e-9)


def test_counterfactuals_do_not_depend_on_how_the_economy_was_built(example):
    """The inverted economy answers a change in costs as the one that made the data does."""
    economy, found, _, ours = example
    factor = jnp.asarray(np.random.default_rng(1).uniform(0.5, 1.5, (5, 6, 6)))

    def change(e):
        costs = jnp.where(jnp.isfinite(e.log_iceberg_cost), e.log_iceberg_cost * factor, jnp.inf)
        return sj.solve(eqx.tree_at(lambda x: x.log_iceberg_cost, e, costs), tolerance=1e-12)

    theirs, mine = change(economy), change(ours)
    assert float(jnp.abs(theirs.wage / found.wage - 1).max()) > 1e-3
    np.testing.assert_allclose(mine.wage, theirs.wage, rtol=1e-8)
    np.testing.assert_allclose(mine.employment, theirs.employment, rtol=1e-8)


def test_welfare_in_the_data_is_mean_real_consumption(example):
    _, _, _, ours = example
    found = sj.solve(ours)
    mean = (found.employment * found.consumption).sum(0) / found.employment.sum(0)
    np.testing.assert_allclose(found.welfare, mean, rtol=1e-10)


def test_unit_costs_have_geometric_mean_one(example):
    _, _, _, ours = example
    costs = np.asarray(sj.solve(ours).unit_cost)[:, list(ours.traded)]
    logs = np.where(np.isfinite(costs), np.log(np.where(np.isfinite(costs), costs, 1)), 0)
    np.testing.assert_allclose(logs.sum(0), 0, atol=1e-9)


def test_is_differentiable_in_elasticities_and_spillovers():
    economy, _, data = made(seed=2)
    other = jnp.log(jnp.asarray(np.random.default_rng(3).uniform(0.5, 1.5, 6)))

    def welfare(theta, nu, share):
        spillover = eqx.tree_at(lambda s: s.share, economy.spillover, share)
        ours = sj.invert(
            data,
            trade_elasticity=theta,
            location_elasticity=nu,
            housing_share=float(economy.consumption_share[1]),
            minimum_consumption_share=None,
            spillover=spillover,
        )
        changed = eqx.tree_at(lambda e: e.land, ours, ours.land * jnp.exp(other))
        return jnp.log(sj.solve(changed, tolerance=1e-13).welfare).sum()

    at = (jnp.asarray(4.0), jnp.asarray(2.0), economy.spillover.share)
    gradient = jax.grad(welfare, argnums=(0, 1, 2))(*at)
    h = 1e-4
    for i in range(2):
        moved = [list(at), list(at)]
        moved[0][i], moved[1][i] = at[i] + h, at[i] - h
        finite = (welfare(*moved[0]) - welfare(*moved[1])) / (2 * h)
        assert float(gradient[i]) == pytest.approx(float(finite), rel=1e-5, abs=1e-9)
    step = jnp.asarray([1.0, -0.5])
    finite = (welfare(at[0], at[1], at[2] + h * step) - welfare(at[0], at[1], at[2] - h * step)) / (2 * h)
    assert float(gradient[2] @ step) == pytest.approx(float(finite), rel=1e-5, abs=1e-9)


def test_trade_elasticity_keeps_the_datas_distance_elasticity():
    data = made()[2].drop_vars("iceberg_cost").assign(distance=(("city", "origin"), np.full((6, 6), 50.0)))
    low, high = (log_iceberg_cost(data, jnp.asarray(theta)) for theta in (4.0, 8.0))
    finite = np.isfinite(np.asarray(low))
    np.testing.assert_allclose(4 * np.asarray(low)[finite], 8 * np.asarray(high)[finite])


class TestGeography:
    def test_great_circle_has_known_distances(self):
        latitude, longitude = np.array([0.0, 0.0, 90.0]), np.array([0.0, 90.0, 0.0])
        quarter = np.pi / 2 * EARTH_RADIUS
        distance = great_circle(latitude, longitude)
        np.testing.assert_allclose(distance[[0, 0, 1], [1, 2, 2]], quarter)
        np.testing.assert_allclose(np.diag(distance), 20.0)
        assert great_circle(np.array([40.0, 40.01]), np.array([-75.0, -75.0])).max() == 20.0

    def test_costs_come_from_coordinates_unless_given(self):
        data = made()[2]
        given = log_iceberg_cost(data, jnp.asarray(4.0))
        np.testing.assert_allclose(np.exp(given[0]), data["iceberg_cost"].values[0])
        assert np.isinf(np.asarray(given[1])[~np.eye(6, dtype=bool)]).all()
        assert (np.diag(np.asarray(given[1])) == 0).all()
        distance = np.random.default_rng(0).uniform(10, 100, (6, 6))
        by_distance = data.drop_vars("iceberg_cost").assign(distance=(("city", "origin"), distance))
        np.testing.assert_allclose(log_iceberg_cost(by_distance, jnp.asarray(4.0))[0], np.log(distance) / 4)
        coordinates = data.drop_vars("iceberg_cost").assign(
            latitude=("city", np.linspace(30, 40, 6)), longitude=("city", np.linspace(-100, -80, 6))
        )
        expected = np.log(great_circle(np.linspace(30, 40, 6), np.linspace(-100, -80, 6))) / 4
        np.testing.assert_allclose(log_iceberg_cost(coordinates, jnp.asarray(4.0))[0], expected)


class TestMatrixScaling:
    def example(self, sellers=30, seed=0):
        rng = np.random.default_rng(seed)
        kernel = jnp.asarray(rng.uniform(0.01, 1, (sellers, sellers)) ** 3)
        spending = rng.pareto(1.2, sellers) + 0.01
        earnings = rng.pareto(1.2, sellers) + 0.01
        earnings[3] = 0
        return kernel, jnp.asarray(spending), jnp.asarray(earnings * spending.sum() / earnings.sum())

    def test_sellers_earn_what_they_should(self):
        kernel, spending, earnings = self.example()
        scaling = scale_matrix(kernel, spending, earnings)
        strength = np.where(np.asarray(earnings) > 0, np.exp(scaling.potential), 0)
        share = kernel * strength / (kernel @ strength)[:, None]
        np.testing.assert_allclose(share.T @ spending, earnings, rtol=1e-11, atol=1e-12)

    def test_is_differentiable(self):
        kernel, spending, earnings = self.example()
        active = earnings > 0

        def value(size):
            moved = earnings * jnp.exp(size * jnp.cos(jnp.arange(30.0)))
            moved = moved * spending.sum() / moved.sum()
            potential = scale_matrix(kernel ** (1 + size), spending, moved).potential
            return ((potential - potential[0]) * active * jnp.sin(jnp.arange(30.0))).sum()

        h = 1e-5
        finite = (value(h) - value(-h)) / (2 * h)
        assert float(jax.grad(value)(0.0)) == pytest.approx(float(finite), rel=1e-7)


class TestRefusal:
    def problems(self, change, **options):
        economy, _, data = made()
        options = {"housing_share": float(economy.consumption_share[1])} | options
        return "\n".join(sj.validate(change(data), **options))

    def set(self, name, at, value):
        return lambda data: changed(data, name, lambda values: np.put(values, flat(values, at), value))

    @pytest.mark.parametrize(
        ("name", "at", "value", "message"),
        [
            ("employment", (2, 1, 0), -1.0, r"employment must be zero or positive.*city 2, occupation 1, sector 0: -1"),
            ("employment", (2, 1, 0), np.nan, r"employment.*city 2, occupation 1, sector 0: nan"),
            ("wage", (3, 0), 0.0, r"wage must be positive.*city 3, occupation 0: 0"),
            ("wage", (3, 0), np.inf, r"wage must be positive.*city 3, occupation 0: inf"),
            ("housing_price", (1,), -2.0, r"housing_price.*city 1: -2"),
            ("value_added_share", (0,), 1.2, r"value_added_share must be above 0 and at most 1.*sector 0: 1.2"),
            ("input_share", (0, 2), 0.9, r"sector 2: value_added_share and input_share sum to"),
            ("uses_land", (0,), True, r"exactly one sector, but marks sector 0, sector 1"),
            ("distance_elasticity", (1,), 1.0, r"sector 1 uses land and cannot be traded"),
            ("iceberg_cost", (0, 1, 2), 0.0, r"iceberg_cost must be positive.*sector 0, city 1, city 2"),
            ("nontradable_price", (4, 3), 0.0, r"nontradable_price.*city 4, sector 3"),
        ],
    )
    def test_of_a_bad_value_names_it(self, name, at, value, message):
        import re

        assert re.search(message, self.problems(self.set(name, at, value)))

    def test_lists_everything_at_once(self):
        def change(data):
            for name, at, value in (
                ("wage", (0, 0), -1),
                ("housing_price", (2,), np.nan),
                ("employment", (1, 0, 2), -5),
            ):
                data = self.set(name, at, value)(data)
            return data

        text = self.problems(change)
        assert text.count("\n") == 2
        assert all(name in text for name in ("wage", "housing_price", "employment"))

    def test_lists_problems_of_every_kind_at_once(self):
        def change(data):
            data = self.set("wage", (0, 0), -1.0)(data).drop_vars("housing_price")
            return self.set("uses_land", (0,), True)(data)

        text = self.problems(change)
        assert text.count("\n") == 2
        assert all(part in text for part in ("wage must be positive", "housing_price", "exactly one sector"))

    def test_of_its_own_parameters(self):
        data = made()[2]
        for option, value in (("housing_share", 2.0), ("minimum_consumption_share", -1.0)):
            with pytest.raises(sj.errors.ModelError, match=f"{option} must be"):
                sj.validate(data, **{option: value})

    def test_of_a_city_that_can_sell_to_nobody(self):
        cut = self.set("iceberg_cost", (2, slice(None), 4), np.inf)
        assert "sector 2: city 4 produces it and can ship it nowhere" in self.problems(cut)

        def hermit(data):
            data = self.set("iceberg_cost", (2, 4, [0, 1, 2, 3, 5]), np.inf)(data)
            return self.set("iceberg_cost", (2, [0, 1, 2, 3, 5], 4), np.inf)(data)

        expected = "disconnected into 2 groups of cities, one of them with city 0, another with city 4"
        assert expected in self.problems(hermit)

    def test_of_trade_that_cannot_balance_names_the_city(self):
        economy, _, data = made()
        only_itself = self.set("iceberg_cost", (2, 4, [0, 1, 2, 3, 5]), np.inf)(data)
        with pytest.raises(sj.errors.ConvergenceError, match=r"sector 2: what city \d sells differs"):
            inverted(economy, only_itself)

    def test_of_missing_variables_and_dimensions_names_them(self):
        text = self.problems(lambda data: data.drop_vars(["wage", "uses_land", "iceberg_cost"]))
        assert "variable wage" in text
        assert "variable uses_land" in text
        assert "no geography" in text
        text = self.problems(lambda data: data.assign(wage=data["wage"].isel(occupation=0, drop=True)))
        assert "variable wage has dimensions (city); it must have (city, occupation)" in text

    def test_of_labels_that_repeat_or_disagree(self):
        names = [f"sector {j}" for j in (1, 0, 2, 3, 4)]
        assert "labels of input are not those of sector" in self.problems(lambda d: d.assign_coords(input=names))
        cities = ["city 0", *[f"city {n}" for n in range(5)]]
        assert "dimension city has repeated labels: city 0" in self.problems(lambda d: d.assign_coords(city=cities))

    def test_of_empty_cities_sectors_and_local_sectors(self):
        assert "no employment in city city 4" in self.problems(self.set("employment", (4,), 0.0))
        assert "no employment in sector sector 2" in self.problems(
            self.set("employment", (slice(None), slice(None), 2), 0.0)
        )
        assert "nobody works in it in city 4" in self.problems(self.set("employment", (4, slice(None), 3), 0.0))

    def test_of_disconnected_trade(self):
        def split(data):
            data = self.set("iceberg_cost", (0, slice(3), slice(3, None)), np.inf)(data)
            return self.set("iceberg_cost", (0, slice(3, None), slice(3)), np.inf)(data)

        assert "sector 0: trade is disconnected into 2 groups" in self.problems(split)
        assert "can ship to city 5" in self.problems(self.set("iceberg_cost", (0, 5), np.inf))

    def test_of_local_shares_out_of_range_names_cities(self):
        def crowded_shops(values):
            values[2, :, 3] *= 3
            values[2, :, [0, 2, 4]] *= 0.2

        def crowded_estates(values):
            values[3, :, 1] *= 50

        for edit, message in (
            (crowded_shops, "sector 3 in city 2: the wage bill is 1.493"),
            (crowded_estates, "sector 1 in city 3: land would receive"),
        ):
            assert message in self.problems(lambda data, edit=edit: changed(data, "employment", edit))

    def test_of_negative_final_demand_unless_mended(self):
        def hungry(data):
            """Everyone uses much more of what sector 0 makes."""
            mix = data["input_share"].values.copy()
            total = mix.sum(0)
            mix[0] += 2 * total
            return data.assign(input_share=data["input_share"].copy(data=mix / mix.sum(0) * total))

        assert "sector 0: other sectors buy more of it" in self.problems(hungry, minimum_consumption_share=None)
        economy, _, data = made()
        share = float(economy.consumption_share[1])
        accounts = sj.build_accounts(hungry(data), housing_share=share, minimum_consumption_share=0.001)
        assert [m.sector for m in accounts.mended] == ["sector 0"]
        mended = accounts.mended[0]
        assert mended.value_added_share < mended.value_added_share_in_data
        assert accounts.consumption_share[0] == pytest.approx(0.001)
        assert accounts.consumption_share.sum() == pytest.approx(1)
        assert accounts.consumption_share[1] == pytest.approx(share)

    def test_raises_with_all_problems(self):
        data = self.set("wage", (0, 0), -1.0)(made()[2])
        with pytest.raises(sj.errors.DataError, match="1 problem\n  - variable wage") as error:
            sj.invert(data)
        assert len(error.value.problems) == 1

    def test_of_a_trade_elasticity_of_the_wrong_shape(self):
        with pytest.raises(sj.errors.ModelError, match="one for each of 5 sectors"):
            sj.invert(made()[2], trade_elasticity=[1.0, 2.0], minimum_consumption_share=None, housing_share=0.2)
