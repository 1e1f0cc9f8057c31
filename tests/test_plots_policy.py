"""Figures of the optimal policy: what they draw, what they leave out and what they refuse."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyArrowPatch

from spatialjax.errors import ModelError
from spatialjax.plots import (
    Comparison,
    FlowPanel,
    employment_change,
    exogenous_productivity,
    input_intensity,
    map_with_scatters,
    predicted_wage_bill_share,
    price_decomposition_panels,
    save_figure,
    size_change,
    specialisation_change,
    style,
    trade_flow_maps,
    transfer_map,
    variant_panels,
    wedge_at_optimum,
)
from spatialjax.plots.fit import fit_polynomial
from spatialjax.plots.projection import project_us
from spatialjax.plots.scatter import signed

CITIES, SECTORS = 25, 4
BLUE, GREY = style.PALETTE["blue"], style.PALETTE["grey"]


def economy(seed=0, **moves):
    """An equilibrium in the United States; `moves` multiply employment by occupation."""
    rng = np.random.default_rng(seed)
    by_sector = np.exp(rng.normal(9, 1, (CITIES, 2, SECTORS)) + rng.normal(0, 1, (CITIES, 1, 1)))
    by_sector = (
        by_sector * np.stack([moves.get("skilled", np.ones(CITIES)), moves.get("other", np.ones(CITIES))], 1)[..., None]
    )
    wedge = rng.uniform(20_000, 90_000, (CITIES, 2))
    return xr.Dataset(
        {
            "employment_by_sector": (("city", "occupation", "sector"), by_sector),
            "employment": (("city", "occupation"), by_sector.sum(2)),
            "wage": (("city", "occupation"), rng.uniform(30_000, 80_000, (CITIES, 2))),
            "wedge": (("city", "occupation"), wedge),
            "transfer": (("city", "occupation"), rng.normal(0, 3000, (CITIES, 2))),
            "latitude": ("city", np.linspace(30, 46, CITIES)),
            "longitude": ("city", rng.uniform(-115, -75, CITIES)),
        },
        {
            "city": [f"c{i}" for i in range(CITIES)],
            "occupation": ["skilled", "other"],
            "sector": list("abcd"),
            "title": ("city", [f"Place {i}" for i in range(CITIES)]),
        },
    )


@pytest.fixture
def baseline():
    return economy()


@pytest.fixture
def optimum(baseline):
    rng = np.random.default_rng(7)
    return economy(skilled=rng.uniform(0.5, 2, CITIES), other=rng.uniform(0.8, 1.3, CITIES)).isel(
        city=rng.permutation(CITIES)
    )


def of(result, name, occupation):
    return result[name].sel(occupation=occupation, drop=True)


def size(result):
    return result["employment"].sum("occupation")


def skilled_share(result):
    return of(result, "employment", "skilled") / size(result)


def points(axes, which=0):
    """Drawn points in the order of x."""
    offsets = np.asarray(axes.collections[which].get_offsets())
    return offsets[np.argsort(offsets[:, 0])]


def assert_points(axes, x, y, which=0):
    expected = np.column_stack([np.asarray(x), np.asarray(y)])
    np.testing.assert_allclose(points(axes, which), expected[np.argsort(expected[:, 0])])


def assert_curve(axes, x, y, weights, degree, which=0):
    """The line drawn is numpy's weighted polynomial."""
    expected = np.polyfit(np.asarray(x), np.asarray(y), degree, w=np.sqrt(np.asarray(weights)))
    line = [line for line in axes.lines if line.get_zorder() == 4][which]
    np.testing.assert_allclose(line.get_ydata(), np.polyval(expected, line.get_xdata()), rtol=1e-6, atol=1e-9)
    assert (min(line.get_xdata()), max(line.get_xdata())) == pytest.approx((float(min(x)), float(max(x))))


def map_circles(figure):
    return next(c for c in figure.axes[0].collections if c.get_array() is not None)


def scatters(figure):
    """The two panels below a map, which comes first and its colour bar second."""
    return figure.axes[2:]


def text_of(figure):
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


# Fits


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_polynomials_are_weighted_least_squares(degree):
    rng = np.random.default_rng(degree)
    x, y, weights = rng.uniform(9, 16, 60), rng.normal(size=60), np.exp(rng.normal(size=60))
    fit = fit_polynomial(x, y, weights, degree)
    np.testing.assert_allclose(fit.coefficients[::-1], np.polyfit(x, y, degree, w=np.sqrt(weights)), rtol=1e-6)
    assert len(fit_polynomial(x, np.zeros(60), weights, degree).coefficients) == degree + 1
    assert np.isnan(fit_polynomial(x[:degree], y[:degree], weights[:degree], degree)(x)).all()


# CH Figures 2 and 4


def test_predicted_wage_bill_share_sector_by_sector(baseline, optimum):
    figure = predicted_wage_bill_share(baseline, optimum, title="Shares", labels=("data", "other"))
    axes = figure.axes[0]
    for which, (result, colour) in enumerate(((baseline, GREY), (optimum, BLUE))):
        skilled, all_paid = np.zeros(CITIES), np.zeros(CITIES)
        predicted = np.zeros(CITIES)
        paid = (result["wage"] * result["employment_by_sector"]).transpose("city", "occupation", "sector").values
        for j in range(SECTORS):
            national = paid[:, 0, j].sum() / paid[:, :, j].sum()
            predicted += national * paid[:, :, j].sum(1)
            skilled += paid[:, 0, j]
            all_paid += paid[:, :, j].sum(1)
        assert_points(axes, predicted / all_paid, skilled / all_paid, which)
        np.testing.assert_allclose(axes.collections[which].get_edgecolor()[0], to_rgba(colour))
        fit = fit_polynomial(predicted / all_paid, skilled / all_paid, size(result).values)
        text = axes.get_legend().get_texts()[which].get_text()
        assert text == f"{('data', 'other')[which]}: slope {signed(fit.slope)}, correlation {signed(fit.correlation)}"
    (diagonal,) = axes.lines
    assert diagonal.get_slope() == 1
    assert len(set(diagonal.get_xy1())) == 1
    assert axes.get_aspect() == 1


def test_predicted_share_reads_data_and_needs_sectors(baseline):
    data = baseline[["wage"]].assign(employment=baseline["employment_by_sector"])
    from_data, from_result = (predicted_wage_bill_share(d).axes[0] for d in (data, baseline))
    np.testing.assert_allclose(points(from_data), points(from_result))
    with pytest.raises(ModelError, match="employment_by_sector"):
        predicted_wage_bill_share(baseline.drop_vars("employment_by_sector"))


# Maps with scatter plots: CH Figures 5 to 7, 10, 11 and 16


def test_employment_change_in_percent(baseline, optimum):
    change = 100 * (of(optimum, "employment", "other") / of(baseline, "employment", "other") - 1)
    figure = employment_change(baseline, optimum, baseline, occupation="other", title="Change")
    np.testing.assert_allclose(np.sort(map_circles(figure).get_array()), np.sort(change))
    left, right = scatters(figure)
    for axes, x in ((left, skilled_share(baseline)), (right, np.log(size(baseline)))):
        y = change.sel(city=x["city"])
        assert_points(axes, x, y)
        assert_curve(axes, x, y, size(baseline), 1)
    assert left.get_xlabel() == "skilled share of employment"
    assert left.get_ylabel() == "Change of other employment (percent)"
    assert figure.get_suptitle() == "Change"
    low, high = map_circles(figure).get_clim()
    assert low == pytest.approx(-high)


def test_omitted_cities_are_on_the_map_only(baseline, optimum):
    optimum["employment"].loc[{"city": "c3"}] *= 50
    figure = employment_change(baseline, optimum, baseline, omit=["c3", "c8"])
    assert len(map_circles(figure).get_offsets()) == CITIES
    left, right = scatters(figure)
    kept = baseline.drop_sel(city=["c3", "c8"])
    change = 100 * (of(optimum, "employment", "skilled") / of(kept, "employment", "skilled") - 1).sel(city=kept["city"])
    for axes, x in ((left, skilled_share(kept)), (right, np.log(size(kept)))):
        assert_points(axes, x, change)
        assert_curve(axes, x, change, size(kept), 1)
    assert "Left out of the scatter plots: Place 3; Place 8." in text_of(figure)
    with pytest.raises(ModelError, match="not in the data: nowhere"):
        employment_change(baseline, optimum, baseline, omit=["c3", "nowhere"])


def test_cities_without_an_occupation_have_no_change(baseline, optimum):
    baseline["employment"].loc[{"city": "c4", "occupation": "skilled"}] = 0.0
    figure = employment_change(baseline, optimum, baseline)
    assert len(map_circles(figure).get_offsets()) == CITIES - 1
    assert len(points(scatters(figure)[0])) == CITIES - 1


def test_markers_of_the_map_are_of_the_baseline_not_the_data(baseline, optimum):
    """Sizes are equilibrium employment; the data need only coordinates, in any order."""
    data = baseline[["latitude", "longitude"]].isel(city=slice(None, None, -1))
    circles = map_circles(employment_change(baseline, optimum, data))
    workers = size(baseline).values
    np.testing.assert_allclose(circles.get_sizes() / circles.get_sizes()[0], np.sort(workers / workers.max())[::-1])
    biggest = baseline.isel(city=workers.argmax())
    expected = np.ravel(project_us(biggest["longitude"].values, biggest["latitude"].values))
    np.testing.assert_allclose(circles.get_offsets()[0], expected)


def test_wrong_names_are_refused_by_name(baseline, optimum):
    with pytest.raises(ModelError, match="no occupation is called CNR; there are skilled, other"):
        employment_change(baseline, optimum, baseline, occupation="CNR")
    with pytest.raises(ModelError, match="lack 1 of the cities of the data, first c0"):
        employment_change(baseline, optimum.drop_sel(city="c0"), baseline)
    with pytest.raises(ModelError, match="needs the variable transfer; the data set has employment_by_sector"):
        transfer_map(optimum.drop_vars("transfer"), baseline)
    with pytest.raises(ModelError, match="latitude"):
        employment_change(baseline, optimum, baseline.drop_vars("latitude"))
    with pytest.raises(ModelError, match="one value per city"):
        map_with_scatters(baseline["wage"], baseline, baseline)


def test_transfers_deviate_from_their_mean_at_the_optimum(baseline, optimum):
    transfer, workers = (of(optimum, name, "other") for name in ("transfer", "employment"))
    mean = float((transfer * workers).sum() / workers.sum())
    figure = transfer_map(optimum, baseline, occupation="other")
    expected = ((transfer - mean) / 1000).sel(city=baseline["city"])
    left, right = scatters(figure)
    assert_points(left, skilled_share(baseline), expected)
    assert_points(right, np.log(size(baseline)), expected)
    amount = f"{mean:,.0f}".replace("-", "\N{MINUS SIGN}")
    assert f"The mean is {amount} dollars a year, weighted by other employment" in text_of(figure)
    elsewhere = economy(seed=5)
    _, right = scatters(transfer_map(optimum, baseline, occupation="other", baseline=elsewhere))
    assert_points(right, np.log(size(elsewhere)), expected)


def test_same_figure_same_bytes(baseline, optimum, tmp_path):
    def draw(name):
        figure = employment_change(baseline, optimum, baseline, omit=["c1"], title="T")
        return save_figure(figure, tmp_path / name, formats=["svg"])[0].read_bytes()

    assert draw("one") == draw("two")


# CH Figures 8, 9 and 12


def test_size_change(baseline, optimum):
    figure = size_change(baseline, optimum, omit=["c2"])
    kept = baseline.drop_sel(city="c2")
    change = 100 * (size(optimum) / size(kept) - 1).sel(city=kept["city"])
    assert_points(figure.axes[0], np.log(size(kept)), change)
    assert_curve(figure.axes[0], np.log(size(kept)), change, size(kept), 1)
    assert "Left out: Place 2." in text_of(figure)


def test_notes_and_legends_do_not_overlap(baseline, optimum):
    figure = size_change(baseline, optimum, omit=[f"c{i}" for i in range(12)])
    figure.draw_without_rendering()
    (small_print,) = figure.texts
    sizes, axes = figure.legends[0].get_window_extent(), figure.axes[0].get_tightbbox()
    assert small_print.get_window_extent().y0 >= 0
    assert small_print.get_window_extent().y1 <= sizes.y0
    assert sizes.y1 <= axes.y0
    assert small_print.get_window_extent().x1 <= figure.bbox.x1


def test_specialisation_change_is_a_cubic_unweighted(baseline):
    share, rng = skilled_share(baseline), np.random.default_rng(2)
    before = share.copy(data=rng.uniform(0.3, 0.5, CITIES))
    figure = specialisation_change(before, (before + share**3 - share)[::-1], baseline)
    assert_points(figure.axes[0], share, share**3 - share)
    assert_curve(figure.axes[0], share, share**3 - share, np.ones(CITIES), 3)
    with pytest.raises(ModelError, match="lack 1 of the cities"):
        specialisation_change(before, before[1:], baseline)


def test_wedges_in_equilibrium_and_at_the_optimum(baseline, optimum):
    optimum["wedge"] = optimum["wedge"] * 1.2
    figure = wedge_at_optimum([("A", baseline, optimum), ("B", baseline, baseline)])
    gaps = [(r["wedge"][:, 0] - r["wedge"][:, 1]).sortby("city") / 1000 for r in (baseline, optimum)]
    assert_points(figure.axes[0], *gaps)
    assert_points(figure.axes[1], gaps[0], gaps[0])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["A", "B"]
    for axes in figure.axes:
        assert axes.lines[0].get_slope() == 1
    with pytest.raises(ModelError, match="at least one pair"):
        wedge_at_optimum([])
    with pytest.raises(ModelError, match="different occupations"):
        wedge_at_optimum([("A", baseline, optimum.isel(occupation=[1, 0]))])


# CH Figures 13 and 17


def comparison(before, after):
    gini = skilled_share(before)
    return Comparison(before, after, gini, gini + 0.01 * np.log(size(before)))


def test_variants_are_compared_with_their_own_equilibrium(baseline, optimum):
    other = economy(seed=3)
    other_optimum = economy(seed=3, skilled=np.linspace(0.5, 2, CITIES))
    figure = variant_panels(
        comparison(baseline, optimum),
        comparison(other, other_optimum),
        omit=["c7"],
        labels=("baseline", "same links"),
        degrees=(2, 1, 1, 3),
    )
    top_left, top_right, total, gini = figure.axes
    for which, (before, after) in enumerate(((baseline, optimum), (other, other_optimum))):
        x, kept = np.log(size(before)), before.drop_sel(city="c7")
        change = 100 * (after["employment"] / before["employment"] - 1).sel(city=before["city"])
        skilled = of(change.to_dataset(name="c"), "c", "skilled")
        assert_points(top_left, np.log(size(kept)), skilled.sel(city=kept["city"]), which)
        assert_curve(top_left, np.log(size(kept)), skilled.sel(city=kept["city"]), np.ones(CITIES - 1), 2, which)
        assert_points(top_right, x, of(change.to_dataset(name="c"), "c", "other"), which)
        assert_points(total, x, 100 * (size(after) / size(before) - 1).sel(city=before["city"]), which)
        assert_points(gini, skilled_share(before), 0.01 * x, which)
        assert_curve(gini, skilled_share(before), 0.01 * x, np.ones(CITIES), 3, which)
    assert [c.get_edgecolor()[0].tolist() for c in total.collections] == [list(to_rgba(c)) for c in (GREY, BLUE)]
    assert "Left out of the top left panel: Place 7." in text_of(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["baseline", "same links"]


# CH Figures 14 and 15


def test_exogenous_productivity_by_sector(baseline):
    rng = np.random.default_rng(4)
    labels = {"sector": list("abcd"), "city": baseline["city"].values}
    productivity = xr.DataArray(rng.normal(size=(SECTORS, CITIES)), labels, ("sector", "city"))
    productivity[0, 5] = -np.inf
    names = xr.DataArray(["Ants", "Bees", "Cats", "Dogs"], {"sector": list("abcd")}, ["sector"])
    figure = exogenous_productivity(productivity, baseline, sectors=["d", "a"], labels=names)
    dogs, ants = figure.axes[:2]
    assert [dogs.get_title(loc="left"), ants.get_title(loc="left")] == ["Dogs", "Ants"]
    x = np.log(size(baseline))
    assert_points(dogs, x, productivity[3])
    assert_curve(dogs, x, productivity[3], np.ones(CITIES), 1)
    kept = x.drop_sel(city="c5")
    assert_points(ants, kept, productivity[0].drop_sel(city="c5"))
    with pytest.raises(ModelError, match="lacks the sectors z; it has a, b, c, d"):
        exogenous_productivity(productivity, baseline, sectors=["z"])
    with pytest.raises(ModelError, match="at least one sector"):
        exogenous_productivity(productivity, baseline, sectors=[])
    with pytest.raises(ModelError, match="city and sector"):
        exogenous_productivity(productivity[0], baseline, sectors=["a"])


def test_names_of_sectors_keep_apart():
    """Crowded sectors: names overlap neither each other nor a marker, and each belongs to its own."""
    rng = np.random.default_rng(0)
    names = [f"sector {i} of some length" for i in range(18)]
    x, y, workers = rng.uniform(0.3, 0.7, 18), rng.uniform(0.45, 0.55, 18), np.exp(rng.normal(size=18))
    by_sector = [xr.DataArray(v, {"sector": names}, ["sector"]) for v in (x, y, workers)]
    figure = input_intensity(by_sector[0], by_sector[1][::-1], by_sector[2])
    axes = figure.axes[0]
    assert_points(axes, x, y)
    assert_curve(axes, x, y, workers, 1)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert sorted(text.get_text() for text in axes.texts) == sorted(names)
    overlaps = [one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i]]
    assert not any(overlaps)
    frame = axes.get_window_extent().padded(1)
    assert all(frame.contains(*box.min) and frame.contains(*box.max) for box in boxes)
    named = {text.get_text(): text.xy for text in axes.texts}
    assert named == {name: (x[i], y[i]) for i, name in enumerate(names)}


def test_sectors_without_values_are_left_out():
    values = xr.DataArray([0.1, 0.5, np.nan, 0.7], {"sector": list("abcd")}, ["sector"])
    axes = input_intensity(values, values.fillna(0.2), xr.ones_like(values)).axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["a", "b", "d"]
    with pytest.raises(ModelError, match="workers lacks the sectors d"):
        input_intensity(values, values, values[:3])


# SH Figures 1 and 2


def flows(*rows, size="share"):
    return pd.DataFrame(rows, columns=["origin", "destination", size])


def arrows_of(axes):
    return [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]


def test_arrows_run_from_origin_to_destination(baseline):
    cost = xr.DataArray(np.linspace(1, 2, CITIES), {"city": baseline["city"].values}, ["city"])
    cost[4] = np.inf
    panels = [
        FlowPanel("A", cost, flows(("c0", "c20", 0.3), ("c5", "c5", 0.9), ("c20", "c1", 0.1))),
        FlowPanel("B", cost + 1, flows(("c9", "c2", 0.01), size="change")),
    ]
    figure = trade_flow_maps(panels, baseline, label="unit cost")
    figure.draw_without_rendering()
    left, right, bar = figure.axes
    sites = np.column_stack(project_us(baseline["longitude"].values, baseline["latitude"].values))
    drawn = []
    for arrow in arrows_of(left) + arrows_of(right):
        start, _, end = arrow.get_path().vertices[:3]
        nearest = [int(np.hypot(*(sites - point).T).argmin()) for point in (start, end)]
        drawn.append(tuple(f"c{i}" for i in nearest))
    assert drawn == [("c20", "c1"), ("c0", "c20"), ("c9", "c2")]
    thin, thick = (arrow.get_linewidth() for arrow in arrows_of(left))
    assert thin < thick
    circles = [next(c for c in axes.collections if c.get_array() is not None) for axes in (left, right)]
    assert circles[0].get_clim() == circles[1].get_clim()
    assert len(circles[0].get_offsets()) == CITIES - 1
    assert bar.get_xlabel() == "unit cost"


def test_flows_are_checked(baseline):
    cost = baseline["latitude"]
    with pytest.raises(ModelError, match="'A' name cities that are not in the data, first nowhere"):
        trade_flow_maps([FlowPanel("A", cost, flows(("c0", "nowhere", 0.3)))], baseline)
    with pytest.raises(ModelError, match="'A' lack the columns share"):
        trade_flow_maps([FlowPanel("A", cost, flows(("c0", "c1", 0.3), size="weight"))], baseline)
    with pytest.raises(ModelError, match="at least one panel"):
        trade_flow_maps([], baseline)
    figure = trade_flow_maps([FlowPanel("A", cost, flows())], baseline)
    assert not arrows_of(figure.axes[0])


def components(baseline, *names, **attrs):
    rng = np.random.default_rng(len(names))
    return xr.Dataset(
        {name: ("city", rng.normal(size=CITIES), attrs) for name in names}, {"city": baseline["city"].values}
    )


def drawn_components(axes):
    return {c.get_label(): np.asarray(c.get_offsets())[:, 1] for c in axes.collections}


def test_components_of_prices_and_unit_costs(baseline):
    prices = components(baseline, "price", "unit_cost", "variety", units="log points")
    prices["expenditure"] = prices["price"].assign_attrs(units="US dollars a year")
    costs = components(baseline, "unit_cost", "wages", "tfp", "land_rent", units="log points")
    costs["land_rent"] = costs["land_rent"] * 0
    costs["tax"] = costs["wages"].assign_attrs(long_name="taxes on inputs", units="log points")
    figure = price_decomposition_panels({"HE": (prices, costs), "PS": (prices, costs[["wages"]])}, baseline)
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["HE: price", "HE: unit cost"]
    left, right = (drawn_components(axes) for axes in figure.axes[:2])
    assert list(left) == ["price", "unit cost", "variety"]
    assert list(right) == ["unit cost", "wages", "productivity", "taxes on inputs"]
    np.testing.assert_allclose(left["variety"], prices["variety"])
    np.testing.assert_allclose(right["productivity"], costs["tfp"])
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets()[:, 0], np.log(size(baseline)))
    assert list(drawn_components(figure.axes[3])) == ["wages"]


def test_components_in_one_data_set(baseline):
    together = components(baseline, "total", "unit_cost", "variety", "wages", "tfp", "inputs", "remainder")
    figure = price_decomposition_panels({"M": together.isel(city=slice(None, None, -1))}, baseline)
    left, right = (drawn_components(axes) for axes in figure.axes)
    assert list(left) == ["price", "unit cost", "variety"]
    assert list(right) == ["unit cost", "wages", "productivity", "input prices", "remainder"]
    np.testing.assert_allclose(left["price"], together["total"])
    with pytest.raises(ModelError, match="decomposition of M has no components of price"):
        price_decomposition_panels({"M": together[["wages"]]}, baseline)
    with pytest.raises(ModelError, match="at least one group"):
        price_decomposition_panels({}, baseline)
