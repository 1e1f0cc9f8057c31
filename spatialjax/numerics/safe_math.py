"""Logarithms whose values and derivatives stay finite at zero."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def masked_log(x: Float[Array, "..."], absent: float = 0.0) -> Float[Array, "..."]:
    """Log x where x > 0 and `absent` elsewhere, with derivative zero there."""
    present = x > 0
    return jnp.where(present, jnp.log(jnp.where(present, x, 1.0)), absent)


def masked_divide(
    numerator: Float[Array, "..."], denominator: Float[Array, "..."], present: Bool[Array, "..."]
) -> Float[Array, "..."]:
    """Numerator / denominator where `present` and 0 elsewhere, with derivative zero there."""
    return jnp.where(present, numerator / jnp.where(present, denominator, 1.0), 0.0)


def largest(x: Float[Array, "..."]) -> Float[Array, ""]:
    """Largest absolute value."""
    return jnp.max(jnp.abs(x))
