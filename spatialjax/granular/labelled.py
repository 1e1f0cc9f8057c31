"""Granular places as labelled data sets: the dimension `zone`, labels and units."""

import numpy as np
import xarray as xr

from spatialjax.granular.place_optimum import PlacesOptimum
from spatialjax.granular.places import Places, PlacesEquilibrium, wage_elasticity

PLACE_NAMES = ("title", "label", "prefecture", "latitude", "longitude")


def places_to_xarray(
    places: Places, equilibrium: PlacesEquilibrium, data: xr.Dataset, optimum: PlacesOptimum | None = None
) -> xr.Dataset:
    """Fundamentals, an equilibrium and an optimum of places, with the labels of the data they were calibrated to."""
    money = data["wage"].attrs.get("units", "units of the data's wage")
    described = {
        "population": (equilibrium.population, "persons", "population"),
        "firms": (equilibrium.firms, "firms per sector", "mean number of firms in a sector"),
        "wage": (equilibrium.wage, money, "wage"),
        "output": (equilibrium.output, f"persons times {money}", "output"),
        "profit": (equilibrium.profit, f"persons times {money}", "profit of one firm in every sector"),
        "productivity": (places.productivity, "1", "productivity of places, z"),
        "amenity": (places.amenity, "1", "amenity: expected utility is the mean wage of the data"),
        "entry_cost": (places.entry_cost, f"persons times {money}", "cost of opening one firm in every sector"),
        "phi": (equilibrium.phi, "1", "output relative to a place without shocks, Phi"),
        "psi": (equilibrium.psi, "1", "pay withheld by market power, Psi"),
        "wage_elasticity": (wage_elasticity(places, equilibrium), "1", "elasticity of the wage to population"),
        "labour_wedge": (equilibrium.labour_wedge, "1", "wage over marginal product of labour"),
        "firm_wedge": (equilibrium.firm_wedge, "1", "profit over marginal product of a firm"),
    }
    if optimum is not None:
        described |= {
            "optimal_tau_wage": (optimum.policy.tau_wage, "1", "optimal subsidy to earnings"),
            "optimal_tau_profit": (optimum.policy.tau_profit, "1", "optimal subsidy to profits"),
            "optimal_firms_change": (optimum.firms_change, "1", "change of firms under the optimal policy"),
            "optimal_population_change": (
                optimum.population_change,
                "1",
                "change of population under the optimal policy",
            ),
            "optimal_wage_change": (optimum.wage_change, "1", "change of the wage under the optimal policy"),
        }
    variables = {
        name: ("zone", np.asarray(values), {"units": units, "long_name": long_name})
        for name, (values, units, long_name) in described.items()
    }
    coordinates = {"zone": data["zone"].values}
    result = xr.Dataset(variables, coordinates)
    for name in PLACE_NAMES:
        if name in data:
            result = result.assign_coords({name: data[name]})
    result.attrs = {
        "conduct": places.conduct,
        "status": equilibrium.outcome,
        "evaluations": int(equilibrium.evaluations),
        "expected_utility": float(equilibrium.utility),
    }
    if optimum is not None:
        result.attrs |= {
            "optimum_financing": optimum.policy.financing,
            "optimum_gain": float(optimum.gain),
            "optimum_certificate_residual": optimum.certificate.residual,
        }
    return result
