"""The tables of a density run: which there are, what they show of FF, and how each is computed."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from spatialjax.density.age_profile import (
    age_profile,
    flat_profile_test,
    instrumented_profiles,
    predicted_earnings,
    profile_table,
    subgroup_profiles,
)
from spatialjax.density.alternatives import alternatives_table, cbsa_first_stages, first_stages, with_instruments
from spatialjax.density.bridge import city_premia, zone_premium
from spatialjax.density.characteristics import characteristics_table
from spatialjax.density.columns import require_columns
from spatialjax.density.differences import relocation_table
from spatialjax.density.distributions import earnings_densities, earnings_statistics
from spatialjax.density.metropolitan import (
    metropolitan_premia,
    metropolitan_premium,
    metropolitan_scatter,
    place_earnings,
    place_years,
)
from spatialjax.density.premium import premium_table, subgroup_table
from spatialjax.density.quintiles import alternative_quintile_table, quintile_table
from spatialjax.density.relocation import PUBLISHED_CHANGE, PUBLISHED_PREMIUM
from spatialjax.density.selection import exit_by_percentile, survivors
from spatialjax.density.sorting import entrant_earnings, movers_and_stayers, relocation_by_percentile
from spatialjax.density.syverson import CONCRETE, MINIMUM_EMPLOYEES, syverson
from spatialjax.density.tenure_profile import tenure_profile
from spatialjax.errors import DataError
from spatialjax.workflow.density_sources import Sources


@dataclass(frozen=True)
class Table:
    """A table of the run: the name of its file, what it is, and how it comes about.

    `columns` are those that it needs of a panel beyond the ones that every panel has.
    """

    name: str
    title: str
    compute: Callable[[Sources], pd.DataFrame]
    columns: tuple[str, ...] = ()

    def of(self, sources: Sources) -> pd.DataFrame:
        """Compute the table.

        **Raises:** `DataError` where the panel lacks columns, and what its estimators raise.
        """
        if self.columns:
            require_columns(sources.panel, self.columns, "panel of establishments")
        return self.compute(sources)


def _metropolitan(s: Sources) -> pd.DataFrame:
    tables = {"CBSAs": s.cbsas} | ({"MSAs": s.msas} if "msa" in s.places.dims else {})
    return metropolitan_premia(tables)


def _panel_places(s: Sources) -> pd.DataFrame:
    """The regression over CBSAs of means of the panel's establishments, which is what FF regress."""
    places = place_earnings(s.panel, s.cbsas)
    tables = {
        specification: metropolitan_premium(places, college=college).table().reset_index(names="regressor")
        for specification, college in {"density": False, "density and college": True}.items()
    }
    return pd.concat(tables, names=["specification"]).reset_index(level=0)


def _scatter(s: Sources) -> pd.DataFrame:
    """Means over years of each place."""
    if s.panel["cbsa"].nunique() < 3:
        raise DataError("panel of establishments", ["a line through places needs three CBSAs"])
    panel = "Simulated panel" if s.simulated else "Panel"
    tables = {f"{panel}, means of establishments": place_earnings(s.panel, s.cbsas)}
    tables["CBSAs, means of workers"] = place_years(s.cbsas)
    if "msa" in s.places.dims:
        tables["MSAs, means of workers"] = place_years(s.msas)
    points = {name: metropolitan_scatter(table).points for name, table in tables.items()}
    return pd.concat(points, names=["sample"]).reset_index(level=0)


def _relocations(s: Sources) -> pd.DataFrame:
    found = s.relocations
    premium = {name: (fit.coefficients["log_density"], fit) for name, fit in found.premium.items()}
    rows = [
        ("mean change in log density of movers", found.mean_change, found.mean_change_error, PUBLISHED_CHANGE),
        ("log mean density after less mean log before", found.log_mean_change, None, PUBLISHED_CHANGE),
        ("the same, expected", found.expected_log_mean_change, None, PUBLISHED_CHANGE),
        *(
            (f"premium, places of {name}", value, fit.standard_errors["log_density"], PUBLISHED_PREMIUM[0])
            for name, (value, fit) in premium.items()
        ),
    ]
    return pd.DataFrame(rows, columns=["statistic", "value", "standard_error", "published"])


def _figure_4(s: Sources) -> pd.DataFrame:
    """Ranked by earnings of the year before: those after a move hold the destination's pay, which density raises."""
    simulated = s.relocations.by_percentile
    tables = {
        ranking: relocation_by_percentile(
            s.panel, s.cbsas, ranking=ranking, earnings="earnings_lag", simulated=simulated
        )
        for ranking in ("origin", "full")
    }
    return pd.concat(tables, names=["ranking"]).reset_index(level=0)


def _densities(s: Sources) -> pd.DataFrame:
    tables = {
        "all": earnings_densities(s.panel, s.cbsas),
        "entrants": earnings_densities(s.panel, s.cbsas, kind="entrants"),
        "entrants, relative": earnings_densities(s.panel, s.cbsas, kind="entrants", relative=True),
    }
    return pd.concat(tables, names=["sample"]).reset_index(level=0)


def _distribution(s: Sources) -> pd.DataFrame:
    tables = {
        name: earnings_statistics(s.panel, s.cbsas, kind="continuing", residual=residual)
        for name, residual in {"unconditional": False, "with controls": True}.items()
    }
    return pd.concat(tables, names=["earnings"]).reset_index()


def _first_stages(s: Sources) -> pd.DataFrame:
    return first_stages(with_instruments(s.panel, s.cbsas)).reset_index()


def _cbsa_first_stages(s: Sources) -> pd.DataFrame:
    coefficients, diagnostics = cbsa_first_stages(s.cbsas)
    return coefficients.reset_index().merge(diagnostics.reset_index(), on="endogenous")


def _flatness(s: Sources) -> pd.DataFrame:
    test = flat_profile_test(age_profile(s.panel))
    columns = {"f_statistic": test.statistic, "restrictions": test.restrictions, "p_value": test.p_value}
    return pd.DataFrame([columns])


def _concrete(s: Sources) -> pd.DataFrame:
    plants = (s.panel["industry"] == CONCRETE) & (s.panel["employment"] >= MINIMUM_EMPLOYEES)
    if not plants.any():
        found = f"no establishments of industry {CONCRETE}, ready-mix concrete, with {MINIMUM_EMPLOYEES:g} employees"
        raise DataError("panel of establishments", [found])
    return syverson(s.panel, s.construction()).table().reset_index()


def _bridge_panel(s: Sources) -> pd.DataFrame:
    return premium_table(s.panel_of_cities())


PLACES = [
    Table("metropolitan", "premium over places, public data (FF section 3)", _metropolitan),
    Table("first_stages_of_places", "instruments over places (FF Table C.1)", _cbsa_first_stages),
    Table("relocation_simulation", "random relocations (FF appendix D)", _relocations),
    Table(
        "relocation_percentiles",
        "random relocations by percentile (FF Figure D.2)",
        lambda s: s.relocations.by_percentile,
    ),
]
PANEL = [
    Table("concrete", "moments of the concrete industry (FF Table 1)", _concrete),
    Table(
        "characteristics",
        "characteristics and density (FF Table 2)",
        lambda s: characteristics_table(s.panel).reset_index(),
    ),
    Table("premium", "premium of establishments (FF Table 3)", lambda s: premium_table(s.panel)),
    Table("subgroups", "premium by subgroup (FF Table 4)", lambda s: subgroup_table(s.panel)),
    Table("alternatives", "other measures, instruments (FF Table 5)", lambda s: alternatives_table(s.panel, s.cbsas)),
    Table("first_stages", "first stages (FF Table C.1)", _first_stages),
    Table("quintiles", "premium by quintile (FF Table C.2)", lambda s: quintile_table(s.panel)),
    Table(
        "residual_quintiles",
        "premium by quintile of residual earnings (FF appendix, note 4)",
        lambda s: quintile_table(s.panel, residual=True),
    ),
    Table(
        "quintiles_alternatives",
        "premium by quintile, other measures (FF Table C.3)",
        lambda s: alternative_quintile_table(s.panel, s.cbsas),
    ),
    Table("differences", "premium of movers (FF second Table C.3)", lambda s: relocation_table(s.panel, s.cbsas)),
    Table("panel_places", "premium over places, means of the panel (FF section 3)", _panel_places),
    Table("age_profile", "premium by age (FF Figure 1)", lambda s: profile_table(s.panel)),
    Table("flat_profile", "test of a flat profile", _flatness),
    Table("age_subgroups", "premium by age and subgroup (FF Figure 2)", lambda s: subgroup_profiles(s.panel, s.cbsas)),
    Table("predicted", "predicted earnings by age (FF Figure C.4)", lambda s: predicted_earnings(s.panel, s.cbsas)),
    Table(
        "instrumented_profile",
        "by age, 2SLS (FF Figure C.5)",
        lambda s: instrumented_profiles(s.panel, s.cbsas),
    ),
    Table("tenure_profile", "premium by tenure (FF Figure 5)", lambda s: tenure_profile(s.panel).table()),
    Table("exits", "exit by percentile of earnings (FF Figure 3)", lambda s: exit_by_percentile(s.panel, s.cbsas)),
    Table("survivors", "survivors among entrants (FF Table 6)", lambda s: survivors(s.panel, s.cbsas)),
    Table(
        "movers",
        "movers and stayers (FF Table 7)",
        lambda s: movers_and_stayers(s.panel, s.cbsas),
        ("county_changes",),
    ),
    Table("moves", "moves by percentile of earnings (FF Figures 4 and D.1)", _figure_4, ("county_changes",)),
    Table("entrants", "earnings of entrants (FF Table 8)", lambda s: entrant_earnings(s.panel, s.cbsas)),
    Table("scatter", "earnings and density of places (FF Figure C.1)", _scatter),
    Table("densities", "densities of earnings (FF Figures C.2 and C.3)", _densities),
    Table("distribution", "distribution of earnings (FF appendix C)", _distribution),
]
CITIES = [
    Table("bridge_cities", "premia of the city economy", lambda s: city_premia(s.cities, s.cbsas)),
    Table("bridge_panel", "premium of a panel simulated from the city economy", _bridge_panel),
]
ZONES = [Table("bridge_zones", "premia of the granular economy", lambda s: zone_premium(s.zones))]

__all__ = ["CITIES", "PANEL", "PLACES", "ZONES", "Table"]
