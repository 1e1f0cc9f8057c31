"""Why prices change from equilibrium to optimum, in components, by city (SH Figure 2)."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.drawn import give_names
from spatialjax.plots.labels import by_city, match_cities, point_names, total_employment
from spatialjax.plots.scatter import heading, label_log_workers, zero_line

PRICE_COMPONENTS = {
    "total": ("price", "black", "o"),
    "price": ("price", "black", "o"),
    "unit_cost": ("unit cost", "vermillion", "^"),
    "variety": ("variety", "sky blue", "s"),
    "not_produced": ("not produced here", "purple", "D"),
}
"""Name, colour and shape of a price's change and its components."""

UNIT_COST_COMPONENTS = {
    "unit_cost": ("unit cost", "vermillion", "^"),
    "wages": ("wages", "blue", "s"),
    "tfp": ("productivity", "green", "v"),
    "land_rent": ("rent", "yellow", "P"),
    "inputs": ("input prices", "orange", "D"),
    "remainder": ("remainder", "grey", "o"),
}
"""Name, colour and shape of a unit cost's change and its components."""

OTHERS = (("purple", "X"), ("sky blue", "<"), ("black", ">"), ("grey", "*"))
"""Colour and shape of components of other names."""

Looks = Mapping[str, tuple[str, str, str]]

KNOWN: tuple[Looks, Looks] = (PRICE_COMPONENTS, UNIT_COST_COMPONENTS)
"""At the left and at the right."""


@style.plot_style()
def price_decomposition_panels(
    decompositions: Mapping[str, xr.Dataset | tuple[xr.Dataset, xr.Dataset]],
    baseline: xr.Dataset,
    *,
    title: str | None = None,
) -> Figure:
    """Log changes of prices and of unit costs by city, in components, against log employment (SH Figure 2).

    A row of two panels for each group of sectors: at the left the price and its components, at the right the
    unit cost and its components. The panels of a row have one vertical scale. Components that are zero in
    every city of every group are not drawn.

    **Arguments:**

    - `decompositions`: for each group, by its name, a data set of prices and one of unit costs, variables
      (city) in logs; or one data set with both. Of prices: total (or price), unit_cost, variety,
      not_produced; of unit costs: unit_cost, wages, tfp, land_rent, inputs, remainder. Further variables
      without units or in "log points" are drawn too, named by their `long_name`; those of one data set with
      both are drawn at the right. Variables in other units are not drawn.
    - `baseline`: employment (city, ...; further dimensions are summed), workers.
    - `title`: above the figure.

    **Raises:** `ModelError` without groups, where one has no components of either kind, or components are not
    by city or lack a city.
    """
    if not decompositions:
        raise ModelError("this figure needs at least one group of sectors")
    parts = {group: _two_kinds(group, found, baseline) for group, found in decompositions.items()}
    figure = style.new_figure(7.2, 2.6 * len(parts) + 0.9)
    grid = figure.subplots(len(parts), 2, squeeze=False, sharex=True, sharey="row")
    size = np.log(total_employment(baseline))
    for column, (known, of_what) in enumerate(((PRICE_COMPONENTS, "price"), (UNIT_COST_COMPONENTS, "unit cost"))):
        names = _moving([kinds[column] for kinds in parts.values()])
        for axes, (group, kinds) in zip(grid[:, column], parts.items(), strict=True):
            _draw_components(axes, kinds[column], names, size, known)
            axes.set_title(f"{group}: {of_what}", fontsize=8.5)
        _add_legend(grid[:, column].tolist())
        label_log_workers(grid[-1, column])
    for axes in grid[:, 0]:
        axes.set_ylabel("Contribution to log change")
    heading(figure, title)
    return figure


def _two_kinds(group: str, found: xr.Dataset | tuple[xr.Dataset, xr.Dataset], baseline: xr.Dataset) -> list[xr.Dataset]:
    """Components of prices and of unit costs, of the baseline's cities."""
    if isinstance(found, xr.Dataset):
        of_price = [name for name in found.data_vars if name in PRICE_COMPONENTS]
        others = [name for name in found.data_vars if name == "unit_cost" or name not in of_price]
        found = found[of_price], found[others]
    kinds = [parts[_in_logs(parts, known)] for parts, known in zip(found, KNOWN, strict=True)]
    for parts, of_what in zip(kinds, ("price", "unit cost"), strict=True):
        if not parts.data_vars:
            raise ModelError(f"the decomposition of {group} has no components of {of_what}")
    return [match_cities(parts, baseline) for parts in kinds]


def _in_logs(parts: xr.Dataset, known: Looks) -> list[str]:
    """Names of the components, the known ones first and in their order."""
    others = [str(n) for n, v in parts.data_vars.items() if v.attrs.get("units", "log points") == "log points"]
    return [name for name in known if name in parts] + [name for name in others if name not in known]


def _moving(sets: Sequence[xr.Dataset]) -> list[str]:
    """Names of components that are not zero everywhere."""
    names = dict.fromkeys(str(name) for parts in sets for name in parts.data_vars)
    return [name for name in names if any((abs(parts[name]) > 0).any() for parts in sets if name in parts)]


def _draw_components(axes: Axes, parts: xr.Dataset, names: Sequence[str], size: np.ndarray, known: Looks) -> None:
    style.dress_axes(axes)
    zero_line(axes)
    spare = iter(OTHERS * len(names))
    for place, name in enumerate(names):
        label, colour, marker = known[name] if name in known else (name, *next(spare))
        if name in parts:
            label = label if name in known else fill(str(parts[name].attrs.get("long_name", name)), 40)
            look: dict[str, Any] = {"c": style.PALETTE[colour], "marker": marker, "alpha": 0.55, "linewidth": 0.0}
            dots = axes.scatter(size, by_city(parts[name], parts), 7.0, label=label, zorder=3 - place / 100, **look)
            give_names(dots, point_names(parts))


def _add_legend(column: Sequence[Axes]) -> None:
    """Of all panels of a column, above the title of the first."""
    handles = {str(drawn.get_label()): drawn for axes in column for drawn in axes.collections}
    column[0].legend(
        handles=list(handles.values()),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.09),
        ncols=3,
        borderpad=0.0,
        handletextpad=0.1,
        columnspacing=1.0,
        markerscale=1.7,
    )
