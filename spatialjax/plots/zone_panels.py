"""Panels of zones: a row for each thing drawn, a column for each conduct of firms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.annotate import name_points
from spatialjax.plots.drawn import give_names
from spatialjax.plots.labels import variable
from spatialjax.plots.scatter import BLUE, heading, label_log_workers, note

Array = np.ndarray
Results = Mapping[str, xr.Dataset]

CONDUCTS = {"competitive": "Perfect competition", "cournot": "Cournot competition"}
"""Conduct of firms, in the order of columns."""

DOT = 13.0
"""Area of a zone's marker, points squared."""

MARGIN = 0.07
"""Room around what a panel shows, as a share of its range."""

CLEAR = 10
"""How many times over a dot counts as an obstacle to names: clear places far off are preferred to near ones."""


@dataclass(frozen=True)
class Row:
    """A row of panels, one for each conduct.

    `draw` draws a result on axes, and returns the points among which zones can be named, or None. `label_x` labels the
    horizontal axis. What is shown spans at least `least`, in units of the vertical axis, and the `reference` at
    which there is a line; panels have one scale where it is `shared`.
    """

    label: str
    draw: Callable[[Axes, xr.Dataset], tuple[Array, Array] | None]
    least: float
    label_x: Callable[[Axes], None]
    shared: bool = True
    reference: float | None = None


def zone_panels(results: Results, rows: Sequence[Row], title: str | None, *sentences: str) -> Figure:
    """Rows of panels, a column for each conduct there is, and sentences below them.

    **Raises:** `ModelError` where there is no result, or one of an unknown conduct.
    """
    conducts = _conducts(results)
    figure = style.new_figure(1.1 + 3.05 * len(conducts), 5.6)
    grid = figure.subplots(len(rows), len(conducts), squeeze=False)
    points = [
        [_draw_panel(axes, row, results[c]) for axes, c in zip(across, conducts, strict=True)]
        for row, across in zip(rows, grid, strict=True)
    ]
    for row, across, below in zip(rows, grid, [*rows[1:], None], strict=True):
        _finish_row(row, across, repeated=below is not None and below.label_x is row.label_x)
    for axes, conduct in zip(grid[0], conducts, strict=True):
        axes.set_title(CONDUCTS[conduct])
    heading(figure, title)
    note(figure, *sentences)
    for row, across, found in zip(rows, grid, points, strict=True):
        for axes, conduct, of_zones in zip(across, conducts, found, strict=True):
            if of_zones is not None:
                _name_extremes(axes, results[conduct], *of_zones, row.reference)
    return figure


def _conducts(results: Results) -> list[str]:
    unknown = [str(conduct) for conduct in results if conduct not in CONDUCTS]
    if unknown:
        raise ModelError(f"no conduct is called {', '.join(unknown)}; there are {', '.join(CONDUCTS)}")
    if not results:
        raise ModelError("this figure needs the results of at least one conduct")
    return [conduct for conduct in CONDUCTS if conduct in results]


def _draw_panel(axes: Axes, row: Row, result: xr.Dataset) -> tuple[Array, Array] | None:
    style.dress_axes(axes)
    axes.margins(MARGIN)
    points = row.draw(axes, result)
    row.label_x(axes)
    return points


def _finish_row(row: Row, across: Sequence[Axes], *, repeated: bool) -> None:
    """Scales, reference lines and labels; the horizontal axis is not labelled where the row below has the same."""
    spans = [_span(axes, row) for axes in across]
    if row.shared:
        spans = [(min(low for low, _ in spans), max(high for _, high in spans))] * len(across)
    for axes, (low, high) in zip(across, spans, strict=True):
        axes.set_ylim(low - MARGIN * (high - low), high + MARGIN * (high - low))
        if row.reference is not None:
            axes.axhline(row.reference, color=style.INK, linewidth=0.6, zorder=0.9)
        if repeated:
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
    across[0].set_ylabel(row.label)


def _span(axes: Axes, row: Row) -> tuple[float, float]:
    """What a panel shows, widened to the reference and so that rounding errors alone never fill it."""
    low, high = (float(end) for end in axes.dataLim.intervaly)
    if row.reference is not None:
        low, high = min(low, row.reference), max(high, row.reference)
    lacking = max(row.least - (high - low), 0.0) / 2
    return low - lacking, high + lacking


def by_population(name: str, *, scale: float = 1.0) -> Callable[[Axes, xr.Dataset], tuple[Array, Array]]:
    """A drawing of one dot a zone: a variable, times `scale`, against log population."""

    def draw(axes: Axes, result: xr.Dataset) -> tuple[Array, Array]:
        population = by_zone(result, "population")
        x = np.log(np.where(population > 0, population, np.nan))
        y = scale * by_zone(result, name)
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            raise ModelError(f"no zone has both a population and the variable {name}")
        dots = axes.scatter(x[known], y[known], DOT, facecolor=to_rgba(BLUE, 0.35), edgecolor=BLUE, linewidth=0.4)
        give_names(dots, result.get("title", result["zone"]).values[known])
        return x, y

    return draw


def population_axis(axes: Axes) -> None:
    """Label an axis in log population with round numbers."""
    label_log_workers(axes, narrow=True)
    axes.set_xlabel("Population (log scale)")


def by_zone(result: xr.Dataset, name: str) -> Array:
    """One value for each zone.

    **Raises:** `ModelError` where the variable is missing or has other dimensions.
    """
    values = variable(result, name)
    if values.dims != ("zone",):
        raise ModelError(f"the variable {name} must have the dimension zone alone, found dimensions {values.dims}")
    return values.values.astype(float)


def _name_extremes(axes: Axes, result: xr.Dataset, x: Array, y: Array, reference: float | None) -> None:
    """Labels of the smallest and of the largest zone that are drawn, clear of dots and of the reference line."""
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    extremes = {int(known[np.argmin(x[known])]), int(known[np.argmax(x[known])])}
    named = {zone: name for zone in sorted(extremes) if (name := _label(result, zone))}
    if not named:
        return
    line = np.linspace(*axes.get_xlim(), 0 if reference is None else 101)
    obstacles = np.append(x[known], line), np.append(y[known], np.full(line.size, reference, float))
    keep_off = np.tile(obstacles, CLEAR)
    chosen = list(named)
    name_points(axes, x[chosen], y[chosen], np.full(len(chosen), DOT), list(named.values()), (keep_off[0], keep_off[1]))


def _label(result: xr.Dataset, zone: int) -> str:
    """A zone's label, empty where there is none that every font can write."""
    if "label" not in result.variables or result["label"].dims != ("zone",):
        return ""
    label = str(result["label"].values[zone])
    return label if label.isascii() else ""
