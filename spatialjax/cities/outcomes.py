"""Outcomes of an equilibrium that the papers report: shares, premia, correlations, transfers, gains.

Functions of labelled results ([`Equilibrium.to_xarray`][]), and of the economy where its shares are needed.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.flows import SectorGroups, group_members
from spatialjax.errors import ModelError

Array = np.ndarray
OccupationPair = tuple[str, str]
"""Names of the occupation whose share is told, and of the one that it is compared with."""


def city_size(result: xr.Dataset) -> xr.DataArray:
    """Employment of each city, workers."""
    return result["employment"].sum("occupation")


def occupation_share(result: xr.Dataset) -> xr.DataArray:
    """Share of each occupation in a city's employment (city, occupation)."""
    return result["employment"] / city_size(result)


def first_two(result: xr.Dataset) -> OccupationPair | None:
    """Names of the first two occupations, or None where there are fewer."""
    names = [str(name) for name in result["occupation"].values]
    return (names[0], names[1]) if len(names) > 1 else None


def occupation_difference(values: xr.DataArray, pair: OccupationPair) -> xr.DataArray:
    """Values of the first of two occupations less those of the second."""
    first, second = (values.sel(occupation=name, drop=True) for name in pair)
    return first - second


def log_premium(result: xr.Dataset, pair: OccupationPair | None = None) -> xr.DataArray:
    """Log wage of an occupation over that of another (CH section 2); NaN where one is absent.

    **Arguments:**

    - `result`: wage (city, occupation).
    - `pair`: names of the two occupations; by default the first two.

    **Raises:** `ModelError` where the two are not there.
    """
    pair = pair or first_two(result)
    known = [str(name) for name in result["occupation"].values]
    if pair is None or not set(pair) <= set(known):
        found = "two occupations" if pair is None else " and ".join(pair)
        raise ModelError(f"a wage premium needs {found}; there are {', '.join(known)}")
    wage = result["wage"].where(result["wage"] > 0)
    return occupation_difference(np.log(wage), pair)


def correlation(x: xr.DataArray, y: xr.DataArray, weight: xr.DataArray | None = None) -> float:
    """Correlation over the cities where both are known, unweighted or weighted."""
    known = np.isfinite(x.values) & np.isfinite(y.values)
    weights = None if weight is None else weight.values[known]
    covariance = np.cov(x.values[known], y.values[known], aweights=weights)
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


def weighted_mean(x: xr.DataArray, weight: xr.DataArray) -> float:
    """Mean over cities, weighted."""
    return float((x * weight).sum() / weight.sum())


def specialisation(result: xr.Dataset) -> xr.DataArray:
    """Gini coefficient of each city's wage bill over sectors (CH Figure 9), 0 (even) to 1."""
    shares = np.sort(wage_bill_share(result).transpose("city", "sector").values, axis=1)
    sectors = shares.shape[1]
    rank = np.arange(1, sectors + 1)
    gini = (2 * rank - sectors - 1) @ shares.T / sectors
    return xr.DataArray(gini, coords={"city": result["city"]}, dims="city", attrs={"units": "1"})


def location_quotient(result: xr.Dataset) -> xr.DataArray:
    """Share of a sector in a city's employment over its national share (city, sector)."""
    employment = result["employment_by_sector"].sum("occupation")
    return (employment / employment.sum("sector")) / (employment.sum("city") / employment.sum())


def specialisation_change(baseline: xr.Dataset, result: xr.Dataset) -> xr.DataArray:
    """Change of the Gini coefficient of each city's wage bill over sectors (CH Figure 9)."""
    change = _change(specialisation(baseline), specialisation(result))
    return change.assign_attrs(long_name="change of the Gini coefficient of the wage bill over sectors", units="1")


def employment_share(result: xr.Dataset) -> xr.DataArray:
    """Share of each sector in a city's employment (city, sector)."""
    employment = result["employment_by_sector"].sum("occupation")
    return employment / employment.sum("sector")


def wage_bill_share(result: xr.Dataset) -> xr.DataArray:
    """Share of each sector in a city's wage bill (city, sector)."""
    wage_bill = (result["wage"] * result["employment_by_sector"]).sum("occupation")
    return wage_bill / wage_bill.sum("sector")


def top_sector(result: xr.Dataset) -> xr.DataArray:
    """Label of the sector with the largest wage bill in each city; empty where nobody works."""
    wage_bill = (result["wage"] * result["employment_by_sector"]).sum("occupation")
    top = result["sector"][wage_bill.argmax("sector")].drop_vars("sector")
    return top.where(wage_bill.sum("sector") > 0, "").assign_attrs(long_name="sector with the largest wage bill")


def top_sector_change(baseline: xr.Dataset, result: xr.Dataset, sector: xr.DataArray | None = None) -> xr.Dataset:
    """Shares of each city's leading sector in its employment and wage bill, and their changes (CH section 6.1).

    **Arguments:**

    - `baseline`, `result`: two equilibria of the same cities and sectors.
    - `sector`: the sector to follow, a label for each city; by default [`top_sector`][] of the baseline. That of
      the result shows the rise of a new leader.

    **Returns:** by city, `sector`; its `employment_share` and `wage_bill_share` at the baseline; and
    `employment_share_change` and `wage_bill_share_change`. Shares are not a number where `sector` is empty or
    nobody works.

    **Raises:** `ValueError` where labels of the two differ.
    """
    baseline, result = xr.align(baseline, result, join="exact")
    sector = top_sector(baseline) if sector is None else sector
    table = xr.Dataset({"sector": sector})
    for name, share in (("employment_share", employment_share), ("wage_bill_share", wage_bill_share)):
        before, after = (_of_sector(share(data), sector) for data in (baseline, result))
        label = f"share of the sector in {name.removesuffix('_share').replace('_', ' ')}"
        table[name] = before.assign_attrs(long_name=label, units="1")
        table[f"{name}_change"] = (after - before).assign_attrs(long_name=f"change of the {label}", units="1")
    return table


def _of_sector(values: xr.DataArray, sector: xr.DataArray) -> xr.DataArray:
    """The value at one sector's label in each city; not a number where there is none."""
    chosen = values["sector"] == sector
    return values.where(chosen).sum("sector", min_count=1)


def transfer_percentiles(result: xr.Dataset, percentiles: Sequence[float] = (10, 50, 90)) -> xr.Dataset:
    """Percentiles of net transfers over cities, by occupation, unweighted and weighted (CH section 6.2).

    The p-th percentile is the smallest transfer such that at least p percent of the cities (`unweighted`) or of
    the occupation's workers (`weighted`) receive it or less: an inverse of the distribution function, without
    interpolation. Equal weights give the unweighted one. Cities where nobody of the occupation works do not count.

    **Arguments:**

    - `result`: `transfer` and `employment` (city, occupation); dollars a year per worker, positive if received.
    - `percentiles`: between 0 and 100.

    **Returns:** `unweighted` and `weighted` (occupation, percentile), dollars a year per worker.
    """
    workers = result["employment"].transpose("city", "occupation").values
    transfer = result["transfer"].transpose("city", "occupation").values
    weights = {"unweighted": (workers > 0).astype(float), "weighted": workers}
    labels = {"unweighted": "over cities", "weighted": "over workers"}
    return xr.Dataset(
        {
            name: (
                ("occupation", "percentile"),
                [weighted_percentile(t, w, percentiles) for t, w in zip(transfer.T, weight.T, strict=True)],
                {"long_name": f"percentile of net transfers {labels[name]}", "units": "US dollars a year per worker"},
            )
            for name, weight in weights.items()
        },
        {"occupation": result["occupation"].values, "percentile": list(percentiles)},
    )


def weighted_percentile(x: Array, weight: Array, percentiles: Sequence[float]) -> Array:
    """The smallest x at or below which lies at least each percentage of all weight; zero weights do not count."""
    counts = weight > 0
    if not counts.any():
        return np.full(len(percentiles), np.nan)
    return np.percentile(x[counts], percentiles, weights=weight[counts], method="inverted_cdf")


def net_recipient_share(result: xr.Dataset) -> xr.DataArray:
    """Share of the cities where an occupation works in which it receives more than it pays (CH section 6.2)."""
    works = result["employment"] > 0
    share = ((result["transfer"] > 0) & works).sum("city") / works.sum("city")
    return share.assign_attrs(long_name="share of cities whose workers are net recipients", units="1")


def gdp(result: xr.Dataset) -> float:
    """Gross domestic product, the wage bill, land income and tariffs of all cities, dollars a year."""
    earned = (result["wage"] * result["employment"]).sum() + result["land_income"].sum()
    return float(earned + result["tariff_revenue"].sum()) if "tariff_revenue" in result else float(earned)


def consumption_spending(result: xr.Dataset) -> xr.DataArray:
    """Spending of each occupation on consumption, sum_n P[n] C[n, k] L[n, k], dollars a year."""
    spending = (result["price_index"] * result["consumption"] * result["employment"]).sum("city")
    return spending.assign_attrs(long_name="spending on consumption", units="US dollars a year")


def gdp_equivalent_gain(gain: xr.DataArray, baseline: xr.Dataset) -> float:
    """Gains in percent of GDP: sum_k gain[k] times consumption of k, over GDP (CH section 6.2: 0.59).

    **Arguments:**

    - `gain`: proportional gains in welfare by occupation, 0.01 for one percent.
    - `baseline`: the equilibrium that they are gains over; consumption and GDP are its own, at its prices.

    **Raises:** `ValueError` where `gain` and `baseline` have different occupations.
    """
    gain, spending = xr.align(gain, consumption_spending(baseline), join="exact")
    return 100 * float((gain * spending).sum()) / gdp(baseline)


def equivalent_variation(gain: xr.DataArray, baseline: xr.Dataset) -> xr.DataArray:
    """Gains in dollars a year per worker of an occupation: the gain times its mean income at the baseline.

    Raising every income of the occupation by the fraction gain[k] at the baseline's prices, wherever a worker
    lives, raises its welfare by as much and moves nobody (where utility is multiplicative in amenities). This is
    what that costs per worker.

    **Arguments:**

    - `gain`: proportional gains in welfare by occupation, 0.01 for one percent.
    - `baseline`: the equilibrium that they are gains over.

    **Raises:** `ValueError` where `gain` and `baseline` have different occupations.
    """
    workers = baseline["employment"]
    mean_income = (baseline["income"] * workers).sum("city") / workers.sum("city")
    gain, mean_income = xr.align(gain, mean_income, join="exact")
    return (gain * mean_income).assign_attrs(long_name="equivalent variation", units="US dollars a year per worker")


def log_tfp(economy: Economy, result: xr.Dataset) -> xr.DataArray:
    """Log total factor productivity of a sector in a city (CH footnote 20), not a number where it does not produce.

    gamma (1 - beta) sum_k delta[n, k, j] log lambda[n, k, j]: labour-augmenting productivity weighted by the
    occupations' shares in the wage bill and by the share of labour in gross output. The productivity of land is
    not in it; inversion loads real estate's on land.

    **Arguments:**

    - `economy`: for the shares of value added and of land.
    - `result`: an equilibrium of it.
    """
    tfp = labour_share(economy) * _mean_log(result["productivity"], result)
    return tfp.assign_attrs(long_name="log total factor productivity", units="log points")


def exogenous_productivity(economy: Economy, result: xr.Dataset, *, as_tfp: bool = False) -> xr.DataArray:
    """Log exogenous productivity of a sector in a city (CH Figure 14), not a number where it does not produce.

    sum_k delta[n, k, j] log lambda_hat[n, k, j], the mean over the occupations employed, weighted by their shares
    in the wage bill of the sector in the city.

    **Arguments:**

    - `economy`: for fundamental productivity.
    - `result`: an equilibrium of it, for the wage bills.
    - `as_tfp`: multiply by the share of labour in gross output, as [`log_tfp`][] does; the difference to it is then
      what externalities add.
    """
    fundamental = result["productivity"].copy(data=np.asarray(economy.fundamental_productivity))
    mean = _mean_log(fundamental, result) * (labour_share(economy) if as_tfp else 1.0)
    return mean.assign_attrs(long_name="log exogenous productivity", units="log points")


def labour_share(economy: Economy) -> xr.DataArray:
    """Share of labour in a sector's gross output, gamma (1 - beta) (city, sector), without labels."""
    share = np.asarray(economy.value_added_share) * (1 - np.asarray(economy.land_share))
    return xr.DataArray(share, dims=("city", "sector"))


def _mean_log(productivity: xr.DataArray, result: xr.Dataset) -> xr.DataArray:
    """Mean log over the occupations employed, weighted by their wage bills (city, sector)."""
    wage_bill = result["wage"] * result["employment_by_sector"]
    total = wage_bill.sum("occupation")
    log_productivity = np.log(productivity.where(wage_bill > 0, 1.0))
    return (wage_bill * log_productivity).sum("occupation") / total.where(total > 0)


def occupation_intensity(result: xr.Dataset, occupation: str) -> xr.DataArray:
    """Share of an occupation in the national wage bill of each sector (CH Figure 15)."""
    wage_bill = (result["wage"] * result["employment_by_sector"]).sum("city")
    share = wage_bill.sel(occupation=occupation, drop=True) / wage_bill.sum("occupation")
    return share.assign_attrs(long_name=f"{occupation} share of the wage bill", units="1")


def intensity_of_inputs(economy: Economy, result: xr.Dataset, intensity: xr.DataArray) -> xr.DataArray:
    """Mean intensity of the inputs that a sector uses, sum_i G[i, j] s[i] / (1 - gamma[j]) (CH Figure 15).

    G and gamma are national: means over cities weighted by the sector's gross output. With one mix of inputs for
    all cities the weights do not matter. Not a number for a sector that uses no inputs.

    **Arguments:**

    - `economy`: for its input links and shares of value added.
    - `result`: an equilibrium of it, for gross output.
    - `intensity`: s, by sector, for instance of [`occupation_intensity`][].
    """
    output = result["gross_output"].transpose("city", "sector")
    everywhere = jnp.broadcast_to(intensity.sel(sector=output["sector"]).values, output.shape)
    # What log_cost does to log prices, a mean over inputs times their share in costs, it does to any numbers.
    summed = np.asarray(economy.input_links.log_cost(everywhere, economy.value_added_share))
    used = (output * (1 - np.asarray(economy.value_added_share))).sum("city")
    mean = (output * summed).sum("city") / used.where(used > 0)
    return mean.assign_attrs(long_name="mean intensity of the inputs used", units="1")


def _change(before: xr.DataArray, after: xr.DataArray) -> xr.DataArray:
    """After less before, refusing to compare different labels."""
    before, after = xr.align(before, after, join="exact")
    return after - before


def concentration(result: xr.Dataset, groups: SectorGroups) -> xr.DataArray:
    """Herfindahl index over cities of a sector group's employment (sector_group): 1 if it is all in one city.

    `groups` are the names of the sectors' groups, such as the `sector_group` of a data set.
    """
    members = group_members(groups, result["sector"])
    employment = (result["employment_by_sector"].sum("occupation") * members).sum("sector")
    return ((employment / employment.sum("city")) ** 2).sum("city")
