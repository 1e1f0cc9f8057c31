"""Random relocations: what moves would look like if they depended on nothing (FF 5.B, appendix D, Figure D.2).

Establishments live in CBSAs of equal size within each of three groups by density. Each moves with the same
probability; its destination is drawn in proportion to the size of CBSAs, its own among them: then sizes stay as they
are, and flows between any two CBSAs balance. So the expected change in log density of those that move is zero,

    E[log D(destination) - log D(origin)] = 0,

whatever sizes and densities are, and FF's rise of 39 percent does not follow from their algorithm as they state it.
The nearest reading that does give such a number compares a log of means with a mean of logs,

    log E[D(destination)] - E[log D(origin)] = 0.347 (41 percent) on the embedded CBSAs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Key

from spatialjax.density.percentiles import GROUPS, density_groups, percentile
from spatialjax.density.sorting import relocation_curves
from spatialjax.errors import DataError, ModelError
from spatialjax.estimation.regression import Regression, regress

ESTABLISHMENTS = 7_800_000
MOVE_PROBABILITY = 0.0103
LOG_GAPS = {"low": 0.0, "middle": 0.115, "high": 0.23}
STANDARD_DEVIATION = 0.81
PUBLISHED_CHANGE = 0.39
"""FF 5.B: rise of density among random movers. Their premium: 0.067 (0.003); among LBD establishments 0.072 (0.008)."""
PUBLISHED_PREMIUM = (0.067, 0.003)


@dataclass(frozen=True)
class RandomRelocations:
    """Simulated random relocations.

    - `by_percentile`: by `ranking` ("origin", "full"), `measure` ("move_probability", "log_density_change") and
      percentile of earnings, with the columns of `percentile_means` (FF Figure D.2).
    - `movers`, `establishments`: numbers. `stayed`: share of movers that drew their own CBSA.
    - `mean_change`, `mean_change_error`: mean over movers of the change in log density, and its error. Expected: zero.
    - `log_mean_change`: log of mean density at destinations less mean log density at origins, of movers;
      `expected_log_mean_change` is its expectation over draws, computed from sizes.
    - `premium`: regressions of log earnings on log density and college share, weighted by establishments and clustered
      by CBSA: at "origin", and at "destination", where a mover keeps the earnings of its origin.
    """

    by_percentile: pd.DataFrame
    establishments: int
    movers: int
    stayed: float
    mean_change: float
    mean_change_error: float
    log_mean_change: float
    expected_log_mean_change: float
    premium: dict[str, Regression]

    def summary(self) -> pd.DataFrame:
        """Readings of the change in density (log points; as a rise in percent) and the premium, beside FF's numbers."""
        changes = {
            "mean change in log density": (self.mean_change, self.mean_change_error, np.log1p(PUBLISHED_CHANGE)),
            "log of mean density less mean of logs": (self.log_mean_change, np.nan, np.log1p(PUBLISHED_CHANGE)),
        }
        table = pd.DataFrame(changes, ["value", "standard_error", "published"]).T
        table["percent"] = 100 * np.expm1(table["value"])
        for place, fit in self.premium.items():
            errors = fit.standard_errors["log_density"]
            row = (fit.coefficients["log_density"], errors, PUBLISHED_PREMIUM[0], np.nan)
            table.loc[f"premium at the {place}"] = row
        return table.rename_axis("statistic")


def simulate_relocation(
    cbsas: pd.DataFrame,
    *,
    key: Key[Array, ""],
    establishments: int = ESTABLISHMENTS,
    move_probability: float = MOVE_PROBABILITY,
    group_sizes: Mapping[str, float] | None = None,
    log_gaps: Mapping[str, float] = LOG_GAPS,
    standard_deviation: float = STANDARD_DEVIATION,
    window: int = 3,
) -> RandomRelocations:
    """Simulate random relocations (FF appendix D).

    **Arguments:**

    - `cbsas`: density and college share of each CBSA; the groups are its bottom quarter, middle and top quarter.
    - `group_sizes`: establishments in each of "low", "middle", "high", in any unit; by default those of
      `establishments_2001`. FF use their own, unpublished.
    - `log_gaps`, `standard_deviation`: of log earnings by group. FF do not publish these; the defaults are a rise of 23
      log points from the bottom to the top quarter (appendix C: medians) and a deviation like stayers' (Table 7).
    - `window`: percentiles averaged.

    **Raises:** `ModelError` for arguments that define no simulation, `DataError` for a table without sizes.
    """
    _check(establishments, move_probability, standard_deviation, log_gaps, group_sizes)
    groups = density_groups(cbsas)
    count = _counts(cbsas, groups, group_sizes, establishments)
    place = np.repeat(np.arange(len(cbsas), dtype=np.int32), count)
    mean = groups.map(dict(log_gaps)).to_numpy(float)
    share = np.cumsum(count) / count.sum()
    drawn = _draw(key, jnp.asarray(place), jnp.asarray(share), jnp.asarray(mean), standard_deviation, move_probability)
    earnings, moved, destination = (np.asarray(values) for values in drawn)
    log_density = np.log(cbsas["density"].to_numpy(float))
    change = log_density[destination[moved]] - log_density[place[moved]]
    if len(change) < 2:
        raise ModelError(f"{len(change)} of {len(place)} establishments move; raise establishments or move_probability")
    density = np.exp(log_density)
    expected = np.log(np.average(density, weights=count)) - np.average(log_density, weights=count)
    return RandomRelocations(
        by_percentile=_by_percentile(earnings, place, moved, destination, log_density, window),
        establishments=len(place),
        movers=len(change),
        stayed=float((destination == place)[moved].mean()),
        mean_change=float(change.mean()),
        mean_change_error=float(change.std(ddof=1) / np.sqrt(len(change))),
        log_mean_change=float(np.log(density[destination[moved]].mean()) - log_density[place[moved]].mean()),
        expected_log_mean_change=float(expected),
        premium={"origin": _premium(cbsas, earnings, place), "destination": _premium(cbsas, earnings, destination)},
    )


@jax.jit
def _draw(key, place, cumulative_share, mean, standard_deviation, move_probability):
    """Log earnings, whether an establishment moves, and where it is afterwards."""
    for_earnings, for_moves, for_destinations = jax.random.split(key, 3)
    earnings = mean[place] + standard_deviation * jax.random.normal(for_earnings, place.shape)
    moved = jax.random.uniform(for_moves, place.shape) < move_probability
    position = jax.random.uniform(for_destinations, place.shape)
    drawn = jnp.searchsorted(cumulative_share, position, side="right").astype(place.dtype)
    return earnings, moved, jnp.where(moved, jnp.minimum(drawn, len(cumulative_share) - 1), place)


def _counts(cbsas: pd.DataFrame, groups: pd.Series, sizes: Mapping[str, float] | None, total: int) -> np.ndarray:
    """Establishments of each CBSA: alike within a group."""
    if sizes is None:
        if "establishments_2001" not in cbsas or cbsas["establishments_2001"].isna().any():
            problem = "column establishments_2001 is missing or has gaps; give group_sizes"
            raise DataError("table of CBSAs", [problem])
        sizes = cbsas["establishments_2001"].groupby(groups).sum().to_dict()
    number = groups.value_counts()
    each = {name: total * sizes[name] / sum(sizes.values()) / number[name] for name in number.index}
    return np.maximum(np.rint(groups.map(each).to_numpy(float)), 1).astype(int)


def _by_percentile(earnings, place, moved, destination, log_density, window: int) -> pd.DataFrame:
    change = log_density[destination] - log_density[place]
    tables: dict[tuple[str, str], pd.DataFrame] = {}
    for ranking, places in {"origin": place, "full": None}.items():
        curves = relocation_curves(moved.astype(float), change, moved, percentile(earnings, places), None, window)
        tables |= {(ranking, measure): table for (measure, _), table in curves.items()}
    return pd.concat(tables, names=["ranking", "measure"]).reset_index()


def _premium(cbsas: pd.DataFrame, earnings: np.ndarray, place: np.ndarray) -> Regression:
    """Eq. (2) on means by CBSA weighted by establishments: the same coefficients as on establishments."""
    count = np.bincount(place, minlength=len(cbsas))
    frame = pd.DataFrame(
        {
            "log_earnings": np.bincount(place, earnings, len(cbsas)) / np.maximum(count, 1),
            "log_density": np.log(cbsas["density"].to_numpy(float)),
            "college_share": cbsas["college_share"].to_numpy(float),
            "establishments": count,
            "cbsa": cbsas.index.to_numpy(),
        }
    )
    regressors, filled = ["log_density", "college_share"], frame[frame["establishments"] > 0]
    return regress(filled, "log_earnings", regressors, weights="establishments", cluster="cbsa")


def _check(establishments, move_probability, standard_deviation, log_gaps, group_sizes) -> None:
    problems = []
    if establishments < 1:
        problems.append(f"establishments is {establishments}; it must be at least 1")
    if not 0 < move_probability <= 1:
        problems.append(f"move_probability is {move_probability}; it must be above 0 and at most 1")
    if not standard_deviation > 0:
        problems.append(f"standard_deviation is {standard_deviation}; it must be above 0")
    for name, values in {"log_gaps": log_gaps, "group_sizes": group_sizes}.items():
        if values is not None and set(values) != set(GROUPS):
            problems.append(f"{name} has {sorted(values)}; it must have {', '.join(GROUPS)}")
    if problems:
        raise ModelError("; ".join(problems))
