"""The economies of a run, what is solved of them, and their labelled results."""

from dataclasses import dataclass, replace

import equinox as eqx
import jax
import numpy as np
import xarray as xr

from spatialjax.cities.cost_forms import times_between_cities
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, solve
from spatialjax.cities.inversion import invert
from spatialjax.cities.outcomes import OccupationPair, first_two
from spatialjax.cities.planner import Optimum, optimum
from spatialjax.cities.policy_effect import PolicyEffect
from spatialjax.cities.variants import homogeneous_links, without_trade_costs
from spatialjax.cities.wedge import wedge
from spatialjax.errors import ConfigError
from spatialjax.workflow.schema import CounterfactualSection, ReportSection, RunConfig, VariantSection


@dataclass(frozen=True)
class Case:
    """An economy, its equilibrium and its optimum's allocation, as solutions and as labelled data sets."""

    economy: Economy
    equilibrium: Equilibrium
    result: xr.Dataset
    allocation: Equilibrium | None = None
    optimum: xr.Dataset | None = None

    def with_optimum(self, found: Optimum, data: xr.Dataset) -> "Case":
        """The case with its optimum, where that is one."""
        if not found.found:
            return self
        return replace(self, allocation=found.equilibrium, optimum=found.to_xarray(data))


def compared_occupations(report: ReportSection | None, data: xr.Dataset) -> OccupationPair | None:
    """The two occupations that a run tells of: those configured, or the data's first two; None where there is one.

    **Raises:** `ConfigError` where the data have no occupation of a configured name.
    """
    if report is None or report.occupations is None:
        return first_two(data)
    known = [str(name) for name in data["occupation"].values]
    first, second = report.occupations
    if not {first, second} <= set(known):
        raise ConfigError(
            f"report.occupations: must be two of the data's occupations {', '.join(map(repr, known))}, found "
            f"{[first, second]}"
        )
    return first, second


def invert_data(data: xr.Dataset, config: RunConfig, variant: VariantSection | None = None) -> Economy:
    """The economy of the data under the run's assumptions, or a variant of them."""
    model, changed = config.model, variant or VariantSection()
    spillover = changed.spillover or config.spillover
    amenity_spillover = changed.amenity_spillover or config.amenity_spillover
    minimum = model.minimum_consumption_share
    economy = invert(
        data,
        trade_elasticity=model.trade_elasticity,
        location_elasticity=model.location_elasticity,
        occupation_substitution=model.occupation_substitution,
        housing_share=model.housing_share if changed.housing_share is None else changed.housing_share,
        minimum_consumption_share=None if isinstance(minimum, str) else minimum,
        spillover=spillover.build(data),
        amenities=changed.amenities or model.amenities,
        amenity_spillover=None if amenity_spillover is None else amenity_spillover.build(),
    )
    return jax.block_until_ready(economy)


def counterfactual_economy(
    economy: Economy, equilibrium: Equilibrium, section: CounterfactualSection, data: xr.Dataset
) -> Economy:
    """The economy of a counterfactual: fundamentals are kept, what the section names is changed."""
    if section.spillover is not None:
        economy = eqx.tree_at(lambda e: e.spillover, economy, section.spillover.build(data))
    if section.input_links == "homogeneous":
        economy = homogeneous_links(economy, equilibrium)
    if section.trade_cost_factor != 1.0:
        economy = times_between_cities(economy, section.trade_cost_factor)
    return without_trade_costs(economy) if section.trade_costs == "none" else economy


def solve_case(economy: Economy, data: xr.Dataset, config: RunConfig, initial: Equilibrium | None = None) -> Case:
    """Solve an economy and label the result."""
    solver = config.solver
    equilibrium = solve(economy, initial=initial, tolerance=solver.tolerance, max_evaluations=solver.max_evaluations)
    return Case(economy, equilibrium, labelled(equilibrium, economy, data))


def solve_optimum(case: Case, config: RunConfig) -> Optimum:
    """The optimum of a case, certified or not."""
    objective = config.planner.build(case.equilibrium.welfare.size)
    return optimum(
        case.economy,
        case.equilibrium,
        objective=objective,
        throw=False,
        tolerance=min(config.solver.tolerance, OPTIMUM_TOLERANCE),
        max_evaluations=config.solver.max_evaluations,
    )


OPTIMUM_TOLERANCE = 1e-11
"""The first-order conditions are as exact as the allocation that they are taken at."""


def labelled(equilibrium: Equilibrium, economy: Economy, data: xr.Dataset) -> xr.Dataset:
    """An equilibrium with its wedges and the amenities and fundamental productivity behind it."""
    result = equilibrium.to_xarray(data)
    for name, dimensions, values, long_name, units in (
        (
            "wedge",
            ("city", "occupation"),
            wedge(economy, equilibrium),
            "social less private value",
            "US dollars a year",
        ),
        ("amenity", ("city", "occupation"), economy.amenity, "amenity", "1"),
        (
            "fundamental_productivity",
            ("city", "occupation", "sector"),
            economy.fundamental_productivity,
            "exogenous part of productivity",
            "1",
        ),
    ):
        result[name] = (dimensions, np.asarray(values), {"units": units, "long_name": long_name})
    return result


def certificate_summary(effect: PolicyEffect) -> dict:
    """What is known of a policy's optimality, for files."""
    summary: dict = {"outcome": effect.outcome, "gain": np.asarray(effect.gain).tolist()}
    if effect.path is not None:
        summary["path"] = {
            "reached": effect.path.reached,
            "steps": effect.path.steps,
            "evaluations": effect.path.evaluations,
        }
    if effect.certificate is not None:
        summary["certificate"] = {
            "residual": effect.certificate.residual,
            "cosine": effect.certificate.cosine,
            "weights": effect.certificate.weights.tolist(),
            "curvature": effect.certificate.curvature.tolist(),
        }
    return summary
