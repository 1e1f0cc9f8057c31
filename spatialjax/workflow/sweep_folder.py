"""The folder of a sweep, which one process at a time writes to, and in which files are whole and on the disk.

A sweep writes parts: NetCDF files, each with one scenario or several, that are never changed once they are there. A
scenario that was tried again is in a later part too, and that one holds.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import tomli_w

from spatialjax.errors import OutputError
from spatialjax.files import remove_leftovers, to_disk, write
from spatialjax.report.reading import read_keys
from spatialjax.workflow.identity import differences, listed
from spatialjax.workflow.output import CONFIG, RECORD, prepare_folder
from spatialjax.workflow.run_folder import held

MARKER = "sweep.toml"
"""What the results in the folder depend on."""
PARTS = "parts"
TABLE = "scenarios.csv"
COMBINED = "sweep.nc"
REMEDY = "choose another folder with --out, or remove those results and begin anew with --anew"


class SweepFolder:
    """The results of one sweep, to be used as a context: it is left to others at the end, however that comes.

    **Raises:** `OutputError` for a folder that cannot be written to, or that another process writes a sweep to.
    """

    def __init__(self, folder: str | Path):
        self.path = prepare_folder(folder)
        self._lock = ExitStack()

    def __enter__(self) -> "SweepFolder":
        self._lock.enter_context(held(self.path))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.close()

    @property
    def parts(self) -> list[Path]:
        """The parts, from the first that was written to the last."""
        return sorted((self.path / PARTS).glob("part-*.nc"))

    def check(self, wanted: Mapping[str, Any], *, anew: bool) -> None:
        """Refuse what is not this sweep's.

        **Raises:** `OutputError` for results of another sweep, or of one that a damaged file no longer tells, unless it
        is to begin anew, and for a folder with results of anything else.
        """
        marker = self.path / MARKER
        if not marker.exists():
            found = [name for name in (PARTS, TABLE, COMBINED, RECORD, CONFIG) if (self.path / name).exists()]
            if found:
                raise OutputError(
                    f"{self.path} has {', '.join(found)}, which no sweep wrote: choose another folder with --out"
                )
            return
        if anew:
            return
        if others := differences(read_keys(marker, "what a sweep's results depend on (TOML)", REMEDY), wanted):
            raise OutputError(
                f"{self.path} has the results of another sweep, with which these cannot be mixed:\n{listed(others)}\n"
                f"{REMEDY.capitalize()}"
            )

    def begin(self, wanted: Mapping[str, Any], *, anew: bool) -> None:
        """Make the folder that of this sweep; `anew` removes what another one, or an earlier one, wrote."""
        if anew:
            # The parts first and the marker last: a folder in which this was interrupted is still a sweep's.
            for path in (*self.parts, *(self.path / name for name in (COMBINED, TABLE, RECORD))):
                path.unlink(missing_ok=True)
        for folder in (self.path, self.path / PARTS):
            remove_leftovers(folder)
        write_durably(self.path / MARKER, lambda path: path.write_text(tomli_w.dumps(dict(wanted))))
        (self.path / PARTS).mkdir(exist_ok=True)
        to_disk(self.path)

    def next_part(self) -> Path:
        """The path of the part that is written next."""
        number = max((int(path.stem.partition("-")[2]) for path in self.parts), default=0) + 1
        return self.path / PARTS / f"part-{number:06d}.nc"


def write_durably(path: Path, writer: Callable[[Path], Any]) -> Path:
    """Write a file whole or not at all; it is on the disk once this has returned.

    **Raises:** `OutputError` for a disk that is full or that cannot be written to.
    """
    return write(path, writer, durable=True)
