"""The folder of a run: one process at a time writes to it, and the results of one configuration are in it."""

import fcntl
import json
import os
import socket
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from spatialjax.errors import OutputError
from spatialjax.files import remove_leftovers
from spatialjax.workflow.identity import differences, listed
from spatialjax.workflow.output import CONFIG, RECORD, prepare_folder, resolved

LOCK = ".spatialjax.lock"
SWEEP = "sweep.toml"
REMEMBERED = "tables/"
"""Where runs keep tables that they go on from; these are removed when the first new one is known."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to a folder; it is left to them at the end, however that comes.

    **Raises:** `OutputError` where another process holds it.
    """
    try:
        lock = _locked(folder)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    except OSError as error:
        raise OutputError(f"cannot write results to {folder}: {error.strerror}; choose another with --out") from error
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        os.close(lock)


def _locked(folder: Path) -> int:
    """The open lock file of a folder, which is this process's alone."""
    while True:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(lock, 200).decode(errors="replace").strip()
            os.close(lock)
            raise OutputError(
                f"another run is being written to {folder} ({holder or 'by a process that has just begun'}): wait "
                "until it has ended, or choose another folder with --out"
            ) from None
        if _is_there(folder, lock):
            return lock
        os.close(lock)  # the one before removed it between our opening and locking it


def _is_there(folder: Path, lock: int) -> bool:
    try:
        return os.path.samestat(os.stat(folder / LOCK), os.fstat(lock))
    except FileNotFoundError:
        return False


@contextmanager
def run_folder(folder: str | Path, config: BaseModel, *, anew: bool = False) -> Iterator[Path]:
    """A folder for the results of a configuration, made if need be and held while they are written.

    A run of the same configuration writes over the results of an earlier one. `anew` removes those of another one.

    **Raises:** `OutputError` for a folder that cannot be written to, that another process writes to, or that has the
    results of another configuration or of a sweep.
    """
    target = prepare_folder(folder)
    with held(target):
        remove_leftovers(target)
        if (target / SWEEP).exists():
            raise OutputError(f"{target} has the results of a sweep: choose another folder with --out")
        others = _differences(target / CONFIG, config)
        if others and not anew:
            raise OutputError(
                f"{target} has the results of another configuration, with which these cannot be mixed:\n"
                f"{listed(others)}\nChoose another folder with --out, or remove those results with --anew"
            )
        if anew:
            remove_results(target)
        yield target


def _differences(path: Path, config: BaseModel) -> list[str]:
    """How the configuration whose results are there differs, but for where results go."""
    try:
        there = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError):
        return [f"{path.name} there is no configuration of a run"]
    here = resolved(config)
    return differences(*({key: value for key, value in keys.items() if key != "output"} for keys in (there, here)))


def remove_results(folder: Path) -> None:
    """Remove the files that a run recorded as its own, the configuration last."""
    for name in (*_recorded(folder), RECORD, CONFIG):
        (folder / name).unlink(missing_ok=True)


def _recorded(folder: Path) -> list[str]:
    try:
        record: Any = json.loads((folder / RECORD).read_text())
        inside = folder.resolve()
        names = [str(name) for name in record["files"]]
        own = [name for name in names if not name.startswith(REMEMBERED)]
        return [name for name in own if (folder / name).resolve().is_relative_to(inside)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
