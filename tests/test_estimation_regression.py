"""The door to pyfixest: agreement with other libraries, names of columns, and refusals."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.iv import IV2SLS

from spatialjax.errors import DataError, EstimationWarning
from spatialjax.estimation.regression import regress

ROWS, CLUSTERS = 400, 25


@pytest.fixture(scope="module")
def panel():
    rng = np.random.default_rng(0)
    cluster = rng.integers(0, CLUSTERS, ROWS)
    instrument, common = rng.normal(size=ROWS), rng.normal(size=ROWS)
    x = instrument + common + rng.normal(size=CLUSTERS)[cluster]
    effect = rng.integers(0, 4, ROWS)
    y = 0.5 * x - common + 0.3 * effect + rng.normal(size=CLUSTERS)[cluster] + rng.normal(size=ROWS)
    columns = {"y": y, "x": x, "z": instrument, "control": rng.normal(size=ROWS), "cluster": cluster}
    return pd.DataFrame(columns | {"effect": effect, "weight": rng.uniform(0.5, 2.0, ROWS)})


def dummies(panel):
    return pd.get_dummies(panel["effect"], prefix="effect", dtype=float)


def test_coefficients_and_clustered_errors_are_those_of_statsmodels(panel):
    found = regress(panel, "y", ["x", "control"], cluster="cluster", weights="weight")
    design = sm.add_constant(panel[["x", "control"]])
    wanted = sm.WLS(panel["y"], design, weights=panel["weight"]).fit(
        cov_type="cluster", cov_kwds={"groups": panel["cluster"]}
    )
    np.testing.assert_allclose(found.coefficients, wanted.params, rtol=1e-8)
    np.testing.assert_allclose(found.standard_errors, wanted.bse, rtol=1e-8)
    np.testing.assert_allclose(found.covariance, wanted.cov_params(), rtol=1e-8)
    assert found.clusters == panel["cluster"].nunique()
    assert found.observations == ROWS


def test_absorbed_effects_are_dummies(panel):
    found = regress(panel, "y", ["x"], effects=["effect"], keep_residuals=True)
    wanted = sm.OLS(panel["y"], dummies(panel).assign(x=panel["x"])).fit(cov_type="HC1")
    np.testing.assert_allclose(found.coefficients["x"], wanted.params["x"], rtol=1e-8)
    np.testing.assert_allclose(found.standard_errors["x"], wanted.bse["x"], rtol=1e-8)
    np.testing.assert_allclose(found.residuals, wanted.resid, atol=1e-8)
    np.testing.assert_allclose(found.r_squared, wanted.rsquared, rtol=1e-8)


def test_two_stages_are_those_of_linearmodels(panel):
    found = regress(panel, "y", ["control"], effects=["effect"], cluster="cluster", endogenous="x", instruments=["z"])
    exogenous = dummies(panel).assign(control=panel["control"])
    wanted = IV2SLS(panel["y"], exogenous, panel["x"], panel["z"]).fit(cov_type="unadjusted")
    np.testing.assert_allclose(found.coefficients[["control", "x"]], wanted.params[["control", "x"]], rtol=1e-8)
    clustered = IV2SLS(panel["y"], exogenous, panel["x"], panel["z"]).fit(
        cov_type="clustered", clusters=panel["cluster"], debiased=True
    )
    np.testing.assert_allclose(found.standard_errors["x"], clustered.std_errors["x"], rtol=1e-8)


def test_first_stage_f_of_one_instrument_is_its_squared_t(panel):
    found = regress(panel, "y", ["control"], cluster="cluster", endogenous="x", instruments=["z"])
    first = regress(panel, "x", ["control", "z"], cluster="cluster")
    assert found.first_stage_f == pytest.approx(first.table()["t"]["z"] ** 2, rel=1e-6)


def test_a_coefficient_by_category_is_a_regression_by_category(panel):
    found = regress(panel, "y", effects=["effect"], by=("effect", "x"), cluster="cluster")
    for category, rows in panel.groupby("effect"):
        alone = regress(rows, "y", ["x"], cluster="cluster").coefficients["x"]
        assert found.coefficients[f"effect::{category}:x"] == pytest.approx(alone, rel=1e-8)


def test_intervals_are_of_students_t(panel):
    found = regress(panel, "y", ["x"], cluster="cluster")
    bounds = found.confidence_interval()
    half = (bounds["upper"] - bounds["lower"]) / 2 / found.standard_errors
    np.testing.assert_allclose(half, 2.0638985616, rtol=1e-9)  # 97.5th percentile with 24 degrees of freedom


def test_what_is_collinear_is_named(panel):
    with pytest.warns(EstimationWarning, match="left out: twice"):
        found = regress(panel.assign(twice=2 * panel["x"]), "y", ["x", "twice"], cluster="cluster")
    assert found.dropped == ("twice",)
    assert list(found.coefficients.index) == ["Intercept", "x"]


def test_residuals_without_regressors_are_deviations_from_effects(panel):
    found = regress(panel, "y", effects=["effect"], keep_residuals=True)
    wanted = panel["y"] - panel.groupby("effect")["y"].transform("mean")
    np.testing.assert_allclose(found.residuals, wanted, atol=1e-10)
    assert found.coefficients.empty


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"regressors": ["x", "population"]}, "column population is missing"),
        ({"x": np.nan}, {}, r"column x is missing or not finite in 400 of 400 rows \(first: 0, 1, 2\)"),
        ({"cluster": 7}, {}, r"column cluster has one cluster \(7\)"),
    ],
)
def test_bad_panels_are_refused_by_name(panel, change, arguments, message):
    arguments = {"regressors": ["x"], "cluster": "cluster"} | arguments
    with pytest.raises(DataError, match=message):
        regress(panel.assign(**change), "y", **arguments)


def test_no_rows(panel):
    with pytest.raises(DataError, match="there are no rows"):
        regress(panel[:0], "y", ["x"])


def test_nothing_to_estimate_is_refused(panel):
    with pytest.raises(DataError, match="every regressor is collinear"):
        regress(panel.assign(effect=range(ROWS)), "y", ["x"], effects=["effect"], cluster="cluster")
