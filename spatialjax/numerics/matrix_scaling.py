"""Matrix scaling (the dual of entropic transport) by a truncated Newton method.

Given a matrix K with rows of buyers, what each buyer spends and what each seller earns, find seller
potentials g such that sum_n spending[n] K[n, m] e^g[m] / sum_m' K[n, m'] e^g[m'] = earnings[m].
The dual is convex and its solution unique up to a constant (Sinkhorn and Knopp 1967); Newton's method
on it needs tens of matrix products where Sinkhorn's sweeps need hundreds.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from spatialjax.numerics.safe_math import largest, masked_divide, masked_log

TOLERANCE = 1e-13
"""On the log of earnings over their target, where rounding lets it be reached."""
ACCEPTED = 1e-11
"""Largest error with which a scaling still counts as solved."""
SWEEPS = 10
MAX_NEWTON_STEPS = 40
MAX_STEP = 2.0
MAX_CG_STEPS = 300


class Scaling(eqx.Module):
    """Potentials of sellers, 0 for those that earn nothing.

    `error` is the largest, in logs, and `worst` the seller where it is; `steps` are those of Newton's method.
    """

    potential: Float[Array, " seller"]
    error: Float[Array, ""]
    worst: Int[Array, ""]
    steps: Int[Array, ""]


class _Carry(NamedTuple):
    potential: Float[Array, " seller"]
    error: Float[Array, ""]
    previous_error: Float[Array, ""]
    steps: Int[Array, ""]


def scale_matrix(
    kernel: Float[Array, "buyer seller"], spending: Float[Array, " buyer"], earnings: Float[Array, " seller"]
) -> Scaling:
    """Seller potentials that make sellers earn `earnings`; differentiable in every argument.

    Spending and earnings must have equal sums, and `kernel` must connect them.
    """
    active = earnings > 0
    potential, (error, worst, steps) = _potential(kernel, spending, earnings)
    return Scaling(jnp.where(active, potential, 0.0), error, worst, steps)


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
        gap = earnings - _earned(kernel, spending, carry.potential, active)
        accuracy = jnp.clip(carry.error, 1e-10, 0.1)
        step = _solve_hessian(kernel, spending, carry.potential, active, gap, accuracy)
        step = step * jnp.minimum(1.0, MAX_STEP / jnp.maximum(largest(step), MAX_STEP))
        potential = carry.potential + step
        # A sweep after each step keeps the iteration in the region where Newton contracts.
        potential = sweep(0, potential)
        return _Carry(potential, largest(error_at(potential)), carry.error, carry.steps + 1)

    def unfinished(carry: _Carry) -> Bool[Array, ""]:
        at_rounding = (carry.error < ACCEPTED) & (carry.error > 0.5 * carry.previous_error)
        return (carry.error > TOLERANCE) & ~at_rounding & (carry.steps < MAX_NEWTON_STEPS)

    potential = jax.lax.fori_loop(0, SWEEPS, sweep, log_target)
    error = largest(error_at(potential))
    first = _Carry(potential, error, jnp.full_like(error, jnp.inf), jnp.zeros((), int))
    last = jax.lax.while_loop(unfinished, newton, first)
    worst = jnp.argmax(jnp.abs(error_at(last.potential)))
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
    tangent = _solve_hessian(kernel, spending, potential, active, forcing, 1e-13)
    return (potential, known), (tangent, jax.tree.map(lambda _: None, known))


def _earned(kernel, spending, potential, active):
    """What each seller earns at these potentials."""
    strength = jnp.where(active, jnp.exp(potential), 0.0)
    access = kernel @ strength
    return strength * (masked_divide(spending, access, access > 0) @ kernel)


def _solve_hessian(kernel, spending, potential, active, right_hand_side, accuracy):
    """Solve Hessian step = right_hand_side by conjugate gradients, scaled to a unit diagonal.

    The Hessian is diag(earned) - Pi' diag(spending) Pi. Its null space, constants, is filled in, so that
    the rounding error of a sum over sellers cannot keep the iteration from converging.
    """
    strength = jnp.where(active, jnp.exp(potential), 0.0)
    access = kernel @ strength
    earned = strength * (masked_divide(spending, access, access > 0) @ kernel)
    root = jnp.sqrt(jnp.where(active, earned, 0.0))
    scale = masked_divide(jnp.ones_like(root), root, active)
    constant = root / jnp.linalg.norm(root)
    weight = masked_divide(spending, access**2, access > 0)

    def product(v):
        flows = strength * ((weight * (kernel @ (strength * scale * v))) @ kernel)
        return v - scale * flows + constant * (constant @ v)

    scaled = scale * right_hand_side
    scaled = scaled - constant * (constant @ scaled)

    def conjugate_gradients(matvec, b):
        return jax.scipy.sparse.linalg.cg(matvec, b, tol=accuracy, maxiter=MAX_CG_STEPS)[0]

    # The explicit linear solve lets JAX transpose it: cg alone makes its start depend on the right-hand side.
    return scale * jax.lax.custom_linear_solve(product, scaled, conjugate_gradients, symmetric=True)
