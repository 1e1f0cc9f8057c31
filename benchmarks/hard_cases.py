"""Solves that are hard: strong externalities, extreme elasticities and trade costs, each from a start that is off."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import spatialjax
from spatialjax import Economy, Equilibrium, OccupationSpillover
from spatialjax.cities.cost_forms import times_between_cities
from spatialjax.cities.stability import stability
from spatialjax.cities.state import State

from .cases import TOLERANCE, perturbed
from .comparison import how_it_ended
from .measuring import measure
from .protocol import Row, Setting
from .report import compile_cell, ended_cell, number_cell, run_cell, table

START = 0.05
"""Standard deviation of the noise on every log unknown from which economies inverted from data are solved."""
MAX_EVALUATIONS = 20_000
SAME = 1e-6
"""Log difference of employment from the data's up to which an equilibrium is theirs."""
ARNOLDI_STEPS = 120
"""Steps of the search for eigenvalues: what it finds above one is a lower bound on how many there are."""


class Case(NamedTuple):
    """An economy and where its solve starts. `inverted`: whether the data are an equilibrium of it."""

    name: str
    economy: Callable[[xr.Dataset], Economy]
    inverted: bool = True
    seed: int = 0

    def start(self, economy: Economy) -> State:
        """Noise around the data where these are the solution, the data where they are not."""
        return perturbed(economy.reference, START, self.seed) if self.inverted else economy.reference


def stronger(strength: float) -> Callable[[xr.Dataset], Economy]:
    """CH's externalities times a factor, inverted again."""
    ch = OccupationSpillover()
    spillover = OccupationSpillover(strength * ch.share, strength * ch.size)
    return lambda data: spatialjax.invert(data, spillover=spillover)


def costs_times(factor: float) -> Callable[[xr.Dataset], Economy]:
    """Trade costs between cities times a factor."""
    return lambda data: times_between_cities(spatialjax.invert(data), factor)


def with_small_costs(data: xr.Dataset) -> Economy:
    """A thousandth of the log trade costs that there are."""
    economy = spatialjax.invert(data)
    costs = economy.log_iceberg_cost
    small = jnp.where(jnp.isfinite(costs), 1e-3 * costs, jnp.inf)
    return replace(economy, log_iceberg_cost=small)


CASES = (
    *(Case(f"1.6 times CH's externalities, start {seed}", stronger(1.6), seed=seed) for seed in range(3)),
    *(Case(f"2 times CH's externalities, start {seed}", stronger(2.0), seed=seed) for seed in range(3)),
    Case("trade elasticity 4", lambda data: spatialjax.invert(data, trade_elasticity=4.0)),
    Case("trade elasticity 20", lambda data: spatialjax.invert(data, trade_elasticity=20.0)),
    Case("location elasticity 5", lambda data: spatialjax.invert(data, location_elasticity=5.0)),
    Case("location elasticity 10", lambda data: spatialjax.invert(data, location_elasticity=10.0)),
    Case("costs between cities times 20: near autarky", costs_times(20.0), inverted=False),
    Case("a thousandth of log costs: near none", with_small_costs, inverted=False),
)


def hard_rows(setting: Setting, cases: tuple[Case, ...] = CASES) -> Iterator[Row]:
    """How the library solves each case, to which equilibrium, and how many directions grow there."""
    data = setting.data()
    for case in cases:
        economy = case.economy(data)
        start = case.start(economy)

        def solve(economy=economy, start=start) -> Equilibrium:
            return spatialjax.solve(
                economy, initial=start, tolerance=TOLERANCE, max_evaluations=MAX_EVALUATIONS, throw=False
            )

        timing, found = measure(solve, repeats=1, time_limit=setting.limit)
        yield {"problem": case.name, **timing.row(), **how_it_ended(found), **_which(case, economy, found)}
        jax.clear_caches()


def _which(case: Case, economy: Economy, found: Equilibrium) -> Row:
    if not bool(found.converged):
        return {}
    lives = np.asarray(found.employment) > 0
    moved = np.abs(np.asarray(found.state().log_employment - economy.reference.log_employment))[lives].max()
    growing = stability(economy, found, count=ARNOLDI_STEPS, steps=ARNOLDI_STEPS).unstable_directions
    return {"moved": float(moved) if case.inverted else None, "growing": growing}


def hard_table(rows: list[Row]) -> list[str]:
    """A row a case."""
    return table(
        [
            ("case", lambda row: row["problem"]),
            ("evaluations", number_cell("evaluations")),
            ("run", run_cell),
            ("compile", compile_cell),
            ("ended", ended_cell),
            ("equilibrium", _equilibrium_cell),
            ("eigenvalues above 1", number_cell("growing")),
        ],
        rows,
    )


def _equilibrium_cell(row: Row) -> str:
    moved = row.get("moved")
    if moved is None:
        return ""
    return "the data's" if moved < SAME else f"another, {moved:.2g} log points from the data's"
