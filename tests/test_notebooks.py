"""The notebooks run from top to bottom at a small size, and are notebooks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


def test_there_are_notebooks_and_no_outputs_beside_them():
    assert len(NOTEBOOKS) >= 5
    assert not list(NOTEBOOKS[0].parent.glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(notebook, tmp_path):
    environment = {**os.environ, "SPATIALJAX_SMALL": "1", "PYTHONWARNINGS": "error::FutureWarning"}
    command = [sys.executable, str(notebook)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_converts_to_a_notebook_with_text_and_code(notebook):
    jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed: pip install 'spatialjax[docs]'")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install 'spatialjax[docs]'")
    converted = jupytext.read(notebook)
    nbformat.validate(converted)
    kinds = [cell.cell_type for cell in converted.cells]
    assert kinds[0] == "markdown"
    assert converted.cells[0].source.startswith("# ")
    assert kinds.count("code") >= 4
    text = notebook.read_text()
    assert "spatialjax._" not in text
    assert "assert " in text
