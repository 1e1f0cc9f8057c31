"""The documentation does what it says: its code runs, its links lead somewhere."""

import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Literal, get_origin

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def python_blocks(page):
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/history.md",
        "docs/how-to.md",
        "docs/own-data.md",
        "docs/data.md",
        "docs/granular.md",
        "docs/density.md",
        "docs/estimation.md",
        "docs/nested.md",
    ],
)
def test_code_runs_from_top_to_bottom(page, tmp_path):
    code = python_blocks(ROOT / page)
    assert "import spatialjax" in code
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_first_page_of_the_site_shows_the_code_of_the_readme():
    assert python_blocks(ROOT / "docs" / "index.md") == python_blocks(ROOT / "README.md")


TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.DOTALL | re.MULTILINE)
INSTALL = "SPATIALJAX_TEST_INSTALL"


def installed_anew(folder):
    """What the tutorial's first block does with a copy of the repository: the programs that it installs."""
    copy = folder / "spatialjax"
    left_out = shutil.ignore_patterns(".*", "results", "tests", "site", "dist", "build", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=left_out)
    (install,) = [text for _, title, text in BLOCK.findall(TUTORIAL.read_text()) if title == "install"]
    shell(install, copy, os.environ["PATH"])
    return copy / ".venv" / "bin"


def shell(commands, folder, path):
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(["bash", "-euc", commands], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return squeezed(done.stdout)


def squeezed(text):
    return " ".join(text.split())


@pytest.mark.parametrize("environment", ["this", "fresh"])
def test_the_tutorial_does_what_it_says_word_for_word(environment, tmp_path):
    if environment == "fresh" and not os.environ.get(INSTALL):
        pytest.skip(f"installs the package with all it depends on: set {INSTALL}=1")
    programs = installed_anew(tmp_path) if environment == "fresh" else Path(sys.executable).parent
    folder = tmp_path / "work"
    folder.mkdir()
    printed, compared = "", 0
    for language, title, text in BLOCK.findall(TUTORIAL.read_text()):
        if title and title != "install":
            (folder / title).write_text(text)
        elif language == "sh" and not title:
            printed = shell(text, folder, f"{programs}{os.pathsep}{os.environ['PATH']}")
        elif language == "text":
            for line in text.splitlines():
                assert squeezed(line) in printed, line
                compared += 1
    assert compared > 10
    assert (folder / "results" / "first" / "report.html").exists()


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
