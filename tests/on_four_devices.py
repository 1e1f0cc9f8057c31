"""Run by `test_devices` in a process with four devices: prints what it finds as JSON.

The economy has five cities, so that one device has only a destination that is no city, and asymmetric costs.
"""

import json
import os
import warnings
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from economies import random_economy
from jax._src import xla_bridge

import spatialjax as sj
from spatialjax.cities.sharded import gather_cities, shard_cities
from spatialjax.devices import DeviceWarning, over_devices

found = {"started by importing": xla_bridge.backends_are_initialized()}
jax.config.update("jax_enable_x64", True)
economy = random_economy()
os.sched_getaffinity = lambda _: {0, 1}
with warnings.catch_warnings(record=True) as caught:
    divided = shard_cities(economy)
found["warnings"] = [str(warning.message) for warning in caught if warning.category is DeviceWarning]
warnings.simplefilter("ignore", DeviceWarning)
solved = ("wage", "employment", "rent", "price", "expenditure", "gross_output", "welfare")


def difference(one, other):
    """Largest difference in any array, relative to the largest element of that array."""
    sizes = [0.0]
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        finite = np.isfinite(a)
        sizes.append(float((finite != np.isfinite(b)).any()))
        a, b = (np.where(finite, x, 0.0) for x in (a, b))
        sizes.append(np.abs(a - b).max() / max(np.abs(a).max(), 1e-6))
    return float(max(sizes))


def welfare(economy):
    equilibrium = sj.solve(economy, tolerance=1e-12)
    return jnp.log(equilibrium.welfare) @ jnp.array([1.0, 2.0]), equilibrium


def products(economy):
    geography = sj.cities.trade.Geography.of(economy.log_iceberg_cost, economy.trade_elasticity, economy.traded)
    strength = jnp.exp(jnp.sin(jnp.arange(10.0))).reshape(5, 2)
    return geography.kernel.apply(strength), geography.kernel.apply_transpose(strength), geography.kernel.own()


def plain_costs(economy):
    """An economy, or a gradient in one, with its costs in one piece and without destinations that are no cities."""
    costs = economy.log_iceberg_cost
    return replace(economy, log_iceberg_cost=getattr(costs, "log_iceberg_cost", costs)[:, :5])


# The kernel, and costs in other forms.
found["parts"] = [part.data.shape[1] for part in divided.log_iceberg_cost.log_iceberg_cost.addressable_shards]
found["kernel"] = difference(products(economy), products(divided))
found["gathered"] = difference(economy, gather_cities(divided))
dearer = [sj.cities.cost_forms.times_between_cities(e, 1.2) for e in (economy, divided)]
found["dearer"] = difference(dearer[0], gather_cities(dearer[1]))
found["own cost"] = difference(*(sj.cities.cost_forms.log_own_cost(e) for e in dearer))

# Solution, derivatives, stability, optimum.
differentiated = eqx.filter_jit(eqx.filter_value_and_grad(welfare, has_aux=True))
(_, equilibrium), gradient = differentiated(economy)
(_, same), same_gradient = differentiated(divided)
found["solution"] = difference(*([getattr(e, name) for name in solved] for e in (equilibrium, same)))
found["evaluations"] = [int(equilibrium.evaluations), int(same.evaluations)]
found["gradient"] = difference(gradient, plain_costs(same_gradient))
found["size of the gradient in costs"] = float(jnp.abs(gradient.log_iceberg_cost).max())
found["whole everywhere"] = all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(same))
found["shares"] = difference(*(sj.expenditure_share(e, equilibrium) for e in (economy, divided)))
eigenvalues = [sj.stability(e, equilibrium).eigenvalues for e in (economy, divided)]
found["stability"] = float(np.abs(eigenvalues[0] - eigenvalues[1]).max())
optimum = sj.optimum(divided, same)
found["optimum"] = optimum.found
found["optimum in one piece"] = float(
    sj.evaluate_at(economy, optimum.equilibrium.state(), income=optimum.policy).largest()
)


# Scenarios: six on four devices, each with externalities of its own; and lanes that end after steps of their own.
changes = {"spillover.size": jnp.linspace(0.5, 1.0, 6)[:, None] * economy.spillover.size}
apart, together = (sj.solve_many(economy, changes, tolerance=1e-12, devices=d) for d in (jax.devices(), None))
found["scenarios"] = difference(*([getattr(e, name) for name in solved] for e in (apart, together)))
found["solved scenarios"] = int(apart.converged.sum())


def halved(shared, lanes):
    def of_one(x):
        return jax.lax.while_loop(lambda c: c[0] > 1.0, lambda c: (shared * c[0], c[1] + 1), (x, 0))

    return jax.vmap(of_one)(lanes)


starts = 2.0 ** jnp.arange(6.0)
lanes = over_devices(halved)(jnp.asarray(0.5), starts)
found["steps of lanes"] = lanes[1].tolist()
found["devices of lanes"] = len(lanes[1].sharding.device_set)
slopes = [
    jax.jit(jax.grad(lambda a, f=f: f(a, starts).sum()))(0.7)
    for f in (lambda a, x: jnp.sin(a * x), over_devices(lambda a, x: jnp.sin(a * x)))
]
found["slope"] = difference(*slopes)

print(json.dumps(found))
