"""Figures of the granular economy (KO Figures 2 to 6): what firms' shocks do to places, and what policy undoes.

Results are data sets by conduct, "competitive" or "cournot", either of which may be missing. Those of zones have the
dimension `zone`, smooth functions of the number of firms the dimension `curve`. A variable `label` (zone), where there
is one, names the smallest and the largest zone in scatter plots; labels that are not ASCII are left out, as fonts
may lack their letters.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spatialjax.errors import ModelError
from spatialjax.plots import style
from spatialjax.plots.curves import INTERVAL, Curve, curve_of, draw_curve, firms_axis
from spatialjax.plots.labels import variable
from spatialjax.plots.scatter import BLUE, heading, note
from spatialjax.plots.zone_panels import Results, Row, by_population, by_zone, population_axis, zone_panels

EACH_DOT = "Each dot is a zone."


@style.plot_style()
def production_and_elasticity(results: Results, *, title: str | None = None) -> Figure:
    """Productivity against firms per sector, and the elasticity of wages against population (KO Figure 4).

    **Arguments:**

    - `results`: by conduct: `population` and `wage_elasticity` (zone), and `curve_firms` and `curve_phi` (curve),
      firms per sector and Phi. `curve_phi_error`, its standard error, and `curve_phi_exact` with
      `curve_phi_exact_error`, the same without approximation, are drawn where they are given. So are ticks at
      the foot, one a zone, where there is `firms` (zone), its firms per sector.
    - `title`: above the figure.

    **Raises:** `ModelError` where a variable or every result is missing, or a conduct is unknown.
    """
    rows = [
        Row("Log \N{GREEK CAPITAL LETTER PHI}", _draw_production, 1e-3, firms_axis),
        Row(
            "Elasticity of wages to population", by_population("wage_elasticity"), 1e-4, population_axis, reference=0.0
        ),
    ]
    intervals = any(name in r for r in results.values() for name in ("curve_phi_error", "curve_phi_exact_error"))
    ticks = any("firms" in result for result in results.values())
    each = "Each dot and each tick is a zone." if ticks else EACH_DOT
    return zone_panels(results, rows, title, each, _about_bands(intervals))


@style.plot_style()
def factor_wedges(results: Results, *, title: str | None = None) -> Figure:
    """Wages and profits over what workers and firms add to a zone's output, against population (KO Figure 5).

    **Arguments:**

    - `results`: by conduct: `population`, `labour_wedge` (wage over marginal product of labour) and `firm_wedge`
      (profit over marginal product of a firm), (zone).
    - `title`: above the figure.

    **Raises:** `ModelError` where a variable or every result is missing, or a conduct is unknown.
    """
    labour, firm = by_population("labour_wedge"), by_population("firm_wedge")
    rows = [
        Row("Wage over marginal product\nof labour", labour, 0.004, population_axis, reference=1.0),
        Row("Profit over marginal product\nof a firm", firm, 0.004, population_axis, shared=False, reference=1.0),
    ]
    return zone_panels(
        results,
        rows,
        title,
        EACH_DOT,
        "At the line, a factor is paid its marginal product.",
        _scales(results, "lower "),
    )


@style.plot_style()
def optimal_policy_changes(results: Results, *, title: str | None = None) -> Figure:
    """Changes of firms and of population under the optimal policy, against population (KO Figure 6).

    **Arguments:**

    - `results`: by conduct: `population`, `optimal_firms_change` and `optimal_population_change` (zone), the
      optimum over the equilibrium less one; drawn in percent.
    - `title`: above the figure.

    **Raises:** `ModelError` where a variable or every result is missing, or a conduct is unknown.
    """
    firms, people = (by_population(f"optimal_{of}_change", scale=100.0) for of in ("firms", "population"))
    rows = [
        Row("Change of firms (percent)", firms, 0.1, population_axis, shared=False, reference=0.0),
        Row("Change of population (percent)", people, 0.1, population_axis, shared=False, reference=0.0),
    ]
    return zone_panels(results, rows, title, EACH_DOT, _scales(results))


def _draw_production(axes: Axes, result: xr.Dataset) -> None:
    """The curve of log Phi; the exact one, and zones at the foot, where they are given."""
    if "firms" in result:
        firms = by_zone(result, "firms")
        at = np.log(firms[firms > 0])
        axes.plot(at, np.full(at.shape, 0.03), "|", ms=5.0, mew=0.5, color=BLUE, transform=axes.get_xaxis_transform())
    draw_curve(axes, curve_of(result, "curve_phi").map(np.log), label="second order")
    if "curve_phi_exact" in result:
        draw_curve(axes, curve_of(result, "curve_phi_exact").map(np.log), exact=True, label="exact")
        axes.legend(loc="best")


def _about_bands(drawn: bool) -> str:
    return f"Bands reach {INTERVAL} standard errors of simulation to either side." if drawn else ""


def _scales(results: Results, which: str = "") -> str:
    return f"Vertical scales of the {which}panels differ." if len(results) > 1 else ""


@style.plot_style()
def model_fit(moments: xr.Dataset, *, title: str | None = None) -> Figure:
    """Moments of the model against firms per sector (the model's side of KO Figures 2 and 3).

    **Arguments:**

    - `moments`: `curve_firms` and `herfindahl` (curve), the mean number of firms in a sector and the mean Herfindahl
      index; and on the dimension `number`, whose labels are numbers of firms, `shock_variance` (eq. 21), and
      `wage_bill_variance` and `employment_variance`, logs of variances less their values at one firm
      (Propositions 5 and 6).
    - `title`: above the figure.

    **Raises:** `ModelError` where a variable is missing, or one of the last two is not zero at one firm.
    """
    figure = style.new_figure(7.2, 5.6)
    herfindahl, shocks, wages, employment = figure.subplots(2, 2).ravel()
    for axes in (herfindahl, shocks, wages, employment):
        style.dress_axes(axes)
    draw_curve(herfindahl, curve_of(moments, "herfindahl"))
    draw_curve(shocks, _by_number(moments, "shock_variance"), points=True)
    draw_curve(wages, _normalised(moments, "wage_bill_variance"), points=True)
    draw_curve(employment, _normalised(moments, "employment_variance"), points=True)
    herfindahl.set(title="Concentration", ylabel="Herfindahl index of a sector, mean")
    shocks.set(title="Shocks to a sector's firms", ylabel="Variance of their mean")
    wages.set(title="Wage bill of a sector", ylabel="Log variance, less that at one firm")
    employment.set(title="Employment of a firm", ylabel="Log variance, less that at one firm")
    firms_axis(herfindahl, "Firms per sector, mean")
    for axes in (shocks, wages, employment):
        firms_axis(axes, "Firms in the sector")
    heading(figure, title)
    note(figure, "Lines are the model's. The observations beside them in KO Figures 2 and 3 are confidential.")
    return figure


def _by_number(moments: xr.Dataset, name: str) -> Curve:
    values = variable(moments, name)
    if values.dims != ("number",) or "number" not in moments.coords:
        raise ModelError(f"the variable {name} must have the dimension number alone, labelled with numbers of firms")
    return Curve.of(moments["number"].values, values.values)


def _normalised(moments: xr.Dataset, name: str) -> Curve:
    """A log variance that is zero at one firm."""
    curve = _by_number(moments, name)
    at_one = curve.y[curve.firms == 1]
    if np.any(np.abs(at_one) > 1e-9):
        raise ModelError(
            f"{name} is {at_one[0]:g} at one firm: give the log of the variance, less that of a sector with one firm"
        )
    return curve


@style.plot_style()
def markdown_comparison(curves: xr.Dataset, *, title: str | None = None) -> Figure:
    """Markdowns of wages below the marginal product of labour, to second order and exactly.

    The markdown is -Psi/Phi, one less the wage over the marginal product of labour.

    **Arguments:**

    - `curves`: `curve_firms`, `curve_markdown` and `curve_markdown_exact` (curve), shares; drawn in percent. Bands
      show `curve_markdown_error` and `curve_markdown_exact_error`, standard errors, where they are given.
    - `title`: above the figure.

    **Raises:** `ModelError` where one of the first three is missing.
    """
    figure = style.new_figure(5.2, 3.9)
    axes = figure.add_subplot()
    style.dress_axes(axes)
    for name, exact, label in (("curve_markdown", False, "second order"), ("curve_markdown_exact", True, "exact")):
        draw_curve(axes, curve_of(curves, name).map(lambda share: 100.0 * share), exact=exact, label=label)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_ylabel("Markdown of wages (percent)")
    axes.legend(loc="best")
    firms_axis(axes)
    heading(figure, title)
    note(figure, _about_bands(any(f"{n}_error" in curves for n in ("curve_markdown", "curve_markdown_exact"))))
    return figure
