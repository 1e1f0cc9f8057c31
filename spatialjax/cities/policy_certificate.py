"""Certificates in an instrument's own parameters: first-order conditions, and curvature along free directions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from spatialjax.cities.certificate import CERTIFIED, Certificate, welfare_curvature
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import income_state
from spatialjax.cities.instruments import Instrument, rule_of
from spatialjax.cities.policy_problem import STEP, FirstOrder, PolicyPoint, PolicyProblem, scores_of
from spatialjax.typing import ByOccupation

DIRECTIONS = 4
"""Directions along which curvature is taken, as many as a certificate of transfers has: they share a program."""


def parameter_certificate(problem: PolicyProblem, point: PolicyPoint) -> Certificate:
    """The certificate of a point, in the units of the instrument's parameters."""
    conditions = point.conditions
    return Certificate(
        residual=conditions.residual,
        weights=conditions.weights,
        cosine=conditions.cosine,
        curvature=_curvature(problem, point),
        gradient=point.gradient / problem.unit,
    )


def _curvature(problem: PolicyProblem, point: PolicyPoint) -> np.ndarray:
    """Curvature of log weighted welfare along the free directions of `_directions`."""
    economy, instrument = problem.economy, problem.instrument
    parameters = jnp.asarray(point.parameters)
    scaled = _directions(problem, point)
    state = income_state(economy, point.equilibrium)
    paid = np.asarray(_paid(instrument, economy, state, parameters, jnp.asarray(scaled * problem.unit)))
    length = np.linalg.norm(scaled, axis=1)
    moves = paid > 1e-6 * STEP * problem.mean_income * length  # else it pays the same to all, which is taken back
    if not moves.any():
        return np.zeros(0)
    size = np.divide(STEP * problem.mean_income, paid, out=np.zeros_like(paid), where=moves)
    scaled = scaled * size[:, None]
    conditions, derivatives = point.conditions, point.derivatives
    weights = jnp.asarray(conditions.weights)
    along = _in_rule(instrument, economy, parameters, jnp.asarray(scaled * problem.unit))
    rule = rule_of(instrument, parameters, economy)
    curvature = welfare_curvature(economy, point.equilibrium.state(), rule, weights, derivatives.multipliers, along)
    response = scaled @ point.gradient.T
    bend = _bend(problem, derivatives.welfare, conditions)
    relative = np.einsum("dk,kl,dl->d", response, bend, response) / float(weights @ derivatives.welfare)
    return (np.asarray(curvature) + relative)[moves]


def _directions(problem: PolicyProblem, point: PolicyPoint) -> np.ndarray:
    """Directions (direction, scaled parameter): more of the policy, and noise; for a sum, more to each occupation.

    Where a smallest gain is maximised, they are made orthogonal to the gradients of the gains that are smallest.
    """
    free, size = point.conditions.free, point.parameters.size
    one_sum = point.scores.size == 1
    noise = np.random.default_rng(0).standard_normal((DIRECTIONS, size))
    raw = [point.parameters / problem.unit, *noise]
    if one_sum and point.gradient.shape[0] > 1:
        raw = [*point.gradient[:2], *raw]
    directions = np.stack(raw[:DIRECTIONS]) * free
    if one_sum:
        return directions
    rows = point.rows[point.conditions.share > 0] * free
    _, lengths, basis = np.linalg.svd(rows, full_matrices=False)
    basis = basis[lengths > CERTIFIED * point.conditions.scale]
    kept = directions - (directions @ basis.T) @ basis
    nothing = np.linalg.norm(kept, axis=1) <= 1e-9 * np.linalg.norm(directions, axis=1)
    return np.where(nothing[:, None], 0.0, kept) * free


def _bend(problem: PolicyProblem, welfare: ByOccupation, conditions: FirstOrder) -> np.ndarray:
    """Second derivatives of the scores in welfare, at their multipliers and in the units of the weights."""
    share = jnp.asarray(conditions.share)

    def value(welfare):
        return share @ scores_of(problem.objective, problem.reference, problem.economy.population, welfare)

    return np.asarray(jax.hessian(value)(welfare) / jax.grad(value)(welfare).sum())


@eqx.filter_jit
def _in_rule(instrument: Instrument, economy: Economy, parameters, directions):
    """Directions in the rule's arrays, from those in its parameters."""
    arrays = lambda p: eqx.filter(rule_of(instrument, p, economy), eqx.is_inexact_array)  # noqa: E731
    return jax.vmap(lambda direction: jax.jvp(arrays, (parameters,), (direction,))[1])(directions)


@eqx.filter_jit
def _paid(instrument: Instrument, economy: Economy, state, parameters, directions):
    """Root mean square over workers of the dollars that small steps along directions pay, the budget balanced."""
    pays = lambda p: instrument.transfer(p, state, economy)  # noqa: E731
    workers = state.employment / state.employment.sum()

    def along(direction):
        paid = jax.jvp(pays, (parameters,), (direction,))[1]
        return jnp.sqrt((workers * (paid - (workers * paid).sum()) ** 2).sum())

    return jax.vmap(along)(directions)
