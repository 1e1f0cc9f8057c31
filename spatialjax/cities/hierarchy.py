"""Where a hierarchical kernel computes distances, and where it interpolates: the structure that coordinates imply.

Far clusters act on each other through a few of their cities, the skeleton: for x in cluster A and y in cluster B

    K(x, y) = sum over s, t of basis[A][x, s] K(s, t) basis[B][y, t],

for every exponent in a range at once. How far this is from the kernel is computed for every pair of cities in far
clusters (`hierarchy_error`; docs/geography.md has the proof of the bound).
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from spatialjax.cities.distance import EARTH_RADIUS, SHORTEST_DISTANCE
from spatialjax.cities.hierarchy_error import Exponents, error_bound
from spatialjax.errors import ModelError
from spatialjax.numerics.clusters import ClusterTree, Pairs, cluster_tree, interactions, table_of_contributions
from spatialjax.numerics.skeletons import Skeleton, skeleton

SEPARATION = 1.0
"""Least gap between far clusters, relative to the larger of their radii."""
LEAF_SIZE = 96
FAR_SAMPLE = 512
"""Far cities that a cluster's skeleton is chosen for, and as many of the nearest; its error is computed at all."""
NEAREST = 0.2
"""Part of the far cities that are the nearest."""
CANDIDATES = 512
"""Cities among which a larger cluster's skeleton is chosen."""
FIRST_TOLERANCE = 0.001
"""What skeletons leave at first, relative to the error that is wanted."""
ATTEMPTS = 6
TIGHTENED, LEAST_TIGHTENED = 0.5, 0.1
"""The next attempt leaves this much less than the bound seems to ask for, but no less than the last one times this."""


class ClusterPairs(eqx.Module):
    """Unordered pairs of clusters, and where each finds what the others contribute to it.

    `contribution` is that of `numerics.clusters.table_of_contributions`.
    """

    first: Int[Array, " pair"]
    second: Int[Array, " pair"]
    contribution: Int[Array, "cluster contribution"]

    @classmethod
    def of(cls, pairs: Pairs, clusters: int) -> "ClusterPairs":
        """Pairs as indices on the device."""
        table = table_of_contributions(pairs, clusters)
        return cls(jnp.asarray(pairs[:, 0]), jnp.asarray(pairs[:, 1]), jnp.asarray(table))


class FarLevel(eqx.Module):
    """Far pairs of one level; `skeleton` holds cities, and any city where `basis` is zero."""

    pairs: ClusterPairs
    skeleton: Int[Array, "cluster skeleton"]
    basis: Float[Array, "cluster slot skeleton"]


class Hierarchy(eqx.Module):
    """Clusters of cities and how they act on each other, for exponents between `lowest` and `highest`.

    `slot` holds the cities by leaf, the number of cities where a slot is empty, and `position` the slot of each.
    `relative_error` bounds the error of every element of the kernel; `point` are the points that it holds for.
    """

    slot: Int[Array, "leaf slot"]
    position: Int[Array, " city"]
    near: ClusterPairs
    far: tuple[FarLevel, ...]
    point: Float[Array, "city 3"]
    lowest: Float[Array, ""]
    highest: Float[Array, ""]
    relative_error: Float[Array, ""]


class _Level(NamedTuple):
    level: int
    pairs: Pairs
    skeleton: Int[np.ndarray, "cluster skeleton"]
    basis: Float[np.ndarray, "cluster slot skeleton"]
    error: float = np.inf


def build_hierarchy(
    point: Float[np.ndarray, "city 3"],
    exponents: tuple[float, float],
    relative_error: float,
    *,
    leaf_size: int = LEAF_SIZE,
) -> Hierarchy:
    """The structure for points on the unit sphere in which no element of the kernel is off by more than this.

    **Raises:** `ModelError` where the error cannot be reached, which happens where it is near rounding.
    """
    tree, span = cluster_tree(point, leaf_size), Exponents(*exponents)
    shortest = 2 * np.sin(SHORTEST_DISTANCE / (2 * EARTH_RADIUS))
    apart = interactions(tree, point, separation=SEPARATION, shortest=shortest)
    levels = [
        _accurate_level(point, tree, level, pairs, span, relative_error)
        for level, pairs in enumerate(apart.far)
        if len(pairs)
    ]
    lowest, highest = (span.lowest, span.highest) if levels else (0.0, np.inf)  # nothing is interpolated
    return Hierarchy(
        slot=jnp.asarray(tree.slot),
        position=jnp.asarray(tree.position()),
        near=ClusterPairs.of(apart.near, len(tree.slot)),
        far=tuple(
            FarLevel(ClusterPairs.of(one.pairs, len(one.skeleton)), jnp.asarray(one.skeleton), jnp.asarray(one.basis))
            for one in levels
        ),
        point=jnp.asarray(point),
        lowest=jnp.asarray(lowest),
        highest=jnp.asarray(highest),
        relative_error=jnp.asarray(max((one.error for one in levels), default=0.0)),
    )


def _accurate_level(
    point, tree: ClusterTree, level: int, pairs: Pairs, span: Exponents, relative_error: float
) -> _Level:
    """A level whose error is known to be within bounds: more accurate skeletons are tried until it is."""
    tolerance = FIRST_TOLERANCE * relative_error
    for attempt in range(ATTEMPTS):
        found = _far_level(point, tree, level, pairs, span, tolerance, FAR_SAMPLE * 2**attempt)
        error = error_bound(point, tree.level(level), pairs, found.skeleton, found.basis, span, relative_error)
        if error <= relative_error:
            return found._replace(error=error)
        tolerance *= max(TIGHTENED * relative_error / error, LEAST_TIGHTENED)
    raise ModelError(
        f"relative_error of {relative_error:g} cannot be reached with coordinates and exponents like these (found "
        f'{error:.1e}): ask for less, or take geography="tiled"'
    )


def _far_level(
    point, tree: ClusterTree, level: int, pairs: Pairs, span: Exponents, tolerance: float, sample: int
) -> _Level:
    """Skeletons and bases of a level's clusters, filled with zeros to the same size."""
    members, slots = tree.members(level), tree.level(level)
    found = [
        _cluster_skeleton(point, own, np.concatenate([members[b] for b in partners]), span, tolerance, sample)
        if len(partners := _partners(pairs, c))
        else None
        for c, own in enumerate(members)
    ]
    rank = max(one.chosen.size for one in found if one is not None)
    chosen = np.zeros((len(members), rank), int)
    basis = np.zeros((*slots.shape, rank))
    for c, one in enumerate(found):
        if one is not None:
            chosen[c, : one.chosen.size] = members[c][one.chosen]
            basis[c, slots[c] < tree.points, : one.chosen.size] = one.basis
    return _Level(level, pairs, chosen, basis)


def _partners(pairs: Pairs, cluster: int) -> Int[np.ndarray, " partner"]:
    return np.concatenate([pairs[pairs[:, 0] == cluster, 1], pairs[pairs[:, 1] == cluster, 0]])


def _cluster_skeleton(point, own, far, span: Exponents, tolerance: float, sample: int) -> Skeleton:
    """A skeleton of a cluster for what it sends to, and receives from, far cities."""
    # The nearest are the hardest. Cities stand in the order of the tree, so that every k-th of them are spread evenly.
    gap = ((point[far] - point[own].mean(0)) ** 2).sum(1)
    nearest = far[gap <= np.quantile(gap, NEAREST)]
    far = np.unique(np.concatenate([_every(far, sample), _every(nearest, sample)]))
    log_distance = _log_distance(point[far], point[own])
    relative = log_distance - log_distance.mean(1, keepdims=True)
    rows = np.concatenate([np.exp(-a * relative) for a in (span.lowest, span.middle, span.highest)])
    return skeleton(rows, tolerance, _every(np.arange(own.size), CANDIDATES))


def _every(cities: Int[np.ndarray, " city"], count: int) -> Int[np.ndarray, " sampled"]:
    """As many of them, evenly spaced, or all where there are fewer."""
    return cities if cities.size <= count else cities[np.linspace(0, cities.size - 1, count).astype(int)]


def _log_distance(here, there) -> Float[np.ndarray, "here there"]:
    chord = np.sqrt(((here[:, None] - there) ** 2).sum(2))
    return np.log(np.arcsin(np.minimum(chord / 2, 1.0)))
