"""Figures of the granular economy: what they draw, what they leave out and what they refuse."""

import ast
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PolyCollection

import spatialjax as sj
from spatialjax.errors import ModelError
from spatialjax.plots import (
    factor_wedges,
    markdown_comparison,
    model_fit,
    optimal_policy_changes,
    production_and_elasticity,
    save_figure,
)

ZONES, POINTS = 30, 12
TITLES = {"competitive": "Perfect competition", "cournot": "Cournot competition"}
OF_RESULTS = [production_and_elasticity, factor_wedges, optimal_policy_changes]


def result(seed=0):
    """Zones whose labels name the smallest and the largest, and a curve."""
    rng = np.random.default_rng(seed)
    population = np.exp(rng.normal(11.5, 1.5, ZONES))
    firms = population / 40_000
    grid = np.geomspace(0.05, 150, POINTS)
    label = np.full(ZONES, "middle")
    label[population.argmin()], label[population.argmax()] = "Least", "Most"
    by_zone = {
        "population": population,
        "firms": firms,
        "phi": 1.05 + 0.02 * np.log1p(firms),
        "wage_elasticity": rng.uniform(0.001, 0.008, ZONES),
        "labour_wedge": rng.uniform(0.97, 1.0, ZONES),
        "firm_wedge": rng.uniform(1.05, 1.2, ZONES),
        "optimal_firms_change": rng.uniform(-0.17, -0.05, ZONES),
        "optimal_population_change": rng.uniform(-0.001, 0.01, ZONES),
    }
    by_firms = {
        "curve_firms": grid,
        "curve_phi": 1.05 + 0.02 * np.log1p(grid),
        "curve_phi_error": np.full(POINTS, 1e-3),
        "curve_phi_exact": np.where(np.arange(POINTS) % 3 == 0, 1.06 + 0.02 * np.log1p(grid), np.nan),
        "curve_phi_exact_error": np.full(POINTS, 2e-3),
    }
    data = {name: ("zone", values) for name, values in by_zone.items()}
    data |= {name: ("curve", values) for name, values in by_firms.items()}
    return xr.Dataset(data, {"zone": np.arange(ZONES), "label": ("zone", label)})


def competitive():
    """Workers are paid their marginal product, up to rounding."""
    wedge = 1.0 + 1e-16 * np.arange(-ZONES // 2, ZONES - ZONES // 2)
    return result(1).assign(labour_wedge=("zone", wedge), firm_wedge=("zone", np.linspace(0.96, 0.99, ZONES)))


@pytest.fixture
def results():
    return {"cournot": result(), "competitive": competitive()}


@pytest.fixture
def moments():
    number = np.arange(1, 100)
    return xr.Dataset(
        {
            "shock_variance": ("number", 0.002 + 0.14 / number),
            "wage_bill_variance": ("number", -0.5 * np.log(number)),
            "employment_variance": ("number", 1 - 1 / number),
            "curve_firms": ("curve", [0.1, 1.0, 10.0, 100.0]),
            "herfindahl": ("curve", [0.97, 0.79, 0.4, 0.15]),
        },
        {"number": number},
    )


@pytest.fixture
def curves():
    grid = np.geomspace(0.07, 140, POINTS)
    share = 0.009 * np.exp(-((np.log(grid) - 1) ** 2) / 4)
    return xr.Dataset(
        {
            "curve_firms": ("curve", grid),
            "curve_markdown": ("curve", share),
            "curve_markdown_error": ("curve", 0.02 * share),
            "curve_markdown_exact": ("curve", np.where(grid < 3, 0.9 * share, np.nan)),
            "curve_markdown_exact_error": ("curve", 0.05 * share),
        }
    )


def draw(name, results, moments, curves):
    figures = {"fit": (model_fit, moments), "markdown": (markdown_comparison, curves)}
    function, data = figures.get(name) or ({f.__name__: f for f in OF_RESULTS}[name], results)
    return function(data)


def dots(axes):
    return next(c for c in axes.collections if not isinstance(c, PolyCollection)).get_offsets()


def curve(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def ticks(axes):
    return [label.get_text().replace("\n", " ") for label in axes.get_xticklabels() if label.get_text()]


# Four panels by conduct


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        (production_and_elasticity, [None, ("wage_elasticity", 1.0)]),
        (factor_wedges, [("labour_wedge", 1.0), ("firm_wedge", 1.0)]),
        (optimal_policy_changes, [("optimal_firms_change", 100.0), ("optimal_population_change", 100.0)]),
    ],
)
def test_each_zone_is_a_dot_in_the_column_of_its_conduct(function, rows, results):
    axes = np.reshape(function(results).axes, (2, 2))
    for row, drawn in zip(axes, rows, strict=True):
        if drawn is not None:
            name, scale = drawn
            for panel, conduct in zip(row, TITLES, strict=True):
                expected = np.column_stack([np.log(results[conduct]["population"]), scale * results[conduct][name]])
                np.testing.assert_allclose(dots(panel), expected)
    assert [panel.get_title(loc="left") for panel in axes[0]] == list(TITLES.values())
    assert [panel.get_title(loc="left") for panel in axes[1]] == ["", ""]
    assert {panel.get_xlabel() for panel in axes[1]} == {"Population (log scale)"}


def test_axis_titles(results):
    def left(function):
        return [function(results).axes[i].get_ylabel() for i in (0, 2)]

    assert left(production_and_elasticity) == ["Log Φ", "Elasticity of wages to population"]
    assert left(factor_wedges) == ["Wage over marginal product\nof labour", "Profit over marginal product\nof a firm"]
    assert left(optimal_policy_changes) == ["Change of firms (percent)", "Change of population (percent)"]


def test_population_ticks_are_round(results):
    axes = factor_wedges(results).axes
    assert {"100 thousand", "1 million"} <= set(ticks(axes[2]))
    assert axes[2].get_xticks()[ticks(axes[2]).index("1 million")] == pytest.approx(np.log(1e6))
    assert axes[0].get_xlabel() == ""
    assert not any(tick.label1.get_visible() for tick in axes[0].xaxis.get_major_ticks())


@pytest.mark.parametrize("function", OF_RESULTS)
@pytest.mark.parametrize("conduct", TITLES)
def test_a_missing_conduct_leaves_its_column_out(function, conduct, results):
    both, one = function(results), function({conduct: results[conduct]})
    assert len(one.axes) == 2
    assert one.axes[0].get_title(loc="left") == TITLES[conduct]
    kept = both.axes[list(TITLES).index(conduct) + 2]
    np.testing.assert_array_equal(dots(one.axes[1]), dots(kept))
    assert one.get_size_inches()[0] < both.get_size_inches()[0]
    assert not any("scales" in text.get_text() for text in one.texts)


def test_zones_without_values_are_left_out(results):
    values = results["cournot"]["firm_wedge"].copy()
    values[3], population = np.nan, results["cournot"]["population"].copy()
    population[4] = 0.0
    spoilt = results["cournot"].assign(firm_wedge=values, population=population)
    labour, firm = factor_wedges({"cournot": spoilt}).axes
    assert (len(dots(labour)), len(dots(firm))) == (ZONES - 1, ZONES - 2)
    with pytest.raises(ModelError, match="no zone has both a population and the variable labour_wedge"):
        factor_wedges({"cournot": spoilt.assign(population=("zone", np.zeros(ZONES)))})


def test_rounding_errors_do_not_fill_a_panel(results):
    for figure in (factor_wedges(results), factor_wedges({"competitive": results["competitive"]})):
        low, high = figure.axes[0].get_ylim()
        assert low < 0.9985
        assert high > 1.0
        assert high - low > 0.004


def test_scales_are_shared_where_they_can_be_compared(results):
    limits = [axes.get_ylim() for axes in factor_wedges(results).axes]
    assert limits[0] == limits[1]
    assert limits[2] != limits[3]
    assert all(low < 1.0 < high for low, high in limits)
    changes = [axes.get_ylim() for axes in optimal_policy_changes(results).axes]
    assert changes[0] != changes[1]
    assert all(low < 0.0 < high for low, high in changes)


# Names


@pytest.mark.parametrize("function", OF_RESULTS)
def test_smallest_and_largest_zone_are_named_where_they_are(function, results):
    panel = function(results).axes[3]
    named = {text.get_text(): text.xy[0] for text in panel.texts}
    population = np.log(results["cournot"]["population"].values)
    assert named == {"Least": population.min(), "Most": population.max()}


def test_names_overlap_no_dot(results):
    figure = optimal_policy_changes(results)
    figure.draw_without_rendering()
    for axes in figure.axes:
        at = axes.transData.transform(dots(axes))
        for text in axes.texts:
            box = text.get_window_extent()
            assert not ((at > [box.x0, box.y0]) & (at < [box.x1, box.y1])).all(1).any()


def test_zones_without_ascii_labels_have_no_names(results):
    bare = {conduct: data.drop_vars("label") for conduct, data in results.items()}
    assert not any(axes.texts for axes in factor_wedges(bare).axes)
    titled = {c: data.assign_coords(title=("zone", ["横浜市"] * ZONES)) for c, data in bare.items()}
    assert not any(axes.texts for axes in factor_wedges(titled).axes)
    foreign = {c: data.assign_coords(label=("zone", ["横浜市"] * ZONES)) for c, data in bare.items()}
    assert not any(axes.texts for axes in factor_wedges(foreign).axes)


# Productivity


def test_production_is_a_curve_with_the_exact_one_where_it_is_known(results):
    data = results["competitive"]
    axes = production_and_elasticity(results).axes[0]
    x, y = curve(axes, "second order").get_data()
    np.testing.assert_allclose(x, np.log(data["curve_firms"]))
    np.testing.assert_allclose(y, np.log(data["curve_phi"]))
    x, y = curve(axes, "exact").get_data()
    np.testing.assert_allclose(x, np.log(data["curve_firms"][::3]))
    np.testing.assert_allclose(y, np.log(data["curve_phi_exact"][::3]))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["second order", "exact"]
    assert axes.get_xlabel() == "Firms per sector (log scale)"
    assert {"0.1", "1", "10", "100"} <= set(ticks(axes))


def test_bands_are_196_standard_errors_wide(results):
    axes = production_and_elasticity(results).axes[0]
    band, exact = (c for c in axes.collections if isinstance(c, PolyCollection))
    phi = results["competitive"]["curve_phi"].values
    expected = {*np.round(np.log(phi - 1.96e-3), 12), *np.round(np.log(phi + 1.96e-3), 12)}
    assert {*np.round(band.get_paths()[0].vertices[:, 1], 12)} == expected
    assert len(exact.get_paths()[0].vertices) == 2 * 4 + 3


def test_productivity_without_errors_or_exact_solution(results):
    plain = results["cournot"][["population", "wage_elasticity", "curve_firms", "curve_phi"]]
    figure = production_and_elasticity({"cournot": plain})
    assert not figure.axes[0].collections
    assert len(figure.axes[0].lines) == 1
    assert figure.axes[0].get_legend() is None
    assert [text.get_text() for text in figure.texts if text.get_text()] == ["Each dot is a zone."]


def test_ticks_at_the_foot_are_the_zones_firms(results):
    axes = production_and_elasticity(results).axes[1]
    rug = next(line for line in axes.lines if line.get_marker() == "|")
    np.testing.assert_allclose(rug.get_xdata(), np.log(results["cournot"]["firms"]))
    low, _ = axes.get_ylim()
    assert low > np.log(1.04)


# Moments and markdowns


def test_moments_are_drawn_as_given(moments):
    axes = model_fit(moments, title="Fit").axes
    lines = [panel.lines[0].get_data() for panel in axes]
    np.testing.assert_allclose(lines[0], [np.log(moments["curve_firms"]), moments["herfindahl"]])
    for (x, y), name in zip(lines[1:], ("shock_variance", "wage_bill_variance", "employment_variance"), strict=True):
        np.testing.assert_allclose(x, np.log(moments["number"]))
        np.testing.assert_allclose(y, moments[name])
    assert axes[0].get_xlabel() == "Firms per sector, mean (log scale)"
    assert {panel.get_xlabel() for panel in axes[1:]} == {"Firms in the sector (log scale)"}
    assert axes[2].get_title(loc="left") == "Wage bill of a sector"
    assert axes[3].get_ylabel() == "Log variance, less that at one firm"


def test_log_variances_must_be_normalised(moments):
    with pytest.raises(ModelError, match=r"wage_bill_variance is 0\.2 at one firm"):
        model_fit(moments.assign(wage_bill_variance=moments["wage_bill_variance"] + 0.2))
    with pytest.raises(ModelError, match="shock_variance must have the dimension number"):
        model_fit(moments.drop_vars("number"))


def test_markdowns_in_percent(curves):
    (axes,) = markdown_comparison(curves).axes
    share = curves["curve_markdown"].values
    np.testing.assert_allclose(curve(axes, "second order").get_ydata(), 100 * share)
    known = curves["curve_firms"].values < 3
    np.testing.assert_allclose(curve(axes, "exact").get_ydata(), 90 * share[known])
    band, _ = (c for c in axes.collections if isinstance(c, PolyCollection))
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(100 * share.max() * (1 + 1.96 * 0.02))
    assert axes.get_ylabel() == "Markdown of wages (percent)"
    assert axes.get_ylim()[0] <= 0.0


def test_curves_may_come_in_any_order(curves):
    (axes,) = markdown_comparison(curves.isel(curve=slice(None, None, -1))).axes
    np.testing.assert_allclose(curve(axes, "second order").get_xdata(), np.log(curves["curve_firms"]))


# Refusals and files


@pytest.mark.parametrize("function", OF_RESULTS)
def test_results_by_conduct_are_needed(function, results):
    with pytest.raises(ModelError, match="at least one conduct"):
        function({})
    with pytest.raises(ModelError, match="no conduct is called bertrand; there are competitive, cournot"):
        function({"bertrand": results["cournot"]})
    with pytest.raises(ModelError, match="needs the variable population"):
        function({"cournot": results["cournot"].drop_vars("population")})


def test_dimensions_are_checked(results, curves):
    data = results["cournot"]
    two = data["wage_elasticity"].expand_dims(draw=2)
    with pytest.raises(ModelError, match=r"wage_elasticity must have the dimension zone alone.*draw"):
        production_and_elasticity({"cournot": data.assign(wage_elasticity=two)})
    with pytest.raises(ModelError, match="curve_markdown must have the dimension curve alone"):
        markdown_comparison(curves.assign(curve_markdown=("other", [0.1])))
    with pytest.raises(ModelError, match="at least one finite value"):
        markdown_comparison(curves.assign(curve_markdown=np.nan * curves["curve_markdown"]))


@pytest.mark.parametrize("name", [*(function.__name__ for function in OF_RESULTS), "fit", "markdown"])
def test_saved_figures_are_the_same_bytes(name, results, moments, curves, tmp_path):
    one, other = (save_figure(draw(name, results, moments, curves), tmp_path / stem) for stem in ("one", "other"))
    for left, right in zip(one, other, strict=True):
        assert left.read_bytes() == right.read_bytes()


def test_embedded_zones_can_be_drawn():
    japan = sj.load_data("japan-zones")
    population = japan["population"].values
    flat = {name: ("zone", np.ones(229)) for name in ("labour_wedge", "firm_wedge")}
    figure = factor_wedges({"competitive": japan.assign(flat)})
    np.testing.assert_allclose(dots(figure.axes[0])[:, 0], np.log(population))


@pytest.mark.parametrize("module", ["granular", "curves", "zone_panels"])
def test_figures_import_no_economy(module):
    source = (Path(sj.__file__).parent / "plots" / f"{module}.py").read_text()
    imported = [node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    ours = {name for name in imported if name.startswith("spatialjax")}
    assert ours <= {"spatialjax.errors", "spatialjax.plots"} | {n for n in ours if n.startswith("spatialjax.plots.")}


@pytest.mark.parametrize("function", OF_RESULTS)
def test_title_is_above_the_figure(function, results):
    assert function(results, title="Above").get_suptitle() == "Above"
