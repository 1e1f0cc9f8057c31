"""The figures of a density run: FF's Figures 1 to 5, C.1 to C.5, D.1 and D.2."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from spatialjax import plots
from spatialjax.density.selection import YOUNG

Tables = dict[str, pd.DataFrame]
MOVES = {"move_probability": "Probability of moving", "log_density_change": "Change in log density"}
MOVES_UNITS = ["Probability a year", "Log points"]
SERIES = {"data": "panel", "data less simulation": "panel less random moves"}
RANKINGS = {
    "origin": "Percentile of earnings in the CBSA of origin",
    "full": "Percentile of earnings among all",
}
RANDOM_RANKINGS = {"origin": "in the CBSA of origin", "full": "among all"}
AGES = {"all": "all establishments", "young": f"up to {YOUNG} years old"}
SUBGROUPS = {
    "(a) survival": "(a) Continuing and exiting",
    "(b) single- and multi-unit firms": "(b) Single- and multi-unit firms",
    "(c) size": "(c) Number of employees",
    "(d) industry": "(d) Industry",
    "(e) quintile": "(e) Quintile of earnings",
    "(f) density": "(f) Weights and measures of density",
}
DENSITIES = {
    "all": "All establishments",
    "entrants": "Entrants",
    "entrants, relative": "Entrants, less the mean of their CBSA",
}


def draw_density_figures(folder: Path, tables: Tables) -> list[Path]:
    """Draw the figures of the tables that there are, as PNG and SVG."""
    folder = folder / "figures"
    folder.mkdir(exist_ok=True)
    paths: list[Path] = []
    for name, (table, draw) in FIGURES.items():
        if table in tables:
            paths += plots.save_figure(draw(tables[table]), folder / name)
    return paths


def _ages(table: pd.DataFrame) -> Figure:
    return plots.profile_panels({"Premium by age": table})


def _subgroups(table: pd.DataFrame) -> Figure:
    rows = table.rename(columns={"group": "specification"})
    return plots.profile_panels({SUBGROUPS[str(name)]: part for name, part in rows.groupby("panel", sort=False)})


def _exits(table: pd.DataFrame) -> Figure:
    difference = table["group"] == "high less low"
    names = (table["group"] + " density").where(~difference, "high less low density")
    curves = table.rename(columns={"mean": "value"}).assign(group=names)
    panels = {
        f"{'Exit' if levels else 'Difference'}, {title}": curves[(curves["sample"] == sample) & (difference != levels)]
        for levels in (True, False)
        for sample, title in AGES.items()
    }
    return plots.percentile_panels(panels, y_labels=["Probability a year"] * len(panels))


def _moves(table: pd.DataFrame, ranking: str) -> Figure:
    rows = table[table["ranking"] == ranking].rename(columns={"mean": "value"})
    rows = rows.assign(group=rows["series"].map(SERIES))
    panels = {title: rows[rows["measure"] == measure] for measure, title in MOVES.items()}
    return plots.percentile_panels(panels, y_labels=MOVES_UNITS, x_label=RANKINGS[ranking])


def _random_moves(table: pd.DataFrame) -> Figure:
    curves = table.rename(columns={"mean": "value"}).assign(group=table["ranking"].map(RANDOM_RANKINGS))
    panels = {
        f"Random moves: {title[0].lower()}{title[1:]}": curves[curves["measure"] == measure]
        for measure, title in MOVES.items()
    }
    return plots.percentile_panels(panels, y_labels=MOVES_UNITS)


def _tenure(table: pd.DataFrame) -> Figure:
    rows = table.rename(columns={"profile": "specification"})
    title = "Premium by age, and by tenure in the CBSA"
    return plots.profile_panels({title: rows}, x="years", x_label="Years of age or tenure")


def _places(table: pd.DataFrame) -> Figure:
    return plots.earnings_against_density({str(name): part for name, part in table.groupby("sample", sort=False)})


def _densities(table: pd.DataFrame, *samples: str) -> Figure:
    rows = table.rename(columns={"value": "log_earnings"}).assign(group=table["group"] + " density")
    return plots.earnings_densities({DENSITIES[name]: rows[rows["sample"] == name] for name in samples})


def _predicted(table: pd.DataFrame) -> Figure:
    lines = table.rename(columns={"log_earnings": "elasticity"}).assign(standard_error=0.0)
    lines["specification"] = lines["percentile"].map(lambda p: f"{p:g}th percentile of density")
    return plots.profile_panels({"Predicted earnings by age": lines}, y_label="Log earnings")


def _instrumented(table: pd.DataFrame) -> Figure:
    return plots.profile_panels({"Premium by age, CBSAs with all instruments": table})


FIGURES: dict[str, tuple[str, Callable[[pd.DataFrame], Figure]]] = {
    "figure_1_age": ("age_profile", _ages),
    "figure_2_subgroups": ("age_subgroups", _subgroups),
    "figure_3_exit": ("exits", _exits),
    "figure_4_moves": ("moves", partial(_moves, ranking="origin")),
    "figure_d1_moves": ("moves", partial(_moves, ranking="full")),
    "figure_d2_random_moves": ("relocation_percentiles", _random_moves),
    "figure_5_tenure": ("tenure_profile", _tenure),
    "figure_c1_places": ("scatter", _places),
    "figure_c2_densities": ("densities", lambda table: _densities(table, "all")),
    "figure_c3_entrants": ("densities", lambda table: _densities(table, "entrants", "entrants, relative")),
    "figure_c4_predicted": ("predicted", _predicted),
    "figure_c5_instrumented": ("instrumented_profile", _instrumented),
}
"""By name, the table of a figure and how it is drawn."""
