"""Inverses of many small matrices, one after another.

JAX's LAPACK kernels for batches hand parts of a batch to the pool of threads that they run on, and wait for them
(jaxlib 0.10). Where a program has as many such calls at the same time as the pool has threads, all wait for ever:
on two cores a second derivative of a solve did. A call for one matrix does its work itself. On CPUs, matrices of the
size of a place's block are inverted one by one in the same time; accelerators take the batch.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Matrices = Float[Array, "batch row column"]


@jax.custom_jvp
def inverses(matrices: Matrices) -> Matrices:
    """The inverse of each matrix; numbers that are not finite where it is singular. Differentiable."""
    return _for_each(jnp.linalg.inv, matrices)


@inverses.defjvp
def _inverses_jvp(primals, tangents):
    inverse = inverses(*primals)
    return inverse, -inverse @ tangents[0] @ inverse


def determinant_signs(matrices: Matrices) -> Float[Array, " batch"]:
    """The sign of each determinant: 1, -1, or 0 where it is singular."""
    return _for_each(lambda matrix: jnp.linalg.slogdet(matrix)[0], matrices)


def _for_each(function: Callable[[Array], Array], matrices: Matrices) -> Array:
    def one_by_one(matrices):
        # A batch of batches, as under vmap, is gone through matrix by matrix too.
        return jax.lax.map(jax.custom_batching.sequential_vmap(function), matrices)

    return jax.lax.platform_dependent(matrices, cpu=one_by_one, default=jax.vmap(function))
