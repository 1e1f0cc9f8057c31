"""Stability of an equilibrium under gradual migration, and the search for others."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Key

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, solve
from spatialjax.cities.income import IncomeRule, LaissezFaire
from spatialjax.cities.location import FixedEmployment
from spatialjax.cities.market_clearing import System, clear_markets, find_equilibrium
from spatialjax.cities.state import State
from spatialjax.errors import ModelError
from spatialjax.numerics.arnoldi import Eigenvalues, arnoldi, eigenvalues
from spatialjax.typing import CityOccupation


class Stability(eqx.Module):
    """Leading eigenvalues of the reduced map, from employment to the employment that workers choose.

    Below 1 in real part, the equilibrium is stable under gradual migration: workers who move towards
    better cities, with all other markets cleared, return to it. `residuals` are the residual norms of the
    approximate eigenpairs: small where an eigenvalue is found well.
    """

    eigenvalues: np.ndarray
    residuals: np.ndarray

    @property
    def stable(self) -> bool:
        """Whether every eigenvalue has a real part below 1."""
        return bool((self.eigenvalues.real < 1).all())

    @property
    def unstable_directions(self) -> int:
        """How many of the eigenvalues computed have a real part above 1, by more than their residual norm."""
        return int((self.eigenvalues.real - 1 > self.residuals).sum())


def stability(
    economy: Economy,
    equilibrium: Equilibrium,
    *,
    income: IncomeRule = LaissezFaire(),
    count: int = 4,
    steps: int = 30,
) -> Stability:
    """Eigenvalues of largest real part of the reduced map at an equilibrium.

    The reduced map takes employment to wages, prices and expenditure solved given it, and these to the
    employment that workers would choose. Its derivative is implicit; the eigenvalues come from `steps`
    Arnoldi steps of Jacobian-vector products. Workers choose under `economy.mobility`: under [`PerfectMobility`][] the
    map is log L + pace (u - mean u), whose eigenvalues are above 1 exactly where a place that gains workers gains
    utility; where they stay ([`FixedEmployment`][]) it does not depend on employment.
    """
    _require_converged(equilibrium)
    lives = equilibrium.employment > 0
    steps = min(steps, int(lives.sum()))
    found: Eigenvalues = eigenvalues(_reduced_hessenberg(economy, equilibrium.state(), income, steps), count)
    return Stability(found.values, found.residuals)


@eqx.filter_jit
def _reduced_hessenberg(economy: Economy, state: State, income: IncomeRule, steps: int):
    def choose(log_employment: CityOccupation) -> CityOccupation:
        held = System.of(economy, income, FixedEmployment(log_employment))
        start = eqx.tree_at(lambda s: s.log_employment, state, log_employment)
        root = find_equilibrium(held, start, tolerance=1e-9, max_evaluations=500)
        free = eqx.tree_at(lambda s: s.mobility, held, economy.mobility)
        return clear_markets(root.state, free).desired_log_employment

    shape = state.log_employment.shape
    _, push = jax.linearize(choose, state.log_employment)
    lives = economy.amenity > 0
    start = jnp.where(lives, jax.random.normal(jax.random.key(0), shape, state.log_employment.dtype), 0.0)
    # Migration conserves workers: after one application the direction lies where the map acts.
    start = push(start).ravel()
    return arnoldi(lambda v: push(v.reshape(shape)).ravel(), start, steps)


class Equilibria(NamedTuple):
    """What a search from several starts found.

    `equilibria`: the distinct ones, in the order found. `found_from`: for each start the position of its
    equilibrium, or -1 where the solve ended without one, for the reason in `reasons`.
    """

    equilibria: list[Equilibrium]
    found_from: list[int]
    reasons: list[str]


def find_equilibria(
    economy: Economy,
    *,
    key: Key[Array, ""],
    starts: int = 8,
    spread: float = 1.0,
    income: IncomeRule = LaissezFaire(),
    tolerance: float = 1e-10,
    max_evaluations: int = 2000,
    same: float = 1e-4,
) -> Equilibria:
    """Solve from several starts, and say how many distinct equilibria there are.

    **Arguments:**

    - `starts`: the first is `economy.reference`; in the others log employment is off it by normal draws
      of standard deviation `spread`, redrawn until every two starts differ by a log point somewhere.
    - `same`: two equilibria are one if log employment differs by less than this everywhere.
    """
    found: list[Equilibrium] = []
    found_from, reasons = [], []
    for start in _scattered_starts(economy, key, starts, spread):
        equilibrium = solve(
            economy, income=income, initial=start, tolerance=tolerance, max_evaluations=max_evaluations, throw=False
        )
        reasons.append(equilibrium.outcome)
        if not bool(equilibrium.converged):
            found_from.append(-1)
            continue
        distances = [_log_distance(equilibrium.state(), other.state()) for other in found]
        nearest = int(np.argmin(distances)) if distances else -1
        if nearest < 0 or distances[nearest] > same:
            found.append(equilibrium)
            nearest = len(found) - 1
        found_from.append(nearest)
    return Equilibria(found, found_from, reasons)


def _scattered_starts(economy: Economy, key: Key[Array, ""], count: int, spread: float) -> Sequence[State]:
    starts = [economy.reference]
    lives: Bool[Array, "city occupation"] = economy.amenity > 0
    if count > 1 and not spread > 0:
        raise ModelError(f"spread must be positive to tell starts apart, found {spread}")
    for draw in range(1000 * count):
        if len(starts) == count:
            break
        noise = jax.random.normal(jax.random.fold_in(key, draw), lives.shape, economy.amenity.dtype)
        log_employment = economy.reference.log_employment + spread * noise
        total = jnp.where(lives, jnp.exp(log_employment), 0.0).sum(0)
        log_employment = jnp.where(lives, log_employment + jnp.log(economy.population / total), 0.0)
        start = eqx.tree_at(lambda s: s.log_employment, economy.reference, log_employment)
        if all(_log_distance(start, other) >= 1 for other in starts):
            starts.append(start)
    if len(starts) < count:
        raise ModelError(f"spread={spread} is too small for {count} starts that are a log point apart")
    return starts


def _log_distance(one: State, other: State) -> float:
    return float(jnp.max(jnp.abs(one.log_employment - other.log_employment)))


def _require_converged(equilibrium: Equilibrium) -> None:
    if not bool(equilibrium.converged):
        raise ModelError("stability is defined at an equilibrium only, and this solve did not converge")
