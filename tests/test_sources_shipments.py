"""Mean miles of the Commodity Flow Survey that the repository holds, and the elasticities that the guide gives."""

import re
import tomllib
from pathlib import Path

import pytest

from spatialjax.estimation.trade_distances import calibrate_distance_elasticities
from spatialjax.sources.shipments import mean_miles, read_mean_miles, read_shipments
from spatialjax.sources.tables import read_csv

ROOT = Path(__file__).parents[1]
MILES = ROOT / "configs" / "data" / "us_shipment_miles.csv"
SURVEY = ROOT.parent / "shared" / "data" / "us" / "sources" / "CFS_2012_CF1200A18_US_naics_commodity.csv"


def table_of_the_guide():
    """Cells of the table of docs/own-data.md by sector, after the name."""
    text = (ROOT / "docs" / "own-data.md").read_text()
    rows = text[text.index("| sector | survey, miles |") :].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {name: values for name, *values in cells if "gain" not in name}


def test_industries_are_those_of_the_embedded_data():
    config = tomllib.loads((ROOT / "configs" / "data" / "us_metros.toml").read_text())
    industries = {sector["name"]: sector["naics"] for sector in config["sectors"]}
    table = read_csv(MILES, ["sector", "miles", "naics"])
    for name, codes in zip(table["sector"], table["naics"], strict=True):
        assert codes.split() == industries[name], name


def test_miles_are_the_means_of_the_survey():
    if not SURVEY.exists():
        pytest.skip(f"the survey is not at hand ({SURVEY})")
    survey, given = read_shipments(SURVEY), read_mean_miles(MILES)
    table = read_csv(MILES).set_index("sector")
    for name, codes in table["naics"].items():
        assert given[name] == pytest.approx(mean_miles(survey, codes.split()), abs=1e-6), name


def test_the_guide_gives_the_same_miles():
    shown = {name: float(cells[0].replace(",", "")) for name, cells in table_of_the_guide().items()}
    assert shown == {name: float(round(miles)) for name, miles in read_mean_miles(MILES).items()}


@pytest.mark.full_size
def test_elasticities_are_those_of_the_guide(us_data):
    """Two sectors of twelve; each is found apart from the others."""
    given, shown = read_mean_miles(MILES), table_of_the_guide()
    chosen = {name: given[name] for name in ("chem", "furn")}
    for circuity, column in ((1.0, 3), (1.2, 4)):
        _, fit = calibrate_distance_elasticities(us_data, chosen, circuity=circuity, tolerance=1e-6)
        assert fit["reached"].all()
        for name in chosen:
            assert shown[name][column] == f"{fit.loc[name, 'elasticity']:.3f}", name
            assert float(shown[name][1]) == round(fit.loc[name, "before"]) or circuity > 1
            assert re.fullmatch(r"\d\.\d", shown[name][2])
            assert fit.loc[name, "elasticity_before"] == float(shown[name][2])
