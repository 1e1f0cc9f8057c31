"""What the four papers publish, run again and put beside: one page."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel

from spatialjax.errors import ConfigError
from spatialjax.report.checks import checks_of
from spatialjax.workflow.any_run import run_any
from spatialjax.workflow.config import AnyRunConfig, load_config
from spatialjax.workflow.ending import finish
from spatialjax.workflow.output import CONFIG, RECORD, environment, resolved, write_config, write_table
from spatialjax.workflow.run_folder import run_folder
from spatialjax.workflow.stages import Reporter, Silent

PUBLISHED = re.compile(r"published(?!.*s\.e\.)|^(CH|SH|KO|FF)$")
REASONS = ("why they differ", "note")
"""Columns of a run's figures that say why ours differ."""


@dataclass(frozen=True)
class Part:
    """A run whose figures are published: its paper, its configuration, and why ours differ as a whole."""

    paper: str
    config: str
    reason: str


DATA = (
    "public data instead of CH's: wages of the OEWS of 2025, occupations by county from the ACS, imputed cells of "
    "County Business Patterns, assumed distance elasticities (docs/data.md)"
)
PARTS = {
    "cognitive_hubs": Part("Cognitive Hubs, sections 4.7, 6 and 7", "cognitive_hubs.toml", DATA),
    "history": Part("Cognitive Hubs, section 8", "history.toml", f"a stylised 1980 (docs/history.md); {DATA}"),
    "spillovers": Part("Cognitive Hubs, Table 2; Sectoral Hubs, Table 1", "spillovers.toml", DATA),
    "granular": Part("Granular Origins of Agglomeration", "japan_granular.toml", ""),
    "density": Part(
        "The Urban Density Premium across Establishments",
        "density_premium.toml",
        "a simulated panel with a known truth, and public tables of places, instead of confidential records "
        "(docs/density.md)",
    ),
}


class PaperConfig(BaseModel):
    """Which parts are on the page."""

    economy: Literal["paper"] = "paper"
    parts: tuple[str, ...]


@dataclass(frozen=True)
class PaperResult:
    """The page's table, where it is, which parts were run before and taken as they were, and why others failed."""

    figures: pd.DataFrame
    folder: Path
    files: list[Path]
    reused: list[str]
    failed: dict[str, str]


def run_paper(
    folder: str | Path,
    configs: str | Path = "configs",
    reporter: Reporter | None = None,
    *,
    only: Sequence[str] = (),
    overrides: Sequence[str] = (),
    anew: bool = False,
) -> PaperResult:
    """Run every configuration whose figures the papers publish, and write one page with ours beside theirs.

    Each part is a run in a folder of its own inside `folder`. One that has ended there, of the same configuration and
    versions, is taken as it is: an interrupted page goes on where it stopped. One that fails is said on the page, which
    has the others.

    **Arguments:**

    - `configs`: the folder of the shipped configurations.
    - `only`: these parts, by name; by default all of `PARTS`.
    - `overrides`: of the form "section.key=value", for every part.
    - `anew`: run all parts again.

    **Raises:** `ConfigError` for an unknown part or a missing configuration; what the last part raises where all fail.
    """
    reporter = Silent() if reporter is None else reporter
    names = _known(only) if only else list(PARTS)
    loaded = {name: load_config(Path(configs) / PARTS[name].config, overrides) for name in names}
    config = PaperConfig(parts=tuple(names))
    with run_folder(folder, config, anew=True) as target:
        files = [write_config(target, config)]
        reused = [] if anew else [name for name in names if is_finished(target / name, loaded[name])]
        failed = _run_parts(
            {name: loaded[name] for name in names if name not in reused}, target, reporter, bool(reused)
        )
        ended = [name for name in names if name not in failed]
        tables = [published_rows(PARTS[name], pd.read_csv(target / name / "summary.csv")) for name in ended]
        figures = pd.concat(tables, ignore_index=True)
        files += write_table(target / "summary.csv", figures)
        if len(statements := said_rows({PARTS[name]: target / name for name in ended})):
            files += write_table(target / "statements.csv", statements)
        record = {
            "parts": {name: _standing(target / name, failed.get(name)) for name in names},
            "parts_reused": reused,
            "seconds": {name: _seconds(target / name) for name in ended},
        }
        files = finish(target, files, record, None, reporter.stage("writing the page"))
    return PaperResult(figures, target, files, reused, failed)


def _run_parts(configs: Mapping[str, AnyRunConfig], folder: Path, reporter: Reporter, others: bool) -> dict[str, str]:
    """Run parts one after another; returns why those failed that did.

    Where all fail and there are no `others`, there is nothing to put on a page: the last failure is raised.
    """
    failed: dict[str, str] = {}
    for name, config in configs.items():
        try:
            run_any(config, folder / name, reporter, anew=True)
        except Exception as error:  # whatever it is, the other parts are worth having
            failed[name] = f"{type(error).__name__}: {error}"
            reporter.say(f"{name} failed, and the page goes on without it: {error}")
            if len(failed) == len(configs) and not others:
                raise
    return failed


def _known(names: Sequence[str]) -> list[str]:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise ConfigError(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return list(dict.fromkeys(names))


def is_finished(folder: Path, config: BaseModel) -> bool:
    """Whether a run of this configuration has ended in a folder, with the versions of now."""
    try:
        there = tomllib.loads((folder / CONFIG).read_text())
        record = json.loads((folder / RECORD).read_text())
        ended_last = (folder / RECORD).stat().st_mtime_ns >= (folder / CONFIG).stat().st_mtime_ns
    except (OSError, ValueError):
        return False
    here = resolved(config)
    same = all(there.get(key) == here.get(key) for key in {*there, *here} - {"output"})
    return same and ended_last and record.get("versions") == environment()["versions"]


def _standing(folder: Path, failure: str | None) -> dict[str, Any]:
    """Where a part's own report is, and what in it needs attention; of a part that failed, why."""
    if failure is not None:
        return {"report": None, "attention": [f"failed, and has no rows below: {failure}"]}
    attention = [f"{check.name}: {check.found}" for check in checks_of(_record(folder)) if check.verdict == "attention"]
    return {"report": f"{folder.name}/report.html", "attention": attention}


def _seconds(folder: Path) -> float:
    """What a part took, all its stages together."""
    return round(sum(_record(folder).get("seconds", {}).values()), 1)


def _record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / RECORD).read_text())


def published_rows(part: Part, figures: pd.DataFrame) -> pd.DataFrame:
    """The rows of a run's figures that are published: theirs, ours, the difference, and why."""
    published = next((name for name in figures.columns if PUBLISHED.search(str(name))), None)
    if published is None:
        return pd.DataFrame(columns=COLUMNS)
    numbers = [n for n in figures.columns if pd.api.types.is_float_dtype(figures[n]) and not PUBLISHED.search(str(n))]
    ours = next(name for name in numbers if "s.e." not in str(name))
    rows = figures[figures[published].notna()]
    error = next((name for name in numbers if str(name).endswith("s.e.") and not str(name).startswith("FF")), None)
    return pd.DataFrame(
        {
            "paper": part.paper,
            "figure": list(_names(rows)),
            "published": rows[published].to_numpy(float),
            "ours": rows[ours].to_numpy(float),
            "s.e.": np.nan if error is None else rows[error].to_numpy(float),
            "difference": (rows[ours] - rows[published]).to_numpy(float),
            "why they differ": [_reason(row, part) for _, row in rows.iterrows()],
        },
        columns=COLUMNS,
    )


def said_rows(folders: Mapping[Part, Path]) -> pd.DataFrame:
    """What the papers say in words, and whether it holds, of the parts that judge it; empty where none does."""
    written = [(part, folder / STATEMENTS) for part, folder in folders.items() if (folder / STATEMENTS).exists()]
    tables = [pd.read_csv(path).assign(**{"why they differ": part.reason}) for part, path in written]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


STATEMENTS = "statements.csv"
COLUMNS = ["paper", "figure", "published", "ours", "s.e.", "difference", "why they differ"]


def _names(rows: pd.DataFrame) -> Iterator[str]:
    texts = [n for n in rows.columns if not pd.api.types.is_numeric_dtype(rows[n]) and n not in REASONS]
    for _, row in rows.iterrows():
        yield ", ".join(str(row[name]) for name in texts if pd.notna(row[name]))


def _reason(row: pd.Series, part: Part) -> str:
    own = [str(row[name]) for name in REASONS if name in row and pd.notna(row[name])]
    return "; ".join(text for text in (*own, part.reason) if text)
