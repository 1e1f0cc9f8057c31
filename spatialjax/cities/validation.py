"""What an inverted economy says of wages, prices, amenities and productivity across cities (CH Table 1, 4.5, 4.7)."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.externalities import effective_amenity
from spatialjax.cities.outcomes import (
    OccupationPair,
    city_size,
    first_two,
    labour_share,
    log_premium,
    log_tfp,
    occupation_share,
)
from spatialjax.errors import ModelError

Array = np.ndarray

TABLE_ONE = (
    ((0.059, 0.004), (0.338, 0.021), (1.499, 0.089)),
    ((0.050, 0.002), (0.223, 0.017), (0.993, 0.072)),
    ((0.022, 0.001), (0.115, 0.008), (0.506, 0.036)),
)
"""CH Table 1: coefficients and standard errors, a row a dependent variable, a column a regressor."""
CONVENTIONS = "univariate least squares over cities, unweighted; heteroskedasticity-robust (HC1) standard errors"


def least_squares(y: Array, *regressors: Array) -> tuple[Array, Array, int]:
    """Coefficients and robust (HC1) standard errors of a regression with an intercept, and the number of cities.

    Cities where a variable is not a number do not count. The intercept comes last.

    **Raises:** `ModelError` where regressors are collinear or cities too few.
    """
    x = np.column_stack([*regressors, np.ones_like(y)])
    known = np.isfinite(y) & np.isfinite(x).all(1)
    x, y = x[known], y[known]
    count, width = x.shape
    if count <= width or np.linalg.matrix_rank(x) < width:
        raise ModelError(f"a regression on {width - 1} variables needs them to vary over more cities, found {count}")
    bread = np.linalg.inv(x.T @ x)
    coefficients = bread @ (x.T @ y)
    scores = x * (y - x @ coefficients)[:, None]
    covariance = count / (count - width) * bread @ (scores.T @ scores) @ bread
    return coefficients, np.sqrt(np.diag(covariance)), count


def wage_regressions(
    result: xr.Dataset, *, pair: OccupationPair | None = None, published: bool = False
) -> pd.DataFrame:
    """Log wages and the log premium on city size and composition, one at a time (CH Table 1).

    CH's observations are cities by industry, with standard errors clustered by both; wages here are by city and
    occupation, alike in all industries, and observations are cities.

    **Arguments:**

    - `result`: an equilibrium of two occupations or more.
    - `pair`: the occupations that are compared, by default the first two.
    - `published`: put CH's numbers beside ours.

    **Returns:** a row for each pair of variables: `dependent`, `regressor`, `coefficient`, `standard_error`, `cities`.
    """
    first, second = pair = _pair(result, pair)
    wage: xr.DataArray = np.log(result["wage"].where(result["employment"] > 0))  # type: ignore[assignment]
    dependent = {
        f"log wage of {first}": wage.sel(occupation=first).values,
        f"log wage of {second}": wage.sel(occupation=second).values,
        "log wage premium": log_premium(result[["wage"]].where(result["employment"] > 0), pair).values,
    }
    workers = result["employment"].where(result["employment"] > 0)
    regressors = {
        "log employment": np.log(city_size(result).values),
        f"log {first} over {second} employment": np.log(
            (workers.sel(occupation=first) / workers.sel(occupation=second)).values
        ),
        f"{first} share of employment": occupation_share(result).sel(occupation=first).values,
    }
    rows = []
    for i, (name, y) in enumerate(dependent.items()):
        for j, (regressor, x) in enumerate(regressors.items()):
            coefficients, errors, count = least_squares(y, x)
            row = {"dependent": name, "regressor": regressor, "coefficient": coefficients[0]}
            row |= {"standard_error": errors[0], "cities": count}
            if published:
                row |= dict(zip(("published", "published_standard_error"), TABLE_ONE[i][j], strict=True))
            rows.append(row)
    return pd.DataFrame(rows)


def city_measures(economy: Economy, result: xr.Dataset, pair: OccupationPair | None = None) -> xr.Dataset:
    """What inversion finds of each city, beside its size and composition (CH section 4.5), by city.

    Two occupations are compared, those of `pair` or by default the first two.

    - `log_size`, `share`: log employment, the first occupation's share of it.
    - `traded_price`: mean log price of traded goods, weighted by national consumption.
    - `relative_amenity`: log amenity of the first occupation over that of the second, amenity spillovers included.
    - `tfp`: mean log total factor productivity of traded sectors (footnote 20, externalities included), each less its
      mean over cities, weighted by the sectors' national wage bills. A city's missing sectors do not count.
    """
    pair = _pair(result, pair)
    traded = np.isin(np.arange(result.sizes["sector"]), economy.traded)
    measures = {
        "log_size": (np.log(city_size(result).values), "log employment"),
        "share": (occupation_share(result).sel(occupation=pair[0]).values, f"{pair[0]} share of employment"),
        "traded_price": (_traded_price(economy, result, traded), "log price of traded goods"),
        "relative_amenity": (_relative_amenity(economy, result, pair), "log relative amenity"),
        "tfp": (_city_tfp(economy, result, traded), "log total factor productivity"),
    }
    coordinates = {name: result[name] for name in ("city", "title") if name in result.coords}
    found = xr.Dataset(
        {name: ("city", values, {"long_name": label, "units": "1"}) for name, (values, label) in measures.items()},
        coordinates,
    )
    found["share"].attrs["occupation"] = pair[0]
    return found.assign(employment=result["employment"], wage=result["wage"])


def _traded_price(economy: Economy, result: xr.Dataset, traded: Array) -> Array:
    shares = np.asarray(economy.consumption_share)
    if shares.ndim == 2:
        shares = np.average(shares, axis=0, weights=np.asarray(economy.population))
    weight = np.where(traded, shares, 0.0)
    price = result["price"].transpose("city", "sector").values
    return np.log(price) @ weight / weight.sum()


def _relative_amenity(economy: Economy, result: xr.Dataset, pair: OccupationPair) -> Array:
    workers = jnp.asarray(result["employment"].transpose("city", "occupation").values)
    amenity = np.asarray(effective_amenity(economy, workers))
    log = np.log(np.where(amenity > 0, amenity, np.nan))
    first, second = (list(result["occupation"].values).index(name) for name in pair)
    return log[:, first] - log[:, second]


def _city_tfp(economy: Economy, result: xr.Dataset, traded: Array) -> Array:
    tfp = log_tfp(economy, result).transpose("city", "sector").values[:, traded]
    bill = (result["wage"] * result["employment_by_sector"]).sum(("city", "occupation")).values[traded]
    known = np.isfinite(tfp)
    deviation = np.where(known, tfp - np.nanmean(tfp, axis=0), 0.0)
    weight = np.where(known, bill, 0.0)
    total = weight.sum(1)
    return (weight * deviation).sum(1) / np.where(total > 0, total, np.nan)


@dataclass(frozen=True)
class _Finding:
    statement: str
    measure: str
    regressors: tuple[str, ...]
    signs: tuple[int, ...]


FINDINGS = (
    _Finding("prices of traded goods fall with city size", "traded_price", ("log_size",), (-1,)),
    _Finding(
        "amenities of {first} workers are relatively higher where they work", "relative_amenity", ("share",), (1,)
    ),
    _Finding("TFP rises with city size", "tfp", ("log_size",), (1,)),
    _Finding("TFP rises with the {first} share", "tfp", ("share",), (1,)),
    _Finding("TFP rises with both at once", "tfp", ("log_size", "share"), (1, 1)),
)
"""CH section 4.5: (i) to (iii). The text gives signs alone: the numbers are in an appendix that is not at hand."""


def validation_regressions(measures: xr.Dataset) -> pd.DataFrame:
    """Prices, amenities and productivity on size and composition, and whether CH's signs hold (CH section 4.5).

    **Arguments:**

    - `measures`: as [`city_measures`][] returns them.

    **Returns:** a row a coefficient: the statement, `dependent`, `regressor`, `coefficient`, `standard_error`,
    `correlation` (for one regressor), `cities`, the sign that CH state, and whether it `holds`.
    """
    rows = []
    for finding in FINDINGS:
        y = measures[finding.measure].values
        x = [measures[name].values for name in finding.regressors]
        coefficients, errors, count = least_squares(y, *x)
        for at, (name, sign) in enumerate(zip(finding.regressors, finding.signs, strict=True)):
            rows.append(
                {
                    "statement": finding.statement.format(first=measures["share"].attrs["occupation"]),
                    "dependent": measures[finding.measure].attrs["long_name"],
                    "regressor": measures[name].attrs["long_name"],
                    "coefficient": coefficients[at],
                    "standard_error": errors[at],
                    "correlation": _correlation(y, x[0]) if len(x) == 1 else np.nan,
                    "cities": count,
                    "sign in CH": "positive" if sign > 0 else "negative",
                    "holds": bool(np.sign(coefficients[at]) == sign),
                }
            )
    return pd.DataFrame(rows)


def _correlation(y: Array, x: Array) -> float:
    known = np.isfinite(y) & np.isfinite(x)
    return float(np.corrcoef(y[known], x[known])[0, 1])


@dataclass(frozen=True)
class Move:
    """A comparison of two cities, all else equal: in the occupations' `share` or in `size` (CH section 4.7)."""

    origin: str
    destination: str
    of: str
    published: tuple[float, ...] = ()
    published_levels: tuple[float, float] = (float("nan"), float("nan"))
    published_percentiles: tuple[float, float] = (float("nan"), float("nan"))


MOVES = (
    Move("Winston-Salem, NC", "Austin", "share", (6.0, -3.0), (36.0, 42.0), (76.0, 95.0)),
    Move("Trenton, NJ", "Rochester, NY", "size", (11.0, 11.0), (182.0, 433.0), (75.0, 88.0)),
)
"""CH section 4.7: gains in percent by occupation; shares in percent or thousand workers; percentiles of cities."""


def productivity_moves(economy: Economy, result: xr.Dataset, moves: Sequence[Move] = MOVES) -> pd.DataFrame:
    """What externalities add to productivity between two cities, all else equal (CH section 4.7).

    The contribution of an occupation to total factor productivity is the mean over traded sectors of gamma times the
    change of its log productivity (footnote 20), when the first city gets the second's share of occupations at its own
    size, or its size at its own shares. Gamma is the sectors' national value-added share, and the mean is simple.

    **Arguments:**

    - `moves`: cities by the beginning of their `title`, or by their label. Those that the data lack are left out.

    **Returns:** a row for each move and occupation: `gain` in percent (100 times log points), the levels that are
    compared (`from`, `to`: the first occupation's share in percent, or thousand workers) and their percentiles among
    cities; the gain between the levels that CH state; and what they publish.
    """
    names = [str(name) for name in result["occupation"].values]
    workers = result["employment"].transpose("city", "occupation").values
    rows = []
    for move in moves:
        at, to = (_city(result, name) for name in (move.origin, move.destination))
        if at is None or to is None:
            continue
        moved = workers.copy()
        moved[at] = _moved(workers[at], workers[to], move.of)
        gain = 100 * _tfp_change(economy, workers, moved, at)
        levels, percentiles = _levels(workers, (at, to), move.of)
        published = _gain_at(economy, workers, at, move)
        for k, name in enumerate(names):
            rows.append(
                {
                    "from city": move.origin,
                    "to city": move.destination,
                    "of": move.of,
                    "occupation": name,
                    "gain": gain[k],
                    "from": levels[0],
                    "to": levels[1],
                    "from percentile": percentiles[0],
                    "to percentile": percentiles[1],
                    "gain at CH's levels": published[k],
                    "gain (CH)": move.published[k] if k < len(move.published) else np.nan,
                    "from (CH)": move.published_levels[0],
                    "to (CH)": move.published_levels[1],
                    "from percentile (CH)": move.published_percentiles[0],
                    "to percentile (CH)": move.published_percentiles[1],
                }
            )
    return pd.DataFrame(rows)


def _city(result: xr.Dataset, name: str) -> int | None:
    titles = result["title"].values if "title" in result.coords else result["city"].values
    found = [n for n, title in enumerate(titles) if str(title).startswith(name)]
    return found[0] if found else None


def _moved(origin: Array, destination: Array, of: str) -> Array:
    if of == "share":
        return origin.sum() * destination / destination.sum()
    if of == "size":
        return destination.sum() * origin / origin.sum()
    raise ModelError(f"a move is of 'share' or 'size', found {of!r}")


def _tfp_change(economy: Economy, before: Array, after: Array, city: int) -> Array:
    """Mean over traded sectors of gamma d log lambda, by occupation."""
    shape = economy.fundamental_productivity.shape
    shifts = [np.broadcast_to(economy.spillover(jnp.asarray(w)), shape)[city] for w in (before, after)]
    traded = list(economy.traded)
    share = labour_share(economy).values[:, traded].mean(0)
    return ((shifts[1] - shifts[0])[:, traded] * share).mean(1)


def _gain_at(economy: Economy, workers: Array, city: int, move: Move) -> Array:
    """The gain in percent between the levels that CH state, for two occupations; not a number where they state none."""
    if workers.shape[1] != 2 or not np.isfinite(move.published_levels).all():
        return np.full(workers.shape[1], np.nan)
    ends = []
    for level in move.published_levels:
        share, size = (level / 100, 1.0) if move.of == "share" else (0.5, 1000 * level)
        ends.append(workers.copy())
        ends[-1][city] = size * np.asarray([share, 1 - share])
    return 100 * _tfp_change(economy, ends[0], ends[1], city)


def _levels(workers: Array, cities: tuple[int, int], of: str) -> tuple[Array, Array]:
    size = workers.sum(1)
    values = 100 * workers[:, 0] / size if of == "share" else size / 1000
    percentiles = [100 * float((values <= values[n]).mean()) for n in cities]
    return values[list(cities)], np.asarray(percentiles)


def _pair(result: xr.Dataset, pair: OccupationPair | None) -> OccupationPair:
    pair = pair or first_two(result)
    if pair is None:
        name = str(result["occupation"].values[0])
        raise ModelError(f"these regressions compare two occupations, and there is one: {name}")
    return pair
