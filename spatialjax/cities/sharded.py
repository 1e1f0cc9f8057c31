"""One economy over several devices.

The kernel of trade is all that grows with the square of the number of cities: each device has the rows of a part of
them, and all else.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding

from spatialjax.cities.checks import check_economy
from spatialjax.cities.economy import Economy
from spatialjax.cities.sharded_trade import ShardedCosts, by_row
from spatialjax.cities.trade import TradeCosts
from spatialjax.devices.meshes import DeviceError, Devices, mesh_over, padding, place, replicate


def shard_cities(economy: Economy, devices: Devices | None = None, axis: str = "city") -> Economy:
    """The economy with its trade costs divided over devices, by destination, and all else on each of them.

    It is an economy like any other: it can be solved, differentiated, tested for stability and optimised, and the
    results are on every device. Any number of cities will do. Where devices belong to several processes
    ([`initialize_distributed`][]), all of them have to do the same with it.

    **Arguments:**

    - `economy`: with stored trade costs.
    - `devices`: devices, or a mesh with an axis called `axis`; by default all devices of all processes.

    **Raises:** `DeviceError` for a mesh without the axis, an economy that is already divided, one whose trade costs
    are not stored, and inside a transformation; `ModelError` for an economy that is none.
    """
    mesh = mesh_over(jax.devices() if devices is None else devices, axis)
    _refuse(economy)
    check_economy(economy)
    costs = np.asarray(economy.log_iceberg_cost)
    extra = padding(costs.shape[1], mesh.shape[axis])
    costs = np.pad(costs, ((0, 0), (0, extra), (0, 0)), constant_values=np.inf)
    rows = place(costs, NamedSharding(mesh, by_row(axis)))
    return _with_costs(economy, ShardedCosts(rows, mesh, axis), lambda rest: replicate(rest, mesh))


def gather_cities(economy: Economy) -> Economy:
    """The economy of [`shard_cities`][] with its trade costs in one piece, on one device of each process.

    Where there are several processes, every one of them has to call it.

    **Raises:** `DeviceError` for an economy that is not divided.
    """
    costs = economy.log_iceberg_cost
    if not isinstance(costs, ShardedCosts):
        raise DeviceError("this economy is not divided over devices: there is nothing to gather")
    whole = multihost_utils.process_allgather(costs.log_iceberg_cost, tiled=True)[:, : costs.cities]
    return _with_costs(economy, jnp.asarray(whole), lambda rest: jax.tree.map(_on_one_device, rest))


def _with_costs(economy: Economy, costs: Any, moved: Any) -> Economy:
    """The economy with other costs, and with what `moved` makes of all else."""

    def where(economy: Economy) -> Any:
        return economy.log_iceberg_cost

    rest = moved(eqx.tree_at(where, economy, None))
    return eqx.tree_at(where, rest, costs, is_leaf=lambda leaf: leaf is None)


def _on_one_device(leaf: Any) -> Any:
    return jnp.asarray(np.asarray(leaf)) if eqx.is_array(leaf) else leaf


def _refuse(economy: Economy) -> None:
    costs = getattr(economy, "log_iceberg_cost", None)
    if isinstance(costs, ShardedCosts):
        raise DeviceError(
            f"log_iceberg_cost is already divided over the axis {costs.axis!r} of {costs.mesh.size} devices: "
            "call gather_cities first to divide it anew"
        )
    if isinstance(costs, TradeCosts):
        raise DeviceError(
            f"log_iceberg_cost is a {type(costs).__name__}: only stored costs (sector, city, origin) can be divided"
        )
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(economy)):
        raise DeviceError("the economy is traced: call shard_cities outside of jit, grad and vmap")
