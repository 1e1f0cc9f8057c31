"""Selection through exit: exit along the distribution of earnings, and the survivors of a cohort (FF 5.A)."""

import numpy as np
import pandas as pd

from spatialjax.density.distributions import distribution_statistics
from spatialjax.density.percentiles import density_groups, difference, look_up, percentile, percentile_means
from spatialjax.density.published import TABLE_6
from spatialjax.density.residuals import column_values, residual_earnings, residualised
from spatialjax.errors import DataError

YOUNG = 5
"""Oldest age, in years, of a young establishment (FF Figure 3)."""


def exit_by_percentile(
    panel: pd.DataFrame, cbsas: pd.DataFrame, *, residual: bool = True, clustered: bool = True, window: int = 3
) -> pd.DataFrame:
    """Probability of exit by percentile of earnings within the CBSA, in dense and in sparse CBSAs (FF Figure 3).

    Percentiles rank all establishments of a CBSA, of both years together: years have effects, so that residual
    earnings are comparable. Young establishments, of age at most 5, keep the percentile they have among all.

    **Arguments:**

    - `residual`: exits and earnings net of establishment characteristics, exits within all or within the young
      establishments, with the mean of these added back; False takes them as they are (FF note 17).
    - `clustered`: bands allow for what exits of a CBSA have in common. `window`: percentiles averaged.

    **Returns:** a row for each sample ("all", "young"), group ("high", "low", "high less low") and percentile, with
    the columns of [`percentile_means`][]; probabilities a year.
    """
    earnings = residual_earnings(panel) if residual else column_values(panel, "log_earnings")
    ranked = percentile(earnings, panel["cbsa"].to_numpy(), panel["establishment"].to_numpy())
    group = look_up(density_groups(cbsas), panel["cbsa"])
    tables: dict[tuple[str, str], pd.DataFrame] = {}
    for sample, rows in {"all": np.ones(len(panel), bool), "young": panel["age"].to_numpy() <= YOUNG}.items():
        exits = residualised(panel, "exit", rows) if residual else panel["exit"].to_numpy(float)[rows]
        found = _by_group(exits, ranked[rows], group[rows], panel["cbsa"].to_numpy()[rows], clustered, window)
        tables |= {(sample, name): table for name, table in found.items()}
    return pd.concat(tables, names=["sample", "group"]).reset_index()


def _by_group(exits, ranked, group, places, clustered: bool, window: int) -> dict[str, pd.DataFrame]:
    def means(name):
        rows = group == name
        clusters = places[rows] if clustered else None
        return percentile_means(exits[rows], ranked[rows], clusters, window=window)

    high, low = means("high"), means("low")
    return {"high": high, "low": low, "high less low": difference(high, low)}


def survivors(
    panel: pd.DataFrame,
    cbsas: pd.DataFrame,
    *,
    earnings: np.ndarray | None = None,
    years: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """Earnings of entrants that survive five years against those of all entrants of their cohort (FF Table 6).

    The cohort enters in the first cross-section; its survivors are those of its identifiers that are in the second.
    Establishments belong to the CBSA that they entered. FF do not say in which year survivors' earnings are taken, so
    both readings are given: `at_entry` (who survives: the cohort's earnings in its first year) and `five_years_on`
    (survivors' later earnings less all entrants' first). With earnings net of age effects, the mean at every age is the
    mean of all, and `five_years_on` is near zero by construction: only `at_entry` can give the gaps of FF Table 6.

    **Arguments:**

    - `earnings`: log earnings of each row; by default residual earnings of the whole panel.
    - `years`: the two cross-sections; by default the first and the last.

    **Returns:** a row for each `reading` and `statistic`: low_density, high_density, their difference, and the numbers
    of FF. Log points, ratios as differences of logs; "survival rate" a share; "count" the number of entrants.
    """
    first, last = years or (int(panel["year"].min()), int(panel["year"].max()))
    earnings = residual_earnings(panel) if earnings is None else np.asarray(earnings, float)
    cohort = _cohort(panel, earnings, first, last)
    cohort["group"] = look_up(density_groups(cbsas), cohort["cbsa"])
    tables = {name: _changes(cohort, name) for name in ("at_entry", "five_years_on")}
    table = pd.concat(tables, names=["reading"]).reset_index()
    return table.merge(TABLE_6.add_prefix("published_").reset_index(), on="statistic")


def _cohort(panel: pd.DataFrame, earnings: np.ndarray, first: int, last: int) -> pd.DataFrame:
    """Entrants of the first year: identifier, CBSA, log earnings at entry and, where they survive, five years on."""
    year, entrant = panel["year"].to_numpy(), panel["entrant"].to_numpy(bool)
    entered, later = (year == first) & entrant, year == last
    if first == last or not entered.any() or not later.any():
        problem = f"no entrants of {first}, or no establishments of {last}: a cohort needs two cross-sections"
        raise DataError("panel of establishments", [problem])
    ids = panel["establishment"].to_numpy()
    cohort = pd.DataFrame(
        {"id": ids[entered], "cbsa": panel["cbsa"].to_numpy()[entered], "at_entry": earnings[entered]}
    )
    return cohort.join(pd.Series(earnings[later], ids[later], name="five_years_on"), on="id")


def _changes(cohort: pd.DataFrame, reading: str) -> pd.DataFrame:
    """Survivors' statistics less entrants', by density group."""
    result = {}
    for group in ("low", "high"):
        entrants = cohort[cohort["group"] == group]
        survived = entrants[entrants["five_years_on"].notna()]
        if len(survived) == 0:
            raise DataError("panel of establishments", [f"no entrant into a CBSA of {group} density survives"])
        change = distribution_statistics(survived[reading]) - distribution_statistics(entrants["at_entry"])
        change["survival rate"], change["count"] = len(survived) / len(entrants), len(entrants)
        result[f"{group}_density"] = change
    table = pd.DataFrame(result).rename_axis("statistic")
    return table.assign(difference=table["high_density"] - table["low_density"])
