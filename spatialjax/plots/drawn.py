"""What a figure shows, read off the figure itself: its data as a table, and the names of its points."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection, FillBetweenPolyCollection, LineCollection, PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spatialjax.plots.svg import DECORATION

Array = np.ndarray
COLUMNS = ("panel", "series", "kind", "name", "x", "y", "value", "area")
BANDS = (LineCollection, FillBetweenPolyCollection)
NAMES, UNDRAWN = "point_names", "decoration"


def give_names(points: Collection, names: Sequence[Any] | Array | None) -> None:
    """Give the points of a collection names, which the table of a figure has and which hovering shows.

    Names are in the order of the points.
    """
    if names is not None:
        setattr(points, NAMES, tuple(str(name) for name in names))


def decoration(artist: Artist) -> None:
    """Mark what is drawn as no data: outlines, frames."""
    setattr(artist, UNDRAWN, True)
    artist.set_gid(DECORATION)


def drawn_data(figure: Figure) -> pd.DataFrame:
    """The data of a figure: one row for each point, end of a line or bar, in the order of drawing.

    Columns: `panel` (its title, or its number), `series` (as in the legend), `kind` ("points", "line", "segment", "bar"
    or "band"), `name` of the point, `x` and `y` in the units of the axes (miles on a projected map), `value` that the
    colour shows, and `area` of the marker in points squared.
    """
    rows = [frame for number, axes in enumerate(figure.axes, 1) for frame in _of_axes(axes, number)]
    return pd.concat(rows, ignore_index=True)[list(COLUMNS)] if rows else pd.DataFrame(columns=list(COLUMNS))


def _of_axes(axes: Axes, number: int) -> Iterator[pd.DataFrame]:
    if axes.get_label() == "<colorbar>":
        return
    panel = axes.get_title() or axes.get_title(loc="left") or str(number)
    artists: list[Any] = [*axes.collections, *axes.lines, *axes.containers]
    for artist in artists:
        if getattr(artist, UNDRAWN, False):
            continue
        for part in _of_artist(artist, axes):
            label = str(artist.get_label())
            yield pd.DataFrame({"name": "", "value": np.nan, "area": np.nan} | part).assign(
                panel=panel, series="" if label.startswith("_") else label
            )


def _of_artist(artist: Any, axes: Axes) -> Iterator[dict[str, Any]]:
    if isinstance(artist, PathCollection) and artist.get_offset_transform() == axes.transData:
        yield _points(artist)
    elif isinstance(artist, Line2D) and artist.get_transform() == axes.transData:
        x, y = np.asarray(artist.get_xydata(), float).T
        yield {"kind": "line", "x": x, "y": y}
    elif isinstance(artist, BarContainer):
        boxes = [patch.get_bbox() for patch in artist.patches]
        flat = artist.orientation == "horizontal"
        middle = [(box.y0 + box.y1) / 2 if flat else (box.x0 + box.x1) / 2 for box in boxes]
        end = [box.x1 if flat else box.y1 for box in boxes]
        yield {"kind": "bar", "x": end if flat else middle, "y": middle if flat else end}
    elif isinstance(artist, BANDS) and artist.get_transform() == axes.transData:
        for path in artist.get_paths():
            x, y = np.asarray(path.vertices, float).T
            yield {"kind": "segment" if isinstance(artist, LineCollection) else "band", "x": x, "y": y}


def _points(points: PathCollection) -> dict[str, Any]:
    x, y = np.ma.filled(np.ma.asarray(points.get_offsets(), float), np.nan).T
    values, sizes = points.get_array(), points.get_sizes()
    return {
        "kind": "points",
        "name": list(getattr(points, NAMES, [""] * len(x))),
        "x": x,
        "y": y,
        "value": np.full(len(x), np.nan) if values is None else np.ma.filled(np.ma.asarray(values, float), np.nan),
        "area": np.resize(sizes, len(x)) if len(sizes) else np.full(len(x), np.nan),
    }


def mark_named_points(figure: Figure) -> dict[str, list[str]]:
    """Give collections of named points identifiers in SVG files, and return what hovering over each point shows."""
    texts: dict[str, list[str]] = {}
    for axes in figure.axes:
        for points in axes.collections:
            if isinstance(points, PathCollection) and hasattr(points, NAMES):
                identifier = f"named_points_{len(texts) + 1}"
                points.set_gid(identifier)
                texts[identifier] = _hover_texts(points)
    return texts


def _hover_texts(points: PathCollection) -> list[str]:
    """A name and what is known of it, for each point that is drawn: those at finite positions."""
    table = pd.DataFrame(_points(points))
    table = table[np.isfinite(table["x"]) & np.isfinite(table["y"])]
    coloured = points.get_array() is not None
    return [
        f"{row.name}: {_short(row.value)}" if coloured else f"{row.name}: {_short(row.x)}, {_short(row.y)}"
        for row in table.rename_axis(None).itertuples(index=False, name="Row")
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
