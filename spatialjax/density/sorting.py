"""Sorting through relocation and through entry (FF 5.B and 5.C, appendix D)."""

import warnings
from typing import Literal

import numpy as np
import pandas as pd

from spatialjax.density.columns import require_columns
from spatialjax.density.distributions import distribution_statistics, establishments_of
from spatialjax.density.percentiles import density_groups, look_up, percentile, percentile_means
from spatialjax.density.published import TABLE_7, TABLE_8
from spatialjax.density.residuals import column_values, residual_earnings, residualised
from spatialjax.errors import DataError, EstimationWarning

Ranking = Literal["origin", "full"]
LOGS = ("log_earnings", "log_employment")
USED = (
    "establishment",
    "cbsa",
    "cbsa_lag",
    "year",
    "industry",
    "age",
    "multi_unit",
    "employment",
    "earnings",
    "earnings_lag",
    *LOGS,
)
"""Columns of a panel that this module reads once establishments are chosen."""


def continuing(panel: pd.DataFrame, cbsas: pd.DataFrame) -> pd.DataFrame:
    """Establishments that may be seen to move: there a year before, neither entering nor exiting, in a CBSA both years.

    Those whose county changes more than once over their history are left out: their moves are likely miscoded (FF note
    18). Of the columns those that this module reads are kept, and two are added: `relocated` (the CBSA is another than
    a year before) and `log_change`, that of density.

    **Raises:** `DataError` where nobody is left, or a CBSA is unknown.

    **Warns:** `EstimationWarning` where a CBSA of the year before is not in the table: such rows are left out.
    """
    require_columns(panel, ("cbsa_lag", "county_changes", "entrant", "exit"), "panel of establishments")
    there = (panel["cbsa_lag"].to_numpy() != -1) & (panel["county_changes"].to_numpy() <= 1)
    there &= establishments_of(panel, "continuing")
    known = panel["cbsa_lag"].isin(cbsas.index).to_numpy()
    if lost := int((there & ~known).sum()):
        message = f"{lost} establishments come from places that the table of CBSAs lacks; they are left out"
        warnings.warn(message, EstimationWarning, stacklevel=2)
    if not (there & known).any():
        raise DataError("panel of establishments", ["no continuing establishments with at most one change of county"])
    kept = panel.loc[there & known, [name for name in USED if name in panel.columns]]
    log_density = np.log(cbsas["density"])
    change = look_up(log_density, kept["cbsa"]) - look_up(log_density, kept["cbsa_lag"])
    return kept.assign(relocated=kept["cbsa"].to_numpy() != kept["cbsa_lag"].to_numpy(), log_change=change)


def movers_and_stayers(panel: pd.DataFrame, cbsas: pd.DataFrame) -> pd.DataFrame:
    """Establishments that move to another CBSA against those that stay (FF Table 7).

    Differences are movers less stayers; at the destination, destination less origin of movers. `difference_error` is
    that of independent samples with unequal variances, as FF's; `paired_error` takes account of origin and
    destination belonging to the same movers. FF's error of 0.002 for log density at the origin is 0.004 by their own
    standard deviations and numbers.

    **Returns:** a row for each statistic: means and standard deviations (`_sd`), differences, errors, and FF's numbers;
    "count" are numbers of establishments. Units: log points, employees, years, fractions.
    """
    sample = continuing(panel, cbsas)
    moved = sample["relocated"].to_numpy()
    if moved.sum() < 2 or (~moved).sum() < 2:
        problem = f"{moved.sum()} movers among {len(moved)} continuing establishments: two of each are needed"
        raise DataError("panel of establishments", [problem])
    rows = {name: _compared(values[moved], values[~moved]) for name, values in _characteristics(sample, cbsas).items()}
    rows |= {f"{name}_destination": _moved(sample[moved], values) for name, values in _of_places(cbsas).items()}
    rows["count"] = {"stayers": (~moved).sum(), "movers": moved.sum()}
    table = pd.DataFrame(rows).T.rename_axis("statistic").loc[list(TABLE_7.index)]
    return table.join(TABLE_7.add_prefix("published_"))


def _of_places(cbsas: pd.DataFrame) -> dict[str, pd.Series]:
    return {"log_density": np.log(cbsas["density"]), "college_share": cbsas["college_share"]}


def _characteristics(sample: pd.DataFrame, cbsas: pd.DataFrame) -> dict[str, np.ndarray]:
    own = {
        name: column_values(sample, name).astype(float) for name in ("log_earnings", "employment", "age", "multi_unit")
    }
    places = _of_places(cbsas).items()
    return own | {f"{name}_origin": look_up(values, sample["cbsa_lag"]) for name, values in places}


def _moved(movers: pd.DataFrame, values: pd.Series) -> dict[str, float]:
    """A characteristic of movers' destinations against that of their origins."""
    origin, destination = look_up(values, movers["cbsa_lag"]), look_up(values, movers["cbsa"])
    found = _compared(destination, origin) | {"stayers": np.nan, "stayers_sd": np.nan}
    return found | {"paired_error": (destination - origin).std(ddof=1) / np.sqrt(len(origin))}


def _compared(movers: np.ndarray, stayers: np.ndarray) -> dict[str, float]:
    variance = movers.var(ddof=1) / len(movers) + stayers.var(ddof=1) / len(stayers)
    return {
        "stayers": stayers.mean(),
        "stayers_sd": stayers.std(ddof=1),
        "movers": movers.mean(),
        "movers_sd": movers.std(ddof=1),
        "difference": movers.mean() - stayers.mean(),
        "difference_error": np.sqrt(variance),
    }


def relocation_by_percentile(
    panel: pd.DataFrame,
    cbsas: pd.DataFrame,
    *,
    ranking: Ranking = "origin",
    earnings: Literal["earnings", "earnings_lag"] = "earnings",
    simulated: pd.DataFrame | None = None,
    residual: bool = True,
    clustered: bool = True,
    window: int = 3,
) -> pd.DataFrame:
    """Probability of moving, and the movers' change in log density, by percentile of earnings (FF Figures 4 and D.1).

    **Arguments:**

    - `ranking`: percentiles within the CBSA of origin (Figure 4) or among all continuing establishments (Figure D.1).
    - `earnings`: the column to rank by. `earnings` is eq. (1), as in FF, whose payroll is that of the year before.
      Where it holds the pay of the destination (in simulated panels it does), movers to dense places rank high for
      having moved. Ranks by `earnings_lag`, from before the move, are free of that.
    - `simulated`: `by_percentile` of random relocations (`spatialjax.density.relocation`): its means are subtracted in
      rows of their own, and taken as known.
    - `residual`: earnings and moves net of establishment characteristics, with means added back; changes in density
      are as they are. `clustered`: bands allow for what the CBSA of origin has in common.

    **Returns:** columns `measure` ("move_probability", a year; "log_density_change"), `series` ("data", "data less
    simulation"), `percentile`, and those of [`percentile_means`][].
    """
    sample = continuing(panel, cbsas)
    logs = column_values(sample, f"log_{earnings}")
    rank_by = residualised(sample, logs) if residual else logs
    origin = sample["cbsa_lag"].to_numpy()
    ranked = percentile(rank_by, origin if ranking == "origin" else None, sample["establishment"].to_numpy())
    moved = sample["relocated"].to_numpy()
    moves = residualised(sample, moved) if residual else moved.astype(float)
    tables = relocation_curves(
        moves, sample["log_change"].to_numpy(), moved, ranked, origin if clustered else None, window
    )
    if simulated is not None:
        baseline = simulated[simulated["ranking"] == ranking]
        tables |= {(name, "data less simulation"): _less(table, baseline, name) for (name, _), table in tables.items()}
    return pd.concat(tables, names=["measure", "series"]).reset_index()


def relocation_curves(moves, change, moved, ranked, clusters, window: int = 3) -> dict[tuple[str, str], pd.DataFrame]:
    """Means by percentile of moves and, of those that moved, of the change in log density."""
    of_movers = None if clusters is None else clusters[moved]
    probability = percentile_means(moves, ranked, clusters, window=window)
    changes = percentile_means(change[moved], ranked[moved], of_movers, window=window)
    return {("move_probability", "data"): probability, ("log_density_change", "data"): changes}


def _less(table: pd.DataFrame, simulated: pd.DataFrame, measure: str) -> pd.DataFrame:
    baseline = simulated.loc[simulated["measure"] == measure].set_index("percentile")["mean"]
    levels = ["mean", "lower", "upper"]
    return table.assign(**{name: table[name] - baseline for name in levels})


def entrant_earnings(panel: pd.DataFrame, cbsas: pd.DataFrame, *, earnings: np.ndarray | None = None) -> pd.DataFrame:
    """Earnings of entrants in sparse and in dense CBSAs, against incumbents and all entrants (FF Table 8).

    Relative to incumbents: the difference between dense and sparse CBSAs less the same difference among all
    establishments that are not entrants, of single and of multi-unit firms.

    **Arguments:** `earnings`: log earnings of each row; by default net of characteristics, with their mean.

    **Returns:** a row for each `entrants` ("all", "multi-unit"; "incumbents") and `statistic`: low_density,
    high_density, difference, relative_to_incumbents, relative_to_entrants, and FF's numbers. Log points; "count" are
    numbers of establishments.
    """
    earnings = residual_earnings(panel) if earnings is None else np.asarray(earnings, float)
    group = look_up(density_groups(cbsas), panel["cbsa"])
    entrant, multi = panel["entrant"].to_numpy(bool), panel["multi_unit"].to_numpy(bool)
    samples = {"all": entrant, "multi-unit": entrant & multi, "incumbents": ~entrant}
    tables = {name: _by_density(earnings, group, rows, name) for name, rows in samples.items()}
    gaps = {name: table["difference"] for name, table in tables.items()}
    for name in ("all", "multi-unit"):
        tables[name]["relative_to_incumbents"] = gaps[name] - gaps["incumbents"]
    tables["multi-unit"]["relative_to_entrants"] = gaps["multi-unit"] - gaps["all"]
    table = pd.concat(tables, names=["entrants", "statistic"])
    return table.join(TABLE_8.add_prefix("published_")).reset_index()


def _by_density(earnings: np.ndarray, group: np.ndarray, rows: np.ndarray, sample: str) -> pd.DataFrame:
    parts = {f"{name}_density": earnings[rows & (group == name)] for name in ("low", "high")}
    if empty := [name for name, values in parts.items() if len(values) == 0]:
        where = empty[0].replace("_", " ")
        raise DataError("panel of establishments", [f"no establishments ({sample}) in CBSAs of {where}"])
    table = pd.DataFrame({name: distribution_statistics(values) for name, values in parts.items()})
    table = table.loc[["mean", "median", "standard deviation"]]
    table["difference"] = table["high_density"] - table["low_density"]
    table.loc["count", list(parts)] = [float(len(values)) for values in parts.values()]
    return table
