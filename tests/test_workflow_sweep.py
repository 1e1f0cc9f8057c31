"""Sweeps: which scenarios there are, that they are solved as any other economy, and that nothing written is lost."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax.cli import app
from spatialjax.errors import ConfigError, OutputError
from spatialjax.workflow import sweep_run, sweep_tables
from spatialjax.workflow.config import RunConfig, SweepRunConfig, load_config
from spatialjax.workflow.identity import differences, identity
from spatialjax.workflow.sweep_answers import Record, approach
from spatialjax.workflow.sweep_batches import Batches
from spatialjax.workflow.sweep_calibration import with_keys
from spatialjax.workflow.sweep_folder import SweepFolder, write_durably
from spatialjax.workflow.sweep_progress import Pace, duration
from spatialjax.workflow.sweep_run import run_sweep
from spatialjax.workflow.sweep_scenarios import scenario_table
from spatialjax.workflow.sweep_schema import SweepSection
from spatialjax.workflow.sweep_writer import Writer

CITIES, SECTORS, OCCUPATIONS = 6, 22, 2
ZERO_TO_ONE = {"first": 0, "last": 1, "count": 2, "spacing": "log"}
MANY = 400
KILLS = 10
INVERSION = {
    "trade_elasticity": 4.0,
    "location_elasticity": 2.0,
    "housing_share": 0.25,
}


def sweep_of(**section):
    return SweepSection.model_validate({"parameter": {}, **section})


def changing(what="land", **values):
    return {"scale": what, **values}


def normal(mean=0.0, standard_deviation=1.0):
    return {"draw": {"distribution": "normal", "mean": mean, "standard_deviation": standard_deviation}}


class TestScenarios:
    def test_a_grid_is_all_combinations_the_last_parameter_first(self):
        table = scenario_table(
            sweep_of(
                kind="grid",
                parameter={
                    "a": changing(values=[1.0, [2.0, 3.0]]),
                    "b": changing(range={"first": 1, "last": 100, "count": 3, "spacing": "log"}),
                },
            )
        )
        assert table.count == 6
        assert [table.row(i)["a"] for i in range(6)] == [1.0] * 3 + [(2.0, 3.0)] * 3
        np.testing.assert_allclose(table.flat["b"], [1, 10, 100] * 2)
        np.testing.assert_allclose(table.flat["a.1"], [1] * 3 + [3] * 3)
        assert table.described(3) == "a = [2, 3], b = 1"

    def test_a_list_takes_values_together(self, tmp_path):
        inline = sweep_of(kind="list", parameter={n: changing(values=v) for n, v in (("a", [1, 2]), ("b", [3, 4]))})
        (tmp_path / "rows.csv").write_text("b,a\n3,1\n4,2\n")
        parameters = {"a": changing(), "b": changing()}
        read = sweep_of(kind="list", file=str(tmp_path / "rows.csv"), parameter=parameters)
        for table in (scenario_table(inline), scenario_table(read)):
            assert [table.row(i) for i in range(table.count)] == [{"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 4.0}]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("a\n1\n", "has no column b; it has a"),
            ("a,b,c\n1,2,3\n", r"column c of .* is no \[sweep.parameter.c\]"),
            ("a,b\n1,2\n3,\n", r"no finite b in scenario 1 \(line 3\)"),
            ("a,b\n", "has no rows"),
        ],
    )
    def test_files_that_are_no_scenarios_are_refused(self, tmp_path, content, message):
        (tmp_path / "rows.csv").write_text(content)
        parameters = {"a": changing(), "b": changing()}
        with pytest.raises(ConfigError, match=message):
            scenario_table(sweep_of(kind="list", file=str(tmp_path / "rows.csv"), parameter=parameters))

    def test_a_draw_depends_on_its_number_and_name_alone(self):
        few = scenario_table(sweep_of(kind="draws", draws=3, parameter={"a": changing(**normal())}))
        many = scenario_table(
            sweep_of(
                kind="draws",
                draws=50,
                parameter={n: changing(**normal()) for n in "ba"} | {"g": changing(values=[1, 2])},
            )
        )
        assert list(many.flat["a"][:6:2]) == list(many.flat["a"][1:6:2]) == list(few.flat["a"])
        assert many.count == 100
        assert list(many.flat["g"][:4]) == [1, 2, 1, 2]
        assert not set(many.flat["a"]) & set(many.flat["b"])
        other = scenario_table(sweep_of(kind="draws", draws=3, seed=1, parameter={"a": changing(**normal())}))
        assert not set(other.flat["a"]) & set(few.flat["a"])

    def test_draws_have_their_distributions_and_correlation(self):
        table = scenario_table(
            sweep_of(
                kind="draws",
                draws=4000,
                correlation=[["n", "l", 0.6]],
                parameter={
                    "n": changing(**normal(2.0, 0.5)),
                    "l": changing(draw={"distribution": "lognormal", "median": 3.0, "log_standard_deviation": 0.2}),
                    "u": changing(draw={"distribution": "uniform", "lowest": -1.0, "highest": 3.0}),
                },
            )
        ).flat
        error = 4 / np.sqrt(4000)
        assert table["n"].mean() == pytest.approx(2.0, abs=0.5 * error)
        assert np.log(table["l"]).std() == pytest.approx(0.2, rel=error)
        assert np.median(table["l"]) == pytest.approx(3.0, rel=0.2 * 1.3 * error)
        assert np.histogram(table["u"], bins=4, range=(-1, 3))[0] / 4000 == pytest.approx(0.25, abs=0.5 * error)
        assert np.corrcoef(table["n"], np.log(table["l"]))[0, 1] == pytest.approx(0.6, abs=error)
        assert np.corrcoef(table["n"], table["u"])[0, 1] == pytest.approx(0.0, abs=error)

    def test_correlations_that_cannot_be_are_refused(self):
        parameters = {name: changing(**normal()) for name in "abc"}
        pairs = [["a", "b", 0.9], ["b", "c", 0.9], ["a", "c", -0.9]]
        with pytest.raises(ConfigError, match="no variables have these correlations together"):
            scenario_table(sweep_of(kind="draws", draws=2, parameter=parameters, correlation=pairs))


class TestConfig:
    @pytest.mark.parametrize(
        ("section", "message"),
        [
            ({"kind": "grid", "parameter": {"a": changing()}}, "parameter a has no values"),
            ({"kind": "grid", "parameter": {"a": changing(**normal())}}, "a is drawn, which needs kind = 'draws'"),
            ({"kind": "draws", "draws": 2, "parameter": {"a": changing(values=[1])}}, "no parameter has a draw"),
            ({"kind": "draws", "parameter": {"a": changing(**normal())}}, "draws says how many"),
            (
                {"kind": "list", "parameter": {"a": changing(values=[1]), "b": changing(values=[1, 2])}},
                "a has 1 and b has 2",
            ),
            ({"kind": "grid", "file": "x.csv", "parameter": {"a": changing()}}, "file is of a sweep of kind 'list'"),
            ({"kind": "grid", "parameter": {"a": {"set": "land", "values": [1]} | changing()}}, "found set and scale"),
            ({"kind": "grid", "parameter": {"a": {"calibrate": "land", "values": [1]}}}, "must be a key of"),
            ({"kind": "grid", "parameter": {"wage": changing(values=[1])}}, "parameter wage has the name of something"),
            ({"kind": "grid", "parameter": {"a": changing(values=[1])}, "outcomes": ["wge"]}, "there is no 'wge'"),
            (
                {"kind": "grid", "question": "optimum", "parameter": {"a": changing("income.rate", values=[1])}},
                "at the optimum the planner sets incomes",
            ),
            (
                {"kind": "grid", "policy": "tax", "parameter": {"a": changing(values=[1])}},
                r"there is no \[policy.tax\]",
            ),
            (
                {
                    "kind": "grid",
                    "parameter": {"a": changing(range={"first": 0, "last": 1, "count": 2, "spacing": "log"})},
                },
                "spacing 'log' needs positive values",
            ),
        ],
    )
    def test_mistakes_are_named(self, section, message):
        with pytest.raises(ValueError, match=message):
            SweepRunConfig.model_validate({"sweep": section})

    def test_a_file_with_a_sweep_is_one_and_says_which_key_is_wrong(self, tmp_path):
        path = tmp_path / "sweep.toml"
        path.write_text('[sweep]\nkind = "grid"\n[sweep.parameter.a]\nscale = "land"\nvalues = [1.0, 2.0]\n')
        assert isinstance(load_config(path), SweepRunConfig)
        with pytest.raises(ConfigError, match="sweep.parameter.a.valeus: unknown key; did you mean values?"):
            load_config(path, ["sweep.parameter.a.valeus=[1]"])
        outcome = CliRunner().invoke(app, ["run", str(path)])
        assert outcome.exit_code == 1
        assert f"describes a sweep: spatialjax sweep {path}" in " ".join(outcome.output.split())

    def test_keys_are_written_as_in_the_file(self):
        config = RunConfig()
        changed = with_keys(config, {"spillover.share.1": 0.5, "model.trade_elasticity": 7.0})
        assert changed.spillover.share == (1.304, 0.5)
        assert changed.model.trade_elasticity == 7
        assert with_keys(config, {"spillover.kind": "none"}).spillover.kind == "none"
        for key, message in (
            ("spillover.share.2", "'2' should be a position from 0 to 1"),
            ("spillover.sahre.0", "gives no 'sahre'"),
            ("model.trade_elastcity", "did you mean trade_elasticity"),
        ):
            with pytest.raises(ConfigError, match=message):
                with_keys(config, {key: 1.0})
        with pytest.raises(ConfigError, match="must not be 1"):
            with_keys(config, {"model.occupation_substitution": 1.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small data set, and sweeps over it."""
    folder = tmp_path_factory.mktemp("sweep")
    data = sj.load_data("us-metros")
    largest = np.argsort(-data["employment"].sum(("occupation", "sector")).values)[:CITIES]
    data = data.isel(city=largest).assign_coords(city=[f"city {n}" for n in range(CITIES)])
    data.assign(title=("city", [f"Town {n}" for n in range(CITIES)])).to_netcdf(folder / "small.nc")
    (folder / "base.toml").write_text(
        f"""
        [data]
        source = "{folder / "small.nc"}"
        [model]
        trade_elasticity = {INVERSION["trade_elasticity"]}
        location_elasticity = {INVERSION["location_elasticity"]}
        housing_share = {INVERSION["housing_share"]}
        [spillover]
        kind = "occupation"
        share = [0.3, 0.2]
        size = [0.1, 0.05]
        [policy.tax]
        kind = "flat-tax"
        rate = 0.05
        [counterfactual.dear]
        trade_cost_factor = 1.2
        """
    )
    (folder / "list.toml").write_text(
        """
        extends = "base.toml"
        [sweep]
        kind = "list"
        [sweep.parameter.theta]
        calibrate = "model.trade_elasticity"
        values = [4.0, 5.0, 4.0, 5.0]
        [sweep.parameter.share]
        set = "spillover.share"
        values = [[0.3, 0.2], [0.6, 0.5], [0.3, 0.2], [0.4, 0.1]]
        [sweep.parameter.boom]
        scale = "fundamental_productivity"
        city = ["Town 1", "city 4"]
        sector = ["food"]
        values = [1.2, 1.5, 1.0, 1.2]
        [sweep.parameter.land]
        scale = "land"
        values = [1.0, 1.0, 0.0, 2.0]
        """
    )
    (folder / "grid.toml").write_text(
        f"""
        extends = "base.toml"
        [sweep]
        kind = "grid"
        [sweep.parameter.land]
        scale = "land"
        range = {{ first = 1.0, last = 2.0, count = {MANY} }}
        """
    )
    return folder


def sweep(config, out, *options):
    """The command line's status and output, with lines joined."""
    outcome = CliRunner().invoke(app, ["sweep", str(config), "--out", str(out), *map(str, options)])
    assert not isinstance(outcome.exception, Exception) or isinstance(outcome.exception, SystemExit), outcome.exception
    return outcome.exit_code, " ".join(outcome.output.split())


def inverted(folder, **changed):
    """The economy of the small data set, without the sweep."""
    spillover = sj.OccupationSpillover((0.3, 0.2), (0.1, 0.05))
    return sj.invert(sj.load_data(str(folder / "small.nc")), spillover=spillover, **INVERSION | changed)


def by_hand(folder, theta, share, boom, land):
    """The economy of a scenario of list.toml and the equilibrium of its calibration, without the sweep."""
    economy = inverted(folder, trade_elasticity=theta)
    scale = np.ones((CITIES, OCCUPATIONS, SECTORS))
    scale[[1, 4], :, 0] = boom
    changed = eqx.tree_at(
        lambda e: (e.spillover.share, e.fundamental_productivity, e.land),
        economy,
        (jnp.asarray(share), economy.fundamental_productivity * scale, economy.land * land),
    )
    return changed, sj.solve(economy)


@pytest.fixture(scope="module")
def solved(folder):
    status, text = sweep(folder / "list.toml", folder / "list")
    assert status == 3
    return xr.load_dataset(folder / "list" / "sweep.nc"), text


class TestSweep:
    """A sweep with two calibrations and three changes, one of which makes no economy; compared with single solves."""

    def test_scenarios_are_solved_as_any_economy(self, solved, folder):
        found, _ = solved
        for scenario in (0, 1, 3):
            one = found.sel(scenario=scenario)
            share = (one["share.0"], one["share.1"])
            economy, baseline = by_hand(folder, float(one["theta"]), share, float(one["boom"]), float(one["land"]))
            alone = sj.solve(economy, initial=baseline, tolerance=1e-12)
            for name in ("wage", "employment", "consumption", "price_index", "rent", "welfare"):
                np.testing.assert_allclose(one[name], getattr(alone, name), rtol=1e-8)
            np.testing.assert_allclose(one["gain"], alone.welfare / baseline.welfare - 1, rtol=1e-8, atol=1e-9)
            workers = np.asarray(alone.employment)
            np.testing.assert_allclose(one["mean_wage"], (workers * alone.wage).sum(0) / workers.sum(0), rtol=1e-8)
            moved = np.abs(workers - baseline.employment).sum(0) / 2 / workers.sum(0)
            np.testing.assert_allclose(one["relocated"], moved, rtol=1e-6, atol=1e-9)
        assert abs(found["gain"].sel(scenario=1)).values.max() > 0.01

    def test_what_failed_is_listed_with_its_reason(self, solved, folder):
        found, text = solved
        assert "4 of 4 scenarios done, 1 of them failed" in text
        assert "scenario 2 (theta = 4, share = [0.3, 0.2], boom = 1, land = 0): no economy: land is zero in" in text
        table = pd.read_csv(folder / "list" / "scenarios.csv", index_col="scenario", keep_default_na=False)
        assert list(table["status"]) == ["solved", "solved", "failed", "solved"]
        assert table["reason"][2].startswith("no economy: land is zero in Town 0")
        assert list(table["theta"]) == [4, 5, 4, 5]
        assert float(table["welfare_non-CNR"][3]) == pytest.approx(float(found["welfare"][3, 1]))
        assert np.isnan(found["wage"].sel(scenario=2)).all()

    def test_results_are_labelled(self, solved, folder):
        found, _ = solved
        assert found["wage"].dims == ("scenario", "city", "occupation")
        assert found["wage"].attrs["units"] == "US dollars a year"
        assert list(found["title"].values) == [f"Town {n}" for n in range(CITIES)]
        parts = [xr.load_dataset(path) for path in sorted((folder / "list" / "parts").glob("*.nc"))]
        together = xr.concat([part.sel(scenario=part["status"] == "solved") for part in parts], "scenario")
        xr.testing.assert_equal(together.sortby("scenario")["wage"], found["wage"].sel(scenario=[0, 1, 3]))

    def test_the_same_sweep_has_nothing_left_to_do(self, solved, folder):
        before = {path: path.stat().st_mtime_ns for path in (folder / "list" / "parts").iterdir()}
        status, text = sweep(folder / "list.toml", folder / "list", "--set", "sweep.max_memory=1")
        assert status == 3
        assert "nothing is left to do" in text
        assert before == {path: path.stat().st_mtime_ns for path in (folder / "list" / "parts").iterdir()}

    def test_what_failed_is_solved_when_it_is_tried_again(self, solved, folder):
        out, few = folder / "few", ("--set", "solver.max_evaluations=3")
        status, text = sweep(folder / "list.toml", out, *few)
        assert status == 3
        assert "4 of 4 scenarios done, 4 of them failed" in text
        assert "after 3 evaluations" in text
        assert np.isfinite(xr.load_dataset(out / "sweep.nc")["largest_residual"][[0, 1, 3]]).all()
        parts = len(list((out / "parts").iterdir()))
        status, text = sweep(folder / "list.toml", out, *few, "--retry-failed", "--max-evaluations", 2000)
        assert status == 3  # land of zero is no economy, however often it is tried
        assert len(list((out / "parts").iterdir())) > parts
        again = xr.load_dataset(out / "sweep.nc")
        assert list(again["status"].values) == ["solved", "solved", "failed", "solved"]
        np.testing.assert_allclose(again["wage"], solved[0]["wage"], rtol=1e-7)

    def test_changes_can_be_phased_in(self, solved, folder):
        config = load_config(folder / "list.toml")
        table = scenario_table(config.sweep)
        _, batch = Batches(config, sj.load_data(config.data.source), table).of(range(4))
        assert batch.scenarios == (0, 1, 3)
        path = approach(batch.calibrations[1], *batch.one(1), 1e-10, 500)
        assert path.complete
        assert path.steps > 2
        np.testing.assert_allclose(path.equilibrium.wage, solved[0]["wage"].sel(scenario=1), rtol=1e-7)

    def test_optima_are_asked_of_each_scenario(self, folder, monkeypatch):
        asked = []

        class Found:
            found, path, outcome = True, None, "as it should be"

            def __init__(self, equilibrium):
                self.equilibrium, self.gain = equilibrium, jnp.full(OCCUPATIONS, 0.25)
                self.transfer = equilibrium.wage * 0

        def stand_in(economy, equilibrium, **options):
            asked.append((economy, equilibrium, options))
            found = Found(equilibrium)
            found.found = len(asked) == 1
            return found

        monkeypatch.setattr("spatialjax.workflow.sweep_answers.optimum", stand_in)
        overrides = ["sweep.question=optimum", 'sweep.outcomes=["transfer"]', "planner.objective=max-min"]
        config = load_config(folder / "list.toml", overrides)
        result = run_sweep(config, folder / "optimum")
        assert list(result.scenarios["status"]) == ["solved", "failed", "failed", "failed"]
        assert result.failed[1] == "no optimum: as it should be"
        found = xr.load_dataset(folder / "optimum" / "sweep.nc")
        np.testing.assert_allclose(found["gain"][0], 0.25)
        assert set(found.data_vars) >= {"transfer", "gain", "welfare"}
        assert "wage" not in found
        economy, equilibrium, options = asked[-1]
        assert options["objective"] == sj.MaxMin()
        np.testing.assert_allclose(economy.spillover.share, [0.4, 0.1])
        assert bool(equilibrium.converged)


class TestBatches:
    """The economies that batches hold, beside ones made by hand."""

    def batches(self, folder, *parameters, **section):
        named = {f"p{number}": parameter for number, parameter in enumerate(parameters)}
        tree = load_config(folder / "base.toml").model_dump(exclude_none=True)
        config = SweepRunConfig.model_validate({**tree, "sweep": {"kind": "grid", "parameter": named, **section}})
        table = scenario_table(config.sweep)
        batches = Batches(config, sj.load_data(str(folder / "small.nc")), table)
        return batches, list(batches.of(range(table.count)))

    def test_parameters_change_what_they_name(self, folder):
        batches, (batch,) = self.batches(
            folder,
            {"scale": "trade_cost", "origin": ["Town 2"], "sector": ["wood"], "values": [1.5]},
            {"shift": "spillover.size", "occupation": ["non-CNR"], "values": [0.25]},
            {"set": "income.rate", "values": [0.2, 0.3]},
            {"scale": "amenity", "city": ["Town 0", "city 3"], "occupation": ["CNR"], "values": [[2.0, 3.0]]},
            policy="tax",
        )
        base = batches.base.economy
        assert sorted(batch.changes) == ["amenity", "income.rate", "log_iceberg_cost", "spillover.size"]
        assert batch.scenarios == (0, 1)
        economy, income = batch.one(1)
        assert float(income.rate) == 0.3
        np.testing.assert_allclose(economy.spillover.size - base.spillover.size, [0.0, 0.25])
        factor = np.ones(base.amenity.shape)
        factor[[0, 3], 0] = 2.0
        np.testing.assert_allclose(economy.amenity, factor * base.amenity)
        cost = np.asarray(base.log_iceberg_cost).copy()
        cost[2, [0, 1, 3, 4, 5], 2] += np.log(1.5)
        np.testing.assert_allclose(economy.log_iceberg_cost, cost)
        np.testing.assert_array_equal(economy.land, base.land)

    def test_a_counterfactual_comes_before_the_parameters(self, folder):
        batches, (batch,) = self.batches(folder, {"scale": "land", "values": [2.0]}, counterfactual="dear")
        base = batches.base
        economy, _ = batch.one(0)
        own = np.eye(CITIES, dtype=bool)
        before = inverted(folder).log_iceberg_cost
        np.testing.assert_allclose(economy.log_iceberg_cost, before + np.where(own, 0.0, np.log(1.2)))
        assert (base.start.welfare < base.baseline.welfare).all()
        assert float(sj.evaluate_at(base.economy, base.start.state()).largest()) < 1e-9
        np.testing.assert_array_equal(base.reference.accounts.welfare, base.baseline.welfare)

    def test_calibrations_of_one_structure_are_solved_together(self, folder, monkeypatch):
        sizes = {"calibrate": "spillover.size.0", "values": [0.1, 0.2, 0.3]}
        land = {"scale": "land", "values": [1.0, 2.0]}
        batches, (batch,) = self.batches(folder, sizes, land)
        assert batch.scenarios == (0, 1, 2, 3, 4, 5)
        assert "log_iceberg_cost" not in batch.changes
        assert "fundamental_productivity" in batch.changes
        for position, size in ((0, 0.1), (3, 0.2), (5, 0.3)):
            economy, _ = batch.one(position)
            assert float(economy.spillover.size[0]) == pytest.approx(size)
            before = eqx.tree_at(lambda e: e.land, economy, batches.base.economy.land)
            assert float(sj.evaluate_at(before, before.reference).largest()) < 1e-10
        monkeypatch.setattr("spatialjax.workflow.sweep_batches.MOST_BYTES", 3 * (7000 // 3 + batches.base.own_bytes))
        _, several = self.batches(folder, sizes, land)
        assert [s for batch in several for s in batch.scenarios] == [0, 1, 2, 3, 4, 5]
        assert [len(batch.scenarios) for batch in several] == [3, 3]

        def of_another_kind(config, data, keys):
            preferences = sj.AdditiveAmenities(jnp.ones(())) if "additive" in keys.values() else None
            economy = batches.base.economy
            return replace(batches.base, economy=replace(economy, preferences=preferences or economy.preferences))

        monkeypatch.setattr("spatialjax.workflow.sweep_batches.calibrate", of_another_kind)
        kinds = {"calibrate": "model.amenities", "values": ["additive", "multiplicative"]}
        _, by_kind = self.batches(folder, land, kinds)
        assert [batch.scenarios for batch in by_kind] == [(0, 2), (1, 3)]

    @pytest.mark.parametrize(
        ("parameter", "message"),
        [
            ({"scale": "lnad", "values": [1.0]}, "p0.scale: there is no 'lnad' in this economy; did you mean land?"),
            (
                {"scale": "land", "city": ["Twn 1"], "values": [1.0]},
                "p0.city: the data have no city 'Twn 1'; did you m",
            ),
            ({"scale": "land", "sector": ["x"], "values": [1.0]}, "land has no axis sector; its axes are city"),
            ({"set": "spillover.size", "values": [[1.0, 2.0, 3.0]]}, r"3 numbers were given, but spillover.size has s"),
            ({"set": "land", "values": ["much"]}, "p0: 'much' is no number"),
            ({"set": "income.rate", "values": [0.1]}, "say in sweep.policy which is in force"),
            ({"scale": "log_iceberg_cost", "values": [1.1]}, 'write scale = "trade_cost"'),
            ({"shift": "trade_cost", "values": [1.1]}, "trade_cost can be scaled only"),
        ],
    )
    def test_parameters_of_nothing_are_named(self, folder, parameter, message):
        with pytest.raises(ConfigError, match=message):
            self.batches(folder, parameter)


def stand_in(pause=0.0, until=MANY):
    """In the place of solves: records that are functions of the scenario, at a pace; interrupted at some scenario."""

    class NoBatches:
        def __init__(self, config, data, table):
            pass

        def of(self, pending):
            return iter(pending)

    def answers(batches, config, effort):
        for scenario in batches:
            time.sleep(pause)
            if scenario >= until:
                raise KeyboardInterrupt
            yield made_up(scenario)

    sweep_run.Batches, sweep_run.answers = NoBatches, answers


def made_up(scenario):
    if scenario % 7 == 3:
        return Record(scenario, False, f"reason {scenario}", 11)
    numbers = np.random.default_rng(scenario).uniform(1, 2, (CITIES, OCCUPATIONS))
    outcomes = {"wage": numbers, "gain": numbers[0], "welfare": numbers[1], "rent": numbers[:, 0]}
    return Record(scenario, True, "", scenario, 1e-12, 0, outcomes)


def check_parts(folder, at_least):
    """Every part is whole, and so many scenarios are in them, with the outcomes that they had."""
    seen = set()
    for path in sorted((folder / "parts").glob("part-*.nc")):
        with xr.open_dataset(path) as part:
            for scenario in part["scenario"].values.tolist():
                assert scenario not in seen
                seen.add(scenario)
                record, one = made_up(scenario), part.sel(scenario=scenario)
                assert str(one["status"].values) == ("solved" if record.solved else "failed")
                assert str(one["reason"].values) == record.reason
                assert float(one["land"]) == pytest.approx(1 + scenario / (MANY - 1))
                for name, values in record.outcomes.items():
                    np.testing.assert_array_equal(one[name], values)
    assert len(seen) >= at_least
    return len(seen)


@pytest.fixture
def quick(monkeypatch):
    """Sweeps without solves."""
    monkeypatch.setattr(sweep_run, "Batches", sweep_run.Batches)
    monkeypatch.setattr(sweep_run, "answers", sweep_run.answers)
    stand_in()
    return stand_in


class TestFolder:
    def test_an_interrupted_sweep_says_what_is_done_and_goes_on(self, folder, tmp_path, quick):
        quick(until=120)
        status, text = sweep(folder / "grid.toml", tmp_path / "out")
        assert status == 130
        assert f"interrupted: 120 of {MANY} scenarios done, 17 of them failed, in" in text
        assert check_parts(tmp_path / "out", 120) == 120
        table = pd.read_csv(tmp_path / "out" / "scenarios.csv")
        assert table["status"].value_counts().to_dict() == {"pending": MANY - 120, "solved": 103, "failed": 17}
        assert not (tmp_path / "out" / "sweep.nc").exists()
        quick()
        status, text = sweep(folder / "grid.toml", tmp_path / "out")
        assert status == 3
        assert "120 of 400 scenarios done, 17 of them failed already: going on from there" in text
        assert check_parts(tmp_path / "out", MANY) == MANY
        assert "and 47 more, listed in scenarios.csv" in text

    def test_all_scenarios_are_in_one_file_whatever_memory_it_takes(self, folder, tmp_path, quick, monkeypatch):
        config = load_config(folder / "grid.toml")
        run_sweep(config, tmp_path / "out")
        found = xr.load_dataset(tmp_path / "out" / "sweep.nc")
        for scenario in (0, 3, MANY - 1):
            expected = made_up(scenario).outcomes.get("wage", np.nan)
            np.testing.assert_array_equal(found["wage"].sel(scenario=scenario), np.broadcast_to(expected, (6, 2)))
        monkeypatch.setattr(sweep_tables, "MOST_BYTES", 0)
        (tmp_path / "out" / "sweep.nc").unlink()
        run_sweep(config, tmp_path / "out")
        xr.testing.assert_identical(xr.load_dataset(tmp_path / "out" / "sweep.nc"), found)

    def test_another_sweep_is_refused_unless_it_begins_anew(self, folder, tmp_path, quick):
        quick(until=30)
        out = tmp_path / "out"
        assert sweep(folder / "grid.toml", out)[0] == 130
        quick()
        other = ("--set", "sweep.parameter.land.range.last=3")
        status, text = sweep(folder / "grid.toml", out, *other)
        assert status == 1
        assert "sweep.parameter.land.range.last: 2.0 there, 3.0 here" in text
        assert check_parts(out, 30) == 30
        status, _ = sweep(folder / "grid.toml", out, *other, "--anew")
        assert status == 3
        found = xr.load_dataset(out / "sweep.nc")
        assert float(found["land"][-1]) == 3
        assert (found["scenario"].values == np.arange(MANY)).all()

    def test_results_depend_on_data_and_versions(self, folder, tmp_path, quick, monkeypatch):
        config = load_config(folder / "grid.toml")
        before = identity(config)
        assert differences(before, identity(config)) == []
        more = load_config(folder / "grid.toml", ["sweep.max_memory=2", "sweep.combined=false", "output.folder=x"])
        assert differences(before, identity(more)) == []
        monkeypatch.setattr("spatialjax.workflow.identity.environment", lambda: {"versions": {"jax": "0.0"}})
        assert all(line.startswith("versions.") for line in differences(before, identity(config)))
        assert "0.0 here" in " ".join(differences(before, identity(config)))
        copied = tmp_path / "small.nc"
        copied.write_bytes((folder / "small.nc").read_bytes())
        config = load_config(folder / "grid.toml", [f"data.source={copied}"])
        before = identity(config)
        copied.write_bytes(b"other data")
        assert len(differences(before, identity(config))) == 1

    def test_other_results_are_left_alone(self, folder, tmp_path, quick):
        (tmp_path / "scenarios.csv").write_text("mine\n")
        status, text = sweep(folder / "grid.toml", tmp_path)
        assert status == 1
        assert "has scenarios.csv, which no sweep wrote" in text
        assert (tmp_path / "scenarios.csv").read_text() == "mine\n"

    def test_two_sweeps_at_once_are_refused(self, folder, tmp_path, quick):
        with SweepFolder(tmp_path), pytest.raises(OutputError, match=f"another run .*process {os.getpid()} on"):
            run_sweep(load_config(folder / "grid.toml"), tmp_path)
        run_sweep(load_config(folder / "grid.toml"), tmp_path)

    def test_a_part_that_is_damaged_is_named(self, folder, tmp_path, quick):
        config = load_config(folder / "grid.toml")
        run_sweep(config, tmp_path)
        part = sorted((tmp_path / "parts").iterdir())[0]
        scenarios = xr.load_dataset(part).sizes["scenario"]
        part.write_bytes(part.read_bytes()[:1000])
        with pytest.raises(OutputError, match=f"{part.name} cannot be read .* remove it, and start the sweep again"):
            run_sweep(config, tmp_path)
        part.unlink()
        assert check_parts(tmp_path, 0) == MANY - scenarios
        run_sweep(config, tmp_path)
        assert check_parts(tmp_path, MANY) == MANY

    def test_a_full_disk_is_named_and_leaves_no_half_files(self, folder, tmp_path, quick, monkeypatch):
        def full(self, path, **options):
            Path(path).write_bytes(b"half")
            raise RuntimeError("NetCDF: HDF error")

        config = load_config(folder / "grid.toml")
        with monkeypatch.context() as patch:
            patch.setattr(xr.Dataset, "to_netcdf", full)
            with pytest.raises(
                OutputError, match="cannot write .*part-000001.nc: NetCDF: HDF error; .* disk or a quota"
            ):
                run_sweep(config, tmp_path)
        assert list((tmp_path / "parts").iterdir()) == []
        with pytest.raises(OutputError, match="cannot write .*: Is a directory"):
            write_durably(tmp_path / "parts", lambda path: path.write_text("x"))
        run_sweep(config, tmp_path)
        assert check_parts(tmp_path, MANY) == MANY


class TestWriter:
    def test_what_waits_is_written_together(self):
        groups = []

        def write(records):
            time.sleep(0.05)
            groups.append(list(records))

        with Writer(write) as writer:
            for number in range(100):
                writer.add(number)
        assert [number for group in groups for number in group] == list(range(100))
        assert len(groups) <= 3

    def test_an_error_is_raised_where_records_are_handed_over(self):
        def write(records):
            raise OutputError("the disk is full")

        def hand_over():
            with Writer(write) as writer:
                for number in range(10**6):
                    writer.add(number)
                    time.sleep(1e-4)

        with pytest.raises(OutputError, match="the disk is full"):
            hand_over()

    def test_pace(self):
        pace = Pace(100, 0.0)
        assert pace.described(10) == "no rate known yet"
        pace.saw(101, 60.0)  # the first took a minute to compile
        assert pace.described(60) == "1 scenarios/min, 1:00:00 left"
        for second in range(1, 200):
            pace.saw(101 + 2 * second, 60.0 + second)
        assert pace.described(100) == "2 scenarios/s, 0:50 left"
        assert duration(59.7) == "1:00"


DRIVER = """
import os, signal, sys
import jax
sys.path.insert(0, {tests!r})
from test_workflow_sweep import stand_in
from spatialjax.cli import app
from spatialjax.workflow import identity, sweep_run
stand_in(pause=0.004)
# A process that was forked cannot use JAX.
sweep_run.environment = identity.environment = lambda: {{"versions": {{}}}}
out, log = sys.argv[1:]
for line in sys.stdin:  # a line for each attempt; its process is told, which is then killed
    child = os.fork()
    if child == 0:
        sys.argv = ["spatialjax", "sweep", {config!r}, "--out", out]
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1), os.dup2(descriptor, 2)
        app()
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class TestKilled:
    def test_ten_kills_lose_nothing_that_was_reported(self, folder, tmp_path, quick):
        """Processes of the command line, with solves that take milliseconds, are killed at any moment and go on."""
        run_sweep(load_config(folder / "grid.toml"), tmp_path / "whole")
        out, log = tmp_path / "out", tmp_path / "log"
        script = DRIVER.format(tests=str(Path(__file__).parent), config=str(folder / "grid.toml"))
        command = [sys.executable, "-W", "ignore", "-c", script, str(out), str(log)]
        random, reported, killed = np.random.default_rng(), 0, []
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as driver:

            def attempt():
                log.write_text("")
                driver.stdin.write("go\n")
                return int(driver.stdout.readline())

            def told():
                words = [line.split() for line in log.read_text().splitlines() if "scenarios done" in line]
                return max((int(w[0]) for w in words if w[0].isdigit()), default=0)

            for number in range(KILLS):
                process, before = attempt(), reported
                begun = time.monotonic()
                while number % 3 and told() <= before and time.monotonic() < begun + 20:
                    time.sleep(0.005)
                time.sleep(random.uniform(0, 0.3))
                os.kill(process, signal.SIGKILL)
                assert driver.stdout.readline() == f"{-signal.SIGKILL}\n"
                reported = max(reported, told())
                killed.append(check_parts(out, reported) if (out / "parts").exists() else 0)
            attempt()
            assert driver.stdout.readline() == "3\n", log.read_text()
            driver.stdin.close()
        assert killed == sorted(killed)
        assert killed[-1] > 0
        assert check_parts(out, MANY) == MANY
        xr.testing.assert_identical(xr.load_dataset(out / "sweep.nc"), xr.load_dataset(tmp_path / "whole" / "sweep.nc"))
        names = {path.name for path in (*out.iterdir(), *(out / "parts").iterdir()) if path.name.startswith(".")}
        assert names == set()
