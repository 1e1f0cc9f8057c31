"""One look for every figure: fonts, colours, sizes of markers, and how figures are saved."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from spatialjax.files import write
from spatialjax.plots.drawn import drawn_data, mark_named_points
from spatialjax.plots.svg import refine_svg

Array = np.ndarray

PALETTE = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky blue": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "grey": "#8C8C8C",
}
"""Colours that the colour-blind tell apart: Okabe and Ito (2008), Color Universal Design, and a grey."""

SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"
"""Colour maps for quantities of one sign and of both signs; neither sets red against green."""

LAND, BORDER, INK = "#E6E6E6", "#FFFFFF", "#333333"
"""Colours of land, of the lines between states, and of text and thin edges."""

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "text.usetex": False,
    "text.color": INK,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.bbox": None,
    "svg.fonttype": "path",
    "svg.hashsalt": "spatialjax",
}
"""Matplotlib settings of every figure; all fonts come with matplotlib, so that files do not vary."""

LARGEST_MARKER = 700.0
"""Area of the largest city's marker on a page of the usual width, in points squared."""


@contextmanager
def plot_style() -> Iterator[None]:
    """A context, or a decorator of functions, in which matplotlib's settings are those of `STYLE`."""
    with matplotlib.rc_context(STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, laid out without overlaps, outside pyplot's registry."""
    return Figure(figsize=(width, height), layout="constrained")


def leave_room(figure: Figure, bottom: float) -> None:
    """Lay a figure out above this fraction of its height."""
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0.0, bottom, 1.0, 1.0 - bottom))


def dress_axes(axes: Axes, *, grid: bool = True) -> None:
    """Thin ticks, and a faint grid behind the data."""
    axes.tick_params(labelsize=8.0, length=3.0, width=0.6)
    if grid:
        axes.grid(visible=True, color="#E4E4E4", linewidth=0.5)


def marker_areas(
    employment: Array,
    *,
    largest: float = LARGEST_MARKER,
    reference: float | None = None,
) -> Array:
    """Marker areas in points squared, proportional to employment; `reference` workers have the `largest`.

    By default the largest city is the reference. Pass the same reference to compare several sets.
    """
    employment = np.asarray(employment, float)
    return largest * employment / (np.nanmax(employment) if reference is None else reference)


def legend_sizes(biggest_city: float, *, count: int = 3) -> Array:
    """Round numbers of workers for a legend of sizes: 1, 2 or 5 times a power of ten, descending.

    The first is at most the biggest city's employment; each further one is about a fifth of the last.
    """
    return _round_down(biggest_city / 5.0 ** np.arange(count))


def _round_down(x: Array) -> Array:
    power = 10.0 ** np.floor(np.log10(x) + 1e-12)
    lead = np.array([1.0, 2.0, 5.0])
    return power * lead[np.searchsorted(lead, x / power * (1 + 1e-12), side="right") - 1]


def format_workers(workers: float) -> str:
    """A number of workers as one would say it: 50 thousand, 2 million."""
    for unit, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if workers >= unit:
            return f"{workers / unit:g} {name}"
    return f"{workers:g}"


def size_legend(
    parent: Axes | Figure | SubFigure, biggest_city: float, *, largest: float, row: bool = False, **placement: Any
) -> Legend:
    """Add a legend of marker sizes, in a column or a `row`; `placement` goes to matplotlib's legend.

    `biggest_city` is the number of workers whose marker has the area `largest`, in points squared.
    """
    sizes = legend_sizes(biggest_city)[::-1]
    areas = marker_areas(sizes, largest=largest, reference=biggest_city)
    widest = float(np.sqrt(areas.max())) / STYLE["legend.fontsize"]
    labels = [format_workers(size) for size in sizes]
    if row:
        labels[-1] += " workers"
    return parent.legend(
        handles=[_size_handle(area) for area in areas],
        labels=labels,
        title=None if row else "Workers",
        alignment="left",
        ncols=len(sizes) if row else 1,
        handlelength=widest,
        handleheight=widest * (1.2 if row else 0.8),
        **placement,
    )


def _size_handle(area: float) -> Line2D:
    size = float(np.sqrt(area))
    return Line2D([], [], linestyle="", marker="o", markersize=size, color="none", mec=INK, mew=0.6)


def save_figure(
    figure: Figure,
    path_stem: str | Path,
    *,
    formats: Iterable[str] = ("png", "svg"),
) -> list[Path]:
    """Write a figure as `path_stem`.png (200 dots per inch) and .svg, and its data as .csv; returns the paths.

    The same figure gives the same bytes: no date is recorded, and identifiers in the SVG are not random. Named points
    have titles in the SVG, which show on hovering. The data are those of [`drawn_data`][]. Missing folders are made.

    **Raises:** `OutputError` naming the file where it cannot be written; there is then no part of it.
    """
    stem = Path(path_stem)
    texts = mark_named_points(figure)
    with _settled_layout(figure):
        paths = [_save(figure, stem.with_name(f"{stem.name}.{kind}"), kind, texts) for kind in formats]
    data = drawn_data(figure)
    return [*paths, write(stem.with_name(f"{stem.name}.csv"), lambda path: data.to_csv(path, index=False))]


@contextmanager
def _settled_layout(figure: Figure) -> Iterator[None]:
    """Hold the places of axes, rounded, while a figure is saved: the layout solver differs in the last bits.

    SVG identifiers are hashes of these places.
    """
    with plot_style():
        for _ in range(2):  # the layout moves a little when run again, and only then settles
            figure.draw_without_rendering()
    engine = figure.get_layout_engine()
    figure.set_layout_engine("none")
    takes_part = {axes: axes.get_in_layout() for axes in figure.axes}
    try:
        for axes in takes_part:
            left, bottom, width, height = (round(value, 6) for value in axes.get_position(original=True).bounds)
            axes.set_position((left, bottom, width, height))
        yield
    finally:
        for axes, part in takes_part.items():
            axes.set_in_layout(part)
        figure.set_layout_engine(engine)


def _save(figure: Figure, path: Path, kind: str, texts: dict[str, list[str]]) -> Path:
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)

    def save(temporary: Path) -> None:
        with plot_style():
            figure.savefig(temporary, format=kind, dpi=200, metadata=metadata)
        if kind == "svg":
            refine_svg(temporary, texts)

    return write(path, save)
