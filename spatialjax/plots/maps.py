"""Maps: one circle per city, its area the city's employment and its colour a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.drawn import decoration, give_names
from spatialjax.plots.labels import by_city, describe, point_names, total_employment
from spatialjax.plots.projection import (
    INSET_FRAMES,
    STATE_REGIONS,
    equirectangular,
    in_united_states,
    project_us,
    state_outlines,
    wrap,
)

Array = np.ndarray

MAP_EXTENT = ((-2430.0, 2760.0), (-1490.0, 1610.0))
"""What a map of the United States shows, km: room at the lower right for the legend of sizes."""

ROBUST_PERCENTILES = (2.0, 98.0)
"""The colour scale ends at these percentiles of the values over cities."""


@style.plot_style()
def city_map(
    values: xr.DataArray,
    data: xr.Dataset,
    *,
    title: str | None = None,
    label: str | None = None,
    diverging: bool = False,
    outlines: bool = True,
    largest_marker: float = style.LARGEST_MARKER,
) -> Figure:
    """Map a value by city, as CH draws Figures 5 to 8, 10 and 11.

    Circles have areas proportional to employment and lie with small cities on top. Colours saturate at
    the 2nd and 98th percentile of the values, which the colour bar's pointed ends show. A city without
    a value (NaN) is an empty circle.

    **Arguments:**

    - `values`: dimension city; labels are matched to those of `data`.
    - `data`: latitude and longitude (degrees), employment (workers; dimensions besides city are summed).
    - `title`: above the map.
    - `label`: of the colour bar, with units; by default made of the `long_name` and `units` of `values`.
    - `diverging`: the sign matters: colours are symmetric around a neutral zero.
    - `outlines`: draw the outlines of the US states.
    - `largest_marker`: area of the largest city's circle, points squared; smaller where cities crowd.

    Where some city is outside the United States, the map has no outlines and is equirectangular.

    **Raises:** `ModelError` where `values` are not by city or lack a city, or `data` lack coordinates.
    """
    figure = style.new_figure(7.2, 5.1)
    axes = figure.add_subplot()
    draw_map(axes, values, data, label, diverging=diverging, outlines=outlines, largest_marker=largest_marker)
    if title:
        axes.set_title(title)
    return figure


def draw_map(
    axes: Axes,
    values: xr.DataArray,
    data: xr.Dataset,
    label: str | None = None,
    *,
    diverging: bool = False,
    outlines: bool = True,
    largest_marker: float = style.LARGEST_MARKER,
) -> None:
    """A map on given axes, with its colour bar and its legend of sizes; arguments as of [`city_map`][]."""
    value, employment = by_city(values, data), total_employment(data)
    base = draw_base(axes, data, outlines=outlines)
    areas = style.marker_areas(employment, largest=largest_marker)
    scale = colours(value, diverging)
    circles = draw_cities(axes, base.x, base.y, value, areas, scale, point_names(data))
    add_colour_bar(axes, circles, value, label or describe(values))
    _add_size_legend(axes, float(np.nanmax(employment)), largest_marker, inside=base.domestic)


@dataclass(frozen=True)
class Base:
    """Positions of cities on a map, and whether it is one of the United States."""

    x: Array
    y: Array
    domestic: bool


def draw_base(axes: Axes, data: xr.Dataset, *, outlines: bool = True) -> Base:
    """An empty map that suits the cities: of the United States, or axes in degrees."""
    longitude, latitude = _coordinate(data, "longitude"), _coordinate(data, "latitude")
    domestic = in_united_states(longitude, latitude)
    draw = partial(_draw_states, outlines=outlines) if domestic else _draw_graticule
    return Base(*draw(axes, longitude, latitude), domestic)


def _coordinate(data: xr.Dataset, name: str) -> Array:
    if name not in data:
        raise ModelError(f"a map needs {name} (city) in the data, in degrees")
    return data[name].values.astype(float)


def colours(value: Array, diverging: bool = False) -> dict[str, Any]:
    """Colour map and robust limits; the values may be of several maps."""
    low, high = np.percentile(value[np.isfinite(value)], ROBUST_PERCENTILES)
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    margin = 0.0 if high > low else (0.01 * abs(high) or 1.0)
    name = style.DIVERGING if diverging else style.SEQUENTIAL
    return {"cmap": name, "norm": Normalize(low - margin, high + margin)}


def _draw_states(axes: Axes, longitude: Array, latitude: Array, *, outlines: bool) -> tuple[Array, Array]:
    """A map of the United States; returns the positions of the points on it."""
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set(xlim=MAP_EXTENT[0], ylim=MAP_EXTENT[1])
    if outlines:
        _draw_outlines(axes)
    return project_us(longitude, latitude)


def _draw_outlines(axes: Axes) -> None:
    """States in grey with white borders; the small islands of the insets keep their full size."""
    for state, rings in state_outlines().items():
        edge = style.LAND if state in STATE_REGIONS else style.BORDER
        land = PolyCollection(rings, facecolor=style.LAND, edgecolor=edge, linewidth=0.5, zorder=1)
        decoration(axes.add_collection(land))
    frames = LineCollection(list(INSET_FRAMES.values()), color="#BBBBBB", linewidth=0.6, zorder=1)
    decoration(axes.add_collection(frames))


def _draw_graticule(axes: Axes, longitude: Array, latitude: Array) -> tuple[Array, Array]:
    """Axes in degrees; returns the positions of the points on them."""
    x, y, aspect = equirectangular(longitude, latitude)
    style.dress_axes(axes)
    axes.set_aspect(aspect)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda degrees, _: _degrees(float(wrap(degrees)), "E", "W")))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda degrees, _: _degrees(degrees, "N", "S")))
    axes.margins(0.08)
    return x, y


def _degrees(degrees: float, positive: str, negative: str) -> str:
    return f"{abs(degrees):g}°{positive if degrees > 0 else negative if degrees < 0 else ''}"


def draw_cities(
    axes: Axes, x: Array, y: Array, value: Array, areas: Array, colours: dict[str, Any], names: Array
) -> PathCollection:
    """Circles, the largest first; those without a value are empty and lie below the others."""
    order = np.argsort(-areas, kind="stable")
    x, y, value, areas, names = x[order], y[order], value[order], areas[order], names[order]
    known, empty = np.isfinite(value), ~np.isfinite(value)
    edge: dict[str, Any] = {"edgecolor": style.INK, "linewidth": 0.3}
    give_names(axes.scatter(x[empty], y[empty], areas[empty], facecolor="none", zorder=2, **edge), names[empty])
    circles = axes.scatter(x[known], y[known], areas[known], c=value[known], zorder=3, **edge, **colours)
    give_names(circles, names[known])
    return circles


def add_colour_bar(axes: Axes | Sequence[Axes], circles: PathCollection, value: Array, label: str) -> None:
    """Under one map or a row of maps, pointed where values lie beyond its ends."""
    first, shrink = (axes, 0.5) if isinstance(axes, Axes) else (axes[0], 0.5 / len(axes))
    known = value[np.isfinite(value)]
    ends = (bool(known.min() < circles.norm.vmin), bool(known.max() > circles.norm.vmax))
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(ends, "neither")
    bar = first.figure.colorbar(
        circles, ax=axes, location="bottom", extend=extend, shrink=shrink, aspect=32, pad=0.02, fraction=0.06
    )
    bar.locator = MaxNLocator(nbins=6, steps=[1, 2, 5, 10])
    bar.set_label(label)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=8.0, length=2.5, width=0.5)


def _add_size_legend(axes: Axes, biggest: float, largest: float, *, inside: bool) -> None:
    """In the corner that a map of the United States leaves free, or below any other map."""
    if inside:
        style.size_legend(axes, biggest, largest=largest, loc="lower right", borderaxespad=0.0)
    else:
        style.size_legend(axes.figure, biggest, largest=largest, row=True, loc="outside lower center")
