"""The parts of the page of the four papers: configurations, tables with published numbers, and why ours differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd

from spatialjax.report.reading import read_table
from spatialjax.workflow.statement import Statement, table_of


@dataclass(frozen=True)
class PublishedTable:
    """Columns of a run's table, besides its summary, that have published numbers.

    `file` is the table, `figure` names a row by its columns in braces, and `ours`, `published` and `error` (the
    standard error of ours, if any) are columns.
    """

    file: str
    figure: str
    ours: str
    published: str
    error: str = ""

    def rows(self, folder: Path) -> pd.DataFrame:
        """The rows of a run's folder, with the columns of a summary; none where nothing published stands beside."""
        path = folder / self.file
        table = read_table(path) if path.exists() else pd.DataFrame()
        if self.published not in table:
            return pd.DataFrame()
        named = [self.figure.format_map({**row, **TERMS.get(row.get("of"), {})}) for row in table.to_dict("records")]
        found = pd.DataFrame({"figure": named, "ours": table[self.ours], "published": table[self.published]})
        return (found.assign(**{"s.e.": table[self.error]}) if self.error else found).drop_duplicates("figure")


@dataclass(frozen=True)
class Part:
    """A run whose figures are published: its paper, its configuration, and why ours differ as a whole.

    `tables` have published numbers besides its summary, `signs` is the table that judges published signs, and `reasons`
    are those of single figures, by patterns of their names (`*` stands for anything); the first that fits counts.
    """

    paper: str
    config: str
    reason: str
    tables: tuple[PublishedTable, ...] = ()
    signs: str = ""
    reasons: tuple[tuple[str, str], ...] = ()

    def reason_of(self, figure: str) -> str:
        """Why this figure differs, beside what is said of all; empty where nothing is known of it alone."""
        return next((reason for pattern, reason in self.reasons if fnmatchcase(figure, pattern)), "")


TERMS: Mapping[object, Mapping[str, str]] = {
    "share": {"of": "CNR share", "unit": "percent"},
    "size": {"of": "size", "unit": "thousand workers"},
}
"""What two cities are compared in (CH section 4.7)."""
CITY_TABLES = (
    PublishedTable(
        "wage_regressions.csv",
        "Table 1: {dependent} on {regressor}",
        "coefficient",
        "published",
        "standard_error",
    ),
    *(
        PublishedTable(
            "productivity_moves.csv",
            f"section 4.7: {{occupation}} gain, {{from city}} to {{to city}}{levels}, percent",
            ours,
            "gain (CH)",
        )
        for levels, ours in (("", "gain"), (", CH's levels", "gain at CH's levels"))
    ),
    *(
        PublishedTable("productivity_moves.csv", figure.replace("END", end), ours, f"{ours} (CH)")
        for end in ("from", "to")
        for figure, ours in (
            ("section 4.7: {of} of {END city}, {unit}", end),
            ("section 4.7: percentile of {END city} in {of}", f"{end} percentile"),
        )
    ),
)
DATA = (
    "public data instead of CH's: wages of the OEWS of 2025, occupations by county from the ACS, imputed cells of "
    "County Business Patterns, assumed distance elasticities (docs/data.md)"
)
WAGES = "wages here are of 2025, and not corrected for the composition of workers as CH's are"
OCCUPATIONS = (
    "CH have occupations by city and industry; here they are by county, and no metro-industry cell is observed"
)
FEWER = "33.4 percent of workers are CNR here; CH's mean net transfers, which balance, imply 37.9 (docs/reports.md)"
STATED_WAGES = "the mean wages of CH section 7.4, which these data have too, do not give CH's number (docs/reports.md)"
DIFFERENCE = "by CH Table 2 the wedge difference is 1.304 times the CNR wage less 0.835 times the non-CNR wage"
TRANSFER = "a city's net transfer is the base transfer plus (nu wedge - wage)/(1 + nu)"
CITY_REASONS = (
    ("mean wedge difference, *", f"{DIFFERENCE}; {STATED_WAGES}"),
    ("corr(wedge difference, *", f"{DIFFERENCE}; {WAGES}"),
    ("corr(log size, CNR share), data", OCCUPATIONS),
    ("corr(log size, log premium), data", WAGES),
    ("mean net transfer to non-CNR, *", f"it balances the one to CNR: {FEWER}"),
    (
        "base transfer to *",
        f"it is the mean net transfer plus the mean of (wage - nu wedge)/(1 + nu); {STATED_WAGES}; {FEWER}",
    ),
    (
        "cities where CNR are net recipients, *",
        "the share hangs on a tail near zero, for CH's 90th percentile is a transfer of -309 dollars; "
        f"{TRANSFER}; {WAGES}; {OCCUPATIONS}",
    ),
    ("net transfer to *", f"{TRANSFER}; {WAGES}; {OCCUPATIONS}"),
    ("share of CNR in San Jose, data*", f"{FEWER}; {OCCUPATIONS}"),
    (
        "Table 1: *",
        "CH's observations are cities by industry, and their wages are residuals of characteristics of workers; ours "
        "are means over occupations, one for each city",
    ),
    ("section 4.7: * gain, *, CH's levels, *", "CH round gains and levels; shares of value added are these data's"),
    (
        "section 4.7: * gain, *",
        "the cities' CNR shares and sizes differ (rows below); the row at CH's levels takes theirs",
    ),
    ("section 4.7: *CNR share*", f"{FEWER}; {OCCUPATIONS}"),
)
PARTS = {
    "cognitive_hubs": Part(
        "Cognitive Hubs, sections 2, 4.5, 4.7, 5.2, 6 and 7",
        "cognitive_hubs.toml",
        DATA,
        CITY_TABLES,
        "validation.csv",
        CITY_REASONS,
    ),
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
STATEMENTS = "statements.csv"


def statements_of(part: Part, folder: Path) -> pd.DataFrame | None:
    """What the papers say in words and by signs, and whether it holds, of a part's folder; None where nothing does."""
    tables = [read_table(folder / STATEMENTS)] if (folder / STATEMENTS).exists() else []
    if part.signs and (folder / part.signs).exists():
        tables.append(_signs(read_table(folder / part.signs)))
    return pd.concat(tables, ignore_index=True) if tables else None


def _signs(table: pd.DataFrame) -> pd.DataFrame:
    """Statements of CH section 4.5, whose text gives signs alone: a slope each."""
    return table_of(
        Statement(
            "CH section 4.5",
            row["statement"],
            f"slope of {row['dependent']} on {row['regressor']}",
            float(row["coefficient"]),
            bool(row["holds"]),
        )
        for _, row in table.iterrows()
    )
