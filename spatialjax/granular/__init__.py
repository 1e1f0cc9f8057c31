"""Granular economies: places whose sectors have finitely many firms ("Granular Origins of Agglomeration", KO)."""

from spatialjax.granular.agglomeration import (
    ProductionShape,
    local_firm_wedge,
    local_labour_wedge,
    local_wage_elasticity,
    production_shape,
)
from spatialjax.granular.concentration import herfindahl
from spatialjax.granular.conduct import Conduct
from spatialjax.granular.exact import (
    ExactProduction,
    SectorTable,
    exact_production,
    exact_production_table,
    production_of,
    tabulate_sectors,
)
from spatialjax.granular.game_shocks import Shocks, drawn_shocks, hermite_shocks
from spatialjax.granular.parameters import Parameters
from spatialjax.granular.place_optimum import PlacesCertificate, PlacesOptimum, certify, optimum
from spatialjax.granular.place_stability import PlacesStability, stability
from spatialjax.granular.places import Places, PlacesEquilibrium, PlacesState, calibrate, solve, wage_elasticity
from spatialjax.granular.policies import Accounts, EfficientPolicy, ExpectedUtilityPolicy, Payments, PlacePolicy, Policy
from spatialjax.granular.predictions import (
    employment_response_ratio,
    employment_variance,
    herfindahl_of_number,
    shock_variance,
    wage_bill_variance,
)
from spatialjax.granular.regional_production import Production, production, production_with_error
from spatialjax.granular.second_order import SectorMoments, sector_moments
from spatialjax.granular.sector_game import SectorGame, solve_game
from spatialjax.granular.sectors import SectorAverages, draw_shares, sector_averages

__all__ = [
    "Accounts",
    "Conduct",
    "EfficientPolicy",
    "ExactProduction",
    "ExpectedUtilityPolicy",
    "Parameters",
    "Payments",
    "PlacePolicy",
    "Places",
    "PlacesCertificate",
    "PlacesEquilibrium",
    "PlacesOptimum",
    "PlacesStability",
    "PlacesState",
    "Policy",
    "Production",
    "ProductionShape",
    "SectorAverages",
    "SectorGame",
    "SectorMoments",
    "SectorTable",
    "Shocks",
    "calibrate",
    "certify",
    "draw_shares",
    "drawn_shocks",
    "employment_response_ratio",
    "employment_variance",
    "exact_production",
    "exact_production_table",
    "herfindahl",
    "herfindahl_of_number",
    "hermite_shocks",
    "local_firm_wedge",
    "local_labour_wedge",
    "local_wage_elasticity",
    "optimum",
    "production",
    "production_of",
    "production_shape",
    "production_with_error",
    "sector_averages",
    "sector_moments",
    "shock_variance",
    "solve",
    "solve_game",
    "stability",
    "tabulate_sectors",
    "wage_bill_variance",
    "wage_elasticity",
]
