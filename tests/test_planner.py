"""The planner: its certificate against finite differences, its rule by hand, its objectives, and where it refuses."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import planner_economy, random_economy
from leaves import central_difference

import spatialjax as sj
from spatialjax.cities.certificate import _directions, first_order_conditions
from spatialjax.cities.homotopy import MAX_JUMP, SMALLEST_STEP, follow_path
from spatialjax.cities.objectives import GivenGains
from spatialjax.cities.variants import homogeneous_links, without_externalities, without_trade_costs

TIGHT = 1e-12
UNIT = 1.4
"""Real consumption in which additive tastes are measured: about its mean."""


class Case(NamedTuple):
    economy: sj.Economy
    equilibrium: sj.Equilibrium
    optimum: sj.Optimum

    @property
    def reference(self):
        return sj.WelfareReference.of(self.economy, self.equilibrium)


def case_of(economy, **options):
    equilibrium = sj.solve(economy, tolerance=TIGHT)
    return Case(economy, equilibrium, sj.optimum(economy, equilibrium, tolerance=TIGHT, **options))


def additive(economy):
    return eqx.tree_at(lambda e: e.preferences, economy, sj.AdditiveAmenities(jnp.asarray(UNIT)))


def with_amenity_spillover(economy):
    elasticity = [[0.02, -0.03], [0.01, -0.02]]
    return eqx.tree_at(lambda e: e.amenity_spillover, economy, sj.OccupationAmenitySpillover(elasticity))


def by_industry():
    rng = np.random.default_rng(0)
    return sj.IndustrySpillover(rng.uniform(0.0, 0.4, (3, 4)), rng.uniform(0.0, 0.1, 4))


ECONOMIES = {
    "one occupation": lambda: random_economy(6, 4, 1, seed=1),
    "two": planner_economy,
    "three, spillovers by industry": lambda: random_economy(6, 4, 3, seed=2, spillover=by_industry()),
    "additive amenities": lambda: additive(planner_economy()),
    "amenity spillovers": lambda: with_amenity_spillover(planner_economy()),
}


@pytest.fixture(scope="module", params=ECONOMIES)
def case(request):
    return case_of(ECONOMIES[request.param]())


@pytest.fixture(scope="module")
def two():
    return case_of(planner_economy())


def spending(equilibrium):
    return np.asarray((equilibrium.income * equilibrium.employment).sum(0))


def price(equilibrium):
    index = np.asarray(equilibrium.price_index)
    return index[:, None] if index.ndim == 1 else index


def under(economy, transfer):
    return sj.solve(economy, income=sj.Transfers(jnp.asarray(transfer)), tolerance=TIGHT)


class TestOptimum:
    def test_satisfies_the_first_order_conditions(self, case):
        certificate = case.optimum.certificate
        assert certificate.residual < 1e-10
        assert certificate.first_order
        assert (certificate.curvature < 0).all()
        assert certificate.curvature.size == 4
        assert case.optimum.found
        if len(certificate.weights) > 1:
            assert certificate.cosine == pytest.approx(-1, abs=1e-14)

    def test_gains_are_equal_and_positive(self, case):
        gain = np.asarray(case.optimum.gain)
        np.testing.assert_allclose(gain, gain[0], atol=1e-9)
        assert gain.min() > 1e-4
        before, after = np.asarray(case.equilibrium.welfare), np.asarray(case.optimum.equilibrium.welfare)
        mean = (case.equilibrium.consumption * case.equilibrium.employment).sum(0) / case.economy.population
        unit = mean if isinstance(case.economy.preferences, sj.AdditiveAmenities) else before
        np.testing.assert_allclose(gain, (after - before) / unit, rtol=1e-9)

    def test_net_transfers_average_to_zero(self, case):
        transfer, at = np.asarray(case.optimum.transfer), case.optimum.equilibrium
        np.testing.assert_allclose(transfer, at.income - at.wage - sj.land_dividend(at), rtol=1e-12)
        total = (np.abs(transfer) * at.employment).sum()
        assert total > 0.01 * spending(at).sum()
        assert abs((transfer * at.employment).sum()) < 1e-12 * total

    def test_pays_by_the_rule(self, case):
        """CH Proposition 1, T = R + nu / (1 + nu) Delta - w / (1 + nu); eq. 11, T = R + Delta - P unit / nu."""
        economy, at = case.economy, case.optimum.equilibrium
        nu, wedge = float(economy.location_elasticity), np.asarray(sj.wedge(economy, at))
        np.testing.assert_allclose(case.optimum.wedge, wedge, rtol=1e-12)
        if isinstance(economy.preferences, sj.AdditiveAmenities):
            by_place = wedge - price(at) * UNIT / nu
        else:
            by_place = nu / (1 + nu) * wedge - np.asarray(at.wage) / (1 + nu)
        base = np.asarray(case.optimum.transfer) - by_place
        np.testing.assert_allclose(base, np.broadcast_to(case.optimum.base_transfer, base.shape), rtol=1e-8)

    def test_weights_are_the_price_of_welfare(self, case):
        """sum_n P C L / v, or sum_n P L with additive amenities: dollars that a unit of welfare costs."""
        at = case.optimum.equilibrium
        if isinstance(case.economy.preferences, sj.AdditiveAmenities):
            expected = (price(at) * np.asarray(at.employment)).sum(0)
        else:
            expected = spending(at) / np.asarray(at.welfare)
        np.testing.assert_allclose(case.optimum.certificate.weights, expected / expected.sum(), rtol=1e-8)

    def test_equal_transfers_to_all_have_no_effect(self, case):
        at = case.optimum.equilibrium
        one_percent = 0.01 * spending(at).sum() / float(at.employment.sum())
        effect = case.optimum.certificate.gradient.sum((1, 2)) * one_percent
        np.testing.assert_allclose(effect / np.asarray(at.welfare), 0, atol=1e-12)

    def test_is_no_worse_than_its_neighbours(self, case):
        """Of what leaves all gains equal to first order, nothing is better: a check without derivatives."""
        certificate, at = case.optimum.certificate, case.optimum.equilibrium
        rng = np.random.default_rng(0)
        for _ in range(3):
            change = 0.02 * np.asarray(at.income) * rng.standard_normal(at.income.shape)
            welfare = under(case.economy, np.asarray(case.optimum.transfer) + change).welfare
            assert certificate.weights @ (np.asarray(welfare) - np.asarray(at.welfare)) < 0


class TestCertificate:
    def test_fails_at_other_transfers(self, case):
        rng = np.random.default_rng(1)
        noise = 0.01 * np.asarray(case.optimum.equilibrium.income) * rng.standard_normal(case.optimum.transfer.shape)
        perturbed = sj.certify(case.economy, under(case.economy, case.optimum.transfer + noise))
        assert perturbed.residual > 1e-3
        assert not perturbed.first_order

    def test_fails_next_to_no_policy(self, two):
        cents = 0.01 * np.random.default_rng(3).standard_normal(two.optimum.transfer.shape)
        nothing = sj.certify(two.economy, under(two.economy, cents))
        assert nothing.residual > 0.02
        assert not nothing.first_order

    def test_gradient_is_the_finite_difference(self, case):
        transfer = np.asarray(case.optimum.transfer)
        step = np.random.default_rng(2).standard_normal(transfer.shape)
        expected = (case.optimum.certificate.gradient * step).sum((1, 2))
        for k, derivative in enumerate(expected):
            finite = central_difference(lambda h: float(under(case.economy, transfer + h * step).welfare[k]), 0.5)  # noqa: B023
            assert derivative == pytest.approx(finite, rel=1e-6)

    def test_curvature_is_the_finite_difference(self, case):
        certificate, transfer = case.optimum.certificate, np.asarray(case.optimum.transfer)
        flat = certificate.gradient.reshape(len(certificate.weights), -1)
        directions = _directions(case.optimum.equilibrium, transfer, flat)
        assert len(directions) == len(certificate.curvature)
        for direction, curvature in zip(directions, certificate.curvature, strict=True):

            def value(h):
                return float(np.log(certificate.weights @ under(case.economy, transfer + h * direction).welfare))  # noqa: B023

            near, far = (value(h) + value(-h) - 2 * value(0) for h in (0.5, 1.0))
            assert curvature == pytest.approx((16 * near - far) / 3, rel=1e-4)


class TestPolicy:
    """The optimal policy as an income rule: parts of it."""

    def test_of_strength_zero_is_laissez_faire(self, two):
        policy = sj.OptimalPolicy(two.reference, strength=0.0)
        found = sj.solve(two.economy, income=policy, initial=two.optimum.equilibrium, tolerance=TIGHT)
        assert int(found.evaluations) > 5
        np.testing.assert_allclose(found.income, two.equilibrium.income, rtol=1e-9)
        np.testing.assert_allclose(found.employment, two.equilibrium.employment, rtol=1e-9)

    def test_of_half_strength_has_half_the_tax_and_half_the_wedge(self, two):
        found = sj.solve(two.economy, income=sj.OptimalPolicy(two.reference, strength=0.5), tolerance=TIGHT)
        half_wedge, half_tax = np.asarray(sj.wedge(two.economy, found)) / 2, 0.5 / 3  # nu is 2
        w = np.asarray(found.wage)
        base = np.asarray(sj.net_transfer(found)) - half_wedge + half_tax * (w + half_wedge)
        np.testing.assert_allclose(base, np.broadcast_to(base[0], base.shape), rtol=1e-8)
        gain = np.asarray(two.reference.gain(found.welfare))
        assert gain[0] == pytest.approx(gain[1], abs=1e-9)
        assert 0 < gain[0] < float(two.optimum.gain[0])

    def test_without_location_tax_is_no_optimum(self, two):
        found = sj.solve(two.economy, income=sj.OptimalPolicy(two.reference, location_tax=0.0), tolerance=TIGHT)
        base = np.asarray(sj.net_transfer(found)) - np.asarray(sj.wedge(two.economy, found))
        np.testing.assert_allclose(base, np.broadcast_to(base[0], base.shape), rtol=1e-8)
        assert sj.certify(two.economy, found).residual > 1e-2
        assert float(two.reference.gain(found.welfare)[0]) < float(two.optimum.gain[0])


def on_frontier(case, difference, start=None):
    """The planner's allocation at which the second occupation gains this much more than the first."""
    policy = sj.OptimalPolicy(case.reference, GivenGains(jnp.asarray([0.0, difference])))
    start = case.optimum.equilibrium if start is None else start
    return sj.solve(case.economy, income=policy, initial=start, tolerance=TIGHT)


def optimum_for(case, objective, **options):
    return sj.optimum(case.economy, case.equilibrium, objective=objective, tolerance=TIGHT, **options)


CONCAVE = {"baskets": [[0.05, 0.85, 0.05, 0.05], [0.85, 0.05, 0.05, 0.05]], "seed": 1}
"""Occupations that consume different goods: the more one has of its own, the dearer they are."""


@pytest.fixture(scope="module")
def concave():
    """No externalities, a concave frontier, and amenities at which its slope is near that of the sum of welfare."""
    economy = planner_economy(**CONCAVE, spillover=sj.OccupationSpillover((0.0, 0.0), (0.0, 0.0)))
    first = case_of(economy)
    per_worker = spending(first.optimum.equilibrium) / np.asarray(economy.population)
    scale = jnp.asarray(per_worker) / first.optimum.equilibrium.welfare * jnp.asarray([1.002, 1.0])
    return case_of(eqx.tree_at(lambda e: e.amenity, economy, economy.amenity * scale))


class TestObjective:
    def test_of_weights_that_equal_gains_imply_is_equal_gains(self, two):
        weights = spending(two.optimum.equilibrium) / np.asarray(two.economy.population)
        found = optimum_for(two, sj.ParetoWeights(weights))
        np.testing.assert_allclose(found.equilibrium.income, two.optimum.equilibrium.income, rtol=1e-8)
        np.testing.assert_allclose(found.gain, two.optimum.gain, atol=1e-9)

    def test_of_logarithms_shares_spending_by_weights(self, two):
        weights = np.array([1.0, 1.2])
        found = optimum_for(two, sj.ParetoWeights(weights))
        expected = weights * np.asarray(two.economy.population)
        np.testing.assert_allclose(
            spending(found.equilibrium) / expected,
            np.full(2, spending(found.equilibrium).sum() / expected.sum()),
            rtol=1e-9,
        )
        assert found.found
        assert abs(float(found.gain[0] - found.gain[1])) > 0.01

    def test_by_name_weighs_every_worker_alike(self, two):
        found = optimum_for(two, "pareto-weights")
        share = spending(found.equilibrium) / np.asarray(two.economy.population)
        assert share[0] == pytest.approx(share[1], rel=1e-9)

    @pytest.mark.parametrize("aversion", [0.5, 3.0])
    def test_of_inequality_aversion_satisfies_its_first_order_condition(self, two, aversion):
        """The planner's values of welfare are phi L U'(v)."""
        weights = np.array([1.0, 1.1])
        found = optimum_for(two, sj.ParetoWeights(weights, aversion))
        marginal = weights * np.asarray(two.economy.population) * np.asarray(found.equilibrium.welfare) ** -aversion
        np.testing.assert_allclose(found.certificate.weights, marginal / marginal.sum(), rtol=1e-8)
        assert found.certificate.residual < 1e-10
        assert found.found

    def test_of_max_min_equalises_welfare(self, two):
        found = optimum_for(two, "max-min")
        welfare = np.asarray(found.equilibrium.welfare)
        assert welfare[0] == pytest.approx(welfare[1], rel=1e-9)
        assert found.certificate.residual < 1e-10
        before = np.asarray(two.equilibrium.welfare)
        assert before.min() < welfare[0] < before.max()

    def test_of_max_min_is_found_far_from_the_equilibrium(self, concave):
        """Where welfare differs sixfold to begin with, the frontier still has a point with equal welfare."""
        apart = jnp.asarray([1.0, 6.0])
        case = case_of(eqx.tree_at(lambda e: e.amenity, concave.economy, concave.economy.amenity * apart))
        point, difference = case.optimum.equilibrium, 0.0
        while float(point.welfare[1]) > float(point.welfare[0]):
            difference -= 0.1
            point = on_frontier(case, difference, point)
        assert sj.certify(case.economy, point).residual < 1e-9
        found = optimum_for(case, "max-min", throw=False)
        assert found.found, found.outcome
        assert float(found.equilibrium.welfare[0]) == pytest.approx(float(found.equilibrium.welfare[1]), rel=1e-9)

    def test_of_the_sum_of_welfare_is_refused_where_the_frontier_is_convex(self, two):
        with pytest.raises(
            sj.errors.ConvergenceError, match="minimum where it is stationary.*frontier is convex.*equal"
        ):
            optimum_for(two, "utilitarian")
        refused = optimum_for(two, "utilitarian", throw=False)
        assert not refused.found
        # And so it is: the middle between two points of the frontier lies above it.
        low, middle, high = (np.asarray(on_frontier(two, d).welfare) for d in (-0.02, 0.0, 0.02))
        normal = two.optimum.certificate.weights
        second = normal @ (low + high - 2 * middle) / 0.02**2 / (normal @ middle)
        assert second > 0
        curvature = sj.frontier_curvature(two.economy, two.optimum, sj.ParetoWeights((1.0, 1.0), 0.0), tolerance=TIGHT)
        assert curvature == pytest.approx(second, rel=1e-3)

    def test_of_the_sum_of_welfare_is_found_where_the_frontier_is_concave(self, concave):
        found = optimum_for(concave, "utilitarian")
        assert found.found
        population = np.asarray(concave.economy.population)
        np.testing.assert_allclose(found.certificate.weights, population / population.sum(), rtol=1e-8)
        gain = np.asarray(found.gain)
        assert abs(gain[0] - gain[1]) > 1e-3
        best = population @ np.asarray(found.equilibrium.welfare)
        for change in (-0.02, 0.02):
            assert population @ np.asarray(on_frontier(concave, gain[1] - gain[0] + change).welfare) < best

    def test_of_given_gains_differs_by_what_is_given(self, two):
        gain = np.asarray(two.reference.gain(on_frontier(two, 0.03).welfare))
        assert gain[1] - gain[0] == pytest.approx(0.03, abs=1e-10)
        assert gain[0] < float(two.optimum.gain[0]) < gain[1]


class TestRefusals:
    def test_of_an_unknown_objective(self, two):
        with pytest.raises(
            sj.errors.ModelError, match="'equal-gains', 'pareto-weights', 'utilitarian', 'max-min'.*'fair'"
        ):
            optimum_for(two, "fair")

    def test_of_a_wrong_number_of_weights(self, two):
        with pytest.raises(sj.errors.ModelError, match="3 Pareto weights for 2 occupations"):
            optimum_for(two, sj.ParetoWeights((1.0, 1.0, 1.0)))

    def test_of_tracing_says_what_to_do(self, two):
        with pytest.raises(sj.errors.ModelError, match=r"cannot be traced.*solve\(economy, income=.*OptimalPolicy"):
            eqx.filter_jit(lambda e: sj.optimum(e).gain)(two.economy)

    def test_of_an_equilibrium_that_is_none(self, two):
        none = sj.solve(two.economy, max_evaluations=3, throw=False)
        with pytest.raises(sj.errors.ModelError, match="this is none: the evaluations allowed were used up"):
            sj.optimum(two.economy, none)

    def test_of_too_few_evaluations(self, two):
        with pytest.raises(sj.errors.ConvergenceError, match="no optimum: "):
            optimum_for(two, "equal-gains", max_evaluations=2)


def test_gains_are_differentiable(two):
    """The gain's gradient in a spillover and in the elasticity of location: finite differences, and vmap = loop."""

    def log_gain(at):
        economy = eqx.tree_at(lambda e: (e.spillover.share, e.location_elasticity), two.economy, (at[:2], at[2]))
        equilibrium = sj.solve(economy, tolerance=1e-13)
        policy = sj.OptimalPolicy(sj.WelfareReference.of(economy, equilibrium))
        best = sj.solve(economy, income=policy, initial=equilibrium, tolerance=1e-13)
        return jnp.log(best.welfare[0] / equilibrium.welfare[0])

    points = jnp.asarray([[0.3, 0.2, 2.0], [0.25, 0.3, 2.5]])
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(log_gain)))(points)
    for point, value, gradient in zip(points, values, gradients, strict=True):
        assert float(value) == pytest.approx(float(log_gain(point)), rel=1e-9)
        for i in (0, 2):
            one = jnp.zeros(3).at[i].set(1.0)
            finite = central_difference(lambda h: float(log_gain(point + h * one)), 1e-3)  # noqa: B023
            assert float(gradient[i]) == pytest.approx(finite, rel=1e-6)


class TestFirstOrderConditions:
    def test_of_two_opposed_gradients(self):
        one = np.random.default_rng(0).standard_normal(7)
        residual, weights, cosine = first_order_conditions(np.stack([one, -2 * one]))
        assert residual == 0
        np.testing.assert_allclose(weights, [2 / 3, 1 / 3], rtol=1e-15)
        assert cosine == pytest.approx(-1, abs=1e-15)

    def test_of_two_gradients_at_an_angle(self):
        residual, weights, cosine = first_order_conditions(np.array([[3.0, 0.0], [-0.8, 0.6]]))
        assert residual == pytest.approx(np.hypot(0.1, 0.3))  # half of the sum of unit vectors
        np.testing.assert_allclose(weights, [0.25, 0.75])
        assert cosine == pytest.approx(-0.8)

    def test_of_two_gradients_alike_is_far_from_zero(self):
        residual, _, cosine = first_order_conditions(np.array([[1.0, 2.0], [2.0, 4.0]]))
        assert residual == pytest.approx(1)
        assert cosine == pytest.approx(1)

    @pytest.mark.parametrize("occupations", [3, 5])
    def test_of_gradients_that_add_up_to_nothing(self, occupations):
        rng = np.random.default_rng(occupations)
        weights = rng.dirichlet(np.ones(occupations))
        gradient = rng.standard_normal((occupations, 40)) * 10.0 ** rng.uniform(-3, 3, (occupations, 1))
        gradient[-1] = -weights[:-1] @ gradient[:-1] / weights[-1]
        residual, found, cosine = first_order_conditions(gradient)
        assert residual < 1e-13
        np.testing.assert_allclose(found, weights, rtol=1e-8)
        assert cosine == pytest.approx(-1, abs=1e-12)

    def test_of_gradients_that_no_positive_weights_balance(self):
        residual, weights, cosine = first_order_conditions(np.diag([1.0, 2.0, 4.0]))
        assert residual == pytest.approx(1 / np.sqrt(3))
        np.testing.assert_allclose(weights, np.array([4, 2, 1]) / 7)
        assert cosine == pytest.approx(0, abs=1e-12)

    def test_where_one_occupation_can_still_gain_at_no_cost_give_it_no_weight(self):
        gradient = np.array([[3.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
        residual, weights, _ = first_order_conditions(gradient)
        assert residual == pytest.approx(0, abs=1e-15)
        np.testing.assert_allclose(weights, [0.25, 0.75, 0], atol=1e-15)

    def test_of_a_zero_gradient_is_unknown(self):
        gradient = np.array([[1.0, 0.0], [0.0, 0.0]])
        certificate = sj.Certificate(*first_order_conditions(gradient), np.array([-1.0]), gradient)
        assert np.isnan(certificate.residual)
        assert not certificate.first_order

    def test_of_one_occupation_is_relative_to_direct_effects(self):
        residual, weights, cosine = first_order_conditions(np.array([[3.0, 4.0]]), np.array([0.0, 50.0]))
        assert residual == pytest.approx(0.1)
        assert weights.tolist() == [1.0]
        assert np.isnan(cosine)


class TestVariants:
    def test_with_homogeneous_links_are_footnote_32(self):
        """Value-added shares alike, housing's share in cost alike, the rest spread evenly; housing itself unchanged."""
        economy = random_economy(5, 4, 2, seed=6)
        found = sj.solve(economy)
        land, others = 1, [0, 2, 3]
        own = np.asarray(economy.input_links.mix)
        variant = homogeneous_links(economy, found)
        share, mix = np.asarray(variant.value_added_share), np.asarray(variant.input_links.mix)
        cost = mix * (1 - share)[:, None, :]  # (city, input, sector)
        np.testing.assert_allclose(share + cost.sum(1), 1.0, rtol=1e-13)
        for n in range(5):
            value_added = np.asarray(economy.value_added_share * found.gross_output)[n, others]
            weight = value_added / value_added.sum()
            before = np.asarray(economy.value_added_share)[n, others]
            mean = weight @ before
            housing = weight @ ((1 - before) * own[land, others])
            np.testing.assert_allclose(share[n, others], mean, rtol=1e-13)
            np.testing.assert_allclose(cost[n, land, others], housing, rtol=1e-12)
            np.testing.assert_allclose(cost[n][np.ix_(others, others)], (1 - mean - housing) / 3, rtol=1e-12)
        np.testing.assert_array_equal(share[:, land], economy.value_added_share[:, land])
        np.testing.assert_allclose(mix[:, :, land], np.broadcast_to(own[:, land], (5, 4)), rtol=1e-13)
        for name in ("fundamental_productivity", "consumption_share", "amenity", "land", "land_share"):
            np.testing.assert_array_equal(getattr(variant, name), getattr(economy, name))

    def test_with_homogeneous_links_need_inputs_besides_housing(self):
        economy = random_economy(5, 4, 2, seed=6)
        all_housing = eqx.tree_at(lambda e: e.input_links.mix, economy, jnp.zeros((4, 4)).at[1].set(1.0))
        with pytest.raises(sj.errors.ModelError, match="links cannot be made alike"):
            homogeneous_links(all_housing, sj.solve(economy))

    def test_without_trade_costs_trade_all_but_housing_freely(self):
        economy = random_economy(5, 4, 2, seed=6)
        variant = without_trade_costs(economy)
        assert variant.traded == (0, 2, 3)
        cost = np.asarray(variant.log_iceberg_cost)
        assert (cost[[0, 2, 3]] == 0).all()
        np.testing.assert_array_equal(cost[1], economy.log_iceberg_cost[1])

    def test_without_externalities_have_no_spillover(self):
        variant = without_externalities(random_economy(5, 4, 2, seed=6))
        assert isinstance(variant.spillover, sj.NoSpillover)

    def test_with_homogeneous_links_have_an_optimum(self, two):
        variant = homogeneous_links(two.economy, two.equilibrium)
        case = case_of(variant)
        assert case.optimum.certificate.residual < 1e-10
        assert case.optimum.found
        assert float(jnp.abs(case.equilibrium.wage / two.equilibrium.wage - 1).max()) > 1e-3

    def test_without_trade_costs_have_an_optimum_and_one_price(self, two):
        case = case_of(without_trade_costs(two.economy))
        assert case.optimum.certificate.residual < 1e-10
        assert case.optimum.found
        for found in (case.equilibrium, case.optimum.equilibrium):
            price = np.asarray(found.price)
            np.testing.assert_allclose(price[:, [0, 2, 3]], np.broadcast_to(price[0, [0, 2, 3]], (6, 3)), rtol=1e-10)
            assert price[:, 1].max() > 1.01 * price[:, 1].min()

    def test_without_externalities_have_the_optimum_of_zero_elasticities(self, concave):
        """T = R - w / (1 + nu): the tax on place alone."""
        optimum, variant = concave.optimum, without_externalities(concave.economy)
        assert optimum.certificate.residual < 1e-10
        assert (np.asarray(optimum.wedge) == 0).all()
        base = np.asarray(optimum.transfer) + np.asarray(optimum.equilibrium.wage) / 3
        np.testing.assert_allclose(base, np.broadcast_to(optimum.base_transfer, base.shape), rtol=1e-9)
        residuals = sj.evaluate_at(variant, optimum.equilibrium.state(), optimum.policy)
        assert float(residuals.largest()) < 1e-10


class Place(NamedTuple):
    log_employment: np.ndarray


class Found(NamedTuple):
    """What following a path asks of an equilibrium."""

    log_employment: np.ndarray
    converged: bool = True
    evaluations: int = 3

    def state(self):
        return Place(self.log_employment)


class Branch:
    """Equilibria log_employment = of(position), up to a fold; keeps what it was asked."""

    def __init__(self, of, fold=1.0):
        self.of, self.fold, self.asked = of, fold, []

    def at(self, position, converged=True):
        return Found(np.asarray([[self.of(position)], [0.0]]), converged)

    def __call__(self, position, start):
        self.asked.append((position, float(start.log_employment[0, 0])))
        return self.at(min(position, self.fold), position <= self.fold)


class TestPath:
    def test_is_complete_where_there_is_no_fold(self):
        branch = Branch(lambda t: 0.3 * t)
        path = follow_path(branch, branch.at(0.0))
        assert path.complete
        assert path.reached == 1.0
        assert path.equilibrium.log_employment[0, 0] == pytest.approx(0.3)
        assert path.steps == len(branch.asked)
        assert path.evaluations == 3 * path.steps

    def test_starts_from_an_extrapolation(self):
        branch = Branch(lambda t: 0.3 * t)
        follow_path(branch, branch.at(0.0))
        (first, start), *rest = branch.asked
        assert (first, start) == (0.25, 0.0)
        assert rest
        for position, start in rest:
            assert start == pytest.approx(0.3 * position)

    @pytest.mark.parametrize("fold", [0.613, 0.04])
    def test_ends_at_a_fold(self, fold):
        branch = Branch(lambda t: -np.sqrt(fold - t), fold)
        path = follow_path(branch, branch.at(0.0))
        assert not path.complete
        assert fold - 2 * SMALLEST_STEP < path.reached <= fold
        assert path.equilibrium.log_employment[0, 0] == pytest.approx(-np.sqrt(fold - path.reached))
        assert path.equilibrium.converged

    def test_ends_where_another_equilibrium_takes_over(self):
        """A solve beyond the fold may land on another branch: that is not the path."""
        branch = Branch(lambda t: 0.1 * t + (2 * MAX_JUMP if t > 0.4 else 0.0))
        path = follow_path(branch, branch.at(0.0))
        assert 0.4 - 2 * SMALLEST_STEP < path.reached <= 0.4
        assert path.equilibrium.log_employment[0, 0] == pytest.approx(0.1 * path.reached)

    def test_may_be_steep(self):
        branch = Branch(lambda t: 20 * MAX_JUMP * t**2)
        path = follow_path(branch, branch.at(0.0))
        assert path.complete
        taken = [t for t, _ in branch.asked]
        assert path.steps > 20
        assert max(taken) == 1.0

    def test_few_steps_are_made_in_vain(self):
        """The next step is one whose move is within the limit, by the move of the last: ten limits take 13 steps."""
        branch = Branch(lambda t: 10 * MAX_JUMP * t)
        path = follow_path(branch, branch.at(0.0))
        assert path.complete
        assert path.steps == 1 + 13  # the first is too long

    def test_that_fails_at_once_goes_nowhere(self):
        branch = Branch(lambda t: t, fold=-1.0)
        start = Branch(lambda t: t).at(0.0)
        path = follow_path(branch, start)
        assert path.reached == 0
        assert path.equilibrium is start
        assert min(t for t, _ in branch.asked) < 2 * SMALLEST_STEP
