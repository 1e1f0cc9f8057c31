"""Figures of change between two economies: who works beside whom, and where technology changed (CH Figures 18-20)."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import xarray as xr
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.labels import by_city, check_occupation, describe, employment_share, total_employment
from spatialjax.plots.scatter import (
    against_share,
    against_size,
    heading,
    note,
    share_and_size,
    zero_line,
)

Array = np.ndarray

COLOURS = tuple(style.PALETTE[name] for name in ("grey", "blue", "vermillion", "green"))
BARS = tuple(style.PALETTE[name] for name in ("blue", "orange", "green", "grey"))
MINUS = "\N{MINUS SIGN}"
BIN = 0.02
"""Width of a bin, in shares of employment."""


@style.plot_style()
def population_by_share(
    results: Mapping[str, xr.Dataset],
    *,
    occupation: str | None = None,
    width: float = BIN,
    title: str | None = None,
) -> Figure:
    """How workers are distributed over cities by the share of an occupation in them (CH Figure 18).

    A histogram for each result: the percentage of all workers whose city's share of the occupation differs from the
    average over workers by so much. Bins are centred on no difference.

    **Arguments:**

    - `results`: from names to data sets with employment (city, occupation; further dimensions are summed), workers.
    - `occupation`: by default the first.
    - `width`: of the bins, in shares of employment.
    - `title`: above the figure.

    **Raises:** `ModelError` without results, with more than four, or where the occupation is missing.
    """
    if not 1 <= len(results) <= len(COLOURS):
        raise ModelError(f"this figure compares one to {len(COLOURS)} results, found {len(results)}")
    if not width > 0:
        raise ModelError(f"width of the bins must be positive, found {width}")
    name = check_occupation(next(iter(results.values())), occupation)
    deviations = [_deviations(result, name) for result in results.values()]
    edges = _edges(np.concatenate([deviation for deviation, _ in deviations]), width)
    figure = style.new_figure(6.4, 4.0)
    axes = figure.add_subplot()
    style.dress_axes(axes)
    handles = []
    for (deviation, workers), label, colour in zip(deviations, results, COLOURS, strict=False):
        share = 100 * np.histogram(deviation, edges, weights=workers)[0] / workers.sum()
        axes.stairs(share, 100 * edges, color=colour, linewidth=1.6, zorder=3)
        axes.stairs(share, 100 * edges, fill=True, facecolor=to_rgba(colour, 0.16), linewidth=0.0, zorder=2)
        handles.append(Patch(facecolor=to_rgba(colour, 0.16), edgecolor=colour, linewidth=1.6, label=label))
    axes.set_xlabel(f"{name} share of the city's employment, less the average (percentage points)")
    axes.set_ylabel("Percent of all workers")
    axes.set_ylim(bottom=0.0)
    axes.margins(x=0.02)
    axes.legend(handles=handles, loc="upper right")
    heading(figure, title)
    note(figure, f"Bins are {100 * width:g} percentage points wide. The average is over workers, in each result.")
    return figure


@style.plot_style()
def technology_change(
    change: xr.DataArray,
    baseline: xr.Dataset,
    *,
    occupation: str | None = None,
    label: str | None = None,
    remark: Sequence[str] = (),
    title: str | None = None,
) -> Figure:
    """The change of exogenous productivity by city, against an occupation's share and city size (CH Figures 19, 20).

    Share and size are the baseline's. Marker areas are proportional to employment; lines are fitted by least squares
    weighted by it; correlations over cities are given unweighted and weighted.

    **Arguments:**

    - `change`: log points (city).
    - `baseline`: employment (city, occupation; further dimensions are summed), workers.
    - `occupation`: by default the first.
    - `label`: of the vertical axis; by default made of the `long_name` and `units` of `change`.
    - `remark`: sentences under the figure.
    - `title`: above the figure.

    **Raises:** `ModelError` where a city or the occupation is missing.
    """
    name = check_occupation(baseline, occupation)
    values = by_city(change, baseline)
    figure = style.new_figure(7.2, 3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes in (left, right):
        zero_line(axes)
    share_and_size(left, right, against_share(values, baseline, name), against_size(values, baseline), name)
    left.set_ylabel(fill(label or describe(change) or "Change (log points)", 44))
    heading(figure, title)
    note(figure, "Marker areas are proportional to employment, by which lines are weighted.", *remark)
    return figure


@style.plot_style()
def contribution_bars(
    contributions: Mapping[str, Array],
    steps: Sequence[str],
    occupations: Sequence[str],
    *,
    label: str = "Contribution to log welfare (log points, times 100)",
    title: str | None = None,
) -> Figure:
    """What each step adds, a bar for each way to attribute it and a panel for each occupation (CH Table 3, as bars).

    **Arguments:**

    - `contributions`: from names to arrays (step, occupation), such as `Decomposition.contributions["log_welfare"]`;
      drawn times 100.
    - `steps`, `occupations`: their names.
    - `label`: of the horizontal axis.
    - `title`: above the figure.

    **Raises:** `ModelError` for arrays of another shape, none, or more than four.
    """
    if not 1 <= len(contributions) <= len(COLOURS):
        raise ModelError(f"this figure compares one to {len(COLOURS)} attributions, found {len(contributions)}")
    for name, values in contributions.items():
        if np.shape(values) != (len(steps), len(occupations)):
            raise ModelError(
                f"contributions {name!r} have shape {np.shape(values)}, but there are {len(steps)} steps and "
                f"{len(occupations)} occupations"
            )
    figure = style.new_figure(7.2, 1.2 + 0.42 * len(steps))
    grid = figure.subplots(1, len(occupations), sharey=True, sharex=True, squeeze=False)[0]
    thickness = 0.8 / len(contributions)
    places = np.arange(len(steps))
    for axes, k in zip(grid, range(len(occupations)), strict=True):
        style.dress_axes(axes)
        axes.axvline(0.0, color=style.INK, linewidth=0.6, zorder=0.9)
        for i, (values, colour) in enumerate(zip(contributions.values(), BARS, strict=False)):
            offset = (i - (len(contributions) - 1) / 2) * thickness
            bars = axes.barh(places + offset, 100 * np.asarray(values)[:, k], thickness, color=colour, zorder=2)
            axes.bar_label(bars, fmt=lambda x: f"{x:.1f}".replace("-", MINUS), fontsize=6.5, padding=2)
        axes.set_title(occupations[k])
        axes.margins(x=0.16)
        axes.set_yticks(places, list(steps))
    grid[0].invert_yaxis()
    figure.supxlabel(label, fontsize=style.STYLE["axes.labelsize"])
    handles = [Patch(facecolor=colour, label=name) for name, colour in zip(contributions, BARS, strict=False)]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    heading(figure, title)
    return figure


def _deviations(result: xr.Dataset, occupation: str) -> tuple[Array, Array]:
    """By city, the share less its mean over workers; and workers."""
    workers = total_employment(result)
    share = employment_share(result, check_occupation(result, occupation))
    lives = workers > 0
    if not lives.any():
        raise ModelError("nobody works in any city of this result")
    return share[lives] - np.average(share[lives], weights=workers[lives]), workers[lives]


def _edges(deviations: Array, width: float) -> Array:
    """Ends of bins of this width, the middle one centred on zero."""
    reach = int(np.ceil(np.abs(deviations).max() / width + 0.5))
    low = int(np.floor(deviations.min() / width + 0.5))
    high = min(reach, int(np.floor(deviations.max() / width + 0.5)))
    return width * (np.arange(low, high + 2) - 0.5)
