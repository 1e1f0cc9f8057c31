"""A data set of cities assembled from files of agencies (docs/own-data.md). Every imputed cell is counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.data.schema import VARIABLES
from spatialjax.errors import DataError
from spatialjax.sources.city_employment import employment_by_sector, split_by_occupation
from spatialjax.sources.config import BuildConfig, load_build_config
from spatialjax.sources.delineation import areas, read_delineation
from spatialjax.sources.folder_writing import write_data
from spatialjax.sources.industry_occupations import national_shares_of_occupations, read_industry_occupations
from spatialjax.sources.input_shares import national_shares
from spatialjax.sources.occupational_wages import mean_wages, read_occupational_wages
from spatialjax.sources.price_parities import NATION, NONMETROPOLITAN, read_price_parities
from spatialjax.sources.suppressed_cells import OpenClasses
from spatialjax.sources.tables import labels, numbers, read_csv, unique_rows
from spatialjax.sources.use_tables import read_import_table, read_use_table

Array = np.ndarray
IMPUTATIONS = ("variable", "city", "cell", "value", "how")


@dataclass(frozen=True)
class Built:
    """A data set, a row for each imputed cell (`variable`, `city`, `cell`, `value`, `how`), and a report in words."""

    data: xr.Dataset
    imputations: pd.DataFrame
    report: tuple[str, ...]


def build_from_config(path: str | Path) -> Built:
    """The data set that a TOML file describes."""
    return build(load_build_config(path))


def build(config: BuildConfig) -> Built:
    """Assemble a data set of cities.

    **Raises:** `DataError` naming file, column and line, or cities for which something is missing and no assumption
    says what to do.
    """
    counties = _counties(config)
    by_sector, imputed = _employment(config, counties)
    cities, sectors = list(by_sector.index), [sector.name for sector in config.sectors]
    occupations = {occupation.name: list(occupation.codes) for occupation in config.occupations}
    by_sector, local = _local_minimum(config, by_sector)
    wage_table = read_occupational_wages(config.files.wages, highest_wage=config.assumptions.highest_wage)
    by_area = mean_wages(_with_areas(wage_table, config.assumptions.wage_areas), occupations)
    share = _occupation_shares(config, cities, counties, by_area)
    national = _national_occupations(config, occupations)
    if config.assumptions.occupation_totals == "industries":
        share = _scaled_shares(config, share, by_sector.to_numpy(), national)
    fit = split_by_occupation(by_sector.to_numpy(), national, share)
    wage, wages_imputed = _wages(config, cities, by_area, fit.table.sum(2))
    price, prices_imputed = _parities(config, cities)
    value_added, inputs, negative = _shares(config)
    places = _places(config, cities, counties)
    elasticity = [np.nan if s.distance_elasticity is None else s.distance_elasticity for s in config.sectors]
    data = xr.Dataset(
        {
            **{name: ("city", values) for name, values in places.items()},
            "employment": (("city", "occupation", "sector"), fit.table),
            "wage": (("city", "occupation"), wage),
            "housing_price": ("city", price),
            "value_added_share": ("sector", value_added),
            "input_share": (("input", "sector"), inputs),
            "distance_elasticity": ("sector", elasticity),
            "uses_land": ("sector", [sector.uses_land for sector in config.sectors]),
            "sector_label": ("sector", [sector.label or sector.name for sector in config.sectors]),
            "sector_group": ("sector", [sector.group or sector.name for sector in config.sectors]),
        },
        {"city": cities, "occupation": list(occupations), "sector": sectors, "input": sectors},
    )
    imputations = pd.concat([imputed, local, wages_imputed, prices_imputed], ignore_index=True)
    return _described(config, data, imputations, fit.error, fit.sweeps, negative)


def write_built(built: Built, out: str | Path) -> list[Path]:
    """Write a data set as a NetCDF file (.nc) or a folder of CSV files, and the table of imputed cells beside it."""
    return write_data(built.data, Path(out), {"imputations": built.imputations})


def _rows(variable: str, city: Sequence, cell: Sequence, value: Sequence, how: Sequence) -> pd.DataFrame:
    return pd.DataFrame(
        {"variable": [variable] * len(city), "city": city, "cell": cell, "value": value, "how": how},
        columns=list(IMPUTATIONS),
    )


def _counties(config: BuildConfig) -> pd.DataFrame | None:
    return None if config.files.delineation is None else read_delineation(config.files.delineation)


def _employment(config: BuildConfig, counties: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    sectors = [sector.name for sector in config.sectors]
    files, assumed = config.files, config.assumptions
    if files.employment is not None:
        table = read_csv(files.employment, ["city", *sectors])
        names = labels(table, "city", files.employment)
        columns = {
            name: numbers(table, name, files.employment, wanted="workers, 0 or more", holds=lambda x: x >= 0)
            for name in sectors
        }
        return pd.DataFrame(columns).set_axis(names), _rows("employment", [], [], [], [])
    if counties is None:
        raise DataError("files", ["business_patterns need a delineation, which names the cities"])
    found, cells = employment_by_sector(
        files.business_patterns,
        {sector.name: sector.naics for sector in config.sectors},
        list(areas(counties).index),
        counties.set_index("fips")["cbsa"].to_dict(),
        method=assumed.suppressed,
        add_up=assumed.add_up,
        open_classes=OpenClasses(assumed.largest_establishment, assumed.largest_suppressed_cell),
    )
    cell = cells["sector"] + ", NAICS " + cells["naics"] + ", " + cells["file"].map(lambda p: Path(p).name)
    cell += " line " + cells["line"].astype(str)
    return found, _rows("employment", cells["city"], cell, cells["workers"], cells["how"])


def _local_minimum(config: BuildConfig, by_sector: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Some workers in every city in sectors that are not traded."""
    local = [sector.name for sector in config.sectors if sector.distance_elasticity is None]
    low = by_sector[local] < config.assumptions.local_minimum
    filled = by_sector.copy()
    filled[local] = by_sector[local].clip(lower=config.assumptions.local_minimum)
    city, sector = np.nonzero(low.to_numpy())
    names = [local[j] for j in sector]
    value = [config.assumptions.local_minimum] * len(names)
    return filled, _rows("employment", low.index[city], names, value, ["local_minimum"] * len(names))


def _national_occupations(config: BuildConfig, occupations: dict[str, list[str]]) -> Array:
    found = config.files.industry_occupations
    paths = found if isinstance(found, tuple) else (found,)
    table = pd.concat([read_industry_occupations(path) for path in paths], ignore_index=True)
    industries = {sector.name: sector.naics for sector in config.sectors}
    return national_shares_of_occupations(table, industries, occupations, ", ".join(map(str, paths)))


def _occupation_shares(config: BuildConfig, cities: list[str], counties, by_area: pd.DataFrame) -> Array:
    """Shares (city, occupation): of a table by city or county, or of employment in the wage table."""
    names, path = [occupation.name for occupation in config.occupations], config.files.occupation_shares
    if path is None:
        found = pd.DataFrame({name: by_area[(name, "employment")] for name in names})
        found = found.reindex(cities)
    else:
        table = read_csv(path, names)
        values = pd.DataFrame(
            {name: numbers(table, name, path, wanted="0 or more", holds=lambda x: x >= 0) for name in names}
        )
        found = _by_city(table, values, cities, counties, path, weights="workers")
    total = found.sum(axis=1)
    if (bad := ~(total > 0)).any():
        raise DataError(str(path or config.files.wages), [f"has no occupations of {', '.join(found.index[bad][:5])}"])
    return found.div(total, axis=0).to_numpy()


def _by_city(table, values: pd.DataFrame, cities: list[str], counties, path, weights: str | None) -> pd.DataFrame:
    """Values of a table by city, or means over the counties of each city (weighted, where there are weights)."""
    if "city" in table:
        unique_rows(table, ["city"], path)
        found = values.set_axis(table["city"].to_numpy())
    else:
        if "county" not in table or counties is None:
            raise DataError(str(path), ["needs a column city, or a column county and a delineation"])
        weight = (
            numbers(table, weights, path) if weights is not None and weights in table else pd.Series(1.0, table.index)
        )
        city = table["county"].str.zfill(5).map(counties.set_index("fips")["cbsa"])
        summed = values.mul(weight, axis=0).groupby(city).sum()
        found = summed.div(weight.groupby(city).sum(), axis=0)
    if missing := [name for name in cities if name not in found.index]:
        raise DataError(str(path), [f"has no row for {', '.join(missing[:5])} ({len(missing)} cities)"])
    return found.loc[cities]


def _with_areas(table: pd.DataFrame, others: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The wage table with rows of other areas under the codes of cities that are given theirs."""
    given = [table[table["area"].isin(areas_used)].assign(area=city) for city, areas_used in others.items()]
    return pd.concat([table[~table["area"].isin(list(others))], *given])


def _scaled_shares(config: BuildConfig, share: Array, by_sector: Array, national: Array) -> Array:
    """Shares of occupations in cities, scaled to the nation's totals that its industries imply."""
    wanted = national @ by_sector.sum(0)
    scaled = share * wanted / (by_sector.sum(1) @ share)
    scaled[:, -1] = 1 - scaled[:, :-1].sum(1)
    if (scaled[:, -1] <= 0).any():
        last = config.occupations[-1].name
        raise DataError(
            "occupation_totals", [f"nobody would be left in {last} in {int((scaled[:, -1] <= 0).sum())} cities"]
        )
    return scaled


def _wages(config: BuildConfig, cities: list[str], by_area: pd.DataFrame, workers: Array) -> tuple[Array, pd.DataFrame]:
    names, assumed = [occupation.name for occupation in config.occupations], config.assumptions
    wage = np.column_stack([by_area[(name, "wage")].reindex(cities).to_numpy(float) for name in names])
    other = [city for city in cities if city in assumed.wage_areas]
    how = [f"of area {' and '.join(assumed.wage_areas[city])}" for city in other]
    taken = _rows("wage", other, ["all occupations"] * len(other), [np.nan] * len(other), how)
    missing = np.isnan(wage)
    if missing.any() and assumed.missing_wage == "refuse":
        n, k = np.argwhere(missing)[0]
        raise DataError(
            str(config.files.wages),
            [
                f"has no wage of {names[k]} in {cities[n]} ({missing.sum()} such cells); name another area in "
                'assumptions.wage_areas, or set missing_wage = "nation"'
            ],
        )
    bill = np.where(missing, 0.0, wage) * workers
    mean = bill.sum(0) / np.where(missing, 0.0, workers).sum(0)
    wage = np.where(missing, mean, wage)
    n, k = np.nonzero(missing)
    filled = _rows("wage", [cities[i] for i in n], [names[i] for i in k], wage[n, k].tolist(), ["nation"] * len(n))
    national = (wage * workers).sum(0) / workers.sum(0)
    wanted = np.array(
        [o.mean_wage if o.mean_wage is not None else m for o, m in zip(config.occupations, national, strict=True)]
    )
    return wage * wanted / national, pd.concat([taken, filled], ignore_index=True)


def _parities(config: BuildConfig, cities: list[str]) -> tuple[Array, pd.DataFrame]:
    assumed, path = config.assumptions, config.files.price_parities
    found = read_price_parities(path, assumed.parity_years, line=assumed.parity_line)
    used = [assumed.parity_areas.get(city, city) for city in cities]
    price = found.reindex(used).to_numpy() / 100
    how = [f"of area {area}" if area != city else "" for city, area in zip(cities, used, strict=True)]
    missing = np.isnan(price)
    if missing.any():
        if assumed.missing_parity == "refuse":
            raise DataError(
                str(path),
                [
                    f"has no price parity of {', '.join(np.array(cities)[missing][:5])} ({missing.sum()} cities); name "
                    'another area in assumptions.parity_areas, or set missing_parity = "nonmetropolitan"'
                ],
            )
        code = NONMETROPOLITAN if assumed.missing_parity == "nonmetropolitan" else NATION
        other = float(found.get(code, np.nan)) / 100
        if np.isnan(other):
            raise DataError(
                str(path), [f"has no price parity of {code} ({assumed.missing_parity}), which missing_parity asks for"]
            )
        price = np.where(missing, other, price)
        how = [assumed.missing_parity if gone else text for gone, text in zip(missing, how, strict=True)]
    rows = [n for n, text in enumerate(how) if text]
    return price, _rows(
        "housing_price", [cities[n] for n in rows], [""] * len(rows), price[rows].tolist(), [how[n] for n in rows]
    )


def _shares(config: BuildConfig) -> tuple[Array, Array, int]:
    files = config.files
    sheets: Sequence[str | None] = files.table_sheets or [None] * len(files.use_tables)
    used = [read_use_table(path, sheet=sheet) for path, sheet in zip(files.use_tables, sheets, strict=True)]
    imports: Sequence[pd.DataFrame | None] = [None] * len(used)
    if files.import_tables:
        imports = [
            read_import_table(path, sheet=sheet) for path, sheet in zip(files.import_tables, sheets, strict=True)
        ]
    tables = list(zip(used, imports, strict=True))
    land = [sector.uses_land for sector in config.sectors].index(True)
    codes = [sector.use_codes for sector in config.sectors]
    return national_shares(tables, codes, land, config.assumptions.surplus_to_land, str(files.use_tables[0]))


def _places(config: BuildConfig, cities: list[str], counties) -> dict[str, Array]:
    """Coordinates, and titles and residents where there are any."""
    path = config.files.places
    table = read_csv(path, ["latitude", "longitude"])
    columns = [name for name in ("latitude", "longitude", "population") if name in table]
    values = pd.DataFrame(
        {
            name: numbers(
                table, name, path, wanted="a number", holds=VARIABLES[name].holds if name in VARIABLES else np.isfinite
            )
            for name in columns
        }
    )
    found = {name: _by_city(table, values, cities, counties, path, None)[name].to_numpy() for name in columns}
    if "city" in table and "title" in table:
        return {"title": table.set_index("city")["title"].loc[cities].to_numpy().astype(str), **found}
    if counties is not None:
        return {"title": areas(counties).reindex(cities).to_numpy().astype(str), **found}
    return found


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _described(config, data: xr.Dataset, imputations: pd.DataFrame, error: float, sweeps: int, negative: int) -> Built:
    for name, variable in VARIABLES.items():
        if name in data:
            data[name].attrs = {"long_name": variable.description, "units": variable.units}
    counted = imputations.groupby(["variable", "how"]).size()
    report = [
        f"{config.title}: {data.sizes['city']} cities, {data.sizes['occupation']} occupations, {data.sizes['sector']} "
        f"sectors, {float(data['employment'].sum()):,.0f} workers",
        f"employment by occupation: fitted to margins in {sweeps} sweeps, largest relative gap {error:.1e}; no cell of "
        "city, occupation and sector is observed",
        f"input shares: {_counted(len(config.files.use_tables), 'year')}, {negative} negative purchases set to 0",
    ]
    report += [f"{variable}: {_counted(count, 'cell')} imputed ({how})" for (variable, how), count in counted.items()]
    data.attrs = {
        "title": config.title,
        "provenance": config.provenance,
        "imputed_cells": len(imputations),
        **{f"imputed_{variable}": int(n) for variable, n in imputations.groupby("variable").size().items()},
    }
    return Built(data, imputations, tuple(report))
