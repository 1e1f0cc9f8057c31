"""Figures of what inversion finds, against city size and composition (CH section 4.5)."""

from dataclasses import replace

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from spatialjax.plots import style
from spatialjax.plots.labels import describe, match_cities, total_employment, variable
from spatialjax.plots.scatter import Points, correlations, heading, label_log_workers, note, scatter

PANELS = (
    ("log_size", "traded_price", "Prices of traded goods"),
    ("share", "relative_amenity", "Relative amenities"),
    ("log_size", "tfp", "Total factor productivity"),
    ("share", "tfp", "Total factor productivity"),
)
"""What each panel draws: its horizontal and vertical variable, and its name."""


@style.plot_style()
def validation_panels(measures: xr.Dataset, *, title: str | None = None) -> Figure:
    """Prices, amenities and productivity of cities against their size and composition (CH section 4.5).

    Four panels: the price of traded goods against log employment; the first occupation's amenity over the second's
    against the first's share of employment; and total factor productivity against each of these. Marker areas are
    proportional to employment. Lines are unweighted.

    **Arguments:**

    - `measures`: `traded_price`, `relative_amenity`, `tfp`, `log_size` and `share` (city), logs and a share, and
      `employment` (city, ...; further dimensions are summed), workers.
    - `title`: above the figure.

    **Raises:** `ModelError` where a variable is missing, or no city has all that a panel compares.
    """
    workers = total_employment(measures)
    figure = style.new_figure(7.2, 6.6)
    for axes, (x, y, name) in zip(figure.subplots(2, 2).ravel(), PANELS, strict=True):
        horizontal, vertical = (match_cities(variable(measures, v), measures) for v in (x, y))
        points = Points(np.asarray(horizontal, float), np.asarray(vertical, float), workers).known()
        axes.margins(0.07)
        scatter(axes, replace(points, weighted=False))
        axes.set_title(f"{name}\n{correlations(points.fit())}", fontsize=8.5, fontweight="normal")
        axes.set_ylabel(describe(vertical))
        if x == "log_size":
            label_log_workers(axes)
        else:
            axes.set_xlabel(describe(horizontal))
    heading(figure, title)
    note(figure, "Lines are unweighted. Amenities include what spillovers add.", biggest=float(workers.max()))
    return figure
