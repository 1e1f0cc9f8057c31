"""Distance elasticities from mean distances of shipments: the truth is recovered from data that were made with it."""

import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax.cities.distance import distances
from spatialjax.cities.flows import expenditure_share
from spatialjax.cli_data import data_app
from spatialjax.estimation.trade_distances import calibrate_distance_elasticities, mean_trade_distances
from spatialjax.sources.examples import archipelago

GOODS = ["fish", "machines", "textiles"]


def test_mean_distances_are_those_of_the_inverted_economy():
    data = archipelago()
    economy = sj.invert(data, spillover=sj.NoSpillover())
    equilibrium = sj.solve(economy)
    flows = np.asarray(expenditure_share(economy, equilibrium) * equilibrium.expenditure.T[:, :, None])
    wanted = (flows * distances(data)).sum((1, 2)) / flows.sum((1, 2))
    found = mean_trade_distances(data)
    np.testing.assert_allclose(found, wanted[list(economy.traded)], rtol=1e-8)


@pytest.mark.parametrize("own_city", [True, False])
def test_the_truth_is_recovered(own_city):
    truth = archipelago()
    miles = 1.2 * mean_trade_distances(truth, own_city=own_city)[GOODS]
    wrong = truth.assign(distance_elasticity=truth["distance_elasticity"] * 0.4 + 0.7)
    data, table = calibrate_distance_elasticities(wrong, miles.to_dict(), own_city=own_city, circuity=1.2)
    by_name = truth["distance_elasticity"].sel(sector=GOODS)
    np.testing.assert_allclose(table["elasticity"], by_name, rtol=1e-6)
    np.testing.assert_allclose(data["distance_elasticity"].sel(sector=GOODS), by_name, rtol=1e-6)
    np.testing.assert_allclose(table["after"], miles, rtol=1e-8)
    assert table["reached"].all()
    unchanged = wrong["distance_elasticity"].sel(sector="finance")
    assert data["distance_elasticity"].sel(sector="finance") == unchanged


def test_what_cannot_be_is_said():
    data, table = calibrate_distance_elasticities(archipelago(), {"fish": 1e5, "textiles": 200.0})
    assert table["reached"].tolist() == [False, True]
    assert float(data["distance_elasticity"].sel(sector="fish")) == 1.1
    with pytest.raises(sj.errors.ModelError, match="housing: no traded sector of that name"):
        calibrate_distance_elasticities(archipelago(), {"housing": 100.0})
    with pytest.raises(sj.errors.ModelError, match="miles of fish must be positive"):
        calibrate_distance_elasticities(archipelago(), {"fish": -1.0})
    with pytest.raises(sj.errors.ModelError, match="circuity must be a positive number"):
        calibrate_distance_elasticities(archipelago(), {"fish": 100.0}, circuity=0.0)


def test_single_precision_is_refused():
    """Flows could not be scaled to the tolerance, and the message would blame a sector."""
    with jax.enable_x64(False), pytest.raises(sj.errors.PrecisionError, match="jax_enable_x64"):
        mean_trade_distances(archipelago())


def test_the_command_line_is_in_double_precision(tmp_path):
    """Of any command: single precision is what a process begins in."""
    archipelago().to_netcdf(tmp_path / "data.nc")
    (tmp_path / "miles.csv").write_text("sector,miles\nfish,400\n")
    given = ["data", "calibrate", "data.nc", "miles.csv", "--out", "own.nc"]
    done = subprocess.run(
        [sys.executable, "-m", "spatialjax", *given], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "own.nc").exists()


class TestCommand:
    """`spatialjax data calibrate`: the data with elasticities at which goods travel the miles of a file."""

    def run(self, folder, miles, *options, out="own.nc"):
        (folder / "miles.csv").write_text(miles)
        data = folder / "archipelago.nc"
        archipelago().to_netcdf(data)
        given = ["calibrate", str(data), str(folder / "miles.csv"), "--out", str(folder / out), *options]
        return CliRunner().invoke(data_app, given)

    @pytest.mark.parametrize("out", ["own.nc", "own"])
    def test_writes_the_data_and_the_fit(self, tmp_path, out):
        wanted = 1.1 * mean_trade_distances(archipelago())["fish"]
        done = self.run(tmp_path, f"# of a survey\nsector,miles\nfish,{wanted}\n", out=out)
        assert done.exit_code == 0, done.output
        written = sj.load_data(tmp_path / out)
        assert mean_trade_distances(written)["fish"] == pytest.approx(wanted, rel=1e-8)
        fit = pd.read_csv(tmp_path / ("own.distance_fit.csv" if out == "own.nc" else "own/distance_fit.csv"))
        assert fit["sector"].tolist() == ["fish"]
        assert fit["reached"].all()
        sj.validate(written)

    def test_says_which_miles_are_not_reached(self, tmp_path):
        done = self.run(tmp_path, "sector,miles\nfish,1e5\n")
        assert done.exit_code == 0
        assert "fish: its miles are not reached at any elasticity" in done.output

    @pytest.mark.parametrize(
        ("miles", "options", "message"),
        [
            ("sector,miles\nfish,far\n", (), "miles"),
            ("sector,km\nfish,3\n", (), "miles"),
            ("sector,miles\nhousing,100\n", (), "no traded sector of that name"),
            ("sector,miles\nfish,100\n", ("--circuity", "0"), "circuity must be a positive number"),
        ],
    )
    def test_mistakes_are_refused_by_name(self, tmp_path, miles, options, message):
        done = self.run(tmp_path, miles, *options)
        assert done.exit_code == 1
        assert message in done.output
        assert "Traceback" not in done.output
        assert not (tmp_path / "own.nc").exists()
