"""Implicit derivatives against central finite differences, in both modes, of first and second order."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import random_economy
from leaves import LEAVES, along, central_difference, direction

import spatialjax as sj

TOLERANCE = 1e-13
ECONOMY = {"cities": 4, "sectors": 4, "occupations": 2, "seed": 11}


class FlatTax(sj.IncomeRule):
    """A tax on wages, rebated alike to all."""

    rate: jax.Array

    def __call__(self, state, economy):
        taxed = sj.LaissezFaire()(state, economy) - self.rate * state.wage
        return taxed + self.rate * (state.wage * state.employment).sum() / state.employment.sum()


def outcome(economy, income=None):
    """A smooth mixture of outcomes, so that no element of the solution is left out."""
    found = sj.solve(economy, income=income or FlatTax(jnp.asarray(0.1)), tolerance=TOLERANCE)
    weights = jnp.cos(jnp.arange(found.wage.size)).reshape(found.wage.shape)
    return (
        jnp.log(found.welfare).sum()
        + (weights * jnp.log(found.wage)).sum()
        + (weights * jnp.log(found.employment)).sum()
        + jnp.log(found.price[1]).sum()
        + jnp.log(found.land_income[2])
        + 1e-4 * found.gross_output[3, 2]
    )


@pytest.fixture(scope="module")
def derivatives():
    """The value and gradient, compiled once for all leaves."""
    return eqx.filter_jit(lambda e: outcome(e)), eqx.filter_jit(eqx.filter_grad(outcome))


@pytest.mark.parametrize("name", LEAVES)
def test_gradient_in_every_leaf(derivatives, name):
    value, gradient = derivatives
    economy = random_economy(**ECONOMY)
    leaf = LEAVES[name](economy)
    step = direction(name, leaf)
    implicit = along(LEAVES[name](gradient(economy)), step)
    finite = central_difference(lambda size: float(value(eqx.tree_at(LEAVES[name], economy, leaf + size * step))), 2e-4)
    assert implicit == pytest.approx(finite, rel=1e-7, abs=1e-9)


def test_gradient_of_policy_is_its_finite_difference():
    economy = random_economy(**ECONOMY)
    value = jax.jit(lambda rate: outcome(economy, FlatTax(rate)))
    h = 1e-4
    finite = (value(0.2 + h) - value(0.2 - h)) / (2 * h)
    assert float(jax.grad(value)(0.2)) == pytest.approx(float(finite), rel=1e-7)


def test_forward_and_reverse_agree():
    economy = random_economy(**ECONOMY)
    moved = lambda a: outcome(eqx.tree_at(lambda e: e.amenity, economy, a))  # noqa: E731
    step = jnp.asarray(np.random.default_rng(0).standard_normal(economy.amenity.shape))
    _, forward = jax.jvp(moved, (economy.amenity,), (step,))
    reverse = (jax.grad(moved)(economy.amenity) * step).sum()
    assert float(forward) == pytest.approx(float(reverse), rel=1e-9)


def test_hessian_is_the_finite_difference_of_the_gradient():
    economy = random_economy(3, 3, 2, land_sector=2, local_sectors=(), seed=12, empty_cells=0)

    def value(x):
        land, share = economy.land.at[:2].set(x[:2]), economy.spillover.share.at[:].set(x[2:])
        return outcome(eqx.tree_at(lambda e: (e.land, e.spillover.share), economy, (land, share)))

    at = jnp.concatenate([economy.land[:2], economy.spillover.share])
    hessian = jax.jit(jax.hessian(value))(at)
    gradient = jax.jit(jax.grad(value))
    h = 1e-4
    finite = jnp.stack([(gradient(at + h * e) - gradient(at - h * e)) / (2 * h) for e in jnp.eye(4)])
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(hessian, finite, rtol=2e-5, atol=1e-7)


def test_gradients_under_vmap_equal_a_loop():
    economy = random_economy(**ECONOMY)
    gradient = jax.grad(lambda s: outcome(eqx.tree_at(lambda e: e.spillover.size, economy, s)))
    sizes = jnp.asarray([[0.1, 0.05], [0.0, 0.0], [0.15, 0.1]])
    together = jax.jit(jax.vmap(gradient))(sizes)
    for batched, size in zip(together, sizes, strict=True):
        np.testing.assert_allclose(batched, jax.jit(gradient)(size), rtol=1e-8)


def test_empty_cells_have_no_nan_gradient():
    economy = random_economy(**ECONOMY)
    gradient = eqx.filter_grad(lambda e: sj.solve(e, tolerance=TOLERANCE).welfare.sum())(economy)
    empty = np.asarray(economy.fundamental_productivity) == 0
    assert empty.any()
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(np.asarray(leaf)).all()


def test_no_derivative_flows_through_the_start():
    economy = random_economy(**ECONOMY)
    start = sj.solve(economy)

    def from_start(wage):
        initial = eqx.tree_at(lambda q: q.wage, start, wage)
        return sj.solve(economy, initial=initial, tolerance=TOLERANCE).welfare.sum()

    assert (np.asarray(jax.grad(from_start)(start.wage * 1.01)) == 0).all()


def test_wedge_is_the_papers_formula():
    """CH equations (7), (8) and (10), written out, against the wedge by automatic differentiation."""
    economy = random_economy(5, 4, 3, seed=13, spillover=sj.OccupationSpillover((1.3, 0.8, 0.2), (0.3, 0.35, 0.1)))
    found = sj.solve(economy, throw=False)
    L, w = np.asarray(found.employment), np.asarray(found.wage)
    share, size = np.asarray(economy.spillover.share), np.asarray(economy.spillover.size)
    total = L.sum(1, keepdims=True)
    expected = np.zeros_like(L)
    for k in range(3):
        for other in range(3):
            own = share[other] if other == k else 0.0
            elasticity = own - (share[other] - size[other]) * L[:, k] / total[:, 0]
            expected[:, k] += w[:, other] * L[:, other] * elasticity / L[:, k]
    np.testing.assert_allclose(sj.wedge(economy, found), expected, rtol=1e-12)


def test_wedge_of_no_spillover_is_zero():
    economy = random_economy(spillover=sj.NoSpillover())
    assert (np.asarray(sj.wedge(economy, sj.solve(economy))) == 0).all()
