"""Checks of a panel of establishments: everything that is wrong with it, at once, with establishments and years."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatialjax.density.simulation_truth import AGES, TENURES
from spatialjax.errors import DataError

SHOWN = 3
"""Rows that one message names."""

REQUIRED = (
    *("establishment", "firm", "cbsa", "cbsa_lag", "industry", "industry2", "year", "employment", "employment_lag"),
    *("payroll", "payroll_lag", "earnings_lag", "earnings_lead", "age", "multi_unit", "entrant", "exit"),
)
"""Columns that a panel must have. Those that can be made of it and of its history are checked where they are there."""

WHOLE = (
    "establishment",
    "firm",
    "cbsa",
    "cbsa_lag",
    "county",
    "industry",
    "industry2",
    "year",
    "age",
    "county_changes",
)
FLAGS = ("multi_unit", "entrant", "exit", "moved")
Column = np.ndarray


@dataclass(frozen=True)
class Rule:
    """What must hold of some columns: `bad` marks the rows where it does not."""

    columns: tuple[str, ...]
    message: str
    bad: Callable[..., np.ndarray]


def _none(values: Column) -> Column:
    return np.isnan(values)


def _not_positive(values: Column) -> Column:
    return ~(np.isfinite(values) & (values > 0))


def _negative(values: Column) -> Column:
    return (values < 0) | np.isinf(values)


RULES = (
    Rule(
        ("employment",), "employment must be positive in every row (leave years without employment out)", _not_positive
    ),
    Rule(
        ("employment_lag",), "employment_lag must be positive, or NaN for none", lambda n: _not_positive(n) & ~_none(n)
    ),
    Rule(("payroll",), "payroll is negative or infinite", _negative),
    Rule(("payroll_lag",), "payroll_lag is negative or infinite", _negative),
    Rule(("earnings",), "earnings must be positive", _not_positive),
    Rule(("earnings_lag",), "earnings_lag is negative or infinite", _negative),
    Rule(("earnings_lead",), "earnings_lead is negative or infinite", _negative),
    Rule(("age",), f"age must be 0 to {AGES - 1} (16 for 16 and more)", lambda a: (a < 0) | (a >= AGES)),
    Rule(("tenure",), f"tenure must be 0 to {TENURES - 1} (6 for 6 and more)", lambda t: (t < 0) | (t >= TENURES)),
    Rule(("county_changes",), "county_changes is negative", lambda n: n < 0),
    Rule(("industry", "industry2"), "industry2 is not the first two digits of industry", lambda f, t: f // 100 != t),
    Rule(("entrant", "employment_lag"), "entrant, but with employment the year before", lambda e, n: e & ~_none(n)),
    Rule(("entrant", "payroll_lag"), "entrant, but with payroll of the year before", lambda e, p: e & ~_none(p)),
    Rule(("entrant", "earnings_lag"), "entrant, but with earnings of the year before", lambda e, w: e & ~_none(w)),
    Rule(
        ("entrant", "cbsa_lag"), "entrant, but with a CBSA the year before (it must be -1)", lambda e, c: e & (c != -1)
    ),
    Rule(("entrant", "age"), "entrant, but of an age above 0", lambda e, a: e & (a != 0)),
    Rule(("entrant", "age"), "age 0, but not an entrant", lambda e, a: ~e & (a == 0)),
    Rule(("entrant", "employment_lag"), "no entrant, but without employment_lag", lambda e, n: ~e & _none(n)),
    Rule(("entrant", "payroll"), "entrant without payroll, of which eq. (1) makes earnings", lambda e, p: e & _none(p)),
    Rule(("employment_lag", "payroll_lag"), "employment_lag without payroll_lag", lambda n, p: ~_none(n) & _none(p)),
    Rule(("exit", "earnings_lead"), "exit, but with earnings of the year after", lambda x, w: x & ~_none(w)),
    Rule(("moved", "county_changes"), "moved, but without a change of county", lambda m, n: m & (n == 0)),
)


def check_panel(
    panel: pd.DataFrame,
    source: str = "panel",
    cbsas: pd.DataFrame | None = None,
    required: Sequence[str] = REQUIRED,
) -> None:
    """Raise `DataError` listing every problem that [`find_panel_problems`][] finds."""
    problems = find_panel_problems(panel, cbsas, required)
    if problems:
        raise DataError(source, problems)


def find_panel_problems(
    panel: pd.DataFrame, cbsas: pd.DataFrame | None = None, required: Sequence[str] = REQUIRED
) -> list[str]:
    """Everything that keeps a table from being a panel of establishments; empty if nothing does.

    Checks what is there: columns that are missing, whole numbers, flags, keys (establishment, year) that occur twice,
    ranges, and what the columns of a row say of each other. Messages name establishments and years.

    **Arguments:**

    - `cbsas`: a table whose index has all CBSAs; without one codes are not looked up.
    - `required`: columns that must be there.
    """
    problems = [f"column {name} is missing" for name in required if name not in panel.columns]
    if not len(panel):
        return [*problems, "there are no rows"]
    unfit = list(_unfit(panel))
    problems += [message for _, message in unfit]
    sound = [name for name in panel.columns if name not in {name for name, _ in unfit}]
    return [*problems, *_repeated(panel, sound), *_broken(panel, sound), *_unknown_cbsas(panel, sound, cbsas)]


def _unfit(panel: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Columns of the wrong type, which no other rule looks at."""
    numbers = {name for rule in RULES for name in rule.columns} | set(WHOLE)
    for name in (str(x) for x in panel.columns):
        kind = panel[name].dtype.kind
        if name in FLAGS and kind != "b":
            yield name, f"column {name} holds {panel[name].dtype}; it must hold True and False (as_panel makes them)"
        elif name in WHOLE and kind not in "iu":
            yield name, f"column {name} holds {panel[name].dtype}; it must hold whole numbers (as_panel makes them)"
        elif name in numbers and name not in FLAGS and kind not in "iuf":
            yield name, f"column {name} holds {panel[name].dtype}; it must hold numbers"


def _repeated(panel: pd.DataFrame, sound: list[str]) -> Iterator[str]:
    if {"establishment", "year"} <= set(sound):
        bad = panel.duplicated(["establishment", "year"]).to_numpy()
        if bad.any():
            yield _message("establishment and year occur more than once", panel, bad)


def _broken(panel: pd.DataFrame, sound: list[str]) -> Iterator[str]:
    for rule in RULES:
        if set(rule.columns) <= set(sound):
            bad = rule.bad(*(panel[name].to_numpy() for name in rule.columns))
            if bad.any():
                yield _message(rule.message, panel, bad, rule.columns)


def _unknown_cbsas(panel: pd.DataFrame, sound: list[str], cbsas: pd.DataFrame | None) -> Iterator[str]:
    for name in ("cbsa", "cbsa_lag"):
        if cbsas is not None and name in sound:
            codes = pd.unique(panel[name])
            unknown = codes[~np.isin(codes, cbsas.index) & ((codes != -1) | (name == "cbsa"))]
            if len(unknown):
                bad = panel[name].isin(unknown).to_numpy()
                yield _message(f"{name} is not in the CBSA table", panel, bad, (name,))


def _message(problem: str, panel: pd.DataFrame, bad: np.ndarray, columns: Sequence[str] = ()) -> str:
    rows = panel.iloc[np.flatnonzero(bad)[:SHOWN]]
    named = "; ".join(_row(rows.iloc[[n]], columns) for n in range(len(rows)))
    more = f" and {bad.sum() - SHOWN} more" if bad.sum() > SHOWN else ""
    return f"{problem}: {named}{more}"


def _row(row: pd.DataFrame, columns: Sequence[str]) -> str:
    """A row by establishment and year, where there are these, and what it has in some columns."""
    where = f"row {row.index[0]}"
    if {"establishment", "year"} <= set(row.columns):
        where = f"establishment {row['establishment'].iloc[0]} in {row['year'].iloc[0]}"
    values = ", ".join(f"{name} {row[name].iloc[0]}" for name in columns)
    return f"{where} ({values})" if values else where
