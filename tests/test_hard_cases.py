"""Economies on which damped and accelerated iterations stall, on the embedded data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spatialjax as sj
from spatialjax.cities.cost_forms import times_between_cities

START = 0.05


@pytest.fixture(scope="module")
def data():
    return sj.load_data("us-metros")


def perturbed(state, seed=0):
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda x: x + START * jnp.asarray(generator.standard_normal(x.shape)), state)


def strong(data, strength):
    ch = sj.OccupationSpillover()
    return sj.invert(data, spillover=sj.OccupationSpillover(strength * ch.share, strength * ch.size))


def moved(found, economy):
    return float(jnp.abs(found.state().log_employment - economy.reference.log_employment).max())


@pytest.mark.parametrize("seed", [0, 1])
def test_externalities_of_1_6_times_their_strength(data, seed):
    """An iteration with Anderson's acceleration alone takes more than a thousand evaluations here."""
    economy = strong(data, 1.6)
    found = sj.solve(economy, initial=perturbed(economy.reference, seed))
    assert float(found.residuals.largest()) < 1e-10
    assert int(found.evaluations) < 600
    assert moved(found, economy) < 0.5  # the data's equilibrium, or one next to it


def test_externalities_of_twice_their_strength(data):
    """The data are an equilibrium, so that one exists; from noise it may be another that is found."""
    economy = strong(data, 2.0)
    found = sj.solve(economy, initial=perturbed(economy.reference), max_evaluations=20_000)
    assert float(found.residuals.largest()) < 1e-10
    again = sj.evaluate_at(economy, found.state())
    assert float(again.largest()) < 1e-9


@pytest.mark.parametrize("elasticity", [4.0, 20.0])
def test_trade_elasticities(data, elasticity):
    economy = sj.invert(data, trade_elasticity=elasticity)
    found = sj.solve(economy, initial=perturbed(economy.reference))
    assert moved(found, economy) < 1e-8


def test_a_location_elasticity_of_five(data):
    economy = sj.invert(data, location_elasticity=5.0)
    found = sj.solve(economy, initial=perturbed(economy.reference), max_evaluations=20_000)
    assert float(found.residuals.largest()) < 1e-10


@pytest.mark.parametrize("factor", [20.0, 0.7])
def test_costs_towards_autarky_and_towards_none(data, factor):
    found = sj.solve(times_between_cities(sj.invert(data), factor))
    assert float(found.residuals.largest()) < 1e-10
