"""An optimum in a variant of the economy beside the baseline's (CH Figures 13 and 17)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from spatialjax.plots import style
from spatialjax.plots.labels import (
    Pair,
    by_city,
    city_names,
    common_pair,
    employment_of,
    kept_cities,
    match_cities,
    percent_change,
    total_employment,
)
from spatialjax.plots.scatter import (
    BLUE,
    GREY,
    Points,
    against_share,
    against_size,
    label_log_workers,
    note,
    point_handle,
    scatter,
    zero_line,
)


@dataclass(frozen=True)
class Comparison:
    """An economy's equilibrium and optimum.

    `equilibrium` and `optimum` have employment (city, occupation; further dimensions are summed), the
    others are Gini coefficients (city) of the wage bill over sectors.
    """

    equilibrium: xr.Dataset
    optimum: xr.Dataset
    equilibrium_gini: xr.DataArray
    optimum_gini: xr.DataArray

    @cached_property
    def _matched(self) -> xr.Dataset:
        return match_cities(self.optimum, self.equilibrium)

    def employment_change(self, occupation: str | None = None) -> np.ndarray:
        """Percent change of an occupation's employment by city, or of all employment."""
        results = (self.equilibrium, self._matched)
        before, after = (employment_of(r, occupation) if occupation else total_employment(r) for r in results)
        return percent_change(before, after)

    def gini_change(self) -> np.ndarray:
        """Change of the Gini coefficient by city."""
        return by_city(self.optimum_gini, self.equilibrium) - by_city(self.equilibrium_gini, self.equilibrium)


@style.plot_style()
def variant_panels(
    baseline: Comparison,
    variant: Comparison,
    *,
    omit: Sequence[str] = (),
    labels: tuple[str, str] = ("baseline", "variant"),
    degrees: tuple[int, int, int, int] = (2, 1, 1, 2),
    title: str | None = None,
    occupations: Pair | None = None,
) -> Figure:
    """What the optimum changes in a variant of the economy and in the baseline (CH Figures 13 and 17).

    Four panels: percent change of the first occupation's employment, of the second's and of total
    employment, each against log employment, and change of the Gini coefficient of the wage bill over
    sectors against the first occupation's share of employment. Each economy is compared with its own
    equilibrium, whose sizes and shares are on the horizontal axes. Curves are fitted by unweighted least
    squares; marker areas are proportional to employment in the equilibrium, on one scale.

    **Arguments:**

    - `baseline`: drawn in grey.
    - `variant`: drawn in blue, over it.
    - `omit`: codes of cities to leave out of the top left panel and its curves; a note names them.
    - `labels`: names of the two in the legend.
    - `degrees`: of the polynomials fitted in the four panels; CH has "quadratic or linear fits".
    - `title`: above the figure.
    - `occupations`: the two that are compared, the one whose share is drawn first; by default the only two there are.

    **Raises:** `ModelError` where a city or an occupation is missing or unknown, or, with no occupations named, unless
    all have the same two.
    """
    economies = [baseline, variant]
    results = (result for e in economies for result in (e.equilibrium, e.optimum))
    occupations = common_pair(*results, chosen=occupations)
    figure = style.new_figure(7.2, 6.8)
    panels = figure.subplots(2, 2).ravel()
    for axes in panels:
        zero_line(axes)
        axes.margins(0.07)
    reference = max(float(total_employment(economy.equilibrium).max()) for economy in economies)
    for economy, colour in zip(economies, (GREY, BLUE), strict=True):
        for axes, points, degree in zip(panels, _four_panels(economy, occupations, omit), degrees, strict=True):
            scatter(axes, replace(points, degree=degree, weighted=False), colour, reference)
    for axes, of_whom in zip(panels[:3], (*occupations, "Total"), strict=True):
        label_log_workers(axes)
        axes.set(title=f"{of_whom} employment", ylabel="Change (percent)")
    panels[3].set(title="Gini coefficient of wage bill", ylabel="Change")
    panels[3].set_xlabel(f"{occupations[0]} share of employment")
    _name_economies(figure, labels, title)
    omitted = f"Left out of the top left panel: {city_names(omit, *_equilibria(economies))}." if len(omit) else ""
    note(figure, "Curves are unweighted.", omitted, biggest=reference)
    return figure


def _four_panels(economy: Comparison, occupations: Pair, omit: Sequence[str]) -> list[Points]:
    equilibrium, (first, second) = economy.equilibrium, occupations
    return [
        against_size(economy.employment_change(first), equilibrium, kept_cities(equilibrium, omit)),
        against_size(economy.employment_change(second), equilibrium),
        against_size(economy.employment_change(), equilibrium),
        against_share(economy.gini_change(), equilibrium, first),
    ]


def _equilibria(economies: Sequence[Comparison]) -> list[xr.Dataset]:
    return [economy.equilibrium for economy in economies]


def _name_economies(figure: Figure, labels: Sequence[str], title: str | None) -> None:
    """Above the panels: the title and the two economies."""
    figure.legend(
        handles=[point_handle(colour) for colour in (GREY, BLUE)],
        labels=list(labels),
        title=title,
        title_fontproperties={"weight": "bold", "size": style.STYLE["axes.titlesize"]},
        alignment="left",
        ncols=2,
        loc="outside upper left",
    )
