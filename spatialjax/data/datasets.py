"""Loading data sets: embedded ones by name, a user's own by path."""

from importlib import resources
from pathlib import Path
from typing import Literal

import xarray as xr

from spatialjax.errors import DataError
from spatialjax.files import is_there

EMBEDDED = {"us-metros": "us_metros.nc", "japan-zones": "japan_zones.nc", "us-cbsas": "us_cbsas.nc"}

Kind = Literal["cities", "zones", "cbsas"]


def load_data(name_or_path: str | Path) -> xr.Dataset:
    """Load a data set into memory.

    **Arguments:**

    - `name_or_path`: "us-metros" (382 US metropolitan areas, 22 sectors, 2 occupations), "japan-zones" (229 Japanese
      commuting zones), "us-cbsas" (363 US metropolitan areas by density), or the path of a NetCDF file with the
      variables of any of these (docs/data.md lists them), or of a folder of tables (docs/own-data.md).

    **Raises:** `DataError` where there is no such file or it cannot be read. Contents are checked later: those
    of cities by [`validate`][] and by [`invert`][], those of zones by `spatialjax.data.zones.check_zones`, those
    of CBSAs by `spatialjax.data.cbsas.check_cbsas`.
    """
    name = str(name_or_path)
    if name in EMBEDDED:
        with resources.as_file(resources.files("spatialjax.data") / EMBEDDED[name]) as path:
            return _read(path, name)
    if not name.strip():
        raise DataError("data", ["the source is empty: give the name of an embedded data set or the path of a file"])
    path = Path(name_or_path)
    if not is_there(path):
        embedded = ", ".join(EMBEDDED)
        raise DataError(name, [f"no such file, and no embedded data set of that name (embedded: {embedded})"])
    if path.is_dir():
        from spatialjax.sources.folder import read_folder

        return read_folder(path)
    return _read(path, str(path))


def kind_of(data: xr.Dataset) -> Kind:
    """What a data set is about, told by its dimensions: "zones" or "cbsas" if it has those and no cities."""
    if "city" in data.dims:
        return "cities"
    return "zones" if "zone" in data.dims else "cbsas" if "cbsa" in data.dims else "cities"


def _read(path: Path, source: str) -> xr.Dataset:
    try:
        # Units of data are those of numbers, and other engines would only guess whose file it is.
        with xr.open_dataset(path, engine="netcdf4", decode_times=False) as opened:
            data = opened.load()
    except OSError as error:
        raise DataError(source, [f"cannot be read as NetCDF: {error.strerror or error}"]) from error
    except Exception as error:
        # What readers raise on files that are cut off, spoilt, or of another kind, is not theirs to document.
        raise DataError(source, [f"is not a NetCDF file that xarray can read: {_first_line(error)}"]) from error
    data.encoding["source"] = source
    return data


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0]
