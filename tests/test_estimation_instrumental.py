"""Instrumental variables on arrays: other libraries, formulas written out, known truth, and refusals."""

import warnings
from dataclasses import replace

import econhdfe
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.iv import IV2SLS, IVGMM, IVGMMCUE, IVLIML
from scipy import stats

from spatialjax.errors import ConvergenceError, DataError, EstimationWarning, ModelError
from spatialjax.estimation.continuous_updating import evaluate, limited_information
from spatialjax.estimation.covariance import Clusters, floor_eigenvalues
from spatialjax.estimation.instrumental import estimate
from spatialjax.estimation.moments import Moments
from spatialjax.estimation.sample import Sample, partial_out

CITIES, SECTORS = 60, 40
TRUTH = np.array([1.0, 0.3])
X, Z, C = ["x0", "x1"], ["z0", "z1", "z2", "z3"], ["c0", "c1"]
pytestmark = pytest.mark.filterwarnings("ignore::spatialjax.errors.EstimationWarning")


def panel(seed=0, cities=CITIES, sectors=SECTORS, strength=0.5):
    """Errors with parts by city and by sector, regressors that depend on them, instruments that do not."""
    rng = np.random.default_rng(seed)
    rows = cities * sectors
    city, sector = np.repeat(np.arange(cities), sectors), np.tile(np.arange(sectors), cities)
    z = rng.normal(size=(cities, 4))[city] + 0.5 * rng.normal(size=(rows, 4))
    control = rng.normal(size=(cities, 2))[city]
    spread = 1 + 0.5 * np.abs(z[:, 0])
    error = rng.normal(size=cities)[city] + 0.5 * rng.normal(size=sectors)[sector] + spread * rng.normal(size=rows)
    first = strength * z @ np.array([[1.0, -0.2], [0.5, 0.5], [0.2, 1.0], [0.1, 0.3]])
    x = first + 0.6 * error[:, None] + rng.normal(size=(cities, 2))[city] + rng.normal(size=(rows, 2))
    y = x @ TRUTH + 0.2 * control.sum(1) + error
    columns = {"y": y, "city": city, "sector": sector, "weight": rng.uniform(0.5, 2.0, rows)}
    for names, values in ((X, x), (Z, z), (C, control)):
        columns |= dict(zip(names, values.T, strict=True))
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def frame():
    return panel()


def sample(frame, **options):
    return Sample.from_columns(frame, "y", X, **{"instruments": Z, "exogenous": C, "clusters": ["city"]} | options)


def close(found, wanted, rtol=1e-8):
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=rtol)


DIMENSIONS = (["city"], ["city", "sector"])


@pytest.mark.parametrize("clusters", DIMENSIONS)
@pytest.mark.parametrize("weight", [None, "weight"])
@pytest.mark.parametrize("small_sample", ["each", "none"])
def test_two_stages_and_clustered_errors_are_those_of_linearmodels(frame, clusters, weight, small_sample):
    found = estimate(
        sample(frame, clusters=clusters, weights=weight, effects=["sector"]), "2sls", small_sample=small_sample
    )
    exogenous = pd.get_dummies(frame["sector"], dtype=float, prefix="sector").join(frame[C])
    weights = None if weight is None else frame[weight]
    wanted = IV2SLS(frame["y"], exogenous, frame[X], frame[Z], weights=weights).fit(
        cov_type="clustered", clusters=frame[clusters], debiased=small_sample == "each"
    )
    close(found.coefficients, wanted.params[X])
    close(found.covariance, wanted.cov.loc[X, X])
    assert found.observations == len(frame)
    assert found.exogenous_rank == SECTORS + 2
    assert found.clusters == {name: frame[name].nunique() for name in clusters}


def test_ordinary_least_squares_are_those_of_statsmodels(frame):
    design = sm.add_constant(frame[[*X, *C]])
    one = estimate(sample(frame), "ols")
    wanted = sm.OLS(frame["y"], design).fit(cov_type="cluster", cov_kwds={"groups": frame["city"]}, use_t=True)
    close(one.coefficients, wanted.params[X])
    close(one.covariance, wanted.cov_params().loc[X, X])
    close(one.confidence_interval(), wanted.conf_int().loc[X])
    close(one.p, wanted.pvalues[X], rtol=1e-6)
    robust = estimate(sample(frame, clusters=[]), "ols")
    close(robust.covariance, sm.OLS(frame["y"], design).fit(cov_type="HC1").cov_params().loc[X, X])


@pytest.mark.parametrize("clusters", DIMENSIONS)
def test_errors_and_tests_of_the_first_stage_are_those_of_econhdfe(frame, clusters):
    found = estimate(sample(frame, clusters=clusters), "2sls")
    wanted = econhdfe.ivhdfe(
        frame.assign(one=1), y="y", exog=C, endog=X, instruments=Z, absorb=["one"], cluster=clusters, vce="cluster"
    )
    close(found.standard_errors, wanted.stderr[-2:])
    conditional = wanted.diagnostics["sanderson_windmeijer"]
    assert found.first_stage.freedom == conditional[0]["df1"] == 3
    close(found.first_stage.sanderson_windmeijer, [test["sw"]["f_robust"] for test in conditional], rtol=1e-6)
    close(found.first_stage.joint, [test["f_robust"] for test in wanted.first_stage["diagnostics"]])
    close(found.first_stage.kleibergen_paap, wanted.diagnostics["kleibergen_paap"]["rk_wald_f"])


def test_with_one_endogenous_regressor_all_first_stage_f_are_one(frame):
    found = estimate(Sample.from_columns(frame, "y", ["x0"], instruments=Z, exogenous=C, clusters=["city"]), "2sls")
    first = sm.OLS(frame["x0"], sm.add_constant(frame[[*Z, *C]])).fit(
        cov_type="cluster", cov_kwds={"groups": frame["city"]}, use_t=True
    )
    wanted = first.f_test(" = ".join(Z) + " = 0")
    strength = found.first_stage
    for value in (strength.kleibergen_paap, strength.sanderson_windmeijer["x0"], strength.joint["x0"]):
        close(value, wanted.fvalue)
    close(strength.p["x0"], stats.f.sf(wanted.fvalue, 4, CITIES - 1))


def direct_covariance(partialled, frame, coefficients, clusters):
    """A + B - AB of Z u, by pandas."""
    scores = partialled.instruments * (partialled.outcome - partialled.endogenous @ coefficients)[:, None]
    groups = [["city"]] if clusters == ["city"] else [["city"], ["sector"], ["city", "sector"]]
    parts = []
    for names in groups:
        sums = pd.DataFrame(scores).groupby([frame[name].to_numpy() for name in names]).sum().to_numpy()
        parts.append(sums.T @ sums * (-1 if len(names) == 2 else 1))
    return sum(parts)


@pytest.mark.parametrize("clusters", DIMENSIONS)
def test_continuous_updating_minimises_its_objective_written_out(frame, clusters):
    """The objective, that no point nearby is lower, the covariance (D' S^-1 D)^-1, and J."""
    columns = sample(frame, clusters=clusters)
    found, partialled = estimate(columns, "cue", small_sample="none"), partial_out(columns)

    def objective(b):
        g = partialled.instruments.T @ (partialled.outcome - partialled.endogenous @ b)
        return g @ np.linalg.solve(direct_covariance(partialled, frame, b, clusters), g)

    b, errors = found.coefficients.to_numpy(), found.standard_errors.to_numpy()
    least = objective(b)
    close(found.over_identification.statistic, least)
    close(found.over_identification.p, stats.chi2.sf(least, 2))
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        for step in (1e-3, 0.1):
            assert objective(b + step * errors * [np.cos(angle), np.sin(angle)]) > least
    derivative = partialled.instruments.T @ partialled.endogenous
    weight = np.linalg.inv(direct_covariance(partialled, frame, b, clusters))
    close(found.covariance, np.linalg.inv(derivative.T @ weight @ derivative))
    assert found.search.agree
    assert found.search.starts["converged"].all()
    assert not found.search.floored
    assert found.search.floored_evaluations == 0


def test_continuous_updating_is_that_of_linearmodels(frame):
    columns = sample(frame)
    found, partialled = estimate(columns, "cue"), partial_out(columns)
    data = (partialled.outcome, None, partialled.endogenous, partialled.instruments)
    options = {"weight_type": "clustered", "clusters": frame["city"].to_numpy(), "center": False}
    wanted = IVGMMCUE(*data, **options).fit()
    close(found.coefficients, wanted.params, rtol=1e-5)
    close(found.over_identification.statistic, wanted.j_stat.stat)
    two_steps = IVGMM(*data, **options).fit()
    close(estimate(columns, "2sls").over_identification.statistic, two_steps.j_stat.stat)


def test_limited_information_start_is_that_of_linearmodels(frame):
    exogenous = sm.add_constant(frame[C])
    wanted = IVLIML(frame["y"], exogenous, frame[X], frame[Z]).fit(cov_type="unadjusted")
    close(limited_information(partial_out(sample(frame))), wanted.params[X], rtol=1e-7)


@pytest.mark.parametrize("floor", [1e-6, 0.7, 1.2])
def test_gradient_of_the_objective_is_exact_also_where_eigenvalues_are_floored(frame, floor):
    moments = Moments.of(partial_out(sample(frame, clusters=["city", "sector"])))
    at, step = np.array([1.3, -0.4]), 1e-6
    value, gradient, raised = evaluate(at, moments, floor)
    wanted = [
        (evaluate(at + h, moments, floor)[0] - evaluate(at - h, moments, floor)[0]) / (2 * step)
        for h in step * np.eye(2)
    ]
    close(gradient, wanted, rtol=1e-6)
    assert raised == (floor > 1e-6)
    assert value > 0


def test_a_floor_that_matters_is_reported(frame):
    with pytest.warns(EstimationWarning, match="below the floor"):
        found = estimate(sample(frame), "cue", floor=0.9)
    assert found.search.floored
    assert found.search.floored_evaluations > 0


def test_as_many_instruments_as_regressors_leave_nothing_to_choose(frame):
    columns = sample(frame, instruments=Z[:2])
    two_stages, updating = estimate(columns, "2sls"), estimate(columns, "cue")
    pd.testing.assert_series_equal(two_stages.coefficients, updating.coefficients)
    design = sm.add_constant(frame[[*X, *C]]), sm.add_constant(frame[[*Z[:2], *C]])
    wanted = np.linalg.solve(design[1].T @ design[0], design[1].T @ frame["y"])
    close(updating.coefficients, wanted[1:3])
    assert updating.over_identification.statistic == 0
    assert np.isnan(updating.over_identification.p)


def test_estimates_do_not_depend_on_units_or_order(frame):
    shuffled = frame.sample(frac=1.0, random_state=0).assign(
        z0=lambda f: 1e4 * f["z0"] - f["z1"], y=lambda f: 7 * f["y"]
    )
    for name in ("2sls", "cue"):
        clusters = ["sector", "city"]
        found, wanted = (
            estimate(sample(shuffled, clusters=clusters), name),
            estimate(sample(frame, clusters=clusters), name),
        )
        close(found.coefficients, 7 * wanted.coefficients, rtol=1e-6)
        close(found.standard_errors, 7 * wanted.standard_errors, rtol=1e-6)
        close(found.over_identification.statistic, wanted.over_identification.statistic)


def test_truth_is_recovered_by_instruments_and_not_without():
    frame = panel(seed=1, cities=400, sectors=10)
    columns = sample(frame, effects=["sector"])
    for name in ("2sls", "cue"):
        found = estimate(columns, name)
        assert (np.abs(found.coefficients - TRUTH) < 3 * found.standard_errors).all()
        assert (found.standard_errors < 0.1).all()
    biased = estimate(columns, "ols")
    assert (biased.coefficients - TRUTH > 5 * biased.standard_errors).all()


def test_several_minima_are_reported():
    with pytest.warns(EstimationWarning, match="several minima"):
        found = estimate(sample(panel(18, 40, 6, 0.15), clusters=["city", "sector"]), "cue")
    assert not found.search.agree
    reached = found.search.starts[found.search.starts["converged"]]
    assert found.over_identification.statistic == pytest.approx(reached["objective"].min(), rel=1e-6)
    assert reached["objective"].max() > 1.001 * reached["objective"].min()


def test_a_minimum_at_infinity_is_no_estimate():
    with pytest.raises(ConvergenceError, match=r"none of 11 starts .* 11 left for infinity"):
        estimate(sample(panel(89, 100, 30, 0.2), clusters=["city", "sector"]), "cue")


def test_pairs_of_effects_are_dummies_of_each_pair(frame):
    frame = frame.assign(half=frame["sector"] % 2, region=frame["city"] % 5)
    found = estimate(sample(frame, effects=["half^region", "sector"]), "ols")
    pair = frame["half"].astype(str) + "-" + frame["region"].astype(str)
    dummies = pd.concat([pd.get_dummies(pair, dtype=float), pd.get_dummies(frame["sector"], dtype=float)], axis=1)
    design = np.column_stack([frame[[*X, *C]], dummies])
    close(found.coefficients, np.linalg.lstsq(design, frame["y"], rcond=None)[0][:2])
    assert found.exogenous_rank == np.linalg.matrix_rank(design) - 2


def test_collinear_columns_are_left_out_by_name(frame):
    twice = frame.assign(again=2 * frame["c0"] - frame["c1"] + 1, z4=frame["z0"] + frame["z1"] + frame["c0"])
    with pytest.warns(EstimationWarning) as caught:
        found = estimate(sample(twice, exogenous=[*C, "again"], instruments=[*Z, "z4"]), "2sls")
    messages = " ".join(str(warning.message) for warning in caught)
    assert "collinear exogenous columns, left out: again" in messages
    assert "collinear instruments, left out: z4" in messages
    assert found.dropped == ("again", "z4")
    pd.testing.assert_series_equal(found.coefficients, estimate(sample(frame), "2sls").coefficients)


def test_collinear_endogenous_regressors_are_refused(frame):
    twice = frame.assign(x1=frame["x0"] + frame["c0"])
    with pytest.raises(DataError, match="x1"):
        estimate(sample(twice), "ols")


def test_weak_instruments_are_warned_about_by_name():
    weak = panel(strength=0.05)
    with pytest.warns(EstimationWarning, match=r"weak instruments.*x0 \(F = "):
        estimate(sample(weak), "2sls")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate(sample(panel(seed=1, cities=400, sectors=10)), "2sls")


def test_few_clusters_in_one_of_two_dimensions_are_warned_about():
    few = panel(sectors=6)
    with pytest.warns(EstimationWarning, match=r"few clusters in sector \(6\)"):
        estimate(sample(few, clusters=["city", "sector"]), "ols")


def test_negative_variances_are_floored_and_said():
    found = [
        estimate(sample(panel(seed, 3, 5), clusters=["city", "sector"], exogenous=[]), "ols") for seed in range(20)
    ]
    floored = [f for f in found if f.covariance_floored]
    assert 0 < len(floored) < len(found)
    assert all(np.linalg.eigvalsh(f.covariance)[0] > -1e-12 for f in found)


def test_floored_eigenvalues():
    matrix, floored = floor_eigenvalues(np.array([[1.0, 2.0], [2.0, 1.0]]), 0.5)
    assert floored
    close(np.linalg.eigvalsh(matrix), [0.5, 3.0])
    assert not floor_eigenvalues(np.eye(2), 0.5)[1]


def spoilt(frame, column, value):
    return frame.assign(
        **{column: frame[column].astype(object if isinstance(value, str) else float).where(frame.index != 7, value)}
    )


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: spoilt(f, "x1", np.nan), {}, r"x1 is not finite in 1 of 2400 rows \(first: 7\)"),
        (lambda f: spoilt(f, "c1", "north"), {}, "c1 is not numeric"),
        (lambda f: spoilt(f, "city", np.nan), {}, "city is missing in 1 of 2400"),
        (lambda f: spoilt(f, "weight", -1.0), {"weights": "weight"}, "weights that are not positive"),
        (lambda f: f.assign(city=0), {}, "column city has one cluster"),
        (lambda f: f.drop(columns="z1"), {}, "column z1 is missing"),
        (lambda f: f.iloc[:0], {}, "no rows"),
        (lambda f: f.iloc[::60].iloc[:7], {}, "for 7 coefficients"),
    ],
)
def test_bad_data_are_refused_by_name(frame, change, options, message):
    with pytest.raises(DataError, match=message):
        estimate(sample(change(frame), **options), "2sls")


@pytest.mark.parametrize(
    ("options", "estimator", "small_sample", "message"),
    [
        ({"instruments": ["z0"]}, "2sls", "each", r"1 instruments for 2 endogenous regressors \(x0, x1\)"),
        ({"instruments": []}, "cue", "each", "needs instruments"),
        ({}, "liml", "each", "estimator must be one of ols, 2sls, cue"),
        ({}, "2sls", "stata", "small_sample must be one of"),
        ({"clusters": ["city", "sector", "weight"]}, "ols", "each", "at most two dimensions"),
    ],
)
def test_bad_arguments_are_refused(frame, options, estimator, small_sample, message):
    with pytest.raises(ModelError, match=message):
        estimate(sample(frame, **options), estimator, small_sample=small_sample)


def test_fewer_clusters_than_moments_and_columns_of_other_lengths_are_refused(frame):
    with pytest.raises(ModelError, match="4 instruments need more clusters than 4"):
        estimate(sample(frame.assign(city=frame["city"] % 4)), "cue")
    with pytest.raises(DataError, match="clusters have 10 rows, but the outcome 2400"):
        estimate(replace(sample(frame), clusters=frame[["city"]].iloc[:10]), "ols")


def test_rows_without_clusters_are_their_own():
    clusters = Clusters.of(None, 10)
    scores = np.arange(20.0).reshape(10, 2)
    close(clusters.covariance(scores, 2, "smallest"), 10 / 8 * scores.T @ scores)
    assert clusters.freedom(2) == 8
