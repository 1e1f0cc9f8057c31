"""What is read of a sweep in the end: a table of scenarios, and all of them in one file."""

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd

from spatialjax.workflow.sweep_folder import COMBINED, TABLE, SweepFolder, write_durably
from spatialjax.workflow.sweep_records import FACTS, PENDING, read_part
from spatialjax.workflow.sweep_scenarios import ScenarioTable

MOST_BYTES = 2**26
"""Of one variable, up to which it is put together in memory."""
CHUNK = 2**16
"""Bytes of a chunk of a file, or one scenario where that has more."""
LAST = "part"
"""The column that says which part holds a scenario."""


def known_scenarios(folder: SweepFolder, table: ScenarioTable) -> pd.DataFrame:
    """What the parts say, a row a scenario: of one that was tried again, what was found last."""
    frames = [read_part(path, table).assign(part=path.name) for path in folder.parts]
    if not frames:
        return pd.DataFrame(columns=[*FACTS, LAST], index=pd.RangeIndex(0, name="scenario"))
    everything = pd.concat(frames, ignore_index=True)
    return everything.drop_duplicates("scenario", keep="last").set_index("scenario").sort_index()


def scenario_frame(known: pd.DataFrame, table: ScenarioTable) -> pd.DataFrame:
    """A row a scenario: its parameters, how it ended, and outcomes by occupation."""
    parameters = pd.DataFrame(table.flat, index=pd.RangeIndex(table.count, name="scenario"))
    joined = parameters.join(known.drop(columns=LAST))
    return joined.assign(status=joined["status"].fillna(PENDING), reason=joined["reason"].fillna(""))


def write_table(folder: SweepFolder, frame: pd.DataFrame) -> Path:
    """Write scenarios.csv."""
    return write_durably(folder.path / TABLE, lambda path: frame.to_csv(path, float_format="%.10g"))


def write_combined(folder: SweepFolder, known: pd.DataFrame, table: ScenarioTable) -> Path:
    """Write all scenarios in one file, part by part: it may be larger than memory."""

    def write(path: Path) -> None:
        with netCDF4.Dataset(path, "w") as out:
            out.createDimension("scenario", table.count)
            out.createVariable("scenario", "i8", ("scenario",))[:] = np.arange(table.count)
            gathered: dict[str, np.ndarray] = {}
            for part in folder.parts:
                scenarios = known.index[known[LAST] == part.name].to_numpy()
                if scenarios.size:
                    with netCDF4.Dataset(part) as one:
                        out.setncatts({key: one.getncattr(key) for key in one.ncattrs()})
                        _copy(one, out, scenarios, gathered)
            for name, values in gathered.items():
                out[name][:] = values

    return write_durably(folder.path / COMBINED, write)


def _copy(part: netCDF4.Dataset, out: netCDF4.Dataset, scenarios: np.ndarray, gathered: dict[str, np.ndarray]) -> None:
    """Copy some scenarios of a part, small variables to memory; and what is common to all, unless it is there."""
    position = {int(number): i for i, number in enumerate(part["scenario"][:])}
    rows = [position[int(number)] for number in scenarios]
    for name, variable in part.variables.items():
        if name == "scenario":
            continue
        new = name not in out.variables
        target = _created(variable, out) if new else out[name]
        if "scenario" not in variable.dimensions:
            if new:
                target[:] = variable[:]
            continue
        values = np.ma.getdata(variable[:])[rows]
        if new and _bytes_each(variable) * target.shape[0] <= MOST_BYTES:
            gathered[name] = np.full(target.shape, "" if variable.dtype is str else _missing(values), values.dtype)
        if name in gathered:
            gathered[name][scenarios] = values
            continue
        for scenario, value in zip(scenarios.tolist(), values, strict=True):
            target[scenario] = value


def _bytes_each(variable: netCDF4.Variable) -> int:
    """Bytes of a variable in one scenario."""
    size = 8 if variable.dtype is str else np.dtype(variable.dtype).itemsize
    return size * int(np.prod(variable.shape[1:]))


def _missing(values: np.ndarray) -> float:
    return np.nan if values.dtype.kind == "f" else 0


def _created(variable: netCDF4.Variable, out: netCDF4.Dataset) -> netCDF4.Variable:
    """A variable like one of a part, in chunks that one scenario or few fill."""
    for name, size in zip(variable.dimensions, variable.shape, strict=True):
        if name not in out.dimensions:
            out.createDimension(name, size)
    options: dict[str, Any] = {}
    if variable.dtype is not str and variable.dimensions[:1] == ("scenario",):
        scenarios = max(1, min(len(out.dimensions["scenario"]), CHUNK // _bytes_each(variable)))
        options = {"zlib": True, "complevel": 1, "chunksizes": (scenarios, *variable.shape[1:])}
        if np.dtype(variable.dtype).kind == "f":
            options["fill_value"] = np.nan
    target = out.createVariable(variable.name, variable.dtype, variable.dimensions, **options)
    target.setncatts({key: variable.getncattr(key) for key in variable.ncattrs() if key != "_FillValue"})
    return target
