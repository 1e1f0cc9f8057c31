"""Writing results: each file whole or not at all."""

import json
import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import tomli_w
import xarray as xr
from pydantic import BaseModel

from spatialjax.errors import OutputError
from spatialjax.files import write

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
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write results to {folder}: {error.strerror}; choose another with --out") from error
    return folder


def write_dataset(path: Path, dataset: xr.Dataset) -> Path:
    """Write NetCDF, compressed."""
    encoding = {str(v): {"zlib": True, "complevel": 4} for v in dataset.data_vars if dataset[v].dtype.kind in "fi"}
    return write(path, lambda p: dataset.to_netcdf(p, encoding=encoding))


def write_json(path: Path, content: Any) -> Path:
    """Write JSON, indented."""
    return write(path, lambda p: p.write_text(json.dumps(content, indent=2) + "\n"))


def write_config(folder: Path, config: BaseModel) -> Path:
    """Write a configuration with every key that it was run with."""
    resolved = config.model_dump(mode="json", exclude_none=True)
    return write(folder / "config.toml", lambda path: path.write_text(tomli_w.dumps(resolved)))


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
