"""The figures of a density run: FF's Figures 1 to 5, C.1 to C.5, D.1 and D.2."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from spatialjax import plots

Tables = dict[str, pd.DataFrame]
MOVES = {"move_probability": "Probability of moving", "log_density_change": "Change in log density"}
RANKINGS = {"origin": "percentiles in the CBSA of origin", "full": "percentiles among all"}


def draw_density_figures(folder: Path, tables: Tables) -> list[Path]:
    """Draw every figure of the tables, as PNG and SVG."""
    folder = folder / "figures"
    folder.mkdir(exist_ok=True)
    paths: list[Path] = []
    for name, figure in _figures(tables):
        paths += plots.save_figure(figure, folder / name)
    return paths


def _figures(tables: Tables) -> Iterator[tuple[str, Figure]]:
    yield "figure_1_age", plots.profile_panels({"Premium by age": tables["age_profile"]})
    subgroups = tables["age_subgroups"].rename(columns={"group": "specification"})
    yield "figure_2_subgroups", plots.profile_panels(dict(iter(subgroups.groupby("panel", sort=False))))
    yield "figure_3_exit", _exits(tables["exits"])
    yield "figure_4_moves", _moves(tables["moves"], "origin")
    yield "figure_d1_moves", _moves(tables["moves"], "full")
    yield "figure_d2_random_moves", _random_moves(tables["relocation_percentiles"])
    tenure = tables["tenure_profile"].rename(columns={"profile": "specification"})
    yield "figure_5_tenure", plots.profile_panels({"Premium by age and tenure": tenure}, x="years", x_label="Years")
    yield (
        "figure_c1_places",
        plots.earnings_against_density(dict(iter(tables["scatter"].groupby("sample", sort=False)))),
    )
    yield "figure_c2_densities", plots.earnings_densities(_samples(tables["densities"], ["all"]))
    yield (
        "figure_c3_entrants",
        plots.earnings_densities(_samples(tables["densities"], ["entrants", "entrants, relative"])),
    )
    yield "figure_c4_predicted", _predicted(tables["predicted"])
    yield "figure_c5_instrumented", plots.profile_panels({"CBSAs with instruments": tables["instrumented_profile"]})


def _exits(table: pd.DataFrame) -> Figure:
    difference = table["group"] == "high less low"
    names = (table["group"] + " density").where(~difference, "difference")
    curves = table.rename(columns={"mean": "value"}).assign(group=names)
    panels = {}
    for levels in (True, False):
        for sample in ("all", "young"):
            name = "Probability of exit" if levels else "High less low density"
            panels[f"{name}, {sample}"] = curves[(curves["sample"] == sample) & (difference != levels)]
    return plots.percentile_panels(panels, y_labels=["Probability a year"] * len(panels))


def _moves(table: pd.DataFrame, ranking: str) -> Figure:
    rows = table[table["ranking"] == ranking].rename(columns={"mean": "value", "series": "group"})
    panels = {title: rows[rows["measure"] == measure] for measure, title in MOVES.items()}
    return plots.percentile_panels(panels, y_labels=["Probability a year", "Log points"])


def _random_moves(table: pd.DataFrame) -> Figure:
    curves = table.rename(columns={"mean": "value"}).assign(group=table["ranking"].map(RANKINGS))
    panels = {title: curves[curves["measure"] == measure] for measure, title in MOVES.items()}
    return plots.percentile_panels(panels, y_labels=["Probability a year", "Log points"])


def _samples(table: pd.DataFrame, samples: list[str]) -> Tables:
    rows = table.rename(columns={"value": "log_earnings"}).assign(group=table["group"] + " density")
    return {name.capitalize(): rows[rows["sample"] == name] for name in samples}


def _predicted(table: pd.DataFrame) -> Figure:
    lines = table.rename(columns={"log_earnings": "elasticity"}).assign(standard_error=0.0)
    lines["specification"] = lines["percentile"].map(lambda p: f"{p:g}th percentile of density")
    return plots.profile_panels({"Predicted earnings": lines}, y_label="Log earnings")
