"""The figures of a granular run: KO's Figures 2 to 6 as the model has them, and the markdown, exact and approximate."""

from collections.abc import Iterator
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from spatialjax import plots


def draw_granular_figures(folder: Path, zones: dict[str, xr.Dataset], moments: xr.Dataset) -> list[Path]:
    """Draw every figure that the results allow, as PNG and SVG."""
    folder = folder / "figures"
    folder.mkdir(exist_ok=True)
    paths: list[Path] = []
    for name, figure in _figures(zones, moments):
        paths += plots.save_figure(figure, folder / name)
    return paths


def _figures(zones: dict[str, xr.Dataset], moments: xr.Dataset) -> Iterator[tuple[str, Figure]]:
    yield "model_fit", plots.model_fit(moments)
    yield "production_and_elasticity", plots.production_and_elasticity(zones)
    yield "factor_wedges", plots.factor_wedges(zones)
    with_optimum = {conduct: result for conduct, result in zones.items() if "optimal_firms_change" in result}
    if with_optimum:
        yield "optimal_policy_changes", plots.optimal_policy_changes(with_optimum)
    if "cournot" in zones and "curve_psi_exact" in zones["cournot"]:
        yield "markdown", plots.markdown_comparison(_markdowns(zones["cournot"]))


def _markdowns(result: xr.Dataset) -> xr.Dataset:
    """Markdowns -Psi / Phi along the curve; the error of Phi is negligible beside that of Psi."""
    return xr.Dataset(
        {
            "curve_firms": result["curve_firms"],
            "curve_markdown": -result["curve_psi"] / result["curve_phi"],
            "curve_markdown_error": result["curve_psi_error"] / result["curve_phi"],
            "curve_markdown_exact": -result["curve_psi_exact"] / result["curve_phi_exact"],
            "curve_markdown_exact_error": result["curve_psi_exact_error"] / result["curve_phi_exact"],
        }
    )
