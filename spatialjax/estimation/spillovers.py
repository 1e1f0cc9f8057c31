"""Estimation of the externalities of cities (CH section 4.6, SH section III)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.spillovers import IndustrySpillover, OccupationSpillover
from spatialjax.errors import ModelError
from spatialjax.estimation import tables
from spatialjax.estimation.covariance import SmallSample
from spatialjax.estimation.instrumental import Estimator, InstrumentalEstimate, estimate
from spatialjax.estimation.instruments import Employment, model_instruments
from spatialjax.estimation.sample import Sample
from spatialjax.estimation.spillover_panel import spillover_panel

By = Literal["occupation", "group"]
Groups = Mapping[str, str] | Sequence[str] | np.ndarray | xr.DataArray
Instruments = Literal["model"] | Employment | pd.DataFrame
EFFECTS: dict[str, tuple[str, ...]] = {"occupation": ("sector",), "group": ("occupation^sector",)}
CLUSTERS: dict[str, tuple[str, ...]] = {"occupation": ("city", "sector"), "group": ("city",)}


@dataclass(frozen=True)
class SpilloverEstimates:
    """Elasticities of productivity to an occupation's share and to city size.

    - `regressions`: one by occupation, with coefficients "share" and "size" (CH), or one by group of sectors, with
      "share:<occupation>" and "size" (SH). Regressions are separate: covariances between them are not estimated.
    - `left_out`: cells without employment left out of each regression.
    - `groups`: group of each sector of the economy; empty by occupation.
    """

    by: By
    estimator: Estimator
    regressions: dict[str, InstrumentalEstimate]
    left_out: dict[str, int]
    occupations: tuple[str, ...]
    groups: dict[str, str]

    @property
    def share(self) -> pd.DataFrame:
        """Elasticities to the share of an occupation, by occupation (columns) and group (rows; "all" in CH)."""
        return self._frame(lambda k, found: found["share" if self.by == "occupation" else f"share:{k}"])

    @property
    def size(self) -> pd.DataFrame:
        """Elasticities to city size, in the same form; in SH alike for all occupations."""
        return self._frame(lambda k, found: found["size"])

    def spillover(self) -> OccupationSpillover | IndustrySpillover:
        """The estimates as an externality to put into an economy; none in sectors without estimates (SH)."""
        if self.by == "occupation":
            return OccupationSpillover(self.share.loc["all"].to_list(), self.size.loc["all"].to_list())
        sectors = list(self.groups.values())
        share, size = (frame.reindex(sectors, fill_value=0.0) for frame in (self.share, self.size))
        return IndustrySpillover(share.to_numpy().T, size.iloc[:, 0].to_numpy())

    def table(self) -> pd.DataFrame:
        """A row each coefficient, with standard error, t, p and the statistics of its regression."""
        return tables.long_table(self.regressions, self.by)

    def to_text(self) -> str:
        """As CH Table 2 (columns are occupations) or SH Table 1 (rows are groups), standard errors in brackets."""
        return tables.as_text(self._printed(), tables.caption(self))

    def to_latex(self) -> str:
        """The same as a LaTeX tabular."""
        return tables.as_latex(self._printed(), tables.caption(self))

    def to_csv(self, path: str | PathLike) -> None:
        """Write `table()`."""
        self.table().to_csv(path, index=False)

    def _printed(self) -> pd.DataFrame:
        layout = tables.by_occupation if self.by == "occupation" else tables.by_group
        return layout(self.regressions)

    def _frame(self, entry) -> pd.DataFrame:
        if self.by == "occupation":
            row = {k: entry(k, found.coefficients) for k, found in self.regressions.items()}
            return pd.DataFrame(row, index=["all"])
        rows = {g: [entry(k, r.coefficients) for k in self.occupations] for g, r in self.regressions.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=list(self.occupations))


def spillovers(
    economy: Economy,
    *,
    estimator: Estimator = "2sls",
    by: By = "occupation",
    groups: Groups | None = None,
    instruments: Instruments = "model",
    controls: pd.DataFrame | None = None,
    effects: str | Sequence[str] | None = None,
    clusters: str | Sequence[str] | None = None,
    small_sample: SmallSample = "smallest",
) -> SpilloverEstimates:
    """Estimate how productivity depends on who works in a city.

    gamma[n, j] log lambda[n, k, j] = gamma[n, j] (tauR log(L[n, k] / L[n]) + tauL log L[n] + effects + controls) + u

    in the traded sectors, where lambda is total productivity, so that the spillover that inversion assumed does not
    matter. By occupation, tauR[k] and tauL[k] are of a regression each (CH eq. 6); by group of sectors, tauR differs
    by occupation, tauL does not, and occupations are pooled (SH eq. 1). Cells without employment are left out.

    **Arguments:**

    - `economy`: as [`invert`][] returns it; its reference must be an equilibrium.
    - `estimator`: "ols", "2sls" or "cue"; see [`estimate`][].
    - `groups`: group of each sector, a mapping by name or one for each sector (`data.sector_group`).
    - `instruments`: "model" for [`model_instruments`][], what that returned, or columns by city, which are used in
      every regression; by group they have a coefficient for each occupation. Not used by "ols".
    - `controls`: columns by city, indexed by `economy.labels.city` or in that order. Those that are numeric and not
      named in `effects` or `clusters` are regressors, alike for occupations and sectors.
    - `effects`: of "sector", "occupation" and columns of `controls`; "a^b" is an effect of each pair. By default
      "sector" (CH; with divisions, "division^sector"), or "occupation^sector" by group (SH).
    - `clusters`: one or two of "city", "sector", "occupation" and columns of `controls`. By default ("city",
      "sector") (CH), or "city" by group (SH).

    **Raises:** `DataError` for columns that do not fit; `ModelError` for bad arguments; `ConvergenceError` from the
    solve behind "model" or the search of "cue".

    **Warns:** `EstimationWarning` as [`estimate`][] does, naming the regression.
    """
    if by not in get_args(By):
        raise ModelError(f"by must be one of {', '.join(get_args(By))}, found {by!r}")
    names = _names(effects, EFFECTS[by]), _names(clusters, CLUSTERS[by])
    of_sector = {} if by == "occupation" else _groups(groups, economy)
    panel = spillover_panel(economy, instruments=_instruments(economy, instruments, estimator), controls=controls)
    columns = [] if controls is None else _regressors(controls, names)
    excluded = [str(name) for name in instruments.columns] if isinstance(instruments, pd.DataFrame) else ["model"]
    found, left_out = {}, {}
    for name, rows in _parts(panel, by, of_sector, economy):
        employed = rows[np.isfinite(rows["log_productivity"])]
        left_out[name] = len(rows) - len(employed)
        sample = _sample(employed, name, by, columns, [] if estimator == "ols" else excluded, *names)
        found[name] = estimate(sample, estimator, small_sample=small_sample)
    return SpilloverEstimates(by, estimator, found, left_out, tuple(economy.labels.occupation), of_sector)


def _instruments(economy: Economy, instruments: Instruments, estimator: Estimator) -> Employment | pd.DataFrame | None:
    if estimator == "ols":
        return None
    if isinstance(instruments, str):
        if instruments != "model":
            raise ModelError(
                f"instruments must be 'model', columns by city or model_instruments, found {instruments!r}"
            )
        return model_instruments(economy)
    return instruments


def _names(given: str | Sequence[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return default
    return (given,) if isinstance(given, str) else tuple(given)


def _groups(groups: Groups | None, economy: Economy) -> dict[str, str]:
    """Group of each sector; those of sectors that are not traded have no estimates."""
    sectors = economy.labels.sector
    if groups is None:
        raise ModelError("by='group' needs groups: a group for each sector, for instance data.sector_group")
    if isinstance(groups, Mapping):
        if missing := [sector for sector in sectors if sector not in groups]:
            raise ModelError(f"groups lack the sectors {', '.join(missing)}")
        return {sector: str(groups[sector]) for sector in sectors}
    listed = [str(group) for group in np.asarray(groups)]
    if len(listed) != len(sectors):
        raise ModelError(f"groups has {len(listed)} entries for {len(sectors)} sectors")
    return dict(zip(sectors, listed, strict=True))


def _regressors(controls: pd.DataFrame, names: tuple[tuple[str, ...], tuple[str, ...]]) -> list[str]:
    labels = {part for name in (*names[0], *names[1]) for part in name.split("^")}
    numeric = controls.select_dtypes(["number", "bool"]).columns
    return [str(column) for column in numeric if column not in labels]


def _parts(panel: pd.DataFrame, by: By, of_sector: dict[str, str], economy: Economy):
    """Rows of each regression, in the order of occupations, or of the groups' first traded sectors."""
    if by == "occupation":
        return [(k, panel[panel["occupation"] == k]) for k in economy.labels.occupation]
    group = panel["sector"].map(of_sector)
    return [(str(name), panel[group == name]) for name in group.unique()]


def _sample(
    rows: pd.DataFrame,
    name: str,
    by: By,
    controls: list[str],
    excluded: list[str],
    effects: tuple[str, ...],
    clusters: tuple[str, ...],
) -> Sample:
    """The regression of one occupation, or of one group with occupations pooled."""
    outcome = f"log productivity of {name}"
    rows = rows.rename(columns={"log_productivity": outcome})
    endogenous, instruments = ["share", "size"], excluded
    if excluded == ["model"]:
        instruments = ["model_share", "model_size"]
    if by == "group":
        pooled = {*instruments, "share"} - {"model_size"}
        rows, expanded = _expand(rows, [column for column in (*endogenous, *instruments) if column in pooled])
        endogenous = [*expanded["share"], "size"]
        instruments = [name for column in instruments for name in expanded.get(column, [column])]
    return Sample.from_columns(
        rows,
        outcome,
        endogenous,
        instruments=instruments,
        exogenous=controls,
        effects=effects,
        clusters=clusters,
        weights="weight",
    )


def _expand(rows: pd.DataFrame, columns: list[str]) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Each column times a dummy of each occupation, and the names of the products, "column:occupation"."""
    occupations = list(rows["occupation"].unique())
    products = {f"{c}:{k}": rows[c].where(rows["occupation"] == k, 0.0) for c in columns for k in occupations}
    return rows.assign(**products), {c: [f"{c}:{k}" for k in occupations] for c in columns}
