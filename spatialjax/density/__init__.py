"""Estimators of "The Urban Density Premium across Establishments" (FF) on panels of establishments."""

from spatialjax.density.age_profile import (
    Profile,
    age_profile,
    flat_profile_test,
    instrumented_age_profile,
    instrumented_profiles,
    predicted_earnings,
    profile_table,
    subgroup_profiles,
)
from spatialjax.density.alternatives import (
    alternatives_table,
    cbsa_first_stages,
    first_stages,
    instrumented_premium,
    with_instruments,
)
from spatialjax.density.bridge import city_premia, city_premium, log_earnings_by_cbsa, zone_premium
from spatialjax.density.cbsas import cbsa_table, msa_table
from spatialjax.density.characteristics import characteristics_table
from spatialjax.density.columns import with_regressors
from spatialjax.density.differences import relocation_table
from spatialjax.density.distributions import earnings_densities, earnings_statistics
from spatialjax.density.earnings import average_earnings, deflator
from spatialjax.density.imputation import Imputation, impute_earnings
from spatialjax.density.metropolitan import (
    instrumented_premium as instrumented_premium_of_places,
)
from spatialjax.density.metropolitan import metropolitan_premia, metropolitan_premium, place_earnings, place_years
from spatialjax.density.panel import as_panel, read_panel, with_earnings, with_moves
from spatialjax.density.panel_checks import check_panel
from spatialjax.density.premium import Specification, premium, premium_table, subgroup_table
from spatialjax.density.quintiles import alternative_quintile_table, quintile_table
from spatialjax.density.relocation import RandomRelocations, simulate_relocation
from spatialjax.density.residuals import residual_earnings, residualised
from spatialjax.density.selection import exit_by_percentile, survivors
from spatialjax.density.simulation import simulate_history, simulate_panel
from spatialjax.density.simulation_truth import Truth
from spatialjax.density.sorting import entrant_earnings, movers_and_stayers, relocation_by_percentile
from spatialjax.density.syverson import Syverson, syverson
from spatialjax.density.tenure_profile import TenureProfiles, tenure_profile

__all__ = [
    "Imputation",
    "Profile",
    "RandomRelocations",
    "Specification",
    "Syverson",
    "TenureProfiles",
    "Truth",
    "age_profile",
    "alternative_quintile_table",
    "alternatives_table",
    "as_panel",
    "average_earnings",
    "cbsa_first_stages",
    "cbsa_table",
    "characteristics_table",
    "check_panel",
    "city_premia",
    "city_premium",
    "deflator",
    "earnings_densities",
    "earnings_statistics",
    "entrant_earnings",
    "exit_by_percentile",
    "first_stages",
    "flat_profile_test",
    "impute_earnings",
    "instrumented_age_profile",
    "instrumented_premium",
    "instrumented_premium_of_places",
    "instrumented_profiles",
    "log_earnings_by_cbsa",
    "metropolitan_premia",
    "metropolitan_premium",
    "movers_and_stayers",
    "msa_table",
    "place_earnings",
    "place_years",
    "predicted_earnings",
    "premium",
    "premium_table",
    "profile_table",
    "quintile_table",
    "read_panel",
    "relocation_by_percentile",
    "relocation_table",
    "residual_earnings",
    "residualised",
    "simulate_history",
    "simulate_panel",
    "simulate_relocation",
    "subgroup_profiles",
    "subgroup_table",
    "survivors",
    "syverson",
    "tenure_profile",
    "with_earnings",
    "with_instruments",
    "with_moves",
    "with_regressors",
    "zone_premium",
]
