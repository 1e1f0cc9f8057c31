"""Selection: percentiles, residuals, exits, survivors, distributions, and moments of the concrete industry."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from drawn_panels import drawn_cbsas, drawn_panel
from scipy import stats

from spatialjax.density.cbsas import cbsa_table
from spatialjax.density.distributions import (
    distribution_statistics,
    earnings_densities,
    earnings_statistics,
    establishments_of,
    kernel_density,
)
from spatialjax.density.percentiles import density_groups, difference, look_up, percentile, percentile_means
from spatialjax.density.published import TABLE_1, TABLE_6
from spatialjax.density.residuals import residual_earnings, residualised
from spatialjax.density.selection import exit_by_percentile, survivors
from spatialjax.density.syverson import concrete_moments, syverson
from spatialjax.errors import DataError, EstimationWarning


@pytest.fixture(scope="module")
def drawn():
    return drawn_panel()


def part(table, **keys):
    """Rows of a tidy table by percentile."""
    return table[(table[list(keys)] == pd.Series(keys)).all(axis=1)].set_index("percentile")


@pytest.fixture(scope="module")
def cohort():
    """Entrants of 1992 of whom the upper half by earnings is there in 1997, with earnings 0.3 higher."""
    panel, cbsas = drawn_panel(7, number=6000)
    first = panel[panel["year"] == 1992].assign(entrant=True, age=0)
    first["log_earnings"] = np.log(first["earnings"])
    upper = first["log_earnings"] > first.groupby("cbsa")["log_earnings"].transform("median")
    later = first[upper].assign(year=1997, entrant=False, age=5, log_earnings=first["log_earnings"][upper] + 0.3)
    return pd.concat([first, later], ignore_index=True), cbsas, first, later


@pytest.fixture(scope="module")
def plants():
    rng = np.random.default_rng(10)
    place_years = pd.MultiIndex.from_product([range(100, 160), [1982, 1987, 1992]], names=["cbsa", "year"])
    construction = pd.DataFrame({"employment": np.exp(rng.normal(8, 1, len(place_years)))}, place_years)
    number = rng.integers(4, 12, len(place_years))
    panel = construction.rename(columns={"employment": "demand"}).reset_index()
    panel = panel.loc[panel.index.repeat(number)].reset_index(drop=True)
    panel["industry"] = 3273
    panel["employment"] = rng.integers(4, 30, len(panel)).astype(float)
    earnings = 9 + 0.095 * np.log(panel.pop("demand")) + 0.3 * rng.normal(size=len(panel))
    panel["earnings"] = np.exp(earnings)
    other = panel.iloc[:50].assign(industry=3272, earnings=1.0)
    return pd.concat([panel, other], ignore_index=True), construction.reset_index()


class TestPercentiles:
    def test_are_ranks_within_places(self):
        rng = np.random.default_rng(1)
        places = rng.integers(0, 3, 900)
        values = rng.normal(size=900)
        rank = pd.Series(values).groupby(places).rank()
        size = pd.Series(values).groupby(places).transform("size")
        np.testing.assert_array_equal(percentile(values, places), np.ceil(100 * rank / size))

    def test_ties_follow_identifiers_not_rows(self):
        rng = np.random.default_rng(2)
        values, ids = rng.integers(0, 5, 1000).astype(float), rng.permutation(1000)
        order = rng.permutation(1000)
        found = percentile(values, ties=ids)
        np.testing.assert_array_equal(percentile(values[order], ties=ids[order]), found[order])
        lowest = values == 0
        assert (np.diff(found[lowest][np.argsort(ids[lowest])]) >= 0).all()
        np.testing.assert_array_equal(np.bincount(found)[1:], 10)

    def test_small_places_are_named(self):
        places = np.array([7] * 150 + [9] * 20)
        with pytest.warns(EstimationWarning, match=r"empty: 9 \(20\)"):
            percentile(np.arange(170.0), places)

    def test_values_must_be_finite(self):
        with pytest.raises(DataError, match="1 of 3 values"):
            percentile(np.array([1.0, np.nan, 2.0]))

    def test_independent_means_are_a_regression_on_bins(self):
        rng = np.random.default_rng(3)
        bins = rng.permutation(np.repeat(np.arange(1, 101), 8))
        y = rng.normal(size=800) + bins / 50
        means = pd.Series(y).groupby(bins).mean()
        variance = pd.Series(y).groupby(bins).var() / 8
        found = percentile_means(y, bins)
        np.testing.assert_allclose(found["mean"].iloc[40], means.loc[40:42].mean(), rtol=1e-12)
        np.testing.assert_allclose(found["standard_error"].iloc[40], np.sqrt(variance.loc[40:42].sum()) / 3, rtol=1e-12)
        np.testing.assert_allclose(found["mean"].iloc[[0, 99]], [means.loc[1:2].mean(), means.loc[99:].mean()])
        half = 1.959963984540054 * found["standard_error"]
        np.testing.assert_allclose(found["upper"] - found["mean"], half, rtol=1e-10)

    def test_clustered_errors_are_those_of_a_regression_on_bins(self):
        rng = np.random.default_rng(4)
        bins, clusters = rng.permutation(np.repeat(np.arange(1, 101), 30)), rng.integers(0, 15, 3000)
        y = rng.normal(size=3000) + rng.normal(size=15)[clusters]
        dummies = (bins[:, None] == np.arange(1, 101)).astype(float)
        options = {"groups": clusters, "use_correction": False}
        fit = sm.OLS(y, dummies).fit(cov_type="cluster", cov_kwds=options)
        window = np.zeros((1, 100))
        window[0, 49:52] = 1 / 3
        expected = fit.t_test(window).sd.item() * np.sqrt(15 / 14)
        found = percentile_means(y, bins, clusters)
        np.testing.assert_allclose(found["standard_error"].loc[51], expected, rtol=1e-10)

    def test_empty_percentiles_are_left_out(self):
        bins = np.array([1, 1, 2, 2, 50, 50])
        found = percentile_means(np.array([0.0, 2.0, 3.0, 5.0, 1.0, 1.0]), bins)
        np.testing.assert_allclose(found["mean"].loc[[1, 3, 49, 51]], [2.5, 4.0, 1.0, 1.0])
        assert found["mean"].loc[[5, 100]].isna().all()

    def test_difference_of_independent_sets(self):
        rng = np.random.default_rng(5)
        bins = np.repeat(np.arange(1, 101), 5)
        first, second = (percentile_means(rng.normal(size=500), bins) for _ in range(2))
        gap = difference(first, second)
        np.testing.assert_allclose(gap["mean"], first["mean"] - second["mean"])
        np.testing.assert_allclose(
            gap["standard_error"] ** 2, first["standard_error"] ** 2 + second["standard_error"] ** 2
        )


class TestGroups:
    def test_quarters_of_the_embedded_cbsas(self):
        cbsas = cbsa_table()
        groups = density_groups(cbsas)
        assert groups.value_counts().to_dict() == {"low": 91, "middle": 181, "high": 91}
        density = cbsas["density"]
        assert density[groups == "low"].max() < density[groups == "middle"].min()
        assert cbsas["title"][density[groups == "high"].idxmin()] == "Niles-Benton Harbor, MI"

    def test_look_up_names_unknown_codes(self):
        with pytest.raises(DataError, match="2 codes that the table of CBSAs lacks: 3, 9"):
            look_up(pd.Series([1.0, 2.0], [1, 2]), pd.Series([1, 3, 9, 2], name="cbsa"))

    def test_densities_must_be_positive(self):
        cbsas = drawn_cbsas()
        cbsas.loc[10040, "density"] = np.nan
        with pytest.raises(DataError, match="10040"):
            density_groups(cbsas)


class TestResiduals:
    def test_are_those_of_least_squares_with_the_mean(self, drawn):
        panel = drawn[0].iloc[:3000]
        y = np.log(panel["earnings"])
        dummies = pd.get_dummies(panel[["age", "industry", "year"]].astype(str), drop_first=True, dtype=float)
        controls = dummies.assign(n=np.log(panel["employment"]), m=panel["multi_unit"].astype(float))
        fit = sm.OLS(y, sm.add_constant(controls)).fit()
        np.testing.assert_allclose(residual_earnings(panel), fit.resid + y.mean(), atol=1e-7)

    def test_mean_at_each_age_is_the_mean_of_all(self, drawn):
        panel, _ = drawn
        by_age = pd.Series(residual_earnings(panel)).groupby(panel["age"].to_numpy()).mean()
        np.testing.assert_allclose(by_age, np.log(panel["earnings"]).mean(), atol=1e-6)

    def test_of_some_rows_have_their_own_mean(self, drawn):
        panel, _ = drawn
        young = panel["age"].to_numpy() <= 5
        found = residualised(panel, "exit", young)
        assert len(found) == young.sum()
        assert found.mean() == pytest.approx(panel["exit"][young].mean(), abs=1e-9)

    def test_missing_columns_and_levels_are_named(self, drawn):
        panel = drawn[0].iloc[:100]
        with pytest.raises(DataError, match="column age is missing"):
            residual_earnings(panel.drop(columns="age"))
        with pytest.raises(DataError, match="column earnings is not above zero in 100 of 100"):
            residual_earnings(panel.assign(earnings=0.0))


class TestExit:
    def test_raw_is_the_share_that_exits(self, drawn):
        panel, cbsas = drawn
        table = exit_by_percentile(panel, cbsas, residual=False, window=1)
        rank = panel.groupby("cbsa")["earnings"].rank(pct=True)
        bins, dense = np.ceil(100 * rank), panel["cbsa"].isin(cbsas.index[-3:])
        for sample, rows in {"all": dense, "young": dense & (panel["age"] <= 5)}.items():
            found = part(table, sample=sample, group="high")
            expected = panel["exit"][rows].groupby(bins[rows]).mean()
            np.testing.assert_allclose(found["mean"], expected.reindex(found.index), rtol=1e-10)

    def test_recovers_how_exit_falls_with_earnings(self, drawn):
        panel, cbsas = drawn
        table = exit_by_percentile(panel, cbsas, clustered=False)
        for group in ("high", "low"):
            found = part(table, sample="all", group=group)
            truth = 0.3 - 0.2 * (found.index.to_numpy() - 0.5) / 100
            z = (found["mean"] - truth) / found["standard_error"]
            assert np.abs(z).max() < 4.5
            assert z.std() < 1.5
            assert found["mean"].loc[:20].mean() - found["mean"].loc[81:].mean() == pytest.approx(0.16, abs=0.03)
        gap = part(table, sample="all", group="high less low")
        assert abs(gap["mean"].mean()) < 0.015

    def test_controls_remove_what_age_does_to_exit(self, drawn):
        panel, cbsas = drawn
        dense = panel["cbsa"].isin(cbsas.index[-3:]).to_numpy()
        rng = np.random.default_rng(6)
        panel = panel[~dense | (panel["age"] <= 8) | (rng.random(len(panel)) < 0.2)].copy()
        panel["exit"] = rng.random(len(panel)) < 0.4 - 0.02 * panel["age"]

        def gap(residual):
            table = exit_by_percentile(panel, cbsas, residual=residual)
            return part(table, sample="all", group="high less low")["mean"].mean()

        assert gap(residual=False) > 0.04
        assert abs(gap(residual=True)) < 0.015


class TestSurvivors:
    def test_are_those_of_the_cohort(self, cohort):
        panel, cbsas, first, later = cohort
        table = survivors(panel, cbsas, earnings=panel["log_earnings"].to_numpy()).set_index(["reading", "statistic"])
        sparse = cbsas.index[:3]
        entrants = first["log_earnings"][first["cbsa"].isin(sparse)]
        survived = later["log_earnings"][later["cbsa"].isin(sparse)] - 0.3
        low = table["low_density"]
        assert low["at_entry", "mean"] == pytest.approx(survived.mean() - entrants.mean(), abs=1e-12)
        assert low["five_years_on", "mean"] == pytest.approx(low["at_entry", "mean"] + 0.3, abs=1e-12)
        spread = survived.quantile(0.9) - survived.quantile(0.1) - entrants.quantile(0.9) + entrants.quantile(0.1)
        assert low["at_entry", "90-10"] == pytest.approx(spread, abs=1e-12)
        assert low["five_years_on", "standard deviation"] == pytest.approx(survived.std() - entrants.std(), abs=1e-12)
        assert low["at_entry", "survival rate"] == len(survived) / len(entrants)
        assert table["difference"]["at_entry", "50-10"] == pytest.approx(
            table["high_density"]["at_entry", "50-10"] - low["at_entry", "50-10"]
        )

    def test_have_published_numbers_beside(self, cohort):
        panel, cbsas, *_ = cohort
        table = survivors(panel, cbsas).set_index(["reading", "statistic"])
        assert set(table.loc["at_entry"].index) == set(TABLE_6.index)
        assert table.loc[("at_entry", "mean"), "published_low_density"] == 0.268

    def test_net_of_age_effects_later_earnings_are_no_higher(self, cohort):
        """Means at every age are alike, so that the evolution of a cohort cannot be seen."""
        panel, cbsas, *_ = cohort
        table = survivors(panel, cbsas).set_index(["reading", "statistic"])["low_density"]
        assert abs(table["five_years_on", "mean"]) < 0.05
        assert table["at_entry", "mean"] > 0.3

    def test_need_two_cross_sections(self, cohort):
        panel, cbsas, *_ = cohort
        with pytest.raises(DataError, match="two cross-sections"):
            survivors(panel[panel["year"] == 1992], cbsas)


class TestDistributions:
    def test_kernel_density_on_grid_points_is_exact(self):
        values = np.round(np.random.default_rng(8).beta(2, 3, 400), 2)
        values[:2] = 0.0, 1.0
        found = kernel_density(values, bandwidth=0.25, points=301)
        expected = stats.gaussian_kde(values, bw_method=0.25 / values.std(ddof=1))(found["value"])
        np.testing.assert_allclose(found["density"], expected, atol=1e-12)

    def test_kernel_density_between_grid_points(self):
        values = np.random.default_rng(9).normal(size=3000)
        found = kernel_density(values)
        np.testing.assert_allclose(found["density"], stats.gaussian_kde(values)(found["value"]), atol=2e-4)
        assert np.trapezoid(found["density"], found["value"]) == pytest.approx(1, abs=1e-4)

    def test_kernel_density_refuses_a_single_value(self):
        with pytest.raises(DataError, match="not all equal"):
            kernel_density(np.ones(5))

    def test_densities_are_shifted_by_the_gap(self, drawn):
        panel, cbsas = drawn
        panel = panel.assign(log_earnings=np.log(panel["earnings"]))
        kind = "entrants"
        curves = earnings_densities(panel, cbsas, kind=kind)
        means = {
            group: np.trapezoid(curve["value"] * curve["density"], curve["value"])
            for group, curve in curves.groupby("group")
        }
        rows = panel[panel["entrant"]]
        by_group = rows["log_earnings"].groupby(density_groups(cbsas)[rows["cbsa"]].to_numpy()).mean()
        assert means["high"] - means["low"] == pytest.approx(by_group["high"] - by_group["low"], abs=1e-3)
        assert means["high"] - means["low"] == pytest.approx(0.07 * 27 / 11, abs=0.05)

    def test_relative_to_the_place(self, drawn):
        panel, cbsas = drawn
        table = earnings_statistics(panel, cbsas, relative=True)
        np.testing.assert_allclose(table.loc["mean"], 0, atol=1e-12)
        rows = establishments_of(panel, "continuing") & panel["cbsa"].isin(cbsas.index[:3]).to_numpy()
        expected = distribution_statistics(np.log(panel["earnings"][rows]))
        found = earnings_statistics(panel, cbsas, kind="continuing")["low"]
        pd.testing.assert_series_equal(found, expected, check_names=False)


class TestSyverson:
    def test_moments_by_hand(self, plants):
        panel, construction = plants
        moments = concrete_moments(panel, construction).set_index(["cbsa", "year"])
        rows = panel[(panel["industry"] == 3273) & (panel["employment"] >= 5)]
        sizes = rows.groupby(["cbsa", "year"]).size()
        assert set(moments.index) == set(sizes.index[sizes >= 5])
        for key in list(moments.index)[:3]:
            own = rows[(rows["cbsa"] == key[0]) & (rows["year"] == key[1])]
            y, size, found = np.log(own["earnings"]), own["employment"], moments.loc[key]
            demand = construction.set_index(["cbsa", "year"])["employment"][key]
            assert found["median"] == pytest.approx(np.median(y))
            assert found["interquartile range"] == pytest.approx(np.subtract(*np.percentile(y, [75, 25])))
            assert found["tenth percentile"] == pytest.approx(np.percentile(y, 10))
            assert found["size-weighted mean"] == pytest.approx(np.average(y, weights=size))
            assert found["mean size"] == pytest.approx(np.log(size.mean()))
            assert found["producer-demand ratio"] == pytest.approx(1000 * len(own) / demand)

    def test_regressions_recover_the_truth(self, plants):
        result = syverson(*plants)
        table = result.table()
        assert list(table.index) == list(TABLE_1.index)
        for name, truth in {"median": 0.095, "size-weighted mean": 0.095, "interquartile range": 0.0}.items():
            row = table.loc[name]
            assert abs(row["coefficient"] - truth) < 3.5 * row["standard_error"]
        dummies = pd.get_dummies(result.moments["year"], dtype=float)
        x = dummies.assign(demand=result.moments["log_demand"])
        fit = sm.OLS(result.moments["median"], x).fit(cov_type="HC1")
        assert table.loc["median", "coefficient"] == pytest.approx(fit.params["demand"], abs=1e-8)
        assert table.loc["median", "published_lbd"] == 0.095

    def test_missing_demand_is_named(self, plants):
        panel, construction = plants
        with pytest.raises(DataError, match="no construction employment"):
            syverson(panel, construction[construction["year"] != 1987])

    def test_too_few_plants(self, plants):
        with pytest.raises(DataError, match="no CBSA has enough plants"):
            syverson(*plants, minimum_plants=1000)
