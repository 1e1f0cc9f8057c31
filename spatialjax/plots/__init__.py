"""Figures of results: functions take labelled data sets, return matplotlib figures, and never solve."""

from spatialjax.plots.composite import map_with_scatters
from spatialjax.plots.establishments import (
    earnings_against_density,
    earnings_densities,
    percentile_panels,
    profile_panels,
)
from spatialjax.plots.figures import predicted_wage_bill_share, share_against_premium, wedge_difference
from spatialjax.plots.granular import (
    factor_wedges,
    markdown_comparison,
    model_fit,
    optimal_policy_changes,
    production_and_elasticity,
)
from spatialjax.plots.history import contribution_bars, population_by_share, technology_change
from spatialjax.plots.hubs import FlowPanel, trade_flow_maps
from spatialjax.plots.maps import city_map
from spatialjax.plots.policy import (
    employment_change,
    size_change,
    specialisation_change,
    transfer_map,
    wedge_at_optimum,
)
from spatialjax.plots.prices import price_decomposition_panels
from spatialjax.plots.sectors import exogenous_productivity, input_intensity
from spatialjax.plots.style import save_figure
from spatialjax.plots.validation import validation_panels
from spatialjax.plots.variants import Comparison, variant_panels

__all__ = [
    "Comparison",
    "FlowPanel",
    "city_map",
    "contribution_bars",
    "earnings_against_density",
    "earnings_densities",
    "employment_change",
    "exogenous_productivity",
    "factor_wedges",
    "input_intensity",
    "map_with_scatters",
    "markdown_comparison",
    "model_fit",
    "optimal_policy_changes",
    "percentile_panels",
    "population_by_share",
    "predicted_wage_bill_share",
    "price_decomposition_panels",
    "production_and_elasticity",
    "profile_panels",
    "save_figure",
    "share_against_premium",
    "size_change",
    "specialisation_change",
    "technology_change",
    "trade_flow_maps",
    "transfer_map",
    "validation_panels",
    "variant_panels",
    "wedge_at_optimum",
    "wedge_difference",
]
