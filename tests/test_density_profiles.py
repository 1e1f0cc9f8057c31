import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from establishments import INSTRUMENTS, drawn_cbsas, drawn_panel

from spatialjax.density.age_profile import (
    age_profile,
    flat_profile_test,
    instrumented_age_profile,
    instrumented_profiles,
    predicted_earnings,
    profile_table,
    subgroup_profiles,
)
from spatialjax.density.alternatives import with_instruments
from spatialjax.density.columns import with_regressors
from spatialjax.density.premium import UNCONDITIONAL
from spatialjax.density.tenure_profile import tenure_profile
from spatialjax.errors import DataError, EstimationWarning, ModelError

AGES = np.arange(17)


@pytest.fixture(scope="module")
def cbsas():
    return drawn_cbsas()


@pytest.fixture(scope="module")
def flat(cbsas):
    """The premium is the same at all ages and tenures."""
    return with_regressors(drawn_panel(cbsas), cbsas)


@pytest.fixture(scope="module")
def rising(cbsas):
    """The premium is 0.07 + 0.01 a at age a."""
    return with_regressors(drawn_panel(cbsas, slope=0.01), cbsas)


def worst(profile, truth):
    """Largest distance from the truth in standard errors. Joint tests need more clusters than these panels have."""
    return ((profile.elasticities - truth) / profile.standard_errors).abs().max()


# --- eq. (3)


def test_profile_recovers_the_truth(rising):
    profile = age_profile(rising)
    assert list(profile.elasticities.index) == list(AGES)
    assert worst(profile, 0.07 + 0.01 * AGES) < 3.5
    assert profile.standard_errors.max() < 0.02


def test_profile_without_controls_is_a_regression_at_each_age(flat):
    """With a single year and no controls, eq. (3) is least squares at each age apart."""
    rows = flat[flat["year"] == 1997]
    found = age_profile(rows, UNCONDITIONAL)
    apart = [np.polyfit(group["log_density"], group["log_earnings"], 1)[0] for _, group in rows.groupby("age")]
    np.testing.assert_allclose(found.elasticities, apart, rtol=1e-8)


def test_flat_profiles_are_told_from_rising_ones():
    many = drawn_cbsas(363)
    found = [flat_profile_test(age_profile(with_regressors(drawn_panel(many, slope=k), many))) for k in (0, 0.005)]
    assert found[0].p_value > 0.05
    assert found[1].p_value < 1e-4
    assert (found[0].restrictions, found[0].freedom) == (16, 362)


def test_few_clusters_warn_that_a_flat_profile_is_rejected_too_often(flat):
    with pytest.warns(EstimationWarning, match="16 restrictions with 120 clusters"):
        flat_profile_test(age_profile(flat))


def test_flat_profile_test_is_that_of_equal_slopes(flat):
    rows = flat[(flat["year"] == 1997) & (flat["age"] < 4)]
    found = flat_profile_test(age_profile(rows, UNCONDITIONAL))
    model = smf.ols("log_earnings ~ C(age) + C(age):log_density", rows)
    known = model.fit(cov_type="cluster", cov_kwds={"groups": rows["cbsa"].to_numpy()}, use_t=True)
    slopes = [f"C(age)[{age}]:log_density" for age in range(4)]
    test = known.f_test(", ".join(f"{name} = {slopes[0]}" for name in slopes[1:]))
    assert found.statistic == pytest.approx(float(test.fvalue), rel=1e-6)


def test_a_single_age_has_no_profile_to_test(flat):
    with pytest.raises(ModelError, match="cannot be tested"):
        flat_profile_test(age_profile(flat[flat["age"] == 3]))


def test_figure_1_has_three_specifications(flat):
    table = profile_table(flat)
    assert len(table) == 3 * 17
    own = table[table["specification"] == "all controls"]
    np.testing.assert_array_equal(own["elasticity"], age_profile(flat).elasticities)
    np.testing.assert_array_equal(own["standard_error"], age_profile(flat).standard_errors)


def test_figure_2_has_six_panels(flat, cbsas):
    table = subgroup_profiles(flat, cbsas)
    groups = table.drop_duplicates(["panel", "group"]).groupby("panel")["group"].count()
    assert list(groups) == [2, 2, 5, 5, 5, 4]
    multiple = flat[flat["multi_unit"] == 1].drop(columns="multi_unit").assign(multi_unit=flat["age"] % 2)
    own = table[table["group"] == "multi-unit"].set_index("age")["elasticity"]
    ages = smf.ols(
        "log_earnings ~ C(age) + C(age):log_density + college_share + log_employment + C(industry) + C(year)", multiple
    ).fit()
    np.testing.assert_allclose(own, ages.params.filter(like="log_density"), rtol=1e-6)


def test_predicted_earnings_are_fitted_values(flat, cbsas):
    """Figure C.4 against least squares with dummies: phi(a) + elasticity(a) ln D in the first year."""
    found = predicted_earnings(flat, cbsas)
    known = smf.ols("log_earnings ~ C(age) + C(age):log_density + C(year)", flat).fit()
    places = found[["age"]].assign(year=1992, log_density=np.log(cbsas["density"].loc[found["cbsa"]].to_numpy()))
    np.testing.assert_allclose(found["log_earnings"], known.predict(places), rtol=1e-9)
    assert list(found["percentile"].unique()) == [10, 50, 90]
    density = cbsas["density"]
    shares = [(density <= density[code]).mean() for code in found["cbsa"].unique()]
    np.testing.assert_allclose(shares, [0.1, 0.5, 0.9], atol=0.01)


# --- 2SLS


def test_instruments_recover_the_profile_where_cities_have_shocks(cbsas):
    shock = np.random.default_rng(5).normal(size=len(cbsas))
    denser = cbsas.assign(density=cbsas["density"] * np.exp(0.7 * shock))
    raw = drawn_panel(denser, seed=9, slope=0.01)
    raw["earnings"] *= np.exp(0.1 * pd.Series(shock, cbsas.index).reindex(raw["cbsa"]).to_numpy())
    rows = with_instruments(with_regressors(raw, denser), denser, INSTRUMENTS)
    biased, found = age_profile(rows), instrumented_age_profile(rows, INSTRUMENTS, memory=0.002)
    truth = 0.07 + 0.01 * AGES
    assert (biased.elasticities - truth).mean() > 0.04
    assert abs((found.elasticities - truth).mean()) < 0.02
    assert worst(found, truth) < 3.5


def test_figure_c5_is_on_cbsas_with_instruments(flat, cbsas):
    table = instrumented_profiles(flat, cbsas, INSTRUMENTS)
    lacking = cbsas.index[cbsas["elevation"].isna()]
    assert set(table["observations"]) == {int((~flat["cbsa"].isin(lacking)).sum())}
    assert list(table.groupby("specification")["age"].count()) == [17, 17]


# --- eq. (4)


def tenured(cbsas, tenure_slope, count=40000):
    """Movers have a premium that grows by tenure_slope a year; stayers one that grows by age."""
    raw = drawn_panel(cbsas, count, premium=0.05, tenure_slope=tenure_slope, noise=0.2)
    return with_regressors(raw, cbsas)


@pytest.fixture(scope="module")
def constant(cbsas):
    return tenured(cbsas, 0.0)


@pytest.fixture(scope="module")
def growing(cbsas):
    return tenured(cbsas, 0.02)


def test_profiles_are_flat_where_they_are(constant):
    found = tenure_profile(constant)
    assert worst(found.by_age, 0.05) < 3.5
    assert worst(found.by_tenure, 0.05) < 3.5
    assert flat_profile_test(found.by_tenure).p_value > 0.05


def test_growth_with_tenure_is_told_from_growth_with_age(growing):
    """Truth: zeta = 0, mu(tau) = 0.02 tau, nu = 0. With mu(1) = mu(0), tenures after birth are lower by 0.02."""
    found = tenure_profile(growing)
    ages, tenures = np.where(AGES > 0, 0.07, 0.05), 0.05 + 0.02 * np.arange(7)
    assert worst(found.by_age, ages) < 3.5
    assert worst(found.by_tenure, tenures - 0.02) < 3.5
    assert flat_profile_test(found.by_tenure).p_value < 1e-3


def test_shapes_do_not_depend_on_the_normalisation(growing):
    first, last = tenure_profile(growing), tenure_profile(growing, equal_tenure=6)
    by_age = (first.by_age.elasticities - last.by_age.elasticities).to_numpy()
    by_tenure = (first.by_tenure.elasticities - last.by_tenure.elasticities).to_numpy()
    assert by_age[0] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(by_age[1:], by_age[1], atol=1e-6)
    np.testing.assert_allclose(by_tenure, -by_age[1], atol=1e-6)


def test_table_of_figure_5(constant):
    table = tenure_profile(constant).table()
    assert list(table.groupby("profile")["years"].max()) == [16, 6]
    assert set(table["observations"]) == {int((constant["year"] == 1997).sum())}


def test_without_movers_age_and_tenure_are_not_told_apart(constant):
    stayers = constant[~constant["moved"]]
    with pytest.raises(DataError, match=r"only through movers, and 0 of \d+ establishments .* not identified: .*age 1"):
        tenure_profile(stayers)


def test_without_young_movers_tenure_is_not_told_from_age(constant):
    old = constant[~constant["moved"] | (constant["age"] > 8)]
    with pytest.raises(DataError, match=r"not identified: .*tenure 2, .*tenure 0 of movers"):
        tenure_profile(old)


def test_tenures_that_cannot_be_are_refused(constant):
    with pytest.raises(DataError, match="stayers whose tenure is not their age"):
        tenure_profile(constant.assign(moved=False))
    with pytest.raises(DataError, match="movers whose tenure is not below their age"):
        tenure_profile(constant.assign(moved=True))
    with pytest.raises(DataError, match="no establishments of age 0 in 1987"):
        tenure_profile(constant, year=1987)
    with pytest.raises(ModelError, match="equal_tenure is 0"):
        tenure_profile(constant, equal_tenure=0)
    with pytest.raises(DataError, match="column tenure is missing"):
        tenure_profile(constant.drop(columns="tenure"))
