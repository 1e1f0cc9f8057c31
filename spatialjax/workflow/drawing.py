"""The figures of a run."""

from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from spatialjax.plots import city_map, save_figure, share_against_premium, wedge_difference


def draw_figures(
    folder: Path, data: xr.Dataset, baseline: xr.Dataset, counterfactuals: dict[str, xr.Dataset]
) -> list[Path]:
    """Draw what the data allow: all of it takes two occupations, maps take coordinates."""
    if baseline.sizes["occupation"] != 2:
        return []
    figures: dict[str, Figure] = {
        "share_and_premium": share_against_premium(baseline),
        "wedge_difference": wedge_difference(baseline["wedge"], baseline),
    }
    for name, result in counterfactuals.items():
        labels = ("data", name.replace("_", " "))
        figures[f"share_and_premium_{name}"] = share_against_premium(baseline, result, labels=labels)
    if {"latitude", "longitude"} <= set(data.variables):
        figures["map_wedge_difference"] = _wedge_map(baseline, data)
    folder = folder / "figures"
    folder.mkdir(exist_ok=True)
    return [path for name, figure in figures.items() for path in save_figure(figure, folder / name)]


def _wedge_map(baseline: xr.Dataset, data: xr.Dataset) -> Figure:
    first, second = (str(name) for name in baseline["occupation"].values)
    difference = (baseline["wedge"].isel(occupation=0) - baseline["wedge"].isel(occupation=1)) / 1000
    return city_map(
        difference,
        data,
        title=f"Social less private value of a worker: {first} less {second}",
        label="thousand dollars a year",
    )
