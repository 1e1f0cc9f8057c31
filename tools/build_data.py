"""Rebuild the embedded data files from their sources: see docs/data.md for where those come from.

    python tools/build_data.py --metros US_METROS.nc --states STATES-10M.json --zones CZ_TABLE.csv --cbsas FOLDER

Each option names the source of one file; files without a source are left as they are. The sources are a
city data set (its variables are described in spatialjax/data/schema.py), the TopoJSON of US states from the
npm package us-atlas, a table of Japanese commuting zones, and a folder with tables of CBSAs and MSAs.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.data.cbsas import CBSA_VARIABLES, MSA_VARIABLES
from spatialjax.data.schema import VARIABLES
from spatialjax.data.zones import ZONE_VARIABLES

TARGET = Path(__file__).parent.parent / "spatialjax" / "data"
TERRITORIES = {"60", "66", "69", "72", "78"}
LONG_NAMES = {
    "title": "name of the metropolitan area (OMB, July 2015)",
    "population": "residents, 2011-15",
    "sector_label": "name of the sector",
    "sector_group": "group of sectors with common externalities",
    "city": "code of the metropolitan area (OMB, July 2015)",
    "occupation": "cognitive non-routine (CNR) and other occupations",
    "sector": "short name of the sector",
    "input": "short name of the sector whose good is an input",
}

SECTORS = 148
"""Three-digit manufacturing industries of the Japan Standard Industrial Classification (KO section 4.1)."""
FEWEST_ESTABLISHMENTS = 10
"""Commuting zones with fewer are left out, as KO leave them out (section 4.1)."""
ZONE_COLUMNS = {
    "population": ("pop2015", "residents, Population Census 2015"),
    "wage": ("avg_wage_10kyen", "average wage in manufacturing, Census of Manufactures 2012"),
    "establishments": ("n_estb", "manufacturing establishments, Census of Manufactures 2012"),
    "employment": ("emp", "employees in manufacturing, Census of Manufactures 2012"),
    "latitude": ("lat", "latitude, a mean over municipal offices"),
    "longitude": ("lon", "longitude, a mean over municipal offices"),
    "title": ("largest_muni", "municipality with the largest population"),
    "prefecture": ("pref", "prefecture of that municipality"),
}
"""Columns of the table, and what they are."""
ZONE_PROVENANCE = (
    "Census of Manufactures 2012 (Ministry of Economy, Trade and Industry) and Population Census 2015 (Statistics "
    "Bureau of Japan) by municipality, edited: aggregated to the commuting zones of 2015 of Adachi, Fukai, Kawaguchi "
    "and Saito (2020, DP version 20-E-021). Terms of use of e-Stat: free use, with the source named and edits stated. "
    "docs/data.md names the copies"
)

CBSA_COLUMNS = {
    "title": "title",
    "population": "pop1990",
    "land": "land1990",
    "college_share": "coll1990",
    "weighted_density": "pwdens",
    "january_temperature": "jant",
    "january_sun": "jansun",
    "july_temperature": "jult",
    "july_humidity": "julhum",
    "topography": "topo",
    "water_percent": "watpct",
    "elevation": "elev_m",
    "elevation_spread": "elev_sd",
    "employment_2001": "emp2001",
    "employment_2007": "emp2007",
    "payroll_2001": "payq1_2001",
    "payroll_2007": "payq1_2007",
    "establishments_2001": "est2001",
}
"""Variables by CBSA, and the columns of cbsa_table.csv that they are."""
MSA_COLUMNS = {
    "population": "pop",
    "land": "land",
    "college_share": "coll",
    **{name: CBSA_COLUMNS[name] for name in ("january_temperature", "january_sun", "july_temperature")},
    **{name: CBSA_COLUMNS[name] for name in ("july_humidity", "topography", "water_percent")},
    "earnings_1992": "w1992",
    "earnings_1997": "w1997",
    "employment_1992": "emp1992",
    "employment_1997": "emp1997",
}
"""Variables by MSA, without their prefix, and the columns of msa1999_table.csv that they are."""
CBSA_PROVENANCE = (
    "US agencies: Census Bureau (population, land, education and County Business Patterns by county, CBSAs of November "
    "2007), Department of Agriculture, Economic Research Service (natural amenities); elevations from airportsdata; "
    "payroll by MSA from the replication of Hsieh and Moretti. docs/data.md names the copies"
)


def build_metros(source: Path) -> xr.Dataset:
    """The city data set with the library's own descriptions."""
    data = xr.load_dataset(source)
    for name in data.variables:
        described = VARIABLES.get(str(name))
        if described is not None:
            data[name].attrs = {"long_name": described.description, "units": described.units}
        else:
            data[name].attrs = {"long_name": LONG_NAMES[str(name)]}
    data["distance_elasticity"].attrs["comment"] = "assumed"
    data["housing_price"].attrs["long_name"] = "regional price parity of housing, 2011-15, US = 1"
    data.attrs = {
        "title": "US metropolitan areas by industry and occupation, around 2014",
        "provenance": "docs/data.md: public statistics of US agencies, assembled and partly imputed",
    }
    return data


def state_outlines(source: Path) -> dict[str, list[list[list[float]]]]:
    """Rings of longitude and latitude by state, decoded from TopoJSON."""
    topology = json.loads(source.read_text())
    scale, shift = np.array(topology["transform"]["scale"]), np.array(topology["transform"]["translate"])
    arcs = [np.cumsum(np.array(arc), axis=0) * scale + shift for arc in topology["arcs"]]

    def ring(indices: list[int]) -> list[list[float]]:
        pieces = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in indices]
        points = np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])
        return np.round(points, 3).tolist()

    outlines = {}
    for state in topology["objects"]["states"]["geometries"]:
        if state["id"] not in TERRITORIES:
            polygons = state["arcs"] if state["type"] == "MultiPolygon" else [state["arcs"]]
            outlines[state["properties"]["name"]] = [ring(indices) for polygon in polygons for indices in polygon]
    return outlines


def build_zones(source: Path) -> xr.Dataset:
    """The commuting zones of the table that have enough establishments."""
    table = pd.read_csv(source)
    table = table[table["n_estb"] >= FEWEST_ESTABLISHMENTS]
    columns = {name: ("zone", _column(table[column])) for name, (column, _) in ZONE_COLUMNS.items()}
    data = xr.Dataset({**columns, "sectors": SECTORS}, {"zone": table["cz"].to_numpy().astype(int)})
    for name, (_, description) in ZONE_COLUMNS.items():
        data[name].attrs = {"long_name": description}
    data["sectors"].attrs = {"long_name": "three-digit manufacturing industries (KO section 4.1)"}
    data["zone"].attrs = {"long_name": "code of the commuting zone"}
    for name, variable in ZONE_VARIABLES.items():
        data[name].attrs["units"] = variable.units
    data.attrs = {"title": "Japanese commuting zones, manufacturing, 2012", "provenance": ZONE_PROVENANCE}
    return data


def build_cbsas(folder: Path) -> xr.Dataset:
    """The CBSAs of cbsa_table.csv and the MSAs of msa1999_table.csv, both in one data set."""
    cbsas, msas = (pd.read_csv(folder / name) for name in ("cbsa_table.csv", "msa1999_table.csv"))
    by_cbsa = {name: ("cbsa", _column(cbsas[column])) for name, column in CBSA_COLUMNS.items()}
    by_msa = {f"msa_{name}": ("msa", _column(msas[column])) for name, column in MSA_COLUMNS.items()}
    labels = {"cbsa": cbsas["cbsa"].to_numpy().astype(np.int32), "msa": msas["msa"].to_numpy().astype(np.int32)}
    data = xr.Dataset({**by_cbsa, **by_msa}, labels)
    for name, variable in {**CBSA_VARIABLES, **MSA_VARIABLES}.items():
        data[name].attrs = {"long_name": variable.description, "units": variable.units}
    data["title"].attrs = {"long_name": "name of the metropolitan area (OMB, November 2007)"}
    data["cbsa"].attrs = {"long_name": "code of the metropolitan area (OMB, November 2007)"}
    data["msa"].attrs = {"long_name": "code of the metropolitan area (OMB, June 1999; PMSAs where there are any)"}
    data.attrs = {"title": "US metropolitan areas by density, 1990-2007", "provenance": CBSA_PROVENANCE}
    return data


def _column(values: pd.Series) -> np.ndarray:
    """Text as text, whole numbers as integers."""
    if not pd.api.types.is_numeric_dtype(values):
        return values.to_numpy().astype(str)
    return values.to_numpy().astype(int) if (values == values.round()).all() else values.to_numpy()


def write_metros(source: Path) -> None:
    """Write the city data set."""
    _write(build_metros(source), "us_metros.nc")


def write_states(source: Path) -> None:
    """Write the outlines of states."""
    outlines = json.dumps(state_outlines(source), separators=(",", ":"))
    (TARGET / "us_states.json").write_text(outlines + "\n")


def write_zones(source: Path) -> None:
    """Write the data set of commuting zones."""
    _write(build_zones(source), "japan_zones.nc")


def write_cbsas(folder: Path) -> None:
    """Write the data set of CBSAs and MSAs."""
    _write(build_cbsas(folder), "us_cbsas.nc")


def _write(data: xr.Dataset, name: str) -> None:
    compressed = {str(v): {"zlib": True} for v in data if data[v].dtype.kind in "fi" and data[v].ndim}
    data.to_netcdf(TARGET / name, encoding=compressed)


WRITERS = {"metros": write_metros, "states": write_states, "zones": write_zones, "cbsas": write_cbsas}


def main() -> None:
    """Write the files whose sources are given."""
    parser = argparse.ArgumentParser(description="Rebuild the embedded data files from their sources.")
    for name in WRITERS:
        parser.add_argument(f"--{name}", type=Path, help="source of this file")
    sources = vars(parser.parse_args())
    for name, write in WRITERS.items():
        if sources[name] is not None:
            write(sources[name])


if __name__ == "__main__":
    main()
