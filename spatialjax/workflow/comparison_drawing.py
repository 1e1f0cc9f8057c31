"""Maps of how two runs differ."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from spatialjax import plots

MAPPED = {"employment": "employment", "wage": "wage", "consumption": "real consumption"}
"""Variables (city, occupation) whose relative changes are drawn, and their names in words."""
NO_CHANGE = 1e-6
"""Percent, below which there is nothing to draw."""


def draw_differences(folder: Path, pairs: Iterable[tuple[str, xr.Dataset, xr.Dataset]]) -> list[Path]:
    """Draw maps of the changes between data sets of the same name, where they have coordinates of cities."""
    files: list[Path] = []
    for name, first, second in pairs:
        if {"latitude", "longitude"} <= set(first.coords) and {"employment", "wage"} <= set(first):
            for stem, figure in _maps(name, first, second):
                files += plots.save_figure(figure, folder / "figures" / stem)
    return files


def _maps(name: str, first: xr.Dataset, second: xr.Dataset) -> Iterator[tuple[str, Figure]]:
    for variable in (v for v in MAPPED if v in first and v in second):
        for occupation in first["occupation"].values:
            change = _change(first, second, variable, occupation)
            if float(np.abs(change).max()) > NO_CHANGE:
                words = MAPPED[variable]
                title = f"{words[:1].upper()}{words[1:]} of {occupation}, {name.replace('_', ' ')}"
                figure = plots.city_map(change, first, title=title, label="change in percent", diverging=True)
                yield f"{name}_{variable}_{occupation}", figure


def _change(first: xr.Dataset, second: xr.Dataset, variable: str, occupation: str) -> xr.DataArray:
    before, after = (data[variable].sel(occupation=occupation, drop=True) for data in (first, second))
    return 100 * (after / before.where(before > 0) - 1)
