"""A pool of lanes that works off any number of similar root-finding problems."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from spatialjax.devices import Devices, over_devices
from spatialjax.numerics.local_inverse import LocalInverse
from spatialjax.numerics.many_roots import Lanes, States, advance, empty_lanes, loaded

LANES_ON_CPU = 16
"""Lanes whose work stays in a processor's cache."""
CACHE_PER_LANE = 2**23
"""Bytes of a lane beyond which, on a CPU, systems are solved one by one: lanes only share what stays in its cache."""
LANES_ON_ACCELERATOR = 4096
MEMORY_SHARE = 0.5
"""Part of an accelerator's memory that lanes may fill unless told otherwise."""
GIB = 2**30

Own = PyTree


class Problems(eqx.Module):
    """Many systems, numbered from 0 to `count` - 1; what a lane has of its own is a pytree, lane first.

    - `inverse`: the local inverse that all share. `relaxation`: the part of a residual by which sweeps move variables.
    - `workspace`: bytes that an evaluation of one system needs besides what a lane keeps.
    """

    count: eqx.AbstractVar[int]
    inverse: eqx.AbstractVar[LocalInverse]
    relaxation: eqx.AbstractVar[Float[Array, "place variable"]]
    workspace: eqx.AbstractVar[int]

    def load(self, indices: Int[Array, " lane"]) -> tuple[States, Own]:
        """Where the searches for these systems start, and what lanes need of them."""
        raise NotImplementedError

    def steps(self) -> "Problems":
        """What residuals and results need, of the same structure whatever the number of systems.

        A program that is compiled for it serves any number of them.
        """
        return self

    def residual(self, own: Own) -> Callable[[States], States]:
        """The residuals of all lanes as a function of their states; what it computes once is computed here."""
        raise NotImplementedError

    def result(self, lanes: Lanes, own: Own) -> Any:
        """What is wanted of each root, lane first; what it says of lanes that are still at work means nothing."""
        raise NotImplementedError

    def alone(self, index: int, tolerance: Float[Array, ""], max_evaluations: Int[Array, ""]) -> Any:
        """What is wanted of a system that its lane gave up, without a lane axis."""
        raise NotImplementedError


def work_off(
    problems: Problems, lanes: int, tolerance: float, max_evaluations: int, devices: Devices | None = None
) -> Iterator[tuple[np.ndarray, Any]]:
    """Solve all systems in so many lanes, and yield which of them were solved and their results, as NumPy arrays.

    A lane whose system is solved is loaded with the next one while the others go on. With `devices` lanes are divided
    over them, and each goes on by itself. A single lane has nobody to share anything with: systems are solved alone.
    """
    limits, steps = (jnp.asarray(tolerance), jnp.asarray(max_evaluations)), problems.steps()
    if lanes == 1:
        yield from (_alone(problems, index, limits) for index in range(problems.count))
        return
    go_on = _advance if devices is None else over_devices(_advance_part, devices)
    state, own = _empty(problems, lanes)
    waiting, occupant = deque(range(problems.count)), np.full(lanes, -1)
    while waiting or (occupant >= 0).any():
        fresh = np.zeros(lanes, bool)
        for lane in np.flatnonzero(occupant < 0)[: len(waiting)]:
            occupant[lane], fresh[lane] = waiting.popleft(), True
        if fresh.any():
            state, own = _load(problems, state, own, jnp.asarray(fresh), jnp.asarray(np.maximum(occupant, 0)))
        state = go_on((steps, limits), (own, state))
        finished = (occupant >= 0) & ~np.asarray(state.working)
        converged = np.asarray(state.converged)
        if found := np.flatnonzero(finished & converged).tolist():
            results = jax.device_get(_results(steps, state, own))
            yield occupant[found], jax.tree.map(lambda leaf: leaf[found], results)
        for lane in np.flatnonzero(finished & ~converged):
            yield _alone(problems, int(occupant[lane]), limits)
        occupant[finished] = -1


def _alone(problems: Problems, index: int, limits: tuple) -> tuple[np.ndarray, Any]:
    result = jax.device_get(problems.alone(index, *limits))
    return np.asarray([index]), jax.tree.map(lambda leaf: np.asarray(leaf)[None], result)


def gathered(results: Iterator[tuple[np.ndarray, Any]], count: int) -> Any:
    """The results of all systems in their order, as JAX arrays."""
    arrays: list[np.ndarray] = []
    structure = None
    for indices, found in results:
        leaves, structure = jax.tree.flatten(found)
        if not arrays:
            arrays = [np.zeros((count, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
        for array, leaf in zip(arrays, leaves, strict=True):
            array[indices] = leaf
    assert structure is not None
    return jax.tree.unflatten(structure, [jnp.asarray(array) for array in arrays])


def lanes_that_fit(problems: Problems, max_memory: float | None, devices: int = 1) -> tuple[int, float]:
    """How many lanes to use on so many devices, and the GiB that one takes.

    `max_memory` are GiB that lanes may take together; 0 lanes where not one fits.
    """
    one = problems.workspace + number_of_bytes(jax.eval_shape(lambda: _empty(problems, 1)))
    device = jax.devices()[0]
    most = LANES_ON_CPU if device.platform == "cpu" else LANES_ON_ACCELERATOR
    if max_memory is not None:
        most = min(int(max(max_memory, 0) * GIB // (one * devices)), LANES_ON_ACCELERATOR)
    elif device.platform == "cpu":
        most = most if one <= CACHE_PER_LANE else 1
    else:
        limit = (device.memory_stats() or {}).get("bytes_limit", 16 * GIB)
        most = min(most, max(int(MEMORY_SHARE * limit // one), 1))
    # Few numbers of lanes are few programs to compile: idle lanes cost less.
    enough = 1 << (problems.count - 1).bit_length()
    return min(most * devices, enough), one / GIB


def number_of_bytes(tree: Any) -> int:
    """Bytes of the arrays of a pytree, or of arrays of their shapes."""
    return sum(int(np.prod(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(tree) if hasattr(x, "dtype"))


@eqx.filter_jit
def _empty(problems: Problems, lanes: int) -> tuple[Lanes, Own]:
    states, own = problems.load(jnp.zeros(lanes, int))
    return empty_lanes(states), own


@eqx.filter_jit(donate="all-except-first")
def _load(problems: Problems, lanes: Lanes, own: Own, fresh: Bool[Array, " lane"], occupant: Int[Array, " lane"]):
    states, new = problems.load(occupant)
    kept = jax.tree.map(lambda n, o: jnp.where(fresh.reshape(-1, *(1,) * (n.ndim - 1)), n, o), new, own)
    return loaded(lanes, fresh, states), kept


def _advance_part(shared: tuple[Problems, tuple], lanes: tuple[Own, Lanes]) -> Lanes:
    problems, limits = shared
    own, state = lanes
    return advance(state, problems.residual(own), problems.inverse, problems.relaxation, *limits)


_advance = eqx.filter_jit(_advance_part)


@eqx.filter_jit
def _results(problems: Problems, lanes: Lanes, own: Own) -> Any:
    return problems.result(lanes, own)
