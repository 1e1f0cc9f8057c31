"""Solves that are hard: strong externalities, extreme elasticities and trade costs, each from a start that is off."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

import spatialjax
from spatialjax import Economy, Equilibrium, LocalLandRents, OccupationSpillover
from spatialjax.cities.cost_forms import times_between_cities
from spatialjax.cities.income import IncomeRule, LaissezFaire
from spatialjax.cities.stability import stability
from spatialjax.cities.state import State
from spatialjax.nested import helpman, nafta

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


class Solve(NamedTuple):
    """An economy, where its solve starts, and who receives what. `known`: whether its reference is an equilibrium."""

    economy: Economy
    start: State
    income: IncomeRule = LaissezFaire()
    known: bool = True


class Case(NamedTuple):
    """A solve by name, which is made when its turn comes."""

    name: str
    make: Callable[[Setting], Solve]


def inverted(seed: int = 0, **parameters: Any) -> Callable[[Setting], Solve]:
    """The data inverted under these parameters, from noise around them."""

    def make(setting: Setting) -> Solve:
        economy = spatialjax.invert(setting.data(), **parameters)
        return Solve(economy, perturbed(economy.reference, START, seed))

    return make


def stronger(strength: float, seed: int) -> Callable[[Setting], Solve]:
    """CH's externalities times a factor, inverted again, from noise."""
    ch = OccupationSpillover()
    return inverted(seed, spillover=OccupationSpillover(strength * ch.share, strength * ch.size))


def costs_times(factor: float) -> Callable[[Setting], Solve]:
    """Trade costs between cities times a factor, from the data."""

    def make(setting: Setting) -> Solve:
        economy = times_between_cities(spatialjax.invert(setting.data()), factor)
        return Solve(economy, economy.reference, known=False)

    return make


def with_small_costs(setting: Setting) -> Solve:
    """A thousandth of the log trade costs that there are, from the data."""
    economy = spatialjax.invert(setting.data())
    costs = economy.log_iceberg_cost
    small = jnp.where(jnp.isfinite(costs), 1e-3 * costs, jnp.inf)
    return Solve(replace(economy, log_iceberg_cost=small), economy.reference, known=False)


def grid(setting: Setting) -> Solve:
    """Redding and Rossi-Hansberg's two countries of 900 cells, from a start that knows nothing of them."""
    economy = helpman.grid_economy(helpman.read_productivity(published(setting)))
    return Solve(economy, economy.reference, LocalLandRents(), known=False)


def tariffs(setting: Setting) -> Solve:
    """Caliendo and Parro's 31 countries and 40 sectors after NAFTA's tariffs, from the flows before."""
    made = nafta.experiment(nafta.read_nafta(published(setting)))
    return Solve(made.changed, made.before.state(), made.income, known=False)


def published(setting: Setting) -> Path:
    """The folder of other models' files."""
    if setting.peers is None:
        raise ValueError("name the folder of published files with --peers")
    return setting.peers


CASES = (
    *(Case(f"1.6 times CH's externalities, start {seed}", stronger(1.6, seed)) for seed in range(3)),
    *(Case(f"2 times CH's externalities, start {seed}", stronger(2.0, seed)) for seed in range(3)),
    Case("trade elasticity 4", inverted(trade_elasticity=4.0)),
    Case("trade elasticity 20", inverted(trade_elasticity=20.0)),
    Case("location elasticity 5", inverted(location_elasticity=5.0)),
    Case("location elasticity 10", inverted(location_elasticity=10.0)),
    Case("costs between cities times 20: near autarky", costs_times(20.0)),
    Case("a thousandth of log costs: near none", with_small_costs),
)
PUBLISHED_CASES = (
    Case("RRH's grid of 30 x 30, workers perfectly mobile within two countries", grid),
    Case("CP's 31 countries and 40 sectors with input links, NAFTA's tariffs", tariffs),
)
"""Cases on files that other models' authors publish, where a folder has them."""


def cases_of(setting: Setting) -> tuple[Case, ...]:
    """The cases that can be made: the first alone where only the program is checked."""
    if setting.quick:
        return CASES[:1]
    return CASES if setting.peers is None else (*CASES, *PUBLISHED_CASES)


def hard_row(name: str, setting: Setting) -> Row:
    """How the library solves a case, to which equilibrium, and how many directions grow there."""
    case = next(case for case in cases_of(setting) if case.name == name)
    made = case.make(setting)

    timing, found = measure(lambda: solved(made), repeats=setting.few, time_limit=setting.limit)
    return {"problem": name, **timing.row(), **how_it_ended(found), **_which(made, found)}


def solved(made: Solve) -> Equilibrium:
    """The solve that a case asks for, whether it ends well or not."""
    return spatialjax.solve(
        made.economy,
        income=made.income,
        initial=made.start,
        tolerance=TOLERANCE,
        max_evaluations=MAX_EVALUATIONS,
        throw=False,
    )


def distance_from_data(made: Solve, found: Equilibrium) -> float | None:
    """The largest log difference of employment from the data's, where these are an equilibrium."""
    if not made.known:
        return None
    lives = np.asarray(found.employment) > 0
    return float(np.abs(found.state().log_employment - made.economy.reference.log_employment)[lives].max())


def _which(made: Solve, found: Equilibrium) -> Row:
    if not bool(found.converged):
        return {}
    report = stability(made.economy, found, income=made.income, count=ARNOLDI_STEPS, steps=ARNOLDI_STEPS)
    return {
        "moved": distance_from_data(made, found),
        "growing": report.unstable_directions,
        "leading": float(report.eigenvalues[0].real),
        "leading_residual": float(report.residuals[0]),
    }


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
            ("the largest", _leading_cell),
        ],
        rows,
    )


def _equilibrium_cell(row: Row) -> str:
    moved = row.get("moved")
    if moved is None:
        return ""
    return "the data's" if moved < SAME else f"another, {moved:.2g} log points from the data's"


def _leading_cell(row: Row) -> str:
    return f"{row['leading']:.3f} (± {row['leading_residual']:.0e})" if "leading" in row else ""
