"""Every number that a published or known model must give, beside what the library gives: one page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from spatialjax.errors import DataError, OutputError
from spatialjax.files import write
from spatialjax.nested.row import ValidationRow
from spatialjax.report.reading import read_keys, read_table
from spatialjax.workflow.output import CONFIG, environment
from spatialjax.workflow.paper import COLUMNS as PAPER_COLUMNS
from spatialjax.workflow.paper import rows_of_part
from spatialjax.workflow.paper_parts import PARTS, STATEMENTS, Part, statements_of
from spatialjax.workflow.stages import Reporter, Silent

COMMAND = "spatialjax validate-models"
PART_OF_ECONOMY = {
    "cities": "cognitive_hubs",
    "history": "history",
    "spillovers": "spillovers",
    "granular": "granular",
    "density": "density",
}
"""By `economy` of a run's configuration, the part of the page of the papers that it is."""


@dataclass(frozen=True)
class PublishedModel:
    """A model whose authors' files lie in a folder: its module in `nested`, that folder, and what is in it."""

    module: str
    folder: str
    data: str


MODELS = (
    PublishedModel("nafta", "cp2015", "31 countries, 40 sectors, trade and tariffs of 1993 and 2005"),
    PublishedModel("helpman", "rrh2017", "grid of 30 x 30 cells, the authors' productivities"),
    PublishedModel("eu_enlargement", "ge_gravity", "44 countries, trade of 2000"),
)


@dataclass(frozen=True)
class Validation:
    """What was compared, by data set, and what was left out and why; the papers' figures and statements, if any."""

    rows: dict[str, list[ValidationRow]]
    papers: pd.DataFrame | None
    left_out: dict[str, str]
    statements: pd.DataFrame | None = None

    @property
    def broken(self) -> list[ValidationRow]:
        """The rows that do not hold."""
        return [row for rows in self.rows.values() for row in rows if not row.holds]

    def table(self) -> pd.DataFrame:
        """All rows: model, data, quantity, known, ours, difference, seconds, the toolkit's, and whether they hold."""
        return pd.DataFrame(
            [_as_record(row, data) for data, rows in self.rows.items() for row in rows],
            columns=["model", "data", "quantity", "known", "ours", "difference", *SECONDS, "holds"],
        )


SECONDS = ("seconds", "toolkit's seconds")
MADE_HERE = "made here"


def validate_models(
    peers: str | Path | None = None, papers: str | Path | None = None, reporter: Reporter | None = None
) -> Validation:
    """Compute every number that can be compared with a known one.

    **Arguments:**

    - `peers`: folder with the folders of published models (`MODELS`); without it there are only closed forms.
    - `papers`: folder of a finished `spatialjax paper`, or of a finished run of one of its parts.

    **Raises:** `DataError` for files that are there and cannot be read, or a folder of `papers` that is none; the
    errors of [`solve`][].
    """
    reporter = Silent() if reporter is None else reporter
    rows, left_out = {}, {}
    found, said = (None, None) if papers is None else (figures_of_papers(Path(papers)), statements_in(Path(papers)))
    with reporter.stage("closed forms"):
        rows[MADE_HERE] = _closed_forms()
    for model in MODELS:
        folder = None if peers is None else Path(peers) / model.folder
        if folder is None or not folder.is_dir():
            left_out[model.module] = f"`{COMMAND} --peers FOLDER` computes it from `FOLDER/{model.folder}`"
            continue
        with reporter.stage(f"{model.folder}: {model.data}"):
            rows[model.data] = import_module(f"spatialjax.nested.{model.module}").rows(folder)
    return Validation(rows, found, left_out, said)


def _closed_forms() -> list[ValidationRow]:
    from spatialjax.nested import closed_forms

    return closed_forms.rows()


def figures_of_papers(folder: Path) -> pd.DataFrame:
    """Published figures beside ours: of the page of the papers, or of a run of one of its parts.

    **Raises:** `DataError` where the folder has neither.
    """
    try:
        economy = _economy(folder)
        if economy == "paper":
            return read_table(folder / "summary.csv")[PAPER_COLUMNS]
        if (part := _part_of(economy)) is not None:
            return rows_of_part(part, folder)
    except (OSError, ValueError, KeyError, OutputError) as error:
        remedy = "give --papers the folder of a finished `spatialjax paper`, or of one of its parts"
        raise DataError(str(folder), [f"has no finished run ({error}); {remedy}"]) from error
    raise DataError(str(folder), [f"is a run of economy {economy!r}, of which the papers publish nothing"])


def statements_in(folder: Path) -> pd.DataFrame | None:
    """What the papers say in words, and whether it holds, of a run that judges it; None of another."""
    if (part := _part_of(_economy(folder))) is not None:
        return statements_of(part, folder)
    return read_table(folder / STATEMENTS) if (folder / STATEMENTS).exists() else None


def _economy(folder: Path) -> str:
    """The `economy` of a run's configuration."""
    return str(read_keys(folder / CONFIG).get("economy", "cities"))


def _part_of(economy: str) -> Part | None:
    return PARTS[PART_OF_ECONOMY[economy]] if economy in PART_OF_ECONOMY else None


def write_page(path: Path, validation: Validation) -> Path:
    """Write the page, Markdown."""
    return write(path, lambda temporary: temporary.write_text("\n".join(_page(validation)) + "\n", encoding="utf-8"))


def _page(validation: Validation) -> Iterator[str]:
    table = validation.table()
    versions, device = (environment()[key] for key in ("versions", "device"))
    yield "# Validation"
    yield ""
    yield f"Known numbers beside what the library computes, written by `{COMMAND}`: with `--peers FOLDER` also those of"
    yield "models whose authors publish their files, with `--papers FOLDER` those of a finished `spatialjax paper`."
    yield "[Models that the city economy nests](nested.md) says how each is an economy of the library. The command ends"
    yield "with status 1 if a row of the models does not hold: if the difference is more than half a unit of the last"
    yield "digit published, or more than the solver's tolerance leaves of a closed form. Seconds are of the solves,"
    yield "after compilation; the toolkit's are those of the authors' code or of a replication."
    yield ""
    yield f"**{int(table['holds'].sum())} of {len(table)} rows hold**, with spatialjax {versions['spatialjax']} and jax"
    yield f"{versions['jax']} on {device['platform']}, {device['cores']} cores."
    yield ""
    yield "## The four papers"
    yield ""
    yield from _papers(validation.papers)
    if validation.statements is not None:
        yield from _statements(validation.statements)
    for data, rows in validation.rows.items():
        yield ""
        yield from _models(data, rows)
    for module, reason in validation.left_out.items():
        yield ""
        yield f"- `{module}` is left out here: {reason}."


def _papers(figures: pd.DataFrame | None) -> Iterator[str]:
    if figures is None or figures.empty:
        yield "Not computed here: `spatialjax paper` runs what the papers publish, `spatialjax paper --only"
        yield "cognitive_hubs` one part, and `--papers FOLDER` of this command then shows its figures, with reasons why"
        yield "they differ."
        return
    yield "None of these rows decides the command's status: where the data are not the authors', numbers differ, for"
    yield "the reason above each table and in the notes below it."
    for paper, rows in figures.fillna({"why they differ": ""}).groupby("paper", sort=False):
        yield ""
        yield f"### {paper}"
        yield ""
        yield from _paper(str(paper), rows)
    yield from _not_shown(figures)


def _paper(paper: str, rows: pd.DataFrame) -> Iterator[str]:
    """A paper's figures: the reason that they share above the table, those of single figures as notes below it."""
    shared = _shared_reason(paper, rows["why they differ"])
    own = [text.removesuffix(shared).removesuffix("; ") for text in rows["why they differ"]]
    notes = {text: str(number) for number, text in enumerate(dict.fromkeys(filter(None, own)), start=1)}
    otherwise = "see the notes" if notes else "the data are the same"
    yield f"Why ours differ: {shared or otherwise}."
    yield ""
    columns = ["figure", "published", "ours", "difference", *(["note"] if notes else [])]
    yield from _markdown(
        columns,
        [
            [
                str(row["figure"]),
                *(_number(row[name]) for name in ("published", "ours", "difference")),
                *([notes.get(text, "")] if notes else []),
            ]
            for (_, row), text in zip(rows.iterrows(), own, strict=True)
        ],
    )
    if notes:
        yield ""
    for text, number in notes.items():
        yield f"{number}. {text}."


def _shared_reason(paper: str, reasons: pd.Series) -> str:
    """What is said of all figures of a paper: the reason of its part, or of a paper that is no part the one reason."""
    parts = [part.reason for part in PARTS.values() if part.paper == paper]
    known = [*parts, *([reasons.iloc[0]] if reasons.nunique() == 1 else [])]
    return next((reason for reason in known if reasons.str.endswith(reason).all()), "")


def _statements(said: pd.DataFrame) -> Iterator[str]:
    yield ""
    yield "### What they say in words"
    yield ""
    yield f"{int(said['holds'].sum())} of {len(said)} statements hold on these data."
    yield ""
    columns = ["source", "statement", "measure", "ours", "holds"]
    yield from _markdown(
        columns,
        [
            [
                row["source"],
                row["statement"],
                row["measure"],
                f"{row['value']:.3g}",
                "yes" if row["holds"] else "**no**",
            ]
            for _, row in said.iterrows()
        ],
    )


def _not_shown(figures: pd.DataFrame) -> Iterator[str]:
    names = [name for name, part in PARTS.items() if part.paper not in set(figures["paper"])]
    if names:
        yield ""
        yield f"Not computed here: `spatialjax paper{''.join(f' --only {name}' for name in names)}`."


def _models(data: str, rows: Sequence[ValidationRow]) -> Iterator[str]:
    yield "## Closed forms" if data == MADE_HERE else f"## {rows[0].model}"
    yield ""
    yield "Small economies that the command makes." if data == MADE_HERE else f"Data: {data}. Known: {_sources(rows)}."
    yield ""
    timed = any(row.seconds is not None for row in rows)
    columns = ["model", "quantity", "known", "ours", "difference", *(SECONDS if timed else ()), "holds"]
    yield from _markdown(columns, [_cells(row, data, columns) for row in rows])
    for note in dict.fromkeys(row.note for row in rows if row.note):
        yield ""
        yield f"Note: {note}."


def _sources(rows: Sequence[ValidationRow]) -> str:
    return "; ".join(dict.fromkeys(row.source for row in rows))


def _cells(row: ValidationRow, data: str, columns: Sequence[str]) -> list[str]:
    record = {
        **_as_record(row, data),
        "known": _number(row.known),
        "ours": _number(row.computed),
        "difference": f"{row.difference:.1e}",
        "seconds": _seconds(row.seconds),
        "toolkit's seconds": _seconds(row.toolkit_seconds),
        "holds": _verdict(row.holds),
    }
    return [str(record[name]) for name in columns]


def _as_record(row: ValidationRow, data: str) -> dict[str, object]:
    return {
        "model": row.model,
        "data": data,
        "quantity": row.quantity,
        "known": row.known,
        "ours": row.computed,
        "difference": row.difference,
        "seconds": row.seconds,
        "toolkit's seconds": row.toolkit_seconds,
        "holds": row.holds,
    }


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    numbers = ("known", "ours", "published", "difference", *SECONDS)
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---:' if name in numbers else '---' for name in columns)} |"
    for cells in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _verdict(holds: bool) -> str:
    return "yes" if holds else "**no**"


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.7g}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}" if value < 10 else f"{value:.0f}"
