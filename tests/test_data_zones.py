"""The embedded commuting zones, and the checks of such data sets."""

import os

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import spatialjax as sj
from spatialjax.data.checks import check_data
from spatialjax.data.datasets import kind_of
from spatialjax.data.zones import ZONE_VARIABLES, check_zones, find_zone_problems
from spatialjax.errors import DataError

SOURCE = os.environ.get("SPATIALJAX_JAPAN_ZONES_SOURCE", "")
COLUMNS = {
    "population": "pop2015",
    "wage": "avg_wage_10kyen",
    "establishments": "n_estb",
    "employment": "emp",
    "latitude": "lat",
    "longitude": "lon",
    "title": "largest_muni",
    "prefecture": "pref",
}


@pytest.fixture(scope="module")
def japan():
    return sj.load_data("japan-zones")


def three_zones():
    """Zones with names, in a data set without the variables that are optional."""
    return xr.Dataset(
        {
            "population": ("zone", [9e5, 2e5, 1e4]),
            "wage": ("zone", [480.0, 350.0, 290.0]),
            "establishments": ("zone", [5000, 400, 12]),
            "title": ("zone", ["Big", "Middle", "Small"]),
            "sectors": 148,
        },
        {"zone": ["a", "b", "c"]},
    )


def test_embedded_zones_are_valid_and_described(japan):
    assert kind_of(japan) == "zones"
    assert dict(japan.sizes) == {"zone": 229}
    check_zones(japan)
    for name, variable in ZONE_VARIABLES.items():
        assert japan[name].dims == variable.dimensions
        assert japan[name].attrs["units"] == variable.units
    assert all(japan[name].attrs["long_name"] for name in japan.variables)
    assert "Census of Manufactures 2012" in japan.attrs["provenance"]
    assert "e-Stat" in japan.attrs["provenance"]


def test_extremes_of_firms_per_sector(japan):
    firms = (japan["establishments"] / japan["sectors"]).values
    assert int(japan["sectors"]) == 148
    assert firms.min() == 11 / 148
    assert firms.max() == pytest.approx(140.7, abs=0.05)
    largest = japan.isel(zone=int(firms.argmax()))
    assert (int(largest["zone"]), str(largest["title"].item())) == (89, "横浜市")
    assert int(largest["population"]) == int(japan["population"].max()) == 20_247_552


def test_totals(japan):
    assert int(japan["establishments"].sum()) == 216_126
    assert int(japan["population"].sum()) == 127_014_551


@pytest.mark.skipif(not SOURCE, reason="SPATIALJAX_JAPAN_ZONES_SOURCE does not name the table that was embedded")
def test_embedded_figures_are_those_of_the_source(japan):
    table = pd.read_csv(SOURCE)
    table = table[table["n_estb"] >= 10]
    np.testing.assert_array_equal(japan["zone"].values, table["cz"])
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(japan[name].values, table[column].to_numpy())


def test_optional_variables_may_be_absent():
    assert find_zone_problems(three_zones()) == []


def test_kind_is_told_by_dimensions(us_data):
    assert kind_of(us_data) == "cities"
    assert kind_of(three_zones()) == "zones"
    assert kind_of(xr.Dataset()) == "cities"


def spoil(name, *values):
    """The data set with the first values of a variable replaced."""

    def change(data):
        old = data[name].values.astype(float)
        return data.assign({name: ("zone", np.concatenate([values, old[len(values) :]]))})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("population", 0.0), "variable population must be positive, but has Big: 0"),
        (spoil("population", 1.0, np.inf), "variable population must be positive, but has Middle: inf"),
        (spoil("wage", np.nan, -1.0), "variable wage must be positive, but has Big: nan; Middle: -1"),
        (spoil("establishments", -3.0), "variable establishments must be positive, but has Big: -3"),
        (lambda d: d.drop_vars("population"), "variable population (zone) is missing: residents"),
        (lambda d: d.drop_vars("wage"), "variable wage (zone) is missing: mean wage"),
        (
            lambda d: d.drop_vars("establishments"),
            "variable establishments (zone) is missing: establishments, in all sectors",
        ),
        (lambda d: d.drop_vars("sectors"), "variable sectors is missing: number of sectors"),
        (lambda d: d.assign(sectors=0), "variable sectors must be positive, but is 0"),
        (lambda d: d.assign(sectors=np.nan), "variable sectors must be positive, but is nan"),
        (
            lambda d: d.assign(sectors=("zone", [148, 148, 148])),
            "variable sectors has dimensions (zone); it must be a single number",
        ),
        (lambda d: d.assign(wage=("zone", ["x", "y", "z"])), "variable wage holds <U1; it must hold numbers"),
        (
            lambda d: d.assign(wage=("year", [1.0])),
            "variable wage has dimensions (year); it must have (zone)",
        ),
        (
            lambda d: d.assign(employment=("zone", [1.0, 0.0, 2.0])),
            "variable employment must be positive, but has Middle: 0",
        ),
        (
            lambda d: d.assign(latitude=("zone", [35.0, 95.0, 35.0])),
            "variable latitude must be between -90 and 90, but has Middle: 95",
        ),
        (
            lambda d: d.assign(longitude=("zone", [135.0, 135.0, np.nan])),
            "variable longitude must be between -180 and 360, but has Small: nan",
        ),
        (lambda d: d.assign_coords(zone=["a", "b", "a"]), "dimension zone has repeated labels: a"),
        (
            lambda d: d.drop_vars("zone"),
            "dimension zone has no labels: add a coordinate variable zone",
        ),
        (lambda d: d.isel(zone=slice(0)), "dimension zone is empty"),
        (lambda d: d.rename(zone="place"), "dimension zone is missing"),
    ],
)
def test_bad_data_are_refused_by_name(change, message):
    problems = find_zone_problems(change(three_zones()))
    assert any(problem.startswith(message) for problem in problems), problems


def test_every_problem_is_listed():
    bad = spoil("wage", -1.0)(spoil("population", 0.0)(three_zones())).drop_vars("sectors")
    with pytest.raises(DataError) as caught:
        check_zones(bad)
    assert str(caught.value).startswith("data: 3 problems\n")
    assert len(caught.value.problems) == 3


def test_zones_without_titles_are_named_by_code():
    bad = spoil("wage", 1.0, -1.0)(three_zones()).drop_vars("title")
    assert find_zone_problems(bad) == ["variable wage must be positive, but has b: -1"]


def test_cities_and_zones_are_not_taken_for_each_other(japan, us_data):
    with pytest.raises(DataError, match=r"us-metros: 1 problem\n  - these are cities"):
        check_zones(us_data)
    with pytest.raises(DataError, match=r"japan-zones: 1 problem\n  - these are commuting zones"):
        check_data(japan)
    assert len(sj.validate(japan)) == 1
    assert find_zone_problems(japan["wage"]) == [
        "an xarray.Dataset is needed, as load_data returns it, found DataArray"
    ]
