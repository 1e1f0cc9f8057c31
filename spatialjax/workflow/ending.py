"""How a run ends: its record and its report."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import xarray as xr

from spatialjax.report.folder import REPORT, write_report
from spatialjax.workflow.output import RECORD, write_record


def finish(
    folder: Path,
    files: list[Path],
    diagnostics: Mapping[str, Any],
    data: xr.Dataset | None,
    stage: AbstractContextManager[None],
) -> list[Path]:
    """Write `run.json`, and in this stage the report, of all that is in the folder; returns all files.

    **Raises:** `OutputError` where one of them cannot be written.
    """
    everything = [*files, folder / RECORD, folder / REPORT]
    write_record(folder, diagnostics, data, everything)
    with stage:
        write_report(folder)
    return everything
