"""The page of what the papers publish: which rows it has, and that it goes on where it stopped."""

import json
import tomllib
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax.cli import app
from spatialjax.errors import ConfigError, ConvergenceError
from spatialjax.workflow.config import RunConfig, load_config
from spatialjax.workflow.paper import configurations, is_finished, published_rows, rows_of_part, run_paper
from spatialjax.workflow.paper_parts import CITY_REASONS, CITY_TABLES, FEWER, PARTS, statements_of
from spatialjax.workflow.run import without_papers_of_others
from spatialjax.workflow.statement import Statement, table_of
from spatialjax.workflow.summary import PUBLISHED, PUBLISHED_OF_PAIR
from spatialjax.workflow.validate_models import figures_of_papers, statements_in, validate_models, write_page

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"


def test_every_part_has_a_configuration():
    for part in PARTS.values():
        assert load_config(CONFIGS / part.config) is not None


def test_unknown_parts_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no part granulated; there are cognitive_hubs, history"):
        run_paper(tmp_path, CONFIGS, only=["granulated"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("part", "columns", "rows", "wanted"),
    [
        (
            "cognitive_hubs",
            ["figure", "value", "unit", "published (CH)"],
            [["gain", 0.592, "percent", 0.59], ["other", 1.0, None, np.nan]],
            [["gain, percent", 0.59, 0.592, np.nan]],
        ),
        (
            "granular",
            [
                "figure",
                "conduct",
                "zone",
                "KO",
                "second order, KO m",
                "exact, KO m",
                "exact, KO m, s.e.",
                "why they differ",
            ],
            [["markdown", "cournot", "largest", 1.0, 0.5, 0.6, 0.01, "a bound"]],
            [["markdown, cournot, largest", 1.0, 0.5, 0.01]],
        ),
        (
            "spillovers",
            ["figure", "ours", "s.e.", "published", "published s.e."],
            [["ols", 1.2, 0.1, 1.3, 0.2]],
            [["ols", 1.3, 1.2, 0.1]],
        ),
        (
            "density",
            ["figure", "ours", "s.e.", "FF", "FF s.e."],
            [["premium", 0.07, 0.01, 0.08, 0.02], ["truth", 0.08, np.nan, np.nan, np.nan]],
            [["premium", 0.08, 0.07, 0.01]],
        ),
        (
            "history",
            ["figure", "value", "published (CH)", "note"],
            [["row 3", 0.93, 0.927, "used"]],
            [["row 3", 0.927, 0.93, np.nan]],
        ),
    ],
)
def test_rows_of_each_kind_of_run(part, columns, rows, wanted):
    table = published_rows(PARTS[part], pd.DataFrame(rows, columns=columns))
    found = table[["figure", "published", "ours", "s.e."]]
    assert found["figure"].tolist() == [row[0] for row in wanted]
    np.testing.assert_array_equal(found.iloc[:, 1:].to_numpy(float), [row[1:] for row in wanted])
    np.testing.assert_allclose(table["difference"], table["ours"] - table["published"])
    assert table["why they differ"].str.contains(PARTS[part].reason, regex=False).all()
    if part == "granular":
        assert table["why they differ"].tolist() == ["a bound"]


@pytest.mark.parametrize(("kind", "kept"), [("occupation", True), ("industry", False), ("none", False)])
def test_figures_of_ch_stand_beside_its_own_externalities_alone(kind, kept):
    figures = pd.DataFrame({"figure": ["gain"], "value": [0.59], "published (CH)": [0.59]})
    found = without_papers_of_others(figures, RunConfig.model_validate({"spillover": {"kind": kind}}))
    assert found["published (CH)"].notna().all() == kept
    assert found["value"].tolist() == [0.59]


def fake_runs(monkeypatch, broken):
    """Runs that end at once: those of `broken` economies fail, the others have one published figure."""

    def run(config, folder, *_, **__):
        folder.mkdir(parents=True, exist_ok=True)
        if config.economy in broken:
            raise ConvergenceError("no root")
        figures = pd.DataFrame({"figure": ["one"], "ours": [1.1], "s.e.": [0.1], "published": [1.0]})
        figures.to_csv(folder / "summary.csv", index=False)
        (folder / "run.json").write_text(json.dumps({"seconds": {"a": 1.0, "b": 2.04}}))
        if config.economy == "cities":
            said = [Statement("SH", "prices fall", "largest change", -0.1, True)]
            table_of(said).to_csv(folder / "statements.csv", index=False)

    monkeypatch.setattr("spatialjax.workflow.paper.run_any", run)


def test_a_part_that_fails_is_said_and_the_others_are_on_the_page(tmp_path, monkeypatch):
    fake_runs(monkeypatch, {"spillovers"})
    found = run_paper(tmp_path, CONFIGS, only=["spillovers", "granular"])
    assert found.failed == {"spillovers": "ConvergenceError: no root"}
    assert found.figures["paper"].tolist() == [PARTS["granular"].paper]
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["seconds"] == {"granular": 3.0}
    text = (tmp_path / "report.html").read_text()
    assert "failed, and has no rows below: ConvergenceError: no root" in text
    assert "granular/report.html" in text


def test_statements_of_the_parts_that_judge_them_are_on_the_page(tmp_path, monkeypatch):
    fake_runs(monkeypatch, set())
    run_paper(tmp_path / "page", CONFIGS, only=["cognitive_hubs", "granular"])
    table = pd.read_csv(tmp_path / "page" / "statements.csv")
    assert table["statement"].tolist() == ["prices fall"]
    assert table["why they differ"].tolist() == [PARTS["cognitive_hubs"].reason]
    assert "prices fall" in (tmp_path / "page" / "report.html").read_text()
    assert run_paper(tmp_path / "without", CONFIGS, only=["granular"]).failed == {}
    assert not (tmp_path / "without" / "statements.csv").exists()


def finished_cities(folder, published=True):
    """What a run of cities leaves, of which the page takes its rows: a figure or two of each table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text('economy = "cities"\n')
    (folder / "run.json").write_text(json.dumps({"seconds": {"a": 1.0}}))
    known = {"figure": ["share of CNR in San Jose, data", "gain in percent of GDP, optimum"]}
    values = {"value": [43.8, 0.592], "unit": ["percent", "percent"], "published (CH)": [51.4, 0.59]}
    pd.DataFrame(known | values).to_csv(folder / "summary.csv", index=False)
    wages = {"dependent": "log wage of CNR", "regressor": "log employment", "coefficient": 0.058}
    wages |= {"standard_error": 0.005, "cities": 382}
    known = {"published": 0.059, "published_standard_error": 0.004} if published else {}
    pd.DataFrame([wages | known]).to_csv(folder / "wage_regressions.csv", index=False)
    move = {"from city": "Winston-Salem, NC", "to city": "Austin", "of": "share", "gain at CH's levels": 6.6}
    move |= {"from": 30.6, "to": 38.9, "from percentile": 61.0, "to percentile": 95.0}
    move |= {"from (CH)": 36.0, "to (CH)": 42.0, "from percentile (CH)": 76.0, "to percentile (CH)": 95.0}
    gains = [{"occupation": "CNR", "gain": 10.3, "gain (CH)": 6.0}, {"occupation": "non-CNR", "gain": -3.5}]
    pd.DataFrame([move | gain for gain in gains]).to_csv(folder / "productivity_moves.csv", index=False)
    sign = {"statement": "TFP rises with city size", "dependent": "log TFP", "regressor": "log employment"}
    sign |= {"coefficient": 0.14, "standard_error": 0.01, "sign in CH": "positive", "holds": True}
    pd.DataFrame([sign]).to_csv(folder / "validation.csv", index=False)


def test_published_numbers_of_all_tables_of_a_part_are_on_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr("spatialjax.workflow.paper.run_any", lambda config, folder, *_, **__: finished_cities(folder))
    table = run_paper(tmp_path, CONFIGS, only=["cognitive_hubs"]).figures.set_index("figure")
    assert table.loc["Table 1: log wage of CNR on log employment", ["published", "ours", "s.e."]].tolist() == [
        0.059,
        0.058,
        0.005,
    ]
    move = "section 4.7: CNR gain, Winston-Salem, NC to Austin"
    assert table.loc[f"{move}, percent", ["published", "ours"]].tolist() == [6.0, 10.3]
    assert table.loc[f"{move}, CH's levels, percent", ["published", "ours"]].tolist() == [6.0, 6.6]
    assert table.loc["section 4.7: CNR share of Winston-Salem, NC, percent", "published"] == 36.0
    assert table.loc["section 4.7: percentile of Austin in CNR share", "published"] == 95.0
    assert not table.index.str.contains("non-CNR gain").any()  # nothing published beside it
    assert table.index.is_unique
    np.testing.assert_allclose(table["difference"], table["ours"] - table["published"])
    said = pd.read_csv(tmp_path / "statements.csv")
    assert said[["source", "statement", "value", "holds"]].values.tolist() == [
        ["CH section 4.5", "TFP rises with city size", 0.14, True]
    ]
    text = unescape((tmp_path / "report.html").read_text())
    assert "Winston-Salem" in text
    assert "TFP rises with city size" in text
    assert FEWER in text


def test_a_figure_has_its_own_reason_before_that_of_all(tmp_path):
    finished_cities(tmp_path / "part")
    table = rows_of_part(PARTS["cognitive_hubs"], tmp_path / "part").set_index("figure")["why they differ"]
    assert table["share of CNR in San Jose, data, percent"].startswith(f"{FEWER}; ")
    assert table["Table 1: log wage of CNR on log employment"].startswith("CH's observations are cities by industry")
    assert table["gain in percent of GDP, optimum, percent"] == PARTS["cognitive_hubs"].reason
    assert table.str.endswith(PARTS["cognitive_hubs"].reason).all()


def test_tables_without_published_numbers_add_no_rows(tmp_path):
    finished_cities(tmp_path, published=False)
    found = rows_of_part(PARTS["cognitive_hubs"], tmp_path)["figure"]
    assert not found.str.startswith("Table 1").any()
    (tmp_path / "productivity_moves.csv").unlink()
    (tmp_path / "validation.csv").unlink()
    assert len(rows_of_part(PARTS["cognitive_hubs"], tmp_path)) == 2
    assert statements_of(PARTS["cognitive_hubs"], tmp_path) is None


def test_the_page_of_models_has_the_same_rows_and_reasons(tmp_path, monkeypatch):
    monkeypatch.setattr("spatialjax.nested.closed_forms.CASES", ())
    finished_cities(tmp_path / "part")
    figures = figures_of_papers(tmp_path / "part")
    assert figures["figure"].str.contains("Winston-Salem").sum() == 4
    assert statements_in(tmp_path / "part")["statement"].tolist() == ["TFP rises with city size"]
    monkeypatch.setattr("spatialjax.workflow.validate_models._closed_forms", list)
    text = write_page(tmp_path / "page.md", validate_models(papers=tmp_path / "part")).read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| share of CNR in San Jose, data")]
    number = row.split("|")[-2].strip()
    assert f"\n{number}. {FEWER}; " in text
    assert text.count(f"Why ours differ: {PARTS['cognitive_hubs'].reason}.") == 1
    (gain,) = [line for line in text.splitlines() if line.startswith("| gain in percent of GDP, optimum")]
    assert gain.split("|")[-2].strip() == ""


def test_every_reason_is_of_a_figure(tmp_path):
    finished_cities(tmp_path)
    part = PARTS["cognitive_hubs"]
    names = [*PUBLISHED, *PUBLISHED_OF_PAIR, *(f"{name}, dollars" for name in PUBLISHED)]
    names += list(rows_of_part(part, tmp_path)["figure"])
    assert {table.file for table in CITY_TABLES} == {"wage_regressions.csv", "productivity_moves.csv"}
    assert {part.reason_of(name) for name in names} - {""} == {reason for _, reason in CITY_REASONS}


def test_what_reasons_say_of_the_data_is_so():
    data = sj.load_data("us-metros")
    workers = data["employment"].sum("sector")
    total = workers.sum("city")
    assert round(100 * float(total.sel(occupation="CNR") / total.sum()), 1) == 33.4
    assert round(100 * 2020 / (2020 + 3316), 1) == 37.9  # CH's net transfers to non-CNR and CNR workers sum to zero
    means = (workers * data["wage"]).sum("city") / total
    np.testing.assert_allclose(means, [61765, 31727], rtol=1e-6)


def test_the_wedge_difference_depends_on_wages_alone():
    """As reasons say: in CH's externality all else cancels between two occupations."""
    data = sj.load_data("us-metros")
    largest = np.argsort(-data["employment"].sum(("occupation", "sector")).values)[:8]
    data = data.isel(city=np.sort(largest))
    economy = sj.invert(data)
    found = sj.solve(economy)
    difference = np.asarray(sj.wedge(economy, found)) @ [1.0, -1.0]
    np.testing.assert_allclose(difference, np.asarray(found.wage) @ [1.304, -0.835], rtol=1e-9)


class TestConfigurations:
    NAMES = tuple(part.config for part in PARTS.values())

    def test_of_the_repository_from_anywhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert configurations(self.NAMES) == [CONFIGS / name for name in self.NAMES]

    def test_of_an_installed_wheel(self, tmp_path):
        package = tmp_path / "spatialjax"
        (package / "_configs").mkdir(parents=True)
        (package / "_configs" / "history.toml").touch()
        found = configurations(["history.toml"], package=package, here=tmp_path / "none")
        assert found == [package / "_configs" / "history.toml"]

    def test_those_here_come_first_if_they_are_complete(self, tmp_path):
        (tmp_path / "configs").mkdir()
        (tmp_path / "configs" / "history.toml").touch()
        (found,) = configurations(["history.toml"], here=tmp_path / "configs")
        assert found == tmp_path / "configs" / "history.toml"
        assert configurations(["history.toml", "spillovers.toml"], here=tmp_path / "configs")[0].parent == CONFIGS

    def test_the_wheel_has_them(self):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
        assert included["configs"] == "spatialjax/_configs"

    def test_where_there_are_none_the_option_is_named(self, tmp_path, monkeypatch):
        remedy = "give --configs the folder of the repository's configurations"
        with pytest.raises(ConfigError, match=f"no history.toml in .*: {remedy}"):
            configurations(["history.toml"], package=tmp_path / "spatialjax", here=tmp_path / "none")
        monkeypatch.chdir(tmp_path)
        done = CliRunner().invoke(app, ["paper", "--configs", "elsewhere", "--only", "history", "--out", "page"])
        assert done.exit_code == 1
        assert f"no history.toml in elsewhere: {remedy}" in " ".join(done.output.split())
        assert not (tmp_path / "page").exists()


def test_the_command_shows_both_numbers_of_figures_with_long_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spatialjax.workflow.paper.run_any", lambda config, folder, *_, **__: finished_cities(folder))
    monkeypatch.setattr("spatialjax.workflow.paper_parts.Part.reason_of", lambda *_: "")
    monkeypatch.setattr("spatialjax.workflow.paper._names", lambda rows: ["a long name of a figure " * 8] * len(rows))
    done = CliRunner().invoke(app, ["paper", "--only", "cognitive_hubs", "--out", "page"])
    assert done.exit_code == 0, done.output
    assert {"43.8", "51.4", "-7.6"} <= set(done.output.split())


def test_where_all_parts_fail_there_is_no_page(tmp_path, monkeypatch):
    fake_runs(monkeypatch, {"spillovers", "granular"})
    with pytest.raises(ConvergenceError, match="no root"):
        run_paper(tmp_path, CONFIGS, only=["spillovers", "granular"])
    assert not (tmp_path / "report.html").exists()


def test_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """A part that has ended is taken as it is, unless its configuration differs."""
    data = sj.load_data("us-metros")
    size = data["employment"].sum(("occupation", "sector"))
    data.isel(city=np.sort(np.argsort(-size.values)[:12])).to_netcdf(tmp_path / "small.nc")
    monkeypatch.setitem(
        PARTS, "cognitive_hubs", replace(PARTS["cognitive_hubs"], config="sectoral_hubs.toml")
    )  # shorter
    overrides = [f"data.source={tmp_path}/small.nc", "output.figures=false", "stability.starts=0"]
    options = {"only": ["cognitive_hubs"], "overrides": overrides}
    first = run_paper(tmp_path / "page", CONFIGS, **options)
    assert first.reused == []
    record = tmp_path / "page" / "cognitive_hubs" / "run.json"
    before = record.stat().st_mtime_ns
    again = run_paper(tmp_path / "page", CONFIGS, **options)
    assert again.reused == ["cognitive_hubs"]
    assert record.stat().st_mtime_ns == before
    text = (tmp_path / "page" / "report.html").read_text()
    assert "Published beside computed" in text
    assert "cognitive_hubs/report.html" in text
    config = load_config(CONFIGS / "sectoral_hubs.toml", overrides)
    assert is_finished(record.parent, config)
    assert not is_finished(record.parent, load_config(CONFIGS / "sectoral_hubs.toml", overrides[:1]))
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"versions": {}}))
    assert not is_finished(record.parent, config)
