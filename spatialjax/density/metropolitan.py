"""The premium over places: log earnings on log density across metropolitan areas (FF section 3 and appendix C).

FF find 0.081 (0.007), and 0.078 (0.007) with a college share of 0.33 (0.10): means of the earnings of establishments,
each counting alike, over 363 CBSAs in 1992 and 1997. The embedded tables average workers (payroll over employment), and
either the years (2001 and 2007, CBSAs) or the places (303 MSAs of 1999, in 1992 and 1997) are others: their premia are
not FF's. A panel of establishments gives what FF regress, through `place_earnings`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatialjax.density.cbsas import cbsa_table, msa_table
from spatialjax.density.columns import of_cbsas
from spatialjax.errors import DataError
from spatialjax.estimation.instrumental import InstrumentalEstimate, estimate
from spatialjax.estimation.regression import Regression, regress
from spatialjax.estimation.sample import Sample

CLIMATE = ("january_temperature", "january_sun", "july_temperature", "july_humidity")
TERRAIN = ("topography", "water_percent")
ELEVATION = ("elevation", "elevation_spread")
"""Of airports: a proxy of FF's elevation and ruggedness, for CBSAs only."""
INSTRUMENTS = (*CLIMATE, *TERRAIN, *ELEVATION)
"""What is at hand; FF's soils, moisture and growing days are not."""

PUBLISHED = pd.DataFrame(
    {
        "density": (0.081, 0.078),
        "density_error": (0.007, 0.007),
        "college_share": (np.nan, 0.33),
        "college_share_error": (np.nan, 0.10),
    },
    index=pd.Index(["density", "density and college"], name="specification"),
)
"""FF section 3, Figure C.1 and note 1 of appendix C: 363 CBSAs, averages of establishments, 1992 and 1997."""


def place_years(table: pd.DataFrame, years: Sequence[int] | None = None) -> pd.DataFrame:
    """A row for each place and year: place, year, log_earnings, log_density, the other columns of the table.

    **Arguments:** `table`: places, indexed by code, with `density`, `college_share` and `earnings_<year>`; `years`: by
    default all that there are.

    **Raises:** `DataError` where columns are missing, or densities or earnings are not above zero.
    """
    found = sorted(int(name.removeprefix("earnings_")) for name in table.columns if str(name).startswith("earnings_"))
    years = found if years is None else list(years)
    missing = [f"column earnings_{year} is missing" for year in years if year not in found]
    missing += [f"column {name} is missing" for name in ("density", "college_share") if name not in table.columns]
    if missing or not years:
        raise DataError("table of places", missing or ["no column earnings_<year>"])
    values = table[[f"earnings_{year}" for year in years]].to_numpy(float)
    _require_positive(table, np.column_stack([table["density"].to_numpy(float), values]))
    rest = table.drop(columns=[f"earnings_{year}" for year in found])
    frames = [
        rest.assign(place=table.index, year=year, log_earnings=np.log(column), log_density=np.log(table["density"]))
        for year, column in zip(years, values.T, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)


def place_earnings(panel: pd.DataFrame, cbsas: pd.DataFrame) -> pd.DataFrame:
    """The same rows from a panel of establishments: log of the mean over a CBSA's establishments, each counting alike.

    This is what FF plot (Figure C.1). Columns: place, year, log_earnings, log_density, college_share, establishments.
    """
    groups = panel.groupby(["cbsa", "year"], observed=True)["earnings"]
    table = groups.agg(earnings="mean", establishments="size").reset_index().rename(columns={"cbsa": "place"})
    density = of_cbsas(table["place"], cbsas, "density")
    _require_positive(table.set_index("place"), np.column_stack([density, table["earnings"].to_numpy(float)]))
    college = of_cbsas(table["place"], cbsas, "college_share")
    logs = {"log_earnings": np.log(table.pop("earnings")), "log_density": np.log(density), "college_share": college}
    return table.assign(**logs)


def metropolitan_premium(places: pd.DataFrame, *, college: bool = False) -> Regression:
    """Log earnings on log density over places, with or without the college share; years have effects.

    **Arguments:** `places`: rows of [`place_years`][] or [`place_earnings`][]. Errors are clustered by place.
    """
    regressors = ["log_density", *(["college_share"] if college else [])]
    return regress(places, "log_earnings", regressors, effects=["year"], cluster="place")


def instrumented_premium(
    places: pd.DataFrame, instruments: Sequence[str] = (*CLIMATE, *TERRAIN), *, college: bool = True
) -> InstrumentalEstimate:
    """The same by two-stage least squares: density, and the college share if it is there, are both endogenous.

    **Arguments:** `instruments`: columns; rows where one is missing are left out (`observations` counts those used).

    **Warns:** `EstimationWarning` for weak instruments.
    """
    endogenous = ["log_density", *(["college_share"] if college else [])]
    missing = [f"instrument {name} is missing" for name in instruments if name not in places.columns]
    if missing:
        raise DataError("table of places", missing)
    rows = places.dropna(subset=list(instruments))
    sample = Sample.from_columns(
        rows, "log_earnings", endogenous, instruments=instruments, effects=["year"], clusters=["place"]
    )
    return estimate(sample, "2sls")


@dataclass(frozen=True)
class MetropolitanScatter:
    """Places in the plane of log density and log earnings, and the line through them (FF Figure C.1).

    `points`: place, log_density, log_earnings (mean over years). `fit`: of the points, robust errors.
    """

    points: pd.DataFrame
    fit: Regression

    def line(self, log_density: np.ndarray) -> np.ndarray:
        """Fitted log earnings at log densities."""
        return self.fit.coefficients["Intercept"] + self.fit.coefficients["log_density"] * np.asarray(log_density)


def metropolitan_scatter(places: pd.DataFrame) -> MetropolitanScatter:
    """Means over years of each place and their fit: slope and R-squared of FF Figure C.1 (slope 0.081)."""
    points = places.groupby("place")[["log_density", "log_earnings"]].mean().reset_index()
    if len(points) < 3:
        raise DataError("table of places", [f"a line needs three places, found {len(points)}"])
    return MetropolitanScatter(points, regress(points, "log_earnings", ["log_density"]))


def metropolitan_premia(tables: Mapping[str, pd.DataFrame] | None = None) -> pd.DataFrame:
    """Premia of tables of places, by least squares and by two-stage least squares, beside FF's numbers.

    **Arguments:** `tables`: by name; by default the embedded "CBSAs" (2001, 2007) and "MSAs" (1992, 1997).

    **Returns:** a row for each table, estimator and specification, of all its years and by least squares of each:
    `density` and `college_share` (coefficients), their errors, observations, and FF's numbers beside least squares.
    """
    tables = {"CBSAs": cbsa_table(), "MSAs": msa_table()} if tables is None else tables
    rows = [row for name, table in tables.items() for row in _premia(name, place_years(table))]
    published = PUBLISHED.add_prefix("published_").reset_index().assign(estimator="ols")
    return pd.DataFrame(rows).merge(published, how="left", on=["estimator", "specification"])


def _premia(name: str, places: pd.DataFrame) -> list[dict]:
    parts = {str(year): rows for year, rows in places.groupby("year")}
    samples = {"all": places, **(parts if len(parts) > 1 else {})}
    at_hand = [column for column in INSTRUMENTS if column in places.columns]
    rows = []
    for specification, college in (("density", False), ("density and college", True)):
        key = {"table": name, "specification": specification}
        for years, sample in samples.items():
            fit = metropolitan_premium(sample, college=college)
            rows.append(key | {"years": years, "estimator": "ols", **_row(fit)})
        if at_hand:
            instrumented = instrumented_premium(places, at_hand, college=college)
            rows.append(key | {"years": "all", "estimator": "2sls", **_row(instrumented)})
    return rows


def _row(fit: Regression | InstrumentalEstimate) -> dict[str, float]:
    errors = fit.standard_errors
    return {
        "density": fit.coefficients["log_density"],
        "density_error": errors["log_density"],
        "college_share": fit.coefficients.get("college_share", np.nan),
        "college_share_error": errors.get("college_share", np.nan),
        "observations": fit.observations,
    }


def _require_positive(table: pd.DataFrame, values: np.ndarray) -> None:
    bad = ~(values > 0).all(1)
    if bad.any():
        named = ", ".join(str(code) for code in table.index[bad][:5])
        problem = f"density or earnings are missing or not above zero in {bad.sum()} rows (places {named})"
        raise DataError("table of places", [f"{problem}; leave these out"])
