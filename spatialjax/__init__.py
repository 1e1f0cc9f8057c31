"""Quantitative spatial equilibrium: solved, inverted and differentiated on JAX."""

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, solve
from spatialjax.cities.income import IncomeRule, IncomeState, LaissezFaire
from spatialjax.cities.inversion import invert, validate
from spatialjax.cities.spillovers import NoSpillover, OccupationSpillover
from spatialjax.data.datasets import load_data

__version__ = "0.1.0"
