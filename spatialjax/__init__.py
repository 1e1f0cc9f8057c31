"""Quantitative spatial equilibrium: solved, inverted and differentiated on JAX."""

from spatialjax import density, errors, estimation, granular
from spatialjax.cities.accounts import Accounts, MendedSector, build_accounts
from spatialjax.cities.batch_gradients import Gradients, gradient_many
from spatialjax.cities.batch_optima import Optima, optimum_many
from spatialjax.cities.batches import describe_failures, solve_as_completed, solve_many, take
from spatialjax.cities.certificate import Certificate, certify
from spatialjax.cities.economy import Economy, Labels
from spatialjax.cities.equilibrium import Equilibrium, EquilibriumStatus, Residuals, evaluate_at, solve
from spatialjax.cities.flows import expenditure_share
from spatialjax.cities.history import Decomposition, decompose
from spatialjax.cities.history_1980 import residents_1990, stylised_1980
from spatialjax.cities.history_steps import Part
from spatialjax.cities.history_technology import historical_steps, in_units_of
from spatialjax.cities.income import (
    IncomeRule,
    IncomeState,
    LaissezFaire,
    LocalLandRents,
    ProportionalDeficits,
    TradeDeficits,
    land_dividend,
)
from spatialjax.cities.input_links import CityInputMix, InputLinks, NationalInputMix
from spatialjax.cities.instruments import (
    CityOccupationTransfers,
    CityTransfers,
    IncomeTestedTransfers,
    Instrument,
    OccupationTransfers,
    SizeClassTransfers,
)
from spatialjax.cities.inversion import invert, validate
from spatialjax.cities.location import (
    FixedEmployment,
    FreeMobility,
    Mobility,
    MobilityWithinGroups,
    PerfectMobility,
)
from spatialjax.cities.objectives import EqualGains, MaxMin, Objective, ParetoWeights, WelfareReference
from spatialjax.cities.optimal_policy import OptimalPolicy
from spatialjax.cities.planner import Optimum, frontier_curvature, optimum
from spatialjax.cities.policies import FlatTax, PhasedOutPayment, ScaledPolicy, Transfers, net_transfer
from spatialjax.cities.policy_effect import PolicyEffect, policy_effect
from spatialjax.cities.policy_search import optimise_policy
from spatialjax.cities.preferences import AdditiveAmenities, MultiplicativeAmenities, Preferences
from spatialjax.cities.scenarios import Scenarios
from spatialjax.cities.spillovers import (
    IndustrySpillover,
    NoAmenitySpillover,
    NoSpillover,
    OccupationAmenitySpillover,
    OccupationSpillover,
)
from spatialjax.cities.stability import Equilibria, Stability, find_equilibria, stability
from spatialjax.cities.state import State
from spatialjax.cities.wedge import social_value_ratio, wedge
from spatialjax.data.datasets import load_data
from spatialjax.nested.fundamentals import economy_from_fundamentals
from spatialjax.nested.trade_flows import economy_from_flows

__version__ = "0.1.0"

__all__ = [
    "Accounts",
    "AdditiveAmenities",
    "Certificate",
    "CityInputMix",
    "CityOccupationTransfers",
    "CityTransfers",
    "Decomposition",
    "Economy",
    "EqualGains",
    "Equilibria",
    "Equilibrium",
    "EquilibriumStatus",
    "FixedEmployment",
    "FlatTax",
    "FreeMobility",
    "Gradients",
    "IncomeRule",
    "IncomeState",
    "IncomeTestedTransfers",
    "IndustrySpillover",
    "InputLinks",
    "Instrument",
    "Labels",
    "LaissezFaire",
    "LocalLandRents",
    "MaxMin",
    "MendedSector",
    "Mobility",
    "MobilityWithinGroups",
    "MultiplicativeAmenities",
    "NationalInputMix",
    "NoAmenitySpillover",
    "NoSpillover",
    "Objective",
    "OccupationAmenitySpillover",
    "OccupationSpillover",
    "OccupationTransfers",
    "Optima",
    "OptimalPolicy",
    "Optimum",
    "ParetoWeights",
    "Part",
    "PerfectMobility",
    "PhasedOutPayment",
    "PolicyEffect",
    "Preferences",
    "ProportionalDeficits",
    "Residuals",
    "ScaledPolicy",
    "Scenarios",
    "SizeClassTransfers",
    "Stability",
    "State",
    "TradeDeficits",
    "Transfers",
    "WelfareReference",
    "build_accounts",
    "certify",
    "decompose",
    "density",
    "describe_failures",
    "economy_from_flows",
    "economy_from_fundamentals",
    "errors",
    "estimation",
    "evaluate_at",
    "expenditure_share",
    "find_equilibria",
    "frontier_curvature",
    "gradient_many",
    "granular",
    "historical_steps",
    "in_units_of",
    "invert",
    "land_dividend",
    "load_data",
    "net_transfer",
    "optimise_policy",
    "optimum",
    "optimum_many",
    "policy_effect",
    "residents_1990",
    "social_value_ratio",
    "solve",
    "solve_as_completed",
    "solve_many",
    "stability",
    "stylised_1980",
    "take",
    "validate",
    "wedge",
]
