"""Configurations, runs and the command line, on a small data set."""

import json
import os
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from economies import data_from, random_economy
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax.cli import app
from spatialjax.sources.examples import EXAMPLES
from spatialjax.workflow.config import RunConfig, load_config
from spatialjax.workflow.drawing import draw_figures
from spatialjax.workflow.output import prepare_folder, write
from spatialjax.workflow.run import run
from spatialjax.workflow.statements import statements_table
from spatialjax.workflow.summary import figures_table, headline_figures

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small data set with coordinates, its configuration, and the results of running it."""
    folder = tmp_path_factory.mktemp("run")
    economy = random_economy(6, 4, 2, seed=1)
    data = data_from(economy, sj.solve(economy, tolerance=1e-12))
    data = data.assign(
        latitude=("city", np.linspace(30, 45, 6)),
        longitude=("city", np.linspace(-120, -75, 6)),
        title=("city", [f"Town {n}" for n in range(6)]),
    )
    data.to_netcdf(folder / "small.nc")
    (folder / "small.toml").write_text(
        f"""
        [data]
        source = "{folder / "small.nc"}"
        [model]
        trade_elasticity = 4.0
        location_elasticity = 2.0
        housing_share = {float(economy.consumption_share[1])}
        minimum_consumption_share = 0.0
        [spillover]
        kind = "occupation"
        share = [0.3, 0.2]
        size = [0.1, 0.05]
        [counterfactual.no_externalities]
        spillover = {{ kind = "none" }}
        [counterfactual.dearer_trade]
        trade_cost_factor = 1.2
        optimum = true
        [variant.additive]
        amenities = "additive"
        optimum = false
        [policy.tax]
        kind = "flat-tax"
        rate = 0.05
        [stability]
        starts = 2
        """
    )
    return folder


@pytest.fixture(scope="module")
def results(folder):
    outcome = CliRunner().invoke(app, ["run", str(folder / "small.toml"), "--out", str(folder / "results")])
    assert outcome.exit_code == 0, outcome.output
    return folder / "results", outcome.output


class TestRun:
    def test_says_what_it_finds(self, results):
        _, text = results
        assert "6 cities, 4 sectors, 2 occupations" in text
        assert "largest log excess" in text
        assert "leading eigenvalue" in text
        assert "social over private value of occupation 0 labour" in text

    def test_writes_equilibria_with_dimensions_and_units(self, results):
        path, _ = results
        for name in (
            "equilibrium",
            "counterfactual_no_externalities",
            "counterfactual_dearer_trade",
            "counterfactual_dearer_trade_optimum",
            "variant_additive",
            "optimum",
            "policy_tax",
        ):
            with xr.open_dataset(path / f"{name}.nc") as found:
                assert found["employment_by_sector"].dims == ("city", "occupation", "sector")
                assert found["wage"].attrs["units"] == "US dollars a year"
                assert list(found["title"].values) == [f"Town {n}" for n in range(6)]
                assert found.attrs["residual_labour"] < 1e-10
                assert found.attrs["status"] == "every residual is below the tolerance"
                assert np.isfinite(found["wedge"].values).all()

    def test_counterfactuals_differ_as_configured(self, results):
        path, _ = results
        base, none, dearer = (
            xr.load_dataset(path / f"{name}.nc")
            for name in ("equilibrium", "counterfactual_no_externalities", "counterfactual_dearer_trade")
        )
        np.testing.assert_allclose(none["productivity"], none["fundamental_productivity"])
        assert (none["wedge"] == 0).all()
        np.testing.assert_allclose(dearer["fundamental_productivity"], base["fundamental_productivity"])
        assert (dearer["welfare"] < base["welfare"]).all()

    def test_optima_come_with_their_certificates(self, results):
        path, text = results
        assert text.count("certificate: residual of first-order conditions") == 3  # two optima and a policy
        record = json.loads((path / "run.json").read_text())["optima"]
        assert set(record) == {"data", "dearer_trade"}
        for name, file in (("data", "optimum"), ("dearer_trade", "counterfactual_dearer_trade_optimum")):
            found = xr.load_dataset(path / f"{file}.nc")
            assert found.attrs["certificate_residual"] == record[name]["certificate"]["residual"] < 1e-8
            gain = found["gain"].values
            assert gain[0] == pytest.approx(gain[1], abs=1e-9)
            assert gain[0] > 1e-6
            np.testing.assert_allclose((found["transfer"] * found["employment"]).sum(), 0, atol=1e-6)

    def test_a_variant_has_the_data_as_its_equilibrium(self, results):
        path, _ = results
        base, additive = (xr.load_dataset(path / f"{name}.nc") for name in ("equilibrium", "variant_additive"))
        np.testing.assert_allclose(additive["employment"], base["employment"], rtol=1e-9)
        assert not np.allclose(additive["amenity"], base["amenity"])

    def test_a_policy_is_what_was_configured(self, results):
        path, _ = results
        tax = xr.load_dataset(path / "policy_tax.nc")
        mean_wage = (tax["wage"] * tax["employment"]).sum() / tax["employment"].sum()
        np.testing.assert_allclose(tax["transfer"], 0.05 * (mean_wage - tax["wage"]))
        assert tax.attrs["outcome"] == "the policy is in force"
        assert tax.attrs["certificate_residual"] > 1e-3

    def test_writes_tables(self, results, folder):
        path, _ = results
        cities = pd.read_csv(path / "cities.csv")
        assert list(cities["title"]) == [f"Town {n}" for n in range(6)]
        data = xr.load_dataset(folder / "small.nc")
        np.testing.assert_allclose(cities["employment"], data["employment"].sum(("occupation", "sector")))
        sectors = pd.read_csv(path / "sectors.csv", index_col="sector")
        np.testing.assert_allclose(sectors["consumption_share"].sum(), 1)
        assert list(sectors["traded"]) == [True, False, True, False]
        figures = pd.read_csv(path / "summary.csv", index_col="figure")["value"]
        optimum = xr.load_dataset(path / "optimum.nc")
        assert figures["gain of occupation 0, optimum"] == pytest.approx(100 * float(optimum["gain"][0]))
        mean = (optimum["transfer"] * optimum["employment"]).sum("city") / optimum["employment"].sum("city")
        assert figures["mean net transfer to occupation 1, optimum"] == pytest.approx(float(mean[1]))
        assert "gain of occupation 0, policy tax" in figures.index
        np.testing.assert_allclose(cities["transfer_occupation 0_optimum"], optimum["transfer"][:, 0])

    def test_records_config_versions_and_device(self, results):
        path, _ = results
        record = json.loads((path / "run.json").read_text())
        assert record["versions"]["spatialjax"] == sj.__version__
        assert record["device"]["platform"] == "cpu"
        assert max(record["data_are_an_equilibrium"].values()) < 1e-11
        assert record["equilibria"]["distinct"] == 1
        resolved = RunConfig.model_validate(tomllib.loads((path / "config.toml").read_text()))
        assert resolved.spillover.share == (0.3, 0.2)
        assert resolved.solver.tolerance == 1e-10

    def test_draws_figures(self, results):
        path, _ = results
        for name in (
            "share_and_premium",
            "share_and_premium_no_externalities",
            "map_wedge_difference",
            "optimum_employment_occupation_0",
            "optimum_specialisation",
            "comparison_dearer_trade",
            "wedge_at_optimum_dearer_trade",
        ):
            assert (path / "figures" / f"{name}.png").stat().st_size > 10_000
            assert (path / "figures" / f"{name}.svg").stat().st_size > 1_000

    def test_leaves_no_temporary_files(self, results):
        path, _ = results
        assert not list(path.rglob(".*"))

    def test_shows_errors_without_a_traceback(self, folder):
        outcome = CliRunner().invoke(
            app, ["run", str(folder / "small.toml"), "--set", "solver.max_evaluations=2", "--out", str(folder / "x")]
        )
        assert outcome.exit_code == 1
        assert "no equilibrium" in outcome.output
        assert "Allow more with max_evaluations" in outcome.output
        assert "Traceback" not in outcome.output
        # What was finished before is kept.
        assert sorted(os.listdir(folder / "x")) == ["config.toml", "equilibrium.nc"]


def quick_run(data, folder, **sections):
    """Results of a run of these data, without the search for other equilibria, and its configuration's folder."""
    data.to_netcdf(folder / "data.nc")
    quick = {"data": {"source": str(folder / "data.nc")}, "stability": {"starts": 0, "eigenvalues": 0}}
    return run(RunConfig.model_validate({**quick, **sections}), folder / "results")


def by_name(values):
    """A table in an order that does not depend on that of occupations, of numbers that rounding does not reach."""
    return values.reindex(sorted(values.index)).reindex(sorted(values.columns), axis=1)


@pytest.fixture(scope="module")
def both_orders(tmp_path_factory, folder):
    """A run of the small data set, and one of the same data with occupations the other way round."""
    config = load_config(folder / "small.toml").model_dump(exclude_none=True, exclude={"data", "stability", "variant"})
    del config["counterfactual"]["no_externalities"]
    data = xr.load_dataset(folder / "small.nc")
    turned = config | {
        "spillover": {"kind": "occupation", "share": (0.2, 0.3), "size": (0.05, 0.1)},
        "report": {"occupations": data["occupation"].values.tolist()},
    }
    return [
        quick_run(each, tmp_path_factory.mktemp("order"), **sections)
        for each, sections in ((data, config), (data.isel(occupation=[1, 0]), turned))
    ]


class TestOccupations:
    """Tables, statements and figures tell of occupations by name."""

    def test_the_order_in_the_data_does_not_matter(self, both_orders):
        for name, index in (("summary", "figure"), ("cities", "city"), ("sectors", "sector")):
            first, turned = (by_name(pd.read_csv(r.folder / f"{name}.csv", index_col=index)) for r in both_orders)
            pd.testing.assert_frame_equal(first, turned, rtol=1e-6, atol=1e-6)

    def test_nor_for_statements(self, both_orders):
        pair = ("occupation 0", "occupation 1")
        data = xr.load_dataset(both_orders[0].folder.parent / "data.nc")
        tables = [
            statements_table(order, found.cases, found.policies, pair)
            for order, found in zip((data, data.isel(occupation=[1, 0])), both_orders, strict=True)
        ]
        assert "the optimum raises the occupation 0 share in large cities" in tables[0]["statement"].values
        pd.testing.assert_frame_equal(*tables, rtol=1e-5)

    def test_nor_for_figures(self, both_orders):
        names = [sorted(path.name for path in (r.folder / "figures").glob("*.csv")) for r in both_orders]
        assert names[0] == names[1]
        assert "share_and_premium.csv" in names[0]
        for name in names[0]:
            if name.startswith("validation"):
                continue
            first, turned = (pd.read_csv(r.folder / "figures" / name) for r in both_orders)
            pd.testing.assert_frame_equal(first, turned, rtol=1e-4, atol=1e-6)

    def test_another_pair_is_another_comparison(self, both_orders):
        found = both_orders[0]
        data = xr.load_dataset(found.folder.parent / "data.nc")
        table = figures_table(
            headline_figures(data, found.cases, {}, published=False, pair=("occupation 1", "occupation 0"))
        )
        value, first = table.set_index("figure")["value"], found.figures.set_index("figure")["value"]
        name = "mean wedge difference, occupation {} less occupation {}"
        assert value[name.format(1, 0)] == pytest.approx(-first[name.format(0, 1)])
        of_premium = "corr(log size, log premium), data"
        assert value[of_premium] == pytest.approx(-first[of_premium])

    def test_published_numbers_are_of_occupations_by_name(self, both_orders):
        names = {"occupation 0": "CNR", "occupation 1": "non-CNR"}

        def renamed(result):
            title = ("city", ["San Jose", "Harrisonburg", *"abcd"])
            labels = [names[str(name)] for name in result["occupation"].values]
            return result.assign_coords(occupation=labels, title=title)

        def known(found, pair):
            case = replace(found.cases["data"], result=renamed(found.cases["data"].result))
            case = replace(case, optimum=renamed(case.optimum))
            figures = headline_figures(case.result, {"data": case}, {}, published=True, pair=pair)
            return figures_table(figures).set_index("figure")

        first, turned = (known(found, ("CNR", "non-CNR")) for found in both_orders)
        pd.testing.assert_frame_equal(by_name(first), by_name(turned), rtol=1e-6, atol=1e-6)
        column = "published (CH)"
        assert first.loc["corr(log size, log premium), data", column] == 0.40
        assert first.loc["mean net transfer to CNR, optimum", column] == -3316
        assert first.loc["share of non-CNR in Harrisonburg, data", column] == 73
        reversed_pair = known(both_orders[0], ("non-CNR", "CNR"))
        assert np.isnan(reversed_pair.loc["corr(log size, log premium), data", column])
        assert np.isnan(reversed_pair.loc["corr(wedge difference, log size)", column])
        assert reversed_pair.loc["mean net transfer to CNR, optimum", column] == -3316

    def test_three_occupations(self, tmp_path):
        sites = {"latitude": ("city", np.linspace(30, 45, 9)), "longitude": ("city", np.linspace(-120, -75, 9))}
        data = EXAMPLES["archipelago"]().assign(sites)
        found = quick_run(
            data,
            tmp_path,
            spillover={"kind": "occupation", "share": (0.3, 0.2, 0.1), "size": (0.05, 0.04, 0.03)},
            counterfactual={"dear": {"trade_cost_factor": 1.1, "optimum": True}},
        )
        assert np.isfinite(found.figures["value"]).all()
        assert "corr(log size, change in professional share), optimum" in set(found.figures["figure"])
        assert "mean wedge difference, professional less skilled" in set(found.figures["figure"])
        drawn = {path.name for path in found.files}
        assert {"share_and_premium.svg", "comparison_dear.svg", "optimum_transfer_elementary.svg"} <= drawn

        pair = ("elementary", "professional")
        figures = headline_figures(data, found.cases, {}, published=False, pair=pair)
        named = {figure.name: figure.value for figure in figures}
        wedge, size = (found.cases["data"].result[name] for name in ("wedge", "employment"))
        gap, workers = wedge.sel(occupation=pair[0]) - wedge.sel(occupation=pair[1]), size.sum("occupation")
        expected = float((gap * workers).sum() / workers.sum())
        assert named["mean wedge difference, elementary less professional"] == pytest.approx(expected)
        draw_figures(tmp_path, data, found.cases, {}, pair)
        points = pd.read_csv(tmp_path / "figures" / "share_and_premium.csv").query("kind == 'points'")
        share = size.sel(occupation=pair[0]) / workers
        np.testing.assert_allclose(np.sort(points["x"]), np.sort(share), rtol=1e-5)

    def test_one_occupation(self, tmp_path):
        economy = random_economy(5, 4, 1, seed=2)
        data = data_from(economy, sj.solve(economy, tolerance=1e-12))
        found = quick_run(
            data,
            tmp_path,
            model={"trade_elasticity": 4.0, "housing_share": float(economy.consumption_share[1])},
            spillover={"kind": "occupation", "share": (0.3,), "size": (0.1,)},
        )
        figures = set(found.figures["figure"])
        assert "gain of occupation 0, optimum" in figures
        assert not any("share" in name or "premium" in name for name in figures)
        assert len(statements_table(data, found.cases, {})) == 0

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["occupation 0", "third"], r"two of the data's occupations 'occupation 0', 'occupation 1', found .*third"),
            (["occupation 0", "occupation 0"], r"must name two different occupations, found \['occupation 0', "),
            (["occupation 0"], r"must name two different occupations, found \['occupation 0'\]"),
            ([], r"must name two different occupations, found \[\]"),
        ],
    )
    def test_mistakes_are_named(self, folder, names, message):
        override = f"report.occupations={json.dumps(names)}"
        with pytest.raises(sj.errors.ConfigError, match=rf"report\.occupations: .*{message}"):
            run(load_config(folder / "small.toml", [override]), folder / "mistaken")


class TestValidate:
    def test_accepts_the_embedded_data(self):
        outcome = CliRunner().invoke(app, ["validate", "us-metros"])
        assert outcome.exit_code == 0
        assert "382 cities, 22 sectors, 2 occupations" in outcome.output

    def test_lists_all_problems(self, folder):
        data = xr.load_dataset(folder / "small.nc")
        data.assign(wage=-data["wage"], housing_price=0 * data["housing_price"]).to_netcdf(folder / "bad.nc")
        outcome = CliRunner().invoke(app, ["validate", str(folder / "bad.nc")])
        assert outcome.exit_code == 1
        assert "2 problems" in outcome.output
        assert "variable wage must be positive" in outcome.output
        assert "Town 0" in outcome.output

    def test_can_refuse_what_it_would_mend(self):
        outcome = CliRunner().invoke(app, ["validate", "us-metros", "--no-mend"])
        assert outcome.exit_code == 1
        assert "sector chem: other sectors buy more of it" in outcome.output


class TestConfig:
    def test_shipped_configurations_are_valid(self):
        for path in CONFIGS.glob("*.toml"):
            load_config(path)

    def test_the_main_one_says_what_the_defaults_are(self):
        config = load_config(CONFIGS / "us_metros.toml")
        assert config.model_copy(update={"counterfactual": {}, "output": RunConfig().output}) == RunConfig()

    def test_overrides(self):
        path = CONFIGS / "us_metros.toml"
        config = load_config(
            path, ["model.trade_elasticity=8", "data.source=other.nc", "stability.starts=0", "spillover.kind=none"]
        )
        assert config.model.trade_elasticity == 8
        assert config.data.source == "other.nc"
        assert config.spillover.kind == "none"
        assert load_config(path, ["spillover.share=[1.0, 2.0]"]).spillover.share == (1, 2)
        assert load_config(path, ["model.minimum_consumption_share=refuse"]).model.minimum_consumption_share == "refuse"

    def test_kind_resets_the_other_keys_only_where_it_changes(self):
        path = CONFIGS / "us_metros.toml"
        config = load_config(path, ["spillover.share=[1.0, 2.0]", "spillover.kind=occupation"])
        assert config.spillover.share == (1, 2)
        assert config.spillover.size == (0.349, 0.357)

    def test_a_file_is_laid_over_the_one_it_extends(self, tmp_path):
        (tmp_path / "base.toml").write_text(
            "[model]\ntrade_elasticity = 7.0\nhousing_share = 0.3\n[spillover]\nshare = [1.0, 2.0]\n"
            "[counterfactual.far]\ntrade_cost_factor = 1.5\n"
        )
        (tmp_path / "over").mkdir()
        (tmp_path / "over" / "mine.toml").write_text(
            'extends = "../base.toml"\n[model]\nhousing_share = [0.2, 0.25]\n[spillover]\nkind = "industry"\n'
            "[counterfactual.near]\ntrade_cost_factor = 0.9\n"
        )
        config = load_config(tmp_path / "over" / "mine.toml")
        assert config.model.trade_elasticity == 7
        assert config.model.housing_share == (0.2, 0.25)
        assert config.spillover.kind == "industry"
        assert config.spillover.share is None  # of another kind: not those of the base
        assert set(config.counterfactual) == {"near", "far"}

    def test_files_cannot_extend_each_other(self, tmp_path):
        (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
        (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
        with pytest.raises(sj.errors.ConfigError, match=r"b\.toml: extends: a\.toml extends this file in turn"):
            load_config(tmp_path / "a.toml")
        (tmp_path / "c.toml").write_text("extends = 3\n")
        with pytest.raises(sj.errors.ConfigError, match=r"c\.toml: extends: must be the path .* found 3"):
            load_config(tmp_path / "c.toml")

    def test_elasticities_may_differ_by_sector(self):
        config = load_config(CONFIGS / "us_metros.toml", ["model.trade_elasticity=[4.0, 5.0]"])
        assert config.model.trade_elasticity == (4, 5)

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("model.trade_elastcity=8", "model.trade_elastcity: unknown key; did you mean trade_elasticity?"),
            ("sovler.tolerance=1", "sovler: unknown key; did you mean solver?"),
            ("model.location_elasticity=0.5", "model.location_elasticity: input should be greater than 1, found 0.5"),
            ("model.trade_elasticity=high", "model.trade_elasticity: input should be a valid number.*found 'high'"),
            ("model.occupation_substitution=1", "must not be 1"),
            ("counterfactual.cheap.trade_cost_facto=2", "did you mean trade_cost_factor?"),
            ("spillover.kind=strong", "spillover.*strong"),
            ("planner.objective=equal", "planner.objective: .*equal-gains.*found 'equal'"),
            ("planner.weights=[1.0, 0.0]", "planner.weights.1: input should be greater than 0"),
            ("model.housing_share=[0.2, 1.5]", "model.housing_share.*less than 1, found 1.5"),
            ("policy.tax.kind=poll-tax", "policy.tax.*poll-tax"),
            ("variant.mine.amenitis=additive", "variant.mine.amenitis: unknown key; did you mean amenities?"),
            ("counterfactual.a/b.trade_cost_factor=2", "counterfactual.a/b"),
            ("spillover.share=[.3, .2]", "not a TOML value"),
            ("model", "must have the form section.key=value"),
            ("data.source.deep=1", "source is a value, not a section"),
        ],
    )
    def test_mistakes_are_named(self, override, message):
        with pytest.raises(sj.errors.ConfigError, match=message):
            load_config(CONFIGS / "us_metros.toml", [override])

    def test_files_that_cannot_be_read_are_named(self, tmp_path):
        with pytest.raises(sj.errors.ConfigError, match=r"no\.toml: cannot be read"):
            load_config(tmp_path / "no.toml")
        (tmp_path / "bad.toml").write_text("[model\n")
        with pytest.raises(sj.errors.ConfigError, match=r"bad\.toml: not valid TOML"):
            load_config(tmp_path / "bad.toml")


class TestOutput:
    def test_is_whole_or_not_at_all(self, tmp_path):
        target = tmp_path / "result.txt"
        write(target, lambda path: path.write_text("first"))

        def fail(path):
            path.write_text("half")
            raise RuntimeError("interrupted")

        with pytest.raises(RuntimeError):
            write(target, fail)
        assert target.read_text() == "first"
        assert os.listdir(tmp_path) == ["result.txt"]

    def test_says_when_a_folder_cannot_be_used(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(sj.errors.OutputError, match="cannot write results to .*choose another with --out"):
            prepare_folder(tmp_path / "file" / "results")
