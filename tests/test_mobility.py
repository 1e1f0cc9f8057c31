"""Closures of location: who is where, what it is worth, derivatives, batches, and what is not asked under them."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import random_economy

import spatialjax as sj
from spatialjax.cities.income import IncomeState, total_income
from spatialjax.errors import ModelError
from spatialjax.nested.closed_forms import symmetric_places, utility_slope

GROUP = (0, 1, 0, 1, 1)
PEOPLE = jnp.array([[600.0, 500.0], [1400.0, 0.0]])
"""By group and occupation; nobody of the second occupation in the second group."""
CLOSURES = ("free", "groups", "perfect", "fixed")
PRECISE = 1e-12


def economy_under(closure, **fundamentals):
    """An economy in which the second occupation lives in the first group's cities alone."""
    economy = random_economy(5, 4, 2, spillover=sj.NoSpillover(), empty_cells=0, **fundamentals)
    amenity = economy.amenity.at[jnp.asarray(GROUP) == 1, 1].set(0.0)
    people = jnp.where(amenity > 0, jnp.array([400.0, 250.0]), 1.0)
    mobility = {
        "free": sj.FreeMobility(),
        "groups": sj.MobilityWithinGroups(GROUP, PEOPLE),
        "perfect": sj.PerfectMobility(GROUP, PEOPLE),
        "fixed": sj.FixedEmployment(jnp.log(people)),
    }[closure]
    return replace(economy, amenity=amenity, population=PEOPLE.sum(0), mobility=mobility)


def by_group(values, group=GROUP):
    return np.stack([np.asarray(values)[np.asarray(group) == g].sum(0) for g in range(max(group) + 1)])


@pytest.mark.parametrize("closure", CLOSURES)
def test_workers_add_up(closure):
    economy = economy_under(closure)
    found = sj.solve(economy, tolerance=PRECISE)
    people = found.employment
    wanted = {"free": economy.population, "groups": PEOPLE, "perfect": PEOPLE, "fixed": None}[closure]
    if closure == "free":
        np.testing.assert_allclose(people.sum(0), wanted)
    elif closure == "fixed":
        lives = economy.amenity > 0
        np.testing.assert_allclose(people, jnp.where(lives, jnp.exp(economy.mobility.fixed_log_employment), 0.0))
    else:
        np.testing.assert_allclose(by_group(people), wanted)
    assert not np.asarray(people)[np.asarray(economy.amenity) == 0].any()


def test_perfect_mobility_makes_utility_equal_within_a_group():
    economy = economy_under("perfect")
    found = sj.solve(economy, tolerance=PRECISE)
    utility = np.asarray(economy.amenity * found.consumption)
    for g in range(2):
        cities = np.asarray(GROUP) == g
        for k in range(2):
            lives = np.asarray(economy.amenity)[cities, k] > 0
            np.testing.assert_allclose(utility[cities, k][lives], found.welfare[g, k], rtol=1e-9)
    assert found.welfare.shape == (2, 2)
    assert found.welfare[1, 1] == 0  # nobody


@pytest.mark.parametrize("pace", [0.5, 20.0])
def test_no_equilibrium_depends_on_the_pace(pace):
    economy = economy_under("perfect")
    other = replace(economy, mobility=sj.PerfectMobility(GROUP, PEOPLE, pace))
    one, same = (sj.solve(e, tolerance=PRECISE) for e in (economy, other))
    np.testing.assert_allclose(one.employment, same.employment, rtol=1e-8)
    assert sj.stability(economy, one).stable
    assert sj.stability(other, same).stable


@pytest.mark.parametrize("pace", [0.5, 20.0])
@pytest.mark.parametrize(("cost", "stable"), [(1.15, True), (1.6, False)])
def test_no_stability_depends_on_the_pace(pace, cost, stable):
    economy = symmetric_places(2, 0.1, 0.0, cost)
    paced = replace(economy, mobility=sj.PerfectMobility((0, 0), economy.population[None], pace))
    found = sj.stability(paced, sj.solve(paced, tolerance=PRECISE), count=1)
    assert found.stable == stable
    known = 1 + pace * utility_slope(2, 0.1, 0.0, cost)
    np.testing.assert_allclose(found.eigenvalues[0].real, known, rtol=1e-6)


def test_groups_have_the_welfare_of_an_economy_that_is_theirs_alone():
    economy = economy_under("groups")
    found = sj.solve(economy, tolerance=PRECISE)
    nu = float(economy.location_elasticity)
    offers = np.asarray(economy.amenity * found.consumption)
    gamma = np.exp(jax.scipy.special.gammaln((nu - 1) / nu))
    for g in range(2):
        sums = (offers[np.asarray(GROUP) == g] ** nu).sum(0)
        np.testing.assert_allclose(found.welfare[g], gamma * sums ** (1 / nu), rtol=1e-9)


def test_fixed_workers_have_the_welfare_of_their_place():
    economy = economy_under("fixed")
    found = sj.solve(economy, tolerance=PRECISE)
    np.testing.assert_allclose(found.welfare, economy.amenity * found.consumption, rtol=1e-12)


def test_a_closure_given_to_solve_takes_the_place_of_the_economys():
    economy = economy_under("free")
    found = sj.solve(economy, mobility=sj.MobilityWithinGroups(GROUP, PEOPLE), tolerance=PRECISE)
    own = sj.solve(economy_under("groups"), tolerance=PRECISE)
    np.testing.assert_allclose(found.employment, own.employment, rtol=1e-9)


RULES = {
    "laissez-faire": sj.LaissezFaire(),
    "local rents": sj.LocalLandRents(),
    "deficits": sj.TradeDeficits(jnp.array([3e3, -1e3, 2e3, -5e3, 1e3])),
    "proportional": sj.ProportionalDeficits(jnp.linspace(0.9, 1.1, 5)),
}


@pytest.mark.parametrize("name", RULES)
def test_income_adds_up_under_every_rule_with_tariffs_and_local_baskets(name):
    economy = economy_under("groups")
    tariff = jnp.where(jnp.eye(5, dtype=bool), 0.0, 0.1)[None] * jnp.array([1.0, 0, 1, 0])[:, None, None]
    share = jnp.asarray(np.random.default_rng(1).dirichlet(np.ones(4), 5))[:, None, :]
    economy = replace(economy, tariff=tariff, consumption_share=share)
    found = sj.solve(economy, income=RULES[name], tolerance=PRECISE)
    paid = (found.income * found.employment).sum()
    state = {f: getattr(found, f, None) for f in ("wage", "employment", "land_income", "tariff_revenue")}
    earned = total_income(IncomeState(**state, employment_by_sector=None, price_index=None, amenity=None))
    assert float(paid) == pytest.approx(float(earned))
    assert float(found.tariff_revenue.sum()) > 0


@pytest.mark.parametrize("closure", CLOSURES)
def test_derivatives_are_those_of_differences(closure):
    """Along one direction in all that the closure meets, at once."""
    economy = economy_under(closure)
    rng = np.random.default_rng(2)

    def changed(e):
        own = [e.mobility.population] if closure in ("groups", "perfect") else []
        return [e.fundamental_productivity, e.amenity, e.location_elasticity, e.land, *own]

    direction = [jnp.asarray(rng.normal(size=leaf.shape)) for leaf in changed(economy)]

    def welfare(step):
        moved = [leaf * jnp.exp(step * d) for leaf, d in zip(changed(economy), direction, strict=True)]
        found = sj.solve(eqx.tree_at(changed, economy, moved), tolerance=PRECISE)
        return jnp.log(found.consumption[0, 0]) + jnp.log(found.welfare.ravel()[0])

    exact, step = jax.grad(welfare)(0.0), 1e-4
    rough = (welfare(step) - welfare(-step)) / (2 * step)
    np.testing.assert_allclose(exact, rough, rtol=1e-5)


@pytest.mark.parametrize("closure", ["groups", "perfect", "fixed"])
def test_a_batch_is_a_loop(closure):
    economy = economy_under(closure)
    factors = jnp.array([0.8, 1.0, 1.3])
    name, leaf = {
        "groups": ("mobility.population", economy.mobility),
        "perfect": ("mobility.population", economy.mobility),
        "fixed": ("land", economy),
    }[closure]
    values = getattr(leaf, name.rsplit(".", 1)[-1])
    many = sj.solve_many(economy, {name: factors.reshape(-1, *[1] * values.ndim) * values}, tolerance=PRECISE)
    assert bool(many.converged.all())
    for i, factor in enumerate(factors):
        at = (lambda e: e.land) if name == "land" else (lambda e: e.mobility.population)
        alone = sj.solve(eqx.tree_at(at, economy, factor * values), tolerance=PRECISE)
        np.testing.assert_allclose(many.employment[i], alone.employment, rtol=1e-7)
        np.testing.assert_allclose(many.welfare[i], alone.welfare, rtol=1e-7)


def test_gradients_of_a_batch_are_those_of_each():
    economy = economy_under("perfect")
    scale = jnp.array([0.9, 1.2])[:, None]

    def outcome(found):
        return jnp.log(found.welfare[0, 0])

    many = sj.gradient_many(
        economy, {"land": scale * economy.land}, outcome, parameters=("mobility.population",), tolerance=PRECISE
    )
    for i in range(2):

        def value(people, land=scale[i, 0] * economy.land):
            changed = eqx.tree_at(lambda e: (e.land, e.mobility.population), economy, (land, people))
            return outcome(sj.solve(changed, tolerance=PRECISE))

        own = jax.grad(value)(PEOPLE)
        np.testing.assert_allclose(many.gradient["mobility.population"][i], own, rtol=1e-5, atol=1e-12)


QUESTIONS = {
    "an optimum": lambda e, q: sj.optimum(e, q),
    "a certificate": lambda e, q: sj.certify(e, q),
    "the best policy": lambda e, q: sj.optimise_policy(e, sj.CityTransfers(), q),
    "the effect of a policy": lambda e, q: sj.policy_effect(e, sj.LaissezFaire(), q),
    "an optimum of many": lambda e, q: sj.optimum_many(e, {"land": e.land[None]}),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_planner_is_not_asked_where_its_conditions_were_not_derived(question):
    named = question.removesuffix(" of many")
    economy = economy_under("perfect")
    with pytest.raises(ModelError, match=f"{named} is for workers who may live anywhere .*is PerfectMobility"):
        QUESTIONS[question](economy, None)
    taxed = replace(economy_under("free"), tariff=jnp.zeros((4, 5, 5)))
    with pytest.raises(ModelError, match=f"{named} is for economies without tariffs: set tariff=None"):
        QUESTIONS[question](taxed, None)


@pytest.mark.parametrize(
    ("mobility", "message"),
    [
        (sj.PerfectMobility((0, 0, 0), PEOPLE), "names groups of 3 cities, but there are 5"),
        (sj.PerfectMobility((0, 0, 2, 2, 2), PEOPLE), r"must number its groups 0 to 2 and use each, found \[0, 2\]"),
        (sj.MobilityWithinGroups(GROUP, PEOPLE[:, :1]), r"has shape \(2, 1\), but must have \(2, 2\)"),
        (sj.MobilityWithinGroups(GROUP, PEOPLE + 1), "of occupation 1 in group 1 must be zero, because they can live"),
        (sj.PerfectMobility(GROUP, PEOPLE.at[0, 0].set(0)), "of occupation 0 in group 0 must be positive, found 0"),
        (sj.FixedEmployment(jnp.zeros((5, 1))), r"fixed_log_employment has shape \(5, 1\), but must have \(5, 2\)"),
        (sj.FixedEmployment(jnp.full((5, 2), jnp.nan)), "fixed_log_employment must be finite, found nan"),
    ],
)
def test_closures_that_do_not_fit_are_refused(mobility, message):
    economy = economy_under("free")
    for attempt in (
        lambda: sj.solve(replace(economy, mobility=mobility)),
        lambda: sj.solve(economy, mobility=mobility),
    ):
        with pytest.raises(ModelError, match=message):
            attempt()


@pytest.mark.parametrize(
    ("closure", "dimensions"), [("perfect", ("group", "occupation")), ("fixed", ("city", "occupation"))]
)
def test_labelled_equilibria_say_whose_welfare_it_is(closure, dimensions):
    import xarray as xr

    economy = economy_under(closure)
    data = xr.Dataset(coords={axis: list(getattr(economy.labels, axis)) for axis in ("city", "occupation", "sector")})
    assert sj.solve(economy).to_xarray(data)["welfare"].dims == dimensions


def test_where_nobody_moves_everything_is_stable():
    economy = economy_under("fixed")
    assert sj.stability(economy, sj.solve(economy)).stable
