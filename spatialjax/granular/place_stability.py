"""Stability of an equilibrium of places: whether people and firms that move return to it."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from spatialjax.granular.places import Places, PlacesEquilibrium, PlacesState, System, correction_of, localise, residual
from spatialjax.granular.policies import ByPlace, PlacePolicy, Policy
from spatialjax.granular.regional_production import Correction
from spatialjax.numerics.arnoldi import arnoldi, eigenvalues
from spatialjax.numerics.linear import solve_linear

STEPS = 20


class PlacesStability(NamedTuple):
    """Stability under gradual entry and gradual migration.

    - `entry_slope`: d log profit / d log m at given population, by place: negative where entry stops by itself (the
      denominator of KO Proposition 1 is positive).
    - `eigenvalues`: of largest real part, of the map from population to the population that wages attract once firms
      have entered. Below 1, people who move return. `residuals`: of the approximate eigenpairs.
    """

    entry_slope: np.ndarray
    eigenvalues: np.ndarray
    residuals: np.ndarray

    @property
    def stable(self) -> bool:
        """Whether firms and people return."""
        return bool((self.entry_slope < 0).all() and (self.eigenvalues.real < 1).all())

    def describe(self, labels: tuple[str, ...]) -> str:
        """Stable, or what is not, in words."""
        leading = float(self.eigenvalues[0].real)
        worst = int(self.entry_slope.argmax())
        if self.entry_slope[worst] >= 0:
            return f"unstable: in {labels[worst]} more firms make entry more profitable"
        if leading >= 1:
            return f"unstable: people who move attract more (leading eigenvalue {leading:.3f})"
        return f"stable (leading eigenvalue {leading:.3f})"


def stability(
    places: Places, equilibrium: PlacesEquilibrium, policy: PlacePolicy | None = None, *, count: int = 4
) -> PlacesStability:
    """Stability of an equilibrium under a policy, none by default (KO Proposition 1, "in any stable equilibrium")."""
    policy = Policy() if policy is None else policy
    steps = min(STEPS, places.productivity.shape[0])
    slope, hessenberg = _linearised(correction_of(places), places, equilibrium.state(), policy, steps)
    found = eigenvalues(hessenberg, count)
    return PlacesStability(np.asarray(slope), found.values, found.residuals)


@eqx.filter_jit
def _linearised(correction: Correction | None, places: Places, state: PlacesState, policy: PlacePolicy, steps: int):
    system = System(places, policy, correction, None)
    local = localise(state, system)
    ones, zeros = jnp.ones_like(state.log_firms), jnp.zeros_like(state.log_firms)
    by_firms = jax.jvp(lambda s: residual(s, local), (state,), (PlacesState(ones, zeros),))[1]
    slope = by_firms.log_firms
    _, push = jax.linearize(lambda s: residual(s, system), state)

    def reduced(direction: ByPlace) -> ByPlace:
        """Migration desired, with firms following people."""
        forcing = push(PlacesState(zeros, direction)).log_firms
        firms = solve_linear(
            lambda v: -push(PlacesState(v, zeros)).log_firms, forcing, lambda v: -v / slope, memory=10
        ).value
        return direction + push(PlacesState(firms, direction)).log_population

    start = reduced(jax.random.normal(jax.random.key(0), state.log_firms.shape))
    return slope, arnoldi(reduced, start, steps)
