"""Inverses of many small matrices at once, without LAPACK.

JAX's LAPACK kernels for batches hand parts of a batch to the pool of threads that they run on, and wait for them
(jaxlib 0.10). Where a program has as many such calls at the same time as the pool has threads, all wait for ever:
on two cores a second derivative of a solve did. Elimination written in JAX cannot, and takes about as long.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Matrices = Float[Array, "batch row column"]


def inverse_and_sign(matrices: Matrices) -> tuple[Matrices, Float[Array, " batch"]]:
    """Inverses, and the signs of determinants, by Gauss-Jordan elimination with partial pivoting.

    A singular matrix has sign 0 or an inverse that is not finite. Differentiable.
    """
    batch, size, _ = matrices.shape
    positions = jnp.arange(size)

    def eliminate(k, carry):
        """Swap the best remaining row into place k and clear column k; the inverse grows in its place."""
        work, swaps, sign = carry
        column, top = _take(work, k, 2), _take(work, k, 1)
        best = jnp.argmax(jnp.where(positions >= k, jnp.abs(column), -1.0), axis=1)
        pivot = _at(column, best)
        is_k, is_best = positions == k, positions == best[:, None]
        pivot_row = jnp.take_along_axis(work, best[:, None, None], axis=1)[:, 0] / pivot[:, None]
        pivot_row = jnp.where(is_k, 1 / pivot[:, None], pivot_row)
        factors = jnp.where(is_k, 0.0, jnp.where(is_best, _take(column, k, 1)[:, None], column))
        swapped = jnp.where(is_best[:, :, None], top[:, None, :], work)
        cleared = jnp.where(is_k, 0.0, swapped) - factors[:, :, None] * pivot_row[:, None, :]
        work = jnp.where(is_k[:, None], pivot_row[:, None, :], cleared)
        return work, swaps.at[:, k].set(best), sign * jnp.sign(pivot) * jnp.where(best == k, 1.0, -1.0)

    def undo(done, order):
        """Rows were swapped, so columns of the inverse are, the last swap first."""
        k = size - 1 - done
        other = _take(swaps, k, 1)
        here, there = _take(order, k, 1), _at(order, other)
        order = jnp.where(positions == other[:, None], here[:, None], order)
        return jnp.where(positions == k, there[:, None], order)

    start = matrices, jnp.zeros((batch, size), int), jnp.ones(batch, matrices.dtype)
    work, swaps, sign = jax.lax.fori_loop(0, size, eliminate, start)
    order = jax.lax.fori_loop(0, size, undo, jnp.broadcast_to(positions, (batch, size)))
    return jnp.take_along_axis(work, order[:, None, :], axis=2), sign


def _take(array, index, axis: int):
    """One position of an axis, the same for all."""
    return jax.lax.dynamic_index_in_dim(array, index, axis, keepdims=False)


def _at(rows: Float[Array, "batch column"], index) -> Float[Array, " batch"]:
    """One position of each row."""
    return jnp.take_along_axis(rows, index[:, None], axis=1)[:, 0]
