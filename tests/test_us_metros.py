"""The embedded 382-metro economy at full size: its figures, its derivatives, its robustness."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import LEAVES, along, central_difference, direction

import spatialjax as sj
from spatialjax.cities.outcomes import city_size, correlation, log_premium, occupation_share, weighted_mean

pytestmark = pytest.mark.full_size


def perturbed(state, size, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: x + size * jnp.asarray(rng.standard_normal(x.shape)), state)


def test_data_are_an_equilibrium(us_economy):
    residuals = sj.evaluate_at(us_economy, us_economy.reference)
    for name, value in residuals.by_block().items():
        assert float(value) < 1e-11, name


def test_solve_returns_the_data(us_economy, us_equilibrium, us_data):
    assert int(us_equilibrium.evaluations) == 1
    np.testing.assert_allclose(us_equilibrium.wage, us_data["wage"].values, rtol=1e-11)
    np.testing.assert_allclose(us_equilibrium.employment_by_sector, us_data["employment"].values, rtol=1e-10)
    np.testing.assert_allclose(us_equilibrium.price[:, 20], us_data["housing_price"].values, rtol=1e-11)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_found_again_from_perturbed_starts(us_economy, us_equilibrium, seed):
    found = sj.solve(us_economy, initial=perturbed(us_economy.reference, 0.2, seed), tolerance=1e-11)
    assert 5 < int(found.evaluations) < 100
    np.testing.assert_allclose(found.wage, us_equilibrium.wage, rtol=1e-9)
    np.testing.assert_allclose(found.employment, us_equilibrium.employment, rtol=1e-8)


def test_calibration_mends_four_sectors(us_data):
    accounts = sj.build_accounts(us_data)
    mended = {m.sector: round(m.value_added_share, 4) for m in accounts.mended}
    assert mended == {"wood": 0.2155, "chem": 0.1239, "metal": 0.2327, "elec": 0.3050}
    assert accounts.consumption_share.sum() == pytest.approx(1)
    with pytest.raises(sj.errors.DataError, match="3 problems") as error:
        sj.invert(us_data, minimum_consumption_share=None)
    assert all(name in str(error.value) for name in ("wood", "chem", "metal"))


class TestFigures:
    """Figures that two independent implementations find on these data."""

    def test_of_the_wedge(self, us_economy, us_equilibrium, us_data):
        wedge = sj.wedge(us_economy, us_equilibrium)
        ratio = sj.social_value_ratio(wedge, us_equilibrium)
        assert float(ratio[0]) == pytest.approx(1.8107, abs=5e-5)
        result = us_equilibrium.to_xarray(us_data)
        size, share = city_size(result), occupation_share(result).isel(occupation=0)
        difference = size.copy(data=np.asarray(wedge[:, 0] - wedge[:, 1]))
        assert weighted_mean(difference, size) == pytest.approx(52750, abs=5)
        assert correlation(difference, share) == pytest.approx(0.589, abs=5e-4)
        assert correlation(difference, np.log(size)) == pytest.approx(0.595, abs=5e-4)
        assert correlation(difference, share, size) == pytest.approx(0.706, abs=5e-4)
        assert correlation(difference, np.log(size), size) == pytest.approx(0.693, abs=5e-4)

    def test_of_the_data(self, us_equilibrium, us_data):
        result = us_equilibrium.to_xarray(us_data)
        log_size, share = np.log(city_size(result)), occupation_share(result).isel(occupation=0)
        assert correlation(log_size, share) == pytest.approx(0.447, abs=5e-4)
        assert correlation(log_size, log_premium(result)) == pytest.approx(0.463, abs=5e-4)
        assert correlation(share, log_premium(result)) == pytest.approx(0.436, abs=5e-4)

    def test_without_externalities(self, us_no_externalities, us_data):
        found = sj.solve(us_no_externalities)
        result = found.to_xarray(us_data)
        share = occupation_share(result).isel(occupation=0)
        assert correlation(share, log_premium(result)) == pytest.approx(-0.757, abs=5e-4)

    def test_of_stability(self, us_economy, us_equilibrium):
        report = sj.stability(us_economy, us_equilibrium)
        assert report.eigenvalues[0].real == pytest.approx(0.527, abs=5e-4)
        assert report.residuals[0] < 1e-5
        assert report.stable


@pytest.fixture(scope="module")
def welfare_and_gradient(us_economy):
    """A city's employment, a price and welfare at full size: value, and gradient in every leaf at once."""

    def outcome(economy):
        found = sj.solve(economy, tolerance=1e-12)
        return jnp.log(found.welfare[0]) + jnp.log(found.employment[100, 1]) + jnp.log(found.price[7, 3])

    gradient = eqx.filter_jit(eqx.filter_grad(outcome))(us_economy)
    return eqx.filter_jit(outcome), gradient


@pytest.mark.parametrize("name", LEAVES)
def test_gradient_is_the_finite_difference(us_economy, welfare_and_gradient, name):
    outcome, gradient = welfare_and_gradient
    leaf = LEAVES[name](us_economy)
    step = direction(name, leaf, size=0.1)
    implicit = along(LEAVES[name](gradient), step)
    finite = central_difference(
        lambda size: float(outcome(eqx.tree_at(LEAVES[name], us_economy, leaf + size * step))), 2e-3
    )
    assert implicit == pytest.approx(finite, rel=1e-6)
