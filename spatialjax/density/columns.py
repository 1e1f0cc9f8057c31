"""Columns that estimators add to a panel of establishments: density and college share of its CBSA, logs, groups."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from spatialjax.errors import DataError, EstimationWarning, ModelError

DENSITIES = ("density", "population", "employment_density", "weighted_density")
"""Measures of density of FF, section 2: residents per square mile, residents, workers per square mile, and the
density of subunits weighted by their residents."""

SIZE_CLASSES = ("1 to 9", "10 to 99", "100 to 249", "250 to 999", "1000 and more")
SIZE_BOUNDS = (10, 100, 250, 1000)
"""Employment from which the second to the fifth size class begin (FF Table 4)."""

INDUSTRY_GROUPS: dict[str, tuple[int, ...]] = {
    "construction": tuple(range(15, 18)),
    "manufacturing": tuple(range(20, 40)),
    "retail trade": tuple(range(52, 60)),
    "finance and professional services": (*range(60, 68), 81, 87),
    "local services": (70, 72, 73, 75, 76, 78, 79, 80, 82, 83, 84, 86, 88, 89),
}
"""Two-digit SIC industries of FF's major groups. FF do not publish their lists. These take divisions C, D, G and H of
the SIC whole, put legal (81) and engineering, accounting and management services (87) with finance, and leave mining,
transport, utilities and wholesale trade out, as FF's five counts do: they add up to 85 percent of their sample."""

REQUIRED = ("cbsa", "year", "employment", "earnings")


def with_regressors(panel: pd.DataFrame, cbsas: pd.DataFrame, density: str = "density") -> pd.DataFrame:
    """Add log_density, college_share, log_earnings and log_employment to a panel; multi_unit becomes 0 or 1.

    **Arguments:**

    - `density`: the measure whose log is log_density, one of `DENSITIES`. Employment density is the employment of the
      panel by CBSA and year over land: call this on the whole panel, and take subgroups afterwards.

    **Raises:** `DataError` if columns are missing or no row is left, `ModelError` for an unknown measure.

    **Warns:** `EstimationWarning` with the number of rows that are left out, and the columns that are missing there.
    """
    require_columns(panel, REQUIRED, "panel of establishments")
    with np.errstate(divide="ignore", invalid="ignore"):
        added = {
            "log_density": log_density(panel, cbsas, density),
            "college_share": of_cbsas(panel["cbsa"], cbsas, "college_share"),
            "log_earnings": np.log(panel["earnings"].to_numpy(float)),
            "log_employment": np.log(panel["employment"].to_numpy(float)),
        }
    if "multi_unit" in panel.columns:
        added["multi_unit"] = panel["multi_unit"].to_numpy(np.int8)
    return complete(panel.assign(**added), ["log_density", "college_share", "log_earnings", "log_employment"])


def log_density(panel: pd.DataFrame, cbsas: pd.DataFrame, density: str = "density") -> np.ndarray:
    """Log of a measure of density for each row of a panel; NaN where it is not known.

    **Raises:** `ModelError` for a measure that is not in `DENSITIES`, `DataError` if the CBSA table lacks its column.
    """
    if density not in DENSITIES:
        raise ModelError(f"density is {density!r}; it can be one of {', '.join(DENSITIES)}")
    if density == "employment_density":
        values = _employment(panel) / of_cbsas(panel["cbsa"], cbsas, "land")
    else:
        values = of_cbsas(panel["cbsa"], cbsas, density)
    return np.log(np.where(values > 0, values, np.nan))


def of_cbsas(codes: pd.Series, cbsas: pd.DataFrame, column: str) -> np.ndarray:
    """Value of a column of the CBSA table for each code; NaN for codes that it lacks.

    **Raises:** `DataError` if the table lacks the column or has a code twice.
    """
    require_columns(cbsas, [column], "CBSA table")
    if not cbsas.index.is_unique:
        twice = cbsas.index[cbsas.index.duplicated()].unique()[:3]
        raise DataError("CBSA table", [f"codes that occur twice: {', '.join(map(str, twice))}; keep one row each"])
    positions = cbsas.index.get_indexer(codes)
    return np.append(cbsas[column].to_numpy(float), np.nan)[positions]


def complete(panel: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The rows in which all columns are finite.

    **Raises:** `DataError` if there are none.

    **Warns:** `EstimationWarning` with the number of rows left out, by column.
    """
    finite = {name: np.isfinite(panel[name].to_numpy()) for name in columns}
    keep = np.logical_and.reduce(list(finite.values()))
    if keep.all() and len(panel):
        return panel
    counts = [f"{name} in {len(ok) - ok.sum()}" for name, ok in finite.items() if not ok.all()]
    message = f"missing, or not positive before logs: {', '.join(counts)} of {len(panel)} rows"
    if not keep.any():
        raise DataError("panel of establishments", [message if len(panel) else "there are no rows", "no row is left"])
    warnings.warn(f"{message}; {len(panel) - keep.sum()} rows are left out", EstimationWarning, stacklevel=3)
    return panel[keep]


def size_class(employment: pd.Series) -> pd.Series:
    """Size class of establishments by employment (FF Table 4), as a categorical."""
    positions = np.searchsorted(SIZE_BOUNDS, employment.to_numpy(float), side="right")
    return pd.Series(pd.Categorical.from_codes(positions, SIZE_CLASSES, ordered=True), employment.index, name="size")


def industry_group(industry2: pd.Series) -> pd.Series:
    """Major group of two-digit SIC industries (FF Table 4), as a categorical; missing for the others."""
    position = np.full(100, -1, np.int8)
    for code, members in enumerate(INDUSTRY_GROUPS.values()):
        position[list(members)] = code
    groups = pd.Categorical.from_codes(position[industry2.to_numpy(int)], list(INDUSTRY_GROUPS))
    return pd.Series(groups, industry2.index, name="industry_group")


def quantile_within(panel: pd.DataFrame, column: str, count: int = 5, by: Sequence[str] = ("cbsa",)) -> pd.Series:
    """Quantile group (1 to count) of a column within each CBSA, both years together unless `by` has the year.

    The group of a row is ceil(count r / n), r its rank from 1 (ties in the order of rows) among n.

    **Raises:** `DataError` if columns are missing.
    """
    require_columns(panel, [column, *by], "panel of establishments")
    groups = panel.groupby(list(by), sort=False).ngroup().to_numpy()
    order = np.lexsort((panel[column].to_numpy(), groups))
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    ranked = groups[order]
    positions = np.empty(len(panel), np.int8)
    ranks = 1 + np.arange(len(panel)) - starts[ranked]
    positions[order] = -(-ranks * count // sizes[ranked])
    return pd.Series(positions, panel.index, name=f"quantile_of_{column}")


def _employment(panel: pd.DataFrame) -> np.ndarray:
    """Employment of the panel in the CBSA and year of each row."""
    return panel.groupby(["cbsa", "year"], sort=False)["employment"].transform("sum").to_numpy(float)


def require_columns(frame: pd.DataFrame, columns: Sequence[str], source: str) -> None:
    """Check that columns are there. **Raises:** `DataError` naming those that are missing."""
    problems = [f"column {name} is missing" for name in columns if name not in frame.columns]
    if problems:
        raise DataError(source, problems)
