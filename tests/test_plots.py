import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.path import Path as Polygon

import spatialjax as sj
from spatialjax.errors import ModelError, OutputError
from spatialjax.plots import (
    FlowPanel,
    city_map,
    save_figure,
    share_against_premium,
    style,
    trade_flow_maps,
    wedge_difference,
)
from spatialjax.plots.drawn import decoration, drawn_data
from spatialjax.plots.fit import fit_polynomial
from spatialjax.plots.labels import describe
from spatialjax.plots.maps import MAP_EXTENT
from spatialjax.plots.projection import (
    EARTH_RADIUS,
    INSET_FRAMES,
    REGIONS,
    Albers,
    equirectangular,
    in_united_states,
    project_us,
    state_outlines,
    us_region,
)
from spatialjax.plots.svg import shortened

INSETS = ("Alaska", "Hawaii")
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def metros():
    return sj.load_data("us-metros")


@pytest.fixture(scope="module")
def outlines():
    return state_outlines()


@pytest.fixture(scope="module")
def share(metros):
    employment = metros["employment"].sum("sector")
    return (employment.sel(occupation="CNR") / employment.sum("occupation")).drop_vars("occupation")


def made_up(slope, cities=30, seed=0):
    """A result whose log premium is exactly `slope` times the first occupation's share, plus a constant."""
    rng = np.random.default_rng(seed)
    workers, first_share = np.exp(rng.normal(11, 1.2, cities)), rng.uniform(0.2, 0.5, cities)
    employment = np.stack([first_share, 1 - first_share], 1) * workers[:, None]
    wage = np.stack([50_000 * np.exp(slope * first_share), np.full(cities, 40_000.0)], 1)
    return xr.Dataset(
        {"employment": (("city", "occupation"), employment), "wage": (("city", "occupation"), wage)},
        {"city": [f"c{i}" for i in range(cities)], "occupation": ["skilled", "other"]},
    )


def abroad(cities=40):
    rng = np.random.default_rng(1)
    return xr.Dataset(
        {
            "latitude": ("city", rng.uniform(31, 45, cities)),
            "longitude": ("city", rng.uniform(130, 145, cities)),
            "employment": ("city", np.exp(rng.normal(10, 1, cities))),
        },
        {"city": np.arange(cities)},
    )


# Projection


def test_albers_reproduces_the_numerical_example_of_snyder():
    """Snyder (1987), appendix A, Albers on the unit sphere: 35N 75W."""
    projection = Albers((29.5, 45.5), latitude=23.0, longitude=-96.0)
    x, y = projection.project(-75.0, 35.0)
    assert projection.cone == pytest.approx(0.6028370, abs=5e-8)
    assert x / EARTH_RADIUS == pytest.approx(0.2952720, abs=5e-8)
    assert y / EARTH_RADIUS == pytest.approx(0.2416774, abs=5e-8)


def test_origin_and_central_meridian():
    x, y = project_us(np.array([-96.0, -96.0, -86.0, -106.0]), np.array([37.5, 45.0, 40.0, 40.0]))
    assert (x[0], y[0]) == pytest.approx((0, 0), abs=1e-9)
    assert x[1] == pytest.approx(0, abs=1e-9)
    assert y[1] > 0
    assert x[2] == pytest.approx(-x[3])
    assert x[2] > 0
    assert y[2] == pytest.approx(y[3])


@pytest.mark.parametrize(
    ("region", "longitude", "latitude"),
    [
        ("lower 48", (-124, -68), (25, 49)),
        ("Alaska", (-178, -131), (52, 71)),
        ("Hawaii", (-160, -155), (19, 22)),
    ],
)
def test_areas_are_true(region, longitude, latitude):
    """A small quad has area R^2 cos(latitude) dlat dlon, times the square of the inset's scale."""
    step = 0.05
    east, north = np.meshgrid(np.linspace(*longitude, 9), np.linspace(*latitude, 9))
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    points = [project_us(east + step / 2 * i, north + step / 2 * j) for i, j in corners]
    following = points[1:] + points[:1]
    area = sum(x * v - u * y for (x, y), (u, v) in zip(points, following, strict=True)) / 2
    expected = (EARTH_RADIUS * np.radians(step) * REGIONS[region].scale) ** 2 * np.cos(np.radians(north))
    np.testing.assert_allclose(area, expected, rtol=1e-5)


def test_distances_along_a_standard_parallel_are_true():
    x, y = project_us(np.array([-96.05, -95.95]), np.array([45.5, 45.5]))
    true = EARTH_RADIUS * np.cos(np.radians(45.5)) * np.radians(0.1)
    assert np.hypot(np.diff(x), np.diff(y))[0] == pytest.approx(true, rel=1e-6)


def test_regions_are_chosen_by_coordinates(metros):
    region = us_region(metros["longitude"].values, metros["latitude"].values)
    for state, code in (("Alaska", "AK"), ("Hawaii", "HI")):
        titles = metros["title"].values[region == state]
        assert len(titles) == 2
        assert all(title.endswith(code) for title in titles)
    assert (region == "lower 48").sum() == 378
    assert us_region(139.7, 35.7) == ""
    assert np.isnan(project_us(139.7, 35.7)).all()
    assert not in_united_states(np.array([-96.0, 139.7]), np.array([37.5, 35.7]))


def test_longitudes_from_0_to_360(metros):
    east, north = metros["longitude"].values, metros["latitude"].values
    np.testing.assert_allclose(project_us(east + 360, north), project_us(east, north), atol=1e-9)


def test_aleutians_stay_in_one_piece(outlines):
    x, y = project_us(np.array([179.99, -179.99]), np.array([52.0, 52.0]))
    true = EARTH_RADIUS * np.cos(np.radians(52)) * np.radians(0.02) * REGIONS["Alaska"].scale
    assert np.hypot(np.diff(x), np.diff(y))[0] == pytest.approx(true, rel=0.02)
    longest = max(np.hypot(*np.diff(ring, axis=0).T).max() for rings in outlines.values() for ring in rings)
    assert longest < 1000  # km; the straight northern border is the longest piece


def test_outlines_and_cities_agree(metros, outlines):
    """Metro areas lie on the land of the state that their name ends with."""
    x, y = project_us(metros["longitude"].values, metros["latitude"].values)
    points, titles = np.column_stack([x, y]), metros["title"].values

    def on_land(state):
        return np.any([Polygon(ring).contains_points(points) for ring in outlines[state]], axis=0)

    for state, code in {"Alaska": "AK", "Hawaii": "HI", "Colorado": "CO", "Georgia": "GA"}.items():
        of_state = np.array([title.endswith(f", {code}") for title in titles])
        assert of_state.any()
        assert on_land(state)[of_state].all(), state
    assert np.mean(np.any([on_land(state) for state in outlines], axis=0)) > 0.97


def test_insets_are_clear_of_the_mainland_and_of_each_other(outlines):
    points = {state: np.concatenate(rings) for state, rings in outlines.items()}
    mainland = np.concatenate([points[state] for state in points if state not in INSETS])
    box = {state: (points[state].min(0), points[state].max(0)) for state in INSETS}
    for low, high in box.values():
        assert not ((mainland > low) & (mainland < high)).all(1).any()
        assert low[0] < 0
        assert high[1] < np.median(mainland[:, 1])
    assert box["Alaska"][1][0] < box["Hawaii"][0][0]
    everything = np.concatenate([mainland, *(np.stack(corner) for corner in box.values())])
    for axis, (low, high) in enumerate(MAP_EXTENT):
        assert low < everything[:, axis].min()
        assert everything[:, axis].max() < high


def test_inset_frames_cross_no_land(outlines):
    rings = [Polygon(ring) for rings in outlines.values() for ring in rings]
    for frame in INSET_FRAMES.values():
        along = np.linspace(0, len(frame) - 1, 400)
        points = np.column_stack([np.interp(along, np.arange(len(frame)), frame[:, i]) for i in (0, 1)])
        assert not any(ring.contains_points(points).any() for ring in rings)


def test_equirectangular_across_the_antimeridian():
    x, y, aspect = equirectangular(np.array([179.0, -179.0]), np.array([60.0, 60.0]))
    assert abs(x[1] - x[0]) == pytest.approx(2)
    assert aspect == pytest.approx(2)
    np.testing.assert_array_equal(y, 60)


# Lines, sizes and labels


def test_fit_with_whole_weights_is_the_fit_of_repeated_points():
    rng = np.random.default_rng(2)
    x, y, weights = rng.normal(size=20), rng.normal(size=20), rng.integers(1, 9, 20)
    fit = fit_polynomial(x, y, weights.astype(float))
    repeated_x, repeated_y = np.repeat(x, weights), np.repeat(y, weights)
    assert (fit.slope, fit.intercept) == pytest.approx(np.polyfit(repeated_x, repeated_y, 1))
    assert fit.correlation == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert fit.weighted_correlation == pytest.approx(np.corrcoef(repeated_x, repeated_y)[0, 1])


def test_fit_through_one_abscissa_has_no_slope():
    assert np.isnan(fit_polynomial(np.ones(3), np.arange(3.0), np.ones(3)).slope)


def test_marker_areas_are_proportional():
    employment = np.array([1.0, 10.0, 4.0])
    np.testing.assert_allclose(style.marker_areas(employment, largest=50), [5, 50, 20])
    np.testing.assert_allclose(style.marker_areas(employment, largest=50, reference=20), [2.5, 25, 10])


@pytest.mark.parametrize(
    ("biggest", "expected"),
    [(8.1e6, [5e6, 1e6, 2e5]), (1e6, [1e6, 2e5, 2e4]), (340_000, [2e5, 5e4, 1e4]), (2.0, [2, 0.2, 0.05])],
)
def test_legend_sizes_are_round(biggest, expected):
    np.testing.assert_allclose(style.legend_sizes(biggest), expected)


@pytest.mark.parametrize(
    ("workers", "text"), [(2e6, "2 million"), (5e4, "50 thousand"), (500, "500"), (1.5e9, "1.5 billion")]
)
def test_numbers_of_workers_in_words(workers, text):
    assert style.format_workers(workers) == text


def test_labels_from_attributes():
    values = xr.DataArray([1.0], dims="city", attrs={"long_name": "mean wage", "units": "dollars"})
    assert describe(values) == "Mean wage (dollars)"
    assert describe(xr.DataArray([1.0], dims="city", name="share", attrs={"units": "1"})) == "Share"


# Maps


def circles_of(figure):
    return next(c for c in figure.axes[0].collections if c.get_array() is not None)


def test_map_draws_every_city_small_ones_on_top(metros, share):
    figure = city_map(share, metros, title="Shares", label="CNR share")
    circles = circles_of(figure)
    employment = np.sort(metros["employment"].sum(("occupation", "sector")).values)[::-1]
    np.testing.assert_allclose(circles.get_sizes(), style.LARGEST_MARKER * employment / employment[0])
    assert figure.axes[0].get_title(loc="left") == "Shares"
    assert figure.axes[1].get_xlabel() == "CNR share"
    low, high = np.percentile(share, [2, 98])
    assert circles.get_clim() == pytest.approx((low, high))
    assert circles.colorbar.extend == "both"
    assert circles.get_cmap().name == style.SEQUENTIAL


def test_map_places_cities_where_they_are(metros, share):
    circles = circles_of(city_map(share, metros))
    biggest = int(metros["employment"].sum(("occupation", "sector")).values.argmax())
    assert metros["title"].values[biggest].startswith("New York")
    expected = project_us(metros["longitude"].values[biggest], metros["latitude"].values[biggest])
    np.testing.assert_allclose(circles.get_offsets()[0], np.ravel(expected))
    assert circles.get_array()[0] == pytest.approx(float(share[biggest]))


def test_outlines_are_optional(metros, share):
    def states(figure):
        return [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]

    assert len(states(city_map(share, metros))) == 51
    assert not states(city_map(share, metros, outlines=False))


def test_diverging_colours_are_symmetric(metros, share):
    circles = circles_of(city_map(share - 0.35, metros, diverging=True))
    low, high = circles.get_clim()
    assert low == pytest.approx(-high)
    assert high == pytest.approx(np.abs(np.percentile(share - 0.35, [2, 98])).max())
    assert circles.get_cmap().name == style.DIVERGING


def test_constant_values_have_a_colour_scale(metros, share):
    low, high = circles_of(city_map(xr.ones_like(share), metros)).get_clim()
    assert low < 1 < high


def test_size_legend_covers_no_city(metros, share):
    figure = city_map(share, metros)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    box = axes.get_legend().get_window_extent()
    circles = circles_of(figure)
    centres = axes.transData.transform(circles.get_offsets())
    radii = np.sqrt(circles.get_sizes()) / 2 * figure.dpi / 72
    nearest = np.clip(centres, [box.x0, box.y0], [box.x1, box.y1])
    assert (np.hypot(*(centres - nearest).T) > radii).all()


def test_cities_without_a_value_are_empty_circles(metros, share):
    figure = city_map(share.where(share > share[5]), metros)
    collections = figure.axes[0].collections
    empty = next(c for c in collections if len(c.get_facecolor()) == 0 and len(c.get_offsets()) > 1)
    assert len(empty.get_offsets()) == int((share <= share[5]).sum())
    assert len(circles_of(figure).get_offsets()) == int((share > share[5]).sum())


def test_map_matches_cities_by_label(metros, share, tmp_path):
    shuffled = share.isel(city=np.random.default_rng(3).permutation(share.sizes["city"]))
    paths = [save_figure(city_map(v, metros), tmp_path / n)[1] for v, n in ((share, "a"), (shuffled, "b"))]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_map_outside_the_united_states():
    data = abroad()
    figure = city_map(np.log(data["employment"]), data, label="log workers")
    axes = figure.axes[0]
    figure.draw_without_rendering()
    assert axes.axison
    assert not any(isinstance(c, PolyCollection) for c in axes.collections)
    offsets = circles_of(figure).get_offsets()
    order = np.argsort(-data["employment"].values)
    np.testing.assert_allclose(offsets, np.column_stack([data["longitude"], data["latitude"]])[order])
    assert axes.get_aspect() == pytest.approx(1 / np.cos(np.radians(data["latitude"].mean())))
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert {"130°E", "136°E"} <= set(ticks)


@pytest.mark.parametrize("lost", ["latitude", "longitude"])
def test_map_needs_coordinates(lost):
    data = abroad()
    with pytest.raises(ModelError, match=lost):
        city_map(data["employment"], data.drop_vars(lost))


def test_map_refuses_what_is_not_by_city(metros, share):
    with pytest.raises(ModelError, match="occupation"):
        city_map(metros["wage"], metros)
    with pytest.raises(ModelError, match="lack 2 of the cities of the data, first 10180"):
        city_map(share[2:], metros)
    with pytest.raises(ModelError, match="finite"):
        city_map(share * np.nan, metros)


# Scatter plots


def test_share_against_premium_of_an_exact_line():
    figure = share_against_premium(made_up(2.0))
    axes = figure.axes[0]
    assert axes.get_xlabel() == "skilled share of employment"
    assert axes.get_ylabel() == "Log skilled wage premium, deviation from mean"
    (text,) = axes.get_legend().get_texts()
    assert text.get_text() == "data: slope 2.00, correlation 1.00"
    assert len(axes.collections) == len(axes.lines) == 1
    x, y = axes.lines[0].get_data()
    assert np.diff(y) / np.diff(x) == pytest.approx(2.0)


def test_premium_is_a_deviation_from_the_weighted_mean():
    result = made_up(1.5)
    circles = share_against_premium(result).axes[0].collections[0]
    weights = np.sort(result["employment"].sum("occupation").values)[::-1]
    assert circles.get_offsets()[:, 1] @ weights / weights.sum() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(circles.get_sizes() / circles.get_sizes()[0], weights / weights[0])


def test_counterfactual_is_drawn_over_a_grey_baseline():
    smaller = made_up(-3.0, seed=1)
    smaller["employment"] = smaller["employment"] / 2
    figure = share_against_premium(made_up(1.0), smaller, title="Title", labels=("before", "after"))
    axes = figure.axes[0]
    before, after = axes.collections
    np.testing.assert_allclose(before.get_edgecolor()[0], to_rgba(style.PALETTE["grey"]))
    np.testing.assert_allclose(after.get_edgecolor()[0], to_rgba(style.PALETTE["blue"]))
    biggest = [float(r["employment"].sum("occupation").max()) for r in (made_up(1.0), smaller)]
    assert after.get_sizes()[0] / before.get_sizes()[0] == pytest.approx(biggest[1] / biggest[0])
    legend = axes.get_legend()
    assert legend.get_title().get_text() == "Title"
    assert [text.get_text() for text in legend.get_texts()] == [
        "before: slope 1.00, correlation 1.00",
        f"after: slope {MINUS}3.00, correlation {MINUS}1.00",
    ]
    sizes = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sizes[-1].endswith("workers")


def test_premium_in_the_data(metros, share):
    """Sectors are summed; the correlation over cities is positive, as CH Figure 1 says."""
    premium = np.log(metros["wage"].values[:, 0] / metros["wage"].values[:, 1])
    text = share_against_premium(metros).axes[0].get_legend().get_texts()[0].get_text()
    assert text.endswith(f"correlation {np.corrcoef(share.values, premium)[0, 1]:.2f}")
    assert float(text.split()[-1]) > 0.3


def test_cities_without_one_occupation_are_left_out():
    result = made_up(2.0)
    result["employment"][3, 0] = 0.0
    result["wage"][3, 0] = 0.0
    figure = share_against_premium(result)
    assert len(figure.axes[0].collections[0].get_offsets()) == 29
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == "data: slope 2.00, correlation 1.00"
    with pytest.raises(ModelError, match="no city"):
        share_against_premium(result.isel(city=[3]))


def test_wedge_difference_in_thousands():
    result = made_up(1.0)
    employment = result["employment"]
    first_share = employment.sel(occupation="skilled") / employment.sum("occupation")
    gap = 1000.0 * (20 + 100 * first_share)
    wedge = xr.concat([gap + 500.0, xr.full_like(gap, 500.0)], "occupation").assign_coords(
        occupation=result["occupation"]
    )
    figure = wedge_difference(wedge.isel(city=slice(None, None, -1)), result, title="Wedges")
    left, right = figure.axes
    offsets = left.collections[0].get_offsets()
    np.testing.assert_allclose(offsets[:, 1], 20 + 100 * offsets[:, 0])
    assert left.get_title(loc="left") == "correlation 1.00 (1.00 weighted)"
    size = np.log(employment.sum("occupation").values)
    weights = employment.sum("occupation").values
    expected = fit_polynomial(size, gap.values, weights)
    text = f"correlation {expected.correlation:.2f} ({expected.weighted_correlation:.2f} weighted)"
    assert right.get_title(loc="left") == text.replace("-", MINUS)
    assert left.get_xlabel() == "skilled share of employment"
    assert left.get_ylabel() == "Wedge of skilled less other\n(thousand dollars a year per worker)"
    ticks = dict(zip((t.get_text() for t in right.get_xticklabels()), right.get_xticks(), strict=True))
    assert ticks["100 thousand"] == pytest.approx(np.log(1e5))
    assert figure.get_suptitle() == "Wedges"


@pytest.mark.parametrize("count", [1, 3])
def test_two_occupations_are_needed(count):
    result = made_up(1.0)
    other = result.isel(occupation=[0, 1, 1][:count]).assign_coords(occupation=["a", "b", "c"][:count])
    with pytest.raises(ModelError, match=f"two occupations, found {count}"):
        share_against_premium(other)
    with pytest.raises(ModelError, match=f"two occupations, found {count}"):
        wedge_difference(other["wage"], other)


def test_occupations_must_agree():
    result = made_up(1.0)
    swapped = result.isel(occupation=[1, 0])
    with pytest.raises(ModelError, match="different occupations"):
        share_against_premium(result, swapped)
    with pytest.raises(ModelError, match="different occupations"):
        wedge_difference(swapped["wage"], result)
    with pytest.raises(ModelError, match="lack 1 of the cities"):
        wedge_difference(result["wage"][1:], result)


# Files and global state


@pytest.mark.parametrize("kind", ["map", "scatter"])
def test_saved_figures_are_the_same_bytes(kind, metros, share, tmp_path):
    def draw():
        return city_map(share, metros) if kind == "map" else share_against_premium(metros)

    png, svg, data = save_figure(draw(), tmp_path / "new" / "figure.v1")
    assert (png.name, svg.name, data.name) == ("figure.v1.png", "figure.v1.svg", "figure.v1.csv")
    assert png.read_bytes()[:4] == b"\x89PNG"
    figure = draw()
    for name in ("again", "once_more"):
        again = save_figure(figure, tmp_path / name)
        assert again[1].read_bytes() == svg.read_bytes()
        assert again[0].read_bytes() == png.read_bytes()
        assert again[2].read_bytes() == data.read_bytes()
    assert b"<dc:date>" not in svg.read_bytes()


def test_data_of_a_map_are_saved_and_its_points_have_names(metros, share, tmp_path):
    """Every city once, with the value that its colour shows; hovering says both."""
    unknown = share.where(share["city"] != "10180")  # Abilene
    svg, csv = save_figure(city_map(unknown, metros, title="Share"), tmp_path / "map", formats=["svg"])
    drawn = pd.read_csv(csv).set_index("name")
    assert set(drawn["kind"]) == {"points"}
    assert len(drawn) == metros.sizes["city"]
    assert set(drawn["panel"]) == {"Share"}
    for city in (0, 17, 200):
        title, value = str(metros["title"].values[city]), float(unknown.values[city])
        np.testing.assert_allclose(drawn.loc[title, "value"], value)
    titles = [element.text for element in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == metros.sizes["city"]
    austin = drawn.loc["Austin-Round Rock, TX", "value"]
    assert f"Austin-Round Rock, TX: {austin:.3g}" in titles


def test_data_of_lines_points_bars_and_bands_are_read_off_the_figure():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    left.set_title("left")
    left.plot([0.0, 1.0], [2.0, 3.0], label="a line")
    left.axhline(5.0)
    decoration(left.scatter([9.0], [9.0]))
    right.bar(["p", "q"], [4.0, 6.0], label="bars")
    right.fill_between([0.0, 1.0], [0.0, 0.0], [1.0, 1.0])
    data = drawn_data(figure)
    line = data[data["panel"] == "left"]
    assert line[["series", "kind", "x", "y"]].values.tolist() == [["a line", "line", 0, 2], ["a line", "line", 1, 3]]
    bars = data[data["kind"] == "bar"]
    assert bars[["panel", "x", "y"]].values.tolist() == [["2", 0, 4], ["2", 1, 6]]
    assert (data["kind"] == "band").sum() > 4


def positions(path):
    """The points that a path of moves and steps passes, as browsers read it."""
    here, points = np.zeros(2), []
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = np.array([float(number) for number in re.findall(r"-?\d*\.?\d+", text)]).reshape(-1, 2)
        step = {"l": 1, "q": 2, "c": 3}.get(command, 1)
        for start in range(0, len(numbers), step):
            found = numbers[start : start + step] + (here if command.islower() else 0.0)
            here = found[-1]
            points.extend(found)
    return np.array(points)


def test_shortened_paths_pass_the_same_points():
    rng = np.random.default_rng(0)
    numbers = np.cumsum(rng.normal(0, 3, (400, 2)), 0)
    text = [f"{x:.6f} {y:.6f}" for x, y in numbers]
    lines = "  ".join(f"{'M' if i % 40 == 0 else 'L'} {point}" for i, point in enumerate(text))
    curves = (
        f"M {text[0]} " + "  ".join(f"C {a} {b} {c}" for a, b, c in zip(*[iter(text[1:])] * 3, strict=False)) + " z "
    )
    for path in (lines, curves, f"M {text[0]}  Q {text[1]} {text[2]}  Q {text[3]} {text[4]}  L 0 -0.05  z "):
        found = shortened(path)
        np.testing.assert_allclose(positions(found), positions(path), atol=0.00501)
        assert len(found) < 0.7 * len(path)
    assert shortened("A 1.2345 2") == "A 1.23 2"


def svg_of(figure, path):
    return save_figure(figure, path, formats=["svg"])[0]


def flow_map(metros, arrows):
    cities = metros["city"].values
    pairs = np.random.default_rng(0).integers(0, len(cities), (arrows, 2))
    flows = pd.DataFrame({"origin": cities[pairs[:, 0]], "destination": cities[pairs[:, 1]]})
    flows["share"] = np.linspace(0.01, 1.0, arrows)
    flows = flows[flows["origin"] != flows["destination"]]
    return trade_flow_maps([FlowPanel("A", metros["latitude"], flows)], metros, columns=1)


def test_very_many_arrows_are_one_picture(metros, monkeypatch, tmp_path):
    """The file stops growing, and cities keep their names."""
    few = svg_of(flow_map(metros, 400), tmp_path / "few")
    monkeypatch.setattr("spatialjax.plots.hubs.MOST_ARROWS", 500)
    many = svg_of(flow_map(metros, 1000), tmp_path / "many")
    more = svg_of(flow_map(metros, 2000), tmp_path / "more")
    assert few.stat().st_size < 400_000
    assert more.stat().st_size < 1_000_000
    assert more.stat().st_size < 1.3 * many.stat().st_size
    assert "Austin-Round Rock, TX" in more.read_text()
    tags = [[element.tag for element in ElementTree.parse(path).iter()] for path in (few, more)]
    titles, paths = (
        [found.count(f"{{http://www.w3.org/2000/svg}}{tag}") for found in tags] for tag in ("title", "path")
    )
    assert titles == [metros.sizes["city"]] * 2
    assert paths[1] < 100 < paths[0]


def test_a_figure_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OutputError, match=r"cannot write .*empty.png: No space left"):
        save_figure(style.new_figure(3.0, 2.0), tmp_path / "empty")
    assert list(tmp_path.iterdir()) == []


def test_png_has_200_dots_per_inch(tmp_path):
    path, _ = save_figure(style.new_figure(3.0, 2.0), tmp_path / "empty", formats=["png"])
    header = path.read_bytes()[16:24]
    assert (int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")) == (600, 400)


def test_settings_of_the_user_survive_and_do_not_matter(tmp_path):
    ours = save_figure(share_against_premium(made_up(1.0)), tmp_path / "ours", formats=["svg"])[0]
    with matplotlib.rc_context({"font.size": 20.0, "axes.grid": True, "svg.hashsalt": "other"}):
        theirs = save_figure(share_against_premium(made_up(1.0)), tmp_path / "theirs", formats=["svg"])[0]
        assert matplotlib.rcParams["font.size"] == 20.0
        assert theirs.read_bytes() == ours.read_bytes()


def test_pyplot_is_never_loaded():
    code = "import sys, spatialjax.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_last_bits_of_a_layout_do_not_show(tmp_path):
    """Layout solvers order their work by addresses: axes may differ in the last bits between runs."""
    saved = []
    for shift in (0.0, 1e-13):
        with style.plot_style():
            figure = Figure(layout="none")
            figure.add_axes((0.1 + shift, 0.1, 0.8 - shift, 0.8)).plot([0, 1], [0, 1])
        saved.append(save_figure(figure, tmp_path / f"{shift}", formats=["svg"])[0].read_bytes())
        assert figure.axes[0].get_in_layout()
    assert saved[0] == saved[1]
