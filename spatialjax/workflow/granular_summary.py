"""The table of a granular run: what KO report beside what is computed, and why they differ."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.granular.agglomeration import (
    ProductionShape,
    local_firm_wedge,
    local_labour_wedge,
    local_wage_elasticity,
)
from spatialjax.granular.conduct import Conduct
from spatialjax.granular.parameters import Parameters

KO_FIRMS = (10 / 148, 105.8)
"""Firms per sector in KO's smallest zone and in Tokyo (KO 6.1)."""
PLACES = ("smallest", "largest")

HUMP = "entry at one rate for all sectors: H(m) = 1 - O(m), so the elasticity is hump-shaped"
BOUND = "no market's markdown exceeds 2.0 percent: |Psi| is at most D varN / (4 B (B + D)) = 0.0227"
TOKYO = "KO's Tokyo figures contradict each other: 0.988 would mean an elasticity of 0.0018"
SUBSIDY = "KO's changes equal the subsidies themselves"
MARKDOWN = "follows from a markdown that is smaller here"


@dataclass(frozen=True)
class Reported:
    """A figure that KO report (section 6), and why ours may differ."""

    quantity: str
    conduct: Conduct
    place: str
    value: float
    reason: str = ""


REPORTED = (
    Reported("productivity over smallest, percent", "competitive", "largest", 2.1, HUMP),
    Reported("productivity over smallest, percent", "cournot", "largest", 2.3, HUMP),
    Reported("wage elasticity", "competitive", "smallest", 0.0048, HUMP),
    Reported("wage elasticity", "competitive", "largest", 0.0014, TOKYO),
    Reported("wage elasticity", "cournot", "smallest", 0.0053, HUMP),
    Reported("wage elasticity", "cournot", "largest", 0.0012, HUMP),
    Reported("wage markdown, percent", "cournot", "smallest", 3.0, BOUND),
    Reported("wage markdown, percent", "cournot", "largest", 1.0, BOUND),
    Reported("profit over marginal product", "competitive", "smallest", 0.969, HUMP),
    Reported("profit over marginal product", "competitive", "largest", 0.988, TOKYO),
    Reported("profit over marginal product", "cournot", "smallest", 1.17, MARKDOWN),
    Reported("optimal change of firms, percent", "competitive", "smallest", 3.2, SUBSIDY),
    Reported("optimal change of firms, percent", "competitive", "largest", 1.2, SUBSIDY),
    Reported("optimal change of firms, percent", "cournot", "smallest", -17.0, MARKDOWN),
    Reported("optimal change of firms, percent", "cournot", "largest", -7.0, MARKDOWN),
    Reported("optimal change of people, percent", "competitive", "smallest", 0.3, HUMP),
    Reported("optimal change of people, percent", "cournot", "smallest", 1.0, MARKDOWN),
)


class Variant(NamedTuple):
    """A way of computing Phi and Psi: shapes at KO's and at the data's firms per sector, and places solved with it.

    `jackknife` are shapes at KO's firms without each block of draws in turn, for standard errors.
    """

    at_ko: ProductionShape | None
    at_data: ProductionShape | None
    places: xr.Dataset | None = None
    jackknife: tuple[ProductionShape, ...] = ()


def paper_table(
    variants: dict[str, dict[str, Variant]], parameters: Parameters, conducts: tuple[Conduct, ...]
) -> pd.DataFrame:
    """KO's figures beside each variant's, at KO's firms per sector and at the data's."""
    rows = [row for row in REPORTED if row.conduct in conducts]
    frame = pd.DataFrame(
        {
            "figure": [row.quantity for row in rows],
            "conduct": [row.conduct for row in rows],
            "zone": [row.place for row in rows],
            "KO": [row.value for row in rows],
        }
    )
    for name, by_conduct in variants.items():
        for where in ("KO m", "data m"):
            values = [_value(row, by_conduct.get(row.conduct), where, parameters) for row in rows]
            if np.isfinite(values).any():
                frame[f"{name}, {where}"] = values
        errors = [_error(row, by_conduct.get(row.conduct), parameters) for row in rows]
        if np.isfinite(errors).any():
            frame[f"{name}, KO m, s.e."] = errors
    frame["why they differ"] = [row.reason for row in rows]
    return frame


def reasons(conducts: tuple[Conduct, ...]) -> Iterator[str]:
    """The reasons, each once."""
    yield from dict.fromkeys(row.reason for row in REPORTED if row.conduct in conducts and row.reason)


def _value(row: Reported, variant: Variant | None, where: str, parameters: Parameters) -> float:
    if variant is None:
        return np.nan
    if row.quantity in OPTIMAL:
        if where == "KO m" or variant.places is None or OPTIMAL[row.quantity] not in variant.places:
            return np.nan
        return 100 * _at(row.place, variant.places[OPTIMAL[row.quantity]].values, variant.places["firms"].values)
    shape = variant.at_ko if where == "KO m" else variant.at_data
    if shape is None:
        return np.nan
    return float(LOCAL[row.quantity](shape, parameters)[PLACES.index(row.place)])


def _error(row: Reported, variant: Variant | None, parameters: Parameters) -> float:
    """Standard error of a value at KO's firms, by jackknife."""
    if variant is None or not variant.jackknife or row.quantity in OPTIMAL:
        return np.nan
    values = [_value(row, Variant(shape, None), "KO m", parameters) for shape in variant.jackknife]
    return float(np.sqrt((len(values) - 1) * np.var(values)))


OPTIMAL = {
    "optimal change of firms, percent": "optimal_firms_change",
    "optimal change of people, percent": "optimal_population_change",
}


def _productivity(shape: ProductionShape, parameters: Parameters):
    return 100 * (shape.phi / shape.phi[0] - 1)


LOCAL: dict[str, Callable[[ProductionShape, Parameters], jnp.ndarray]] = {
    "productivity over smallest, percent": _productivity,
    "wage elasticity": lambda shape, parameters: local_wage_elasticity(shape, parameters.profit_share),
    "wage markdown, percent": lambda shape, parameters: 100 * (1 - local_labour_wedge(shape)),
    "profit over marginal product": lambda shape, parameters: local_firm_wedge(shape, parameters.profit_share),
}


def _at(place: str, values: np.ndarray, firms: np.ndarray) -> float:
    """The value of the zone with fewest or most firms per sector."""
    return float(values[firms.argmin() if place == "smallest" else firms.argmax()])


def zone_table(results: dict[str, xr.Dataset]) -> pd.DataFrame:
    """One row a zone and conduct: every result that belongs to a zone."""
    frames = []
    for conduct, result in results.items():
        by_zone = result.drop_dims("curve", errors="ignore").to_dataframe().reset_index()
        frames.append(by_zone.assign(conduct=conduct))
    return pd.concat(frames, ignore_index=True)
