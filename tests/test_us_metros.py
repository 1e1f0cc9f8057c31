"""The embedded 382-metro economy at full size: its figures, its derivatives, its robustness."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import LEAVES, along, central_difference, direction

import spatialjax as sj
from spatialjax.cities.history_1980 import residents_1990
from spatialjax.cities.history_table import welfare_table
from spatialjax.cities.homotopy import follow_path
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


def share_in(found, economy, city, occupation):
    """Percent of a city's workers who are of an occupation."""
    (n,) = (i for i, name in enumerate(economy.labels.city) if name.startswith(city))
    return 100 * float(found.employment[n, occupation] / found.employment[n].sum())


class TestOptimum:
    """The planner's figures that two independent implementations find on these data."""

    def test_is_certified(self, us_optimum):
        assert us_optimum.found
        assert us_optimum.path is None
        assert us_optimum.certificate.residual < 1e-8
        assert us_optimum.certificate.cosine == pytest.approx(-1, abs=1e-12)

    def test_gain(self, us_optimum):
        np.testing.assert_allclose(100 * us_optimum.gain, 0.5918, atol=5e-5)
        np.testing.assert_allclose(100 * np.log1p(us_optimum.gain), 0.5900, atol=5e-5)
        assert float(us_optimum.gain[0] - us_optimum.gain[1]) == pytest.approx(0, abs=1e-8)

    @pytest.mark.parametrize(
        ("city", "occupation", "before", "after"), [("San Jose", 0, 43.81, 92.31), ("Harrisonburg", 1, 71.03, 80.40)]
    )
    def test_hubs(self, us_economy, us_equilibrium, us_optimum, city, occupation, before, after):
        assert share_in(us_equilibrium, us_economy, city, occupation) == pytest.approx(before, abs=5e-3)
        assert share_in(us_optimum.equilibrium, us_economy, city, occupation) == pytest.approx(after, abs=5e-3)

    def test_transfers(self, us_optimum):
        employment = np.asarray(us_optimum.equilibrium.employment)
        mean = (np.asarray(us_optimum.transfer) * employment).sum(0) / employment.sum(0)
        np.testing.assert_allclose(mean, [-3346, 1678], atol=0.5)
        np.testing.assert_allclose(us_optimum.base_transfer, [-14268, 13118], atol=0.5)

    def test_gain_with_additive_amenities(self, us_data):
        found = sj.optimum(sj.invert(us_data, amenities="additive"))
        assert found.found
        assert found.certificate.residual < 1e-8
        np.testing.assert_allclose(100 * found.gain, 2.3472, atol=5e-5)

    def test_gain_with_spillovers_by_industry(self, us_data):
        found = sj.optimum(sj.invert(us_data, spillover=sj.IndustrySpillover.from_groups(us_data)))
        assert found.found
        assert found.certificate.residual < 1e-8
        np.testing.assert_allclose(100 * found.gain, 0.2566, atol=5e-5)


def test_path_without_location_tax_folds(us_economy, us_equilibrium):
    """Without its tax on place the planner's rule leads nowhere that is connected with the equilibrium (CH 5.1)."""
    policy = sj.OptimalPolicy(sj.WelfareReference.of(us_economy, us_equilibrium), location_tax=0.0)

    def part(strength, start):
        income = eqx.tree_at(lambda p: p.strength, policy, jnp.asarray(strength))
        return sj.solve(us_economy, income=income, initial=start, tolerance=1e-10, max_evaluations=500, throw=False)

    path = follow_path(part, us_equilibrium, smallest_step=0.01)
    assert not path.complete
    assert 0.97 < path.reached < 0.995
    assert path.equilibrium.converged
    gain = 100 * np.asarray(policy.reference.gain(path.equilibrium.welfare))
    assert gain[0] == pytest.approx(gain[1], abs=1e-6)
    assert -1.95 < gain[0] < -1.6


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


def test_history_gives_the_rows_of_the_documentation(us_data, us_economy, us_equilibrium):
    """CH Table 3 on the stylised 1980, rows 1 to 8 of docs/history.md: CNR and non-CNR welfare over the Baseline."""
    earlier = sj.stylised_1980(us_data, city_size=residents_1990(us_data))
    baseline = sj.in_units_of(sj.invert(earlier), us_economy)
    steps = sj.historical_steps(baseline, us_economy, us_equilibrium)
    found = sj.decompose(baseline, us_economy, steps, order_free=False)
    table = welfare_table(found, baseline_stage="skill-biased technology", optima=False)
    documented = [
        (0.540, 0.732),
        (0.618, 0.715),
        (0.933, 1.081),
        (1.0, 1.0),
        (1.031, 1.052),
        (1.037, 1.060),
        (1.021, 1.045),
        (1.016, 1.036),
    ]
    np.testing.assert_allclose(table.relative, documented, atol=6e-4)
    assert table.baseline_ratio == pytest.approx(1.97, abs=6e-3)
