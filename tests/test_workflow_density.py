"""The run of the density premium: what it writes, goes on from, leaves out and refuses."""

import json
import tomllib
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from spatialjax.cli import app
from spatialjax.density.age_profile import age_profile, flat_profile_test
from spatialjax.density.cbsas import cbsa_table
from spatialjax.density.columns import with_regressors
from spatialjax.density.metropolitan import metropolitan_premium, place_earnings
from spatialjax.density.panel import COLUMNS, as_panel, read_panel, with_earnings, with_moves
from spatialjax.density.premium import premium_table
from spatialjax.density.selection import survivors
from spatialjax.density.tenure_profile import tenure_profile
from spatialjax.errors import ConfigError, DataError, OutputError
from spatialjax.workflow.config import DensityRunConfig, load_config
from spatialjax.workflow.density_drawing import FIGURES, draw_density_figures
from spatialjax.workflow.density_run import run_density
from spatialjax.workflow.density_sources import Sources
from spatialjax.workflow.density_tables import PANEL, PLACES, ZONES
from spatialjax.workflow.remembered import RememberedTables

CONFIGS = Path(__file__).parents[1] / "configs"
pytestmark = pytest.mark.filterwarnings("ignore::spatialjax.errors.EstimationWarning")
TRUTH = 0.09
ROWS = 15_000
MOVES = ["tenure", "moved", "county_changes"]


class Listener:
    """A reporter that keeps what it hears, and interrupts the run at a stage."""

    def __init__(self, interrupt_at=None):
        self.stages, self.lines, self.interrupt_at = [], [], interrupt_at

    def stage(self, name):
        if self.interrupt_at is not None and self.interrupt_at in name:
            raise KeyboardInterrupt
        self.stages.append(name)
        return nullcontext()

    def say(self, message):
        self.lines.append(message)

    def progress(self, done, total):
        pass


def config_of(panel="simulated", figures=False, granular=False, **sections):
    return DensityRunConfig(
        economy="density",
        panel={"source": str(panel)},
        simulation={"establishments": 20_000, "premium": TRUTH},
        relocation={"establishments": 10_000},
        bridge={"cities": False, "granular": granular},
        output={"folder": "unused", "figures": figures},
        **sections,
    )


@pytest.fixture(scope="module")
def cbsas():
    return cbsa_table()


@pytest.fixture(scope="module")
def simulated():
    """The simulated panel of a run, with its regressors."""
    return Sources(config_of(), Listener()).panel


@pytest.fixture(scope="module")
def folder(simulated, tmp_path_factory):
    """A user's panel, the results of a run on it, and what its reporter heard."""
    folder = tmp_path_factory.mktemp("density")
    panel = simulated.sample(ROWS, random_state=0).sort_index()
    as_panel(panel[list(COLUMNS)]).to_parquet(folder / "panel.parquet")
    listener = Listener()
    run_density(config_of(folder / "panel.parquet", figures=True, granular=True), folder / "out", listener)
    (folder / "heard.json").write_text(json.dumps([listener.stages, listener.lines]))
    return folder


@pytest.fixture(scope="module")
def panel(folder, cbsas):
    return with_regressors(read_panel(folder / "panel.parquet", cbsas), cbsas)


@pytest.fixture(scope="module")
def few(panel, tmp_path_factory):
    """A panel of the six largest CBSAs without columns about moves."""
    path = tmp_path_factory.mktemp("few") / "few.parquet"
    largest = panel["cbsa"].value_counts().index[:6]
    columns = [name for name in COLUMNS if name not in MOVES]
    panel.loc[panel["cbsa"].isin(largest), columns].astype({"multi_unit": bool}).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def uninterrupted(few, tmp_path_factory):
    """The results of a run on a panel that cannot support every table."""
    return run_density(config_of(few), tmp_path_factory.mktemp("uninterrupted"))


def table(folder, name):
    return pd.read_csv(folder / "out" / "tables" / f"{name}.csv")


class TestRun:
    def test_writes_every_table_and_figure(self, folder):
        out = folder / "out"
        files = {"config.toml", "summary.csv", "summary.tex", "run.json", "report.html"}
        assert {path.name for path in out.iterdir()} == files | {"tables", "figures"}
        wanted = {entry.name for entry in (*PLACES, *PANEL, *ZONES)}
        found = {path.stem for path in (out / "tables").glob("*.csv")}
        assert wanted - found == {"concrete"}  # no CBSA has enough plants of it
        report = json.loads((out / "run.json").read_text())
        assert list(report["tables_left_out"]) == ["concrete"]
        assert report["tables_read_back"] == []
        assert report["versions"]["pyfixest"]
        drawn = {path.name for path in (out / "figures").iterdir()}
        assert drawn == {f"{name}.{ending}" for name in FIGURES for ending in ("png", "svg", "csv")}

    def test_keeps_the_configuration(self, folder):
        kept = load_config(folder / "out" / "config.toml")
        assert kept == config_of(folder / "panel.parquet", figures=True, granular=True)
        assert tomllib.loads((folder / "out" / "config.toml").read_text())["relocation"]["move_probability"] == 0.0103

    def test_tables_are_those_of_the_estimators(self, folder, panel, cbsas):
        pd.testing.assert_frame_equal(table(folder, "premium"), premium_table(panel), check_dtype=False, rtol=1e-8)
        pd.testing.assert_frame_equal(table(folder, "survivors"), survivors(panel, cbsas), check_dtype=False, rtol=1e-8)
        pd.testing.assert_frame_equal(
            table(folder, "tenure_profile"), tenure_profile(panel).table(), check_dtype=False, rtol=1e-8
        )
        test = flat_profile_test(age_profile(panel))
        assert table(folder, "flat_profile")["p_value"][0] == pytest.approx(test.p_value, rel=1e-8)
        means = table(folder, "panel_places").set_index(["specification", "regressor"])
        fit = metropolitan_premium(place_earnings(panel, cbsas), college=True)
        found = means.loc["density and college", "coefficient"]
        np.testing.assert_allclose(found[fit.coefficients.index], fit.coefficients, rtol=1e-8)

    def test_recovers_the_truth_of_the_simulation(self, folder):
        row = table(folder, "premium").set_index(["specification", "regressor"]).loc[("all controls", "log_density")]
        assert abs(row["coefficient"] - TRUTH) < 3 * row["standard_error"] < 0.03

    def test_summary_sets_the_paper_beside(self, folder):
        summary = pd.read_csv(folder / "out" / "summary.csv").set_index("figure")
        assert list(summary) == ["ours", "s.e.", "FF", "FF s.e."]
        premium = table(folder, "premium").set_index(["specification", "regressor"])
        ours = premium.loc[("all controls", "log_density")]
        row = summary.loc["panel: all controls"]
        assert row["ours"] == pytest.approx(ours["coefficient"])
        assert (row["FF"], row["FF s.e."]) == (0.074, 0.01)
        assert summary.loc["panel, means by CBSA: density", "FF"] == 0.081
        assert summary.loc["random relocation: the same, expected", "FF"] == 0.39
        assert summary.loc["granular economy: wage on population", "ours"] > 0
        assert not summary.index.str.contains("truth").any()  # nobody knows the premium of a user's panel

    def test_says_what_it_finds(self, folder):
        stages, lines = json.loads((folder / "heard.json").read_text())
        assert stages[0] == "reading the panel"
        assert any(line.startswith(f"panel of {ROWS:,} establishment-years (1992, 1997)") for line in lines)
        assert "note: no CBSA has enough plants" in " ".join(lines) or "note: no establishments of" in " ".join(lines)
        assert any(line.endswith("table left out") for line in lines)
        assert not [line for line in lines if "the panel is simulated" in line]

    def test_goes_on_from_its_tables(self, few, uninterrupted, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            run_density(config_of(few), tmp_path, Listener(interrupt_at="premium by quintile (FF Table C.2)"))
        written = {path.stem: path.stat().st_mtime_ns for path in (tmp_path / "tables").glob("*.csv")}
        assert {"premium", "subgroups"} <= set(written)
        assert "first_stages" not in written  # eight instruments of six CBSAs
        assert not (tmp_path / "summary.csv").exists()
        again = Listener()
        result = run_density(config_of(few), tmp_path, again)
        assert not [stage for stage in again.stages if "Table 3" in stage or "appendix D" in stage]
        assert again.stages[0] == "reading the panel"
        assert "premium by quintile (FF Table C.2)" in again.stages
        assert set(result.diagnostics["tables_read_back"]) == set(written)
        assert all((tmp_path / "tables" / f"{name}.csv").stat().st_mtime_ns == at for name, at in written.items())
        assert set(result.tables) == set(uninterrupted.tables)
        for name, frame in result.tables.items():
            pd.testing.assert_frame_equal(frame, uninterrupted.tables[name])
        assert any(line.startswith(f"{len(written)} tables are those of an earlier run") for line in again.lines)

    def test_another_configuration_or_panel_begins_anew(self, few, tmp_path):
        source = tmp_path / "panel.parquet"
        source.write_bytes(few.read_bytes())
        out = tmp_path / "out"

        def begin(interrupt_at, **sections):
            with pytest.raises(KeyboardInterrupt):
                run_density(config_of(source, **sections), out, Listener(interrupt_at))
            return {path.stem for path in (out / "tables").glob("*.csv")}

        first = begin("Table 4")
        assert {"metropolitan", "characteristics", "premium"} <= first
        assert begin("Table 4", cbsas={"source": "us-cbsas"}) == first  # in other words, the same
        pd.read_parquet(source).iloc[1:].to_parquet(source)
        assert begin("Table 2") == {entry.name for entry in PLACES}
        assert begin("Table 4") == first
        refused = config_of(source, cbsas={"source": "nowhere.nc"})
        with pytest.raises(OutputError, match=r"cbsas.source: us-cbsas there, nowhere.nc here"):
            run_density(refused, out, Listener())
        with pytest.raises(DataError):
            run_density(refused, out, Listener(), anew=True)
        assert {path.stem for path in (out / "tables").glob("*.csv")} == first  # a run that is refused costs nothing
        assert not RememberedTables(out / "tables", refused).known("premium")

    def test_tables_that_no_run_wrote_are_not_removed(self, few, tmp_path):
        (tmp_path / "tables").mkdir()
        (tmp_path / "tables" / "mine.csv").write_text("a\n1\n")
        with pytest.raises(OutputError, match="tables that no run"):
            run_density(config_of(few), tmp_path)
        assert (tmp_path / "tables" / "mine.csv").read_text() == "a\n1\n"


class TestSimulated:
    def test_premium_and_truth_in_the_summary(self, simulated, cbsas, tmp_path, monkeypatch):
        """Of the simulated panel only the premium is estimated: other tables are those of any panel."""
        premium = [entry for entry in PANEL if entry.name == "premium"]
        monkeypatch.setattr("spatialjax.workflow.density_run.PANEL", premium)
        monkeypatch.setattr("spatialjax.workflow.density_sources.simulate_panel", lambda *_, **__: simulated)
        listener = Listener()
        summary = run_density(config_of(), tmp_path, listener).figures.set_index("figure")
        assert summary.loc["simulated panel: truth of the premium", "ours"] == TRUTH
        assert "simulated panel: all controls" in summary.index
        assert listener.stages[0] == "simulating a panel"
        assert "the panel is simulated" in " ".join(listener.lines)


class TestLeftOut:
    def test_tables_that_the_panel_cannot_support_are_said(self, uninterrupted):
        left_out = uninterrupted.left_out
        assert {"differences", "tenure_profile", "movers", "moves", "flat_profile"} <= set(left_out)
        assert left_out["tenure_profile"] == "column tenure is missing; column moved is missing"
        assert not set(uninterrupted.tables) & set(left_out)
        assert {"premium", "quintiles", "exits", "age_profile"} <= set(uninterrupted.tables)

    def test_the_summary_does_without(self, uninterrupted):
        figures = set(uninterrupted.figures["figure"])
        assert "panel: all controls" in figures
        assert not {"panel: differences", "panel: p-value of a flat profile by age"} & figures

    def test_they_are_said_again_and_not_tried_again(self, uninterrupted, few):
        listener = Listener()
        again = run_density(config_of(few), uninterrupted.folder, listener)
        assert "reading the panel" not in listener.stages
        assert again.left_out == uninterrupted.left_out
        assert "note: column county_changes is missing; table left out" in listener.lines
        pd.testing.assert_frame_equal(again.figures, uninterrupted.figures)

    def test_figures_do_without(self, folder, tmp_path):
        drawn = draw_density_figures(tmp_path, {"predicted": table(folder, "predicted")})
        assert [path.name for path in drawn] == [f"figure_c4_predicted.{kind}" for kind in ("png", "svg", "csv")]


class TestPanel:
    def test_earnings_and_moves_are_made_where_they_are_not_given(self, panel, cbsas, tmp_path):
        rows = panel[list(COLUMNS)].astype({"multi_unit": bool}).drop(columns=["earnings", *MOVES]).iloc[:2000]
        rows.to_parquet(tmp_path / "panel.parquet")
        one = rows[(rows["year"] == 1992) & (rows["age"] > 3)].iloc[0]
        history = pd.DataFrame(
            {"establishment": one["establishment"], "year": [1990, 1991, 1992], "cbsa": [1, 2, 2], "county": [5, 6, 6]}
        )
        history.to_csv(tmp_path / "history.csv", index=False)
        config = config_of().model_copy(
            update={
                "panel": DensityRunConfig.model_fields["panel"].annotation(
                    source=str(tmp_path / "panel.parquet"), history=str(tmp_path / "history.csv")
                )
            }
        )
        listener = Listener()
        found = Sources(config, listener).panel
        expected = with_moves(with_earnings(read_panel(tmp_path / "panel.parquet", cbsas))[0], history)
        pd.testing.assert_frame_equal(found, with_regressors(expected, cbsas))
        mover = found[(found["establishment"] == one["establishment"]) & (found["year"] == 1992)].iloc[0]
        assert (mover["moved"], mover["tenure"], mover["county_changes"]) == (True, 1, 1)
        assert any("moved, by the annual history" in line for line in listener.lines)

    def test_a_history_that_is_not_there_is_named(self, few):
        section = DensityRunConfig.model_fields["panel"].annotation(source=str(few), history="nowhere.csv")
        sources = Sources(config_of().model_copy(update={"panel": section}), Listener())
        with pytest.raises(DataError, match=r"nowhere\.csv.*\n.*annual history cannot be read"):
            _ = sources.panel


class TestCommandLine:
    def run(self, tmp_path, *overrides):
        (tmp_path / "c.toml").write_text('economy = "density"\n')
        sets = [part for override in overrides for part in ("--set", override)]
        return CliRunner().invoke(app, ["run", str(tmp_path / "c.toml"), "--out", str(tmp_path / "out"), *sets])

    def test_refuses_a_panel_by_name(self, few, tmp_path):
        bad = pd.read_parquet(few)
        bad.loc[bad.index[3], "employment"] = -2.0
        bad.loc[bad.index[5], "cbsa"] = 99
        bad.drop(columns=["payroll"]).to_parquet(tmp_path / "bad.parquet")
        found = self.run(tmp_path, f"panel.source={tmp_path / 'bad.parquet'}")
        assert found.exit_code == 1
        assert isinstance(found.exception, SystemExit)
        assert "bad.parquet: 3 problems" in found.output
        assert "column payroll is missing" in found.output
        assert f"establishment {bad['establishment'].iloc[3]} in" in found.output
        assert "cbsa 99" in found.output
        assert "Traceback" not in found.output
        assert not (tmp_path / "out" / "summary.csv").exists()

    def test_refuses_a_panel_that_is_not_there(self, tmp_path):
        found = self.run(tmp_path, "panel.source=nowhere.csv")
        assert found.exit_code == 1
        assert "nowhere.csv: 1 problem" in found.output
        assert "no such file" in found.output

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("simulation.premum=0.1", "simulation.premum: unknown key; did you mean premium?"),
            ("panl.source=x", "panl: unknown key; did you mean panel?"),
            (
                "simulation.establishments=100",
                "establishments: input should be greater than or equal to 20000, found 100",
            ),
            ("relocation.move_probability=2", "relocation.move_probability: input should be less than 1, found 2"),
            ("panel.history=h.csv", "panel: history is for a panel that is read; a simulated one has its moves"),
            ("panel=3", "panel: must be a table of keys, found 3"),
        ],
    )
    def test_refuses_a_configuration_by_key(self, tmp_path, override, message):
        found = self.run(tmp_path, override)
        assert found.exit_code == 1
        assert message in found.output
        assert not (tmp_path / "out").exists()


def test_the_configuration_of_the_repository_is_its_defaults():
    assert load_config(CONFIGS / "density_premium.toml") == DensityRunConfig(economy="density")
    with pytest.raises(ConfigError, match="economy: must be one of 'cities', 'granular', 'spillovers', 'density'"):
        load_config(CONFIGS / "density_premium.toml", ["economy=densities"])


def test_remembered_tables_know_the_files_that_keys_name(tmp_path):
    source = tmp_path / "p.csv"
    source.write_text("a\n1\n")
    config = config_of(source)
    first = RememberedTables(tmp_path / "tables", config)
    first.table("premium", lambda: pd.DataFrame({"a": [1.0]}))
    first.leave_out("moves", "no movers")
    again = RememberedTables(tmp_path / "tables", config)
    assert again.known("premium")
    assert again.left_out("moves") == "no movers"
    assert again.left_out("premium") is None
    source.write_text("a\n2\n")
    anew = RememberedTables(tmp_path / "tables", config)
    assert not anew.known("premium")
    assert anew.left_out("moves") is None
