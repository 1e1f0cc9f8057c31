"""What the four papers publish, run again and put beside: one page."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel

from spatialjax.errors import ConfigError, OutputError
from spatialjax.report.checks import checks_of
from spatialjax.report.reading import read_keys, read_record, read_table, section
from spatialjax.workflow.any_run import run_any
from spatialjax.workflow.config import AnyRunConfig, load_config
from spatialjax.workflow.ending import finish
from spatialjax.workflow.output import CONFIG, RECORD, environment, resolved, write_config, write_table
from spatialjax.workflow.paper_parts import PARTS, STATEMENTS, Part, statements_of
from spatialjax.workflow.run_folder import run_folder
from spatialjax.workflow.stages import Reporter, Silent

PUBLISHED = re.compile(r"published(?!.*s\.e\.)|^(CH|SH|KO|FF)$")
REASONS = ("why they differ", "note")
"""Columns of a run's figures that say why ours differ."""
PACKAGE = Path(__file__).parents[1]
SHIPPED = "_configs"
"""Folder of the package into which a wheel puts the repository's configs/."""


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
    configs: str | Path | None = None,
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

    - `configs`: the folder of the configurations; by default `configs` here if it has them, else those that are shipped
      with the library.
    - `only`: these parts, by name; by default all of `PARTS`.
    - `overrides`: of the form "section.key=value", for every part.
    - `anew`: run all parts again.

    **Raises:** `ConfigError` for an unknown part, a configuration that is missing or wrong; what the last part raises
    where all fail.
    """
    reporter = Silent() if reporter is None else reporter
    names = _known(only) if only else list(PARTS)
    paths = configurations([PARTS[name].config for name in names], configs)
    loaded = {name: load_config(path, overrides) for name, path in zip(names, paths, strict=True)}
    config = PaperConfig(parts=tuple(names))
    with run_folder(folder, config, anew=True) as target:
        files = [write_config(target, config)]
        reused = [] if anew else [name for name in names if is_finished(target / name, loaded[name])]
        failed = _run_parts(
            {name: loaded[name] for name in names if name not in reused}, target, reporter, bool(reused)
        )
        ended = [name for name in names if name not in failed]
        tables = [rows_of_part(PARTS[name], target / name) for name in ended]
        figures = pd.concat(tables, ignore_index=True)
        files += write_table(target / "summary.csv", figures)
        if len(statements := said_rows({PARTS[name]: target / name for name in ended})):
            files += write_table(target / STATEMENTS, statements)
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


def configurations(
    names: Sequence[str], folder: str | Path | None = None, package: Path = PACKAGE, here: Path | None = None
) -> list[Path]:
    """The files of configurations: in the folder that is given, else in `configs` here, else as shipped.

    A wheel has them inside the package, a checkout beside it.

    **Raises:** `ConfigError` where they are not all in one folder.
    """
    shipped = (here or Path("configs"), package / SHIPPED, package.parent / "configs")
    places = shipped if folder is None else (Path(folder),)
    for place in places:
        if all((place / name).is_file() for name in names):
            return [place / name for name in names]
    missing = [name for name in names if not (places[0] / name).is_file()]
    looked = " or ".join(str(place) for place in places)
    raise ConfigError(
        f"no {', '.join(missing)} in {looked}: give --configs the folder of the repository's configurations"
    )


def _known(names: Sequence[str]) -> list[str]:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise ConfigError(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return list(dict.fromkeys(names))


def is_finished(folder: Path, config: BaseModel) -> bool:
    """Whether a run of this configuration has ended in a folder, with the versions of now."""
    try:
        there, record = read_keys(folder / CONFIG), read_record(folder)
        ended_last = (folder / RECORD).stat().st_mtime_ns >= (folder / CONFIG).stat().st_mtime_ns
    except (OSError, OutputError):
        return False
    here = resolved(config)
    same = all(there.get(key) == here.get(key) for key in {*there, *here} - {"output"})
    return same and ended_last and record.get("versions") == environment()["versions"]


def _standing(folder: Path, failure: str | None) -> dict[str, Any]:
    """Where a part's own report is, and what in it needs attention; of a part that failed, why."""
    if failure is not None:
        return {"report": None, "attention": [f"failed, and has no rows below: {failure}"]}
    attention = [
        f"{check.name}: {check.found}" for check in checks_of(read_record(folder)) if check.verdict == "attention"
    ]
    return {"report": f"{folder.name}/report.html", "attention": attention}


def _seconds(folder: Path) -> float:
    """What a part took, all its stages together."""
    return round(sum(section(read_record(folder), "seconds", folder / RECORD).values()), 1)


def rows_of_part(part: Part, folder: Path) -> pd.DataFrame:
    """All published rows of a part that has ended: those of its summary, then those of its other tables."""
    tables = [read_table(folder / "summary.csv"), *(table.rows(folder) for table in part.tables)]
    rows = [published_rows(part, table) for table in tables]
    return pd.concat([table for table in rows if len(table)] or rows[:1], ignore_index=True)


def published_rows(part: Part, figures: pd.DataFrame) -> pd.DataFrame:
    """The rows of a run's figures that are published: theirs, ours, the difference, and why."""
    published = next((name for name in figures.columns if PUBLISHED.search(str(name))), None)
    if published is None:
        return pd.DataFrame(columns=COLUMNS)
    numbers = [n for n in figures.columns if pd.api.types.is_float_dtype(figures[n]) and not PUBLISHED.search(str(n))]
    ours = next(name for name in numbers if "s.e." not in str(name))
    rows = figures[figures[published].notna()]
    error = next((name for name in numbers if str(name).endswith("s.e.") and not str(name).startswith("FF")), None)
    names = list(_names(rows))
    return pd.DataFrame(
        {
            "paper": part.paper,
            "figure": names,
            "published": rows[published].to_numpy(float),
            "ours": rows[ours].to_numpy(float),
            "s.e.": np.nan if error is None else rows[error].to_numpy(float),
            "difference": (rows[ours] - rows[published]).to_numpy(float),
            "why they differ": [
                _reason(row, name, part) for name, (_, row) in zip(names, rows.iterrows(), strict=True)
            ],
        },
        columns=COLUMNS,
    )


def said_rows(folders: Mapping[Part, Path]) -> pd.DataFrame:
    """What the papers say in words, and whether it holds, of the parts that judge it; empty where none does."""
    said = [(part, statements_of(part, folder)) for part, folder in folders.items()]
    tables = [table.assign(**{"why they differ": part.reason}) for part, table in said if table is not None]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


COLUMNS = ["paper", "figure", "published", "ours", "s.e.", "difference", "why they differ"]


def _names(rows: pd.DataFrame) -> Iterator[str]:
    texts = [n for n in rows.columns if not pd.api.types.is_numeric_dtype(rows[n]) and n not in REASONS]
    for _, row in rows.iterrows():
        yield ", ".join(str(row[name]) for name in texts if pd.notna(row[name]))


def _reason(row: pd.Series, figure: str, part: Part) -> str:
    own = [str(row[name]) for name in REASONS if name in row and pd.notna(row[name])]
    return "; ".join(text for text in (*own, part.reason_of(figure), part.reason) if text)
