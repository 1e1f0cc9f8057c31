"""Figures of the city economy: who lives where, and what they are paid (CH Figures 1, 3 and 5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.fit import Fit, fit_line
from spatialjax.plots.labels import employment_by_occupation, match_cities, occupation_pair, wage_premium

Array = np.ndarray

MARKER = 420.0
"""Area of the largest city's marker in a scatter plot, points squared."""

LINE_COLOURS = {style.PALETTE["grey"]: "#4D4D4D", style.PALETTE["blue"]: "#00466E"}
"""Darker shades for lines that cross markers of these colours."""


@dataclass(frozen=True)
class _Points:
    """Points of a scatter plot and the workers that each stands for."""

    x: Array
    y: Array
    workers: Array

    def fit(self) -> Fit:
        return fit_line(self.x, self.y, self.workers)


@style.plot_style()
def share_against_premium(
    baseline: xr.Dataset,
    counterfactual: xr.Dataset | None = None,
    *,
    title: str | None = None,
    labels: tuple[str, str] = ("data", "without externalities"),
) -> Figure:
    """The first occupation's employment share against its log wage premium, by city (CH Figures 1 and 3).

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

    **Raises:** `ModelError` unless there are exactly two occupations, the same in both.
    """
    results = [baseline] if counterfactual is None else [baseline, counterfactual]
    first, _ = _common_pair(*results)
    sets = [_share_and_premium(result) for result in results]
    colours = [style.PALETTE[name] for name in (["blue"] if counterfactual is None else ["grey", "blue"])]
    figure = style.new_figure(5.2, 4.4)
    axes = figure.add_subplot()
    style.dress_axes(axes)
    reference = max(float(points.workers.max()) for points in sets)
    for points, colour in zip(sets, colours, strict=True):
        _scatter(axes, points, colour, reference)
    _fit_legend(axes, [points.fit() for points in sets], colours, labels, title)
    style.size_legend(figure, reference, largest=MARKER, row=True, loc="outside lower right")
    axes.set_xlabel(f"{first} share of employment")
    axes.set_ylabel(f"Log {first} wage premium, deviation from mean")
    return figure


@style.plot_style()
def wedge_difference(wedge: xr.DataArray, baseline: xr.Dataset, *, title: str | None = None) -> Figure:
    """The difference between two occupations' wedges, against the first's share and city size (CH Figure 5).

    A wedge is the social less the private marginal product of labour (CH Lemma 2). Marker areas are
    proportional to employment; lines are weighted by it. Correlations over cities are given unweighted
    and weighted by employment; with size, they are of log employment.

    **Arguments:**

    - `wedge`: dollars a year per worker (city, occupation); drawn in thousands.
    - `baseline`: employment (city, occupation; further dimensions are summed), workers.
    - `title`: above the figure.

    **Raises:** `ModelError` unless both have the same two occupations, and `wedge` every city of `baseline`.
    """
    first, second = _common_pair(baseline, wedge)
    points = _share_and_gap(wedge, baseline)
    figure = style.new_figure(7.2, 3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    _wedge_panel(left, points)
    _wedge_panel(right, replace(points, x=np.log(points.workers)))
    left.set_xlabel(f"{first} share of employment")
    left.set_ylabel(f"Wedge of {first} less {second}\n(thousand dollars a year per worker)")
    _label_log_workers(right)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=style.STYLE["axes.titlesize"])
    return figure


def _common_pair(*results: xr.Dataset | xr.DataArray) -> tuple[str, str]:
    """The two occupations of all of them, which must be the same and in the same order."""
    pairs = [occupation_pair(result) for result in results]
    if len(set(pairs)) > 1:
        raise ModelError(f"results are of different occupations: {' and '.join(map(str, pairs))}")
    return pairs[0]


def _share_and_premium(result: xr.Dataset) -> _Points:
    employment, premium = employment_by_occupation(result), wage_premium(result)
    known = np.isfinite(premium)
    if not known.any():
        raise ModelError("no city employs both occupations at a positive wage")
    workers, premium = employment[known].sum(1), premium[known]
    return _Points(employment[known, 0] / workers, premium - np.average(premium, weights=workers), workers)


def _share_and_gap(wedge: xr.DataArray, baseline: xr.Dataset) -> _Points:
    """The first occupation's share and the difference of wedges in thousand dollars."""
    by_city = match_cities(wedge, baseline).transpose("city", "occupation").values.astype(float)
    gap, employment = (by_city[:, 0] - by_city[:, 1]) / 1000.0, employment_by_occupation(baseline)
    workers = employment.sum(1)
    known = np.isfinite(gap) & (workers > 0)
    if not known.any():
        raise ModelError("no city has workers and wedges of both occupations")
    return _Points(employment[known, 0] / workers[known], gap[known], workers[known])


def _scatter(axes: Axes, points: _Points, colour: str, reference: float) -> None:
    """Circles, the largest first, and above them the fitted line over their range."""
    order = np.argsort(-points.workers, kind="stable")
    areas = style.marker_areas(points.workers, largest=MARKER, reference=reference)[order]
    face = to_rgba(colour, 0.4)
    axes.scatter(points.x[order], points.y[order], areas, facecolor=face, edgecolor=colour, linewidth=0.4)
    ends = np.array([points.x.min(), points.x.max()])
    axes.plot(ends, points.fit()(ends), color=LINE_COLOURS.get(colour, colour), linewidth=1.6, zorder=4)


def _fit_legend(
    axes: Axes,
    fits: list[Fit],
    colours: list[str],
    labels: Sequence[str],
    title: str | None,
) -> None:
    """Above the axes: the title, then each set's marker and line, its slope and its correlation."""
    axes.legend(
        handles=[_point_and_line(colour) for colour in colours],
        labels=[_describe_fit(fit, label) for fit, label in zip(fits, labels, strict=False)],
        title=title,
        title_fontproperties={"weight": "bold", "size": style.STYLE["axes.titlesize"]},
        alignment="left",
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderpad=0.0,
    )


def _point_and_line(colour: str) -> Line2D:
    line = LINE_COLOURS.get(colour, colour)
    return Line2D([], [], color=line, linewidth=1.6, marker="o", ms=5, mfc=to_rgba(colour, 0.4), mec=colour)


def _describe_fit(fit: Fit, label: str) -> str:
    return f"{label}: slope {_signed(fit.slope)}, correlation {_signed(fit.correlation)}"


def _signed(x: float) -> str:
    """Two decimals, with a true minus sign."""
    return f"{x:.2f}".replace("-", "\N{MINUS SIGN}")


def _wedge_panel(axes: Axes, points: _Points) -> None:
    style.dress_axes(axes)
    axes.margins(0.07)
    _scatter(axes, points, style.PALETTE["blue"], points.workers.max())
    fit = points.fit()
    text = f"correlation {_signed(fit.correlation)} ({_signed(fit.weighted_correlation)} weighted)"
    axes.set_title(text, fontweight="normal", fontsize=8.5)


def _label_log_workers(axes: Axes) -> None:
    """Label an axis in log workers with round numbers of workers."""
    low, high = np.exp(axes.get_xlim())
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    fine = np.outer(decades, np.arange(1, 10)).ravel()
    coarse, fine = (ticks[(ticks >= low) & (ticks <= high)] for ticks in (decades, fine))
    labelled = coarse if len(coarse) > 1 else fine
    axes.set_xticks(np.log(labelled), [style.format_workers(workers) for workers in labelled])
    axes.set_xticks(np.log(fine), minor=True)
    axes.set_xlabel("Workers (log scale)")
