"""Estimation: externalities of cities, parameters of the granular economy, and the regressions that both rest on."""

from spatialjax.estimation.chunked import regress_in_chunks
from spatialjax.estimation.diagnostics import FirstStage, OverIdentification
from spatialjax.estimation.granular_checks import check_granular_panel, restrict_panel
from spatialjax.estimation.granular_elasticities import Elasticity, estimate_kappa, estimate_nu
from spatialjax.estimation.granular_estimates import GranularEstimates, estimate_granular
from spatialjax.estimation.granular_growth import firm_growth, product_shipments, shift_share
from spatialjax.estimation.granular_moments import employment_moments, wage_bill_moments
from spatialjax.estimation.granular_panel import SimulatedPanel, simulate_granular_panel
from spatialjax.estimation.granular_responses import employment_responses
from spatialjax.estimation.granular_tail import estimate_tail, mean_herfindahl
from spatialjax.estimation.granular_variances import estimate_shock_variances, profit_share
from spatialjax.estimation.instrumental import InstrumentalEstimate, estimate
from spatialjax.estimation.instruments import log_productivity, model_instruments
from spatialjax.estimation.monte_carlo import spillover_monte_carlo
from spatialjax.estimation.monte_carlo_economies import Spread
from spatialjax.estimation.monte_carlo_no_spillovers import NoSpilloverExperiment, no_spillover_experiment
from spatialjax.estimation.monte_carlo_result import MonteCarlo
from spatialjax.estimation.regression import Regression, regress
from spatialjax.estimation.sample import Sample
from spatialjax.estimation.spillover_panel import spillover_panel
from spatialjax.estimation.spillovers import SpilloverEstimates, spillovers
from spatialjax.estimation.tables import beside_published, side_by_side
from spatialjax.estimation.uncertainty import propagate
from spatialjax.estimation.uncertainty_result import Propagation

__all__ = [
    "Elasticity",
    "FirstStage",
    "GranularEstimates",
    "InstrumentalEstimate",
    "MonteCarlo",
    "NoSpilloverExperiment",
    "OverIdentification",
    "Propagation",
    "Regression",
    "Sample",
    "SimulatedPanel",
    "SpilloverEstimates",
    "Spread",
    "beside_published",
    "check_granular_panel",
    "employment_moments",
    "employment_responses",
    "estimate",
    "estimate_granular",
    "estimate_kappa",
    "estimate_nu",
    "estimate_shock_variances",
    "estimate_tail",
    "firm_growth",
    "log_productivity",
    "mean_herfindahl",
    "model_instruments",
    "no_spillover_experiment",
    "product_shipments",
    "profit_share",
    "propagate",
    "regress",
    "regress_in_chunks",
    "restrict_panel",
    "shift_share",
    "side_by_side",
    "simulate_granular_panel",
    "spillover_monte_carlo",
    "spillover_panel",
    "spillovers",
    "wage_bill_moments",
]
