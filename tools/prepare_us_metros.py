"""Make the three files of configs/data/us_metros.toml that no agency publishes as they are read: see docs/own-data.md.

    python tools/prepare_us_metros.py configs/data/sources

The folder holds the copies that docs/data.md names, and receives

- employment.csv: workers by metropolitan area and sector (employment_by_metro_industry.csv, County Business Patterns);
- places.csv: title, coordinates and residents of metropolitan areas (metro_panel.csv);
- occupation_shares.csv: shares of occupations by county (acs2015_county_data.csv, American Community Survey 2011-15).
"""

import argparse
from pathlib import Path

import pandas as pd

COPIES = ("employment_by_metro_industry.csv", "metro_panel.csv", "acs2015_county_data.csv")
NAMES = {"CBSA Code": "city", "lat": "latitude", "lon": "longitude", "pop_2011_15": "population"}
"""Columns of the copies, and what the builder calls them."""


def main() -> None:
    """Read the copies and write the three files beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds the copies, and receives the files")
    parser.add_argument("--out", type=Path, help="receives the files instead")
    arguments = parser.parse_args()
    if absent := [name for name in COPIES if not (arguments.folder / name).is_file()]:
        parser.error(f"{arguments.folder} lacks {', '.join(absent)}: docs/data.md says where they are")
    prepare(arguments.folder, arguments.out or arguments.folder)


def prepare(folder: Path, out: Path) -> None:
    """Write employment.csv, places.csv and occupation_shares.csv."""
    employment, places, counties = (folder / name for name in COPIES)
    for source, name in ((employment, "employment.csv"), (places, "places.csv")):
        pd.read_csv(source, dtype=str).rename(columns=NAMES).to_csv(out / name, index=False)
    occupation_shares(pd.read_csv(counties, dtype={"CensusId": str})).to_csv(out / "occupation_shares.csv", index=False)


def occupation_shares(counties: pd.DataFrame) -> pd.DataFrame:
    """Shares of cognitive non-routine and other workers by county.

    `Professional` is the percentage of workers in management, business, science and arts (SOC 11 to 29), the cognitive
    non-routine occupations; `Employed` their number, by which counties of a metropolitan area are weighted.
    """
    cognitive = counties["Professional"] / 100
    return pd.DataFrame(
        {
            "county": counties["CensusId"].str.zfill(5),
            "workers": counties["Employed"],
            "CNR": cognitive,
            "non-CNR": 1 - cognitive,
        }
    )


if __name__ == "__main__":
    main()
