"""A report as one HTML page with all that it needs inside."""

import base64
import re
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from spatialjax.report.content import Picture, Report, Table

MOST_ROWS = 1000
"""Rows of a table that are on the page; the file beside it has all."""
INLINE_BYTES = 4_000_000
"""Of an SVG file, up to which it is part of the page, so that points say their names; larger ones are PNG pictures."""


def page(report: Report) -> str:
    """The HTML text of a report, without a reference to anything outside of it."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"cell": cell, "is_number": is_number}
    template = environment.from_string(_asset("page.html"))
    pictures = [{"title": p.title, "name": p.stem.name, "image": image(p, n)} for n, p in enumerate(report.pictures)]
    return template.render(
        report=report,
        pictures=pictures,
        tables=[_shown(table) for table in report.tables],
        headline=None if report.headline is None else _shown(report.headline),
        style=Markup(_asset("page.css")),
        behaviour=Markup(_asset("page.js")),
    )


def _asset(name: str) -> str:
    return (resources.files("spatialjax.report") / "assets" / name).read_text(encoding="utf-8")


def _shown(table: Table) -> dict[str, Any]:
    frame = table.frame.head(MOST_ROWS)
    return {
        "title": table.title,
        "file": table.file,
        "columns": [str(name).replace("_", " ") for name in frame.columns],
        "numeric": [pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes],
        "rows": frame.itertuples(index=False, name=None),
        "count": len(frame),
        "left_out": len(table.frame) - len(frame),
    }


def is_number(value: Any) -> bool:
    """Whether a cell is a number, known or not."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


def cell(value: Any) -> str:
    """A cell in four digits; empty where nothing is known."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not is_number(value):
        return "" if value is None else str(value)
    if not np.isfinite(value):
        return "" if np.isnan(value) else str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def image(picture: Picture, number: int) -> Markup:
    """A figure as part of the page: its SVG, or where that is large its PNG."""
    svg, png = picture.stem.with_name(f"{picture.stem.name}.svg"), picture.stem.with_name(f"{picture.stem.name}.png")
    if svg.stat().st_size <= INLINE_BYTES or not png.exists():
        return Markup(_inline(svg.read_text(encoding="utf-8"), f"f{number}", picture.title))
    encoded = base64.b64encode(png.read_bytes()).decode()
    return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(encoded, picture.title)


def _inline(text: str, prefix: str, title: str) -> str:
    """An SVG file as an element of a page: identifiers and classes of several figures are kept apart."""
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(<image[^>]*) id="[^"]+"', r"\1", body)  # colour bars of one scale have the same
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", body)
    body = re.sub(r"^\.(\w+)\{", rf"#{prefix} .\1{{", body, flags=re.MULTILINE)
    label = Markup.escape(title)
    return body.replace("<svg", f'<svg id="{prefix}" role="img" aria-label="{label}"', 1)
