"""The local inverse: an exact Newton step within each place, with the ties between places held fixed.

A spatial equilibrium has strong loops inside a place (more workers, higher productivity, more demand,
more workers) and many weak ties between places. The Jacobian with the ties held fixed is
block-diagonal; its blocks come from one Jacobian-vector product per variable of a place, for all
places at once. Sums over all places that remain in the map (a national dividend, a numeraire) would
leak into the blocks: random signs by place average them out. The inverse is taken in single precision:
it is a preconditioner, and residuals are not.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.numerics.batched_inverse import inverses

Packed = Float[Array, "place variable"]
LocalInverse = Float[Array, "place variable variable"]


def local_inverse(
    residual: Callable[[Packed], Packed],
    state: Packed,
    damping: Packed | float = 0.0,
    *,
    chunk: int = 8,
) -> LocalInverse:
    """Inverse of minus the Jacobian's diagonal blocks, with `damping` added to their diagonals.

    `residual` maps the packed state to its residual with the ties between places held fixed. A block
    that cannot be inverted becomes the identity. `chunk` columns are computed at a time.
    """
    places, variables = state.shape
    signs = jax.random.rademacher(jax.random.key(0), (places, 1), dtype=state.dtype)
    _, push = jax.linearize(residual, state)

    def column(direction):
        return signs * push(signs * direction)

    chunk = min(chunk, variables)
    # Whole chunks only: what remains would be compiled once more.
    padded = jnp.eye(variables + -variables % chunk, variables, dtype=state.dtype)
    columns = jax.lax.map(column, padded, batch_size=chunk)[:variables]
    damped = jnp.broadcast_to(damping, state.shape)[:, :, None] * jnp.eye(variables, dtype=state.dtype)
    blocks = damped - jnp.transpose(columns, (1, 2, 0))
    # Single precision is enough for a preconditioner, and takes half the time.
    inverse = inverses(blocks.astype(jnp.float32)).astype(state.dtype)
    usable = jnp.all(jnp.isfinite(inverse), axis=(1, 2), keepdims=True)
    return jax.lax.stop_gradient(jnp.where(usable, inverse, jnp.eye(variables, dtype=state.dtype)))


def apply_local(inverse: LocalInverse, residual: Packed) -> Packed:
    """Multiply each place's residual by its block."""
    return jnp.einsum("pij,pj->pi", inverse, residual)


def apply_local_transpose(inverse: LocalInverse, residual: Packed) -> Packed:
    """Multiply each place's residual by its transposed block."""
    return jnp.einsum("pji,pj->pi", inverse, residual)
