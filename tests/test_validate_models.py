"""The command that puts known numbers beside ours."""

import os
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from spatialjax.cli import app
from spatialjax.errors import DataError
from spatialjax.nested import closed_forms, helpman
from spatialjax.nested.row import ValidationRow
from spatialjax.workflow import validate_models as module
from spatialjax.workflow.paper import COLUMNS
from spatialjax.workflow.statement import Statement, table_of
from spatialjax.workflow.validate_models import (
    MADE_HERE,
    MODELS,
    Validation,
    figures_of_papers,
    statements_in,
    validate_models,
)

PEERS = os.environ.get("SPATIALJAX_PEERS", "")


@pytest.fixture
def few(monkeypatch):
    """One cheap closed form in the place of all."""
    monkeypatch.setattr(closed_forms, "CASES", (closed_forms.frictionless_wages,))


def command(*arguments):
    return CliRunner().invoke(app, ["validate-models", *map(str, arguments)])


def test_without_a_folder_the_page_has_closed_forms_and_says_what_is_left_out(few, tmp_path):
    page = tmp_path / "validation.md"
    done = command("--out", page)
    assert done.exit_code == 0, done.output
    assert f"1 of 1 rows hold; page: {page}" in done.output.replace("\n", " ")
    text = page.read_text()
    assert "**1 of 1 rows hold**" in text
    assert "| Eaton and Kortum (2002) | wages without trade costs (the worst of 4) |" in text
    for model in MODELS:
        assert f"`spatialjax validate-models --peers FOLDER` computes it from `FOLDER/{model.folder}`" in text
    assert "`spatialjax paper" in text


def test_tables_of_the_page_are_tables(few, tmp_path):
    command("--out", tmp_path / "validation.md")
    lines = (tmp_path / "validation.md").read_text().splitlines()
    widths = [line.count("|") for line in lines if line.startswith("|")]
    assert len(set(widths)) == 1
    assert widths


@pytest.mark.parametrize("found", [1.1, np.nan])
def test_a_row_that_does_not_hold_gives_status_1_and_is_named(found, monkeypatch, tmp_path):
    row = ValidationRow("Model", "a number", 1.0, found, 0.01, "a book")
    monkeypatch.setattr(closed_forms, "rows", lambda: [row, replace(row, computed=1.005)])
    done = command("--out", tmp_path / "page.md")
    assert done.exit_code == 1
    assert "does not hold: Model, a number: known 1, computed" in done.output
    assert "1 of 2 rows hold" in done.output
    assert "| **no** |" in (tmp_path / "page.md").read_text()


def test_models_are_read_from_their_folders(few, tmp_path, monkeypatch):
    monkeypatch.setattr(helpman, "SIDE", 4)
    folder = tmp_path / "peers" / "rrh2017"
    folder.mkdir(parents=True)
    np.savetxt(folder / "a.csv", np.random.default_rng(0).normal(0, 0.3, 16))
    done = command("--peers", tmp_path / "peers", "--out", tmp_path / "page.md")
    assert done.exit_code == 1  # another grid has other gains
    text = (tmp_path / "page.md").read_text()
    assert "## Redding and Rossi-Hansberg (2017)" in text
    assert "FOLDER/rrh2017" not in text
    assert re.search(r"\| seconds \| toolkit's seconds \|", text)


def test_files_that_cannot_be_read_are_named(few, tmp_path):
    (tmp_path / "peers" / "rrh2017").mkdir(parents=True)
    done = command("--peers", tmp_path / "peers", "--out", tmp_path / "page.md")
    assert done.exit_code == 1
    assert "file a.csv is missing" in done.output
    assert not (tmp_path / "page.md").exists()


def finished(folder, economy, table):
    folder.mkdir()
    table.to_csv(folder / "summary.csv", index=False)
    (folder / "config.toml").write_text(f'economy = "{economy}"\n')
    return folder


def test_figures_of_the_papers_are_those_of_a_page_or_of_a_part(few, tmp_path):
    figures = pd.DataFrame([["A paper", "gain", 0.59, 0.592, np.nan, 0.002, "other data"]], columns=COLUMNS)
    page = finished(tmp_path / "page", "paper", figures)
    assert list(figures_of_papers(page)["figure"]) == ["gain"]
    run = pd.DataFrame({"figure": ["gain"], "value": [0.592], "unit": ["percent"], "published (CH)": [0.59]})
    said = [Statement("CH", "it rises", "slope", 0.1, True), Statement("CH", "it falls", "slope", 0.25, False)]
    table_of(said).to_csv(page / "statements.csv", index=False)
    part = figures_of_papers(finished(tmp_path / "part", "cities", run))
    assert statements_in(tmp_path / "part") is None
    assert part["why they differ"].str.contains("public data instead of CH's").all()
    done = command("--papers", page, "--out", tmp_path / "validation.md")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "validation.md").read_text()
    assert "### A paper" in text
    assert "Why ours differ: other data." in text
    assert "| gain | 0.59 | 0.592 | 0.002 |" in text
    assert "1 of 2 statements hold on these data." in text
    assert "| CH | it falls | slope | 0.25 | **no** |" in text


def test_a_folder_without_a_finished_run_is_refused(few, tmp_path):
    with pytest.raises(DataError, match="has no finished run"):
        figures_of_papers(tmp_path)
    nested = finished(tmp_path / "nested", "nested", pd.DataFrame({"figure": ["x"]}))
    with pytest.raises(DataError, match="is a run of economy 'nested', of which the papers publish nothing"):
        figures_of_papers(nested)


def test_the_table_has_what_is_known_and_ours(few):
    found = validate_models()
    assert list(found.rows) == [MADE_HERE]
    table = found.table()
    assert list(table) == ["model", "data", "quantity", "known", "ours", "difference", *module.SECONDS, "holds"]
    np.testing.assert_allclose(table["difference"], table["ours"] - table["known"])
    assert isinstance(found, Validation)
    assert found.broken == []


@pytest.mark.skipif(not PEERS, reason="SPATIALJAX_PEERS does not name the folder of published results")
def test_every_published_number_is_found(few):
    found = validate_models(PEERS)
    assert found.left_out == {}
    assert found.broken == []
