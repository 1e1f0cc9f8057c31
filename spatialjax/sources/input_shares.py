"""National value-added and input shares of sectors from Use tables.

In a year: domestic purchases are Use less Import; taxes on production are left out; compensation of employees is value
added. The part of gross operating surplus that pays for land and structures is rent: every sector buys it from the
sector that uses land, which owns all land and structures and whose value added it is. The rest of the surplus, which
pays for equipment, is left out, as are purchases from industries of no sector. Shares are of what remains, and are
averaged over years.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from spatialjax.errors import DataError
from spatialjax.sources.use_tables import UseTable

Array = np.ndarray


def national_shares(
    tables: Sequence[tuple[UseTable, pd.DataFrame | None]],
    industries: Sequence[Sequence[str]],
    land: int,
    surplus_to_land: float,
    source: str = "Use tables",
) -> tuple[Array, Array, int]:
    """Value-added shares (sector) and input shares (input, sector), means over years, that sum to one.

    **Arguments:**

    - `tables`: a Use table and the imports in it, or None, for each year.
    - `industries`: for each sector, its codes in the tables.
    - `land`: the position of the sector that uses land.
    - `surplus_to_land`: part of gross operating surplus.

    **Returns:** the shares, and the number of negative purchases that were set to 0.

    **Raises:** `DataError` naming codes that a table lacks or that two sectors claim, and sectors without value added.
    """
    listed = [code for codes in industries for code in codes]
    if again := sorted({code for code in listed if listed.count(code) > 1}):
        raise DataError(source, [f"industry {code} is of two sectors" for code in again])
    years = [_year(use, imports, industries, land, surplus_to_land, source) for use, imports in tables]
    value_added = np.mean([year[0] for year in years], axis=0)
    inputs = np.mean([year[1] for year in years], axis=0)
    without = np.flatnonzero(~(value_added > 0)).tolist()
    if without:
        codes = [", ".join(industries[j]) or "none" for j in without]
        raise DataError(
            source, [f"sector {j} has no value added (its codes: {c})" for j, c in zip(without, codes, strict=True)]
        )
    return value_added, inputs, sum(year[2] for year in years)


def _year(use: UseTable, imports, industries, land: int, surplus_to_land: float, source: str):
    listed = [code for codes in industries for code in codes]
    missing = [code for code in listed if code not in use.uses.columns or code not in use.uses.index]
    if missing:
        raise DataError(source, [f"has no industry and commodity {', '.join(missing)}"])
    members = pd.DataFrame([[float(code in codes) for code in listed] for codes in industries], columns=listed)
    domestic = use.uses.loc[listed, listed]
    if imports is not None:
        domestic = domestic - imports.reindex(index=listed, columns=listed).fillna(0.0)
    chosen = members.to_numpy()
    purchases = chosen @ domestic.to_numpy() @ chosen.T
    negative = int((purchases < 0).sum())
    purchases = np.maximum(purchases, 0.0)
    value_added = chosen @ use.compensation[listed].to_numpy()
    rent = surplus_to_land * chosen @ use.surplus[listed].to_numpy()
    elsewhere = np.arange(len(industries)) != land
    value_added[land] += rent.sum()
    purchases[land] += np.where(elsewhere, rent, 0.0)
    total = value_added + purchases.sum(0)
    with np.errstate(invalid="ignore"):  # a sector of nothing, which the caller refuses
        return value_added / total, purchases / total, negative
