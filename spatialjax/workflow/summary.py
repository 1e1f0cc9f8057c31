"""The tables of a run: headline figures, cities, sectors."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.outcomes import (
    city_size,
    correlation,
    location_quotient,
    log_premium,
    occupation_share,
    specialisation,
    weighted_mean,
)


@dataclass(frozen=True)
class Headline:
    """A number of the summary table; `published` is what CH report, where they do."""

    name: str
    value: float
    unit: str = ""
    published: float | None = None


def headline_figures(
    baseline: xr.Dataset, counterfactuals: dict[str, xr.Dataset], *, published: bool
) -> list[Headline]:
    """Headline figures of the equilibrium, and of each counterfactual beside it.

    `published` adds the numbers that CH report for the US (sections 2, 4.7 and 5.2).
    """
    figures = [*_wedge_figures(baseline), *_pattern_figures(baseline, "data")]
    for name, result in counterfactuals.items():
        figures += _pattern_figures(result, name)
        figures += _change_figures(baseline, result, name)
    if published:
        figures = [Headline(f.name, f.value, f.unit, PUBLISHED.get(f.name)) for f in figures]
    return figures


PUBLISHED = {
    "social over private value of CNR labour": 1.79,
    "mean wedge difference, CNR less non-CNR": 63135.0,
    "corr(wedge difference, CNR share)": 0.48,
    "corr(wedge difference, log size)": 0.62,
    "corr(wedge difference, CNR share), weighted": 0.67,
    "corr(wedge difference, log size), weighted": 0.76,
    "corr(log size, CNR share), data": 0.57,
    "corr(log size, log premium), data": 0.40,
}


def _wedge_figures(baseline: xr.Dataset) -> list[Headline]:
    employment, wage, wedge = baseline["employment"], baseline["wage"], baseline["wedge"]
    names = [str(name) for name in baseline["occupation"].values]
    ratio = 1 + (wedge * employment).sum("city") / (wage * employment).sum("city")
    figures = [Headline(f"social over private value of {name} labour", float(ratio[k])) for k, name in enumerate(names)]
    if len(names) != 2:
        return figures
    size, share = city_size(baseline), occupation_share(baseline).isel(occupation=0)
    difference = wedge.isel(occupation=0) - wedge.isel(occupation=1)
    mean_name = f"mean wedge difference, {names[0]} less {names[1]}"
    figures.append(Headline(mean_name, weighted_mean(difference, size), "dollars"))
    for weight, kind in ((None, ""), (size, ", weighted")):
        with_share = correlation(difference, share, weight)
        with_size = correlation(difference, np.log(size), weight)
        figures.append(Headline(f"corr(wedge difference, {names[0]} share){kind}", with_share))
        figures.append(Headline(f"corr(wedge difference, log size){kind}", with_size))
    return figures


def _pattern_figures(result: xr.Dataset, label: str) -> list[Headline]:
    if result.sizes["occupation"] != 2:
        return []
    name = str(result["occupation"].values[0])
    share, log_size = occupation_share(result).isel(occupation=0), np.log(city_size(result))
    premium = log_premium(result)
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


def figures_table(figures: list[Headline]) -> pd.DataFrame:
    """Headline figures as a table."""
    return pd.DataFrame(
        [{"figure": f.name, "value": f.value, "unit": f.unit, "published (CH)": f.published} for f in figures]
    )


def city_table(baseline: xr.Dataset, counterfactuals: dict[str, xr.Dataset]) -> pd.DataFrame:
    """One row a city: size, composition, wages, prices, wedges, and change in each counterfactual."""
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
    for label, result in counterfactuals.items():
        table[f"employment_{label}"] = city_size(result).values
        for name in baseline["occupation"].values:
            table[f"share_{name}_{label}"] = occupation_share(result).sel(occupation=name).values
            table[f"wage_{name}_{label}"] = result["wage"].sel(occupation=name).values
    return table


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
