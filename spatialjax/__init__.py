"""Quantitative spatial equilibrium: solved, inverted and differentiated on JAX."""

from spatialjax import errors
from spatialjax.cities.accounts import Accounts, MendedSector, build_accounts
from spatialjax.cities.economy import Economy, Labels
from spatialjax.cities.equilibrium import Equilibrium, EquilibriumStatus, Residuals, evaluate_at, solve, solve_with
from spatialjax.cities.flows import expenditure_share
from spatialjax.cities.income import IncomeRule, IncomeState, LaissezFaire, land_dividend
from spatialjax.cities.input_links import CityInputMix, InputLinks, NationalInputMix
from spatialjax.cities.inversion import invert, validate
from spatialjax.cities.location import FixedEmployment, FreeMobility, Mobility
from spatialjax.cities.spillovers import NoSpillover, OccupationSpillover
from spatialjax.cities.stability import Equilibria, Stability, find_equilibria, stability
from spatialjax.cities.state import State
from spatialjax.cities.wedge import social_value_ratio, wedge
from spatialjax.data.datasets import load_data

__version__ = "0.1.0"

__all__ = [
    "Accounts",
    "CityInputMix",
    "Economy",
    "Equilibria",
    "Equilibrium",
    "EquilibriumStatus",
    "FixedEmployment",
    "FreeMobility",
    "IncomeRule",
    "IncomeState",
    "InputLinks",
    "Labels",
    "LaissezFaire",
    "MendedSector",
    "Mobility",
    "NationalInputMix",
    "NoSpillover",
    "OccupationSpillover",
    "Residuals",
    "Stability",
    "State",
    "build_accounts",
    "errors",
    "evaluate_at",
    "expenditure_share",
    "find_equilibria",
    "invert",
    "land_dividend",
    "load_data",
    "social_value_ratio",
    "solve",
    "solve_with",
    "stability",
    "validate",
    "wedge",
]
