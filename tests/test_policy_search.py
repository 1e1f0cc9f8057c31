"""The gradient planner: against brute force, against Proposition 1, and against what instruments may do."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from economies import planner_economy, random_economy
from scipy.optimize import minimize

import spatialjax as sj
from spatialjax.cities import policy_problem
from spatialjax.cities.certificate import welfare_gradients
from spatialjax.cities.equilibrium import income_state
from spatialjax.cities.instruments import (
    CityOccupationTransfers,
    CityTransfers,
    IncomeTestedTransfers,
    Instrument,
    InstrumentRule,
    OccupationTransfers,
    SizeClassTransfers,
    at_bound,
    rule_of,
)
from spatialjax.cities.policy_search import optimise_policy
from spatialjax.errors import ConvergenceError, ModelError
from spatialjax.numerics.implicit import SINGULAR

TIGHT = 1e-13


def case(economy):
    """An economy, its equilibrium and its optimum by Proposition 1."""
    equilibrium = sj.solve(economy, tolerance=TIGHT)
    optimum = sj.optimum(economy, equilibrium, tolerance=1e-12)
    workers = np.asarray(equilibrium.employment)
    return SimpleNamespace(
        economy=economy,
        equilibrium=equilibrium,
        optimum=optimum,
        workers=workers,
        income=float((equilibrium.income * workers).sum() / workers.sum()),
        thresholds=np.sort(workers.sum(1))[[2, 4]] - 1e-6,
    )


@pytest.fixture(scope="module")
def two():
    return case(planner_economy(seed=1))


@pytest.fixture(scope="module")
def three():
    return case(random_economy(6, 4, 3, seed=0))


@pytest.fixture(scope="module", params=["two", "three"])
def either(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def size_class(two):
    instrument = SizeClassTransfers.by_employment(two.equilibrium, two.thresholds)
    return instrument, optimise_policy(two.economy, instrument, two.equilibrium)


@pytest.fixture(scope="module")
def income_tested(two):
    instrument = IncomeTestedTransfers({"benefit": (0.0, 20.0)})
    return instrument, optimise_policy(two.economy, instrument, two.equilibrium)


def gains_under(case, rule, start=None):
    """Gains by occupation under a rule, or nothing where there is no equilibrium."""
    found = sj.solve(case.economy, income=rule, initial=start or case.equilibrium, tolerance=TIGHT, throw=False)
    return np.asarray(found.welfare / case.equilibrium.welfare - 1) if bool(found.converged) else None


def central_differences(function, at, size):
    """Derivatives of a vector function, in its last axis."""
    steps = size * np.eye(at.size)
    return np.stack([(function(at + step) - function(at - step)) / (2 * size) for step in steps], axis=-1)


def brute_force(case, first):
    """The largest smallest gain over all transfers near a start: every derivative by finite differences."""
    unit = 0.01 * case.income / np.sqrt(case.workers / case.workers.sum())
    best = [-np.inf]

    def gains(scaled):
        found = gains_under(case, sj.Transfers(jnp.asarray(scaled.reshape(unit.shape) * unit)))
        if found is None:
            return np.full(case.workers.shape[1], -1e4)
        best[0] = max(best[0], found.min())
        return 1e4 * found

    def slopes(scaled):
        return np.pad(central_differences(gains, scaled, 1e-3), ((0, 0), (0, 1)), constant_values=-1.0)

    start = (np.asarray(first) / unit).ravel()
    minimize(
        lambda x: -x[-1],
        np.append(start, gains(start).min()),
        jac=lambda x: np.append(np.zeros(start.size), -1.0),
        constraints=[{"type": "ineq", "fun": lambda x: gains(x[:-1]) - x[-1], "jac": lambda x: slopes(x[:-1])}],
        method="SLSQP",
        options={"maxiter": 60, "ftol": 1e-10},
    )
    return best[0]


# --- all transfers: brute force and Proposition 1


def test_brute_force_from_the_optimum_finds_nothing_better(either):
    gain = float(either.optimum.gain.min())
    assert gain > 1e-4
    assert brute_force(either, either.optimum.transfer) <= gain * (1 + 1e-8)


def test_brute_force_from_elsewhere_finds_the_optimum_or_less(either):
    gain = float(either.optimum.gain.min())
    rng = np.random.default_rng(1)
    starts = [np.zeros(either.workers.shape), 0.05 * either.income * rng.standard_normal(either.workers.shape)]
    reached = [brute_force(either, start) for start in starts]
    assert max(reached) == pytest.approx(gain, rel=1e-6)  # it can find optima
    assert max(reached) <= gain * (1 + 1e-8)


def test_search_over_all_transfers_is_proposition_1(either):
    found = optimise_policy(either.economy, CityOccupationTransfers(), either.equilibrium)
    assert found.found
    np.testing.assert_allclose(found.gain, either.optimum.gain, rtol=1e-8)
    np.testing.assert_allclose(found.transfer, either.optimum.transfer, atol=1e-6 * either.income)
    np.testing.assert_allclose(found.certificate.weights, either.optimum.certificate.weights, rtol=1e-5)
    assert found.certificate.cosine == pytest.approx(-1, abs=1e-10)
    paid = float((found.transfer * found.equilibrium.employment).sum())
    assert paid == pytest.approx(0, abs=1e-8 * float(either.economy.wage_bill))
    workers = found.equilibrium.employment
    np.testing.assert_allclose(found.base_transfer, (found.transfer * workers).sum(0) / workers.sum(0))


def test_search_from_a_random_start_ends_at_the_same_optimum(two):
    first = 0.1 * two.income * np.random.default_rng(5).standard_normal(two.workers.size)
    found = optimise_policy(two.economy, CityOccupationTransfers(), two.equilibrium, initial=first)
    np.testing.assert_allclose(found.gain, two.optimum.gain, rtol=1e-8)


@pytest.mark.parametrize("objective", ["pareto-weights", "max-min"])
def test_other_objectives_end_at_proposition_1(two, objective):
    known = sj.optimum(two.economy, two.equilibrium, objective=objective)
    found = optimise_policy(two.economy, CityOccupationTransfers(), two.equilibrium, objective=objective)
    assert np.abs(known.gain - two.optimum.gain).max() > 1e-3  # the objective makes a difference
    np.testing.assert_allclose(found.gain, known.gain, rtol=1e-5)
    np.testing.assert_allclose(found.transfer, known.transfer, atol=1e-4 * two.income)


def test_pareto_weights_move_towards_the_favoured(two):
    gains = [
        optimise_policy(
            two.economy, CityOccupationTransfers(), two.equilibrium, objective=sj.ParetoWeights((weight, 1.0), 2.0)
        ).gain
        for weight in (1.0, 1.1)
    ]
    assert gains[1][0] > gains[0][0]
    assert gains[1][1] < gains[0][1]


def test_certificate_weights_are_marginal_social_values(two):
    objective = sj.ParetoWeights((1.0, 0.5), 1.5)
    found = optimise_policy(two.economy, CityOccupationTransfers(), two.equilibrium, objective=objective)
    expected = np.asarray(objective.weights * two.economy.population * found.equilibrium.welfare**-1.5)
    np.testing.assert_allclose(found.certificate.weights, expected / expected.sum(), rtol=1e-8)


# --- gradients


@pytest.mark.parametrize("name", ["cells", "size class", "city", "income tested"])
def test_gradients_of_welfare_are_finite_differences(two, name):
    instrument = {
        "cells": CityOccupationTransfers(),
        "size class": SizeClassTransfers.by_employment(two.equilibrium, two.thresholds),
        "city": CityTransfers(),
        "income tested": IncomeTestedTransfers(),
    }[name]
    first = np.asarray(instrument.initial(two.economy, two.equilibrium))
    if name == "income tested":
        first = first * [1.2, 0.9, 2.0, 0.0] + [0.0, 0.0, 0.0, 0.05]
        size = 2e-5 * np.array([two.income, two.income, 1.0, 1.0])
    else:
        first = 0.03 * two.income * np.random.default_rng(2).standard_normal(first.size)
        size = 1e-4 * np.full(first.size, two.income)
    found = optimise_policy(two.economy, instrument, two.equilibrium, initial=first, max_iterations=0, throw=False)
    np.testing.assert_allclose(found.policy.parameters, first)

    def welfare(scaled):
        rule = rule_of(instrument, jnp.asarray(scaled * size), two.economy)
        return np.asarray(sj.solve(two.economy, income=rule, initial=found.equilibrium, tolerance=TIGHT).welfare)

    finite = central_differences(welfare, first / size, 1.0) / size
    scale = np.abs(finite).max(0)
    assert (scale > 0).all()
    np.testing.assert_allclose(found.certificate.gradient / scale, finite / scale, atol=2e-6)


# --- restricted instruments


def test_nested_instruments_gain_in_their_order(two, size_class):
    occupation = optimise_policy(two.economy, OccupationTransfers(), two.equilibrium)
    _, classes = size_class
    least, more, most = (float(found.gain.min()) for found in (occupation, classes, two.optimum))
    assert abs(least) < 1e-10  # lump sums cannot raise both occupations' welfare
    assert 0.01 * most < more < 0.99 * most
    assert occupation.certificate.curvature.size == 0


def test_search_over_classes_pays_classes_alike(two, size_class):
    instrument, found = size_class
    transfer = np.asarray(found.transfer)
    sizes = np.asarray(instrument.city_class)
    for k in range(2):
        for c in range(3):
            assert np.ptp(transfer[sizes == c, k]) < 1e-9 * two.income
    assert np.ptp(transfer[:, 0]) > 0.01 * two.income
    np.testing.assert_allclose(found.gain[0], found.gain[1], rtol=1e-7)
    assert found.certificate.gradient.shape == (2, 6)
    assert found.found


def test_no_neighbouring_policy_of_the_instrument_is_better(two, size_class):
    instrument, found = size_class
    best = np.asarray(found.policy.parameters)
    rng = np.random.default_rng(3)
    for _ in range(20):
        moved = best + 0.01 * two.income * rng.standard_normal(best.size)
        gain = gains_under(two, rule_of(instrument, jnp.asarray(moved), two.economy), found.equilibrium)
        assert gain.min() < float(found.gain.min())


def test_an_instrument_that_cannot_make_gains_equal_leaves_the_smallest_at_its_largest(two):
    """With two classes of cities alone one occupation gains more, and only the other's gain counts."""
    instrument = SizeClassTransfers.by_employment(two.equilibrium, two.thresholds[1:], by_occupation=False)
    found = optimise_policy(two.economy, instrument, two.equilibrium)
    best, smallest = np.asarray(found.policy.parameters), float(found.gain.min())
    assert abs(float(found.gain[0] - found.gain[1])) > 1e-4
    assert smallest > 1e-4
    weights = found.certificate.weights
    assert weights[np.argmin(found.gain)] == 1
    assert weights[np.argmax(found.gain)] == 0
    assert np.isnan(found.certificate.cosine)
    for size in (-0.01, 0.01):
        for i in range(2):
            moved = best + size * two.income * np.eye(2)[i]
            gain = gains_under(two, rule_of(instrument, jnp.asarray(moved), two.economy), found.equilibrium)
            assert gain.min() < smallest


def test_bounds_are_respected_and_reported(two):
    bound = 0.03 * two.income
    instrument = CityOccupationTransfers(bounds=(-bound, np.full(two.workers.shape, bound)))
    found = optimise_policy(two.economy, instrument, two.equilibrium)
    parameters = np.asarray(found.policy.parameters)
    where = at_bound(instrument, parameters)
    assert (np.abs(parameters) <= bound * (1 + 1e-12)).all()
    np.testing.assert_array_equal(where, np.sign(parameters) * (np.abs(parameters) > bound * (1 - 1e-9)))
    assert {-1, 0, 1} <= set(where.tolist())
    assert 0 < float(found.gain.min()) < 0.95 * float(two.optimum.gain.min())
    pull = found.certificate.weights @ found.certificate.gradient
    pull = pull / np.abs(found.certificate.weights[:, None] * found.certificate.gradient).sum(0)
    assert (pull[where == 1] > 1e-4).all()
    assert (pull[where == -1] < -1e-4).all()
    assert np.abs(pull[where == 0]).max() < 1e-5


def test_wider_bounds_gain_more_and_bounds_that_do_not_bind_change_nothing(two):
    def gain(bound):
        instrument = CityOccupationTransfers(bounds=(-bound * two.income, bound * two.income))
        return float(optimise_policy(two.economy, instrument, two.equilibrium).gain.min())

    widest = 1.01 * float(np.abs(two.optimum.transfer).max()) / two.income
    narrow, wide, free = gain(0.01), gain(0.03), gain(2 * widest)
    assert narrow < 0.99 * wide < 0.99 * free
    assert free == pytest.approx(float(two.optimum.gain.min()), rel=1e-8)


def test_fixed_parameters_stay_fixed(two):
    upper = np.full(two.workers.shape, np.inf)
    upper[:, 1] = 0.0
    lower = np.where(upper == 0, 0.0, -np.inf)
    instrument = CityOccupationTransfers(bounds=(lower, upper))
    found = optimise_policy(two.economy, instrument, two.equilibrium)
    parameters = np.asarray(found.policy.parameters).reshape(two.workers.shape)
    assert (parameters[:, 1] == 0).all()
    assert (parameters[:, 0] != 0).all()
    assert 0 < float(found.gain.min()) < float(two.optimum.gain.min())


# --- income tests


def test_income_tested_transfers_are_certified_where_no_parameters_do_better(two, income_tested):
    instrument, found = income_tested
    assert found.found
    assert found.certificate.residual < 1e-7
    assert found.certificate.gradient.shape == (2, 4)
    assert 1e-4 < float(found.gain.min()) < float(two.optimum.gain.min())
    parameters = np.asarray(found.policy.parameters)
    np.testing.assert_array_equal(at_bound(instrument, parameters), [1, 0, 1, 0])
    assert parameters[0] == pytest.approx(20)
    assert parameters[2] == pytest.approx(1)
    pull = found.certificate.weights @ found.certificate.gradient
    pull = pull / np.abs(found.certificate.weights[:, None] * found.certificate.gradient).sum(0)
    assert (pull[[0, 2]] > 1e-4).all()
    assert np.abs(pull[[1, 3]]).max() < 1e-5
    rng = np.random.default_rng(6)
    for _ in range(30):
        moved = parameters + 0.02 * np.array([two.income, two.income, 1, 1]) * rng.standard_normal(4)
        moved = np.clip(moved, *(np.asarray(side) for side in instrument.bounds()))
        gain = gains_under(two, rule_of(instrument, jnp.asarray(moved), two.economy), found.equilibrium)
        assert gain.min() < float(found.gain.min())


def test_a_plateau_below_what_was_found_does_not_end_a_search(two):
    """A benefit that all receive, none phased out, is stationary and does nothing."""
    instrument = IncomeTestedTransfers({"tax_rate": (0, 0), "benefit": (0, 50)}, rounding=0.02)
    values = []
    found = optimise_policy(
        two.economy,
        instrument,
        two.equilibrium,
        objective="pareto-weights",
        progress=lambda step: values.append((step.value, step.residual)),
    )
    assert min(residual for value, residual in values if value < 1e-8) < 1e-7  # it came by
    assert max(values)[0] > 2e-3
    assert np.abs(found.gain).min() > 1e-3
    assert float(found.policy.parameters[3]) == 0


def test_income_test_pays_what_it_says(two):
    """Away from kinks the schedule is the piecewise linear one, and the lump sum balances it."""
    instrument = IncomeTestedTransfers(rounding=1e-3)
    state = income_state(two.economy, two.equilibrium)
    wage = np.asarray(two.equilibrium.wage)
    benefit, threshold, phase_out, tax = 0.3 * two.income, float(np.quantile(wage, 0.4)), 0.25, 0.1
    parameters = jnp.asarray([benefit, threshold, phase_out, tax])
    received = np.maximum(benefit - phase_out * np.maximum(wage - threshold, 0), 0)
    expected = received - tax * wage
    width = 1e-3 * float(two.economy.wage_bill / two.economy.population.sum())
    np.testing.assert_allclose(instrument.transfer(parameters, state, two.economy), expected, atol=width)
    income = InstrumentRule(instrument, parameters)(state, two.economy)
    mean = (expected * two.workers).sum() / two.workers.sum()
    laissez_faire = sj.LaissezFaire()(state, two.economy)
    np.testing.assert_allclose(income, laissez_faire + expected - mean, atol=2 * width)
    assert float((income * two.workers).sum()) == pytest.approx(float((laissez_faire * two.workers).sum()), rel=1e-12)


def test_rules_of_transfers_are_their_instruments_rules(two):
    state = income_state(two.economy, two.equilibrium)
    instrument = SizeClassTransfers.by_employment(two.equilibrium, two.thresholds)
    parameters = jnp.asarray(np.random.default_rng(4).standard_normal(6))
    general = InstrumentRule(instrument, parameters)(state, two.economy)
    np.testing.assert_allclose(rule_of(instrument, parameters, two.economy)(state, two.economy), general, rtol=1e-14)
    size, class_of = two.workers.sum(1), np.asarray(instrument.city_class)
    np.testing.assert_array_equal(class_of, (size >= two.thresholds[0]).astype(int) + (size >= two.thresholds[1]))


# --- what goes wrong


def test_a_sum_without_a_maximum_is_refused(two):
    with pytest.raises(ConvergenceError, match="first-order conditions do not hold.*edge of where there is one"):
        optimise_policy(two.economy, CityOccupationTransfers(), two.equilibrium, objective="utilitarian")
    found = optimise_policy(
        two.economy, CityOccupationTransfers(), two.equilibrium, objective="utilitarian", throw=False
    )
    assert not found.found
    assert bool(found.equilibrium.converged)


def test_a_search_cut_short_is_no_optimum(two):
    seen = []
    found = optimise_policy(
        two.economy,
        CityOccupationTransfers(),
        two.equilibrium,
        max_iterations=2,
        throw=False,
        progress=seen.append,
    )
    assert not found.found
    assert found.certificate.residual > 1e-6
    assert "2 iterations" in found.outcome
    assert bool(found.equilibrium.converged)
    assert [p.evaluations for p in seen] == list(range(1, len(seen) + 1))
    assert float(found.gain.min()) == pytest.approx(max(p.value for p in seen), rel=1e-6)


def test_trials_without_derivatives_are_turned_back_from(two, monkeypatch):
    calls = []

    def singular_at_times(*arguments):
        calls.append(arguments)
        if len(calls) in (2, 5):
            raise RuntimeError(SINGULAR)
        return welfare_gradients(*arguments)

    monkeypatch.setattr(policy_problem, "welfare_gradients", singular_at_times)
    found = optimise_policy(two.economy, CityOccupationTransfers(), two.equilibrium)
    assert len(calls) > 5
    np.testing.assert_allclose(found.gain, two.optimum.gain, rtol=1e-8)


def test_no_equilibrium_at_the_start_is_an_error(two):
    all_to_one = np.zeros(two.workers.shape)
    all_to_one[0, 0] = 1e6 * two.income
    with pytest.raises(
        ConvergenceError, match="CityOccupationTransfers leads nowhere at the first parameters.*no income"
    ):
        optimise_policy(
            two.economy, CityOccupationTransfers(), two.equilibrium, initial=all_to_one.ravel(), throw=False
        )


class WrongShape(Instrument):
    """An instrument that pays occupations what it should pay cells."""

    def initial(self, economy, equilibrium):
        return jnp.zeros(2)

    def bounds(self):
        return None

    def transfer(self, parameters, state, economy):
        return parameters


@pytest.mark.parametrize(
    ("instrument", "message"),
    [
        ("everything", "must be an Instrument"),
        (WrongShape(), r"WrongShape.transfer returns shape \(2,\), but must return \(6, 2\)"),
        (SizeClassTransfers([0, 1, 0]), "city_class classifies 3 cities, but the economy has 6"),
        (CityOccupationTransfers(bounds=(np.zeros(5), 1.0)), "lower bounds of CityOccupationTransfers have 5 values"),
        (CityTransfers(bounds=(-1.0, np.ones((6, 2)))), "upper bounds of CityTransfers have 12 values"),
    ],
)
def test_instruments_that_do_not_fit_are_refused(two, instrument, message):
    with pytest.raises(ModelError, match=message):
        optimise_policy(two.economy, instrument, two.equilibrium)


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        (np.zeros(5), "a vector of length 12, but the initial ones have shape"),
        (np.full(12, np.nan), "initial parameter 0 of CityOccupationTransfers is not finite"),
        (np.append(np.zeros(11), 7.0), "initial parameter 11 .* is 7, outside of its bounds -5 to 5"),
    ],
)
def test_initial_parameters_that_do_not_fit_are_refused(two, initial, message):
    with pytest.raises(ModelError, match=message):
        optimise_policy(two.economy, CityOccupationTransfers(bounds=(-5, 5)), two.equilibrium, initial=initial)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda q: CityTransfers(bounds=5.0), "must be a pair"),
        (lambda q: CityTransfers(bounds=(1.0, -1.0)), "lower bounds must not be above upper ones"),
        (lambda q: CityTransfers(bounds=(np.zeros(2), np.ones(3))), "2 lower and 3 upper"),
        (lambda q: SizeClassTransfers([0.5, 1.0]), "whole numbers from 0"),
        (lambda q: SizeClassTransfers([0, 2, 2]), "no city is in class 1"),
        (lambda q: SizeClassTransfers.by_employment(q, (5.0, 1.0)), "must be increasing"),
        (lambda q: SizeClassTransfers.by_employment(q, (1e9,)), "no city is in size class 1"),
        (lambda q: IncomeTestedTransfers({"subsidy": (0, 1)}), "'subsidy'.*benefit, threshold"),
        (lambda q: IncomeTestedTransfers(rounding=0.0), "rounding must be positive"),
    ],
)
def test_instruments_that_make_no_sense_are_refused(two, build, message):
    with pytest.raises(ModelError, match=message):
        build(two.equilibrium)


def test_objectives_that_cannot_be_maximised_are_refused(two):
    class Mine(sj.Objective):
        def balance(self, accounts):
            return accounts.gain

    with pytest.raises(ModelError, match="maximises EqualGains.*found Mine"):
        optimise_policy(two.economy, CityOccupationTransfers(), two.equilibrium, objective=Mine())
    weights = sj.ParetoWeights((1.0, 1.0, 1.0))
    with pytest.raises(ModelError, match="3 Pareto weights for 2 occupations"):
        optimise_policy(two.economy, CityOccupationTransfers(), two.equilibrium, objective=weights)
