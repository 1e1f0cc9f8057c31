"""A tree of clusters of points, and which pairs of clusters are far apart.

Plain NumPy: what it returns are integers, to be used as indices in arrays of static shape.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Points = Float[np.ndarray, "point dimension"]
Pairs = Int[np.ndarray, "pair two"]


class ClusterTree(NamedTuple):
    """A balanced binary tree: cluster c of level l has the children 2c and 2c + 1 of level l + 1.

    `slot` (leaf, slot) holds the points of each leaf, and the number of points where a slot is empty. A cluster's
    slots stand together: those of level l are `slot.reshape(2**l, -1)`.
    """

    slot: Int[np.ndarray, "leaf slot"]
    points: int

    @property
    def depth(self) -> int:
        """The level of the leaves; the root is level 0."""
        return int(self.slot.shape[0]).bit_length() - 1

    def level(self, level: int) -> Int[np.ndarray, "cluster slot"]:
        """Points of each cluster of a level."""
        return self.slot.reshape(2**level, -1)

    def members(self, level: int) -> list[Int[np.ndarray, " point"]]:
        """Points of each cluster of a level, without empty slots."""
        return [row[row < self.points] for row in self.level(level)]

    def position(self) -> Int[np.ndarray, " point"]:
        """The slot of each point, counted over all leaves."""
        flat = self.slot.ravel()
        occupied = np.flatnonzero(flat < self.points)
        position = np.empty(self.points, int)
        position[flat[occupied]] = occupied
        return position


class Interactions(NamedTuple):
    """Unordered pairs of different clusters: `near`, of leaves, and `far`, by level.

    Together with each leaf's pair with itself they cover every pair of points once.
    """

    near: Pairs
    far: tuple[Pairs, ...]


def cluster_tree(points: Points, leaf_size: int) -> ClusterTree:
    """Halve the points across their longest direction until no cluster has more than `leaf_size`."""
    clusters = [np.arange(len(points))]
    while len(clusters[0]) > leaf_size:
        clusters = [half for cluster in clusters for half in _halves(points, cluster)]
    width = max(map(len, clusters))
    slot = np.full((len(clusters), width), len(points))
    for leaf, cluster in enumerate(clusters):
        slot[leaf, : len(cluster)] = cluster
    return ClusterTree(slot, len(points))


def _halves(points: Points, cluster: Int[np.ndarray, " point"]) -> Sequence[Int[np.ndarray, " point"]]:
    centred = points[cluster] - points[cluster].mean(0)
    longest = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    order = cluster[np.argsort(centred @ longest, kind="stable")]
    # The first half is never the smaller one, so that cluster 0 of every level is the largest.
    middle = (len(order) + 1) // 2
    return order[:middle], order[middle:]


def interactions(tree: ClusterTree, points: Points, *, separation: float, shortest: float) -> Interactions:
    """Split all pairs of points into pairs of far clusters, as large as may be, and pairs of near leaves.

    Two clusters are far apart where the gap between the balls around them exceeds `shortest` and is at least
    `separation` times the larger radius.
    """
    pairs = np.zeros((1, 2), int)
    far = []
    for level in range(tree.depth + 1):
        pairs = pairs if level == 0 else _children(pairs)
        centres, radii = _balls(tree, points, level)
        apart = _far_apart(centres, radii, pairs, separation, shortest)
        far.append(pairs[apart])
        pairs = pairs[~apart]
    return Interactions(pairs[pairs[:, 0] != pairs[:, 1]], tuple(far))


def _children(pairs: Pairs) -> Pairs:
    """Pairs of children, each unordered pair once."""
    offsets = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    children = (2 * pairs[:, None, :] + offsets).reshape(-1, 2)
    return children[children[:, 0] <= children[:, 1]]


def _balls(tree: ClusterTree, points: Points, level: int):
    """Centres and radii of balls around the clusters of a level."""
    centres, radii = [], []
    for members in tree.members(level):
        centre = points[members].mean(0)
        centres.append(centre)
        radii.append(np.sqrt(((points[members] - centre) ** 2).sum(1).max()))
    return np.array(centres), np.array(radii)


def _far_apart(centres, radii, pairs: Pairs, separation: float, shortest: float):
    first, second = pairs.T
    between = np.sqrt(((centres[first] - centres[second]) ** 2).sum(1))
    gap = between - radii[first] - radii[second]
    return (gap > shortest) & (gap >= separation * np.maximum(radii[first], radii[second]))


def table_of_contributions(pairs: Pairs, clusters: int) -> Int[np.ndarray, "cluster contribution"]:
    """Where each cluster finds its contributions, of 2 P: P to the first of each pair, then P to the second.

    Rows are filled with 2 P, where a contribution of zero has to stand.
    """
    receiver = np.concatenate([pairs[:, 0], pairs[:, 1]]).astype(int)
    order = np.argsort(receiver, kind="stable")
    counts = np.bincount(receiver, minlength=clusters)
    table = np.full((clusters, max(int(counts.max(initial=0)), 1)), receiver.size)
    column = np.arange(receiver.size) - np.repeat(np.cumsum(counts) - counts, counts)
    table[receiver[order], column] = order
    return table
