"""Matrix-free linear systems: generalised conjugate residuals with restarts.

The method of Eisenstat, Elman and Schultz (1983) spans the same space as GMRES, but its recurrence
carries the residual itself, so that convergence is judged on the system's own residual, whatever
the preconditioner.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Operator = Callable[[Float[Array, " n"]], Float[Array, " n"]]


class LinearSolution(NamedTuple):
    """Solution of a linear system, and whether it is one."""

    value: Float[Array, " n"]
    relative_residual: Float[Array, ""]
    products: Int[Array, ""]
    converged: Bool[Array, ""]


class _Descent(NamedTuple):
    """`taken` directions of this cycle are known; `fresh`: the residual was just computed from the solution itself."""

    solution: Float[Array, " n"]
    residual: Float[Array, " n"]
    directions: Float[Array, "memory n"]
    images: Float[Array, "memory n"]
    taken: Int[Array, ""]
    fresh: Bool[Array, ""]
    cycles: Int[Array, ""]
    products: Int[Array, ""]


def solve_linear(
    operator: Operator,
    right_hand_side: Float[Array, " n"],
    preconditioner: Operator,
    *,
    tolerance: Float[Array, ""] | float = 1e-11,
    memory: int = 40,
    max_cycles: int = 25,
    max_products: Int[Array, ""] | int | None = None,
) -> LinearSolution:
    """Solve operator(x) = right_hand_side.

    **Arguments:**

    - `operator`: the matrix-vector product.
    - `preconditioner`: an approximate inverse of `operator`.
    - `tolerance`: on the two-norm of the residual, relative to that of the right-hand side.
    - `memory`: directions kept before a restart. `max_cycles`: restarts at most. `max_products`: products with the
      operator at most, but for one at the end of each cycle.

    **Returns:** a [`LinearSolution`][]; its residual is computed afresh at the end of each cycle.
    """
    target = tolerance * jnp.linalg.norm(right_hand_side)

    def allowed(descent: _Descent):
        return True if max_products is None else descent.products < max_products

    def unfinished(descent: _Descent):
        goes_on = (descent.cycles < max_cycles) & allowed(descent) & (jnp.linalg.norm(descent.residual) > 2 * target)
        return ~descent.fresh | goes_on

    def step(descent: _Descent) -> _Descent:
        # One product serves both a new direction and, at the end of a cycle, the residual of the solution: a program
        # with one copy of the operator compiles faster.
        goes_on = (descent.taken < memory) & allowed(descent) & (jnp.linalg.norm(descent.residual) > target)
        direction = jnp.where(goes_on, preconditioner(descent.residual), descent.solution)
        image = operator(direction)
        fresh_residual = right_hand_side - image
        known = jnp.arange(memory) < descent.taken
        for _ in range(2):  # once is not enough when directions are nearly parallel
            overlap = jnp.where(known, descent.images @ image, 0.0)
            image = image - overlap @ descent.images
            direction = direction - overlap @ descent.directions
        norm = jnp.linalg.norm(image)
        scale = jnp.where(norm > 0, 1 / jnp.where(norm > 0, norm, 1.0), 0.0)
        direction, image = direction * scale, image * scale
        length = jnp.where(goes_on, image @ descent.residual, 0.0)
        return _Descent(
            descent.solution + length * direction,
            jnp.where(goes_on, descent.residual - length * image, fresh_residual),
            descent.directions.at[descent.taken].set(direction, mode="drop"),
            descent.images.at[descent.taken].set(image, mode="drop"),
            jnp.where(goes_on, descent.taken + 1, 0),
            ~goes_on,
            descent.cycles + ~goes_on,
            descent.products + 1,
        )

    zero = jnp.zeros((), int)
    nothing = jnp.zeros((memory, right_hand_side.size), right_hand_side.dtype)
    at_zero = _Descent(
        jnp.zeros_like(right_hand_side), right_hand_side, nothing, nothing, zero, jnp.ones((), bool), zero, zero
    )
    found = jax.lax.while_loop(unfinished, step, at_zero)
    norm = jnp.linalg.norm(found.residual)
    scale = jnp.where(target > 0, target / tolerance, 1.0)
    return LinearSolution(found.solution, norm / scale, found.products, norm <= 2 * target)
