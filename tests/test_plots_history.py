import numpy as np
import pytest
import xarray as xr

from spatialjax.errors import ModelError
from spatialjax.plots import contribution_bars, population_by_share, technology_change, validation_panels

MINUS = "\N{MINUS SIGN}"


def result(cities=40, seed=0, spread=0.05):
    rng = np.random.default_rng(seed)
    workers, share = np.exp(rng.normal(11, 1.2, cities)), np.clip(rng.normal(0.35, spread, cities), 0.05, 0.95)
    employment = np.stack([share, 1 - share], 1) * workers[:, None]
    return xr.Dataset(
        {"employment": (("city", "occupation"), employment)},
        {"city": [f"c{i}" for i in range(cities)], "occupation": ["skilled", "other"]},
    )


def bars(axes):
    """Heights and edges of the outlined histograms."""
    drawn = [patch for patch in axes.patches if hasattr(patch, "get_data") and not patch.get_fill()]
    return [(patch.get_data().values, patch.get_data().edges) for patch in drawn]


def test_histograms_count_all_workers_around_the_average():
    results = {"before": result(), "after": result(seed=1, spread=0.1)}
    axes = population_by_share(results, width=0.03).axes[0]
    histograms = bars(axes)
    assert len(histograms) == 2
    for (heights, edges), data in zip(histograms, results.values(), strict=True):
        np.testing.assert_allclose(heights.sum(), 100.0, rtol=1e-12)
        np.testing.assert_allclose(np.diff(edges), 3.0, rtol=1e-9)
        assert np.isclose(edges, 1.5).any()  # a bin is centred on no difference
        middles = (edges[1:] + edges[:-1]) / 2
        assert abs((heights * middles).sum() / 100) < 1.5  # the average itself, within half a bin
        size = data["employment"].sum("occupation").values
        share = data["employment"][:, 0].values / size
        deviation = share - np.average(share, weights=size)
        inside = size[np.abs(deviation) < 0.015].sum() / size.sum()
        np.testing.assert_allclose(heights[np.isclose(middles, 0.0, atol=1e-9)], 100 * inside, rtol=1e-9)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["before", "after"]


def test_technology_is_drawn_against_share_and_size():
    base = result()
    size = base["employment"].sum("occupation")
    change = (0.2 * (base["employment"].isel(occupation=0) / size)).drop_vars("occupation")
    change.attrs = {"long_name": "change of technology", "units": "log points"}
    figure = technology_change(change, base, title="A title")
    left = figure.axes[0]
    assert left.get_xlabel() == "skilled share of employment"
    assert left.get_ylabel() == "Change of technology (log points)"
    (line,) = [line for line in left.lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 1]
    slope = np.diff(line.get_ydata()) / np.diff(line.get_xdata())
    np.testing.assert_allclose(slope, 0.2, rtol=1e-9)


def test_bars_are_the_contributions():
    values = np.array([[0.1, -0.2], [0.3, 0.0], [0.05, 0.01]])
    figure = contribution_bars({"in order": values, "over all": values / 2}, ["a", "b", "c"], ["one", "two"])
    first, second = figure.axes
    for axes, k in ((first, 0), (second, 1)):
        widths = [patch.get_width() for patch in axes.patches]
        np.testing.assert_allclose(widths, np.concatenate([100 * values[:, k], 50 * values[:, k]]))
        assert axes.get_title(loc="left") == ["one", "two"][k]
    assert first.yaxis_inverted()  # the first step is on top


def test_validation_has_four_panels_of_cities():
    base = result()
    size = base["employment"].sum("occupation").values
    share = base["employment"][:, 0].values / size
    measures = base.assign(
        log_size=("city", np.log(size)),
        share=("city", share),
        traded_price=("city", -0.02 * np.log(size)),
        relative_amenity=("city", 2 * share),
        tfp=("city", np.where(np.arange(40) == 3, np.nan, 0.1 * np.log(size))),
    )
    figure = validation_panels(measures)
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert len(panels) == 4
    assert f"correlation {MINUS}1.00" in panels[0].get_title(loc="left")
    counts = [len(axes.collections[0].get_offsets()) for axes in panels]
    assert counts == [40, 40, 39, 39]


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: population_by_share({}), "one to 4 results, found 0"),
        (lambda: population_by_share({"a": result()}, width=0.0), "width of the bins must be positive"),
        (lambda: population_by_share({"a": result()}, occupation="third"), "no occupation is called third"),
        (lambda: contribution_bars({}, ["a"], ["one"]), "one to 4 attributions"),
        (lambda: contribution_bars({"x": np.ones((2, 1))}, ["a"], ["one"]), r"shape \(2, 1\), but there are 1 steps"),
        (lambda: validation_panels(result()), "needs the variable log_size"),
    ],
)
def test_what_cannot_be_drawn_is_said(draw, said):
    with pytest.raises(ModelError, match=said):
        draw()
