"""Writing results: each file whole or not at all."""

import json
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import pandas as pd
import tomli_w
import xarray as xr
from pydantic import BaseModel

from spatialjax.errors import OutputError
from spatialjax.files import write

CONFIG, RECORD = "config.toml", "run.json"
LONG = 50
"""Rows from which a table is broken over pages in LaTeX."""
PACKAGES = (
    "spatialjax",
    "jax",
    "jaxlib",
    "equinox",
    "numpy",
    "scipy",
    "xarray",
    "netCDF4",
    "pandas",
    "matplotlib",
    "pyfixest",
    "linearmodels",
)


def prepare_folder(folder: str | Path) -> Path:
    """Create the folder for results, or say why that is impossible."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write results to {folder}: {reason}; choose another with --out") from error
    return folder


def write_dataset(path: Path, dataset: xr.Dataset) -> Path:
    """Write NetCDF, compressed."""
    encoding = {str(v): {"zlib": True, "complevel": 4} for v in dataset.data_vars if dataset[v].dtype.kind in "fi"}
    return write(path, lambda p: dataset.to_netcdf(p, encoding=encoding))


def write_json(path: Path, content: Any) -> Path:
    """Write JSON, indented."""
    return write(path, lambda p: p.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8"))


def write_table(path: Path, table: pd.DataFrame, *, index: bool = False, float_format: str | None = None) -> list[Path]:
    """Write a table as CSV, at this path, and as LaTeX (booktabs) beside it; returns both paths."""

    def write_latex(temporary: Path) -> None:
        cells = table.reset_index() if index else table
        text = cells.to_latex(
            index=False, escape=True, na_rep="", float_format="{:.4g}".format, longtable=len(cells) > LONG
        )
        temporary.write_text(text, encoding="utf-8")

    return [
        write(path, lambda temporary: table.to_csv(temporary, index=index, float_format=float_format)),
        write(path.with_suffix(".tex"), write_latex),
    ]


def resolved(config: BaseModel) -> dict[str, Any]:
    """A configuration with every key that it was run with, as TOML has them."""
    return config.model_dump(mode="json", exclude_none=True)


def write_config(folder: Path, config: BaseModel) -> Path:
    """Write a configuration with every key that it was run with."""
    return write(folder / CONFIG, lambda path: path.write_text(tomli_w.dumps(resolved(config)), encoding="utf-8"))


def write_record(folder: Path, diagnostics: Mapping[str, Any], data: xr.Dataset | None, files: Sequence[Path]) -> Path:
    """Write what is known of a run: diagnostics, its data's provenance, versions, device, time, and its files."""
    record = {
        **diagnostics,
        "data": None if data is None else {key: str(value) for key, value in data.attrs.items()},
        **environment(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [str(path.relative_to(folder)) for path in dict.fromkeys(files)],
    }
    return write_json(folder / RECORD, record)


def environment() -> dict[str, Any]:
    """Versions and device of this run."""
    device = jax.devices()[0]
    return {
        "versions": {"python": platform.python_version(), **{p: v for p in PACKAGES if (v := _version(p))}},
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": jax.device_count(),
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "system": platform.system(),
        },
        "precision": "float64" if jax.config.jax_enable_x64 else "float32",  # type: ignore[attr-defined]
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
