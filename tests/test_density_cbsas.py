"""The embedded metropolitan areas by density, and the checks of such data sets."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import spatialjax as sj
from spatialjax.data.cbsas import CBSA_VARIABLES, MSA_VARIABLES, check_cbsas, find_cbsa_problems
from spatialjax.data.datasets import kind_of
from spatialjax.density.cbsas import cbsa_table, msa_table
from spatialjax.errors import DataError

SOURCE = os.environ.get("SPATIALJAX_CBSAS_SOURCE", "")
CBSA_SOURCES = {
    **{"title": "title", "population": "pop1990", "land": "land1990", "density": "dens1990"},
    **{"college_share": "coll1990", "weighted_density": "pwdens", "january_temperature": "jant"},
    **{"january_sun": "jansun", "july_temperature": "jult", "july_humidity": "julhum", "topography": "topo"},
    **{"water_percent": "watpct", "elevation": "elev_m", "elevation_spread": "elev_sd"},
    **{"employment_2001": "emp2001", "employment_2007": "emp2007", "establishments_2001": "est2001"},
    **{"earnings_2001": "w2001", "earnings_2007": "w2007"},
}
MSA_SOURCES = {
    **{"population": "pop", "land": "land", "college_share": "coll", "january_temperature": "jant"},
    **{"january_sun": "jansun", "july_temperature": "jult", "july_humidity": "julhum", "topography": "topo"},
    **{"water_percent": "watpct", "earnings_1992": "w1992", "earnings_1997": "w1997"},
    **{"employment_1992": "emp1992", "employment_1997": "emp1997"},
}


@pytest.fixture(scope="module")
def data():
    return sj.load_data("us-cbsas")


def three_cbsas():
    """A data set with names and without the variables that are optional."""
    required = [name for name, variable in CBSA_VARIABLES.items() if variable.required]
    values = {name: ("cbsa", [1.0, 2.0, 3.0]) for name in required} | {"college_share": ("cbsa", [0.1, 0.2, 0.3])}
    return xr.Dataset({**values, "title": ("cbsa", ["Big", "Middle", "Small"])}, {"cbsa": [30, 20, 10]})


def test_embedded_data_are_valid_and_described(data):
    assert kind_of(data) == "cbsas"
    assert dict(data.sizes) == {"cbsa": 363, "msa": 303}
    check_cbsas(data)
    for name, variable in {**CBSA_VARIABLES, **MSA_VARIABLES}.items():
        assert data[name].dims == variable.dimensions
        assert data[name].attrs["units"] == variable.units
    assert all(data[name].attrs["long_name"] for name in data.variables)
    assert "Census Bureau" in data.attrs["provenance"]


def test_table_of_cbsas(data):
    table = cbsa_table()
    assert table.index.name == "cbsa"
    assert table.index.is_unique
    assert table.loc[10180, "title"] == "Abilene, TX"
    np.testing.assert_allclose(table["density"], table["population"] / table["land"])
    quarterly = pd.Series(data["payroll_2001"].values, table.index)
    np.testing.assert_allclose(table["earnings_2001"], 4 * quarterly / table["employment_2001"])
    assert table["density"].idxmax() == 35620  # New York
    missing = table.isna().sum()
    assert missing[missing > 0].to_dict() == {
        **dict.fromkeys(["january_temperature", "january_sun", "july_temperature", "july_humidity"], 3),
        **{"topography": 3, "water_percent": 3, "elevation": 4, "elevation_spread": 11},
    }


@pytest.mark.parametrize(
    ("name", "rank", "near"),
    [
        ("Louisville", 273, 10),  # the least dense of the 91 densest
        ("Niles-Benton Harbor", 273, 10),
        ("Santa Cruz", 327, 10),  # 90th percentile
        ("Des Moines", 182, 15),  # 50th
        ("Yakima", 37, 5),  # 10th
    ],
)
def test_ranks_by_density_are_near_those_that_are_published(name, rank, near):
    """FF, web appendix, footnotes 2 and 3."""
    table = cbsa_table()
    found = table["density"].rank()[table["title"].str.startswith(name)].item()
    assert abs(found - rank) <= near


def test_table_of_msas():
    table = msa_table()
    assert table.index.name == "msa"
    assert len(table) == 303
    np.testing.assert_allclose(table["density"], table["population"] / table["land"])
    by_worker = (table["earnings_1997"] * table["employment_1997"]).sum() / table["employment_1997"].sum()
    assert by_worker == pytest.approx(30_847, abs=1)
    assert not [name for name in table if name.startswith("msa_")]


@pytest.mark.skipif(not SOURCE, reason="SPATIALJAX_CBSAS_SOURCE does not name the folder of the tables embedded")
@pytest.mark.parametrize(
    ("read", "file", "columns"),
    [(cbsa_table, "cbsa_table.csv", CBSA_SOURCES), (msa_table, "msa1999_table.csv", MSA_SOURCES)],
)
def test_embedded_figures_are_those_of_the_source(read, file, columns):
    source, table = pd.read_csv(Path(SOURCE) / file), read()
    np.testing.assert_array_equal(table.index, source[table.index.name])
    for name, column in columns.items():
        if name == "title":
            assert table[name].tolist() == source[column].tolist()
        else:
            np.testing.assert_allclose(table[name], source[column], rtol=1e-14)


def test_optional_variables_may_be_absent():
    assert find_cbsa_problems(three_cbsas()) == []
    assert set(cbsa_table(three_cbsas())) >= {"title", "density", "earnings_2001", "establishments_2001"}
    with pytest.raises(DataError, match="dimension msa is missing"):
        msa_table(three_cbsas())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("land"), "variable land (cbsa) is missing: land area, 1990"),
        (
            lambda d: d.assign(land=("cbsa", [1.0, 0.0, 2.0])),
            "variable land must be positive, but has Middle: 0",
        ),
        (
            lambda d: d.assign(college_share=("cbsa", [0.1, 20.0, 0.3])),
            "variable college_share must be between 0 and 1, but has Middle: 20",
        ),
        (
            lambda d: d.assign(elevation=("cbsa", [np.nan, np.inf, 0.3])),
            "variable elevation must be finite, or NaN where missing, but has Middle: inf",
        ),
        (lambda d: d.assign_coords(cbsa=[1, 1, 2]), "dimension cbsa has repeated labels: 1"),
        (lambda d: d.assign_coords(msa=[1, 2]), "variable msa_population (msa) is missing"),
        (lambda d: d.rename(cbsa="place"), "dimension cbsa is missing"),
    ],
)
def test_bad_data_are_refused_by_name(change, message):
    problems = find_cbsa_problems(change(three_cbsas()))
    assert any(problem.startswith(message) for problem in problems), problems


def test_other_kinds_are_told_apart(data, us_data):
    assert kind_of(us_data) == "cities"
    assert kind_of(sj.load_data("japan-zones")) == "zones"
    assert find_cbsa_problems(data["land"]) == ["an xarray.Dataset is needed, as load_data returns it, found DataArray"]
    with pytest.raises(DataError, match="dimension cbsa is missing"):
        cbsa_table(us_data)


def test_command_line_validates_them():
    pytest.importorskip("typer")
    from typer.testing import CliRunner

    from spatialjax.cli import app

    result = CliRunner().invoke(app, ["validate", "us-cbsas"])
    assert result.exit_code == 0
    assert "valid metropolitan areas by density (363 CBSAs)" in result.output
