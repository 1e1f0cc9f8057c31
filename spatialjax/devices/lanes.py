"""Lanes over devices: a function of many independent lanes, each device taking a part of them."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import PyTree

from spatialjax.devices.meshes import DeviceError, Devices, mesh_over, padding

OverLanes = Callable[[Any, Any], Any]


def over_devices(function: OverLanes, devices: Devices | None = None, axis: str = "scenario") -> OverLanes:
    """The same function, with its lanes divided over devices.

    `function(shared, lanes)` maps two pytrees to one. Every array of `lanes`, and of what it returns, has the lane
    as its first axis; lanes must not depend on each other. Devices do not talk to each other: a loop in
    `function` ends on each when that device's own lanes are done. Where devices do not divide the lanes, the last
    lane is computed more than once. What is returned works under `jax.jit`, `jax.grad` and `jax.jvp`.

    **Arguments:**

    - `function`: traced once for each new combination of shapes; give the same object each time.
    - `devices`: devices or a mesh, by default the devices of this process.
    - `axis`: the axis of the mesh over which lanes are divided.

    **Raises:** `DeviceError` for a mesh without the axis; when called, for lanes of different numbers and for
    results that have no lanes.
    """
    mesh = mesh_over(jax.local_devices() if devices is None else devices, axis)

    def divided(shared: PyTree, lanes: PyTree) -> PyTree:
        return _divided(function, mesh, axis, shared, lanes)

    return divided


@eqx.filter_jit
def _divided(function: OverLanes, mesh: Mesh, axis: str, shared: PyTree, lanes: PyTree) -> PyTree:
    count = _number_of_lanes(lanes)
    arrays, static = eqx.partition((shared, _padded(lanes, count, mesh.shape[axis])), eqx.is_array)
    static_results = []

    def part(shared_arrays: PyTree, lane_arrays: PyTree) -> PyTree:
        own_shared, own_lanes = eqx.combine((shared_arrays, lane_arrays), static)
        results = function(own_shared, own_lanes)
        _check_results(results, _number_of_lanes(own_lanes))
        result_arrays, rest = eqx.partition(results, eqx.is_array)
        static_results.append(rest)
        return result_arrays

    by_lane = PartitionSpec(axis)
    # Without the check, loops may start from constants, which are the same on every device.
    spread = jax.shard_map(part, mesh=mesh, in_specs=(PartitionSpec(), by_lane), out_specs=by_lane, check_vma=False)
    results = jax.tree.map(lambda leaf: leaf[:count], spread(*arrays))
    return eqx.combine(results, static_results[-1])


def _padded(lanes: PyTree, count: int, parts: int) -> PyTree:
    """Lanes with the last one repeated until `parts` divides their number."""
    extra = padding(count, parts)
    if extra == 0:
        return lanes
    index = jnp.minimum(jnp.arange(count + extra), count - 1)
    return jax.tree.map(lambda leaf: leaf[index] if eqx.is_array(leaf) else leaf, lanes)


def _number_of_lanes(lanes: PyTree) -> int:
    shapes = {name: leaf.shape for name, leaf in _named_arrays(lanes)}
    counts = {name: shape[0] if shape else 0 for name, shape in shapes.items()}
    if not counts or 0 in counts.values() or len(set(counts.values())) > 1:
        raise DeviceError(
            f"every array of the lanes must have the lane as its first axis, and all as many; found {_listed(counts)}"
        )
    return next(iter(counts.values()))


def _check_results(results: PyTree, lanes: int) -> None:
    for name, leaf in _named_arrays(results):
        if leaf.shape[:1] != (lanes,):
            raise DeviceError(
                f"the function must return arrays with the lane as their first axis; for {lanes} lanes "
                f"{name or 'what it returns'} has shape {leaf.shape}"
            )


def _named_arrays(tree: PyTree) -> Sequence[tuple[str, jax.Array]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves if eqx.is_array(leaf)]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} in {name}" for name, count in counts.items()) or "no arrays"
