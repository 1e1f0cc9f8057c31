"""The report of a run, from what is in its folder."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from spatialjax.errors import OutputError
from spatialjax.files import write
from spatialjax.report.checks import checks_of
from spatialjax.report.content import Picture, Report, Table
from spatialjax.report.kinds import KINDS, OTHER, Kind, titled
from spatialjax.report.page import page

REPORT = "report.html"
CONFIG, RECORD = "config.toml", "run.json"
FIRST = ("summary", "statements")
"""Tables that come first."""


def write_report(folder: str | Path) -> Path:
    """Write `report.html` of a run's folder: one page, which opens without a network.

    **Raises:** `OutputError` for a folder without a run's record, or where the page cannot be written.
    """
    folder = Path(folder)
    text = page(report_of(folder))
    return write(folder / REPORT, lambda path: path.write_text(text, encoding="utf-8"))


def report_of(folder: Path) -> Report:
    """The content of the report of a run's folder: the files that the run recorded as its own."""
    record, configuration = _record(folder), _text(folder / CONFIG)
    keys = tomllib.loads(configuration)
    kind = KINDS.get("sweep" if "sweep" in keys else keys.get("economy", "cities"), OTHER)
    files = [name for name in record.get("files", []) if (folder / name).exists()]
    tables = {Path(name).stem: table for name in files if (table := _table(folder, name, kind)) is not None}
    headline = tables.pop("summary", None)
    return Report(
        title=kind.title,
        summary=_summary(record, keys),
        checks=checks_of(record),
        headline=headline,
        pictures=list(_pictures(folder, files, kind)),
        tables=sorted(tables.values(), key=lambda table: Path(table.file).stem not in FIRST),
        methods=list(kind.methods),
        facts=_facts(record),
        configuration=configuration,
        files=files,
    )


def _record(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / RECORD).read_text())
    except OSError as error:
        raise OutputError(
            f"{folder} has no {RECORD}: a report is made of the folder of a run that has ended ({error.strerror})"
        ) from error
    except ValueError as error:
        raise OutputError(f"{folder / RECORD} is not the record of a run: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}; a report is made of a run's folder") from error


def _table(folder: Path, name: str, kind: Kind) -> Table | None:
    """A table that was written as CSV, unless it is the data of a figure."""
    if not name.endswith(".csv") or name.startswith("figures/"):
        return None
    return Table(titled(Path(name).stem, kind), pd.read_csv(folder / name, dtype={"city": str, "zone": str}), name)


def _pictures(folder: Path, files: list[str], kind: Kind) -> Iterator[Picture]:
    for name in files:
        if name.startswith("figures/") and name.endswith(".svg"):
            yield Picture(titled(Path(name).stem, kind), folder / Path(name).with_suffix(""))


def _summary(record: Mapping[str, Any], keys: Mapping[str, Any]) -> str:
    data = record.get("data") or {}
    source = keys.get("data", {}).get("source", "")
    named = f"{data['title']} ({source})" if "title" in data else source
    finished = str(record.get("finished", ""))[:16].replace("T", " ")
    parts = [named, f"spatialjax {record.get('versions', {}).get('spatialjax', '')}", f"{finished} UTC"]
    return " · ".join(part for part in parts if part)


def _facts(record: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Provenance: the data, the packages and the machine, and what each stage took."""
    facts = {
        "Data": record.get("data"),
        "Versions": record.get("versions"),
        "Device": record.get("device"),
        "Seconds by stage": record.get("seconds"),
    }
    return {name: {key: str(value) for key, value in of.items()} for name, of in facts.items() if of}
