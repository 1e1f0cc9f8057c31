"""The documentation does what it says: its code runs, its links lead somewhere."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Literal, get_origin

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def python_blocks(page):
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/how-to.md",
        "docs/data.md",
        "docs/granular.md",
        "docs/density.md",
        "docs/estimation.md",
    ],
)
def test_code_runs_from_top_to_bottom(page, tmp_path):
    code = python_blocks(ROOT / page)
    assert "import spatialjax" in code
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("module", ["spatialjax", "spatialjax.granular", "spatialjax.density", "spatialjax.estimation"])
def test_every_public_name_is_documented(module):
    module = import_module(module)
    for name in module.__all__:
        public = getattr(module, name)
        if get_origin(public) is Literal:
            continue
        described = public.__doc__ or ""
        made_up = described.startswith(f"{name}(")  # as dataclasses do where there is none
        assert described, name
        assert not made_up, name
