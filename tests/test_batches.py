import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import planner_economy, random_economy

import spatialjax as sj
from spatialjax.cities.batches import CityProblems, checked_starts
from spatialjax.cities.scenarios import Scenarios
from spatialjax.errors import ModelError, PrecisionError
from spatialjax.numerics import lane_pool
from spatialjax.numerics.dependence import depends
from spatialjax.numerics.many_roots import advance, empty_lanes, loaded

COUNT = 7
OUTCOMES = ("wage", "employment", "rent", "price", "expenditure", "price_index", "welfare", "consumption")


def drawn(shape, size, seed=0):
    return jnp.exp(size * jnp.asarray(np.random.default_rng(seed).standard_normal((COUNT, *shape))))


@pytest.fixture(scope="module")
def economy():
    return random_economy()


@pytest.fixture(scope="module")
def changes(economy):
    """Productivity, externalities and trade costs of seven scenarios."""
    return {
        "fundamental_productivity": economy.fundamental_productivity * drawn((5, 2, 4), 0.1),
        "spillover.size": economy.spillover.size * jnp.linspace(0.5, 1.2, COUNT)[:, None],
        "log_iceberg_cost": economy.log_iceberg_cost * jnp.linspace(0.8, 1.1, COUNT)[:, None, None, None],
    }


def absurd(changes):
    """The third scenario has externalities with which the search finds nothing."""
    return {**changes, "spillover.size": changes["spillover.size"].at[2].set(20.0)}


def changed(economy, changes, index):
    return Scenarios.of(economy, changes, sj.LaissezFaire()).one(index)[0]


def assert_same(batch, index, one, tolerance=1e-10):
    for name in OUTCOMES:
        np.testing.assert_allclose(
            np.asarray(getattr(batch, name)[index]), np.asarray(getattr(one, name)), rtol=tolerance, err_msg=name
        )


@pytest.fixture
def few_lanes(monkeypatch):
    """Fewer lanes than scenarios, so that lanes are loaded while others are at work."""
    monkeypatch.setattr(lane_pool, "LANES_ON_CPU", 3)


class TestEquilibria:
    def test_are_those_of_a_loop(self, economy, changes, few_lanes):
        batch = sj.solve_many(economy, changes)
        assert batch.converged.shape == (COUNT,)
        assert bool(batch.converged.all())
        for index in range(COUNT):
            assert_same(batch, index, sj.solve(changed(economy, changes, index)))
        assert all(float(size) < 1e-10 for block in batch.residuals.by_block().values() for size in block)

    def test_come_as_they_are_found(self, economy, changes, few_lanes):
        batch = sj.solve_many(economy, changes)
        found = dict(sj.solve_as_completed(economy, changes))
        assert sorted(found) == list(range(COUNT))
        for index, one in found.items():
            assert_same(batch, index, one, 1e-12)

    def test_of_a_tree_and_of_names_are_the_same(self, economy, changes):
        where = [lambda e: e.fundamental_productivity, lambda e: e.spillover.size, lambda e: e.log_iceberg_cost]
        tree = jax.tree.map(lambda _: None, economy)
        for leaf, value in zip(where, changes.values(), strict=True):
            tree = eqx.tree_at(leaf, tree, value, is_leaf=lambda x: x is None)
        assert eqx.tree_equal(sj.solve_many(economy, tree), sj.solve_many(economy, changes))

    def test_start_where_they_are_told_to(self, economy, changes):
        solved = sj.solve_many(economy, changes, tolerance=1e-11)
        again = sj.solve_many(economy, changes, initial=jax.vmap(lambda one: one.state())(solved))
        assert int(again.evaluations.max()) <= 2 < int(solved.evaluations.min())
        assert_same(again, 3, sj.take(solved, 3))

    def test_under_income_rules(self, economy):
        rates = jnp.linspace(0, 0.2, COUNT)
        batch = sj.solve_many(economy, {"income.rate": rates}, income=sj.FlatTax(0.0))
        assert_same(batch, 4, sj.solve(economy, income=sj.FlatTax(rates[4])))

    def test_that_lanes_give_up_are_found_alone(self, economy, changes, monkeypatch):
        import spatialjax.numerics.many_roots as many_roots

        wanted = sj.solve_many(economy, changes)
        monkeypatch.setattr(many_roots, "MAX_EVALUATIONS", 3)
        jax.clear_caches()
        found = sj.solve_many(economy, changes)
        jax.clear_caches()
        assert bool(found.converged.all())
        assert_same(found, 5, sj.take(wanted, 5))

    def test_of_a_scenario_without_one_are_said_and_the_others_found(self, economy, changes):
        batch = sj.solve_many(economy, absurd(changes), max_evaluations=60)
        assert batch.converged.tolist() == [index != 2 for index in range(COUNT)]
        reasons = sj.describe_failures(economy, batch)
        assert list(reasons) == [2]
        assert "evaluations allowed were used up" in reasons[2]
        assert_same(batch, 3, sj.solve(changed(economy, changes, 3)))

    def test_is_differentiable_in_changes(self, economy, changes):
        def outcome(equilibrium):
            return jnp.log(equilibrium.welfare).sum()

        derivative = jax.jit(jax.grad(lambda changes: outcome(sj.solve_many(economy, changes))))(changes)
        together = sj.gradient_many(economy, changes, outcome, parameters=tuple(changes))
        assert bool(together.converged.all())
        for name in changes:
            size = float(jnp.abs(derivative[name]).max())
            np.testing.assert_allclose(together.gradient[name], derivative[name], atol=1e-9 * size, err_msg=name)


class TestGradients:
    def test_are_finite_differences(self, economy, changes):
        def outcome(equilibrium):
            return jnp.log(equilibrium.wage[1, 0])

        found = sj.gradient_many(economy, changes, outcome, parameters=("trade_elasticity", "amenity"))
        step = 1e-4
        up, down = (
            sj.solve_many(economy, {**changes, "trade_elasticity": jnp.full(COUNT, 4.0 + sign * step)}, tolerance=1e-12)
            for sign in (1, -1)
        )
        differences = (jax.vmap(outcome)(up) - jax.vmap(outcome)(down)) / (2 * step)
        np.testing.assert_allclose(found.gradient["trade_elasticity"], differences, rtol=1e-6)
        assert found.gradient["amenity"].shape == (COUNT, 5, 2)
        np.testing.assert_allclose(found.value, jax.vmap(outcome)(found.equilibrium), rtol=1e-12)

    def test_are_missing_where_there_is_no_equilibrium(self, economy, changes):
        found = sj.gradient_many(economy, absurd(changes), lambda one: one.welfare[0], max_evaluations=60)
        assert found.converged.tolist() == [index != 2 for index in range(COUNT)]
        missing = jnp.isnan(found.gradient["fundamental_productivity"]).any((1, 2, 3))
        assert missing.tolist() == [index == 2 for index in range(COUNT)]


class TestOptima:
    def test_are_those_of_a_loop(self):
        economy = planner_economy()
        shape = economy.fundamental_productivity.shape
        changes = {"fundamental_productivity": economy.fundamental_productivity * drawn(shape, 0.05)[:2]}
        found = sj.optimum_many(economy, changes)
        assert found.found.all()
        for index in range(2):
            one = sj.optimum(changed(economy, changes, index))
            assert found.outcomes[index] == one.outcome
            assert found.certificates[index].residual < 1e-8
            np.testing.assert_allclose(found.gain[index], one.gain, atol=1e-11)
            np.testing.assert_allclose(
                found.transfer[index], one.transfer, atol=1e-9 * float(one.equilibrium.wage.max())
            )
            assert_same(found.equilibrium, index, one.equilibrium, 1e-9)
            assert_same(found.reference, index, one.reference, 1e-9)


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"amenities": jnp.ones((2, 5, 2))}, "no 'amenities'.*amenity"),
            ({"amenity": jnp.ones((5, 2))}, r"amenity has shape \(5, 2\), but must have \(scenario, 5, 2\)"),
            ({"amenity": jnp.ones((2, 5, 2)), "land": jnp.ones((3, 5))}, "land has 3 scenarios, but amenity has 2"),
            ({}, "nothing is changed"),
            ({"land": jnp.ones((0, 5))}, "there are no scenarios"),
            (3.0, "must be a dictionary"),
        ],
    )
    def test_of_changes(self, economy, changes, message):
        with pytest.raises(ModelError, match=message):
            sj.solve_many(economy, changes)

    def test_of_a_scenario_by_number(self, economy, changes):
        """Nobody produces a good that is not traded; a productivity is negative."""
        for value, message in ((0.0, "sector 3 of city 1, a sector that is not traded"), (-1.0, "zero or positive")):
            productivity = changes["fundamental_productivity"].at[2, 1, :, 3].set(value)
            with pytest.raises(ModelError, match=f"scenario 2: fundamental_productivity .*{message}"):
                sj.solve_many(economy, {"fundamental_productivity": productivity})

    def test_of_memory_for_less_than_one(self, economy, changes):
        with pytest.raises(ModelError, match="max_memory: one scenario needs .* GiB, found 1e-09"):
            sj.solve_many(economy, changes, max_memory=1e-9)

    def test_of_another_number_of_starts(self, economy, changes):
        starts = jax.tree.map(lambda x: jnp.broadcast_to(x, (2, *x.shape)), economy.reference)
        with pytest.raises(ModelError, match="initial has 2 starts, but changes have 7 scenarios"):
            sj.solve_many(economy, changes, initial=starts)

    def test_of_single_precision(self, economy):
        single = eqx.tree_at(lambda e: e.amenity, economy, economy.amenity.astype(jnp.float32))
        with pytest.raises(PrecisionError, match="amenity"):
            sj.solve_many(single, {"land": economy.land[None]})

    def test_of_parameters(self, economy, changes):
        with pytest.raises(ModelError, match="parameters: there is no 'theta'"):
            sj.gradient_many(economy, changes, lambda one: one.welfare[0], parameters=("theta",))


class TestLanes:
    def test_memory_bounds_their_number(self, economy, changes):
        scenarios = Scenarios.of(economy, changes, sj.LaissezFaire())
        problems = CityProblems.of(scenarios, checked_starts(scenarios, None, 1e-10))
        all_fit, one = lane_pool.lanes_that_fit(problems, None)
        assert all_fit == 8  # a power of two, for a program that other numbers of scenarios use too
        assert lane_pool.lanes_that_fit(problems, 2.5 * one)[0] == 2

    def test_share_what_no_scenario_changes(self, economy):
        """A lane of its own productivity has no kernel of trade of its own."""
        scenarios = Scenarios.of(economy, {"land": economy.land[None]}, sj.LaissezFaire())
        problems = CityProblems.of(scenarios, checked_starts(scenarios, None, 1e-10))
        assert problems.fixed.geography.kernel.matrix is not None
        assert problems.fixed.economy.land is None

    def test_that_have_finished_stand_still(self):
        """Lanes with targets of their own; the second has no root and gives up, the third has no work."""
        target = jnp.asarray([1.0, jnp.nan, 3.0])

        def residual(states):
            return jnp.tanh(target[:, None, None] - states)

        starts = jnp.zeros((3, 1, 1))
        lanes = loaded(empty_lanes(starts), jnp.asarray([True, True, False]), starts)
        limits = (jnp.asarray(1e-12), jnp.asarray(100))
        lanes = advance(lanes, residual, jnp.ones((1, 1, 1)), jnp.full((1, 1), 0.5), *limits)
        while bool(lanes.working.any()):
            lanes = advance(lanes, residual, jnp.ones((1, 1, 1)), jnp.full((1, 1), 0.5), *limits)
        assert lanes.converged.tolist() == [True, False, False]
        np.testing.assert_allclose(lanes.state[0], 1.0, atol=1e-11)
        assert float(lanes.state[2, 0, 0]) == 0.0
        assert int(lanes.evaluations[2]) == 0


def test_dependence_is_found_through_functions():
    other = jnp.arange(3.0)

    def function(x):
        return {"own": jnp.where(other > 1, x, 0.0), "other": jnp.exp(other), "name": "text", "both": [x + other]}

    assert depends(function, jnp.ones(3)) == {"own": True, "other": False, "name": False, "both": [True]}
