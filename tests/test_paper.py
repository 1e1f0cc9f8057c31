"""The page of what the papers publish: which rows it has, and that it goes on where it stopped."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import spatialjax as sj
from spatialjax.errors import ConfigError, ConvergenceError
from spatialjax.workflow.config import RunConfig, load_config
from spatialjax.workflow.paper import PARTS, is_finished, published_rows, run_paper
from spatialjax.workflow.run import without_papers_of_others
from spatialjax.workflow.statement import Statement, table_of

CONFIGS = Path(__file__).parents[1] / "configs"


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
