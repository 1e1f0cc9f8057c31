"""Loading data sets, and what is embedded."""

import os

import numpy as np
import pytest
import xarray as xr
from economies import data_from, random_economy

import spatialjax as sj
from spatialjax.data.schema import VARIABLES

SOURCE = os.environ.get("SPATIALJAX_US_METROS_SOURCE", "")


def test_embedded_data_have_the_variables_of_the_schema(us_data):
    assert dict(us_data.sizes) == {"city": 382, "occupation": 2, "sector": 22, "input": 22}
    for name, variable in VARIABLES.items():
        if variable.required:
            assert set(us_data[name].dims) == set(variable.dimensions)
            assert us_data[name].attrs["units"] == variable.units
    assert (us_data["employment"].sum("occupation") == 0).sum() == 86
    assert list(us_data["sector"].values[us_data["uses_land"].values]) == ["realestate"]
    assert sj.validate(us_data) == ()


def test_embedded_wages_have_the_published_means(us_data):
    employment = us_data["employment"].sum("sector")
    mean = (us_data["wage"] * employment).sum("city") / employment.sum("city")
    np.testing.assert_allclose(mean, [61765, 31727], rtol=1e-4)


@pytest.mark.skipif(not SOURCE, reason="SPATIALJAX_US_METROS_SOURCE does not name the file that was embedded")
def test_embedded_figures_are_those_of_the_source(us_data):
    source = xr.load_dataset(SOURCE)
    for name in source.data_vars:
        if source[name].dtype.kind in "fib":
            np.testing.assert_array_equal(us_data[name].values, source[name].values)


def test_a_users_file_is_loaded(tmp_path):
    economy = random_economy(seed=1)
    data = data_from(economy, sj.solve(economy))
    data.to_netcdf(tmp_path / "mine.nc")
    for path in (tmp_path / "mine.nc", str(tmp_path / "mine.nc")):
        loaded = sj.load_data(path)
        np.testing.assert_array_equal(loaded["employment"].values, data["employment"].values)
    bad = data.assign(wage=-data["wage"])
    bad.to_netcdf(tmp_path / "bad.nc")
    with pytest.raises(sj.errors.DataError, match=r"bad\.nc: 1 problem\n  - variable wage must be positive"):
        sj.invert(sj.load_data(tmp_path / "bad.nc"))


def test_axes_may_come_in_any_order(us_data):
    economy = random_economy(seed=1)
    data = data_from(economy, sj.solve(economy, tolerance=1e-12))
    options = {"housing_share": float(economy.consumption_share[1]), "minimum_consumption_share": None}
    turned = data.transpose("sector", "input", "occupation", "origin", "city")
    one, other = sj.invert(data, **options), sj.invert(turned, **options)
    np.testing.assert_array_equal(one.fundamental_productivity, other.fundamental_productivity)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(sj.errors.DataError, match=r"nowhere\.nc: 1 problem\n  - no such file.*embedded: us-metros"):
        sj.load_data(tmp_path / "nowhere.nc")
    (tmp_path / "broken.nc").write_text("no NetCDF")
    with pytest.raises(sj.errors.DataError, match=r"broken\.nc.*\n.*NetCDF"):
        sj.load_data(tmp_path / "broken.nc")
    with pytest.raises(sj.errors.DataError, match=r"cities\.csv is missing"):
        sj.load_data(tmp_path)


def test_inversion_needs_double_precision(us_data):
    import jax

    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(sj.errors.PrecisionError, match="jax_enable_x64"):
            sj.invert(us_data)
    finally:
        jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("location_elasticity", 0.5, "location_elasticity must be above 1, found 0.5"),
        ("trade_elasticity", -1.0, "trade_elasticity must be positive"),
        ("occupation_substitution", 1.0, "occupation_substitution must be positive and not 1"),
        ("housing_share", 1.5, "housing_share must be between 0 and 1"),
        ("minimum_consumption_share", -0.1, "minimum_consumption_share must be at least 0"),
        ("spillover", sj.OccupationSpillover((1.0,), (0.1,)), "1 elasticities to the share.* 2 occupations"),
    ],
)
def test_bad_parameters_are_named(us_data, option, value, message):
    with pytest.raises(sj.errors.ModelError, match=message):
        sj.invert(us_data, **{option: value})
