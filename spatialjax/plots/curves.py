"""Smooth functions of the number of firms in a sector: curves, and bands of their standard errors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.labels import variable
from spatialjax.plots.scatter import BLUE, LINE_COLOURS, label_log_workers

Array = np.ndarray

INTERVAL = 1.96
"""Standard errors on either side of a curve that its band covers."""

EXACT: dict[str, Any] = {"linestyle": (0, (4, 2)), "marker": "o", "markersize": 3.0, "linewidth": 1.1}
"""How an exact solution is drawn beside an approximation."""

POINTS: dict[str, Any] = {"marker": "o", "markersize": 2.4, "linewidth": 1.0}
"""How a line is drawn that stands for whole numbers of firms only."""


@dataclass(frozen=True)
class Curve:
    """Values by number of firms, ascending, and the ends of their intervals."""

    firms: Array
    y: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, firms: Array, y: Array, error: Array | float = 0.0) -> "Curve":
        """The curve through what is known; `error` is a standard error, unknown ones count as none.

        **Raises:** `ModelError` where nothing is known.
        """
        firms, y = np.asarray(firms, float), np.asarray(y, float)
        half = INTERVAL * np.nan_to_num(np.broadcast_to(error, y.shape))
        order = np.argsort(firms, kind="stable")
        order = order[(np.isfinite(y) & (firms > 0))[order]]
        if not order.size:
            raise ModelError("a curve needs at least one finite value at a positive number of firms")
        return cls(firms[order], y[order], (y - half)[order], (y + half)[order])

    def map(self, function: Callable[[Array], Array]) -> "Curve":
        """The curve of an increasing function of the values."""
        return replace(self, y=function(self.y), low=function(self.low), high=function(self.high))


def curve_of(result: xr.Dataset, name: str) -> Curve:
    """A variable (curve) over `curve_firms`, with its standard error `name`_error where there is one."""
    error = f"{name}_error"
    return Curve.of(
        _along_curve(result, "curve_firms"),
        _along_curve(result, name),
        _along_curve(result, error) if error in result else 0.0,
    )


def _along_curve(result: xr.Dataset, name: str) -> Array:
    values = variable(result, name)
    if values.dims != ("curve",):
        raise ModelError(f"the variable {name} must have the dimension curve alone, found dimensions {values.dims}")
    return values.values.astype(float)


def draw_curve(
    axes: Axes, curve: Curve, *, exact: bool = False, points: bool = False, label: str | None = None
) -> None:
    """A line against the log of firms, with its band, and with its `points`; an exact solution has them, and dashes."""
    colour = style.PALETTE["vermillion"] if exact else LINE_COLOURS[BLUE]
    look: dict[str, Any] = EXACT if exact else (POINTS if points else {"linewidth": 1.6})
    x = np.log(curve.firms)
    if (curve.high > curve.low).any():
        axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0.0, zorder=3)
    axes.plot(x, curve.y, color=colour, label=label, zorder=5 if exact else 4, **look)


def firms_axis(axes: Axes, label: str = "Firms per sector") -> None:
    """Label an axis in log firms with round numbers of firms."""
    label_log_workers(axes)
    axes.set_xlabel(f"{label} (log scale)")
