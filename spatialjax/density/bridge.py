"""Solved economies beside the facts of FF: how wages rise with density, or with size, in the allocation of a model.

Everything here reads labelled results (wages by city and occupation, or by zone): of data, of an equilibrium, of one
without externalities, of an optimum. Models have workers, not establishments, and log wages are regressed over places,
each counting alike, as FF do in section 3 (0.081; 0.078 with the college share).
"""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.density.metropolitan import PUBLISHED
from spatialjax.density.published import TABLE_5
from spatialjax.errors import DataError
from spatialjax.estimation.regression import Regression, regress

FEWEST = 3
"""Places below which no line is fitted."""


def match_cbsas(city: np.ndarray, titles: np.ndarray | None, cbsas: pd.DataFrame) -> pd.DataFrame:
    """The CBSA of each city: by its code, else, among those left, by a city's name and a state that titles share.

    Codes and titles changed between the definitions of 2007 (the CBSA table) and 2013 (the embedded metros): of these
    382, 348 are found by code and 7 by title (Los Angeles among them).

    **Returns:** indexed by position: `cbsa` (-1 where there is none) and `matched` ("code", "title", "").
    """
    codes = pd.to_numeric(pd.Series(np.asarray(city).astype(str)), errors="coerce").fillna(-1).astype(int)
    by_code = codes.isin(cbsas.index)
    result = pd.DataFrame({"cbsa": codes.where(by_code, -1), "matched": np.where(by_code, "code", "")})
    if titles is None or "title" not in cbsas.columns:
        return result
    free = {code: _names(title) for code, title in cbsas["title"].items() if code not in set(codes)}
    for position in np.flatnonzero(~by_code.to_numpy()):
        own = _names(str(titles[position]))
        found = [code for code, names in free.items() if own & names]
        if len(found) == 1:
            result.loc[position, ["cbsa", "matched"]] = found[0], "title"
            del free[found[0]]
    return result


def _names(title: str) -> set[tuple[str, str]]:
    """Each pair of a city's name and a state in a title such as "Sacramento--Roseville, CA"."""
    places, _, states = title.rpartition(",")
    cities = [name.strip().removeprefix("Urban ") for name in re.split(r"[-/]+", places) if name.strip()]
    return {(name, state.strip()) for name in cities for state in states.split("-")}


def city_table(result: xr.Dataset, cbsas: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row for each city of a labelled result with `wage` and `employment` (city, occupation).

    Columns: city, title, employment (workers), log_employment, log_wage (log of the mean over workers), skill_share (of
    the first occupation in employment), and with a table of CBSAs cbsa, matched, log_density (NaN where not matched).
    Cities without workers are left out.

    **Raises:** `DataError` for a result without these variables.
    """
    wage, employment = _by_city(result)
    worked = employment > 0
    total = np.where(worked, employment, 0).sum(1)
    bill = np.where(worked, wage * employment, 0).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "employment": total,
            "log_employment": np.log(total),
            "log_wage": np.log(bill / total),
            "skill_share": employment[:, 0] / total,
        }
    titles = result["title"].values if "title" in result else None
    names = result["city"].values if titles is None else titles
    table = pd.DataFrame({"city": result["city"].values, "title": names, **columns})
    if cbsas is not None:
        table = table.join(match_cbsas(result["city"].values, titles, cbsas))
        density = cbsas["density"].reindex(table["cbsa"].where(table["matched"] != ""))
        table["log_density"] = np.log(density.to_numpy(float))
    return table[total > 0].reset_index(drop=True)


def _by_city(result: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Wages and employment [city, occupation]; employment by sector, as in data, is added up."""
    missing = [f"variable {name} is missing" for name in ("wage", "employment") if name not in result]
    missing = missing or [f"dimension {name} is missing" for name in ("city", "occupation") if name not in result.dims]
    if missing:
        raise DataError("result of a city economy", missing)
    employment = result["employment"].sum("sector") if "sector" in result["employment"].dims else result["employment"]
    order = ("city", "occupation")
    return result["wage"].transpose(*order).values.astype(float), employment.transpose(*order).values.astype(float)


def log_earnings_by_cbsa(result: xr.Dataset, cbsas: pd.DataFrame) -> pd.Series:
    """Log mean wage of each CBSA that a city of the result is matched to, less the mean over these CBSAs.

    This is what a simulated panel of establishments can take in the place of its density premium:
    `simulate_panel(cbsas.loc[values.index], city_log_earnings=values, ...)` (`spatialjax.density.simulation`).

    **Raises:** `DataError` where no city is matched.
    """
    table = city_table(result, cbsas)
    matched = table[table["matched"] != ""].sort_values("cbsa")
    if matched.empty:
        raise DataError("result of a city economy", ["no code or title of a city matches a CBSA"])
    values = matched["log_wage"].to_numpy()
    return pd.Series(values - values.mean(), pd.Index(matched["cbsa"], name="cbsa"), name="log_earnings")


def city_premium(result: xr.Dataset, cbsas: pd.DataFrame | None = None) -> pd.DataFrame:
    """Elasticities of wages of a result with respect to density (where cities match CBSAs) and to employment.

    Three specifications: the mean wage; the mean wage given the share of the first occupation, which stands for FF's
    college share; wages of each occupation, with effects of occupations and errors clustered by city.

    **Returns:** a row for each `size` ("density", "employment") and `specification`: elasticity, standard_error
    (robust), skill_share and its error, R-squared, cities, and FF's numbers where the size is density.
    """
    table = city_table(result, cbsas)
    sizes = ["employment"] if cbsas is None else ["density", "employment"]
    rows = [row for size in sizes for row in _premia(table, _by_occupation(result, table), size)]
    published = PUBLISHED.reset_index().assign(size="density")
    published["specification"] = published["specification"].map(
        {"density": "mean wage", "density and college": "mean wage, skill share"}
    )
    columns = ["size", "specification", "density", "density_error"]
    names = {"density": "published", "density_error": "published_error"}
    return pd.DataFrame(rows).merge(published[columns].rename(columns=names), how="left", on=columns[:2])


def _premia(table: pd.DataFrame, occupations: pd.DataFrame, size: str) -> list[dict]:
    regressor = f"log_{size}"
    known = table[np.isfinite(table[regressor])]
    if len(known) < FEWEST:
        problem = f"{size} is known in {len(known)} of {len(table)} cities: codes or titles do not match the CBSAs"
        raise DataError("result of a city economy", [problem])
    detail = occupations[np.isfinite(occupations[regressor])]
    fits = {
        "mean wage": regress(known, "log_wage", [regressor]),
        "mean wage, skill share": regress(known, "log_wage", [regressor, "skill_share"]),
        "by occupation": regress(detail, "log_wage", [regressor], effects=["occupation"], cluster="city"),
    }
    return [
        {"size": size, "specification": name, **_row(fit, regressor), "cities": len(known)}
        for name, fit in fits.items()
    ]


def _row(fit: Regression, regressor: str) -> dict[str, float]:
    errors = fit.standard_errors
    return {
        "elasticity": fit.coefficients[regressor],
        "standard_error": errors[regressor],
        "skill_share": fit.coefficients.get("skill_share", np.nan),
        "skill_share_error": errors.get("skill_share", np.nan),
        "r_squared": fit.r_squared,
    }


def _by_occupation(result: xr.Dataset, table: pd.DataFrame) -> pd.DataFrame:
    """A row for each city and occupation that has workers, with the columns of the city."""
    wage, employment = _by_city(result)
    city, occupation = np.nonzero((employment > 0) & (wage > 0))
    frame = pd.DataFrame({"city": result["city"].values[city], "occupation": occupation})
    frame["log_wage"] = np.log(wage[city, occupation])
    return frame.merge(table.drop(columns="log_wage"), on="city")


def city_premia(results: Mapping[str, xr.Dataset], cbsas: pd.DataFrame | None = None) -> pd.DataFrame:
    """[`city_premium`][] of allocations by name: data, an equilibrium, one without externalities, an optimum."""
    tables = {name: city_premium(result, cbsas) for name, result in results.items()}
    return pd.concat(tables, names=["allocation"]).reset_index(level=0).reset_index(drop=True)


def zone_premium(result: xr.Dataset) -> pd.DataFrame:
    """How wages of granular places rise with their size, and which part the mechanism of KO gives.

    The wage of a place is (KO 3)

    log w = log z + eta (log m - log l) + log(Phi + Psi) + log(1 - eta),

    so that slopes on the size of places add up: what places are born with, firms per worker, and granularity. The last
    is what the model explains; in an equilibrium calibrated to data the first absorbs what remains. Sizes are log
    population (l) and log firms per sector (m): zones have no density, so FF's comparable number is the elasticity
    with respect to population (Table 5).

    **Arguments:** `result`: a labelled result of places (`places_to_xarray`), or any with `population`, `firms`,
    `wage`, `productivity`, `phi`, `psi` and, for the mechanism's own elasticity, `wage_elasticity` by zone.

    **Returns:** a row for each `size` and `part` ("wage", "productivity", "firms per worker", "granularity", "Phi"):
    elasticity, standard_error (robust), zones; the row "mechanism" is the mean over people of d log w / d log l with
    entry, of a place alone (KO Proposition 1); FF's number beside the wage.
    """
    parts = _zone_parts(result)
    rows = []
    for size in ("population", "firms"):
        frame = pd.DataFrame(parts).assign(size=np.log(result[size].values.astype(float)))
        for part in parts:
            fit = regress(frame.rename(columns={part: "outcome"}), "outcome", ["size"])
            slope, error = fit.coefficients["size"], fit.standard_errors["size"]
            rows.append({"size": size, "part": part, "elasticity": slope, "standard_error": error, "zones": len(frame)})
    if "wage_elasticity" in result:
        mean = np.average(result["wage_elasticity"].values, weights=result["population"].values)
        rows.append({"size": "population", "part": "mechanism", "elasticity": mean, "zones": result.sizes["zone"]})
    return pd.DataFrame(rows).merge(_published_by_population(), how="left", on=["size", "part"])


def _zone_parts(result: xr.Dataset) -> dict[str, np.ndarray]:
    names = ("population", "firms", "wage", "productivity", "phi", "psi")
    missing = [f"variable {name} is missing" for name in names if name not in result]
    if missing or "zone" not in result.dims:
        raise DataError("result of granular places", missing or ["dimension zone is missing"])
    wage, productivity, phi, psi = (result[name].values.astype(float) for name in names[2:])
    parts = {"wage": np.log(wage), "productivity": np.log(productivity), "granularity": np.log(phi + psi)}
    parts["firms per worker"] = parts["wage"] - parts["productivity"] - parts["granularity"]
    return parts | {"Phi": np.log(phi)}


def _published_by_population() -> pd.DataFrame:
    row = TABLE_5.query("specification == 'population' and regressor == 'log_density'").iloc[0]
    published = {"published": row["coefficient"], "published_error": row["standard_error"]}
    return pd.DataFrame([{"size": "population", "part": "wage", **published}])
