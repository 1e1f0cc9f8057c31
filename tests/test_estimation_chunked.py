import econhdfe
import numpy as np
import pandas as pd
import pytest
from linearmodels.iv import IV2SLS
from scipy import stats

from spatialjax.errors import ConvergenceError, DataError, EstimationWarning, ModelError
from spatialjax.estimation import chunked, design
from spatialjax.estimation.chunked import regress_in_chunks
from spatialjax.estimation.regression import regress
from spatialjax.estimation.wald import wald_test

CONTROLS = ["size", "status"]
EFFECTS = ["age", "industry"]
SMALL = 1e-4
"""Gigabytes that hold two or three columns of the panel: many blocks."""


@pytest.fixture(scope="module")
def panel():
    draw = np.random.default_rng(3)
    rows, places = 1500, 40
    place = draw.integers(0, places, rows)
    z = draw.normal(size=(places, 3))[place]
    shock = draw.normal(size=places)[place]
    frame = pd.DataFrame({"place": place, "region": place // 5, "age": draw.integers(0, 4, rows)})
    frame["industry"] = draw.integers(0, 9, rows)
    frame[["z1", "z2", "z3"]] = z * [5, 0.1, 300] + [70, 0, 400]
    frame["density"] = z @ [0.5, 0.4, 0.3] + 0.5 * shock + 6
    frame["college"] = z @ [0.3, -0.4, 0.1] + 0.3 * draw.normal(size=places)[place]
    frame["size"] = draw.normal(size=rows)
    frame["status"] = (draw.random(rows) < 0.3).astype(np.int8)
    noise = shock + draw.normal(size=rows)
    frame["earnings"] = 0.07 * frame["density"] + 0.9 * frame["college"] + 0.1 * frame["size"] + noise
    return frame


def same(found, coefficients, covariance):
    """Coefficients agree to 1e-8, and covariances to 1e-8 of the product of standard errors."""
    names, errors = list(found.coefficients.index), found.standard_errors.to_numpy()
    np.testing.assert_allclose(found.coefficients, coefficients[names], rtol=1e-8, atol=1e-12)
    scaled = (found.covariance - covariance.loc[names, names]) / np.outer(errors, errors)
    np.testing.assert_allclose(scaled, 0, atol=1e-8)


@pytest.mark.parametrize("effects", [["age", "industry"], ["age^industry"], ["region", "age"], []])
def test_least_squares_are_those_of_pyfixest(panel, effects):
    regressors = ["density", *CONTROLS]
    found = regress_in_chunks(panel, "earnings", regressors, effects=effects, cluster="place", memory=SMALL)
    known = regress(panel, "earnings", regressors, effects=effects, cluster="place")
    same(found, known.coefficients, known.covariance)
    assert found.r_squared == pytest.approx(known.r_squared, rel=1e-10)
    assert (found.observations, found.clusters) == (1500, 40)


def test_coefficients_by_category_are_those_of_pyfixest(panel):
    found = regress_in_chunks(
        panel, "earnings", [("age", "density"), *CONTROLS], effects=EFFECTS, cluster="place", memory=SMALL
    )
    known = regress(panel, "earnings", CONTROLS, effects=EFFECTS, cluster="place", by=("age", "density"))
    assert set(found.coefficients.index) == set(known.coefficients.index)
    same(found, known.coefficients, known.covariance)


def test_two_stage_least_squares_are_those_of_linearmodels_with_dummies(panel):
    found = regress_in_chunks(
        panel,
        "earnings",
        CONTROLS,
        effects=EFFECTS,
        cluster="place",
        endogenous=[("age", "density"), "college"],
        instruments=[("age", "z1"), ("age", "z2"), ("age", "z3")],
        memory=SMALL,
    )
    dummies = pd.get_dummies(panel[EFFECTS].astype(str), dtype=float).drop(columns="industry_0")
    ages = pd.get_dummies(panel["age"], dtype=float)
    endogenous = ages.mul(panel["density"], axis=0).add_prefix("age::").add_suffix(":density")
    outside = [ages.mul(panel[z] - panel[z].mean(), axis=0).add_prefix(f"{z}_") for z in ("z1", "z2", "z3")]
    exogenous = pd.concat([panel[CONTROLS].astype(float), dummies], axis=1)
    endogenous = endogenous.assign(college=panel["college"])
    model = IV2SLS(panel["earnings"], exogenous, endogenous, pd.concat(outside, axis=1))
    known = model.fit(cov_type="clustered", clusters=panel["place"], debiased=True)
    same(found, known.params, known.cov)


def test_two_stage_least_squares_are_those_of_econhdfe(panel):
    found = regress_in_chunks(
        panel,
        "earnings",
        CONTROLS,
        effects=EFFECTS,
        cluster="place",
        endogenous=["density", "college"],
        instruments=["z1", "z2", "z3"],
    )
    known = econhdfe.ivreghdfe(
        panel,
        y="earnings",
        exog=CONTROLS,
        endog=["density", "college"],
        instruments=["z1", "z2", "z3"],
        absorb=EFFECTS,
        cluster="place",
        tol=1e-12,
    )
    names = list(known.names)
    same(found, pd.Series(known.params, names), pd.DataFrame(known.vcov, names, names))


def test_memory_bounds_the_blocks_and_does_not_matter(panel, monkeypatch):
    terms = [("age", "density"), "college", *CONTROLS]
    whole = regress_in_chunks(panel, "earnings", terms, effects=EFFECTS, cluster="place")
    widths, make = [], design.demeaner

    def recording(codes, tolerance):
        within = make(codes, tolerance)
        return lambda block: widths.append(block.shape[1]) or within(block)

    monkeypatch.setattr(chunked, "demeaner", recording)
    monkeypatch.setattr(chunked, "CHUNK", 64)
    parts = regress_in_chunks(panel, "earnings", terms, effects=EFFECTS, cluster="place", memory=SMALL)
    assert max(widths) == int(SMALL * 1e9 / (8 * chunked.COPIES * len(panel))) == 2
    same(parts, whole.coefficients, whole.covariance)


def test_cross_products_are_those_of_residuals_on_dummies(panel):
    columns = list(design.expanded(panel, [("age", "density"), "size"]))
    within = design.demeaner(design.effect_codes(panel, EFFECTS), 1e-12)
    products, squares = chunked.cross_products(columns, within, 2)
    dummies = np.hstack([pd.get_dummies(panel[name].astype(str), dtype=float) for name in EFFECTS])
    raw = design.built(columns)
    residuals = raw - dummies @ np.linalg.lstsq(dummies, raw, rcond=None)[0]
    np.testing.assert_allclose(products, residuals.T @ residuals, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(squares, np.square(raw).sum(0), rtol=1e-12)


def test_collinear_columns_are_named_and_left_out(panel):
    doubled = panel.assign(twice=2 * panel["size"], young=(panel["age"] < 2).astype(float))
    regressors = ["density", "size", "twice", "young"]
    with pytest.warns(EstimationWarning, match="left out: twice, young"):
        found = regress_in_chunks(doubled, "earnings", regressors, effects=EFFECTS, cluster="place")
    assert found.dropped == ("twice", "young")
    known = regress(panel, "earnings", ["density", "size"], effects=EFFECTS, cluster="place")
    same(found, known.coefficients, known.covariance)


def test_too_few_instruments_are_refused(panel):
    with pytest.raises(ModelError, match=r"1 instruments for 2 endogenous columns \(college, density\)"):
        regress_in_chunks(panel, "earnings", cluster="place", endogenous=["density", "college"], instruments=["z1"])


def test_missing_and_infinite_columns_are_refused(panel):
    with pytest.raises(DataError, match="column climate is missing"):
        regress_in_chunks(panel, "earnings", [("age", "climate")], cluster="place")
    with pytest.raises(DataError, match="column density is missing or not finite in 1 of 1500 rows"):
        regress_in_chunks(
            panel.assign(density=panel["density"].where(panel.index > 0)), "earnings", ["density"], cluster="place"
        )


def test_effects_that_are_not_absorbed_are_an_error(panel, monkeypatch):
    monkeypatch.setattr(design, "MAXIMUM_ITERATIONS", 1)
    with pytest.raises(ConvergenceError, match="not absorbed to 1e-13"):
        regress_in_chunks(panel, "earnings", ["density"], effects=EFFECTS, cluster="place", tolerance=1e-13)


def test_wald_of_one_deviation_is_its_squared_t():
    found = wald_test(np.array([0.3]), np.array([[0.04]]), 30)
    assert found.statistic == pytest.approx(2.25)
    assert found.p_value == pytest.approx(2 * stats.t.sf(1.5, 30), rel=1e-10)


@pytest.mark.parametrize(("count", "estimated"), [(5, 0), (2, 2)])
def test_wald_of_no_restriction_or_too_many_is_refused(count, estimated):
    with pytest.raises(ModelError, match="cannot be tested jointly"):
        wald_test(np.ones(count), np.eye(count), 4, estimated)
