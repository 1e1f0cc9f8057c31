"""The tables of a run: headline figures, cities, sectors."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.outcomes import (
    OccupationPair,
    city_size,
    concentration,
    correlation,
    first_two,
    gdp_equivalent_gain,
    location_quotient,
    log_premium,
    net_recipient_share,
    occupation_difference,
    occupation_share,
    specialisation,
    transfer_percentiles,
    weighted_mean,
)
from spatialjax.workflow.cases import Case


@dataclass(frozen=True)
class Headline:
    """A number of the summary table; `published` is what CH report, where they do."""

    name: str
    value: float
    unit: str = ""
    published: float | None = None


def headline_figures(
    data: xr.Dataset,
    cases: dict[str, Case],
    policies: dict[str, xr.Dataset],
    *,
    published: bool,
    pair: OccupationPair | None = None,
) -> list[Headline]:
    """Headline figures of the equilibrium, each counterfactual, each optimum and each policy.

    `published` adds the numbers that CH report for the US (sections 2, 4.7, 5.2 and 6), and the cities they name.
    Shares are those of the first occupation of `pair`; its wages and wedges are compared with the second's. By
    default they are the data's first two; data of one occupation have no such figures.
    """
    baseline, pair = cases["data"].result, pair or first_two(data)
    figures = [*_wedge_figures(baseline, pair), *_pattern_figures(baseline, "data", pair)]
    for name, case in cases.items():
        if name != "data" and not _same_employment(case.result, baseline):
            figures += _pattern_figures(case.result, name, pair)
            figures += _change_figures(baseline, case.result, name)
        if case.optimum is not None:
            label = "optimum" if name == "data" else f"optimum of {name}"
            figures += optimum_figures(case.result, case.optimum, label, pair)
            figures += concentration_figures(case.result, case.optimum, data, label)
            if published:
                figures += _named_cities(case.result, case.optimum, label)
    for name, policy in policies.items():
        figures += policy_figures(baseline, policy, f"policy {name}", pair)
    if published:
        known = PUBLISHED | (PUBLISHED_OF_PAIR if pair == PUBLISHED_PAIR else {})
        figures = [Headline(f.name, f.value, f.unit, known.get(f.name)) for f in figures]
    return figures


def _same_employment(one: xr.Dataset, other: xr.Dataset) -> bool:
    return bool(np.allclose(one["employment"], other["employment"], rtol=1e-6))


PUBLISHED = {
    "social over private value of CNR labour": 1.79,
    "mean wedge difference, CNR less non-CNR": 63135.0,
    "corr(log size, CNR share), data": 0.57,
    "gain in percent of GDP, optimum": 0.59,
    "mean net transfer to CNR, optimum": -3316.0,
    "mean net transfer to non-CNR, optimum": 2020.0,
    "base transfer to CNR, optimum": -15255.0,
    "base transfer to non-CNR, optimum": 16872.0,
    "net transfer to CNR, 10th percentile of cities, optimum": -4422.0,
    "net transfer to CNR, 90th percentile of cities, optimum": -309.0,
    "net transfer to non-CNR, 10th percentile of cities, optimum": 1819.0,
    "net transfer to non-CNR, 90th percentile of cities, optimum": 10518.0,
    "cities where CNR are net recipients, optimum": 8.0,
    "share of CNR in San Jose, data": 51.4,
    "share of CNR in San Jose, optimum": 90.7,
    "share of non-CNR in Harrisonburg, data": 73.0,
    "share of non-CNR in Harrisonburg, optimum": 83.0,
}
PUBLISHED_PAIR = ("CNR", "non-CNR")
PUBLISHED_OF_PAIR = {
    "corr(wedge difference, CNR share)": 0.48,
    "corr(wedge difference, log size)": 0.62,
    "corr(wedge difference, CNR share), weighted": 0.67,
    "corr(wedge difference, log size), weighted": 0.76,
    "corr(log size, log premium), data": 0.40,
}
"""What CH report of CNR compared with non-CNR, in words that do not name both."""


def _wedge_figures(baseline: xr.Dataset, pair: OccupationPair | None) -> list[Headline]:
    employment, wage, wedge = baseline["employment"], baseline["wage"], baseline["wedge"]
    names = [str(name) for name in baseline["occupation"].values]
    ratio = 1 + (wedge * employment).sum("city") / (wage * employment).sum("city")
    figures = [Headline(f"social over private value of {name} labour", float(ratio[k])) for k, name in enumerate(names)]
    if pair is None:
        return figures
    size, share = city_size(baseline), occupation_share(baseline).sel(occupation=pair[0])
    difference = occupation_difference(wedge, pair)
    mean_name = f"mean wedge difference, {pair[0]} less {pair[1]}"
    figures.append(Headline(mean_name, weighted_mean(difference, size), "dollars"))
    for weight, kind in ((None, ""), (size, ", weighted")):
        with_share = correlation(difference, share, weight)
        with_size = correlation(difference, np.log(size), weight)
        figures.append(Headline(f"corr(wedge difference, {pair[0]} share){kind}", with_share))
        figures.append(Headline(f"corr(wedge difference, log size){kind}", with_size))
    return figures


def _pattern_figures(result: xr.Dataset, label: str, pair: OccupationPair | None) -> list[Headline]:
    if pair is None:
        return []
    name = pair[0]
    share, log_size = occupation_share(result).sel(occupation=name), np.log(city_size(result))
    premium = log_premium(result, pair)
    return [
        Headline(f"corr(log size, {name} share), {label}", correlation(log_size, share)),
        Headline(f"corr(log size, log premium), {label}", correlation(log_size, premium)),
        Headline(f"corr({name} share, log premium), {label}", correlation(share, premium)),
    ]


def _change_figures(baseline: xr.Dataset, result: xr.Dataset, label: str) -> list[Headline]:
    change = 100 * (result["welfare"] / baseline["welfare"] - 1)
    moved = 50 * np.abs(result["employment"] - baseline["employment"]).sum("city") / baseline["employment"].sum("city")
    names = [str(name) for name in baseline["occupation"].values]
    return [
        *(
            Headline(f"change in welfare of {name}, {label}", float(change[k]), "percent")
            for k, name in enumerate(names)
        ),
        *(Headline(f"{name} workers who move, {label}", float(moved[k]), "percent") for k, name in enumerate(names)),
    ]


def optimum_figures(
    baseline: xr.Dataset, optimum: xr.Dataset, label: str, pair: OccupationPair | None = None
) -> list[Headline]:
    """Gains, transfers and who moves where, at an optimum or under another policy."""
    names = [str(name) for name in baseline["occupation"].values]
    gain = optimum["gain"]
    figures = [Headline(f"gain in percent of GDP, {label}", gdp_equivalent_gain(gain, baseline), "percent")]
    figures += [Headline(f"gain of {name}, {label}", 100 * float(gain[k]), "percent") for k, name in enumerate(names)]
    workers = optimum["employment"]
    mean_transfer = (optimum["transfer"] * workers).sum("city") / workers.sum("city")
    for k, name in enumerate(names):
        figures.append(Headline(f"mean net transfer to {name}, {label}", float(mean_transfer[k]), "dollars"))
    if "base_transfer" in optimum:
        for k, name in enumerate(names):
            value = float(optimum["base_transfer"][k])
            figures.append(Headline(f"base transfer to {name}, {label}", value, "dollars"))
    percentiles = transfer_percentiles(optimum, (10, 90))["unweighted"]
    recipients = net_recipient_share(optimum)
    for k, name in enumerate(names):
        for percentile in (10, 90):
            value = float(percentiles.isel(occupation=k).sel(percentile=percentile))
            title = f"net transfer to {name}, {percentile}th percentile of cities, {label}"
            figures.append(Headline(title, value, "dollars"))
        share = 100 * float(recipients.isel(occupation=k))
        figures.append(Headline(f"cities where {name} are net recipients, {label}", share, "percent"))
    return [*figures, *sorting_figures(baseline, optimum, label, pair)]


def sorting_figures(
    baseline: xr.Dataset, result: xr.Dataset, label: str, pair: OccupationPair | None = None
) -> list[Headline]:
    """How the change in where people live is related to city size."""
    pair = pair or first_two(baseline)
    if pair is None:
        return []
    name, log_size = pair[0], np.log(city_size(baseline))
    share = (occupation_share(result) - occupation_share(baseline)).sel(occupation=name)
    growth = np.log(city_size(result)) - log_size
    return [
        Headline(f"corr(log size, change in {name} share), {label}", correlation(log_size, share)),
        Headline(f"corr(log size, growth of city), {label}", correlation(log_size, growth)),
    ]


def policy_figures(
    baseline: xr.Dataset, policy: xr.Dataset, label: str, pair: OccupationPair | None = None
) -> list[Headline]:
    """What a policy does to welfare and to where people live."""
    names = [str(name) for name in baseline["occupation"].values]
    gains = [Headline(f"gain of {n}, {label}", 100 * float(policy["gain"][k]), "percent") for k, n in enumerate(names)]
    return [*gains, *sorting_figures(baseline, policy, label, pair)]


def concentration_figures(baseline: xr.Dataset, optimum: xr.Dataset, data: xr.Dataset, label: str) -> list[Headline]:
    """Whether groups of sectors concentrate or spread: change in the Herfindahl index of employment over cities."""
    if "sector_group" not in data:
        return []
    change = 100 * (concentration(optimum, data["sector_group"]) / concentration(baseline, data["sector_group"]) - 1)
    return [
        Headline(f"change in concentration of {group}, {label}", float(change.sel(sector_group=group)), "percent")
        for group in change["sector_group"].values
    ]


CITIES = (("San Jose", "CNR"), ("Harrisonburg", "non-CNR"))
"""Cities of which CH give the share of an occupation."""


def _named_cities(baseline: xr.Dataset, optimum: xr.Dataset, label: str) -> list[Headline]:
    figures = []
    for city, name in CITIES:
        found = [n for n, title in enumerate(baseline["title"].values) if str(title).startswith(city)]
        if not found or name not in baseline["occupation"].values:
            continue
        results = [(baseline, "data"), (optimum, label)] if label == "optimum" else [(optimum, label)]
        for result, where in results:
            share = 100 * float(occupation_share(result).isel(city=found[0]).sel(occupation=name))
            figures.append(Headline(f"share of {name} in {city}, {where}", share, "percent"))
    return figures


def figures_table(figures: list[Headline]) -> pd.DataFrame:
    """Headline figures as a table."""
    return pd.DataFrame(
        [{"figure": f.name, "value": f.value, "unit": f.unit, "published (CH)": f.published} for f in figures]
    )


def city_table(cases: dict[str, Case], policies: dict[str, xr.Dataset]) -> pd.DataFrame:
    """One row a city: size, composition, wages, prices, wedges, and what each case, optimum and policy makes of it."""
    baseline = cases["data"].result
    table = pd.DataFrame(index=pd.Index(baseline["city"].values, name="city"))
    if "title" in baseline.coords:
        table["title"] = baseline["title"].values
    table["employment"] = city_size(baseline).values
    shares = occupation_share(baseline)
    for name in baseline["occupation"].values:
        at = {"occupation": name}
        table[f"share_{name}"] = shares.sel(at).values
        table[f"wage_{name}"] = baseline["wage"].sel(at).values
        table[f"income_{name}"] = baseline["income"].sel(at).values
        table[f"amenity_{name}"] = baseline["amenity"].sel(at).values
        table[f"wedge_{name}"] = baseline["wedge"].sel(at).values
    for name, column in _columns("price_index", baseline["price_index"]):
        table[name] = column.values
    table["land_income"] = baseline["land_income"].values
    table["specialisation_gini"] = specialisation(baseline).values
    added = [table]
    for label, result in _others(cases, policies).items():
        added.append(_city_columns(result, label, table.index))
    return pd.concat(added, axis=1)


def _others(cases: dict[str, Case], policies: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Allocations other than the data's, by label."""
    others = {}
    for name, case in cases.items():
        if name != "data":
            others[name] = case.result
        if case.optimum is not None:
            others["optimum" if name == "data" else f"optimum_{name}"] = case.optimum
    return others | {f"policy_{name}": policy for name, policy in policies.items()}


def _city_columns(result: xr.Dataset, label: str, index: pd.Index) -> pd.DataFrame:
    columns = {f"employment_{label}": city_size(result).values}
    for name in result["occupation"].values:
        columns[f"share_{name}_{label}"] = occupation_share(result).sel(occupation=name).values
        columns[f"wage_{name}_{label}"] = result["wage"].sel(occupation=name).values
        if "transfer" in result:
            columns[f"transfer_{name}_{label}"] = result["transfer"].sel(occupation=name).values
    columns[f"specialisation_gini_{label}"] = specialisation(result).values
    return pd.DataFrame(columns, index=index)


def _columns(name: str, values: xr.DataArray) -> list[tuple[str, xr.DataArray]]:
    """One column, or one by occupation."""
    if "occupation" not in values.dims:
        return [(name, values)]
    return [(f"{name}_{k}", values.sel(occupation=k)) for k in values["occupation"].values]


def sector_table(baseline: xr.Dataset, economy: Economy) -> pd.DataFrame:
    """One row a sector: size, composition, shares, and what the calibration changed."""
    table = pd.DataFrame(index=pd.Index(baseline["sector"].values, name="sector"))
    by_sector = baseline["employment_by_sector"]
    table["traded"] = [j in economy.traded for j in range(len(table))]
    table["employment"] = by_sector.sum(("city", "occupation")).values
    for name in baseline["occupation"].values:
        table[f"share_{name}"] = (
            by_sector.sel(occupation=name).sum("city") / by_sector.sum(("city", "occupation"))
        ).values
    output = baseline["gross_output"]
    table["gross_output"] = output.sum("city").values
    share = np.asarray(economy.value_added_share)
    table["value_added_share"] = (share * output.values).sum(0) / output.values.sum(0)
    dimensions = ("occupation", "sector")[-economy.consumption_share.ndim :]
    shares = xr.DataArray(
        np.asarray(economy.consumption_share), dims=dimensions, coords={d: baseline[d] for d in dimensions}
    )
    for name, column in _columns("consumption_share", shares):
        table[name] = column.values
    mended = {m.sector: m.value_added_share_in_data for m in economy.mended}
    table["value_added_share_before_mending"] = [mended.get(str(s), np.nan) for s in table.index]
    quotient = location_quotient(baseline).where(city_size(baseline) > 0)
    leading = quotient.argmax("city").values
    names = baseline["title"].values if "title" in baseline.coords else baseline["city"].values
    table["most_concentrated_in"] = [str(names[n]) for n in leading]
    return table
