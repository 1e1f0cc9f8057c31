"""Earnings, exits and moves net of establishment characteristics (FF notes to Figure 3 and Tables 6 and 8)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from spatialjax.errors import DataError
from spatialjax.estimation.regression import regress

CONTROLS = ("log_employment", "multi_unit")
EFFECTS = ("age", "industry", "year")


def residualised(
    panel: pd.DataFrame,
    outcome: str | np.ndarray,
    rows: np.ndarray | None = None,
    *,
    effects: Sequence[str] = EFFECTS,
) -> np.ndarray:
    """An outcome net of establishment characteristics, with its mean added back.

    The residual of a regression on log employment and multi-unit status with effects of age, four-digit industry and
    year, plus the mean of the outcome: levels are those of FF Table 8, differences between places those of residuals.
    Because ages have effects, the mean at each age is the mean of all, wherever establishments are.

    **Arguments:**

    - `outcome`: a column of the panel, or values of its rows. `log_earnings` is made from `earnings` if not there.
    - `rows`: a mask of the rows to use; the result has a value for each of these.
    - `effects`: absorbed columns; leave out "age" for statistics that compare ages.

    **Raises:** `DataError` for columns that are missing or not finite.
    """
    values = column_values(panel, outcome) if isinstance(outcome, str) else np.asarray(outcome, float)
    rows = np.ones(len(panel), bool) if rows is None else rows
    controls = {name: column_values(panel, name)[rows] for name in CONTROLS}
    absorbed = {name: column_values(panel, name)[rows] for name in effects}
    frame = pd.DataFrame({"outcome": values[rows].astype(float), **controls, **absorbed}, copy=False)
    fit = regress(frame, "outcome", CONTROLS, effects=effects, keep_residuals=True)
    return np.asarray(fit.residuals) + frame["outcome"].mean()


def residual_earnings(panel: pd.DataFrame, rows: np.ndarray | None = None) -> np.ndarray:
    """Log earnings (1997 dollars) net of establishment characteristics, with their mean added back."""
    return residualised(panel, "log_earnings", rows)


def column_values(panel: pd.DataFrame, name: str) -> np.ndarray:
    """A column of a panel; logs of earnings or employment are taken where only levels are there.

    **Raises:** `DataError` where neither the column nor the level is there, or a level is not above zero.
    """
    if name in panel.columns:
        values = panel[name].to_numpy()
        return values.astype(float) if values.dtype.kind == "b" else values
    level = name.removeprefix("log_")
    if level == name or level not in panel.columns:
        raise DataError("panel of establishments", [f"column {name} is missing"])
    values = panel[level].to_numpy(float)
    if not (bad := ~(values > 0)).any():
        return np.log(values)
    first = ", ".join(str(row) for row in panel.index[bad][:3])
    problem = f"column {level} is not above zero in {bad.sum()} of {len(panel)} rows (first: {first}); leave them out"
    raise DataError("panel of establishments", [problem])
