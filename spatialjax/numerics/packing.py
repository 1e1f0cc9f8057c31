"""A state whose variables belong to places, as one matrix (place, variable)."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

State = PyTree[Float[Array, "place ..."], "S"]


def pack(state: State) -> Float[Array, "place variable"]:
    """Stack every leaf (place,) or (place, ...) of a state side by side."""
    leaves = jax.tree.leaves(state)
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)


def unpack(packed: Float[Array, "place variable"], like: State) -> Any:
    """Inverse of [`pack`][] for a state of the structure and shapes of `like`."""
    leaves, structure = jax.tree.flatten(like)
    pieces, start = [], 0
    for leaf in leaves:
        width = leaf[0].size
        pieces.append(packed[:, start : start + width].reshape(leaf.shape))
        start += width
    return jax.tree.unflatten(structure, pieces)
