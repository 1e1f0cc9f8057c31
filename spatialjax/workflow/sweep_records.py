"""Records of scenarios as files: labelled on the way in, checked on the way out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.labelled import PLACE_NAMES
from spatialjax.errors import OutputError
from spatialjax.workflow.sweep_answers import DESCRIPTIONS, Record
from spatialjax.workflow.sweep_folder import write_durably
from spatialjax.workflow.sweep_scenarios import ScenarioTable

SOLVED, FAILED, PENDING = "solved", "failed", "pending"
FACTS: dict[str, tuple[str, str]] = {
    "status": ("1", "solved or failed"),
    "reason": ("1", "why the scenario failed"),
    "evaluations": ("1", "evaluations of the equilibrium system"),
    "largest_residual": ("1", "largest absolute log excess demand"),
    "steps": ("1", "steps in which the changes were phased in; 0: at once"),
}
"""What is known of every scenario, with units and names in words."""


def write_part(path: Path, records: Sequence[Record], table: ScenarioTable, coordinates: Mapping[str, Any]) -> Path:
    """Write what was found of some scenarios."""
    dataset = as_dataset(records, table, coordinates)
    numbers = [str(name) for name, variable in dataset.data_vars.items() if variable.dtype.kind in "fi"]
    encoding = {name: {"zlib": True, "complevel": 1} for name in numbers}
    return write_durably(path, lambda temporary: dataset.to_netcdf(temporary, encoding=encoding))


def as_dataset(records: Sequence[Record], table: ScenarioTable, coordinates: Mapping[str, Any]) -> xr.Dataset:
    """What was found of some scenarios, labelled; outcomes of those that failed are NaN."""
    facts = {
        "status": [SOLVED if record.solved else FAILED for record in records],
        "reason": [record.reason for record in records],
        "evaluations": [record.evaluations for record in records],
        "largest_residual": [record.largest_residual for record in records],
        "steps": [record.steps for record in records],
    }
    variables: dict[str, Any] = {
        name: ("scenario", values, _attributes(*FACTS[name])) for name, values in facts.items()
    }
    shapes = {name: values.shape for record in records for name, values in record.outcomes.items()}
    for name, shape in shapes.items():
        dimensions, units, long_name = DESCRIPTIONS[name]
        missing = np.full(shape, np.nan)
        values = np.stack([record.outcomes.get(name, missing) for record in records])
        variables[name] = (("scenario", *dimensions[: len(shape)]), values, _attributes(units, long_name))
    scenarios = [record.scenario for record in records]
    parameters = {name: ("scenario", cells[scenarios]) for name, cells in table.flat.items()}
    return xr.Dataset(variables, {**coordinates, **parameters, "scenario": scenarios})


def _attributes(units: str, long_name: str) -> dict[str, str]:
    return {"units": units, "long_name": long_name}


def coordinates_of(data: xr.Dataset) -> dict[str, Any]:
    """Labels of cities, occupations and sectors."""
    labels = {name: data[name].values for name in ("city", "occupation", "sector")}
    return labels | {name: (data[name].dims, data[name].values) for name in PLACE_NAMES if name in data}


def read_part(path: Path, table: ScenarioTable) -> pd.DataFrame:
    """What a part says of its scenarios: facts, and outcomes by occupation in columns such as "gain_CNR".

    **Raises:** `OutputError` for a file that cannot be read, and for scenarios whose parameters are others now.
    """
    try:
        with netCDF4.Dataset(path) as file:
            columns = dict(_columns(file))
    except (OSError, RuntimeError, KeyError) as error:
        raise OutputError(
            f"{path} cannot be read ({error}): remove it, and start the sweep again to compute its scenarios anew"
        ) from error
    frame = pd.DataFrame(columns)
    frame = frame[frame["scenario"] < table.count]
    scenarios = frame["scenario"].to_numpy()
    for name, cells in table.flat.items():
        if name not in frame or not _same(frame[name].to_numpy(), cells[scenarios]):
            raise OutputError(
                f"{path} holds scenarios in which {name} has other values than this sweep gives it: they are not of "
                "this sweep; begin anew with --anew, or choose another folder with --out"
            )
    return frame.drop(columns=list(table.flat))


def _columns(file: netCDF4.Dataset):
    occupations = [str(name) for name in file["occupation"][:]]
    for name, variable in file.variables.items():
        if variable.dimensions == ("scenario",):
            yield name, _plain(variable[:])
        elif variable.dimensions == ("scenario", "occupation"):
            for occupation, values in zip(occupations, _plain(variable[:]).T, strict=True):
                yield f"{name}_{occupation}", values


def _plain(values: Any) -> np.ndarray:
    """Values as the file has them: no value is reserved for what is missing."""
    return np.ma.getdata(values)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and all(a == b or (a != a and b != b) for a, b in zip(one, other, strict=True))
