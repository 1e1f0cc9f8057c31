"""Figures of sectors: where they are productive, and whose output they use (CH Figures 14 and 15)."""

from collections.abc import Sequence
from dataclasses import replace
from textwrap import fill

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.annotate import name_points
from spatialjax.plots.drawn import give_names
from spatialjax.plots.labels import describe, match_cities
from spatialjax.plots.scatter import (
    BLUE,
    LINE_COLOURS,
    Points,
    against_size,
    draw_fit,
    heading,
    label_log_workers,
    note,
    scatter,
)


@style.plot_style()
def exogenous_productivity(
    productivity: xr.DataArray,
    baseline: xr.Dataset,
    *,
    sectors: Sequence[str],
    labels: xr.DataArray | None = None,
    title: str | None = None,
) -> Figure:
    """The exogenous part of sectors' productivity against log employment, a panel for each (CH Figure 14).

    Lines are fitted by unweighted least squares; marker areas are proportional to employment. Cities where
    a sector's productivity is not finite are left out of its panel.

    **Arguments:**

    - `productivity`: logs (city, sector).
    - `baseline`: employment (city, ...; further dimensions are summed), workers.
    - `sectors`: which to draw, in order, three in a row.
    - `labels`: names of the sectors (sector), for example `sector_label` of the US data; by default their codes.
    - `title`: above the figure.

    **Raises:** `ModelError` without sectors, or where a sector or a city is missing.
    """
    if set(productivity.dims) != {"city", "sector"}:
        raise ModelError(f"productivity has one value per city and sector, found dimensions {productivity.dims}")
    if not len(sectors):
        raise ModelError("this figure needs at least one sector")
    _check_sectors(productivity, sectors, "productivity")
    by_sector = match_cities(productivity, baseline).transpose("city", "sector")
    rows = -(-len(sectors) // 3)
    figure = style.new_figure(7.2, 2.3 * rows + 0.5)
    grid = figure.subplots(rows, 3, sharex=True, squeeze=False)
    for axes, sector in zip(grid.ravel(), sectors, strict=False):
        points = against_size(by_sector.sel(sector=sector).values.astype(float), baseline)
        axes.margins(0.1)
        scatter(axes, replace(points, weighted=False), reference=2.5 * points.workers.max())
        axes.set_title(fill(_name(sector, labels), 26), fontsize=8.5)
    for axes in grid.ravel()[len(sectors) :]:
        axes.set_axis_off()
    for axes in grid.ravel()[: len(sectors)][-3:]:
        label_log_workers(axes, narrow=True)
        axes.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("Log exogenous productivity")
    heading(figure, title)
    note(figure, "Marker areas are proportional to employment. Lines are unweighted.")
    return figure


@style.plot_style()
def input_intensity(
    intensity: xr.DataArray,
    input_intensity: xr.DataArray,
    workers: xr.DataArray,
    labels: xr.DataArray | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """Whether sectors intensive in an occupation use inputs that are intensive in it too (CH Figure 15).

    Marker areas are proportional to workers, by which the regression line is weighted. Sectors where one of
    the two is NaN are left out.

    **Arguments:**

    - `intensity`: the occupation's share of each sector's wage bill (sector).
    - `input_intensity`: the mean of that share over the inputs that each sector uses (sector). Axes are named
      by the `long_name` of both.
    - `workers`: employment (sector).
    - `labels`: names of the sectors (sector), for example `sector_label` of the US data; by default their codes.
    - `title`: above the figure.

    **Raises:** `ModelError` where a sector is missing or none has both values.
    """
    sectors = intensity["sector"].values.tolist()
    for values, what in ((input_intensity, "input intensity"), (workers, "workers")):
        _check_sectors(values, sectors, what)
    x, y, size = (v.sel(sector=sectors).values.astype(float) for v in (intensity, input_intensity, workers))
    names = np.array([_name(sector, labels) for sector in sectors])
    points = Points(x, y, size, names=names).known()
    figure = style.new_figure(6.4, 5.0)
    axes = figure.add_subplot()
    style.dress_axes(axes)
    axes.margins(0.1)
    areas = style.marker_areas(points.workers, largest=300.0)
    circles = axes.scatter(points.x, points.y, areas, facecolor=BLUE, alpha=0.5, edgecolor=BLUE, linewidth=0.4)
    give_names(circles, points.names)
    draw_fit(axes, points, LINE_COLOURS[BLUE])
    axes.set_xlabel(describe(intensity) or "Share of the sector's wage bill")
    axes.set_ylabel(describe(input_intensity) or "The same, mean over the inputs used")
    heading(figure, title)
    note(figure, "Marker areas are proportional to workers, by which the line is weighted.")
    line = np.linspace(points.x.min(), points.x.max(), 100)
    drawn = [] if points.names is None else points.names.tolist()
    name_points(axes, points.x, points.y, areas, drawn, (line, points.fit()(line)))
    return figure


def _check_sectors(values: xr.DataArray, sectors: Sequence[str], what: str) -> None:
    known = values["sector"].values.tolist()
    missing = [str(sector) for sector in sectors if sector not in known]
    if missing:
        raise ModelError(f"{what} lacks the sectors {', '.join(missing)}; it has {', '.join(map(str, known))}")


def _name(sector: str, labels: xr.DataArray | None) -> str:
    if labels is None:
        return str(sector)
    _check_sectors(labels, [sector], "labels")
    return str(labels.sel(sector=sector).item())
