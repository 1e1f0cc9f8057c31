"""Files of results: one for a date and a device, into which parts are merged as they are measured."""

import datetime
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import perf_counter

from .cases import TOLERANCE
from .measuring import machine
from .parts import PARTS
from .processes import PartError, in_own_process
from .protocol import Row, Setting
from .report import to_markdown


def file_of(folder: Path, date: str, where: Row, quick: bool) -> Path:
    """The JSON file of a date and a device."""
    device = f"{where['cores']} cores" if where["platform"] == "cpu" else where["device"]
    name = f"{date} {where['platform']} {device}{' quick' if quick else ''}"
    return folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.json"


def measure_into(names: Iterable[str], setting: Setting, folder: Path, into: Path | None = None) -> Path:
    """Measure parts one after the other; each is written, with its tables, as soon as it, or a step of it, is known.

    A part that fails says so in its place, and the others go on. Returns the JSON file.
    """
    where = in_own_process(machine)
    date = datetime.date.today().isoformat()
    path = into or file_of(folder, date, where, setting.quick)
    for name in names:
        print(f"{name} ...", flush=True)
        for found in measure_part(name, setting):
            _merge(path, date, setting, where, {name: found})
            took = f"{found['measured']['seconds']:.0f} s"
            print(f"{name}: {'failed' if 'failed' in found else took}", flush=True)
    return path


def measure_part(name: str, setting: Setting) -> Iterator[Row]:
    """One part, and when it was measured; a part of many steps as known after each."""
    at, load, began = datetime.datetime.now(), os.getloadavg()[0], perf_counter()
    for found in _found(name, setting):
        took = perf_counter() - began
        measured = {"at": at.isoformat(" ", "minutes"), "seconds": took, "load_average_at_start": load}
        yield {**found, "measured": measured}


def _found(name: str, setting: Setting) -> Iterator[Row]:
    try:
        found = PARTS[name].run(setting)
        yield from (found,) if isinstance(found, dict) else found
    except PartError as error:
        print(error, flush=True)
        yield {"failed": str(error)}


def _merge(path: Path, date: str, setting: Setting, where: Row, found: Row) -> None:
    """Replace parts of a file, or begin it; the page of tables is written beside it."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    head = {"date": date, "quick": setting.quick, "tolerance": TOLERANCE, "machine": where}
    results = {**head, **{name: part for name, part in kept.items() if name not in head}, **found}
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, json.dumps(results, indent=2) + "\n")
    _write(path.with_suffix(".md"), to_markdown(results, PARTS))


def _write(path: Path, text: str) -> None:
    """Write whole or not at all."""
    unfinished = path.with_suffix(f"{path.suffix}.part")
    unfinished.write_text(text)
    unfinished.replace(path)
