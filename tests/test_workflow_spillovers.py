"""The run that estimates externalities: what it writes, goes on from and refuses."""

import json
from contextlib import nullcontext
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax.cli import app
from spatialjax.estimation.instruments import model_instruments
from spatialjax.estimation.monte_carlo_no_spillovers import no_spillover_experiment
from spatialjax.estimation.spillovers import spillovers
from spatialjax.estimation.uncertainty_result import Draw, Propagation
from spatialjax.workflow.config import SpilloverRunConfig, load_config
from spatialjax.workflow.spillover_run import run_spillovers

CONFIGS = Path(__file__).parents[1] / "configs"
CITIES = 24
pytestmark = pytest.mark.filterwarnings("ignore::spatialjax.errors.EstimationWarning")
GAIN, SLOPES = np.array([0.01, 0.02]), np.array([[0.1, 0.0], [0.0, 0.2], [0.3, 0.0], [0.0, 0.1]])


class Listener:
    """A reporter that keeps what it hears, and interrupts the run at a stage."""

    def __init__(self, interrupt_at=None):
        self.stages, self.lines, self.parts, self.interrupt_at = [], [], [], interrupt_at

    def stage(self, name):
        if name == self.interrupt_at:
            raise KeyboardInterrupt
        self.stages.append(name)
        return nullcontext()

    def say(self, message):
        self.lines.append(message)

    def progress(self, done, total):
        self.parts.append(done / total)


class Propagated:
    """In the place of `propagate`, which takes a minute: a gain that is linear in elasticities; one draw fails."""

    def __init__(self):
        self.calls = []

    def __call__(self, economy, spillover, covariance, *, key, draws, phase_in, progress):
        self.calls.append((spillover, covariance, key, draws, phase_in))
        estimate = np.concatenate([spillover.share, spillover.size])
        errors = np.sqrt(np.diag(covariance))
        drawn = [Draw(n, estimate + n * errors, {"gain": GAIN + n * errors @ SLOPES}, "optimum") for n in range(draws)]
        drawn[-1] = drawn[-1]._replace(outcomes=None, outcome="no optimum was found")
        for draw in drawn:
            progress(draw)
        names = tuple(f"parameter {n}" for n in range(len(estimate)))
        return Propagation(names, estimate, covariance, {"gain": GAIN}, {"gain": SLOPES}, tuple(drawn), economy.labels)


@pytest.fixture(scope="module")
def propagated():
    with pytest.MonkeyPatch.context() as patch:
        stand_in = Propagated()
        patch.setattr("spatialjax.workflow.spillover_run.propagate", stand_in)
        yield stand_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Some of the embedded metros, and a configuration."""
    folder = tmp_path_factory.mktemp("spillovers")
    data = sj.load_data("us-metros")
    order = np.argsort(-data["employment"].sum(("occupation", "sector")).values)
    data.isel(city=np.sort(order[5 : 5 + 5 * CITIES : 5])).to_netcdf(folder / "few.nc")
    (folder / "few.toml").write_text(
        f"""
        economy = "spillovers"
        [data]
        source = "{folder / "few.nc"}"
        [regression]
        estimators = ["ols", "2sls"]
        [uncertainty]
        draws = 3
        seed = 7
        [monte_carlo]
        replications = 2
        cities = 20
        """
    )
    return folder


@pytest.fixture(scope="module")
def result(folder, propagated):
    listener = Listener()
    found = run_spillovers(load_config(folder / "few.toml"), folder / "out", listener)
    return found, listener


@pytest.fixture(scope="module")
def economy(folder):
    return sj.invert(sj.load_data(str(folder / "few.nc")), spillover=sj.OccupationSpillover())


class TestRun:
    def test_writes_what_it_finds(self, folder, result):
        found, _ = result
        out = folder / "out"
        names = {path.name for path in out.iterdir()}
        printed = {f"estimates_{by}.{ending}" for by in ("occupation", "group") for ending in ("txt", "tex")}
        summary = {"summary.csv", "summary.tex", "report.html"}
        assert names == printed | summary | {"config.toml", "run.json", "tables", "uncertainty.nc", "draws.csv"}
        tables = {path.stem for path in (out / "tables").glob("*.csv")}
        wanted = {"estimates_occupation", "estimates_group", "no_spillovers", "uncertainty"}
        assert tables == set(found.tables) == wanted | {"monte_carlo_none", "monte_carlo_configured"}
        assert {path for path in found.files if path.parent == out} == {out / name for name in names - {"tables"}}
        report = json.loads((out / "run.json").read_text())
        assert report["tables_read_back"] == []
        assert load_config(out / "config.toml") == load_config(folder / "few.toml")
        text = (out / "estimates_occupation.txt").read_text()
        assert f"Externalities by occupation (CH eq. 6), OLS; standard errors clustered by city ({CITIES})" in text

    def test_estimates_are_those_of_the_estimators(self, result, economy, folder):
        groups = [str(name) for name in xr.load_dataset(folder / "few.nc")["sector_group"].values]
        instruments = model_instruments(economy)
        for by, options in {"occupation": {}, "group": {"groups": groups}}.items():
            table = result[0].tables[f"estimates_{by}"].set_index(["estimator", by, "coefficient_of"])
            for estimator in ("ols", "2sls"):
                direct = spillovers(economy, estimator=estimator, by=by, instruments=instruments, **options).table()
                assert len(direct) == len(table.loc[estimator])
                for _, row in direct.iterrows():
                    found = table.loc[(estimator, row[by], row["coefficient_of"])]
                    np.testing.assert_allclose(found["coefficient"], row["coefficient"], rtol=1e-7)
                    np.testing.assert_allclose(found["standard_error"], row["standard_error"], rtol=1e-6)
        experiment = no_spillover_experiment(economy, estimators=("ols", "2sls")).table().reset_index(level=0)
        pd.testing.assert_frame_equal(
            result[0].tables["no_spillovers"], experiment.reset_index(drop=True), check_dtype=False, rtol=1e-6
        )

    def test_monte_carlo_has_a_truth_each(self, result):
        tables = result[0].tables
        assert set(tables["monte_carlo_none"]["truth"]) == {0.0}
        assert set(tables["monte_carlo_configured"]["truth"]) == {1.304, 0.835, 0.349, 0.357}
        assert set(tables["monte_carlo_configured"]["estimator"]) == {"ols", "2sls"}

    def test_summary_sets_the_papers_beside(self, result):
        summary = result[0].figures.set_index("figure")
        assert list(summary) == ["ours", "s.e.", "published", "published s.e."]
        assert summary.loc["2sls, CNR: share", "published"] == 1.177
        estimates = result[0].tables["estimates_occupation"].set_index(["estimator", "occupation", "coefficient_of"])
        ours = estimates.loc[("2sls", "CNR", "share")]
        assert tuple(summary.loc["2sls, CNR: share", ["ours", "s.e."]]) == (ours["coefficient"], ours["standard_error"])
        assert "bias of ols, truth 1.304, CNR: share" in summary.index
        assert summary.loc["gain, CNR: at the estimate, by the delta method", "ours"] == pytest.approx(0.01)

    def test_uncertainty_is_of_the_configured_errors(self, folder, result, propagated):
        spillover, covariance, key, draws, phase_in = propagated.calls[0]
        np.testing.assert_array_equal(spillover.share, [1.304, 0.835])
        np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [0.38, 0.51, 0.06, 0.04])
        assert np.count_nonzero(covariance) == 4
        assert (draws, phase_in) == (3, False)
        assert jax.random.key_data(key).tolist() == jax.random.key_data(jax.random.key(7)).tolist()
        table = result[0].tables["uncertainty"].set_index(["quantity", "occupation"])
        delta = np.sqrt((0.1 * 0.38) ** 2 + (0.3 * 0.06) ** 2)
        assert table.loc[("gain", "CNR"), "delta_error"] == pytest.approx(delta)
        saved = xr.load_dataset(folder / "out" / "uncertainty.nc")
        np.testing.assert_allclose(saved["gain"].sel(statistic="value"), GAIN)
        assert pd.read_csv(folder / "out" / "draws.csv")["found"].tolist() == [True, True, False]

    def test_says_what_it_finds(self, result):
        _, listener = result
        assert f"{CITIES} cities, 22 sectors, 2 occupations" in listener.lines
        assert "20 traded sectors are in the regressions" in listener.lines
        assert "1 of 3 draws have no optimum that was found" in listener.lines
        assert "- 1: no optimum was found" in listener.lines
        assert any(line.startswith("note: few clusters in city (24)") for line in listener.lines)
        assert listener.parts.count(1.0) == 3  # two Monte Carlo studies and the draws
        assert "writing the summary" in listener.stages

    def test_goes_on_from_its_tables(self, folder, result, propagated, tmp_path):
        config = load_config(folder / "few.toml")
        with pytest.raises(KeyboardInterrupt):
            run_spillovers(config, tmp_path, Listener("Monte Carlo of the configured externalities"))
        written = {path.stem: path.stat().st_mtime_ns for path in (tmp_path / "tables").glob("*.csv")}
        assert set(written) == {"estimates_occupation", "estimates_group", "no_spillovers", "monte_carlo_none"}
        again = Listener()
        found = run_spillovers(config, tmp_path, again)
        assert again.stages == [
            "loading and inverting",
            "Monte Carlo of the configured externalities",
            "carrying uncertainty to the optimum",
            "writing the summary",
            "writing the report",
        ]
        assert set(found.diagnostics["tables_read_back"]) == set(written)
        for name, frame in result[0].tables.items():
            pd.testing.assert_frame_equal(found.tables[name], frame)
        assert (tmp_path / "summary.csv").read_bytes() == (folder / "out" / "summary.csv").read_bytes()
        assert {path.name for path in found.files} == {path.name for path in result[0].files}
        assert any(line.startswith("4 tables are those of an earlier run") for line in again.lines)
        other = load_config(folder / "few.toml", ["monte_carlo.seed=1"])
        with pytest.raises(KeyboardInterrupt):
            run_spillovers(other, tmp_path, Listener("estimating by group of sectors (SH Table 1)"), anew=True)
        assert [path.stem for path in (tmp_path / "tables").glob("*.csv")] == ["estimates_occupation"]

    def test_instruments_and_controls_of_files(self, folder, economy, tmp_path):
        draw = np.random.default_rng(0)
        cities = pd.Index(economy.labels.city, name="city")
        employment = sj.load_data(str(folder / "few.nc"))["employment"].sum(("occupation", "sector")).values
        columns = pd.DataFrame({"workers": np.log(employment), "other": draw.normal(size=CITIES)}, cities)
        control = pd.DataFrame({"climate": draw.normal(size=CITIES)}, cities)
        columns.iloc[::-1].to_csv(tmp_path / "instruments.csv")
        control.to_csv(tmp_path / "controls.csv")
        changes = [
            f"regression.instruments={tmp_path / 'instruments.csv'}",
            f"regression.controls={tmp_path / 'controls.csv'}",
            'regression.by=["occupation"]',
            'regression.estimators=["2sls"]',
            "monte_carlo.replications=0",
            "uncertainty=none",
        ]
        found = run_spillovers(load_config(folder / "few.toml", changes), tmp_path / "out")
        assert set(found.tables) == {"estimates_occupation"}
        direct = spillovers(economy, estimator="2sls", by="occupation", instruments=columns, controls=control).table()
        np.testing.assert_allclose(
            found.tables["estimates_occupation"]["coefficient"], direct["coefficient"], rtol=1e-7
        )
        assert load_config(tmp_path / "out" / "config.toml").uncertainty == "none"


class TestCommandLine:
    def run(self, folder, tmp_path, *overrides):
        sets = [part for override in overrides for part in ("--set", override)]
        return CliRunner().invoke(app, ["run", str(folder / "few.toml"), "--out", str(tmp_path / "out"), *sets])

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            (
                "uncertainty.share_errors=[0.38]",
                "uncertainty has 3 standard errors, but [spillover] has 4 elasticities: give share_errors and",
            ),
            ("regression.instruments=nowhere.csv", "nowhere.csv: 1 problem"),
            ("regression.controls=none_either.csv", "none_either.csv: 1 problem"),
        ],
    )
    def test_refuses_before_anything_takes_long(self, folder, tmp_path, override, message):
        found = self.run(folder, tmp_path, override)
        assert found.exit_code == 1
        assert isinstance(found.exception, SystemExit)
        assert message in " ".join(found.output.split())
        assert "Traceback" not in found.output
        assert not list((tmp_path / "out" / "tables").glob("*.csv"))

    def test_names_cities_without_instruments(self, folder, economy, tmp_path):
        columns = pd.DataFrame({"a": 1.0, "b": np.arange(CITIES)}, pd.Index(economy.labels.city, name="city"))
        columns.iloc[2:].to_csv(tmp_path / "instruments.csv")
        found = self.run(folder, tmp_path, f"regression.instruments={tmp_path / 'instruments.csv'}")
        assert found.exit_code == 1
        assert economy.labels.city[0] in found.output
        assert economy.labels.city[1] in found.output

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            (
                'regression.estimators=["2SLS"]',
                "estimators.0: must be 'ols', '2sls' or 'cue', found '2SLS'; did you mean 2sls?",
            ),
            ("regression.estimators=ols", "regression.estimators: must be a list in brackets, found 'ols'"),
            ("regression.by=[]", "regression.by: needs at least 1 value, found []"),
            ("uncertainty.share_error=[1, 2]", "uncertainty.share_error: unknown key; did you mean share_errors?"),
            (
                "uncertainty.share_errors=[-1, 2]",
                "uncertainty.share_errors.0: input should be greater than or equal to 0",
            ),
            ("uncertainty=false", "uncertainty: must be a table of keys, found False"),
            ("monte_carlo.citys=30", "monte_carlo.citys: unknown key; did you mean cities?"),
            ("monte_carlo.cities=3", "monte_carlo.cities: input should be greater than or equal to 20, found 3"),
            ("spillover={share=[1.0]}", "spillover: the key kind is missing"),
        ],
    )
    def test_refuses_a_configuration_by_key(self, folder, tmp_path, override, message):
        found = self.run(folder, tmp_path, override)
        assert found.exit_code == 1
        assert message in " ".join(found.output.split())
        assert not (tmp_path / "out").exists()


def test_the_configuration_of_the_repository_is_its_defaults():
    assert load_config(CONFIGS / "spillovers.toml") == SpilloverRunConfig(economy="spillovers")


def test_no_uncertainty_is_also_said_by_none():
    assert SpilloverRunConfig(economy="spillovers", uncertainty=None).uncertainty == "none"
