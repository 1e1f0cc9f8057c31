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
from spatialjax.cities.equilibrium import EquilibriumStatus
from spatialjax.cities.homotopy import MAX_JUMP, SMALLEST_STEP, follow_path
from spatialjax.cities.input_links import NationalInputMix
from spatialjax.cities.objectives import GivenGains
from spatialjax.cities.variants import homogeneous_links, without_externalities, without_trade_costs

TIGHT = 1e-12
UNIT = 40.0
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
        assert gain.min() > 1e-3
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
        gradient = case.optimum.certificate.gradient
        np.testing.assert_allclose(gradient.sum((1, 2)) / np.abs(gradient).sum((1, 2)), 0, atol=1e-10)

    def test_is_no_worse_than_its_neighbours(self, case):
        """Of what leaves all gains equal to first order, nothing is better: a check without derivatives."""
        certificate, at = case.optimum.certificate, case.optimum.equilibrium
        rng = np.random.default_rng(0)
        for _ in range(3):
            change = 0.02 * np.asarray(at.income) * rng.standard_normal(at.income.shape)
            welfare = under(case.economy, np.asarray(case.optimum.transfer) + change).welfare
            assert certificate.weights @ (np.asarray(welfare) - np.asarray(at.welfare)) < 0

    def test_is_left_with_a_large_residual(self, case):
        """The certificate can fail: at other transfers, and at the equilibrium without policy."""
        rng = np.random.default_rng(1)
        noise = 0.01 * np.asarray(case.optimum.equilibrium.income) * rng.standard_normal(case.optimum.transfer.shape)
        perturbed = sj.certify(case.economy, under(case.economy, case.optimum.transfer + noise))
        nothing = sj.certify(case.economy, case.equilibrium)
        assert 1e-3 < perturbed.residual < nothing.residual
        assert nothing.residual > 0.02
        assert not perturbed.first_order
        assert not nothing.first_order


class TestCertificate:
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
