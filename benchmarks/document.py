"""Put tables and the figure of a file of results into docs: `python -m benchmarks.document RESULTS.json [DOCS]`.

In docs/performance.md what stands between `<!-- benchmarks: PART -->` and `<!-- end -->` is replaced by the part's
tables; parts that the file does not have are left as they are. Everything else on the page is written by hand.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from spatialjax.plots.style import save_figure

from .figure import draw
from .parts import PARTS
from .protocol import Row
from .report import HOW_TIMED, body, machine_line

PAGE = "performance.md"
FIGURE = "benchmarks"
BLOCK = re.compile(r"<!-- benchmarks: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
MACHINE = "machine"


def write_docs(path: Path, docs: Path) -> Iterator[Path]:
    """Write the page and the figures, and name what was written."""
    results = json.loads(path.read_text())
    page = docs / PAGE
    page.write_text(filled(page.read_text(), results, _link(path, docs)))
    yield page
    figure = draw(results)
    if figure is None:
        return
    yield from save_figure(figure, docs / "images" / FIGURE)


def _link(path: Path, docs: Path) -> str:
    """Where the whole page of results is, where it is kept in the repository."""
    page = path.resolve().with_suffix(".md")
    root = docs.resolve().parent
    return f" [All tables](../{page.relative_to(root).as_posix()})." if page.is_relative_to(root) else ""


def filled(page: str, results: Row, link: str = "") -> str:
    """The page with the blocks of the parts that were measured replaced."""

    def block(found: re.Match[str]) -> str:
        name = found.group(1)
        lines = _lines(name, results, link)
        if lines is None:
            return found.group(0)
        return "\n".join([f"<!-- benchmarks: {name} -->", *lines, "<!-- end -->"])

    return BLOCK.sub(block, page)


def _lines(name: str, results: Row, link: str) -> list[str] | None:
    if name == MACHINE:
        return [f"{machine_line(results['machine'])} {HOW_TIMED}{link}"]
    return body(results, name, PARTS[name]) if name in results else None


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    target_docs = given[1] if len(given) > 1 else Path(__file__).parent.parent / "docs"
    for written in write_docs(given[0], target_docs):
        print(f"written: {written}")
