"""Employment by city and sector from County Business Patterns, and by occupation by proportional fitting."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from spatialjax.errors import DataError
from spatialjax.sources.business_patterns import read_business_patterns
from spatialjax.sources.proportional_fitting import Fit, fit_margins
from spatialjax.sources.suppressed_cells import DEFAULT_OPEN_CLASSES, SECTOR_OF, Method, OpenClasses, impute

Array = np.ndarray


def employment_by_sector(
    paths: Sequence,
    industries: Mapping[str, Sequence[str]],
    cities: Sequence[str],
    city_of_county: Mapping[str, str],
    *,
    method: Method = "establishments",
    add_up: bool = True,
    open_classes: OpenClasses = DEFAULT_OPEN_CLASSES,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Workers by city and sector, a mean over files, and how many of them are imputed.

    **Arguments:**

    - `paths`: files of [`read_business_patterns`][], a year each.
    - `industries`: for each sector, its NAICS codes.
    - `cities`: codes of cities. `city_of_county`: for each county, its city; not used for files of metros.

    **Returns:** workers (city, sector), and a row for each suppressed cell of these cities and sectors: `file`, `line`,
    `city`, `sector`, `naics`, `workers`, `how`.

    **Raises:** `DataError` naming codes within one another, and files without any of the cities.
    """
    sector_of = _sector_of(industries)
    tables, cells = [], []
    for path in paths:
        published = read_business_patterns(path)
        filled = impute(published, method=method, add_up=add_up, open_classes=open_classes)
        counties = published.attrs["places"] == "counties"
        city = filled["place"].map(city_of_county) if counties else filled["place"]
        rows = filled.assign(city=city, sector=filled["naics"].map(sector_of))
        rows = rows[rows["city"].isin(cities) & rows["sector"].notna()]
        if rows.empty:
            raise DataError(str(path), ["has no row of these cities and sectors: check codes and the delineation"])
        workers = rows.assign(employment=rows["employment"].fillna(0.0))
        table = workers.pivot_table(index="city", columns="sector", values="employment", aggfunc="sum")
        tables.append(table.reindex(index=list(cities), columns=list(industries)).fillna(0.0))
        found = rows[rows["imputed"] != ""]
        cells.append(
            pd.DataFrame(
                {
                    "file": str(path),
                    "line": found.index,
                    "city": found["city"],
                    "sector": found["sector"],
                    "naics": found["naics"],
                    "workers": found["employment"].fillna(0.0),
                    "how": found["imputed"],
                }
            )
        )
    mean = sum(tables) / len(tables)  # type: ignore[arg-type]
    return mean, pd.concat(cells, ignore_index=True)


def _sector_of(industries: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Sectors by the codes under which the Bureau publishes them."""
    found: dict[str, str] = {}
    for sector, codes in industries.items():
        for code in codes:
            published = SECTOR_OF.get(code, code)
            if published in found and found[published] != sector:
                raise DataError("industries", [f"NAICS {code} is of {found[published]} and of {sector}"])
            found[published] = sector
    for code in found:
        outer = [code[:n] for n in range(2, len(code))]
        if len(code) > 2:
            outer.append(SECTOR_OF.get(code[:2], code[:2]))
        if inside := [other for other in outer if other in found]:
            raise DataError("industries", [f"NAICS {code} lies within {inside[0]}: workers would be counted twice"])
    return found


def split_by_occupation(by_sector: Array, national_share: Array, city_share: Array) -> Fit:
    """Workers (city, occupation, sector): nearest to national shares by sector with the shares of each city.

    **Arguments:**

    - `by_sector`: workers (city, sector). `national_share`: (occupation, sector), the nation's.
    - `city_share`: (city, occupation), sums to one over occupations.

    No cell of the result is observed: it follows from its margins.
    """
    start = by_sector[:, None, :] * national_share[None]
    totals = by_sector.sum(1, keepdims=True) * city_share
    return fit_margins(start, {(0, 2): by_sector, (0, 1): totals}, source="employment by occupation")
