"""The documentation site builds without a warning, leads nowhere that is not there, and needs no network."""

import re
import subprocess
import sys
import zlib
from importlib import import_module
from pathlib import Path
from typing import get_origin

import pytest

import spatialjax as sj

pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'spatialjax[docs]'")

from mkdocs.utils.yaml import yaml_load

ROOT = Path(__file__).parents[1]
PACKAGES = ("", ".granular", ".estimation", ".density", ".plots", ".devices", ".sources")
LOADED = re.compile(r"<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=\"?(?:https?:)?//[^\"> ]*")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, "\n".join(line for line in done.stderr.splitlines() if not line.startswith("INFO"))
    return folder


def pages(site):
    return {path.relative_to(site).as_posix(): path.read_text() for path in sorted(site.rglob("*.html"))}


def test_every_link_and_picture_within_the_site_is_there(site):
    texts = pages(site)
    identifiers = {name: set(re.findall(r"\bid=\"?([^\"\s>]+)", text)) for name, text in texts.items()}
    checked = 0
    for name, text in texts.items():
        if name == "404.html":  # of absolute links, for a server
            continue
        for link in re.findall(r"\b(?:href|src)=\"?([^\"\s>]+)", text):
            path, _, fragment = link.partition("#")
            if re.match(r"[a-z]+:|//", link) or link in ("", "."):
                continue
            target = (site / name).parent / path if path else site / name
            assert target.resolve().exists(), f"{name}: {link}"
            page = target.resolve().relative_to(site.resolve()).as_posix()
            if fragment and page in identifiers:
                assert fragment.replace("%5B", "[") in identifiers[page], f"{name}: {link}"
            checked += 1
    assert checked > 1000


def test_nothing_is_loaded_from_elsewhere(site):
    for name, text in pages(site).items():
        assert not LOADED.findall(text.replace('rel="canonical"', "")), name


def test_formulas_are_mathematics_and_not_source(site):
    texts = pages(site)
    assert texts["model.html"].count("<math") > 150
    for name, text in texts.items():
        assert "arithmatex" not in text, name
        prose = re.sub(r"<(code|pre|script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
        assert not re.search(r"\\(frac|sum|tau|hat|lambda)\b", prose), name


def test_every_public_name_is_in_the_reference(site):
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    described = {line.split()[0] for line in zlib.decompress(inventory).decode().splitlines()}
    for package in PACKAGES:
        module = import_module(f"spatialjax{package}")
        for name in module.__all__:
            public = getattr(module, name)
            if hasattr(public, "__path__") or public is sj.errors or get_origin(public) is not None:
                continue
            path = f"spatialjax{package}.{name}"
            assert {path, f"{path}.{name}"} & described, f"{path} is on no page of docs/reference"


def test_every_command_is_described(site):
    from typer.main import get_command

    from spatialjax.cli import app

    page = pages(site)["reference/command-line.html"]
    for name in get_command(app).commands:
        assert f"spatialjax {name}" in page


def test_citation_is_that_of_this_version():
    citation = yaml_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == sj.__version__
    assert citation["license"] == "MIT"
    assert {"cff-version", "message", "title", "authors", "type"} <= set(citation)
