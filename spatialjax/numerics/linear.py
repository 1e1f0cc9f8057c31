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


class _Cycle(NamedTuple):
    solution: Float[Array, " n"]
    residual: Float[Array, " n"]
    directions: Float[Array, "memory n"]
    images: Float[Array, "memory n"]
    taken: Int[Array, ""]


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

    def step(cycle: _Cycle) -> _Cycle:
        direction = preconditioner(cycle.residual)
        image = operator(direction)
        for _ in range(2):  # once is not enough when directions are nearly parallel
            overlap = cycle.images @ image
            image = image - overlap @ cycle.images
            direction = direction - overlap @ cycle.directions
        norm = jnp.linalg.norm(image)
        scale = jnp.where(norm > 0, 1 / jnp.where(norm > 0, norm, 1.0), 0.0)
        direction, image = direction * scale, image * scale
        length = image @ cycle.residual
        return _Cycle(
            cycle.solution + length * direction,
            cycle.residual - length * image,
            cycle.directions.at[cycle.taken].set(direction),
            cycle.images.at[cycle.taken].set(image),
            cycle.taken + 1,
        )

    def allowed(products):
        return True if max_products is None else products < max_products

    def run_cycle(carry):
        solution, residual, cycles, products = carry
        empty = jnp.zeros((memory, residual.size), residual.dtype)
        cycle = jax.lax.while_loop(
            lambda c: (c.taken < memory) & allowed(products + c.taken) & (jnp.linalg.norm(c.residual) > target),
            step,
            _Cycle(solution, residual, empty, empty, jnp.zeros_like(products)),
        )
        fresh_residual = right_hand_side - operator(cycle.solution)
        return cycle.solution, fresh_residual, cycles + 1, products + cycle.taken + 1

    zero = jnp.zeros((), int)
    solution, residual, _, products = jax.lax.while_loop(
        lambda carry: (carry[2] < max_cycles) & allowed(carry[3]) & (jnp.linalg.norm(carry[1]) > 2 * target),
        run_cycle,
        (jnp.zeros_like(right_hand_side), right_hand_side, zero, zero),
    )
    norm = jnp.linalg.norm(residual)
    scale = jnp.where(target > 0, target / tolerance, 1.0)
    return LinearSolution(solution, norm / scale, products, norm <= 2 * target)
