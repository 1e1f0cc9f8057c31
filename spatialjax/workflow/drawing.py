"""The figures of a run: those of CH and SH that its results allow."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from spatialjax import plots
from spatialjax.cities.outcomes import (
    OccupationPair,
    exogenous_productivity,
    first_two,
    intensity_of_inputs,
    occupation_difference,
    occupation_intensity,
    specialisation,
)
from spatialjax.cities.validation import city_measures
from spatialjax.workflow.cases import Case
from spatialjax.workflow.hubs import hub_figures

LEFT_OUT = {"no_trade_costs": ("12100", "33260"), "additive_amenities": ("33260",)}
"""Outliers that CH leave out of the scatter plots of Figures 16 and 17: Atlantic City, NJ, and Midland, TX."""
SIX_SECTORS = ("comp", "wholesale", "comm", "fin", "educ", "health")
"""Sectors of CH Figure 14."""

Named = Iterator[tuple[str, Figure]]


def draw_figures(
    folder: Path,
    data: xr.Dataset,
    cases: dict[str, Case],
    policies: dict[str, xr.Dataset],
    pair: OccupationPair | None = None,
) -> list[Path]:
    """Draw what the data allow, one file a figure: all of it takes two occupations or more, maps take coordinates.

    Shares are those of the first occupation of `pair`; its wages and wedges are compared with the second's. By default
    they are the data's first two.
    """
    pair = pair or first_two(data)
    if pair is None:
        return []
    folder = folder / "figures"
    folder.mkdir(exist_ok=True)
    has_map = {"latitude", "longitude"} <= set(data.variables)
    paths: list[Path] = []
    for name, figure in _figures(data, cases, has_map, pair):
        paths += plots.save_figure(figure, folder / re.sub(r"[^\w.-]+", "_", name))
    return paths


def _figures(data: xr.Dataset, cases: dict[str, Case], has_map: bool, pair: OccupationPair) -> Named:
    baseline = cases["data"].result
    yield from _of_equilibrium(data, baseline, has_map, pair)
    yield "validation", plots.validation_panels(city_measures(cases["data"].economy, baseline, pair))
    yield from _of_sectors(data, cases["data"], pair[0])
    for name, case in cases.items():
        if name != "data":
            yield from _of_case(name, case, cases["data"], pair)
        if case.optimum is not None:
            label = "optimum" if name == "data" else f"optimum_{name}"
            yield from _of_optimum(label, case, data, has_map, LEFT_OUT.get(name, ()), pair)
    if has_map:
        yield from hub_figures(data, cases["data"])


def _of_equilibrium(data: xr.Dataset, baseline: xr.Dataset, has_map: bool, pair: OccupationPair) -> Named:
    """CH Figures 1, 2 and 5."""
    yield "share_and_premium", plots.share_against_premium(baseline, occupations=pair)
    yield "predicted_wage_bill_share", plots.predicted_wage_bill_share(baseline, occupations=pair)
    yield "wedge_difference", plots.wedge_difference(baseline["wedge"], baseline, occupations=pair)
    if has_map:
        first, second = pair
        difference = occupation_difference(baseline["wedge"], pair) / 1000
        yield (
            "map_wedge_difference",
            plots.city_map(
                difference,
                data,
                title=f"Social less private value of a worker: {first} less {second}",
                label="thousand dollars a year",
            ),
        )


def _of_sectors(data: xr.Dataset, case: Case, occupation: str) -> Named:
    """CH Figures 14 and 15."""
    baseline = case.result
    labels = data.get("sector_label")
    names = [str(sector) for sector in baseline["sector"].values]
    productivity = exogenous_productivity(case.economy, baseline)
    if set(SIX_SECTORS) <= set(names):
        yield (
            "exogenous_productivity",
            plots.exogenous_productivity(productivity, baseline, sectors=list(SIX_SECTORS), labels=labels),
        )
    intensity = occupation_intensity(baseline, occupation)
    inputs = intensity_of_inputs(case.economy, baseline, intensity)
    workers = baseline["employment_by_sector"].sum(("city", "occupation"))
    traded = [names[j] for j in case.economy.traded]
    if len(traded) > 2:
        at = {"sector": traded}
        yield (
            "intensity_of_inputs",
            plots.input_intensity(
                intensity.sel(at), inputs.sel(at), workers.sel(at), None if labels is None else labels.sel(at)
            ),
        )


def _of_case(name: str, case: Case, data_case: Case, pair: OccupationPair) -> Named:
    """CH Figures 3, 4, 12, 13 and 17."""
    labels = ("data", name.replace("_", " "))
    if not np.allclose(case.result["employment"], data_case.result["employment"], rtol=1e-6):
        yield (
            f"share_and_premium_{name}",
            plots.share_against_premium(data_case.result, case.result, labels=labels, occupations=pair),
        )
        yield (
            f"predicted_wage_bill_share_{name}",
            plots.predicted_wage_bill_share(data_case.result, case.result, labels=labels, occupations=pair),
        )
    if case.optimum is None or data_case.optimum is None:
        return
    compared = [
        ("baseline", data_case.result, data_case.optimum),
        (name.replace("_", " "), case.result, case.optimum),
    ]
    yield f"wedge_at_optimum_{name}", plots.wedge_at_optimum(compared, occupations=pair)
    panels = plots.variant_panels(
        _comparison(data_case),
        _comparison(case),
        omit=LEFT_OUT.get(name, ()),
        labels=("baseline", labels[1]),
        occupations=pair,
    )
    yield f"comparison_{name}", panels


def _comparison(case: Case) -> plots.Comparison:
    assert case.optimum is not None
    return plots.Comparison(case.result, case.optimum, specialisation(case.result), specialisation(case.optimum))


def _of_optimum(
    label: str, case: Case, data: xr.Dataset, has_map: bool, left_out: tuple[str, ...], pair: OccupationPair
) -> Named:
    """CH Figures 6 to 12 and 16."""
    baseline, optimum = case.result, case.optimum
    assert optimum is not None
    yield f"{label}_city_size", plots.size_change(baseline, optimum)
    ginis = specialisation(baseline), specialisation(optimum)
    yield f"{label}_specialisation", plots.specialisation_change(*ginis, baseline, occupation=pair[0])
    yield f"{label}_wedge", plots.wedge_at_optimum([("", baseline, optimum)], occupations=pair)
    if not has_map:
        return
    for occupation in (str(name) for name in baseline["occupation"].values):
        omit = tuple(city for city in left_out if city in baseline["city"].values)
        at = {"occupation": occupation, "share_of": pair[0]}
        moved = plots.employment_change(baseline, optimum, data, omit=omit, **at)
        yield f"{label}_employment_{occupation}", moved
        transfer = plots.transfer_map(optimum, data, baseline=baseline, **at)
        yield f"{label}_transfer_{occupation}", transfer
