"""Figures of the density premium: what they draw and what they refuse."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from spatialjax.errors import ModelError
from spatialjax.plots import (
    earnings_against_density,
    earnings_densities,
    percentile_panels,
    profile_panels,
    save_figure,
)


def profile(level=0.07, name="all controls"):
    age = np.arange(17)
    columns = {"age": age, "elasticity": level + 0.001 * age, "standard_error": 0.01, "specification": name}
    return pd.DataFrame(columns)


def percentiles():
    percentile = np.arange(1, 101)
    value = 0.1 - 0.001 * percentile
    half = {"lower": value - 0.01, "upper": value + 0.02}
    return pd.DataFrame({"percentile": percentile, "value": value, "group": "high density"} | half)


def bands(axes):
    return [c for c in axes.collections if isinstance(c, PolyCollection)]


def test_profiles_have_bands_of_two_standard_errors():
    frame = pd.concat([profile(), profile(0.1, "density alone")])
    figure = profile_panels({"All": frame, "Movers": profile()})
    first, second = figure.axes
    assert [line.get_label() for line in first.lines] == ["all controls", "density alone"]
    np.testing.assert_allclose(first.lines[1].get_ydata(), 0.1 + 0.001 * np.arange(17))
    edge = bands(second)[0].get_paths()[0].vertices
    at_birth = edge[edge[:, 0] == 0, 1]
    np.testing.assert_allclose([at_birth.min(), at_birth.max()], [0.07 - 0.0196, 0.07 + 0.0196])
    assert first.lines[0].get_linestyle() != first.lines[1].get_linestyle()


def test_percentiles_show_zero_where_the_band_has_it():
    figure = percentile_panels({"Exit": percentiles(), "Difference": percentiles()}, y_labels=["Probability"])
    assert figure.axes[0].get_ylabel() == "Probability"
    assert figure.axes[1].get_ylabel() == ""
    drawn, zero = figure.axes[0].lines
    np.testing.assert_allclose(drawn.get_ydata(), percentiles()["value"])
    assert set(zero.get_ydata()) == {0.0}


def test_densities_and_unused_panels():
    x = np.linspace(8, 12, 50)
    frame = pd.DataFrame({"log_earnings": x, "density": np.exp(-((x - 10) ** 2)), "group": "low density"})
    figure = earnings_densities({"a": frame, "b": frame, "c": frame})
    assert [axes.axison for axes in figure.axes] == [True, True, True, False]
    assert figure.axes[0].get_ylim()[0] == 0.0


def test_the_line_is_the_least_squares_line_of_finite_places():
    x = np.array([1.0, 2.0, 3.0, 4.0, np.nan])
    frame = pd.DataFrame({"log_density": x, "log_earnings": 2 + 0.1 * x + np.array([0.1, -0.1, -0.1, 0.1, 0.0])})
    axes = earnings_against_density({"Metros": frame}).axes[0]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [2.1, 2.4])
    assert axes.lines[1].get_label().startswith("slope 0.100")
    assert axes.lines[1].get_label().endswith("4 places")


def test_refusals(tmp_path):
    with pytest.raises(ModelError, match="at least one panel"):
        profile_panels({})
    with pytest.raises(ModelError, match="Young: columns lower, group are missing"):
        percentile_panels({"Young": percentiles().drop(columns=["lower", "group"])})
    with pytest.raises(ModelError, match="needs three places with density and earnings, found 2"):
        earnings_against_density({"Two": pd.DataFrame({"log_density": [1.0, 2.0], "log_earnings": [1.0, 2.0]})})
    one, other = (save_figure(profile_panels({"a": profile()}), tmp_path / name)[1] for name in "ab")
    assert one.read_bytes() == other.read_bytes()
