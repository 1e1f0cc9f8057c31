"""The figures of a historical decomposition (CH Figures 18 to 20), and its steps as bars."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from spatialjax import plots
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.history import Decomposition

Named = Iterator[tuple[str, Figure]]


def draw_history(
    folder: Path,
    data: xr.Dataset,
    found: Mapping[bool, Decomposition],
    technology: pd.DataFrame,
    baseline: Equilibrium,
    labels: tuple[str, str] = ("baseline", "target"),
) -> list[Path]:
    """Draw the figures, one file each, of economies with two occupations or more.

    **Arguments:**

    - `technology`: by city, `technology_change` and `real_estate_change`.
    - `baseline`: the stage whose shares and sizes are on horizontal axes.
    - `labels`: names of the two economies.
    """
    if found[True].compared is None:
        return []
    paths: list[Path] = []
    for name, figure in _figures(data, found, technology, baseline, labels):
        paths += plots.save_figure(figure, folder / "figures" / name)
    return paths


def _figures(
    data: xr.Dataset, found: Mapping[bool, Decomposition], technology: pd.DataFrame, baseline: Equilibrium, labels
) -> Named:
    decomposition, before = found[True], baseline.to_xarray(data)
    of = None if decomposition.compared is None else decomposition.compared[0]
    results = {labels[0]: before, labels[1]: decomposition.stages[-1].to_xarray(data)}
    if decomposition.optima is not None and decomposition.optima[1].found:
        results[f"optimum of {labels[1]}"] = decomposition.optima[1].to_xarray(data)
    yield "population_by_share", plots.population_by_share(results, occupation=of)
    for name, label in (
        ("technology_change", "change of exogenous productivity, other sectors"),
        ("real_estate_change", "change of exogenous productivity, real estate"),
    ):
        change = xr.DataArray(
            technology[name].values,
            coords={"city": data["city"].values},
            dims="city",
            attrs={"long_name": label, "units": "log points"},
        )
        yield name, plots.technology_change(change, before, occupation=of)
    for external, each in found.items():
        contributions = {"in this order": each.contributions["log_welfare"]}
        if each.order_free is not None:
            contributions["over all orders"] = each.order_free["log_welfare"]
        ending = "" if external else "_no_externalities"
        occupations = [str(name) for name in data["occupation"].values]
        yield f"contributions{ending}", plots.contribution_bars(contributions, each.steps, occupations)
