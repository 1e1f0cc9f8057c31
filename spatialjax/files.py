"""Writing files: each whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spatialjax.errors import OutputError


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it once the block has ended without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, writer: Callable[[Path], Any]) -> Path:
    """Write a file whole or not at all, and return its path.

    **Raises:** `OutputError` naming the file, and why it cannot be written: a full disk, a missing permission.
    """
    try:
        with replaced(path) as temporary:
            writer(temporary)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    except RuntimeError as error:
        if "NetCDF" not in str(error):  # that library's errors of the disk
            raise
        raise OutputError(f"cannot write {path}: {error}; is the disk full?") from error
    return path
