"""Tables of estimated externalities as the papers print them, and what the papers found."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from spatialjax.cities.spillovers import SECTORAL_HUBS_SHARE, SECTORAL_HUBS_SIZE
from spatialjax.estimation.instrumental import InstrumentalEstimate

if TYPE_CHECKING:
    from spatialjax.estimation.spillovers import SpilloverEstimates

ESTIMATORS = {"ols": "OLS", "2sls": "2SLS", "cue": "GMM-CUE"}
TITLES = {"occupation": "Externalities by occupation (CH eq. 6)", "group": "Externalities by industry (SH eq. 1)"}
LABELS = {"share": "ln(L_k / L)", "size": "ln L"}
MATHEMATICS = {"share": r"$\ln(L^k_n / L_n)$", "size": r"$\ln L_n$"}
ERROR = ", s.e."

COGNITIVE_HUBS = {
    "ols": {"share": ((0.889, 0.12), (0.702, 0.22)), "size": ((0.386, 0.05), (0.322, 0.04))},
    "2sls": {"share": ((1.177, 0.38), (0.263, 0.51)), "size": ((0.334, 0.06), (0.284, 0.05))},
    "cue": {"share": ((1.304, 0.38), (0.835, 0.51)), "size": ((0.349, 0.06), (0.357, 0.04))},
}
"""CH Table 2: (coefficient, standard error) of (CNR, non-CNR)."""
SECTORAL_HUBS_ERRORS = {
    "health_education": (0.05, 0.14, 0.01),
    "professional_other": (0.08, 0.14, 0.01),
    "manufacturing": (0.13, 0.21, 0.01),
    "accommodation_trade_transport": (0.10, 0.14, 0.01),
}
"""SH Table 1: standard errors of the share of CNR, of non-CNR, and of size."""


def long_table(regressions: Mapping[str, InstrumentalEstimate], by: str) -> pd.DataFrame:
    """A row each coefficient."""
    rows = [
        {by: name, "coefficient_of": of, **row, **_statistics(found, str(of))}
        for name, found in regressions.items()
        for of, row in found.table().to_dict("index").items()
    ]
    return pd.DataFrame(rows)


def by_occupation(regressions: Mapping[str, InstrumentalEstimate]) -> pd.DataFrame:
    """CH Table 2: a column each regression, standard errors under coefficients, statistics below."""
    return pd.DataFrame({name: _column(found) for name, found in regressions.items()})


def by_group(regressions: Mapping[str, InstrumentalEstimate]) -> pd.DataFrame:
    """SH Table 1: a row each group and a column each coefficient, and statistics to the right."""
    return pd.DataFrame({name: _row(found) for name, found in regressions.items()}).T


def side_by_side(estimates: Sequence["SpilloverEstimates"]) -> pd.DataFrame:
    """CH Table 2: estimators side by side, with columns (estimator, occupation)."""
    columns = {ESTIMATORS[found.estimator]: by_occupation(found.regressions) for found in estimates}
    return pd.concat(columns, axis=1).fillna("")


def beside_published(estimates: "SpilloverEstimates") -> pd.DataFrame:
    """Coefficients and standard errors beside those of CH Table 2, or SH Table 1 for its four groups.

    The papers' columns are for occupations (CNR, non-CNR) in this order; for others they are not numbers.
    """
    found = estimates.table()
    keys = [estimates.by, "coefficient_of", "coefficient", "standard_error"]
    columns = {"coefficient": "published", "standard_error": "published_standard_error"}
    values = [_published(estimates, str(row[0]), str(row[1])) for row in found[keys[:2]].itertuples(index=False)]
    published = pd.DataFrame(values, columns=list(columns.values()), dtype=float)
    return pd.concat([found[keys], published], axis=1)


def caption(estimates: "SpilloverEstimates") -> str:
    """Title of a printed table."""
    first = next(iter(estimates.regressions.values()))
    clusters = ", ".join(f"{name} ({count})" for name, count in first.clusters.items())
    errors = f"standard errors clustered by {clusters}" if clusters else "robust standard errors"
    return f"{TITLES[estimates.by]}, {ESTIMATORS[estimates.estimator]}; {errors}"


def as_text(table: pd.DataFrame, title: str) -> str:
    """A table of strings in columns of equal width."""
    return f"{title}\n{table.rename(index=_blank).to_string()}"


def as_latex(table: pd.DataFrame, title: str) -> str:
    """A tabular for LaTeX, with the title as a comment."""
    shown = table.rename(index=_blank)
    lines = [" & ".join(map(_latex, cells)) + r" \\" for cells in [("", *shown.columns), *shown.itertuples()]]
    lines.insert(1, r"\hline")
    return "\n".join([f"% {title}", rf"\begin{{tabular}}{{l{'c' * shown.shape[1]}}}", *lines, r"\end{tabular}"])


def _blank(label: str) -> str:
    return "" if label.endswith(ERROR) else label


def _latex(text: object) -> str:
    """Text with special characters escaped and symbols in mathematics."""
    escaped = re.sub(r"([_&%#])", r"\\\1", str(text))
    for name, label in LABELS.items():
        escaped = escaped.replace(label.replace("_", r"\_"), MATHEMATICS[name])
    return escaped


def _label(coefficient: str) -> str:
    name, _, occupation = coefficient.partition(":")
    label = LABELS[name]
    return f"{label}, {occupation}" if occupation else label


def _column(found: InstrumentalEstimate) -> pd.Series:
    cells: dict[str, str] = {}
    for name, row in found.table().iterrows():
        cells[_label(str(name))] = f"{row['coefficient']:.3f}"
        cells[_label(str(name)) + ERROR] = f"({row['standard_error']:.3f})"
    return pd.Series(cells | _printed_statistics(found))


def _row(found: InstrumentalEstimate) -> pd.Series:
    cells = {
        _label(str(name)): f"{row['coefficient']:.2f} ({row['standard_error']:.2f})"
        for name, row in found.table().iterrows()
    }
    return pd.Series(cells | _printed_statistics(found))


def _printed_statistics(found: InstrumentalEstimate) -> dict[str, str]:
    cells = {"Observations": f"{found.observations:,}"}
    if (first := found.first_stage) is not None:
        cells["K.P. F"] = f"{first.kleibergen_paap:.3f}"
        cells |= {f"S.W. F, {_label(str(n))}": f"{value:.3f}" for n, value in first.sanderson_windmeijer.items()}
    if (test := found.over_identification) is not None and test.freedom > 0:
        cells["J (p)"] = f"{test.statistic:.2f} ({test.p:.3f})"
    return cells


def _statistics(found: InstrumentalEstimate, coefficient: str) -> dict[str, float]:
    first, test = found.first_stage, found.over_identification
    nan = float("nan")
    return {
        "observations": found.observations,
        "sanderson_windmeijer_f": nan if first is None else float(first.sanderson_windmeijer[coefficient]),
        "kleibergen_paap_f": nan if first is None else first.kleibergen_paap,
        "hansen_j": nan if test is None else test.statistic,
        "hansen_p": nan if test is None else test.p,
    }


def _published(estimates: "SpilloverEstimates", regression: str, coefficient: str) -> tuple[float, float]:
    nan = float("nan")
    if len(estimates.occupations) != 2:
        return nan, nan
    name, _, occupation = coefficient.partition(":")
    if estimates.by == "occupation":
        return COGNITIVE_HUBS[estimates.estimator][name][estimates.occupations.index(regression)]
    if regression not in SECTORAL_HUBS_SHARE:
        return nan, nan
    errors = SECTORAL_HUBS_ERRORS[regression]
    if name == "size":
        return SECTORAL_HUBS_SIZE[regression], errors[2]
    k = estimates.occupations.index(occupation)
    return SECTORAL_HUBS_SHARE[regression][k], errors[k]
