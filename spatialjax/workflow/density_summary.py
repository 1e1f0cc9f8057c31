"""FF's figures beside those of a run."""

from collections.abc import Iterator

import pandas as pd

from spatialjax.density.metropolitan import PUBLISHED
from spatialjax.workflow.density_schema import DensityRunConfig

Row = tuple[str, float, float | None, float | None, float | None]
COLUMNS = ["figure", "ours", "s.e.", "FF", "FF s.e."]
Tables = dict[str, pd.DataFrame]


def beside_table(tables: Tables, config: DensityRunConfig) -> pd.DataFrame:
    """A row a figure: ours with its standard error, FF's with theirs; without those of tables that were left out."""
    rows = [*_places(tables), *_relocations(tables), *_panel(tables, config), *_bridge(tables)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _places(tables: Tables) -> Iterator[Row]:
    for _, row in tables["metropolitan"].iterrows():
        if row["estimator"] == "ols":
            years = "all years" if row["years"] == "all" else row["years"]
            where = f"{row['table']}, means of workers, {years}: {row['specification']}"
            yield where, row["density"], row["density_error"], row["published_density"], row["published_density_error"]


def _relocations(tables: Tables) -> Iterator[Row]:
    for _, row in tables["relocation_simulation"].iterrows():
        yield f"random relocation: {row['statistic']}", row["value"], row["standard_error"], row["published"], None


def _panel(tables: Tables, config: DensityRunConfig) -> Iterator[Row]:
    simulated = config.panel.source == "simulated"
    kind = "simulated panel" if simulated else "panel"
    for figure, ours, error, published, published_error in (*_panel_places(tables), *_premia(tables)):
        yield f"{kind}{figure}", ours, error, published, published_error
    if simulated:
        yield f"{kind}: truth of the premium", config.simulation.premium, None, None, None
    if "flat_profile" in tables:
        yield f"{kind}: p-value of a flat profile by age", tables["flat_profile"]["p_value"].iloc[0], None, None, None


def _panel_places(tables: Tables) -> Iterator[Row]:
    for _, row in _of_density(tables.get("panel_places")).iterrows():
        specification = row["specification"]
        published, error = PUBLISHED.loc[specification, ["density", "density_error"]]
        yield f", means by CBSA: {specification}", row["coefficient"], row["standard_error"], published, error


def _premia(tables: Tables) -> Iterator[Row]:
    for name in ("premium", "alternatives", "differences"):
        for _, row in _of_density(tables.get(name)).iterrows():
            published = (row["published_coefficient"], row["published_error"])
            yield f": {row['specification']}", row["coefficient"], row["standard_error"], *published


def _of_density(table: pd.DataFrame | None) -> pd.DataFrame:
    return pd.DataFrame() if table is None else table[table["regressor"] == "log_density"]


def _bridge(tables: Tables) -> Iterator[Row]:
    if "bridge_cities" in tables:
        for _, row in tables["bridge_cities"].iterrows():
            name = f"city economy, {row['allocation']}: {row['specification']} on {row['size']}"
            yield name, row["elasticity"], row["standard_error"], row["published"], row["published_error"]
        panel = tables["bridge_panel"]
        for _, row in panel[panel["regressor"] == "log_density"].iterrows():
            name = f"panel of the city economy: {row['specification']}"
            published = (row["published_coefficient"], row["published_error"])
            yield name, row["coefficient"], row["standard_error"], *published
    if "bridge_zones" in tables:
        for _, row in tables["bridge_zones"].iterrows():
            yield _zone_row(row)


def _zone_row(row: pd.Series) -> Row:
    name = f"granular economy: {row['part']} on {row['size']}"
    return name, row["elasticity"], row["standard_error"], row["published"], row["published_error"]


def reasons(config: DensityRunConfig) -> list[str]:
    """Why ours are others than FF's."""
    simulated = [
        "the panel is simulated: its premium, college effect, profile by age, exits and moves are what was put in "
        "(FF's estimates); agreement says that estimators work, not that the US are so"
    ]
    return [
        "FF average establishments of the confidential LBD in 1992 and 1997; public tables average workers, "
        "in other years (CBSAs) or over other places (MSAs)",
        "with equal probabilities of moving and destinations in proportion to size, the expected change in log density "
        "is zero: FF's 39 percent does not follow from their algorithm; log mean density after a move less mean log "
        "density before is nearest to it",
        "FF do not publish earnings by group of density: the relocation simulation takes gaps of 0, 0.115 and 0.23, "
        "and a standard deviation of 0.81",
        "instruments are climate, topography, water and elevation; FF's soils, moisture and growing days are not at "
        "hand",
        *(simulated if config.panel.source == "simulated" else []),
    ]
