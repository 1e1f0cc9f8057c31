"""Simulated panels: timing of records, steady state, and recovery of the truth by regressions and by rates."""

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from spatialjax.density.cbsas import cbsa_table
from spatialjax.density.columns import with_regressors
from spatialjax.density.earnings import measured_earnings
from spatialjax.density.panel_checks import find_panel_problems
from spatialjax.density.simulation import simulate_history, simulate_panel
from spatialjax.density.simulation_steady import expected_exit_rates, steady_state
from spatialjax.density.simulation_tables import city_part, industries
from spatialjax.density.simulation_truth import AGES, Truth, destination_weights, sizes
from spatialjax.errors import DataError, ModelError
from spatialjax.estimation.regression import regress

KEY = jax.random.key(20)
ESTABLISHMENTS = 100_000
CHUNK = 32_768
"""Lives drawn at a time in all tests: one compilation."""
MOVES = [0.05, 0.10, 0.20, 0.10]
"""Moving rates by quarter; always in 100 bins, so that shapes are the same."""
CLEAN = Truth(miscoding_rate=0.0, recording_error_rate=0.0)
REGRESSORS = ["log_density", "college_share", "log_employment", "multi_unit"]
EFFECTS = ["age", "industry", "year"]


def simulate(cbsas, truth, **options):
    return simulate_panel(
        cbsas, truth, **{"key": KEY, "establishments_per_year": ESTABLISHMENTS, "chunk": CHUNK, **options}
    )


def residuals(panel, truth, cbsas):
    """Residual earnings, from what is known of the truth: log earnings less everything else."""
    codes, _ = industries()
    effects = truth.industry_sd * np.asarray(jax.random.normal(jax.random.fold_in(KEY, 2), codes.shape, np.float32))
    city = city_part(truth, cbsas, KEY)[panel["age"], cbsas.index.get_indexer(panel["cbsa"])]
    effects = city + truth.by_age("age_effects")[panel["age"]] + pd.Series(effects, codes)[panel["industry"]].to_numpy()
    effects += truth.size * np.log(panel["employment"]) + truth.multi_unit * panel["multi_unit"]
    return np.log(panel["earnings"]) - effects - truth.constant - truth.earnings_growth * (panel["year"] - 1992)


@pytest.fixture(scope="module")
def cbsas():
    return cbsa_table()


@pytest.fixture(scope="module")
def panel(cbsas):
    """By the default truth, with all errors of records."""
    return simulate(cbsas, None)


@pytest.fixture(scope="module")
def clean(cbsas):
    return simulate(cbsas, CLEAN)


@pytest.fixture(scope="module")
def permanent(cbsas):
    """Residual earnings that do not change, so that percentiles of a year before are known."""
    truth = replace(CLEAN, transitory_sd=0.0, move_rate=np.repeat(MOVES, 25), city_sd=0.0)
    return truth, simulate(cbsas, truth)


def test_panels_are_valid_and_of_the_size_asked_for(panel, cbsas):
    assert find_panel_problems(panel, cbsas) == []
    assert len(panel) == pytest.approx(2 * ESTABLISHMENTS, rel=0.005)
    assert (panel["year"] == 1997).mean() / (panel["year"] == 1992).mean() == pytest.approx(1.016**5, rel=0.01)
    shares = panel["cbsa"].value_counts(normalize=True).reindex(cbsas.index)
    expected = sizes(cbsas)
    assert (np.abs(shares - expected) < 6 * np.sqrt(expected / ESTABLISHMENTS)).all()


def test_facts_of_the_default_truth_are_near_those_of_the_paper(panel):
    assert panel["entrant"].mean() == pytest.approx(0.103, abs=0.005)  # FF Table 2
    assert panel["exit"].mean() == pytest.approx(0.092, abs=0.005)
    assert panel["age"].mean() == pytest.approx(8.01, abs=0.3)
    assert panel["multi_unit"].mean() == pytest.approx(0.26, abs=0.005)
    born = panel[panel["entrant"] & (panel["year"] == 1992)]
    survivors = panel.loc[panel["year"] == 1997, "establishment"]
    assert born["establishment"].isin(survivors).mean() == pytest.approx(0.48, abs=0.015)  # Table 6


def test_cross_sections_are_views_of_the_same_lives(panel):
    both = panel.pivot(index="establishment", columns="year", values=["age", "multi_unit", "industry", "firm"]).dropna()
    assert len(both) > 0.6 * ESTABLISHMENTS
    ages = both["age"]
    assert (ages[1997] == np.minimum(ages[1992] + 5, AGES - 1)).all()
    for name in ("multi_unit", "industry", "firm"):
        assert (both[name][1992] == both[name][1997]).all()
    age_5 = panel.loc[(panel["year"] == 1997) & (panel["age"] == 5), "establishment"]
    born = panel.loc[(panel["year"] == 1992) & panel["entrant"], "establishment"]
    assert age_5.isin(born).all()
    assert not panel.loc[panel["exit"] & (panel["year"] == 1992), "establishment"].isin(both.index).any()


def test_lives_do_not_depend_on_chunks(panel, cbsas):
    other = simulate(cbsas, None, chunk=65_536)
    keys = ["year", "establishment"]
    pd.testing.assert_frame_equal(
        other.sort_values(keys, ignore_index=True), panel.sort_values(keys, ignore_index=True)
    )


def test_earnings_are_those_of_recorded_payroll(clean):
    np.testing.assert_allclose(clean["earnings"], measured_earnings(clean), rtol=1e-5)


def test_residual_earnings_are_normal_whatever_the_age_structure(clean, cbsas):
    left = residuals(clean, CLEAN, cbsas)
    error = CLEAN.residual_sd / np.sqrt(ESTABLISHMENTS)
    for _, values in left.groupby(clean["year"]):
        assert abs(values.mean()) < 3 * error
        assert values.std() == pytest.approx(CLEAN.residual_sd, abs=3 * error)
        assert abs(values.skew()) < 4 * np.sqrt(6 / len(values))
    young, old = left[clean["age"] == 0].mean(), left[clean["age"] == 16].mean()
    assert young < -20 * error < 20 * error < old  # selection through exit


def test_a_regression_recovers_the_truth(panel, cbsas):
    fit = regress(with_regressors(panel, cbsas), "log_earnings", REGRESSORS, effects=EFFECTS, cluster="cbsa")
    true = np.array([0.074, 0.883, 0.04, 0.10])
    assert (np.abs(fit.coefficients - true) < 3 * fit.standard_errors).all()
    assert fit.standard_errors["log_density"] > 0.003  # city errors make clusters matter


def test_the_premium_is_flat_over_ages(clean, cbsas):
    """What is left of earnings after the truth is taken out does not vary with density at any age."""
    left = residuals(clean, CLEAN, cbsas)
    log_density = np.log(cbsas["density"])[clean["cbsa"]].set_axis(clean.index)
    deviation = log_density - log_density.groupby(clean["age"]).transform("mean")
    slope = (left * deviation).groupby(clean["age"]).sum() / (deviation**2).groupby(clean["age"]).sum()
    error = CLEAN.residual_sd / np.sqrt((deviation**2).groupby(clean["age"]).sum())
    assert len(slope) == AGES
    assert error.max() < 0.02
    assert (np.abs(slope / error) < 4).all()
    assert ((slope / error) ** 2).mean() < 2


def test_a_premium_that_rises_with_age_is_found(cbsas):
    rising = np.linspace(0.05, 0.21, AGES)
    truth = replace(CLEAN, premium=rising, city_sd=0.0)
    columns = with_regressors(simulate(cbsas, truth, establishments_per_year=30_000), cbsas)
    by_age = ("age", "log_density")
    fit = regress(columns, "log_earnings", REGRESSORS[1:], effects=EFFECTS, cluster="cbsa", by=by_age)
    found = fit.coefficients.filter(like="log_density")
    assert (np.abs(found - rising) < 4 * fit.standard_errors[found.index]).all()
    assert found.iloc[-1] - found.iloc[0] > 0.1


def test_exit_rates_by_percentile_are_the_rule(clean, cbsas):
    percentile = ndtr(residuals(clean, CLEAN, cbsas) / CLEAN.residual_sd)
    groups = clean["exit"].groupby(np.minimum((100 * percentile).astype(int), 99))
    expected = expected_exit_rates(CLEAN)
    distance = (groups.mean() - expected) / np.sqrt(expected * (1 - expected) / groups.size())
    assert (np.abs(distance) < 4).all()
    assert 0.6 < (distance**2).mean() < 1.6


def test_moving_rates_by_percentile_are_the_rule(permanent, cbsas):
    truth, panel = permanent
    continuing = panel[~panel["entrant"]]
    left = residuals(panel, truth, cbsas)[~panel["entrant"]]
    quarters = pd.qcut(left.groupby(continuing["year"]).rank(pct=True), 4, labels=False)
    groups = (continuing["cbsa"] != continuing["cbsa_lag"]).groupby(quarters)
    expected = np.array(MOVES)
    assert (np.abs(groups.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / groups.size())).all()


def test_destinations_are_drawn_by_weight_from_the_other_cbsas(permanent, cbsas):
    truth, panel = permanent
    weights = pd.Series(destination_weights(truth, cbsas), cbsas.index)
    moved = panel[~panel["entrant"] & (panel["cbsa"] != panel["cbsa_lag"])]
    origins = moved["cbsa_lag"].value_counts().reindex(cbsas.index, fill_value=0)
    expected = weights * ((origins / (1 - weights)).sum() - origins / (1 - weights))
    found = moved["cbsa"].value_counts().reindex(cbsas.index, fill_value=0)
    assert ((found - expected) ** 2 / expected).sum() == pytest.approx(363, abs=5 * np.sqrt(2 * 363))


def changes(panel, cbsas):
    """Changes of log earnings and of log density of those that continue, a year apart."""
    rows = panel[~panel["entrant"] & (panel["age"] > 1)]
    log_density = np.log(cbsas["density"])
    now, before = (log_density[rows[name]].to_numpy() for name in ("cbsa", "cbsa_lag"))
    return pd.DataFrame(
        {"earnings": np.log(rows["earnings"] / rows["earnings_lag"]), "density": now - before, "cbsa": rows["cbsa"]}
    )


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_what_movers_keep_of_the_premium_of_their_birthplace(share, cbsas):
    truth = replace(
        CLEAN, transitory_sd=0.05, college=0.0, city_sd=0.0, move_rate=np.full(100, 0.05), premium_at_birth=share
    )
    fit = regress(changes(simulate(cbsas, truth), cbsas), "earnings", ["density"], cluster="cbsa")
    assert fit.coefficients["density"] == pytest.approx((1 - share) * 0.074, abs=3 * fit.standard_errors["density"])
    assert fit.standard_errors["density"] < 0.004


def test_records_of_places_are_sometimes_wrong(panel, clean):
    def moves(table):
        return table[~table["entrant"] & (table["cbsa"] != table["cbsa_lag"])]

    expected = 0.0103 + 2 * 0.0018
    share = len(moves(panel)) / (~panel["entrant"]).sum()
    assert share == pytest.approx(expected, abs=4 * np.sqrt(expected / len(panel)))
    rejected = moves(panel)["county_changes"] > 1
    assert rejected.mean() == pytest.approx(0.26, abs=0.05)  # FF section 5.B
    assert rejected.mean() > (moves(clean)["county_changes"] > 1).mean() + 0.1
    assert (moves(panel)["moved"] & (moves(panel)["tenure"] == 0)).all()


def test_errors_of_payroll_are_imputed(panel, clean, cbsas):
    pairs = panel.merge(clean, on=["establishment", "year"], suffixes=("", "_true"))
    assert len(pairs) == len(panel)
    wrong = np.abs(np.log(measured_earnings(pairs) / pairs["earnings_true"])) > np.log(100)
    assert wrong.mean() == pytest.approx(0.0005, abs=0.0002)
    assert wrong.sum() > 50
    left = np.abs(np.log(pairs["earnings"] / pairs["earnings_true"])) > np.log(100)
    assert left.sum() <= 0.05 * wrong.sum()  # a wrong payroll may look ordinary where earnings are extreme
    assert (panel["earnings"] != measured_earnings(panel)).mean() < 0.001  # FF appendix A


def test_history_has_the_same_lives(panel, cbsas):
    options = {"key": KEY, "establishments_per_year": ESTABLISHMENTS, "chunk": CHUNK}
    history = simulate_history(cbsas, **options)
    assert list(history) == ["establishment", "cbsa", "county", "year", "employment", "earnings"]
    assert sorted(history["year"].unique()) == list(range(1991, 1998))
    assert len(history) == pytest.approx(ESTABLISHMENTS, rel=0.05)  # seven years at one seventh
    shared = history.merge(panel, on=["establishment", "year"], suffixes=("", "_panel"))
    assert len(shared) == history["year"].isin([1992, 1997]).sum()
    for name in ("cbsa", "county", "employment"):
        assert (shared[name] == shared[f"{name}_panel"]).all()
    same = np.isclose(shared["earnings"], shared["earnings_panel"], rtol=1e-6)
    assert same.mean() > 0.999  # medians of imputation differ


def test_entry_falls_and_age_rises_with_density_if_asked_for(cbsas):
    truth = replace(CLEAN, entry_slope=-0.004, size_slope=-0.1, whole_employment=False)
    panel = simulate(cbsas, truth)
    log_density = np.log(cbsas["density"])[panel["cbsa"]].to_numpy()

    def slope(values):
        return np.polyfit(log_density, values, 1)[0]

    assert slope(panel["entrant"] * 1.0) == pytest.approx(-0.004, abs=0.0025)
    assert slope(panel["exit"] * 1.0) == pytest.approx(0, abs=0.0025)
    assert slope(np.log(panel["employment"])) == pytest.approx(-0.1, abs=0.02)
    growth = [truth.growth + step for step in (-0.002, 0.002)]
    slower, faster = (steady_state(truth, rate).age.mean(axis=0) @ np.arange(AGES) for rate in growth)
    assert slower - faster == pytest.approx(0.189, abs=2 * 0.052)  # FF Table 2: both slopes go together
    assert slope(panel["age"]) == pytest.approx(slower - faster, abs=0.06)


def test_wages_by_place_can_be_given(cbsas):
    given = pd.Series(np.linspace(-0.5, 0.5, len(cbsas)), cbsas.index)
    panel = simulate(cbsas, CLEAN, city_log_earnings=given, establishments_per_year=20_000)
    shuffled = given.sample(frac=1, random_state=0)
    again = simulate(cbsas, CLEAN, city_log_earnings=shuffled, establishments_per_year=20_000)
    pd.testing.assert_frame_equal(panel, again)
    columns = with_regressors(panel, cbsas).assign(given=given[panel["cbsa"]].to_numpy())
    fit = regress(columns, "log_earnings", ["given", *REGRESSORS[2:]], effects=EFFECTS, cluster="cbsa")
    assert fit.coefficients["given"] == pytest.approx(1, abs=3 * fit.standard_errors["given"])
    with pytest.raises(ModelError, match="city_log_earnings must be 363 finite numbers"):
        simulate(cbsas, CLEAN, city_log_earnings=given.iloc[1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"premium": np.ones(5)}, "premium must be a number or 17 finite numbers"),
        ({"permanent_sd": -1.0}, "permanent_sd is -1.0, below zero"),
        ({"permanent_sd": 0.0, "transitory_sd": 0.0}, "there are no percentiles of residual earnings"),
        ({"move_rate": 1.2}, "move_rate must be between 0 and 1"),
        ({"exit_rate": 0.7, "exit_by_age": 2.0}, "exit_rate times exit_by_age must be at least 0 and below 1"),
        ({"exit_rate": np.ones((2, 2)) / 9}, "exit_rate must be a number, or a number for each percentile bin"),
    ],
)
def test_a_truth_that_cannot_be_is_refused(change, message):
    with pytest.raises(ModelError, match=message):
        Truth(**change)


@pytest.mark.parametrize(
    ("truth", "options", "message"),
    [
        ({"growth": -0.2}, {}, "no steady state"),
        ({"destination_weights": [1.0]}, {}, "destination_weights must be 363 finite numbers"),
        ({"destination_weights": np.eye(363)[0]}, {}, "there is nowhere to move"),
        ({}, {"years": ()}, "years must name at least one year"),
        ({}, {"years": (1970,)}, "consumer prices from 1975 to 2005"),
        ({}, {"establishments_per_year": 0}, "establishments_per_year is 0"),
    ],
)
def test_arguments_that_cannot_be_are_refused(truth, options, message, cbsas):
    with pytest.raises(ModelError, match=message):
        simulate(cbsas, replace(CLEAN, **truth), **options)


def test_a_table_without_density_is_refused(cbsas):
    with pytest.raises(DataError, match="column density is missing"):
        simulate(cbsas.drop(columns="density"), CLEAN)
    with pytest.raises(DataError, match="column density must be positive, CBSA 10180 is not"):
        simulate(cbsas.assign(density=cbsas["density"].where(cbsas.index != 10180, 0.0)), CLEAN)


def test_sizes_where_establishments_are_not_known(cbsas):
    partly = cbsas.assign(establishments_2001=cbsas["establishments_2001"].where(cbsas.index != 35620))
    assert sizes(partly).sum() == pytest.approx(1)
    assert sizes(partly)[cbsas.index == 35620].item() == pytest.approx(
        sizes(cbsas)[cbsas.index == 35620].item(), rel=0.2
    )
    residents = sizes(cbsas.drop(columns="establishments_2001"))
    np.testing.assert_allclose(residents, cbsas["population"] / cbsas["population"].sum())
