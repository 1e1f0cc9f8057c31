import econhdfe
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from establishments import INSTRUMENTS, drawn_cbsas, drawn_panel

from spatialjax.density import columns, published
from spatialjax.density.alternatives import (
    alternatives_table,
    cbsa_first_stages,
    first_stages,
    instrumented_premium,
    with_instruments,
    with_measure,
)
from spatialjax.density.characteristics import characteristic_on_density, characteristics_table
from spatialjax.density.columns import with_regressors
from spatialjax.density.differences import continuing, first_differences, relocation_table
from spatialjax.density.premium import SPECIFICATIONS, premium, premium_table, subgroup_table
from spatialjax.density.quintiles import alternative_quintile_table, quintile_table, quintiles
from spatialjax.errors import DataError, EstimationWarning, ModelError
from spatialjax.estimation.regression import regress

TRUTH = {"log_density": 0.07, "college_share": 0.9}


@pytest.fixture(scope="module")
def cbsas():
    return drawn_cbsas()


@pytest.fixture(scope="module")
def panel(cbsas):
    return with_regressors(drawn_panel(cbsas), cbsas)


def near_truth(table, errors=4, truth=TRUTH):
    """All coefficients are within some standard errors of the truth."""
    deviation = table["coefficient"] - table["regressor"].map(truth)
    assert (deviation.abs() < errors * table["standard_error"]).all(), table


# --- columns


def test_regressors_are_those_of_the_cbsa(panel, cbsas):
    row = panel.iloc[7]
    assert row["log_density"] == np.log(cbsas.loc[row["cbsa"], "density"])
    assert row["college_share"] == cbsas.loc[row["cbsa"], "college_share"]
    assert row["log_earnings"] == np.log(row["earnings"])
    assert row["log_employment"] == np.log(row["employment"])
    assert panel["multi_unit"].dtype == np.int8


def test_employment_density_adds_the_panel_up(cbsas):
    raw = drawn_panel(cbsas, 2000)
    found = with_regressors(raw, cbsas, "employment_density").iloc[11]
    neighbours = raw[(raw["cbsa"] == found["cbsa"]) & (raw["year"] == found["year"])]
    expected = neighbours["employment"].sum() / cbsas.loc[found["cbsa"], "land"]
    assert found["log_density"] == pytest.approx(np.log(expected), rel=1e-12)


def test_rows_without_regressors_are_counted_and_left_out(cbsas):
    raw = drawn_panel(cbsas, 500)
    raw.loc[raw.index[:3], "earnings"] = [0.0, -1.0, np.nan]
    raw.loc[raw.index[3], "cbsa"] = 99
    with pytest.warns(
        EstimationWarning, match=r"log_density in 1, .*log_earnings in 3 of 500 rows; 4 rows are left out"
    ):
        kept = with_regressors(raw, cbsas)
    assert list(kept.index) == list(raw.index[4:])


def test_panels_that_cannot_be_used_are_refused(cbsas):
    raw = drawn_panel(cbsas, 50)
    with pytest.raises(DataError, match="column earnings is missing"):
        with_regressors(raw.drop(columns="earnings"), cbsas)
    with pytest.raises(DataError, match="column weighted_density is missing"):
        with_regressors(raw, cbsas.drop(columns="weighted_density"), "weighted_density")
    with pytest.raises(DataError, match="codes that occur twice: 10000"):
        with_regressors(raw, pd.concat([cbsas, cbsas.head(1)]))
    with pytest.raises(DataError, match="no row is left"):
        with_regressors(raw.assign(earnings=0.0), cbsas)
    with pytest.raises(ModelError, match="density is 'crowding'"):
        with_regressors(raw, cbsas, "crowding")


def test_groups_of_table_4():
    sizes = columns.size_class(pd.Series([1, 9.5, 10, 99, 100, 249, 250, 999, 1000]))
    assert list(sizes.cat.codes) == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    groups = columns.industry_group(pd.Series([17, 20, 39, 52, 60, 81, 70, 89, 50, 13]))
    assert list(groups.cat.codes) == [0, 1, 1, 2, 3, 3, 4, 4, -1, -1]


def test_quantiles_within_groups():
    frame = pd.DataFrame({"cbsa": [1, 2] * 10, "x": np.arange(20.0)[::-1]})
    found = columns.quantile_within(frame, "x", 5)
    assert list(found[frame["cbsa"] == 1]) == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert list(columns.quantile_within(frame.head(7).assign(one=1), "x", 3, by=["one"])) == [3, 3, 3, 2, 2, 1, 1]


# --- eq. (2)


def test_premium_is_least_squares_with_dummies(panel):
    few = panel.head(1500)
    formula = (
        "log_earnings ~ log_density + college_share + log_employment + multi_unit + C(age) + C(industry) + C(year)"
    )
    model = smf.ols(formula, few)
    known = model.fit(cov_type="cluster", cov_kwds={"groups": few["cbsa"].to_numpy()})
    found = premium(few)
    names = list(found.coefficients.index)
    np.testing.assert_allclose(found.coefficients, known.params[names], rtol=1e-8)
    np.testing.assert_allclose(found.standard_errors, known.bse[names], rtol=1e-7)
    assert found.r_squared == pytest.approx(known.rsquared, rel=1e-8)


def test_table_3_recovers_the_truth(panel):
    table = premium_table(panel)
    assert list(table["specification"].unique()) == list(SPECIFICATIONS)
    near_truth(table[table["specification"].isin(["density and college", "all controls"])])
    last = table.iloc[-2]
    assert (last["published_coefficient"], last["published_error"]) == (0.074, 0.010)
    assert (last["observations"], last["clusters"]) == (len(panel), 120)


def test_table_4_recovers_the_truth(panel):
    table = subgroup_table(panel)
    assert len(table) == len(published.TABLE_4)
    assert not table.isna().any(axis=None)
    near_truth(table)
    entrants = table[table["specification"] == "entrants"].iloc[0]
    assert entrants["observations"] == panel["entrant"].sum()


def test_small_subgroups_are_left_out_with_a_warning(panel):
    with pytest.warns(EstimationWarning, match="1000 and more: .* too few; left out"):
        table = subgroup_table(panel.head(4000))
    assert "1000 and more" not in set(table["specification"])


# --- Table 5 and C.1


def test_table_5_recovers_the_truth(panel, cbsas):
    table = alternatives_table(panel, cbsas, INSTRUMENTS).set_index("specification", drop=False)
    near_truth(table.loc[["OLS, restricted", "2SLS, restricted", "employment-weighted"]])
    restricted = table.loc["2SLS, restricted"].iloc[0]
    assert restricted["clusters"] == 115
    assert restricted["published_coefficient"] == 0.104


def test_measures_of_density_enter_in_logs(panel, cbsas):
    changed = with_measure(panel, cbsas, "population")
    assert changed["log_density"].iloc[0] == np.log(cbsas.loc[panel["cbsa"].iloc[0], "population"])
    part = cbsas.assign(weighted_density=cbsas["weighted_density"].where(cbsas.index != cbsas.index[0]))
    with pytest.warns(EstimationWarning, match="log_density in .* rows are left out"):
        kept = with_measure(panel, part, "weighted_density")
    assert len(kept) == (panel["cbsa"] != cbsas.index[0]).sum()
    with pytest.raises(DataError, match="weighted_density is missing in all CBSAs"):
        with_measure(panel, cbsas.assign(weighted_density=np.nan), "weighted_density")


def test_instruments_undo_sorting_on_density(cbsas):
    """A shock to cities that raises density and earnings biases OLS; instruments do not move with it."""
    shock = np.random.default_rng(5).normal(size=len(cbsas))
    denser = cbsas.assign(density=cbsas["density"] * np.exp(0.7 * shock))
    raw = drawn_panel(denser, seed=8)
    raw["earnings"] *= np.exp(0.1 * pd.Series(shock, cbsas.index).reindex(raw["cbsa"]).to_numpy())
    rows = with_instruments(with_regressors(raw, denser), denser, INSTRUMENTS)
    biased, found = premium(rows), instrumented_premium(rows, INSTRUMENTS)
    assert biased.coefficients["log_density"] > 0.07 + 5 * biased.standard_errors["log_density"]
    assert abs(found.coefficients["log_density"] - 0.07) < 3 * found.standard_errors["log_density"]


def test_first_stages_are_those_of_econhdfe(panel, cbsas):
    rows = with_instruments(panel, cbsas, INSTRUMENTS).head(3000)
    found = first_stages(rows, INSTRUMENTS)
    known = econhdfe.ivreghdfe(
        rows,
        y="log_earnings",
        exog=["log_employment", "multi_unit"],
        endog=["log_density", "college_share"],
        instruments=list(INSTRUMENTS),
        absorb=["age", "industry", "year"],
        cluster="cbsa",
        tol=1e-12,
    )
    joint = [row["f_robust"] for row in known.first_stage["diagnostics"]]
    conditional = [row["sw"]["f_robust"] for row in known.diagnostics["sanderson_windmeijer"]]
    np.testing.assert_allclose(found["f_statistic"], joint, rtol=1e-6)
    np.testing.assert_allclose(found["conditional_f"], conditional, rtol=1e-6)
    assert list(found["published_f"]) == [15.30, 2.21]


def test_weak_instruments_warn(panel, cbsas):
    noise = np.random.default_rng(2).normal(size=(2, len(cbsas)))
    table = cbsas.assign(first=noise[0], second=noise[1])
    rows = with_instruments(panel, table, ["first", "second"])
    with pytest.warns(EstimationWarning, match=r"weak instruments: log_density \(conditional F = "):
        first_stages(rows, ["first", "second"])


def test_table_c1_is_least_squares_over_cbsas(cbsas):
    coefficients, diagnostics = cbsa_first_stages(cbsas, INSTRUMENTS)
    table = cbsas.assign(log_density=np.log(cbsas["density"])).dropna()
    known = smf.ols(f"log_density ~ {' + '.join(INSTRUMENTS)}", table).fit(cov_type="HC1")
    found = coefficients.loc["log_density"]
    np.testing.assert_allclose(found.loc[known.params.index, "coefficient"], known.params, rtol=1e-8)
    np.testing.assert_allclose(found.loc[known.params.index, "standard_error"], known.bse, rtol=1e-8)
    test = known.f_test(" = ".join([*INSTRUMENTS, "0"]))
    assert diagnostics.loc["log_density", "f_statistic"] == pytest.approx(float(test.fvalue), rel=1e-8)
    assert diagnostics.loc["log_density", "observations"] == 115


def test_no_cbsa_with_instruments_is_refused(panel, cbsas):
    with pytest.raises(DataError, match="no CBSA of the panel has all of elevation"):
        with_instruments(panel, cbsas.assign(elevation=np.nan), ["elevation"])


# --- quintiles, relocations, characteristics


def test_quintile_tables_recover_a_premium_that_is_the_same_everywhere(panel, cbsas):
    table = quintile_table(panel)
    near_truth(table[table["panel"] != "density"])
    assert len(table) == len(published.TABLE_C2)
    others = alternative_quintile_table(panel, cbsas, INSTRUMENTS)
    assert len(others) == len(published.TABLE_C3)
    near_truth(others[others["panel"].isin(["OLS, restricted", "2SLS, restricted"])])


def test_premium_that_rises_with_earnings_is_seen_by_quintile(cbsas):
    raw = drawn_panel(cbsas, noise=0.0)
    draw = np.random.default_rng(4).normal(size=len(raw))
    log_density = np.log(cbsas["density"].reindex(raw["cbsa"]).to_numpy())
    raw["earnings"] *= np.exp(0.5 * draw + 0.02 * draw * (log_density - 6))
    table = quintile_table(with_regressors(raw, cbsas), residual=True)
    found = table[(table["panel"] == "all controls") & (table["regressor"] == "log_density")]["coefficient"].to_numpy()
    ranked = np.sort(draw).reshape(5, -1).mean(1)
    np.testing.assert_allclose(found, 0.07 + 0.02 * ranked, atol=0.008)


def test_quintiles_by_residual_earnings_do_not_follow_industry(panel):
    plain, residual = quintiles(panel), quintiles(panel, residual=True)
    shifted = panel.assign(log_earnings=panel["log_earnings"] + 0.5 * (panel["industry"] % 4))
    assert (quintiles(shifted, residual=True) == residual).mean() > 0.999
    assert (quintiles(shifted) == plain).mean() < 0.8


def test_relocations_recover_the_premium_of_movers(panel, cbsas):
    table = relocation_table(panel, cbsas)
    near_truth(table[table["specification"].isin(["levels, all controls", "differences, all controls"])])
    assert list(table["published_coefficient"]) == [0.101, 0.072, 0.915, 0.008, 0.007, 0.008]
    rows = continuing(panel, cbsas)
    assert not rows[["entrant", "exit"]].any(axis=None)
    changes = first_differences(rows, cbsas)
    assert ((changes["log_density"] != 0) <= (rows["cbsa"] != rows["cbsa_lag"])).all()


def test_moves_that_may_be_errors_of_coding_are_left_out(panel, cbsas):
    moved = (panel["cbsa"] != panel["cbsa_lag"]) & (panel["cbsa_lag"] > 0)
    rows = continuing(panel.assign(county_changes=np.where(moved & (panel["age"] > 8), 2, 1)), cbsas)
    assert rows.loc[moved.loc[rows.index], "age"].max() == 8
    with pytest.raises(DataError, match="differences need movers"):
        relocation_table(panel.assign(cbsa_lag=panel["cbsa"]), cbsas)
    with pytest.warns(EstimationWarning, match="missing or not positive in 1 rows"):
        continuing(panel.assign(earnings_lag=panel["earnings_lag"].where(panel.index != rows.index[0])), cbsas)


def test_table_2_has_moments_and_regressions(panel):
    table = characteristics_table(panel)
    assert table.loc["entrant", "mean"] == pytest.approx((panel["age"] == 0).mean())
    assert table.loc["age", "sd_establishments"] == pytest.approx(panel["age"].std())
    assert table.loc["exit", "sd_cbsas"] == pytest.approx(panel.groupby("cbsa")["exit"].mean().std())
    assert table.loc["entrant", "published_log_density"] == -0.004
    errors = table["log_density_error"]
    assert (table["log_density"].abs() < 4 * errors).all()  # characteristics are drawn without regard to density


def test_characteristics_that_follow_density_are_found(panel):
    later = panel.assign(exit=np.random.default_rng(6).random(len(panel)) < 0.02 * panel["log_density"])
    found = characteristic_on_density(later, "exit")
    assert abs(found.coefficients["log_density"] - 0.02) < 3 * found.standard_errors["log_density"]
    assert found.standard_errors["log_density"] < 0.005


# --- published numbers


def test_published_counts_add_up():
    for table in (published.TABLE_C2, published.TABLE_C3):
        counts = table[table["regressor"] == "log_density"].groupby("panel")["observations"].sum()
        assert set(counts) <= {published.ALL, published.RESTRICTED - 2}  # FF's quintiles lack two
    size = published.TABLE_4.query("panel == 'size' and regressor == 'log_density'")
    assert size["observations"].sum() == published.ALL


def test_published_differences_are_those_of_their_columns():
    six, seven, eight = published.TABLE_6.drop("count"), published.TABLE_7, published.TABLE_8
    np.testing.assert_allclose(
        (six["high_density"] - six["low_density"]).iloc[:-1], six["difference"].iloc[:-1], atol=6e-4
    )
    own = seven.drop(["log_density_destination", "college_share_destination", "count"])
    np.testing.assert_allclose(own["movers"] - own["stayers"], own["difference"], atol=6e-4)
    rows = eight.dropna(subset="difference")
    np.testing.assert_allclose(rows["high_density"] - rows["low_density"], rows["difference"], atol=1.1e-3)


# --- coverage


def covered(draw, sizes, log_density, college, truth=0.074):
    """Whether the 95 percent interval of the premium holds the truth, in a panel with shocks to CBSAs."""
    code = np.repeat(np.arange(len(sizes)), sizes)
    frame = pd.DataFrame({"cbsa": code, "log_density": log_density[code], "college_share": college[code]})
    frame["industry"] = draw.integers(0, 10, len(code))
    shock = 0.06 * draw.normal(size=len(sizes))[code]
    place = truth * frame["log_density"] + 0.9 * frame["college_share"] + shock
    frame["log_earnings"] = place + 0.02 * frame["industry"] + 0.65 * draw.normal(size=len(code))
    fit = regress(frame, "log_earnings", TRUTH, effects=["industry"], cluster="cbsa")
    interval = fit.confidence_interval().loc["log_density"]
    return interval["lower"] <= truth <= interval["upper"]


def test_intervals_cover_the_premium_with_363_clusters():
    """With CBSAs of moderately unequal size. Sizes as unequal as those of FF's CBSAs cover 0.88."""
    draw = np.random.default_rng(0)
    log_density, college = draw.normal(5, 0.9, 363), draw.normal(0.2, 0.06, 363)
    sizes = np.maximum(2, np.exp(draw.normal(2, 0.5, 363)).astype(int))
    share = np.mean([covered(draw, sizes, log_density, college) for _ in range(200)])
    assert 0.91 <= share <= 0.98
