"""Estimators where the truth is known: random economies, bias and coverage, the experiment without externalities."""

import jax
import numpy as np
import pandas as pd
import pytest
from economies import random_economy

import spatialjax as sj
from spatialjax.errors import ModelError
from spatialjax.estimation.monte_carlo import spillover_monte_carlo
from spatialjax.estimation.monte_carlo_economies import Spread, random_fundamentals, settled, true_coefficients
from spatialjax.estimation.monte_carlo_no_spillovers import no_spillover_experiment

TRUTH = sj.OccupationSpillover((0.5, 0.4), (0.1, 0.08))
SPREAD = Spread(city=0.2, cell=0.1, amenity=0.3, instrument=0.0)
KEY = jax.random.key(3)
REPLICATIONS = 24


def study(base, truth=TRUTH, **options):
    given = {"key": KEY, "replications": REPLICATIONS, "spread": SPREAD, "clusters": "city"} | options
    return spillover_monte_carlo(base, truth, **given)


@pytest.fixture(scope="module")
def base():
    return random_economy(50, 4, 2, local_sectors=(), seed=1, empty_cells=10)


@pytest.fixture(scope="module")
def drawn(base):
    return random_fundamentals(base, TRUTH, SPREAD, jax.random.fold_in(KEY, 0))


@pytest.fixture(scope="module")
def economy(drawn):
    return settled(drawn.economy)


@pytest.fixture(scope="module")
def found(base):
    return study(base, estimators=("ols", "2sls"))


def test_fundamentals_vary_as_told_around_the_means_of_the_base(base):
    many = [random_fundamentals(base, TRUTH, SPREAD, jax.random.key(i)).economy for i in range(25)]
    productivity = np.stack([economy.fundamental_productivity for economy in many])
    assert ((productivity > 0) == (np.asarray(base.fundamental_productivity) > 0)).all()
    with np.errstate(divide="ignore"):
        logs = np.ma.masked_invalid(np.log(productivity))
        base_logs = np.ma.masked_invalid(np.log(base.fundamental_productivity))
    shock = logs - base_logs.mean(0)
    assert abs(shock.mean()) < 0.01
    assert shock.std() == pytest.approx(np.hypot(SPREAD.city, SPREAD.cell), rel=0.03)
    shared = np.ma.corrcoef(shock[..., 0].ravel(), shock[..., 2].ravel())[0, 1]
    assert shared == pytest.approx(SPREAD.city**2 / (SPREAD.city**2 + SPREAD.cell**2), abs=0.05)
    amenity = np.log([economy.amenity for economy in many])
    assert (amenity - np.log(base.amenity).mean(0)).std() == pytest.approx(SPREAD.amenity, rel=0.03)


def test_instruments_are_amenities_with_noise_and_land(base):
    key = jax.random.key(1)
    exact, noisy = (random_fundamentals(base, TRUTH, SPREAD._replace(instrument=noise), key) for noise in (0.0, 0.2))
    amenity = np.log(exact.economy.amenity)
    np.testing.assert_allclose(
        exact.instruments["amenity_occupation 1"], amenity[:, 1] - np.log(base.amenity[:, 1]).mean()
    )
    np.testing.assert_array_equal(exact.economy.amenity, noisy.economy.amenity)
    difference = noisy.instruments - exact.instruments
    assert difference.iloc[:, :2].to_numpy().std() == pytest.approx(0.2, rel=0.25)
    assert (difference["log_land"] == 0).all()


def test_instruments_recover_the_truth_and_least_squares_does_not(found):
    table = found.table()
    bias = table["bias"] / table["bias_error"]
    assert (bias.loc["ols"] > 3).all()
    assert (bias.loc["2sls"].abs() < 3).all()
    assert (table.loc["2sls", "coverage"] >= 0.8).all()
    assert (table.loc["ols", "coverage"] < table.loc["2sls", "coverage"]).all()
    assert (table.loc["2sls", "mean_first_stage_f"] > 20).all()
    assert table.loc["ols", "mean_first_stage_f"].isna().all()


def test_the_table_is_what_the_estimates_say(found):
    estimates = found.estimates()
    key = ("2sls", "occupation 1", "size")
    rows = estimates[(estimates[["estimator", "regression", "coefficient"]] == key).all(axis=1)]
    row = found.table().loc[key]
    assert len(rows) == row["estimates"] == REPLICATIONS
    assert row["truth"] == 0.08
    assert row["bias"] == pytest.approx(np.mean(rows["estimate"] - 0.08))
    assert row["root_mean_square_error"] ** 2 == pytest.approx(
        row["bias"] ** 2 + row["standard_deviation"] ** 2 * (1 - 1 / REPLICATIONS)
    )
    assert found.failures().empty


def test_replications_depend_on_their_number_alone_and_join(base, found):
    options = {"estimators": ("ols", "2sls")}
    seen = []
    later = study(base, replications=range(REPLICATIONS - 1, REPLICATIONS + 1), progress=seen.append, **options)
    pd.testing.assert_frame_equal(later.replications[0].estimates, found.replications[-1].estimates)
    assert [r.number for r in seen] == [REPLICATIONS - 1, REPLICATIONS]
    with pytest.raises(ModelError, match=f"replication {REPLICATIONS - 1} is in both"):
        found.joined(later)
    one = study(base, replications=[REPLICATIONS], **options)
    assert (found.joined(one).table()["estimates"] == REPLICATIONS + 1).all()
    with pytest.raises(ModelError, match="another truth"):
        found.joined(study(base, replications=[], estimators=("ols",)))


def test_economies_without_an_equilibrium_are_counted(base):
    found = study(base, replications=2, max_evaluations=1)
    assert found.table().empty
    stage, reason = found.failures().index[0]
    assert stage == "equilibrium"
    assert "the evaluations allowed were used up" in reason
    assert found.failures().sum() == 2


def test_the_truth_as_regressions_estimate_it(base):
    assert true_coefficients(TRUTH, base)["occupation 1", "share"] == 0.4
    assert set(true_coefficients(sj.NoSpillover(), base).values()) == {0.0}
    share, size = np.array([[0.1, 0.9, 0.1, 0.3], [0.2, 0.9, 0.2, 0.4]]), np.array([0.5, 0.0, 0.5, 0.6])
    groups = ["one", "homes", "one", "two"]
    truth = true_coefficients(sj.IndustrySpillover(share, size), base, "group", groups)
    assert truth["one", "share:occupation 1"] == 0.2
    assert truth["two", "size"] == 0.6
    assert len(truth) == 6  # housing is not traded, and not estimated
    with pytest.raises(ModelError, match="differ between sectors of group one"):
        true_coefficients(sj.IndustrySpillover(share, size * [1, 1, 2, 1]), base, "group", groups)
    with pytest.raises(ModelError, match="estimates OccupationSpillover"):
        true_coefficients(sj.IndustrySpillover(share, size), base)
    with pytest.raises(ModelError, match="instruments must be one of"):
        study(base, instruments="weather")


def test_by_group_of_industries(base):
    groups = {"sector 0": "one", "sector 1": "homes", "sector 2": "one", "sector 3": "two"}
    found = study(base, sj.NoSpillover(), by="group", groups=groups, replications=3, estimators=("2sls",))
    assert list(found.table().loc["2sls"].index[:3]) == [
        ("one", "share:occupation 0"),
        ("one", "share:occupation 1"),
        ("one", "size"),
    ]
    assert (found.table()["truth"] == 0).all()
    assert (found.table()["estimates"] == 3).all()


def test_without_externalities_productivity_is_what_is_left_of_it(economy):
    """CH Table A8: least squares on exogenous productivity, by hand."""
    found = no_spillover_experiment(economy, estimators=("ols", "2sls"), clusters="city")
    employment = np.asarray(found.equilibrium.employment)
    assert isinstance(found.economy.spillover, sj.NoSpillover)
    assert not np.allclose(employment, np.exp(economy.reference.log_employment), rtol=0.01)
    k, traded = 0, list(economy.traded)
    with np.errstate(divide="ignore"):
        outcome = np.log(np.asarray(economy.fundamental_productivity))[:, k, traded]
    size = employment.sum(1)
    columns = [np.log(employment[:, k] / size), np.log(size)]
    dummies = np.eye(len(traded))
    rows = [(n, j) for n in range(len(size)) for j in range(len(traded)) if np.isfinite(outcome[n, j])]
    gamma = np.asarray(economy.value_added_share)[:, traded]
    design = np.array([gamma[n, j] * np.array([*(c[n] for c in columns), *dummies[j]]) for n, j in rows])
    coefficients = np.linalg.lstsq(design, [gamma[n, j] * outcome[n, j] for n, j in rows], rcond=None)[0]
    np.testing.assert_allclose(
        found.estimates["ols"].regressions["occupation 0"].coefficients, coefficients[:2], rtol=1e-8
    )
    table = found.table()
    assert set(table.index.get_level_values(0)) == {"ols", "2sls"}
    assert found.printed().loc["ln L", ("OLS", "occupation 0")] == f"{coefficients[1]:.3f}"


def test_instruments_of_the_model(base):
    found = study(base, sj.NoSpillover(), instruments="model", replications=2, estimators=("2sls", "cue"))
    table = found.table()
    np.testing.assert_allclose(table.loc["2sls", "mean"], table.loc["cue", "mean"])  # exactly identified
    assert (table["mean_first_stage_f"] > 10).all()
