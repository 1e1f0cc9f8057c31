"""What a report holds, before it is a page."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

Verdict = Literal["good", "attention", "noted"]


@dataclass(frozen=True)
class Check:
    """A diagnostic or certificate: what was found, and whether it is as it should be."""

    name: str
    found: str
    verdict: Verdict = "noted"


@dataclass(frozen=True)
class Table:
    """A table with a title; `file` is the one beside the report that holds all of it."""

    title: str
    frame: pd.DataFrame
    file: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure by the path of its SVG file without ending; files of the same stem lie beside it."""

    title: str
    stem: Path


@dataclass(frozen=True)
class Report:
    """A report: checks first, then what was found, how, and from what.

    `facts` are provenance by heading: the data, the environment, times. `configuration` is the TOML text of the run.
    """

    title: str
    summary: str
    checks: list[Check] = field(default_factory=list)
    headline: Table | None = None
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    facts: dict[str, dict[str, str]] = field(default_factory=dict)
    configuration: str = ""
    files: list[str] = field(default_factory=list)
