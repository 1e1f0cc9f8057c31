"""The report of a run, from what is in its folder."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spatialjax.errors import OutputError
from spatialjax.files import is_there, write
from spatialjax.report.checks import checks_of
from spatialjax.report.content import Picture, Report, Table
from spatialjax.report.kinds import KINDS, OTHER, Kind, titled
from spatialjax.report.page import page
from spatialjax.report.reading import (
    CONFIG,
    RECORD,
    REMEDY,
    read_as,
    read_keys,
    read_record,
    read_table,
    read_text,
    section,
)

REPORT = "report.html"
FIRST = ("summary", "statements")
"""Tables that come first."""


def write_report(folder: str | Path) -> Path:
    """Write `report.html` of a run's folder: one page, which opens without a network.

    **Raises:** `OutputError` for a folder without a run's record, for one of its files that is damaged, or where the
    page cannot be written.
    """
    folder = Path(folder)
    text = page(report_of(folder))
    return write(folder / REPORT, lambda path: path.write_text(text, encoding="utf-8"))


def report_of(folder: Path) -> Report:
    """The content of the report of a run's folder: the files that the run recorded as its own."""
    if not is_there(folder / RECORD):
        raise OutputError(f"{folder} has no {RECORD}: a report is made of the folder of a run that has ended")
    record, configuration = read_record(folder), read_text(folder / CONFIG, "the configuration of a run (TOML)")
    keys = read_keys(folder / CONFIG)
    kind = KINDS.get("sweep" if "sweep" in keys else str(keys.get("economy", "cities")), OTHER)
    files = [name for name in _files(record, folder / RECORD) if is_there(folder / name)]
    tables = {Path(name).stem: table for name in files if (table := _table(folder, name, kind)) is not None}
    headline = tables.pop("summary", None)
    with read_as(folder / RECORD, "the record of a run"):
        checks = checks_of(record)
    return Report(
        title=kind.title,
        summary=_summary(record, keys, folder),
        checks=checks,
        headline=headline,
        pictures=list(_pictures(folder, files, kind)),
        tables=sorted(tables.values(), key=lambda table: Path(table.file).stem not in FIRST),
        methods=list(kind.methods),
        facts=_facts(record, folder / RECORD),
        configuration=configuration,
        files=files,
    )


def _files(record: Mapping[str, Any], path: Path) -> list[str]:
    names = record.get("files", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise OutputError(f"{path}: files must be a list of names; it is damaged: {REMEDY}")
    return names


def _table(folder: Path, name: str, kind: Kind) -> Table | None:
    """A table that was written as CSV, unless it is the data of a figure."""
    if not name.endswith(".csv") or name.startswith("figures/"):
        return None
    return Table(titled(Path(name).stem, kind), read_table(folder / name, dtype={"city": str, "zone": str}), name)


def _pictures(folder: Path, files: list[str], kind: Kind) -> Iterator[Picture]:
    for name in files:
        if name.startswith("figures/") and name.endswith(".svg"):
            what = "a figure of a run (SVG)"
            if "<svg" not in read_text(folder / name, what):
                raise OutputError(f"{folder / name} is not {what}: it has no element svg; it is damaged: {REMEDY}")
            yield Picture(titled(Path(name).stem, kind), folder / Path(name).with_suffix(""))


def _summary(record: Mapping[str, Any], keys: Mapping[str, Any], folder: Path) -> str:
    data, versions = (section(record, name, folder / RECORD) for name in ("data", "versions"))
    source = section(keys, "data", folder / CONFIG).get("source", "")
    named = f"{data['title']} ({source})" if "title" in data else str(source)
    finished = str(record.get("finished", ""))[:16].replace("T", " ")
    parts = [named, f"spatialjax {versions.get('spatialjax', '')}", f"{finished} UTC"]
    return " · ".join(part for part in parts if part)


def _facts(record: Mapping[str, Any], path: Path) -> dict[str, dict[str, str]]:
    """Provenance: the data, the packages and the machine, and what each stage took."""
    facts = {
        "Data": section(record, "data", path),
        "Versions": section(record, "versions", path),
        "Device": section(record, "device", path),
        "Seconds by stage": section(record, "seconds", path),
    }
    return {name: {key: str(value) for key, value in of.items()} for name, of in facts.items() if of}
