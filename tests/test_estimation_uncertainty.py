"""Standard errors of the planner's optimum: derivatives through inversion, draws, and both compared."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from economies import data_from, random_economy

import spatialjax as sj
from spatialjax.errors import ModelError
from spatialjax.estimation.monte_carlo_economies import settled
from spatialjax.estimation.spillovers import spillovers
from spatialjax.estimation.uncertainty import propagate
from spatialjax.estimation.uncertainty_estimates import LinearFamily, estimated_parameters
from spatialjax.estimation.uncertainty_outcomes import QUANTITIES, ModuleFamily, planner_outcomes, with_spillover
from spatialjax.estimation.uncertainty_result import STATISTICS

GROUPS = np.array(["goods", "homes", "goods", "services"])
ESTIMATE = pd.Series([0.3, 0.2, 0.25, 0.1, 0.05, 0.08], ["share 0", "share 1 goods", "share 1 rest", "a", "b", "c"])
COVARIANCE = 1e-8 * (np.diag([4.0, 9.0, 1.0, 1.0, 1.0, 1.0]) + 0.5)
"""Small, so that outcomes are nearly linear where parameters are drawn."""
MATRIX = np.zeros((12, 6))
"""Parameters to the 8 shares (occupation, sector) and 4 sizes of industries."""
MATRIX[range(4), 0] = 1.0
MATRIX[[4, 6], 1] = 1.0
MATRIX[[5, 7], 2] = 1.0
MATRIX[[8, 10], 3] = 1.0
MATRIX[9, 4] = 1.0
MATRIX[11, 5] = 1.0
WIDE = 2.0
"""Variance of an elasticity at which some draws have an optimum and some have none."""
KEY = jax.random.key(5)
DRAWS = 4
DIRECTION = np.arange(1.0, 7.0)


def industries(parameters=ESTIMATE):
    numbers = MATRIX @ np.asarray(parameters)
    return sj.IndustrySpillover(numbers[:8].reshape(2, 4), numbers[8:])


FAMILY = LinearFamily(industries(), jnp.asarray(MATRIX))


def study(economy, equilibrium, covariance=COVARIANCE, **options):
    given = {"key": KEY, "family": FAMILY, "equilibrium": equilibrium, "draws": DRAWS} | options
    return propagate(economy, ESTIMATE, covariance, **given)


@pytest.fixture(scope="module")
def made():
    economy = random_economy(5, 4, 2, local_sectors=(), seed=2, spillover=industries())
    return jax.tree.map(lambda leaf: jnp.array(leaf, dtype=leaf.dtype), economy)  # types as inversion has them


@pytest.fixture(scope="module")
def inversion(made):
    """Inversion that knows the consumption shares of the economy that made the data."""
    data = data_from(made, sj.solve(made, tolerance=1e-12))
    options = {"housing_share": float(made.consumption_share[1]), "minimum_consumption_share": None}
    return data, lambda spillover: sj.invert(data, spillover=spillover, trade_elasticity=4.0, **options)


@pytest.fixture(scope="module")
def economy(inversion):
    return inversion[1](industries())


@pytest.fixture(scope="module")
def equilibrium(economy):
    return sj.solve(economy, tolerance=1e-12)


@pytest.fixture(scope="module")
def result(economy, equilibrium):
    return study(economy, equilibrium)


def test_other_externalities_change_what_inversion_would_change(inversion, economy, equilibrium):
    other = industries([0.6, -0.1, 0.0, 0.2, 0.4, 0.1])
    inverted = inversion[1](other)
    found = with_spillover(economy, other, equilibrium.employment)
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(inverted), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10)


def test_industries_alike_are_occupations(economy, equilibrium):
    share, size = (0.3, 0.2), 0.1
    alike = sj.IndustrySpillover(np.repeat(np.array(share)[:, None], 4, 1), np.full(4, size))
    one, two = (
        with_spillover(economy, spillover, equilibrium.employment).fundamental_productivity
        for spillover in (alike, sj.OccupationSpillover(share, (size, size)))
    )
    np.testing.assert_allclose(one, two, rtol=1e-13)


def test_outcomes_are_those_of_the_optimum(economy, equilibrium):
    best = sj.optimum(economy, equilibrium)
    found = planner_outcomes(economy, best.policy, best.equilibrium, equilibrium)
    for name in ("gain", "base_transfer", "transfer", "wedge"):
        np.testing.assert_allclose(found[name], getattr(best, name), rtol=1e-9, err_msg=name)
    np.testing.assert_array_equal(found["employment"], best.equilibrium.employment)


def test_derivatives_are_those_of_inverting_the_data_and_solving_for_the_optimum(inversion, result):
    step = 1e-4

    def outcomes(move):
        best = sj.optimum(inversion[1](industries(ESTIMATE + move * DIRECTION)))
        workers = best.equilibrium.employment
        return {
            "gain": best.gain,
            "base_transfer": best.base_transfer,
            "transfer": best.transfer,
            "wedge": best.wedge,
            "city_size": workers.sum(1),
            "size_change": np.log(workers.sum(1) / best.reference.employment.sum(1)),
            "mean_transfer": (best.transfer * workers).sum(0) / workers.sum(0),
        }

    up, down, up2, down2 = (outcomes(h) for h in (step, -step, 2 * step, -2 * step))
    for name in up:
        difference = (8 * (up[name] - down[name]) - (up2[name] - down2[name])) / (12 * step)
        slope = np.tensordot(DIRECTION, result.derivatives[name], 1)
        np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-6 * np.abs(difference).max(), err_msg=name)


def test_the_social_value_of_labour_is_linear_in_the_externalities(economy, equilibrium, result):
    """Lemma 2 at given data: the derivative times the parameters is the wedge over the wage."""
    ratio = sj.social_value_ratio(sj.wedge(economy, equilibrium), equilibrium)
    np.testing.assert_allclose(result.values["social_value_ratio"], ratio, rtol=1e-12)
    np.testing.assert_allclose(ESTIMATE.to_numpy() @ result.derivatives["social_value_ratio"], ratio - 1, rtol=1e-9)


def test_draws_of_a_small_covariance_agree_with_the_delta_method(result):
    assert not result.failures
    moves = np.stack([draw.parameters - result.estimate for draw in result.draws])
    for name in QUANTITIES:
        linear = np.tensordot(moves, result.derivatives[name], 1)
        np.testing.assert_allclose(
            result.drawn(name) - result.values[name], linear, atol=3e-3 * np.abs(linear).max(), err_msg=name
        )


def test_delta_errors_and_statistics_of_draws(result):
    slope = result.derivatives["transfer"][:, 2, 1]
    assert np.isclose(result.delta_error("transfer")[2, 1], np.sqrt(slope @ COVARIANCE @ slope))
    drawn = result.drawn("gain")[:, 0]
    row = result.table().loc["gain", "occupation 0"]
    assert list(row.index) == list(STATISTICS)
    assert row["value"] == result.values["gain"][0]
    assert row["draws_error"] == pytest.approx(drawn.std(ddof=1))
    assert (row["draws_lower"], row["draws_upper"]) == pytest.approx(np.percentile(drawn, [2.5, 97.5]))


def test_statistics_of_no_draws_are_not_numbers(result):
    table = replace(result, draws=()).table()
    assert np.isfinite(table[["value", "delta_error"]]).all(axis=None)
    assert np.isnan(table[["draws_mean", "draws_error", "draws_lower", "draws_upper"]]).all(axis=None)


def test_draws_have_the_covariance_that_they_are_drawn_from():
    from spatialjax.estimation.uncertainty import _square_root, _standard_normal

    root = _square_root(COVARIANCE)
    np.testing.assert_allclose(root @ root.T, COVARIANCE, atol=1e-22)
    singular = np.outer([1.0, 2.0], [1.0, 2.0])
    np.testing.assert_allclose(_square_root(singular) @ _square_root(singular), singular, atol=1e-12)
    normal = np.stack([_standard_normal(KEY, number, 4) for number in range(400)])
    np.testing.assert_allclose(np.cov(normal.T), np.eye(4), atol=0.2)


def test_draws_depend_on_their_number_alone_and_join(economy, equilibrium, result):
    seen = []
    later = study(economy, equilibrium, draws=range(3, 6), progress=seen.append)
    np.testing.assert_array_equal(later.draws[0].parameters, result.draws[3].parameters)
    np.testing.assert_array_equal(later.draws[0].outcomes["gain"], result.draws[3].outcomes["gain"])
    assert [draw.number for draw in seen] == [3, 4, 5]
    with pytest.raises(ModelError, match="draw 3 is in both"):
        result.joined(later)
    together = replace(result, draws=result.draws[:3]).joined(later)
    assert [draw.number for draw in together.draws] == list(range(6))


@pytest.mark.parametrize("phase_in", [True, False])
def test_draws_without_an_optimum_are_counted(economy, equilibrium, phase_in):
    wide = np.diag([WIDE, 0.0, 0.0, 0.0, 0.0, 0.0])
    found = study(economy, equilibrium, wide, quantities=["gain", "transfer"], phase_in=phase_in, max_evaluations=100)
    failed = len(found.failures)
    assert 0 < failed < DRAWS
    assert found.table().attrs == {"draws": DRAWS, "failed": failed, "level": 0.95}
    assert found.failure_reasons().sum() == failed
    assert all(("folds" if phase_in else "not phased in") in draw.outcome for draw in found.failures)
    rows = found.draw_table()
    assert len(rows) == DRAWS
    assert rows.loc[~rows["found"], "gain[occupation 0]"].isna().all()
    assert len(found.drawn("gain")) == DRAWS - failed


def test_labelled_results(result, inversion):
    labelled = result.to_xarray(inversion[0])
    assert labelled["transfer"].dims == ("statistic", "city", "occupation")
    assert labelled["city_size"].attrs["units"] == "workers"
    np.testing.assert_array_equal(labelled["wedge"].sel(statistic="delta_error"), result.delta_error("wedge"))
    np.testing.assert_array_equal(
        labelled["gain_derivative"].sel(parameter="share 1 goods"), result.derivatives["gain"][1]
    )
    assert labelled.attrs["draws_without_optimum"] == 0


def test_numbers_of_a_module_are_its_parameters(economy):
    family = ModuleFamily(industries())
    assert family.names(economy.labels)[3:5] == ("share[occupation 0, sector 3]", "share[occupation 1, sector 0]")
    assert family.names(economy.labels)[-1] == "size[sector 3]"
    np.testing.assert_allclose(family.parameters(), MATRIX @ ESTIMATE)
    assert eqx.tree_equal(family(family.parameters()), industries())
    occupations = ModuleFamily(sj.OccupationSpillover())
    assert occupations.names(economy.labels)[1:3] == ("share[occupation 1]", "size[occupation 0]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"covariance": np.eye(3)}, "a row and a column for each of 6 parameters"),
        ({"covariance": np.triu(np.ones((6, 6)))}, "not symmetric"),
        ({"covariance": -np.eye(6)}, "negative eigenvalue"),
        ({"covariance": pd.DataFrame(np.eye(6))}, "labelled 0, 1, 2, 3, 4, 5, the estimates share 0"),
        ({"covariance": None}, "give the covariance"),
        ({"quantities": ["gains"]}, "'gains'"),
        ({"family": None}, "needs family="),
    ],
)
def test_arguments_that_are_none(economy, change, message):
    given = {"estimate": ESTIMATE, "covariance": COVARIANCE, "key": KEY, "family": FAMILY} | change
    with pytest.raises(ModelError, match=message):
        propagate(economy, **given)


@pytest.mark.parametrize("by", ["occupation", "group"])
def test_estimates_as_parameters(economy, by):
    found = spillovers(economy, estimator="ols", by=by, groups=GROUPS, clusters="city")
    estimate, covariance, family = estimated_parameters(found)
    rebuilt = family(jnp.asarray(estimate.to_numpy()))
    assert eqx.tree_equal(rebuilt, found.spillover(), rtol=1e-14)
    name, regression = next(iter(found.regressions.items()))
    labels = [f"{name} {c}" for c in regression.coefficients.index]
    np.testing.assert_array_equal(covariance.loc[labels, labels], regression.covariance)
    others = covariance.columns.difference(labels)
    assert (covariance.loc[labels, others] == 0).all(axis=None)


def test_a_settled_economy_is_what_inversion_finds(made, economy):
    """What a Monte Carlo estimates from is what the data of its economies would be inverted to."""
    tables = [
        spillovers(e, estimator="ols", clusters="city").table() for e in (settled(made, tolerance=1e-12), economy)
    ]
    for column in ("coefficient", "standard_error"):
        np.testing.assert_allclose(tables[0][column], tables[1][column], rtol=1e-8)
