"""Sorting: who moves and where to, and what entrants earn."""

import numpy as np
import pandas as pd
import pytest
from drawn_panels import drawn_panel
from scipy import stats

from spatialjax.density.published import TABLE_7, TABLE_8
from spatialjax.density.sorting import continuing, entrant_earnings, movers_and_stayers, relocation_by_percentile
from spatialjax.errors import DataError, EstimationWarning


def moving(rank):
    """Probability of drawing a new place; one draw in twelve is the old one."""
    return 0.1 + 0.2 * (rank > 0.8)


@pytest.fixture(scope="module")
def drawn():
    return drawn_panel(11, number=40_000, move_of=moving)


def part(table, **keys):
    """Rows of a tidy table by percentile."""
    return table[(table[list(keys)] == pd.Series(keys)).all(axis=1)].set_index("percentile")


class TestContinuing:
    def test_leaves_out_entrants_exits_and_miscoded(self, drawn):
        panel, cbsas = drawn
        panel = panel.assign(county_changes=np.where(np.arange(len(panel)) % 10 == 0, 2, panel["county_changes"]))
        expected = panel[~panel["entrant"] & ~panel["exit"] & (panel["county_changes"] <= 1)]
        found = continuing(panel, cbsas)
        assert list(found.index) == list(expected.index)
        np.testing.assert_array_equal(found["relocated"], expected["cbsa"] != expected["cbsa_lag"])
        log_density = np.log(cbsas["density"])
        change = log_density[expected["cbsa"]].to_numpy() - log_density[expected["cbsa_lag"]].to_numpy()
        np.testing.assert_allclose(found["log_change"], change)

    def test_warns_of_origins_that_are_no_cbsa(self, drawn):
        panel, cbsas = drawn
        with pytest.warns(EstimationWarning, match="come from places that the table of CBSAs lacks"):
            found = continuing(panel[panel["cbsa"] != 10000], cbsas.drop(index=10000))
        assert not (found["cbsa_lag"] == 10000).any()

    def test_refuses_unknown_places_and_panels_without_anyone(self, drawn):
        panel, cbsas = drawn
        with pytest.raises(DataError, match="column cbsa has 1 codes"):
            continuing(panel.assign(cbsa=1), cbsas)
        with pytest.raises(DataError, match="no continuing establishments"):
            continuing(panel.assign(county_changes=3), cbsas)


class TestMoversAndStayers:
    def test_differences_have_the_errors_of_welch(self, drawn):
        panel, cbsas = drawn
        table, sample = movers_and_stayers(panel, cbsas), continuing(panel, cbsas)
        moved = sample["relocated"].to_numpy()
        for name, values in {"age": sample["age"], "log_earnings": np.log(sample["earnings"])}.items():
            row, values = table.loc[name], values.to_numpy(float)
            welch = stats.ttest_ind(values[moved], values[~moved], equal_var=False).statistic
            assert row["difference"] / row["difference_error"] == pytest.approx(welch, rel=1e-10)
            assert row["movers_sd"] == pytest.approx(values[moved].std(ddof=1))
        assert (table.loc["count", "movers"], table.loc["count", "stayers"]) == (moved.sum(), (~moved).sum())

    def test_destinations_are_compared_with_the_movers_own_origins(self, drawn):
        panel, cbsas = drawn
        row = movers_and_stayers(panel, cbsas).loc["log_density_destination"]
        movers = continuing(panel, cbsas).query("relocated")
        log_density = np.log(cbsas["density"])
        destination, origin = (log_density[movers[name]].to_numpy() for name in ("cbsa", "cbsa_lag"))
        assert row["difference"] == pytest.approx(movers["log_change"].mean())
        paired, welch = stats.ttest_rel(destination, origin), stats.ttest_ind(destination, origin, equal_var=False)
        assert row["difference"] / row["paired_error"] == pytest.approx(paired.statistic)
        assert row["difference"] / row["difference_error"] == pytest.approx(welch.statistic)
        assert np.isnan(row["stayers"])

    def test_has_the_published_table_beside(self, drawn):
        table = movers_and_stayers(*drawn)
        assert list(table.index) == list(TABLE_7.index)
        np.testing.assert_allclose(table["published_movers"], TABLE_7["movers"])

    def test_needs_movers(self, drawn):
        panel, cbsas = drawn
        with pytest.raises(DataError, match="0 movers among"):
            movers_and_stayers(panel.assign(cbsa_lag=panel["cbsa"]), cbsas)


class TestRelocationByPercentile:
    def test_raw_is_the_share_that_moves(self, drawn):
        panel, cbsas = drawn
        table = relocation_by_percentile(panel, cbsas, residual=False, window=1)
        sample = continuing(panel, cbsas)
        bins = np.ceil(100 * sample.groupby("cbsa_lag")["earnings"].rank(pct=True)).rename("percentile")
        moved = sample["relocated"].groupby(bins).mean()
        change = sample["log_change"][sample["relocated"]].groupby(bins).mean()
        np.testing.assert_allclose(part(table, measure="move_probability")["mean"], moved, rtol=1e-10)
        np.testing.assert_allclose(part(table, measure="log_density_change")["mean"], change, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("ranking", ["origin", "full"])
    def test_recovers_who_moves(self, drawn, ranking):
        table = relocation_by_percentile(*drawn, ranking=ranking, clustered=False)
        found = part(table, measure="move_probability")
        truth = moving((found.index.to_numpy() - 0.5) / 100) * 11 / 12
        inside = (found.index < 78) | (found.index > 83)
        z = (found["mean"] - truth) / found["standard_error"]
        if ranking == "origin":
            assert np.abs(z[inside]).max() < 5
        assert found["mean"].loc[83:].mean() > 2 * found["mean"].loc[:77].mean()

    def test_ranks_from_before_the_move_are_free_of_the_destinations_pay(self, drawn):
        """Random movers to dense places rank high by what they earn there, not by what they earned before."""
        panel, cbsas = drawn
        log_density = np.log(cbsas["density"])
        gain = log_density[panel["cbsa"]].to_numpy() - log_density.reindex(panel["cbsa_lag"]).fillna(0).to_numpy()
        paid = panel["earnings"] * np.exp(0.2 * np.where(panel["entrant"], 0, gain))
        panel = panel.assign(earnings_lag=panel["earnings"], earnings=paid)

        def tilt(column):
            change = part(relocation_by_percentile(panel, cbsas, earnings=column), measure="log_density_change")["mean"]
            return change.loc[51:].mean() - change.loc[:50].mean()

        assert tilt("earnings") > 0.4
        assert abs(tilt("earnings_lag")) < 0.15

    def test_simulation_is_subtracted(self, drawn):
        panel, cbsas = drawn
        percentiles = np.tile(np.arange(1, 101), 4)
        simulated = pd.DataFrame({"percentile": percentiles, "mean": np.arange(400) / 100})
        simulated["ranking"] = np.repeat(["origin", "full"], 200)
        simulated["measure"] = np.tile(np.repeat(["move_probability", "log_density_change"], 100), 2)
        table = relocation_by_percentile(panel, cbsas, ranking="full", simulated=simulated, residual=False)
        for measure, first in {"move_probability": 200, "log_density_change": 300}.items():
            data, less = (part(table, measure=measure, series=series) for series in ("data", "data less simulation"))
            baseline = np.arange(first, first + 100) / 100
            for name in ("mean", "lower", "upper"):
                np.testing.assert_allclose(data[name] - less[name], baseline)


class TestEntrants:
    def test_gaps_are_relative_to_incumbents_and_entrants(self, drawn):
        panel, cbsas = drawn
        earnings = np.log(panel["earnings"].to_numpy())
        table = entrant_earnings(panel, cbsas, earnings=earnings).set_index(["entrants", "statistic"])
        dense, sparse = (panel["cbsa"].isin(cbsas.index[n]).to_numpy() for n in (slice(-3, None), slice(3)))
        entrant, multi = panel["entrant"].to_numpy(), panel["multi_unit"].to_numpy()

        def gap(rows, statistic):
            return statistic(earnings[rows & dense]) - statistic(earnings[rows & sparse])

        for name, statistic in {
            "mean": np.mean,
            "median": np.median,
            "standard deviation": lambda x: x.std(ddof=1),
        }.items():
            both = gap(entrant & multi, statistic)
            row = table.loc[("multi-unit", name)]
            assert row["difference"] == pytest.approx(both)
            assert row["relative_to_incumbents"] == pytest.approx(both - gap(~entrant, statistic), abs=1e-12)
            assert row["relative_to_entrants"] == pytest.approx(both - gap(entrant, statistic), abs=1e-12)
        assert table.loc[("all", "count"), "high_density"] == (entrant & dense).sum()
        np.testing.assert_allclose(table["published_difference"].loc["all"], TABLE_8["difference"].loc["all"])

    def test_recovers_a_premium_of_entrants(self):
        """Entrants into dense places earn 0.2 more, those of multi-unit firms 0.2 less than that."""
        panel, cbsas = drawn_panel(12, number=60_000, move_of=lambda rank: 0 * rank)
        dense = panel["cbsa"].isin(cbsas.index[-3:])
        extra = 0.2 * (panel["entrant"] & dense) * ~panel["multi_unit"]
        panel["earnings"] *= np.exp(extra)
        table = entrant_earnings(panel, cbsas).set_index(["entrants", "statistic"])
        assert table.loc[("all", "mean"), "relative_to_incumbents"] == pytest.approx(0.14, abs=0.04)
        assert table.loc[("multi-unit", "mean"), "relative_to_incumbents"] == pytest.approx(0.0, abs=0.05)
        assert table.loc[("multi-unit", "mean"), "relative_to_entrants"] == pytest.approx(-0.14, abs=0.04)

    def test_are_needed_in_both_groups(self):
        panel, cbsas = drawn_panel(13, number=3000)
        panel.loc[panel["cbsa"].isin(cbsas.index[:3]), "entrant"] = False
        with pytest.raises(DataError, match="in CBSAs of low density"):
            entrant_earnings(panel, cbsas)
