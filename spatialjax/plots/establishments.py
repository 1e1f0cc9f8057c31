"""Figures of the density premium: profiles by age, curves by percentile, densities of earnings, a scatter of places."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from spatialjax.errors import ModelError
from spatialjax.plots.style import INK, PALETTE, dress_axes, new_figure, plot_style

COLOURS = ("blue", "vermillion", "green", "purple", "orange", "black", "sky blue")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)))
INTERVAL = 1.96
"""Standard errors on either side of a line that its band covers."""

IMPRECISE = 5.0
"""Times the median standard error of a panel: a point that is less precise does not stretch the axis."""
MARGIN = 0.05

PANEL_WIDTH, PANEL_HEIGHT, COLUMNS = 3.6, 2.7, 2
LEGEND_COLUMNS, LEGEND_LINE, LEGEND_BELOW = 2, 0.17, 0.43
"""Of legends, which stand below their panels: columns, inches of a line, inches from the axis."""


@plot_style()
def profile_panels(
    panels: Mapping[str, pd.DataFrame], *, x: str = "age", x_label: str = "Age (years)", y_label: str = "Elasticity"
) -> Figure:
    """Elasticities by age or tenure, with bands of 1.96 standard errors, a panel each (FF Figures 1, 2, 5 and C.5).

    Frames have the columns `x`, elasticity, standard_error and specification, which tells lines apart. Axes reach as
    far as points whose standard error is at most five times the panel's median: others may run out of the picture.

    **Raises:** `ModelError` where there is no panel or a column is missing.
    """
    figure, axes = _grid(panels, (x, "elasticity", "standard_error", "specification"), "specification")
    for place, (title, frame) in zip(axes, panels.items(), strict=False):
        for look, (name, line) in _lines(frame, "specification"):
            half = INTERVAL * line["standard_error"]
            _draw(place, line[x], line["elasticity"], line["elasticity"] - half, line["elasticity"] + half, name, look)
        _finish(place, title, x_label, y_label)
        place.set_ylim(*_limits(frame))
        place.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


@plot_style()
def percentile_panels(
    panels: Mapping[str, pd.DataFrame], *, y_labels: Sequence[str] = (), x_label: str = "Percentile of earnings"
) -> Figure:
    """Curves by percentile of earnings with their bands, a panel each (FF Figures 3, 4, D.1 and D.2).

    Frames have the columns percentile, value, lower, upper and group. `y_labels` may name each panel's axis.

    **Raises:** `ModelError` where there is no panel or a column is missing.
    """
    figure, axes = _grid(panels, ("percentile", "value", "lower", "upper", "group"), "group")
    labels = [*y_labels, *[""] * len(panels)]
    for place, (title, frame), label in zip(axes, panels.items(), labels, strict=False):
        for look, (name, line) in _lines(frame, "group"):
            _draw(place, line["percentile"], line["value"], line["lower"], line["upper"], name, look)
        if frame["lower"].min() < 0 < frame["upper"].max():
            place.axhline(0.0, color=INK, linewidth=0.6)
        _finish(place, title, x_label, label)
    return figure


@plot_style()
def earnings_densities(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Densities of log earnings by group of places (FF Figures C.2 and C.3).

    Frames have the columns log_earnings, density and group.

    **Raises:** `ModelError` where there is no panel or a column is missing.
    """
    figure, axes = _grid(panels, ("log_earnings", "density", "group"), "group")
    for place, (title, frame) in zip(axes, panels.items(), strict=False):
        for (colour, dash), (name, line) in _lines(frame, "group"):
            place.plot(line["log_earnings"], line["density"], color=colour, linestyle=dash, linewidth=1.4, label=name)
        _finish(place, title, "Log earnings", "Density")
        place.set_ylim(bottom=0.0)
    return figure


@plot_style()
def earnings_against_density(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Log earnings of places against log density with the least-squares line (FF Figure C.1).

    Frames have the columns log_density and log_earnings, a row a place.

    **Raises:** `ModelError` where there is no panel, a column is missing, or fewer than three places are finite.
    """
    figure, axes = _grid(panels, ("log_density", "log_earnings"))
    for place, (title, frame) in zip(axes, panels.items(), strict=False):
        finite = frame[["log_density", "log_earnings"]].replace([np.inf, -np.inf], np.nan).dropna()
        if len(finite) < 3:
            raise ModelError(f"{title}: a line needs three places with density and earnings, found {len(finite)}")
        x, y = finite["log_density"].to_numpy(), finite["log_earnings"].to_numpy()
        slope, intercept = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        place.plot(x, y, "o", markersize=2.6, markerfacecolor="none", color=PALETTE["blue"], markeredgewidth=0.6)
        fit = f"slope {slope:.3f}, $R^2$ {np.corrcoef(x, y)[0, 1] ** 2:.2f}, {len(x)} places"
        place.plot(ends, intercept + slope * ends, color=PALETTE["vermillion"], linewidth=1.4, label=fit)
        _finish(place, title, "Log density", "Log earnings")
    return figure


def _grid(
    panels: Mapping[str, pd.DataFrame], wanted: Sequence[str], lines: str | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure with a place for each panel; `lines` is the column that tells lines apart, of which legends are."""
    if not panels:
        raise ModelError("at least one panel is needed")
    for title, frame in panels.items():
        if missing := [name for name in wanted if name not in frame.columns]:
            raise ModelError(f"{title}: columns {', '.join(missing)} are missing")
    columns = min(COLUMNS, len(panels))
    rows = ceil(len(panels) / columns)
    width = PANEL_WIDTH if len(panels) > 1 else 1.4 * PANEL_WIDTH
    height = PANEL_HEIGHT if len(panels) > 1 else 1.3 * PANEL_HEIGHT
    entries = max(frame[lines].nunique() if lines else 1 for frame in panels.values())
    legend = LEGEND_LINE * ceil(entries / LEGEND_COLUMNS)
    figure = new_figure(columns * width, rows * (height + legend))
    axes = list(np.atleast_1d(figure.subplots(rows, columns)).flat)
    for unused in axes[len(panels) :]:
        unused.set_axis_off()
    return figure, axes


def _limits(frame: pd.DataFrame) -> tuple[float, float]:
    """Limits of an axis of elasticities, with a margin."""
    error = frame["standard_error"]
    shown = frame[error <= IMPRECISE * error.median()]
    half = INTERVAL * shown["standard_error"]
    low, high = (shown["elasticity"] - half).min(), (shown["elasticity"] + half).max()
    margin = MARGIN * (high - low) or 1.0
    return low - margin, high + margin


def _lines(frame: pd.DataFrame, column: str):
    """Looks and rows of each line, in order of appearance; dashes change too, for print without colours."""
    looks = zip(cycle([PALETTE[name] for name in COLOURS]), cycle(DASHES), strict=False)
    return zip(looks, frame.groupby(column, sort=False), strict=False)


def _draw(axes: Axes, x, y, low, high, name, look) -> None:
    colour, dash = look
    axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0.0)
    axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.4, label=name)


def _finish(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    dress_axes(axes)
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(
            fontsize=7.0,
            ncols=LEGEND_COLUMNS,
            columnspacing=1.4,
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            bbox_transform=axes.transAxes + ScaledTranslation(0.0, -LEGEND_BELOW, axes.figure.dpi_scale_trans),
            borderaxespad=0.0,
        )
