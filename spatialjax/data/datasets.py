"""Loading data sets: embedded ones by name, a user's own by path."""

from importlib import resources
from pathlib import Path
from typing import Literal

import xarray as xr

from spatialjax.errors import DataError

EMBEDDED = {"us-metros": "us_metros.nc", "japan-zones": "japan_zones.nc"}

Kind = Literal["cities", "zones"]


def load_data(name_or_path: str | Path) -> xr.Dataset:
    """Load a data set into memory.

    **Arguments:**

    - `name_or_path`: "us-metros" (382 US metropolitan areas, 22 sectors, 2 occupations), "japan-zones" (229 Japanese
      commuting zones), or the path of a NetCDF file with the variables of either (docs/data.md lists them).

    **Raises:** `DataError` where there is no such file or it cannot be read. Contents are checked later: those
    of cities by [`validate`][] and by [`invert`][], those of zones by `spatialjax.data.zones.check_zones`.
    """
    name = str(name_or_path)
    if name in EMBEDDED:
        with resources.as_file(resources.files("spatialjax.data") / EMBEDDED[name]) as path:
            return _read(path, name)
    path = Path(name_or_path)
    if not path.exists():
        embedded = ", ".join(EMBEDDED)
        raise DataError(name, [f"no such file, and no embedded data set of that name (embedded: {embedded})"])
    return _read(path, str(path))


def kind_of(data: xr.Dataset) -> Kind:
    """What a data set is about, told by its dimensions: "zones" if it has zones and no cities, else "cities"."""
    return "zones" if "zone" in data.dims and "city" not in data.dims else "cities"


def _read(path: Path, source: str) -> xr.Dataset:
    try:
        with xr.open_dataset(path) as opened:
            data = opened.load()
    except OSError as error:
        raise DataError(source, [f"cannot be read as NetCDF: {error.strerror or error}"]) from error
    except (ValueError, KeyError) as error:
        raise DataError(source, ["is not a NetCDF file that xarray can read"]) from error
    data.encoding["source"] = source
    return data
