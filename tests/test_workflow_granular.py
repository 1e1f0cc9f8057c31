"""The granular run and its configuration, on a few zones."""

import json
import tomllib
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax import granular
from spatialjax.cli import app
from spatialjax.workflow.config import GranularRunConfig, RunConfig, load_config
from spatialjax.workflow.granular_run import run_granular
from spatialjax.workflow.granular_summary import REPORTED, paper_table

CONFIGS = Path(__file__).parents[1] / "configs"


class Listener:
    """A reporter that keeps what it hears."""

    def __init__(self):
        self.stages, self.lines, self.parts = [], [], []

    def stage(self, name):
        self.stages.append(name)
        from contextlib import nullcontext

        return nullcontext()

    def say(self, message):
        self.lines.append(message)

    def progress(self, done, total):
        self.parts.append(done / total)


def without_extension(config):
    return config.model_copy(update={"extension": config.extension.model_copy(update={"sector_dispersion": None})})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six of the embedded zones with the fewest firms, and the results of a run."""
    folder = tmp_path_factory.mktemp("granular")
    data = sj.load_data("japan-zones")
    few = data.isel(zone=np.argsort(data["establishments"].values)[:12:2])
    few.to_netcdf(folder / "few.nc")
    (folder / "few.toml").write_text(
        f"""
        economy = "granular"
        [data]
        source = "{folder / "few.nc"}"
        [simulation]
        draws = 4096
        exact_draws = 512
        """
    )
    listener = Listener()
    config = load_config(folder / "few.toml")
    run_granular(without_extension(config), folder / "out", listener)
    (folder / "heard.json").write_text(json.dumps([listener.stages, listener.lines, listener.parts]))
    return folder


class TestConfig:
    def test_of_the_repository_is_its_defaults(self):
        config = load_config(CONFIGS / "japan_granular.toml")
        assert isinstance(config, GranularRunConfig)
        assert config == GranularRunConfig(economy="granular")
        parameters, defaults = config.parameters.build(), granular.Parameters()
        assert parameters == defaults or all(
            float(getattr(parameters, name)) == float(getattr(defaults, name))
            for name in ("elasticity_across_firms", "elasticity_across_sectors", "profit_share", "productivity_tail")
        )

    def test_of_cities_need_not_say_so(self):
        assert isinstance(load_config(CONFIGS / "us_metros.toml"), RunConfig)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (
                'economy = "granulated"',
                "economy: must be one of 'cities', 'granular', 'spillovers', 'density', 'history', 'nested', "
                "found 'granulated'",
            ),
            ('economy = "granular"\n[parameters]\nkapa = 2', "parameters.kapa: unknown key"),
            ('economy = "granular"\n[parameters]\nprofit_shar = 0.1', "did you mean profit_share?"),
            ('economy = "granular"\nconducts = ["bertrand"]', "conducts"),
            ('economy = "granular"\nconducts = []', "conducts"),
            ('economy = "granular"\n[model]\ntrade_elasticity = 8', "model: unknown key"),
        ],
    )
    def test_refuses_by_name(self, tmp_path, line, message):
        path = tmp_path / "c.toml"
        path.write_text(line)
        with pytest.raises(sj.errors.ConfigError, match=message.replace("?", r"\?")):
            load_config(path)


class TestRun:
    def test_writes_what_it_finds(self, folder):
        out = folder / "out"
        names = {path.name for path in out.iterdir()}
        assert {"config.toml", "summary.csv", "zones.csv", "moments.nc", "run.json", "figures"} <= names
        assert {f"zones_{conduct}.nc" for conduct in ("competitive", "cournot")} <= names
        assert {path.stem for path in (out / "figures").iterdir()} == {
            "model_fit",
            "production_and_elasticity",
            "factor_wedges",
            "optimal_policy_changes",
            "markdown",
        }
        assert not [name for name in names if name.startswith(".")]

    @pytest.mark.parametrize("conduct", ["competitive", "cournot"])
    def test_zones_are_those_of_the_library(self, folder, conduct):
        data = xr.load_dataset(folder / "few.nc")
        result = xr.load_dataset(folder / "out" / f"zones_{conduct}.nc")
        places = granular.calibrate(
            data["population"].values,
            data["wage"].values,
            data["establishments"].values / 148,
            granular.Parameters(),
            conduct,
            draws=4096,
        )
        equilibrium = granular.solve(places)
        best = granular.optimum(places, financing="income-tax", equilibrium=equilibrium)
        for name in ("population", "wage", "phi", "psi", "labour_wedge", "firm_wedge"):
            np.testing.assert_allclose(result[name], getattr(equilibrium, name), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(result["population"], data["population"], rtol=1e-9)
        np.testing.assert_allclose(result["wage_elasticity"], granular.wage_elasticity(places, equilibrium), rtol=1e-8)
        np.testing.assert_allclose(result["optimal_firms_change"], best.firms_change, atol=1e-9)
        np.testing.assert_allclose(result["optimal_tau_wage"], best.policy.tau_wage, atol=1e-9)
        assert result["wage"].attrs["units"] == "10,000 yen a year"
        assert result.attrs["conduct"] == conduct

    def test_curves_are_second_order_and_exact(self, folder):
        result = xr.load_dataset(folder / "out" / "zones_cournot.nc")
        at = int(np.abs(result["curve_firms"].values - 0.1).argmin())
        m = float(result["curve_firms"][at])
        phi, psi = granular.production(m, granular.Parameters(), "cournot", draws=4096)
        assert float(result["curve_phi"][at]) == pytest.approx(float(phi), rel=1e-9)
        assert float(result["curve_psi"][at]) == pytest.approx(float(psi), rel=1e-9)
        exact, approximate = result["curve_phi_exact"].values, result["curve_phi"].values
        known = np.isfinite(exact)
        assert 10 < known.sum() < known.size  # beyond the zones' firms the games are not solved
        assert (exact[known] > approximate[known]).all()
        assert (exact[known] < 1.02 * approximate[known]).all()

    def test_table_sets_the_paper_beside(self, folder):
        table = pd.read_csv(folder / "out" / "summary.csv")
        assert list(table["KO"]) == [row.value for row in REPORTED]
        elasticity = table[(table["figure"] == "wage elasticity") & (table["conduct"] == "competitive")].iloc[0]
        assert elasticity["second order, KO m"] == pytest.approx(0.0007091, abs=2e-6)
        assert elasticity["exact, KO m"] == pytest.approx(0.00075, abs=2e-5)
        assert 0 < elasticity["exact, KO m, s.e."] < 2e-5
        assert "hump" in elasticity["why they differ"]
        gap = table[(table["figure"].str.startswith("productivity")) & (table["conduct"] == "competitive")].iloc[0]
        assert gap["second order, KO m"] == pytest.approx(2.86, abs=0.01)

    def test_says_what_it_finds_and_how_far_it_is(self, folder):
        stages, lines, parts = json.loads((folder / "heard.json").read_text())
        assert len([s for s in stages if s.startswith("solving the exact game")]) == 2
        assert any("stable (leading eigenvalue" in line for line in lines)
        assert parts[-1] == 1.0
        assert all(0 < part <= 1 for part in parts)
        report = json.loads((folder / "out" / "run.json").read_text())
        assert report["cournot"]["data_are_an_equilibrium"] < 1e-10
        assert report["competitive"]["stable"]
        assert report["versions"]["jax"]

    def test_keeps_the_configuration(self, folder):
        kept = tomllib.loads((folder / "out" / "config.toml").read_text())
        assert kept["economy"] == "granular"
        assert kept["parameters"]["firm_variance"] == 0.14
        assert without_extension(load_config(folder / "out" / "config.toml")) == without_extension(
            load_config(folder / "few.toml")
        )

    def test_without_an_optimum_says_so_and_goes_on(self, folder, tmp_path, monkeypatch):
        def none(*arguments, **options):
            raise sj.errors.ConvergenceError("no equilibrium: nowhere")

        monkeypatch.setattr("spatialjax.workflow.granular_run.optimum", none)
        changes = ['conducts=["competitive"]', "simulation.exact=false"]
        listener = Listener()
        result = run_granular(without_extension(load_config(folder / "few.toml", changes)), tmp_path, listener)
        assert "no optimal policy was found: no equilibrium: nowhere" in listener.lines
        assert "optimal_firms_change" not in result.zones["competitive"]
        assert (tmp_path / "figures" / "factor_wedges.png").exists()
        assert not (tmp_path / "figures" / "optimal_policy_changes.png").exists()
        assert "gain" not in result.diagnostics["competitive"]

    def test_of_one_conduct_only_with_the_extension(self, folder, tmp_path):
        config = load_config(
            folder / "few.toml",
            [
                'conducts=["competitive"]',
                "simulation.exact=false",
                'policy.welfare="expected_utility"',
                "output.figures=false",
            ],
        )
        result = run_granular(config, tmp_path)
        assert set(result.zones) == {"competitive"}
        assert set(result.figures["conduct"]) == {"competitive"}
        assert not [name for name in result.figures if name.startswith("exact")]
        assert result.diagnostics["competitive"]["certificate_residual"] < 1e-8
        table = result.figures.set_index(["figure", "zone"])["dispersed, KO m"]
        assert table["wage elasticity", "smallest"] == pytest.approx(0.0042, abs=5e-5)
        assert table["wage elasticity", "largest"] == pytest.approx(0.0012, abs=5e-5)
        assert table["productivity over smallest, percent", "largest"] == pytest.approx(2.22, abs=0.01)
        assert (tmp_path / "zones_competitive_dispersed.nc").exists()


class TestTable:
    def test_is_empty_where_nothing_is_known(self):
        table = paper_table({}, granular.Parameters(), ("competitive", "cournot"))
        assert list(table) == ["figure", "conduct", "zone", "KO", "why they differ"]

    def test_local_figures_are_those_of_an_economy(self):
        """What the shape of Phi and Psi says equals what differentiating solved places says."""
        data = sj.load_data("japan-zones").isel(zone=slice(0, 4))
        firms = jnp.asarray(data["establishments"].values / 148)
        for conduct in ("competitive", "cournot"):
            parameters = granular.Parameters()
            places = granular.calibrate(
                data["population"].values, data["wage"].values, firms, parameters, conduct, draws=4096
            )
            equilibrium = granular.solve(places)
            shape = granular.production_shape(
                lambda m: granular.production(m, parameters, conduct, draws=4096),  # noqa: B023
                firms,
            )
            eta = parameters.profit_share
            elasticity = granular.wage_elasticity(places, equilibrium)
            np.testing.assert_allclose(granular.local_wage_elasticity(shape, eta), elasticity, rtol=1e-9)
            np.testing.assert_allclose(granular.local_labour_wedge(shape), equilibrium.labour_wedge, rtol=1e-10)
            np.testing.assert_allclose(granular.local_firm_wedge(shape, eta), equilibrium.firm_wedge, rtol=1e-9)


class TestCommandLine:
    def test_validates_zones(self):
        found = CliRunner().invoke(app, ["validate", "japan-zones"])
        assert found.exit_code == 0
        assert "valid commuting zones of a granular economy (229 zones)" in found.output

    def test_says_what_is_wrong_with_zones(self, folder, tmp_path):
        data = xr.load_dataset(folder / "few.nc")
        data["wage"][2] = -1.0
        data.to_netcdf(tmp_path / "bad.nc")
        found = CliRunner().invoke(app, ["validate", str(tmp_path / "bad.nc")])
        assert found.exit_code == 1
        assert "wage" in found.output
        assert str(data["title"].values[2]) in found.output

    def test_refuses_parameters_that_are_no_economy(self, folder, tmp_path):
        found = CliRunner().invoke(
            app,
            ["run", str(folder / "few.toml"), "--out", str(tmp_path / "x"), "--set", "parameters.productivity_tail=5"],
        )
        assert found.exit_code == 1
        assert "productivity_tail times profit_share is 0.65: it must exceed 1" in " ".join(found.output.split())
        assert not (tmp_path / "x").exists()

    def test_refuses_cities_as_zones(self, folder, tmp_path):
        found = CliRunner().invoke(
            app, ["run", str(folder / "few.toml"), "--out", str(tmp_path / "x"), "--set", "data.source=us-metros"]
        )
        assert found.exit_code == 1
        assert "zone" in found.output
