"""A kernel of distance in which far clusters of cities act on each other through a few of them."""
# Methods are described by their base class:
# ruff: noqa: D102

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.cities.distance import log_relative_distance
from spatialjax.cities.hierarchy import ClusterPairs, FarLevel, Hierarchy
from spatialjax.cities.tiled_kernel import TiledKernel
from spatialjax.cities.trade import Kernel
from spatialjax.errors import ModelError
from spatialjax.numerics.column_groups import ColumnGroups

Clustered = Float[Array, "group cluster slot member"]
Blocks = Float[Array, "group pair slot other"]


class HierarchicalKernel(Kernel):
    """(d[n, m] / shortest distance)^(-a), within a known relative error in every element.

    Blocks between near leaves and between skeletons of far clusters are stored, by group of sectors with the same
    exponent. `exact` is the same kernel computed tile by tile, for first derivatives in the coordinates; second ones
    are refused. The kernel is symmetric.
    """

    within: Blocks
    near: Blocks
    far: tuple[Blocks, ...]
    hierarchy: Hierarchy
    exact: TiledKernel

    @classmethod
    def of(
        cls,
        point: Float[Array, "city 3"],
        exponent: Float[Array, " group"],
        sectors: ColumnGroups,
        hierarchy: Hierarchy,
    ) -> "HierarchicalKernel":
        """The kernel of points for which the hierarchy was built."""
        exponent = eqx.error_if(
            exponent,
            (exponent < hierarchy.lowest).any() | (exponent > hierarchy.highest).any(),
            OUT_OF_RANGE,
        )
        # Only the exact kernel has a derivative in the points, and the structure is no variable.
        fixed, hierarchy = jax.lax.stop_gradient((point, hierarchy))
        leaves, near = fixed[hierarchy.slot], hierarchy.near

        def blocks(here, there):
            return jnp.exp(-exponent[:, None, None, None] * log_relative_distance(here, there))

        def between_skeletons(level: FarLevel):
            skeleton = fixed[level.skeleton]
            return blocks(skeleton[level.pairs.first], skeleton[level.pairs.second])

        return cls(
            within=blocks(leaves, leaves),
            near=blocks(leaves[near.first], leaves[near.second]),
            far=tuple(between_skeletons(level) for level in hierarchy.far),
            hierarchy=hierarchy,
            exact=TiledKernel.of(point, exponent, sectors),
        )

    def apply(self, strength):
        return _with_derivative_in_points(self._product(strength), self.exact.point, self.exact, strength)

    def apply_transpose(self, demand):
        return self.apply(demand)

    def own(self):
        return self.exact.own()

    def _product(self, strength):
        hierarchy, sectors = self.hierarchy, self.exact.sectors
        columns = sectors.gather(strength)
        slots = jnp.take(columns, hierarchy.slot, axis=1, mode="fill", fill_value=0.0)
        total = jnp.einsum("gcij,gcjm->gcim", self.within, slots) + _exchange(self.near, slots, hierarchy.near)
        for blocks, level in zip(self.far, hierarchy.far, strict=True):
            total = total + _far_exchange(blocks, slots, level)
        groups, members = columns.shape[0], columns.shape[2]
        return sectors.scatter(total.reshape(groups, -1, members)[:, hierarchy.position])


OUT_OF_RANGE = (
    "an exponent of distance is outside the range for which the hierarchical geography was built: build it anew with "
    "DistanceCosts.of, or with a wider exponent_range"
)


def _exchange(blocks: Blocks, values: Clustered, pairs: ClusterPairs) -> Clustered:
    """What each cluster receives from those it is paired with."""
    if pairs.first.size == 0:
        return jnp.zeros_like(values)
    to_first = jnp.einsum("gpij,gpjm->gpim", blocks, values[:, pairs.second])
    to_second = jnp.einsum("gpij,gpim->gpjm", blocks, values[:, pairs.first])
    contributions = jnp.concatenate([to_first, to_second], axis=1)

    # One contribution to each cluster at a time: all of them at once are a larger array than the values themselves.
    def add(total, taken):
        return total + jnp.take(contributions, taken, axis=1, mode="fill", fill_value=0.0), None

    return jax.lax.scan(add, jnp.zeros_like(values), pairs.contribution.T)[0]


def _far_exchange(blocks: Blocks, slots: Clustered, level: FarLevel) -> Clustered:
    """What cities receive from far clusters, by way of the skeletons of both."""
    clusters, width, _ = level.basis.shape
    groups, leaves, leaf_width, members = slots.shape
    values = slots.reshape(groups, clusters, width, members)
    condensed = jnp.einsum("cns,gcnm->gcsm", level.basis, values)
    received = jnp.einsum("cns,gcsm->gcnm", level.basis, _exchange(blocks, condensed, level.pairs))
    return received.reshape(groups, leaves, leaf_width, members)


@eqx.filter_custom_jvp
def _with_derivative_in_points(product, point, exact, strength):
    """The product itself; its derivative in the points is that of the exact kernel."""
    return product


@_with_derivative_in_points.def_jvp
def _with_derivative_in_points_jvp(primals, tangents):
    product, point, exact, strength = primals
    change, point_change, _, _ = tangents
    change = jnp.zeros_like(product) if change is None else change * _one_unless_differentiated(point)
    if point_change is None:
        return product, change

    def exact_product(point):
        return eqx.tree_at(lambda kernel: kernel.point, exact, point).apply(strength)

    return product, change + jax.jvp(exact_product, (point,), (point_change,))[1]


@jax.custom_jvp
def _one_unless_differentiated(point):
    """One: the derivative of a derivative in anything else would lack its part in the points."""
    return jnp.ones((), point.dtype)


@_one_unless_differentiated.defjvp
def _refuse(primals, tangents):
    raise ModelError(
        "second derivatives in coordinates need an exact kernel: build the trade costs with "
        'DistanceCosts.of(..., method="tiled")'
    )
