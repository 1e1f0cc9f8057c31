"""Figures of the city economy: who lives where, and what they are paid (CH Figures 1 to 5)."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.labels import (
    Pair,
    common_pair,
    employment_share,
    match_cities,
    places,
    point_names,
    total_employment,
    wage_bill,
    wage_premium,
    wedge_gap,
)
from spatialjax.plots.scatter import (
    BLUE,
    GREY,
    MARKER,
    Points,
    against_share,
    against_size,
    diagonal,
    draw_points,
    fit_legend,
    heading,
    scatter,
    share_and_size,
)


@style.plot_style()
def share_against_premium(
    baseline: xr.Dataset,
    counterfactual: xr.Dataset | None = None,
    *,
    title: str | None = None,
    labels: tuple[str, str] = ("data", "without externalities"),
    occupations: Pair | None = None,
) -> Figure:
    """An occupation's employment share against its log wage premium, by city (CH Figures 1 and 3).

    The premium is the log of the first occupation's wage over the second's, as a deviation from its own
    employment-weighted mean over cities. Marker areas are proportional to total employment, on one scale
    for both data sets. Lines are fitted by least squares weighted by employment; the correlation is over
    cities, unweighted. Cities that do not employ both occupations are left out.

    **Arguments:**

    - `baseline`: wage (city, occupation) and employment (city, occupation; further dimensions are
      summed), from data or an equilibrium; grey where there is a counterfactual.
    - `counterfactual`: the same for another equilibrium, drawn over it.
    - `title`: above the figure.
    - `labels`: names of the two in the legend.
    - `occupations`: the two that are compared, the one whose share is drawn first; by default the only two there are.

    **Raises:** `ModelError` where an occupation is not in both, or, with none named, unless there are exactly two, the
    same in both.
    """
    first, second = _compared(baseline, counterfactual, occupations)
    points_of = partial(_share_and_premium, pair=(first, second))
    figure, axes, sets, colours = _before_and_after(points_of, scatter, baseline, counterfactual)
    fit_legend(axes, [points.fit() for points in sets], colours, labels, title)
    axes.set_xlabel(f"{first} share of employment")
    axes.set_ylabel(f"Log {first} wage premium, deviation from mean")
    return figure


@style.plot_style()
def predicted_wage_bill_share(
    baseline: xr.Dataset,
    counterfactual: xr.Dataset | None = None,
    *,
    title: str | None = None,
    labels: tuple[str, str] = ("data", "without externalities"),
    occupations: Pair | None = None,
) -> Figure:
    """An occupation's share of a city's wages, as its industries predict and as it is (CH Figures 2 and 4).

    Predicted is sum_j delta_j sigma_nj (CH section 2): delta_j, the occupation's share of sector j's national
    wage bill, and sigma_nj, the sector's share of city n's wage bill, each taken from the same data set. Above
    a 45 degree line of slope one, cities differ by more than their industries. The legend gives slopes weighted
    by employment and unweighted correlations over cities. Marker areas are proportional to total employment,
    on one scale for both data sets.

    **Arguments:**

    - `baseline`: wage (city, occupation) and employment_by_sector, or employment, (city, occupation,
      sector), from data or an equilibrium; grey where there is a counterfactual.
    - `counterfactual`: the same for another equilibrium, drawn over it.
    - `title`: above the figure.
    - `labels`: names of the two in the legend.
    - `occupations`: the two that are compared, the one whose share is drawn first; by default the only two there are.

    **Raises:** `ModelError` without employment by sector, where an occupation is not in both, or, with none named,
    unless there are exactly two, the same in both.
    """
    first, _ = _compared(baseline, counterfactual, occupations)
    points_of = partial(_predicted_share, occupation=first)
    figure, axes, sets, colours = _before_and_after(points_of, draw_points, baseline, counterfactual, height=5.2)
    line = diagonal(axes, float(np.median(sets[0].x)))
    fit_legend(axes, [points.fit() for points in sets], colours, labels, title, line)
    axes.set_xlabel(f"{first} share of the wage bill, predicted by industries")
    axes.set_ylabel(f"{first} share of the wage bill")
    return figure


@style.plot_style()
def wedge_difference(
    wedge: xr.DataArray, baseline: xr.Dataset, *, title: str | None = None, occupations: Pair | None = None
) -> Figure:
    """The difference between two occupations' wedges, against the first's share and city size (CH Figure 5).

    A wedge is the social less the private marginal product of labour (CH Lemma 2). Marker areas are
    proportional to employment; lines are weighted by it. Correlations over cities are given unweighted
    and weighted by employment; with size, they are of log employment.

    **Arguments:**

    - `wedge`: dollars a year per worker (city, occupation); drawn in thousands.
    - `baseline`: employment (city, occupation; further dimensions are summed), workers.
    - `title`: above the figure.
    - `occupations`: the two that are compared, the one whose share is drawn first; by default the only two there are.

    **Raises:** `ModelError` where `wedge` lacks a city of `baseline`, where an occupation is not in both, or, with none
    named, unless both have the same two.
    """
    first, second = common_pair(baseline, wedge, chosen=occupations)
    gap = wedge_gap(match_cities(wedge, baseline), (first, second))
    figure = style.new_figure(7.2, 3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    share_and_size(left, right, against_share(gap, baseline, first), against_size(gap, baseline), first)
    left.set_ylabel(f"Wedge of {first} less {second}\n(thousand dollars a year per worker)")
    heading(figure, title)
    return figure


def _compared(baseline: xr.Dataset, counterfactual: xr.Dataset | None, occupations: Pair | None) -> Pair:
    results = [baseline] if counterfactual is None else [baseline, counterfactual]
    return common_pair(*results, chosen=occupations)


def _before_and_after(
    points_of: Callable[[xr.Dataset], Points],
    draw: Callable[[Axes, Points, str, float], None],
    baseline: xr.Dataset,
    counterfactual: xr.Dataset | None,
    *,
    height: float = 4.4,
) -> tuple[Figure, Axes, list[Points], Sequence[str]]:
    """One panel: a data set in blue, or in grey with another over it in blue, and the legend of sizes."""
    results = [baseline] if counterfactual is None else [baseline, counterfactual]
    sets = [points_of(result) for result in results]
    colours = [BLUE] if counterfactual is None else [GREY, BLUE]
    figure = style.new_figure(5.2, height)
    axes = figure.add_subplot()
    style.dress_axes(axes)
    reference = max(float(points.workers.max()) for points in sets)
    for points, colour in zip(sets, colours, strict=True):
        draw(axes, points, colour, reference)
    style.size_legend(figure, reference, largest=MARKER, row=True, loc="outside lower right")
    return figure, axes, sets, colours


def _share_and_premium(result: xr.Dataset, *, pair: Pair) -> Points:
    premium, workers = wage_premium(result, pair), total_employment(result)
    known = np.isfinite(premium)
    if not known.any():
        raise ModelError("no city employs both occupations at a positive wage")
    mean = np.average(premium[known], weights=workers[known])
    share, names = employment_share(result, pair[0]), point_names(result)
    return Points(share, premium - mean, workers, names=names).known()


def _predicted_share(result: xr.Dataset, *, occupation: str) -> Points:
    """Wage bill share of an occupation: predicted from the mix of sectors, and actual."""
    bill, [place] = wage_bill(result).values, places(result, [occupation])
    in_sector, in_city = bill.sum(1), bill.sum((1, 2))
    national = bill[:, place].sum(0) / np.where(in_sector.sum(0) > 0, in_sector.sum(0), 1.0)
    paid = np.where(in_city > 0, in_city, np.nan)
    predicted, actual = in_sector @ national / paid, bill[:, place].sum(1) / paid
    return Points(predicted, actual, total_employment(result), names=point_names(result)).known()
