"""Cells of an economy as the rows of regressions of productivity on who works where (CH eq. 6, SH eq. 1)."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from spatialjax.cities.economy import Economy
from spatialjax.errors import DataError
from spatialjax.estimation.instruments import Employment, log_productivity, reference_employment

COLUMNS = ("city", "occupation", "sector", "log_productivity", "share", "size", "value_added_share", "weight")


def spillover_panel(
    economy: Economy,
    *,
    instruments: Employment | pd.DataFrame | None = None,
    controls: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """A row each city, occupation and traded sector (in this order, the last fastest).

    Columns: `log_productivity`, log lambda, and `share`, log(L[n, k] / L[n]), not finite where nobody is employed;
    `size`, log L[n]; `value_added_share`, gamma, and `weight`, gamma squared: as analytic weight it multiplies both
    sides by gamma (CH footnote 15); `model_share` and `model_size`, from [`model_instruments`][]; and the columns by
    city of `controls` and of `instruments` that are the user's.

    Sectors that are not traded are left out, as in both papers: CH's 7,460 observations by occupation are 382 cities
    times 20 sectors, less 180 cells without employment.

    **Raises:** `DataError` for columns by city that do not fit the economy; `ModelError` as [`log_productivity`][].
    """
    sectors = list(economy.traded)
    productivity = log_productivity(economy)[:, :, sectors]
    shape = productivity.shape
    city, occupation, sector = (codes.ravel() for codes in np.indices(shape))
    employment = Employment.of(economy, reference_employment(economy))
    gamma = np.asarray(economy.value_added_share)[:, sectors][city, sector]
    panel = pd.DataFrame(
        {
            "city": np.asarray(economy.labels.city)[city],
            "occupation": np.asarray(economy.labels.occupation)[occupation],
            "sector": np.asarray(economy.labels.sector)[sectors][sector],
            "log_productivity": productivity.ravel(),
            "share": employment.share.to_numpy()[city, occupation],
            "size": employment.size.to_numpy()[city],
            "value_added_share": gamma,
            "weight": gamma**2,
        }
    )
    if isinstance(instruments, Employment):
        panel["model_share"] = instruments.share.to_numpy()[city, occupation]
        panel["model_size"] = instruments.size.to_numpy()[city]
        instruments = None
    given = {"controls": controls, "instruments": instruments}
    frames = [by_city(frame, economy, name).iloc[city] for name, frame in given.items() if frame is not None]
    _check_names([*panel.columns, *(column for frame in frames for column in frame.columns)])
    return pd.concat([panel, *(frame.reset_index(drop=True) for frame in frames)], axis=1)


def by_city(frame: pd.DataFrame, economy: Economy, name: str) -> pd.DataFrame:
    """Columns in the order of the economy's cities, matched by the index or, for a default index, by position.

    **Raises:** `DataError` naming cities that are missing or repeated.
    """
    cities = pd.Index(economy.labels.city)
    if isinstance(frame.index, pd.RangeIndex) and len(frame) == len(cities):
        return frame
    problems = []
    if missing := list(cities.difference(frame.index, sort=False)):
        problems.append(f"{len(missing)} of {len(cities)} cities are missing: {_listed(missing)}")
    if repeated := list(frame.index[frame.index.duplicated()].intersection(cities)):
        problems.append(f"cities are repeated: {_listed(repeated)}")
    if problems:
        hint = "index them by the economy's labels.city, or give a row each city in its order with a default index"
        raise DataError(name, [*problems, hint])
    return frame.loc[cities]


def _listed(names: list) -> str:
    return ", ".join(str(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")


def _check_names(columns: Iterable) -> None:
    names = pd.Index([str(column) for column in columns])
    if repeated := list(names[names.duplicated()].unique()):
        raise DataError("controls and instruments", [f"column names are taken, rename: {', '.join(repeated)}"])
