"""From means by number of firms to means over a Poisson number of them, smooth in its mean."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

POINTS = 256
"""Numbers of firms that are summed over one by one, where they suffice."""
REACH = 8
"""Standard deviations of the number of firms that are covered; beyond `POINTS`, one point for each."""


def number_weights(
    m: Float[Array, ""],
    numbers: np.ndarray,
    *,
    relative_to: Float[Array, " number"] | None = None,
    largest: int | None = None,
) -> tuple[Float[Array, " number"], Float[Array, ""]]:
    """Weights of values at tabulated numbers of other firms in their mean over a Poisson number with mean m.

    Between tabulated numbers values are interpolated by a spline; `relative_to` a positive quantity that varies like
    them, itself interpolated in logs, if that is given. Only numbers up to `largest` count, if that is given, and the
    weights sum to the probability of these, returned too.

    All whole numbers are summed over where these are few. Where they are many the distribution is as good as normal,
    and points one standard deviation apart integrate smooth functions to 1e-8.
    """

    def over(others):
        weight = jax.nn.softmax(others * jnp.log(m) - jax.lax.lgamma(others + 1) - m)
        if largest is not None:
            weight = jnp.where(others <= largest, weight, 0.0)
        basis = interpolation(numbers, others)
        if relative_to is None:
            return weight @ basis, weight.sum()
        index = jnp.exp(basis @ jnp.log(relative_to))
        return (weight * index) @ basis / relative_to, weight.sum()

    wide = m + REACH * (jnp.sqrt(m) + 1) > POINTS
    few, few_total = over(jnp.arange(float(POINTS)))
    many, many_total = over(jnp.maximum(m, POINTS / 2) + jnp.sqrt(m) * jnp.arange(-REACH, REACH + 1))
    return jnp.where(wide, many, few), jnp.where(wide, many_total, few_total)


def interpolation(numbers: np.ndarray, wanted: Float[Array, " point"]) -> Float[Array, "point number"]:
    """Natural cubic spline in log(1 + number), as a matrix from values at `numbers`; linear beyond the last."""
    at, wanted = np.log1p(numbers), jnp.log1p(wanted)
    step, size = np.diff(at), at.size
    system, right = np.eye(size), np.zeros((size, size))
    for i in range(1, size - 1):
        system[i, i - 1 : i + 2] = step[i - 1], 2 * (step[i - 1] + step[i]), step[i]
        right[i, i - 1 : i + 2] = 6 / step[i - 1], -6 / step[i - 1] - 6 / step[i], 6 / step[i]
    bend = jnp.asarray(np.linalg.solve(system, right))  # from values to second derivatives
    eye = jnp.eye(size)
    left = jnp.clip(jnp.searchsorted(jnp.asarray(at), wanted, side="right") - 1, 0, max(size - 2, 0))
    low, high, width = (jnp.asarray(x)[left] for x in (at[:-1], at[1:], step))
    up, down = (wanted - low) / width, (high - wanted) / width
    curves = (jnp.where(wanted <= at[-1], (x**3 - x) * width**2 / 6, 0.0) for x in (down, up))
    curve_down, curve_up = (curve[:, None] for curve in curves)
    straight = down[:, None] * eye[left] + up[:, None] * eye[left + 1]
    return straight + curve_down * bend[left] + curve_up * bend[left + 1]
