"""What the site adds to the pages: formulas as MathML, linked files of the repository, notebooks, help of commands."""

import html
import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
from math_core import LatexToMathML
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))

from configurations import configuration

ROOT = Path(__file__).parents[2]
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?:\.\./)+([\w./-]+)")
CONVERTER = LatexToMathML()
COMMANDS = "<!-- every command -->"
CONFIGURATION = re.compile(r"^<!-- configuration: (.*?) -->$", re.MULTILINE)
AT_THE_TOP = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages that lie beside the README, and what they are on the site."""
LISTING = {".toml": "toml", ".py": "python", ".json": "json"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of the repository that pages link to, and those beside the README, and the notebooks."""
    for name, page in AT_THE_TOP.items():
        add_page(files, config, page, from_docs((ROOT / name).read_text(encoding="utf-8")))
    pages = [file.content_string for file in files.documentation_pages()]
    linked = {match[1].rstrip("/") for text in pages for match in LINK.finditer(text)}
    for path in sorted(linked | members(linked)):
        if (ROOT / path).exists() and page_of(path).startswith("files/"):
            add_page(files, config, page_of(path), shown(path))
    for notebook in sorted((ROOT / "notebooks").glob("*.py")):
        add_page(files, config, page_of(f"notebooks/{notebook.name}"), as_markdown(notebook))
    return files


def from_docs(text: str) -> str:
    """A page beside the README, with links as if it lay in docs/."""
    return re.sub(r"\]\((?![a-z]+:|#)(docs/)?", lambda match: "](" if match[1] else "](../", text)


def members(linked: set[str]) -> set[str]:
    """The Markdown files in linked folders."""
    folders = [ROOT / path for path in linked if (ROOT / path).is_dir()]
    return {file.relative_to(ROOT).as_posix() for folder in folders for file in folder.glob("*.md")}


def add_page(files: Files, config: MkDocsConfig, name: str, text: str) -> None:
    """Put a page that no file in docs/ holds on the site; those in files/ need no entry in the navigation."""
    page = File.generated(config, name, content=text)
    if name.startswith("files/"):
        page.inclusion = page.inclusion.NOT_IN_NAV
    files.append(page)


def page_of(path: str) -> str:
    """The page that shows a file of the repository, as files/configs/us_metros.toml.md."""
    if path in AT_THE_TOP:
        return AT_THE_TOP[path]
    if path.startswith("notebooks/"):
        return path.removesuffix(".py") + ".md"
    return f"files/{path}" if path.endswith(".md") else f"files/{path}.md"


def shown(path: str) -> str:
    """A file as a page: Markdown as it is, folders as a list, others as code."""
    file = ROOT / path
    if file.is_dir():
        names = sorted(child.name for child in file.glob("*.md"))
        lines = "\n".join(f"- [{name}]({file.name}/{name})" for name in names)
        return f"# {path}\n\n{lines}\n"
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return text
    return f"# {path}\n\n```{LISTING.get(file.suffix, 'text')}\n{text}```\n"


def as_markdown(notebook: Path) -> str:
    """A notebook as a page, without its header, and with where to find it."""
    text = jupytext.writes(jupytext.read(notebook), fmt="md")
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    return f"{body}\n*This page is `notebooks/{notebook.name}`; `make notebooks` writes it as a Jupyter notebook.*\n"


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    """Point links out of the documentation to the pages that show what they lead to; insert the help of commands."""

    def pointed(match: re.Match[str]) -> str:
        target = page_of(match[1].rstrip("/"))
        if not files.get_file_from_path(target):
            return match[0]
        return posixpath.relpath(target, posixpath.dirname(page.file.src_uri))

    shown: set[str] = set()
    markdown = CONFIGURATION.sub(lambda match: configuration(match[1], shown), markdown)
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, every_command())
    return LINK.sub(pointed, markdown)


def every_command() -> str:
    """What `spatialjax COMMAND --help` prints, for every command."""
    from typer.main import get_command
    from typer.testing import CliRunner

    from spatialjax.cli import app

    environment = {"COLUMNS": "90", "TERM": "dumb", "NO_COLOR": "1"}

    def helped(words: list[str]) -> str:
        printed = CliRunner().invoke(app, [*words, "--help"], env=environment, prog_name="spatialjax").output
        return f"## {' '.join(['spatialjax', *words])}\n\n```text\n{printed.strip()}\n```"

    return "\n\n".join(helped(words) for words in commands(get_command(app)) if words != ["bench"])


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """The words of every command of a program, those of commands of commands after theirs."""
    for name, command in getattr(group, "commands", {}).items():
        yield [*words, name]
        yield from commands(command, (*words, name))


def on_page_content(html_text: str, **_: Any) -> str:
    """Formulas as MathML, which browsers show without a script."""
    return FORMULA.sub(lambda match: mathml(html.unescape(match[2]), match[1] == "div"), html_text)


def mathml(latex: str, display: bool) -> str:
    """One formula; one that cannot be read ends the build."""
    return CONVERTER.convert_with_local_state(latex, displaystyle=display)
