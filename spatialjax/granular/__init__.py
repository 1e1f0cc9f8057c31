"""Granular economies: places whose sectors have finitely many firms ("Granular Origins of Agglomeration", KO)."""

from spatialjax.granular.concentration import herfindahl
from spatialjax.granular.conduct import Conduct
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
from spatialjax.granular.production import Production, production, production_with_error
from spatialjax.granular.second_order import SectorMoments, sector_moments
from spatialjax.granular.sectors import SectorAverages, draw_shares, sector_averages

__all__ = [
    "Accounts",
    "Conduct",
    "EfficientPolicy",
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
    "SectorAverages",
    "SectorMoments",
    "calibrate",
    "certify",
    "draw_shares",
    "employment_response_ratio",
    "employment_variance",
    "herfindahl",
    "herfindahl_of_number",
    "optimum",
    "production",
    "production_with_error",
    "sector_averages",
    "sector_moments",
    "shock_variance",
    "solve",
    "stability",
    "wage_bill_variance",
    "wage_elasticity",
]
