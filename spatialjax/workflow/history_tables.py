"""Tables of cities for any run (CH Table 1, sections 4.5 and 4.7), and those of a historical decomposition."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.history import Decomposition
from spatialjax.cities.history_table import PUBLISHED_RATIO, WelfareTable
from spatialjax.cities.outcomes import OccupationPair
from spatialjax.cities.validation import (
    city_measures,
    productivity_moves,
    validation_regressions,
    wage_regressions,
)
from spatialjax.workflow.summary import PUBLISHED_PAIR

PUBLISHED_GAIN = 0.59
"""CH section 6: gain of the optimum of 2011-15, percent."""
RATIO = "ratio"
USED = {
    (True, "baseline"): "used: wages of the stylised economy, relative to the last stage",
    (True, "+ input shares"): "the ratio is matched: sector_tilt",
    (False, "+ occupational shares"): "the ratio is matched: occupation_share",
}
"""Published rows that the stylised 1980 economy is made with, and that it cannot confirm."""


def validation_tables(
    economy: Economy, result: xr.Dataset, *, published: bool, pair: OccupationPair | None = None
) -> dict[str, pd.DataFrame]:
    """Tables of an inverted economy of two occupations or more, by the name of their file; none for one.

    `wage_regressions` (CH Table 1), `validation` (section 4.5), `productivity_moves` (section 4.7, for the cities that
    the data have).

    **Arguments:**

    - `economy`, `result`: an economy and its labelled equilibrium.
    - `published`: put CH's numbers beside.
    - `pair`: the occupations that the regressions compare, by default the first two.
    """
    if result.sizes["occupation"] < 2:
        return {}
    tables = {
        "wage_regressions": wage_regressions(result, pair=pair, published=published and pair in (None, PUBLISHED_PAIR)),
        "validation": validation_regressions(city_measures(economy, result, pair)),
        "productivity_moves": productivity_moves(economy, result),
    }
    return {name: table for name, table in tables.items() if len(table)}


def welfare_frame(tables: Mapping[bool, WelfareTable], occupations: Sequence[str], *, published: bool) -> pd.DataFrame:
    """CH Table 3: its panel with externalities above the one without, a row a row."""
    panels = {
        "with externalities" if external else "without externalities": table.frame(
            tuple(occupations), external if published else None
        )
        for external, table in tables.items()
    }
    frame = pd.concat(panels, names=["model"])
    ratios = [table.baseline_ratio for table in tables.values()]
    frame["welfare ratio in the baseline stage"] = np.repeat(ratios, [len(panel) for panel in panels.values()])
    return frame


def summary_frame(
    found: Mapping[bool, Decomposition],
    tables: Mapping[bool, WelfareTable],
    occupations: Sequence[str],
    *,
    published: bool,
) -> pd.DataFrame:
    """Headline figures of a decomposition, beside CH's where the data are those of the paper's years."""
    rows: list[tuple[str, float, float | None, str]] = []
    for external, table in tables.items():
        model = "with externalities" if external else "without externalities"
        frame = table.frame(tuple(occupations), external if published else None)
        compared = found[external].compared
        columns = [*occupations, *([] if compared is None else [RATIO])]
        for row in frame.index:
            note = USED.get((external, str(row)), "") if published else ""
            for column in columns:
                what = "ratio of relative welfare" if column == RATIO else f"relative welfare of {column}"
                rows.append((f"{what}, {row}, {model}", frame.loc[row, column], _published(frame, row, column), note))
        if compared is not None:
            name = f"welfare of {compared[0]} over that of {compared[1]} in the baseline stage, {model}"
            rows.append((name, table.baseline_ratio, PUBLISHED_RATIO[external] if published else None, ""))
        for best, of in zip(table.optima, ("the target", "the target without the step left out"), strict=False):
            value = 100 * float(best.gain[0]) if best.found else np.nan
            known = PUBLISHED_GAIN if published and external and of == "the target" else None
            rows.append((f"gain of the optimum of {of}, percent, {model}", value, known, ""))
        rows += _dispersions(found[external], model)
    return pd.DataFrame(rows, columns=["figure", "value", "published (CH)", "note"])


def _published(frame: pd.DataFrame, row: str, column: str) -> float | None:
    name = f"{column} (CH)"
    return float(frame.loc[row, name]) if name in frame.columns else None


def _dispersions(found: Decomposition, model: str) -> list[tuple[str, float, None, str]]:
    """How unevenly the occupation of which shares are told works, at both ends."""
    if found.compared is None or "share_dispersion" not in found.values:
        return []
    ends = {"baseline": 0, "target": -1}
    return [
        (f"standard deviation of the {found.compared[0]} share, {end}, {model}", float(values[at]), None, "")
        for values in [found.values["share_dispersion"]]
        for end, at in ends.items()
    ]


def contributions_frame(found: Mapping[bool, Decomposition]) -> pd.DataFrame:
    """What each step adds to each outcome, in order and over all orders, one row a number."""
    frames = {
        "with externalities" if external else "without externalities": _long(decomposition.table())
        for external, decomposition in found.items()
    }
    return pd.concat(frames, names=["model"]).reset_index(level=0).reset_index(drop=True)


def _long(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each step and outcome, a column for each attribution."""
    series = table.stack(["outcome", "of", "attribution"], future_stack=True).dropna()
    return series.unstack("attribution", sort=False).rename_axis(columns=None).reset_index()
