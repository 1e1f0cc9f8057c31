"""Stability of equilibria, and the search for several of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import one_sector_economy, random_economy

import spatialjax as sj
from spatialjax.cities.location import FixedEmployment
from spatialjax.cities.preferences import log_attraction, log_location_share
from spatialjax.numerics.arnoldi import arnoldi, eigenvalues


class Agglomeration(eqx.Module):
    """Productivity rises with city size."""

    strength: jax.Array

    def __call__(self, employment):
        return (self.strength * jnp.log(employment))[:, :, None]


def twins(strength):
    """Two like cities."""
    costs = np.array([[0.0, 0.2], [0.2, 0.0]])
    return one_sector_economy(np.ones(2), costs, theta=5.0, spillover=Agglomeration(jnp.asarray(strength)))


def reduced_derivative(economy, found):
    """The derivative of the reduced map by finite differences of solves with employment held fixed."""

    def choose(log_employment):
        shape = found.employment.shape
        held = sj.solve(
            economy,
            income=sj.LaissezFaire(),
            mobility=FixedEmployment(log_employment.reshape(shape)),
            initial=found,
            tolerance=1e-12,
        )
        attraction = log_attraction(economy.preferences, economy.amenity, held.consumption, economy.location_elasticity)
        return np.asarray(log_location_share(attraction)).ravel()

    at, h = jnp.log(found.employment).ravel(), 1e-5
    steps = np.eye(at.size)
    return np.stack([(choose(at + h * e) - choose(at - h * e)) / (2 * h) for e in steps], axis=1)


def test_eigenvalues_are_those_of_the_reduced_map():
    economy = random_economy(4, 4, 2, seed=3)
    found = sj.solve(economy, tolerance=1e-12)
    report = sj.stability(economy, found, count=3)
    exact = np.linalg.eigvals(reduced_derivative(economy, found))
    exact = exact[np.abs(exact) > 1e-6]  # zero: migration cannot change an occupation's total
    exact = exact[np.argsort(-exact.real)][:3]
    np.testing.assert_allclose(report.eigenvalues.real, exact.real, atol=1e-6)
    np.testing.assert_allclose(np.abs(report.eigenvalues.imag), np.abs(exact.imag), atol=1e-6)


def test_two_equilibria_are_both_found_and_the_one_between_is_unstable():
    economy = twins(0.63)
    found = sj.find_equilibria(economy, key=jax.random.key(1), starts=5, spread=2.0)
    assert -1 not in found.found_from
    stable = [q for q in found.equilibria if sj.stability(economy, q).stable]
    assert len(stable) == 2
    sizes = sorted(float(q.employment[0, 0]) for q in stable)
    assert sizes[0] + sizes[1] == pytest.approx(200.0, rel=1e-8)
    assert sizes[0] < 50 < 150 < sizes[1]
    even = sj.solve(economy)
    assert float(even.employment[0, 0]) == pytest.approx(100.0)
    assert not sj.stability(economy, even).stable
    assert sj.stability(economy, even).unstable_directions == 1


def test_weak_agglomeration_has_one_stable_equilibrium():
    economy = twins(0.05)
    found = sj.find_equilibria(economy, key=jax.random.key(1), starts=4)
    assert len(found.equilibria) == 1
    assert set(found.found_from) == {0}
    assert sj.stability(economy, found.equilibria[0]).stable


def test_starts_that_fail_are_reported():
    found = sj.find_equilibria(random_economy(), key=jax.random.key(0), starts=3, max_evaluations=2)
    assert found.equilibria == []
    assert found.found_from == [-1, -1, -1]
    assert all("used up" in reason for reason in found.reasons)


def test_starts_must_be_able_to_differ():
    with pytest.raises(sj.errors.ModelError, match="spread=0.001 is too small"):
        sj.find_equilibria(random_economy(), key=jax.random.key(0), starts=3, spread=0.001)


def test_stability_needs_an_equilibrium():
    economy = random_economy()
    with pytest.raises(sj.errors.ModelError, match="did not converge"):
        sj.stability(economy, sj.solve(economy, max_evaluations=2, throw=False))


def test_arnoldi_finds_leading_eigenvalues():
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((30, 30))
    values = np.concatenate([[1.5, 0.9, 0.7], rng.uniform(-0.3, 0.3, 27)])
    matrix = jnp.asarray(basis @ np.diag(values) @ np.linalg.inv(basis))
    found = eigenvalues(arnoldi(lambda v: matrix @ v, jnp.ones(30), 20), 3)
    np.testing.assert_allclose(found.values, [1.5, 0.9, 0.7], atol=1e-6)
    assert (found.residuals < 1e-4).all()


def test_arnoldi_stops_where_the_space_is_complete():
    matrix = jnp.diag(jnp.asarray([-0.5, -0.2, -0.1, -3.0]))
    start = jnp.asarray([1.0, 1.0, 0.0, 0.0])
    found = eigenvalues(arnoldi(lambda v: matrix @ v, start, 4), 4)
    np.testing.assert_allclose(found.values, [-0.2, -0.5], atol=1e-12)
