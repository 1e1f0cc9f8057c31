"""Estimated externalities carried to what the planner does with them: standard errors of gains, transfers and sizes.

Two ways, side by side: the delta method, by derivatives through inversion and the optimum, and draws of the estimates,
each with an optimum of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.typing import ArrayLike

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.objectives import Objective, WelfareReference
from spatialjax.cities.optimal_policy import OptimalPolicy
from spatialjax.cities.planner import Optimum, optimum
from spatialjax.cities.policy_effect import reference_equilibrium, refuse_tracers, solve_under
from spatialjax.errors import ModelError
from spatialjax.estimation.spillovers import SpilloverEstimates
from spatialjax.estimation.uncertainty_estimates import estimated_parameters
from spatialjax.estimation.uncertainty_outcomes import (
    QUANTITIES,
    Family,
    ModuleFamily,
    Outcomes,
    outcomes_and_derivatives,
    planner_outcomes,
    with_spillover,
)
from spatialjax.estimation.uncertainty_result import Draw, Propagation
from spatialjax.numerics.implicit import SINGULAR

ASYMMETRY = 1e-8
"""Of a covariance, relative to its largest element: what rounding may leave."""


def propagate(
    economy: Economy,
    estimate: Any,
    covariance: ArrayLike | pd.DataFrame | None = None,
    *,
    key: jax.Array,
    family: Family | None = None,
    equilibrium: Equilibrium | None = None,
    draws: int | Sequence[int] = 50,
    quantities: Sequence[str] = tuple(QUANTITIES),
    objective: Objective | str = "equal-gains",
    phase_in: bool = True,
    tolerance: float = 1e-11,
    max_evaluations: int = 2000,
    progress: Callable[[Draw], None] | None = None,
) -> Propagation:
    """Standard errors of the planner's optimum that follow from those of the externalities (CH sections 4.6 and 6).

    The data stay as they are: at each value of the parameters the economy is inverted anew, which changes its exogenous
    productivity alone (CH Lemma 1), so that the equilibrium, and what gains are relative to, are those of the data.

    - The delta method: sqrt(diag(J V J')), with J the derivatives of outcomes in the parameters, implicit through
      inversion and the optimum.
    - Draws from the normal distribution with mean `estimate` and covariance V. Each has an optimum of its own,
      certified; one that has none is kept with the reason. Draw i depends on `key` and i alone.

    **Arguments:**

    - `economy`: inverted from the data, under any externalities.
    - `estimate`: what [`spillovers`][] returned; or externalities, a module such as [`OccupationSpillover`][] or
      [`IndustrySpillover`][] whose floating-point numbers, in the order of its leaves, are the parameters; or, with
      `family`, a vector.
    - `covariance`: of the parameters (parameter, parameter); by default that of the estimates, zero between
      regressions. Labels of pandas objects are kept, and must be the same in both.
    - `family`: from a vector of parameters to externalities, for parameters that are not the numbers of a module, such
      as elasticities by group of sectors: an equinox module, or a function, traceable.
    - `equilibrium`: of the economy; by default `solve(economy)`.
    - `draws`: how many, or which: `range(50, 100)` are those that follow the first 50 (see [`Propagation.joined`][]).
    - `quantities`: names of `QUANTITIES` to report.
    - `objective`, `tolerance`, `max_evaluations`: as for [`optimum`][].
    - `phase_in`: whether the optimum of a draw that is not found at once is looked for along a path, as [`optimum`][]
      does. That takes minutes for an economy of hundreds of cities; without it such a draw counts as one whose optimum
      was not found.
    - `progress`: called with each [`Draw`][].

    **Raises:** `ConvergenceError` where there is no certified optimum at the estimate; `ModelError` for a covariance
    that is none, or labels that differ.
    """
    refuse_tracers(economy)
    parameters = _Parameters.of(economy, estimate, covariance, family)
    _check_names(quantities)
    equilibrium = reference_equilibrium(economy, equilibrium, tolerance, max_evaluations)
    study = _Study(economy, equilibrium, parameters.family, objective, phase_in, tolerance, max_evaluations)
    values, derivatives = study.delta(parameters.estimate)
    root = _square_root(parameters.covariance)
    found = []
    for number in range(draws) if isinstance(draws, int) else draws:
        point = parameters.estimate + root @ _standard_normal(key, number, len(root))
        found.append(study.draw(number, point, quantities))
        if progress is not None:
            progress(found[-1])
    return Propagation(
        parameters=parameters.names,
        estimate=parameters.estimate,
        covariance=parameters.covariance,
        values={name: np.asarray(values[name]) for name in quantities},
        derivatives={name: np.asarray(derivatives[name]) for name in quantities},
        draws=tuple(found),
        labels=economy.labels,
    )


class _Parameters(NamedTuple):
    """Estimates, their covariance, and what they mean."""

    names: tuple[str, ...]
    estimate: np.ndarray
    covariance: np.ndarray
    family: Family

    @classmethod
    def of(cls, economy: Economy, estimate: Any, covariance: Any, family: Family | None) -> "_Parameters":
        if isinstance(estimate, SpilloverEstimates) and family is None:
            estimate, of_regressions, family = estimated_parameters(estimate)
            covariance = of_regressions if covariance is None else covariance
        if family is not None:
            vector = np.asarray(estimate, dtype=float)
            labels = estimate.index if isinstance(estimate, pd.Series) else range(vector.size)
            names = tuple(str(label) for label in labels)
        elif isinstance(estimate, eqx.Module):
            family = ModuleFamily(estimate)
            vector, names = np.asarray(family.parameters()), family.names(economy.labels)
        else:
            raise ModelError(
                "a vector of estimates needs family=, a function from it to externalities; or give the externalities "
                "themselves, such as OccupationSpillover(share, size)"
            )
        return cls(names, vector, _checked_covariance(covariance, names, estimate), family)


def _checked_covariance(covariance: Any, names: tuple[str, ...], estimate: Any) -> np.ndarray:
    """A covariance as an array, refused if it is none or is of other parameters."""
    if covariance is None:
        raise ModelError("give the covariance of the estimates: only what spillovers() returns has one of its own")
    matrix = np.asarray(covariance, dtype=float)
    size = len(names)
    if matrix.shape != (size, size) or not np.isfinite(matrix).all():
        raise ModelError(
            f"the covariance must be finite, with a row and a column for each of {size} parameters "
            f"({', '.join(names[:4])}{', ...' if size > 4 else ''}), found shape {matrix.shape}"
        )
    if isinstance(covariance, pd.DataFrame) and isinstance(estimate, pd.Series):
        for labels in (covariance.index, covariance.columns):
            if tuple(map(str, labels)) != names:
                raise ModelError(
                    f"the covariance is labelled {', '.join(map(str, labels))}, the estimates {', '.join(names)}: give "
                    "both in the same order"
                )
    scale = np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > ASYMMETRY * scale:
        raise ModelError("the covariance is not symmetric")
    if (smallest := np.linalg.eigvalsh(matrix).min()) < -ASYMMETRY * scale:
        raise ModelError(f"the covariance has a negative eigenvalue, {smallest:.2g}: it is none")
    return matrix


def _check_names(quantities: Sequence[str]) -> None:
    if unknown := sorted(set(quantities) - set(QUANTITIES)):
        raise ModelError(f"quantities name {unknown[0]!r}, but outcomes are {', '.join(QUANTITIES)}")


def _square_root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root, which exists for singular covariances too."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _standard_normal(key: jax.Array, number: int, size: int) -> np.ndarray:
    return np.asarray(jax.random.normal(jax.random.fold_in(key, number), (size,), dtype=float))


class _Study(NamedTuple):
    """What draws have in common."""

    economy: Economy
    equilibrium: Equilibrium
    family: Family
    objective: Objective | str
    phase_in: bool
    tolerance: float
    max_evaluations: int

    def at(self, parameters: np.ndarray) -> Economy:
        """The economy that the data are an equilibrium of at these parameters."""
        return with_spillover(self.economy, self.family(jnp.asarray(parameters)), self.equilibrium.employment)

    def optimum(self, parameters: np.ndarray, *, throw: bool) -> Optimum:
        """Its optimum."""
        return optimum(
            self.at(parameters),
            self.equilibrium,
            objective=self.objective,
            throw=throw,
            tolerance=self.tolerance,
            max_evaluations=self.max_evaluations,
        )

    def delta(self, parameters: np.ndarray) -> tuple[Outcomes, Outcomes]:
        """Outcomes at parameters that must have an optimum, and their derivatives."""
        best = self.optimum(parameters, throw=True)
        assert isinstance(best.policy, OptimalPolicy)
        state = best.equilibrium.state()
        return outcomes_and_derivatives(
            jnp.asarray(parameters), self.family, self.economy, best.policy, self.equilibrium, state
        )

    def draw(self, number: int, parameters: np.ndarray, quantities: Sequence[str]) -> Draw:
        """A draw's optimum, or why it has none."""
        if not self.phase_in and (refusal := self._not_at_once(parameters)):
            return Draw(number, parameters, None, refusal)
        try:
            found = self.optimum(parameters, throw=False)
        except RuntimeError as error:
            if SINGULAR not in str(error):
                raise
            return Draw(number, parameters, None, SINGULAR)
        if not found.found:
            return Draw(number, parameters, None, found.outcome)
        assert isinstance(found.policy, OptimalPolicy)
        outcomes = planner_outcomes(self.at(parameters), found.policy, found.equilibrium, self.equilibrium)
        return Draw(number, parameters, {name: np.asarray(outcomes[name]) for name in quantities}, found.outcome)

    def _not_at_once(self, parameters: np.ndarray) -> str | None:
        """Why the whole policy, tried from the equilibrium, leads to no allocation, if it does not."""
        economy, start = self.at(parameters), self.equilibrium.state()
        policy = OptimalPolicy(WelfareReference.of(economy, self.equilibrium))
        found = solve_under(economy, policy, start, self.tolerance, self.max_evaluations)
        return None if bool(found.converged) else f"not found at once ({found.outcome}), and not phased in"
