"""The embedded data set "us-metros" rebuilt from the files behind it, where they are at hand."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spatialjax.sources.build import build_from_config
from spatialjax.sources.delineation import areas, read_delineation

ROOT = Path(__file__).parents[1]
SOURCES = ROOT.parent / "shared" / "data" / "us" / "sources"
CONFIG = ROOT / "configs" / "data" / "us_metros.toml"


def prepared(folder):
    command = [sys.executable, str(ROOT / "tools" / "prepare_us_metros.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


def test_files_that_no_agency_publishes_are_made_of_those_at_hand(tmp_path):
    (tmp_path / "employment_by_metro_industry.csv").write_text("CBSA Code,food,chem\n01234,5.25,0\n")
    (tmp_path / "metro_panel.csv").write_text("CBSA Code,title,lat,lon,pop_2011_15\n01234,A,30.5,-99.25,7\n")
    done = prepared(tmp_path)
    assert done.returncode == 2
    assert "lacks acs2015_county_data.csv: docs/data.md says where" in done.stderr
    (tmp_path / "acs2015_county_data.csv").write_text("CensusId,Professional,Employed\n1001,25,400\n")
    assert prepared(tmp_path).returncode == 0
    assert (tmp_path / "employment.csv").read_text() == "city,food,chem\n01234,5.25,0\n"
    assert (tmp_path / "places.csv").read_text() == "city,title,latitude,longitude,population\n01234,A,30.5,-99.25,7\n"
    assert (tmp_path / "occupation_shares.csv").read_text() == "county,workers,CNR,non-CNR\n01001,400,0.25,0.75\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    if not SOURCES.is_dir():
        pytest.skip(f"the files of agencies are not at hand ({SOURCES})")
    folder = tmp_path_factory.mktemp("us")
    (folder / "sources").mkdir()
    for path in SOURCES.iterdir():
        (folder / "sources" / path.name).symlink_to(path)
    done = prepared(folder / "sources")
    assert done.returncode == 0, done.stderr
    (folder / CONFIG.name).write_text(CONFIG.read_text())
    return build_from_config(folder / CONFIG.name)


def test_delineation_names_the_metros(built, us_data):
    counties = read_delineation(SOURCES / "cbsa_list1_temple.xls")
    titles = areas(counties)
    assert list(titles.index) == list(us_data["city"].values)
    assert list(titles) == list(us_data["title"].values)


def relative_gap(built, us_data, name):
    return np.abs(built.data[name].values / us_data[name].values - 1)


def test_what_the_files_determine_agrees(built, us_data):
    assert list(built.data["city"].values) == list(us_data["city"].values)
    for name in ("latitude", "longitude", "housing_price"):
        assert relative_gap(built, us_data, name).max() < 1e-12, name


@pytest.mark.parametrize(
    ("name", "largest", "median"),
    [("employment", 2e-3, 1e-4), ("wage", 5e-2, 1e-4), ("value_added_share", 2e-2, 1e-3), ("input_share", 0.1, 2e-3)],
)
def test_what_they_determine_but_for_choices_that_are_not_recorded(built, us_data, name, largest, median):
    with np.errstate(invalid="ignore"):
        gap = relative_gap(built, us_data, name)
    assert np.nanmax(gap) < largest
    assert np.nanmedian(gap) < median
    if name == "employment":
        np.testing.assert_allclose(built.data[name].sum("occupation"), us_data[name].sum("occupation"), rtol=1e-9)


def test_every_imputed_cell_is_counted(built):
    counted = built.imputations.groupby("variable").size()
    assert counted.to_dict() == {"housing_price": 14, "wage": 14}
    assert built.data.attrs["imputed_cells"] == 28
