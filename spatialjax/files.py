"""Writing files: each whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spatialjax.errors import OutputError

LEFTOVER = ".partial-"
"""What names of files begin with that are being written; a process that was killed leaves some."""


@contextmanager
def replaced(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it once the block has ended without an error.

    `durable` waits until the disk has the file, so that it is there even after the power was cut off.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{LEFTOVER}{path.stem[:40]}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        if durable:
            to_disk(temporary)
        os.replace(temporary, path)
        if durable:
            to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, writer: Callable[[Path], Any], *, durable: bool = False) -> Path:
    """Write a file whole or not at all, and return its path.

    `writer` is called with a temporary path of the same suffix. `durable`: see [`replaced`][].

    **Raises:** `OutputError` naming the file, and why it cannot be written: a full disk, a missing permission.
    """
    try:
        with replaced(path, durable=durable) as temporary:
            writer(temporary)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}{_room(path)}") from error
    except RuntimeError as error:
        if "NetCDF" not in str(error):  # that library's errors of the disk
            raise
        raise OutputError(
            f"cannot write {path}: {error}; the NetCDF library says no more, and says this where a disk or a quota is "
            f"full{_room(path)}"
        ) from error
    return path


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left in a folder; none may be writing to it."""
    for leftover in folder.glob(f"{LEFTOVER}*"):
        leftover.unlink(missing_ok=True)


def is_there(path: Path) -> bool:
    """Whether a path exists; not where it is none that a file can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def to_disk(path: Path) -> None:
    """Wait until the disk has a file, or the names of a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _room(path: Path) -> str:
    """How much room a disk has, where that is little."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return ""
    free = disk.f_bavail * disk.f_frsize
    return f" ({free / 2**20:.1f} MiB are free there)" if free < 2**30 else ""
