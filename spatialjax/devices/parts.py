"""Scenarios over processes: which are this process's own, and the results of all."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from spatialjax.devices.meshes import DeviceError
from spatialjax.devices.processes import Process


def own_part(count: int, process: Process | None = None) -> range:
    """The scenarios of this process: its index, and every one that is a multiple of the number of processes further.

    **Arguments:**

    - `count`: how many scenarios there are.
    - `process`: by default what [`initialize_distributed`][] found; the only one without it.
    """
    number, processes = Process(jax.process_index(), jax.process_count()) if process is None else process
    return range(number, count, processes)


def gathered(results: PyTree, count: int) -> PyTree:
    """The results of all scenarios on every process, from each process's own.

    Every process has to call it, after [`initialize_distributed`][].

    **Arguments:**

    - `results`: a pytree of arrays with this process's scenarios, [`own_part`][]`(count)`, along the first axis.
    - `count`: how many scenarios there are.

    **Returns:** the pytree with NumPy arrays, all scenarios in order along the first axis.

    **Raises:** `DeviceError` where the results are not those of this process's scenarios, or where there are fewer
    scenarios than processes.
    """
    processes, own = jax.process_count(), len(own_part(count))
    if count < processes:
        raise DeviceError(f"there are {processes} processes for {count} scenarios, and no result to gather from some")
    for path, leaf in jax.tree_util.tree_leaves_with_path(results):
        if np.shape(leaf)[:1] != (own,):
            raise DeviceError(
                f"process {jax.process_index()} has {own} of {count} scenarios, but results"
                f"{jax.tree_util.keystr(path)} has shape {np.shape(leaf)}: give the results of own_part({count})"
            )
    most = -(-count // processes)

    def of_all(leaf: Any) -> np.ndarray:
        part = np.asarray(leaf)[np.minimum(np.arange(most), own - 1)]
        parts = np.asarray(multihost_utils.process_allgather(part)).reshape(processes, *part.shape)
        return parts.swapaxes(0, 1).reshape(most * processes, *part.shape[1:])[:count]

    return jax.tree.map(of_all, results)
