"""Rebuild the embedded data files from their sources: see docs/data.md for where those come from.

    python tools/build_data.py US_METROS.nc STATES-10M.json

The first argument is a city data set (its variables are described in spatialjax/data/schema.py), the
second the TopoJSON of US states from the npm package us-atlas.
"""

import json
import sys
from pathlib import Path

import numpy as np
import xarray as xr

from spatialjax.data.schema import VARIABLES

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


def main() -> None:
    """Write both files."""
    metros, states = map(Path, sys.argv[1:3])
    data = build_metros(metros)
    data.to_netcdf(
        TARGET / "us_metros.nc", encoding={str(v): {"zlib": True} for v in data if data[v].dtype.kind in "fi"}
    )
    outlines = json.dumps(state_outlines(states), separators=(",", ":"))
    (TARGET / "us_states.json").write_text(outlines + "\n")


if __name__ == "__main__":
    main()
