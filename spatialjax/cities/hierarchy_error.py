"""A bound on the error of a hierarchical kernel, computed for every pair of cities in far clusters.

At a few exponents the error is computed; between them it is bounded as what interpolation in the exponent leaves
(docs/geography.md has the proof).
"""

from math import factorial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from spatialjax.cities.distance import log_relative_distance

MAX_NODES = 30
"""Exponents at which the error is computed at most."""
REMAINDER = 0.1
"""Part of the error that interpolation in the exponent may leave."""


class Exponents(NamedTuple):
    """A range of exponents of the kernel."""

    lowest: float
    highest: float

    @property
    def width(self) -> float:
        """Highest less lowest."""
        return self.highest - self.lowest

    @property
    def middle(self) -> float:
        """Half way between."""
        return (self.lowest + self.highest) / 2

    def nodes(self, count: int) -> Float[np.ndarray, " node"]:
        """Chebyshev nodes."""
        at = np.cos((2 * np.arange(count) + 1) * np.pi / (2 * count))
        return self.middle + self.width * at / 2


def error_bound(
    point: Float[np.ndarray, "city 3"],
    slots: Int[np.ndarray, "cluster slot"],
    pairs: Int[np.ndarray, "pair two"],
    skeletons: Int[np.ndarray, "cluster skeleton"],
    basis: Float[np.ndarray, "cluster slot skeleton"],
    span: Exponents,
    relative_error: float,
) -> float:
    """A bound on the relative error of every element between paired clusters, for every exponent in a range.

    It is L e^(w s / 2) E + R: E the largest error at the nodes, L their Lebesgue constant, w the width of the range, s
    the largest spread of log distances between two clusters, and R what interpolation leaves.
    """
    norm = np.abs(basis).sum(2).max(1)
    size = 1 + float((norm[pairs[:, 0]] * norm[pairs[:, 1]]).max())
    spread = _largest_spread(point, slots, pairs)
    remainders = [_remainder(count, span, spread, size) for count in range(2, MAX_NODES + 1)]
    enough = [count for count, left in enumerate(remainders, 2) if left < REMAINDER * relative_error]
    nodes = enough[0] if enough else MAX_NODES
    error = float(_largest_error(point, slots, pairs, skeletons, basis, span.nodes(nodes)))
    lebesgue = 1 + 2 / np.pi * np.log(nodes)
    return lebesgue * float(np.exp(span.width * spread / 2)) * error + remainders[nodes - 2]


def _remainder(nodes: int, span: Exponents, spread: float, size: float) -> float:
    """2 (w s / 8)^m / m! (1 + |basis A| |basis B|) e^(a s), with m nodes and the highest exponent a."""
    return 2 * (span.width * spread / 8) ** nodes / factorial(nodes) * size * float(np.exp(span.highest * spread))


def _largest_spread(point, slots, pairs) -> float:
    """Largest range of log distances between the cities of two clusters."""
    members = [row[row < len(point)] for row in slots]
    cosines = (point[members[a]] @ point[members[b]].T for a, b in pairs)
    angles = np.array([np.arccos(np.clip([c.min(), c.max()], -1, 1)) for c in cosines])
    return float(np.log(angles[:, 0] / angles[:, 1]).max())


@jax.jit
def _largest_error(point, slots, pairs, skeletons, basis, exponents) -> Float[Array, ""]:
    """Largest relative error of an element, over all pairs and all of these exponents."""

    def of_pair(pair):
        first, second = pair
        here, there = slots[first], slots[second]
        occupied = (here < point.shape[0])[:, None] & (there < point.shape[0])
        log_distance = log_relative_distance(point[here], point[there])
        skeletal = log_relative_distance(point[skeletons[first]], point[skeletons[second]])
        nearest = skeletal.min()

        def of_exponent(exponent):
            # Relative to the nearest skeleton cities, so that nothing overflows.
            interpolated = basis[first] @ jnp.exp(-exponent * (skeletal - nearest)) @ basis[second].T
            error = interpolated * jnp.exp(exponent * (log_distance - nearest)) - 1
            return jnp.abs(jnp.where(occupied, error, 0.0)).max()

        return jax.lax.map(of_exponent, exponents).max()

    return jax.lax.map(of_pair, pairs).max()
