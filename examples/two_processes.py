"""Several processes, one computation: scenarios shared by the processes, and one economy divided over their devices.

On one machine, in two terminals (on two machines, write the first one's name for localhost):

    python examples/two_processes.py --coordinator localhost:9911 --processes 2 --process 0
    python examples/two_processes.py --coordinator localhost:9911 --processes 2 --process 1

Under SLURM, which tells each process who it is:

    srun --ntasks=2 python examples/two_processes.py
"""

import argparse
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import spatialjax as sj
from spatialjax.cities.sharded import shard_cities
from spatialjax.devices import gathered, initialize_distributed, own_part

jax.config.update("jax_enable_x64", True)

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--coordinator", help="host:port where process 0 listens")
parser.add_argument("--processes", type=int, help="how many there are")
parser.add_argument("--process", type=int, help="which this is, from 0")
parser.add_argument("--cities", type=int, default=40, help="the largest ones of the embedded data")
parser.add_argument("--save", help="file (.npz) for what process 0 finds")
options = parser.parse_args()

# Before anything is computed: from here on, jax.devices() has the devices of all processes.
process = initialize_distributed(options.coordinator, options.processes, options.process)


def say(text):
    """Print once, not once a process."""
    if process.number == 0:
        print(text, flush=True)


say(f"{process.of} processes, {jax.device_count()} devices")

# Every process builds the same economy, on its own device.
data = sj.load_data("us-metros")
size = data["employment"].sum(("occupation", "sector")).values
economy = sj.invert(data.isel(city=np.sort(np.argsort(-size)[: options.cities])), geography="stored")

# Scenarios: each process solves its own, and no two have to wait for each other before results are gathered.
strength = np.linspace(1.0, 0.0, 5)
spillovers = strength[:, None] * np.asarray(economy.spillover.size)
own = own_part(len(strength))
found = sj.solve_many(economy, {"spillover.size": spillovers[own]}, tolerance=1e-12)
scenarios = gathered(found, len(strength))
for part, values in zip(strength, scenarios.welfare, strict=True):
    say(f"externalities of {part:.2f} times their size: welfare {values.round(1)}")

# One economy, the last scenario: every device of every process holds the trade costs of some cities, and all processes
# solve it together.
last = eqx.tree_at(lambda e: e.spillover.size, economy, jnp.asarray(spillovers[-1]))
divided = shard_cities(last)
equilibrium = sj.solve(divided, tolerance=1e-12)
started = time.perf_counter()
jax.block_until_ready(sj.solve(divided, tolerance=1e-12).wage)
say(f"divided over {jax.device_count()} devices: {1e3 * (time.perf_counter() - started):.0f} ms")
difference = np.abs(equilibrium.wage / scenarios.wage[-1] - 1).max()
say(f"largest difference of a wage from what one process found: {difference:.0e}")

if options.save and process.number == 0:
    np.savez(options.save, welfare=scenarios.welfare, wage=scenarios.wage[-1], wage_divided=equilibrium.wage)
