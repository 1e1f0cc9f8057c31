"""Maps of trade flows between cities, the hubs of a group of sectors (SH Figure 1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.labels import by_city, describe, point_names, total_employment
from spatialjax.plots.maps import Base, add_colour_bar, colours, draw_base, draw_cities
from spatialjax.plots.scatter import heading

LARGEST_DOT, SMALLEST_DOT = 150.0, 6.0
"""Areas of the markers of a map of flows: of the largest city, and of cities too small to be seen in proportion."""

MANY_ARROWS = 400
"""More arrows than these on a map are drawn fainter."""

MOST_ARROWS = 3000
"""More arrows than these on a map are drawn as a picture, as they are smaller so than one by one."""

WEIGHTS = 12
"""Steps in which arrows grow heavier: arrows of one look are written shorter than of many."""

ARROWS, BELOW_CITIES = 1.5, 1.9
"""Heights in the drawing: of arrows, and one between them and cities, which lie at 2 and above."""

EASTERN_EDGE = 2330.0
"""Where the map of the United States ends without the legend of sizes, km."""


@dataclass(frozen=True)
class FlowPanel:
    """One map of trade flows.

    `unit_cost` (city) colours the cities. `flows` has a row for each arrow: `origin` and `destination`, codes
    of cities, and `share`, or else `change`, by which arrows are more or less heavy. All rows are drawn: which
    flows are large enough is for the caller to choose.
    """

    title: str
    unit_cost: xr.DataArray
    flows: pd.DataFrame


@style.plot_style()
def trade_flow_maps(
    panels: Sequence[FlowPanel],
    data: xr.Dataset,
    *,
    label: str | None = None,
    columns: int = 2,
    title: str | None = None,
) -> Figure:
    """Maps of trade flows between cities, arrows from origin to destination (SH Figure 1).

    Cities are coloured by unit cost, on one scale for the panels of a row; cities where nothing is produced
    (not finite) are empty circles. Marker areas are proportional to employment, but for a smallest area.
    Arrows bend to the right as they go, so that flows both ways are told apart. Flows of a city to itself
    are not drawn.

    **Arguments:**

    - `panels`: title, unit cost and flows of each, row by row.
    - `data`: latitude and longitude (degrees), employment (workers; dimensions besides city are summed).
    - `label`: of the colour bars; by default made of the `long_name` and `units` of each row's first unit cost.
    - `columns`: panels in a row.
    - `title`: above the figure.

    **Raises:** `ModelError` without panels, where flows lack a column or name an unknown city, unit costs are
    not by city or lack one, or `data` lack coordinates.
    """
    if not panels:
        raise ModelError("this figure needs at least one panel of flows")
    rows = -(-len(panels) // columns)
    figure = style.new_figure(5.0 * columns, 4.1 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for start, row in zip(range(0, len(panels), columns), grid, strict=True):
        _draw_row(row[: len(panels) - start].tolist(), panels[start : start + columns], data, label)
        for axes in row[len(panels) - start :]:
            axes.set_axis_off()
    heading(figure, title)
    return figure


def _draw_row(row: list[Axes], panels: Sequence[FlowPanel], data: xr.Dataset, label: str | None) -> None:
    costs = [by_city(panel.unit_cost.where(np.isfinite(panel.unit_cost)), data) for panel in panels]
    scale = colours(np.concatenate(costs))
    employment = total_employment(data)
    areas = np.maximum(style.marker_areas(employment, largest=LARGEST_DOT), SMALLEST_DOT)
    for axes, panel, cost in zip(row, panels, costs, strict=True):
        base = draw_base(axes, data)
        circles = draw_cities(axes, base.x, base.y, cost, areas, scale, point_names(data))
        _draw_flows(axes, base, _from_to(panel, data), areas)
        if base.domestic:
            axes.set_xlim(right=EASTERN_EDGE)
        axes.set_title(panel.title)
    add_colour_bar(row, circles, np.concatenate(costs), label or describe(panels[0].unit_cost))


def _from_to(panel: FlowPanel, data: xr.Dataset) -> pd.DataFrame:
    """Flows between different cities, by their positions in the data; the smallest first."""
    size = "share" if "share" in panel.flows or "change" not in panel.flows else "change"
    missing = [name for name in ("origin", "destination", size) if name not in panel.flows]
    if missing:
        raise ModelError(f"flows of panel {panel.title!r} lack the columns {', '.join(missing)}")
    flows = panel.flows.rename(columns={size: "size"})
    flows = flows[flows["origin"] != flows["destination"]].sort_values("size", kind="stable")
    position = pd.Series(np.arange(data.sizes["city"]), index=data["city"].values)
    unknown = [str(c) for name in ("origin", "destination") for c in flows[name] if c not in position.index]
    if unknown:
        raise ModelError(f"flows of panel {panel.title!r} name cities that are not in the data, first {unknown[0]}")
    return flows.assign(**{name: position[flows[name]].to_numpy() for name in ("origin", "destination")})


def _draw_flows(axes: Axes, base: Base, flows: pd.DataFrame, areas: np.ndarray) -> None:
    """Arrows from the edge of the origin to that of the destination, below the cities.

    Large flows are heavier, and all are fainter where there are many. Very many are one picture, with the land.
    """
    places, radii = np.column_stack([base.x, base.y]), np.sqrt(areas) / 2
    strength = min(1.0, np.sqrt(MANY_ARROWS / max(len(flows), 1)))
    weight = np.round(WEIGHTS * np.clip(flows["size"] / flows["size"].abs().max(), 0.0, 1.0)) / WEIGHTS
    if len(flows) > MOST_ARROWS:
        axes.set_rasterization_zorder(BELOW_CITIES)
    for origin, destination, heavy in zip(flows["origin"], flows["destination"], weight, strict=True):
        arrow = FancyArrowPatch(
            tuple(places[origin]),
            tuple(places[destination]),
            arrowstyle="-|>,head_length=0.4,head_width=0.16",
            connectionstyle="arc3,rad=0.18",
            mutation_scale=6.0,
            shrinkA=radii[origin],
            shrinkB=radii[destination] + 0.3,
            linewidth=0.3 + 0.6 * heavy,
            color=style.INK,
            alpha=strength * (0.35 + 0.5 * heavy),
            zorder=ARROWS,
        )
        arrow.set_in_layout(False)
        axes.add_patch(arrow)
