"""Scatter plots of cities: circles by employment, fitted curves, their legends, and notes under a figure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.drawn import give_names
from spatialjax.plots.fit import Fit, fit_polynomial
from spatialjax.plots.labels import employment_share, point_names, total_employment

Array = np.ndarray

MARKER = 420.0
"""Area of the largest city's marker in a scatter plot, points squared."""

LINE_COLOURS = {style.PALETTE["grey"]: "#4D4D4D", style.PALETTE["blue"]: "#00466E"}
"""Darker shades for lines that cross markers of these colours."""

BLUE, GREY = style.PALETTE["blue"], style.PALETTE["grey"]


@dataclass(frozen=True)
class Points:
    """Points of a scatter plot, the workers that each stands for, and the degree of the curve through them.

    The curve is fitted by least squares, `weighted` by workers or not. `names` are those of the points, if any.
    """

    x: Array
    y: Array
    workers: Array
    degree: int = 1
    weighted: bool = True
    names: Array | None = None

    def known(self, keep: Array | bool = True) -> "Points":
        """The points to keep that have both coordinates and workers.

        **Raises:** `ModelError` where there is none.
        """
        known = self.are_known() & keep
        if not known.any():
            raise ModelError("no city has workers and both of the values that this figure compares")
        names = None if self.names is None else self.names[known]
        return replace(self, x=self.x[known], y=self.y[known], workers=self.workers[known], names=names)

    def are_known(self) -> Array:
        """Which points have both coordinates and workers."""
        return np.isfinite(self.x) & np.isfinite(self.y) & (self.workers > 0)

    def fit(self) -> Fit:
        """The curve through the points; its weighted correlation has the weights of the curve."""
        weights = self.workers if self.weighted else np.ones_like(self.workers)
        return fit_polynomial(self.x, self.y, weights, self.degree)


def against_share(y: Array, baseline: xr.Dataset, occupation: str, keep: Array | bool = True) -> Points:
    """Values by city against an occupation's share of employment."""
    share, names = employment_share(baseline, occupation), point_names(baseline)
    return Points(share, y, total_employment(baseline), names=names).known(keep)


def against_size(y: Array, baseline: xr.Dataset, keep: Array | bool = True) -> Points:
    """Values by city against log employment."""
    workers = total_employment(baseline)
    log_workers = np.log(np.where(workers > 0, workers, np.nan))
    return Points(log_workers, y, workers, names=point_names(baseline)).known(keep)


def draw_points(axes: Axes, points: Points, colour: str, reference: float | None = None) -> None:
    """Circles, the largest first; `reference` workers, by default the largest city's, have the area `MARKER`."""
    order = np.argsort(-points.workers, kind="stable")
    areas = style.marker_areas(points.workers, largest=MARKER, reference=reference)[order]
    face = to_rgba(colour, 0.4)
    circles = axes.scatter(points.x[order], points.y[order], areas, facecolor=face, edgecolor=colour, linewidth=0.4)
    give_names(circles, None if points.names is None else points.names[order])


def draw_fit(axes: Axes, points: Points, colour: str) -> None:
    """The fitted curve over the range of the points; a straight line by its two ends."""
    x = np.linspace(points.x.min(), points.x.max(), 2 if points.degree == 1 else 101)
    axes.plot(x, points.fit()(x), color=LINE_COLOURS.get(colour, colour), linewidth=1.6, zorder=4)


def scatter(axes: Axes, points: Points, colour: str = BLUE, reference: float | None = None) -> None:
    """Circles and above them the fitted curve, on axes made ready for them."""
    style.dress_axes(axes)
    draw_points(axes, points, colour, reference)
    draw_fit(axes, points, colour)


def share_and_size(left: Axes, right: Axes, shares: Points, sizes: Points, occupation: str) -> None:
    """Two panels, the same values against an occupation's share and against size, with their correlations."""
    for axes, points in ((left, shares), (right, sizes)):
        axes.margins(0.07)
        scatter(axes, points)
        axes.set_title(correlations(points.fit()), fontweight="normal", fontsize=8.5)
    left.set_xlabel(f"{occupation} share of employment")
    label_log_workers(right)


def correlations(fit: Fit) -> str:
    """Unweighted and weighted correlation in words."""
    return f"correlation {signed(fit.correlation)} ({signed(fit.weighted_correlation)} weighted)"


def fit_legend(
    axes: Axes, fits: Sequence[Fit], colours: Sequence[str], labels: Sequence[str], title: str | None, *extra: Line2D
) -> None:
    """Above the axes: the title, then each set's marker and line, its slope and its correlation.

    `extra` are further lines to explain, with labels of their own; with them, markers stand without lines.
    """
    texts = [
        f"{label}: slope {signed(fit.slope)}, correlation {signed(fit.correlation)}"
        for fit, label in zip(fits, labels, strict=False)
    ]
    axes.legend(
        handles=[point_handle(colour, line=not extra) for colour in colours] + list(extra),
        labels=texts + [str(handle.get_label()) for handle in extra],
        title=title,
        title_fontproperties={"weight": "bold", "size": style.STYLE["axes.titlesize"]},
        alignment="left",
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderpad=0.0,
    )


def point_handle(colour: str, *, line: bool = True) -> Line2D:
    """A legend's marker of this colour, with its line or without."""
    drawn: dict[str, Any] = {"color": LINE_COLOURS.get(colour, colour), "linewidth": 1.6} if line else {"linestyle": ""}
    return Line2D([], [], marker="o", ms=5, mfc=to_rgba(colour, 0.4), mec=colour, **drawn)


def diagonal(axes: Axes, through: float) -> Line2D:
    """The 45 degree line, dashed, through a point (x, x) within the data, on equal scales; returned for the legend."""
    dashes: dict[str, Any] = {"color": style.INK, "linestyle": (0, (5, 3)), "linewidth": 1.0, "label": "45 degree line"}
    axes.set_aspect("equal", adjustable="datalim")
    axes.axline((through, through), slope=1.0, zorder=3.5, **dashes)
    return Line2D([], [], **dashes)


def zero_line(axes: Axes) -> None:
    """A thin line at no change."""
    axes.axhline(0.0, color=style.INK, linewidth=0.6, zorder=0.9)


def signed(x: float) -> str:
    """Two decimals, with a true minus sign."""
    return f"{x:.2f}".replace("-", "\N{MINUS SIGN}")


def label_log_workers(axes: Axes, *, narrow: bool = False) -> None:
    """Label an axis in log workers with round numbers of workers, on two lines where the panel is narrow."""
    low, high = np.exp(axes.get_xlim())
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    fine = np.outer(decades, np.arange(1, 10)).ravel()
    coarse, fine = (ticks[(ticks >= low) & (ticks <= high)] for ticks in (decades, fine))
    labelled = coarse if len(coarse) > 1 else fine
    names = [style.format_workers(workers) for workers in labelled]
    axes.set_xticks(np.log(labelled), [name.replace(" ", "\n") for name in names] if narrow else names)
    axes.set_xticks(np.log(fine), minor=True)
    axes.set_xlabel("Workers (log scale)")


def heading(figure: Figure, title: str | None) -> None:
    """The title of a figure of several panels."""
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=style.STYLE["axes.titlesize"])


def note(figure: Figure, *sentences: str, biggest: float | None = None) -> None:
    """Small print under a figure, broken into lines as wide as it is.

    Above it is a legend of sizes where `biggest` is given, the workers whose marker has the area `MARKER`.
    """
    width, height = figure.get_size_inches()
    text = fill(" ".join(sentence for sentence in sentences if sentence), int(width * 17))
    foot = (0.14 * len(text.splitlines()) + 0.06) / height if text else 0.0
    figure.text(0.01, 0.06 / height, text, fontsize=7.5, ha="left", va="bottom")
    if biggest is not None:
        above: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (0.0, foot, 1.0, 1.0 - foot)}
        sizes = style.size_legend(figure, biggest, largest=MARKER, row=True, **above)
        foot += sizes.get_window_extent().height / figure.bbox.height + 0.08 / height
    style.leave_room(figure, foot)
