"""Meshes of devices: checked, and arrays placed on them."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from spatialjax.errors import SpatialJAXError

Devices = Mesh | Sequence[jax.Device]


class DeviceError(SpatialJAXError):
    """Devices or processes that cannot do what is asked of them."""


class DeviceWarning(UserWarning):
    """Devices that may not do what is asked of them."""


def mesh_over(devices: Devices, axis: str) -> Mesh:
    """A mesh with an axis of this name.

    **Arguments:**

    - `devices`: devices, which are put along the one axis, or a mesh that has the axis.

    **Raises:** `DeviceError` for a mesh without the axis, and where there are no devices. Warns where devices of one
    process are made of too few processor cores.
    """
    if not isinstance(devices, Mesh):
        devices = Mesh(np.array(_checked_devices(devices)), (axis,))
    _warn_of_few_cores(devices)
    if axis not in devices.axis_names:
        raise DeviceError(
            f"the mesh has axes {', '.join(map(repr, devices.axis_names))}, but none called {axis!r}: "
            f"make one with jax.make_mesh((jax.device_count(),), ({axis!r},)), or name the axis with axis="
        )
    # Axes of the kind that jax.make_mesh makes by default would put shardings into the types of arrays.
    return Mesh(devices.devices, devices.axis_names)


def _checked_devices(devices: Sequence[jax.Device]) -> list[jax.Device]:
    found = list(devices)
    if not found or not all(isinstance(device, jax.Device) for device in found):
        raise DeviceError(f"devices must be a mesh or a list of devices such as jax.devices(), found {devices!r}")
    return found


def _warn_of_few_cores(mesh: Mesh) -> None:
    """Each device of a process may hold a core that waits for work which only another core could do."""
    own = [d for d in mesh.devices.flat if d.platform == "cpu" and d.process_index == jax.process_index()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if 1 < len(own) >= cores:
        warnings.warn(
            f"{len(own)} devices of this process share {cores} processor cores: inverting matrices of many cities can "
            "wait for ever (jaxlib 0.10). Use one device a process, and more processes (initialize_distributed)",
            DeviceWarning,
            stacklevel=3,
        )


def padding(count: int, parts: int) -> int:
    """How many to add to `count` for every one of `parts` to have as many."""
    return -count % parts


def replicated(mesh: Mesh) -> NamedSharding:
    """The placement of an array of which every device of a mesh has all."""
    return NamedSharding(mesh, PartitionSpec())


def place(array: Any, sharding: NamedSharding) -> jax.Array:
    """An array with this placement; every process gives the same one, and keeps what its devices need."""
    if sharding.is_fully_addressable:
        return jax.device_put(array, sharding)
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def replicate(tree: Any, mesh: Mesh) -> Any:
    """A pytree with every array on every device of a mesh."""
    everywhere = replicated(mesh)
    return jax.tree.map(lambda leaf: place(leaf, everywhere) if eqx.is_array(leaf) else leaf, tree)
