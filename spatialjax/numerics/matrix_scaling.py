"""Matrix scaling (the dual of entropic transport) by a truncated Newton method.

Given a matrix K with rows of buyers, what each buyer spends and what each seller earns, find seller
potentials g such that sum_n spending[n] K[n, m] e^g[m] / sum_m' K[n, m'] e^g[m'] = earnings[m].
The dual is convex and its solution unique up to a constant (Sinkhorn and Knopp 1967); Newton's method
on it needs tens of matrix products where Sinkhorn's sweeps need hundreds. The matrix is asked for
products only. Several matrices are scaled at once, one for each column of spending and earnings.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from spatialjax.numerics.safe_math import masked_divide, masked_log

TOLERANCE = 1e-13
"""On the log of earnings over their target, where rounding lets it be reached."""
ACCEPTED = 1e-11
"""Largest error with which a scaling still counts as solved."""
SWEEPS = 10
MAX_NEWTON_STEPS = 40
MAX_STEP = 2.0
MAX_CG_STEPS = 300

Columns = Float[Array, "place column"]
ByColumn = Float[Array, " column"]


class Scaling(eqx.Module):
    """Potentials of sellers, 0 for those that earn nothing.

    By column: `error` is the largest, in logs, `worst` the seller where it is, `steps` are those of Newton's method.
    """

    potential: Float[Array, "seller ..."]
    error: Float[Array, "..."]
    worst: Int[Array, "..."]
    steps: Int[Array, "..."]


class _Matrix(eqx.Module):
    """One stored matrix."""

    matrix: Float[Array, "buyer seller"]

    def apply(self, columns):
        return self.matrix @ columns

    def apply_transpose(self, columns):
        return (columns.T @ self.matrix).T


class _Carry(NamedTuple):
    potential: Columns
    error: ByColumn
    previous_error: ByColumn
    steps: Int[Array, " column"]


def scale_matrix(
    kernel: Float[Array, "buyer seller"], spending: Float[Array, " buyer"], earnings: Float[Array, " seller"]
) -> Scaling:
    """Seller potentials that make sellers earn `earnings`; differentiable in every argument.

    Spending and earnings must have equal sums, and `kernel` must connect them.
    """
    scaling = scale_kernel(_Matrix(kernel), spending[:, None], earnings[:, None])
    return jax.tree.map(lambda leaf: leaf[..., 0], scaling)


def scale_kernel(kernel: Any, spending: Columns, earnings: Columns) -> Scaling:
    """Potentials of many matrices at once, of which products are known; see [`scale_matrix`][].

    `kernel` is a pytree with methods `apply` and `apply_transpose`, which multiply each column by its matrix, or by
    its transpose.
    """
    potential, (error, worst, steps) = _potential(kernel, spending, earnings)
    return Scaling(jnp.where(earnings > 0, potential, 0.0), error, worst, steps)


@eqx.filter_custom_jvp
def _potential(kernel, spending, earnings):
    """Potentials, and what is known of them."""
    active = earnings > 0
    log_target = masked_log(earnings)

    def error_at(potential):
        return jnp.where(active, masked_log(_earned(kernel, spending, potential, active)) - log_target, 0.0)

    def sweep(_, potential):
        return potential - error_at(potential)

    def newton(carry: _Carry) -> _Carry:
        going = unfinished(carry)
        gap = earnings - _earned(kernel, spending, carry.potential, active)
        accuracy = jnp.clip(carry.error, 1e-10, 0.1)
        step = _solve_hessian(kernel, spending, carry.potential, active, jnp.where(going, gap, 0.0), accuracy)
        step = step * jnp.minimum(1.0, MAX_STEP / jnp.maximum(_largest(step), MAX_STEP))
        # A sweep after each step keeps the iteration in the region where Newton contracts.
        potential = sweep(0, carry.potential + step)
        new = _Carry(potential, _largest(error_at(potential)), carry.error, carry.steps + 1)
        return jax.tree.map(lambda new, old: jnp.where(going, new, old), new, carry)

    def unfinished(carry: _Carry) -> Bool[Array, " column"]:
        at_rounding = (carry.error < ACCEPTED) & (carry.error > 0.5 * carry.previous_error)
        return (carry.error > TOLERANCE) & ~at_rounding & (carry.steps < MAX_NEWTON_STEPS)

    potential = jax.lax.fori_loop(0, SWEEPS, sweep, log_target)
    error = _largest(error_at(potential))
    first = _Carry(potential, error, jnp.full_like(error, jnp.inf), jnp.zeros(error.shape, int))
    last = jax.lax.while_loop(lambda carry: unfinished(carry).any(), newton, first)
    worst = jnp.argmax(jnp.abs(error_at(last.potential)), axis=0)
    return last.potential, (last.error, worst, last.steps)


@_potential.def_jvp
def _potential_jvp(primals, tangents):
    """Implicit function theorem: the Hessian times the tangent is the tangent of what is not earned."""
    kernel, spending, earnings = primals
    potential, known = _potential(*primals)
    active = earnings > 0

    def gap(kernel, spending, earnings):
        return earnings - _earned(kernel, spending, potential, active)

    _, forcing = eqx.filter_jvp(gap, primals, tangents)
    accuracy = jnp.full(earnings.shape[1], 1e-13)
    tangent = _solve_hessian(kernel, spending, potential, active, forcing, accuracy)
    return (potential, known), (tangent, jax.tree.map(lambda _: None, known))


def _largest(columns: Columns) -> ByColumn:
    return jnp.abs(columns).max(0)


def _earned(kernel, spending, potential, active):
    """What each seller earns at these potentials."""
    strength = jnp.where(active, jnp.exp(potential), 0.0)
    access = kernel.apply(strength)
    return strength * kernel.apply_transpose(masked_divide(spending, access, access > 0))


def _solve_hessian(kernel, spending, potential, active, right_hand_side, accuracy: ByColumn):
    """Solve Hessian step = right_hand_side by conjugate gradients, scaled to a unit diagonal.

    The Hessian is diag(earned) - Pi' diag(spending) Pi. Its null space, constants, is filled in, so that
    the rounding error of a sum over sellers cannot keep the iteration from converging.
    """
    strength = jnp.where(active, jnp.exp(potential), 0.0)
    access = kernel.apply(strength)
    earned = strength * kernel.apply_transpose(masked_divide(spending, access, access > 0))
    root = jnp.sqrt(jnp.where(active, earned, 0.0))
    scale = masked_divide(jnp.ones_like(root), root, active)
    constant = root / jnp.linalg.norm(root, axis=0)
    weight = masked_divide(spending, access**2, access > 0)

    def product(v):
        flows = strength * kernel.apply_transpose(weight * kernel.apply(strength * scale * v))
        return v - scale * flows + constant * _dot(constant, v)

    scaled = scale * right_hand_side
    scaled = scaled - constant * _dot(constant, scaled)

    # The explicit linear solve lets JAX transpose it: cg alone makes its start depend on the right-hand side.
    return scale * jax.lax.custom_linear_solve(
        product, scaled, lambda product, b: _conjugate_gradients(product, b, accuracy), symmetric=True
    )


class _Descent(NamedTuple):
    solution: Columns
    residual: Columns
    direction: Columns
    size: ByColumn
    steps: Int[Array, ""]


def _conjugate_gradients(product, right_hand_side: Columns, accuracy: ByColumn) -> Columns:
    """Columns of a symmetric positive system, each to its accuracy relative to its right-hand side."""
    size = _dot(right_hand_side, right_hand_side)
    target = accuracy**2 * size

    def going(descent: _Descent):
        return (descent.size > target).any() & (descent.steps < MAX_CG_STEPS)

    def step(descent: _Descent) -> _Descent:
        unfinished = descent.size > target
        image = product(descent.direction)
        length = masked_divide(descent.size, _dot(descent.direction, image), unfinished)
        residual = descent.residual - length * image
        size = jnp.where(unfinished, _dot(residual, residual), descent.size)
        turned = residual + masked_divide(size, descent.size, unfinished) * descent.direction
        solution = descent.solution + length * descent.direction
        direction = jnp.where(unfinished, turned, descent.direction)
        return _Descent(solution, residual, direction, size, descent.steps + 1)

    start = _Descent(jnp.zeros_like(right_hand_side), right_hand_side, right_hand_side, size, jnp.zeros((), int))
    return jax.lax.while_loop(going, step, start).solution


def _dot(left: Columns, right: Columns) -> ByColumn:
    return (left * right).sum(0)
