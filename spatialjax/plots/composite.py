"""A map above two scatter plots of the same values: the form of CH Figures 5 to 7, 10, 11 and 16."""

from collections.abc import Sequence

import xarray as xr
from matplotlib.figure import Figure

from spatialjax.plots import style
from spatialjax.plots.labels import (
    by_city,
    check_occupation,
    city_names,
    describe,
    kept_cities,
    match_cities,
    total_employment,
)
from spatialjax.plots.maps import draw_map
from spatialjax.plots.scatter import against_share, against_size, heading, note, share_and_size, zero_line


@style.plot_style()
def map_with_scatters(
    values: xr.DataArray,
    baseline: xr.Dataset,
    data: xr.Dataset,
    *,
    occupation: str | None = None,
    label: str | None = None,
    title: str | None = None,
    diverging: bool = False,
    omit: Sequence[str] = (),
    remark: str = "",
) -> Figure:
    """A value by city on a map, and against an occupation's share and city size (CH Figures 5 to 7, 10, 11, 16).

    Marker areas are proportional to employment in `baseline`, in which shares and sizes are taken too.
    Lines are fitted by least squares weighted by employment; correlations over cities are given unweighted
    and weighted. A city without a value (NaN) is an empty circle on the map and not in the scatter plots.

    **Arguments:**

    - `values`: dimension city.
    - `baseline`: employment (city, occupation; further dimensions are summed), workers.
    - `data`: latitude and longitude (city), degrees.
    - `occupation`: whose share of employment one scatter plot is against; by default the first.
    - `label`: of the colour bar and the vertical axes, with units; by default made of the `long_name` and
      `units` of `values`.
    - `title`: above the figure.
    - `diverging`: the sign matters: colours are symmetric around a neutral zero.
    - `omit`: codes of cities to leave out of the scatter plots and their lines, not of the map. A note
      under the figure names them, by `title` (city) where `data` or `baseline` have it.
    - `remark`: a sentence to begin that note with.

    **Raises:** `ModelError` where `values` are not by city, a city is missing or unknown, there is no such
    occupation, or `data` lack coordinates.
    """
    occupation = check_occupation(baseline, occupation)
    value, keep = by_city(values, baseline), kept_cities(baseline, omit)
    sites = match_cities(data, baseline).drop_vars("employment", errors="ignore")
    sites = sites.assign(employment=("city", total_employment(baseline)))
    figure = style.new_figure(7.2, 8.0)
    grid = figure.add_gridspec(2, 2, height_ratios=[4.8, 3.2], wspace=0.06)
    draw_map(figure.add_subplot(grid[0, :]), values, sites, label or describe(values), diverging=diverging)
    left = figure.add_subplot(grid[1, 0])
    right = figure.add_subplot(grid[1, 1], sharey=left)
    right.tick_params(labelleft=False)
    shares, sizes = against_share(value, baseline, occupation, keep), against_size(value, baseline, keep)
    share_and_size(left, right, shares, sizes, occupation)
    left.set_ylabel(label or describe(values))
    for axes in (left, right):
        if diverging:
            zero_line(axes)
    heading(figure, title)
    omitted = f"Left out of the scatter plots: {city_names(omit, data, baseline)}." if len(omit) else ""
    note(figure, remark, "Lines are weighted by employment.", omitted)
    return figure
