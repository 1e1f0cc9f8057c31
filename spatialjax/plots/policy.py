"""Figures of the optimal policy: what it moves and what it pays (CH Figures 6 to 12 and 16)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.composite import map_with_scatters
from spatialjax.plots.labels import (
    Pair,
    by_city,
    check_occupation,
    city_names,
    common_pair,
    employment_of,
    kept_cities,
    match_cities,
    percent_change,
    point_names,
    total_employment,
    variable,
    wedge_gap,
)
from spatialjax.plots.scatter import (
    BLUE,
    Points,
    against_share,
    against_size,
    diagonal,
    draw_points,
    heading,
    label_log_workers,
    note,
    scatter,
    zero_line,
)


def employment_change(
    baseline: xr.Dataset,
    optimum: xr.Dataset,
    data: xr.Dataset,
    *,
    occupation: str | None = None,
    share_of: str | None = None,
    omit: Sequence[str] = (),
    title: str | None = None,
) -> Figure:
    """Percent change of an occupation's employment from equilibrium to optimum (CH Figures 6, 7 and 16).

    A map, and scatter plots against an occupation's share of employment and against size, both in the
    equilibrium: see [`map_with_scatters`][]. Cities where nobody of the occupation works in the
    equilibrium have no value.

    **Arguments:**

    - `baseline`: the equilibrium, employment (city, occupation; further dimensions are summed).
    - `optimum`: the same at the optimum.
    - `data`: latitude and longitude (city), degrees.
    - `occupation`: of whose employment; by default the first.
    - `share_of`: the occupation whose share one scatter plot is against; by default the first.
    - `omit`: codes of cities to leave out of the scatter plots; a note names them.
    - `title`: above the figure.

    **Raises:** `ModelError` where there is no such occupation, a city is missing or unknown, or `data`
    lack coordinates.
    """
    occupation = check_occupation(baseline, occupation)
    after = employment_of(match_cities(optimum, baseline), occupation)
    change = percent_change(employment_of(baseline, occupation), after)
    return map_with_scatters(
        _of_cities(change, baseline),
        baseline,
        data,
        occupation=share_of,
        label=f"Change of {occupation} employment (percent)",
        title=title,
        diverging=True,
        omit=omit,
    )


def transfer_map(
    optimum: xr.Dataset,
    data: xr.Dataset,
    *,
    occupation: str | None = None,
    share_of: str | None = None,
    baseline: xr.Dataset | None = None,
    omit: Sequence[str] = (),
    title: str | None = None,
) -> Figure:
    """Net transfers per worker of an occupation at the optimum, as deviations from their mean (CH Figures 10, 11).

    The mean is over cities, weighted by the occupation's employment at the optimum; a note under the figure
    gives it. A map, and scatter plots against an occupation's share of employment and against size, both in
    the equilibrium: see [`map_with_scatters`][].

    **Arguments:**

    - `optimum`: transfer (city, occupation), dollars a year per worker, and employment.
    - `data`: latitude and longitude (city), degrees.
    - `occupation`: to whom; by default the first.
    - `share_of`: the occupation whose share one scatter plot is against; by default the first.
    - `baseline`: the equilibrium, employment (city, occupation; further dimensions are summed); by default `data`.
    - `omit`: codes of cities to leave out of the scatter plots; a note names them.
    - `title`: above the figure.

    **Raises:** `ModelError` where there is no such occupation or no `transfer`, a city is missing or unknown,
    or `data` lack coordinates.
    """
    occupation = check_occupation(optimum, occupation)
    transfer = variable(optimum, "transfer").sel(occupation=occupation, drop=True)
    workers = employment_of(optimum, occupation)
    paid = by_city(transfer.where(workers > 0), optimum)
    known = np.isfinite(paid)
    mean = float(np.average(paid[known], weights=workers[known]))
    amount = f"{mean:,.0f}".replace("-", "\N{MINUS SIGN}")
    return map_with_scatters(
        _of_cities((paid - mean) / 1000.0, optimum),
        data if baseline is None else baseline,
        data,
        occupation=share_of,
        label=f"Net transfer to {occupation}, deviation from mean\n(thousand dollars a year per worker)",
        title=title,
        diverging=True,
        omit=omit,
        remark=f"The mean is {amount} dollars a year, weighted by {occupation} employment at the optimum.",
    )


@style.plot_style()
def size_change(
    baseline: xr.Dataset, optimum: xr.Dataset, *, omit: Sequence[str] = (), title: str | None = None
) -> Figure:
    """Percent change of city employment from equilibrium to optimum, against log employment (CH Figure 8).

    Size is employment in the equilibrium, to which marker areas are proportional. The line is fitted by
    least squares weighted by it.

    **Arguments:**

    - `baseline`: the equilibrium, employment (city, ...; further dimensions are summed).
    - `optimum`: the same at the optimum.
    - `omit`: codes of cities to leave out; a note names them.
    - `title`: above the figure.

    **Raises:** `ModelError` where a city is missing or unknown.
    """
    change = percent_change(total_employment(baseline), total_employment(match_cities(optimum, baseline)))
    points = against_size(change, baseline, kept_cities(baseline, omit))
    figure = _single(points, title)
    label_log_workers(figure.axes[0])
    figure.axes[0].set_ylabel("Change of employment (percent)")
    omitted = f"Left out: {city_names(omit, baseline)}." if len(omit) else ""
    note(figure, "The line is weighted by employment.", omitted, biggest=points.workers.max())
    return figure


@style.plot_style()
def specialisation_change(
    baseline_gini: xr.DataArray,
    optimum_gini: xr.DataArray,
    baseline: xr.Dataset,
    *,
    occupation: str | None = None,
    title: str | None = None,
) -> Figure:
    """Change of cities' industrial specialisation, against an occupation's share of employment (CH Figure 9).

    Specialisation is the Gini coefficient of a city's wage bill over sectors. The curve is a cubic fitted
    by unweighted least squares; marker areas are proportional to employment in the equilibrium.

    **Arguments:**

    - `baseline_gini`, `optimum_gini`: Gini coefficients (city) in the equilibrium and at the optimum.
    - `baseline`: the equilibrium, employment (city, occupation; further dimensions are summed).
    - `occupation`: whose share in the equilibrium; by default the first.
    - `title`: above the figure.

    **Raises:** `ModelError` where there is no such occupation, or a city is missing.
    """
    occupation = check_occupation(baseline, occupation)
    change = by_city(optimum_gini, baseline) - by_city(baseline_gini, baseline)
    points = replace(against_share(change, baseline, occupation), degree=3, weighted=False)
    figure = _single(points, title)
    figure.axes[0].set_xlabel(f"{occupation} share of employment")
    figure.axes[0].set_ylabel("Change of Gini coefficient of wage bill over sectors")
    note(figure, "The curve is a cubic, unweighted.", biggest=points.workers.max())
    return figure


@style.plot_style()
def wedge_at_optimum(
    pairs: Sequence[tuple[str, xr.Dataset, xr.Dataset]],
    *,
    title: str | None = None,
    occupations: Pair | None = None,
) -> Figure:
    """The difference between two occupations' wedges, in equilibrium and at the optimum (CH Figure 12).

    One panel for each pair, side by side, with a dashed 45 degree line. Marker areas are proportional to
    employment in the equilibrium of the panel, on one scale.

    **Arguments:**

    - `pairs`: for each panel its title, the equilibrium and the optimum: wedge (city, occupation), dollars a
      year per worker, and in the equilibrium employment (city, occupation; further dimensions are summed).
    - `title`: above the figure.
    - `occupations`: the two whose wedges are compared; by default the only two there are.

    **Raises:** `ModelError` without a pair, where a city or an occupation is missing, or, with no occupations named,
    unless all have the same two.
    """
    if not pairs:
        raise ModelError("this figure needs at least one pair of equilibrium and optimum")
    compared = common_pair(*(result for _, *results in pairs for result in results), chosen=occupations)
    biggest = max(float(total_employment(baseline).max()) for _, baseline, _ in pairs)
    figure = style.new_figure(3.6 * len(pairs) + 0.3, 4.6)
    panels = figure.subplots(1, len(pairs), squeeze=False)[0]
    for axes, (label, baseline, optimum) in zip(panels, pairs, strict=True):
        gaps = wedge_gap(baseline, compared), wedge_gap(match_cities(optimum, baseline), compared)
        points = Points(*gaps, total_employment(baseline), names=point_names(baseline)).known()
        style.dress_axes(axes)
        axes.margins(0.07)
        draw_points(axes, points, BLUE, biggest)
        diagonal(axes, float(np.median(points.x)))
        axes.set_title(label)
        axes.set_xlabel("In equilibrium")
    panels[0].set_ylabel("At the optimum")
    heading(figure, title)
    gap = f"Wedge of {compared[0]} less wedge of {compared[1]}, thousand dollars a year per worker."
    note(figure, gap, "The 45 degree line is dashed.", biggest=biggest)
    return figure


def _of_cities(values: np.ndarray, result: xr.Dataset) -> xr.DataArray:
    return xr.DataArray(values, {"city": result["city"].values}, ["city"])


def _single(points: Points, title: str | None) -> Figure:
    """One panel of changes."""
    figure = style.new_figure(5.2, 4.4)
    axes = figure.add_subplot()
    zero_line(axes)
    axes.margins(0.07)
    scatter(axes, points)
    heading(figure, title)
    return figure
