"""Devices and processes: what they find together is what one finds alone."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import random_economy
from jax.sharding import AxisType

from spatialjax.cities.sharded import gather_cities, shard_cities
from spatialjax.cities.simple_kernels import FreeTrade
from spatialjax.devices import (
    DeviceError,
    Process,
    gathered,
    initialize_distributed,
    mesh_over,
    over_devices,
    own_part,
    process_from_environment,
)
from spatialjax.errors import ModelError

HERE = Path(__file__).parent
EXACT = 1e-12
FLAGS = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
"""Without fused loops, programs that run for milliseconds compile in half the time."""
SLURM_PORTS = range(61440, 65536)
"""Those from which JAX chooses by the job's number."""
OWN_VARIABLES = ("SLURM_", "SPATIALJAX_", "OMPI_", "XLA_FLAGS")


def environment(devices=1, **variables):
    """That of this process, with so many devices on the CPU, and nothing that says which process it is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
    flags = f"{FLAGS} --xla_force_host_platform_device_count={devices}"
    return kept | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "PYTHONPATH": str(HERE)} | variables


def start(*command, **options):
    return subprocess.Popen(
        [sys.executable, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def output(process, seconds=300):
    out, err = process.communicate(timeout=seconds)
    assert process.returncode == 0, err
    return out


def free_port(candidates=(0,)):
    """A port that nobody listens on: any, or the first free one of these."""
    for port in candidates:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return probe.getsockname()[1]
    raise OSError("no port is free")


@pytest.fixture(scope="module")
def four_devices():
    process = start(HERE / "on_four_devices.py", env=environment(4))
    try:
        return json.loads(output(process, 150).splitlines()[-1])
    except subprocess.TimeoutExpired:
        process.kill()
        if (os.cpu_count() or 1) > 4:
            raise
        pytest.skip("four devices on fewer cores waited for ever, as jaxlib 0.10 can (docs/devices.md)")


def test_importing_the_library_starts_no_device(four_devices):
    assert four_devices["started by importing"] is False


def test_more_devices_than_cores_are_warned_of(four_devices):
    (warning,) = four_devices["warnings"]
    assert "4 devices of this process share" in warning


def test_an_economy_over_four_devices_is_the_same_economy(four_devices):
    assert four_devices["parts"] == [2, 2, 2, 2]
    for what in ("kernel", "gathered", "dearer", "own cost", "shares"):
        assert four_devices[what] < EXACT, what


def test_its_solution_is_that_of_one_device(four_devices):
    assert four_devices["solution"] < EXACT
    assert four_devices["evaluations"][0] == four_devices["evaluations"][1] > 10
    assert four_devices["whole everywhere"]


def test_its_derivatives_are_those_of_one_device(four_devices):
    assert four_devices["gradient"] < EXACT
    assert four_devices["size of the gradient in costs"] > 1e-3


def test_its_stability_is_that_of_one_device(four_devices):
    assert four_devices["stability"] < 1e-9


def test_its_optimum_is_one_of_the_economy_in_one_piece(four_devices):
    assert four_devices["optimum"]
    assert four_devices["optimum in one piece"] < 1e-11


def test_scenarios_over_four_devices_are_those_of_one(four_devices):
    assert four_devices["solved scenarios"] == 6
    assert four_devices["scenarios"] < EXACT


def test_lanes_that_devices_do_not_divide_end_one_by_one(four_devices):
    assert four_devices["steps of lanes"] == [0, 1, 2, 3, 4, 5]
    assert four_devices["devices of lanes"] == 4
    assert four_devices["slope"] < EXACT


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """The example, told who it is by arguments in one process and by the environment in the other."""
    saved = tmp_path_factory.mktemp("two") / "found.npz"
    command = (HERE.parent / "examples" / "two_processes.py", "--cities", 5)
    address = f"localhost:{free_port()}"
    by_hand = ("--coordinator", address, "--processes", 2, "--process", 0, "--save", saved)
    named = {"SPATIALJAX_COORDINATOR": address, "SPATIALJAX_PROCESSES": "2", "SPATIALJAX_PROCESS": "1"}
    started = [start(*command, *by_hand, env=environment()), start(*command, env=environment(**named))]
    said = [output(process) for process in started]
    with np.load(saved) as arrays:
        return said, dict(arrays)


def test_two_processes_solve_one_economy_together(two_processes):
    said, found = two_processes
    assert "2 processes, 2 devices" in said[0]
    np.testing.assert_allclose(found["wage_divided"], found["wage"], rtol=EXACT)


def test_two_processes_share_scenarios_and_gather_them_in_order(two_processes):
    said, found = two_processes
    assert found["welfare"].shape == (5, 2)
    assert (np.diff(found["welfare"], axis=0) < 0).all()  # externalities shrink from scenario to scenario
    assert "welfare" not in said[1]


def test_a_process_knows_itself_by_slurms_environment_and_ends_when_told_to():
    code = """
import jax, spatialjax, time
from spatialjax.devices import *
print(tuple(initialize_distributed(timeout=30)), tuple(process_from_environment()), flush=True)
try:
    initialize_distributed()
except DeviceError as error:
    print(error, flush=True)
time.sleep(60)
"""
    port = free_port(SLURM_PORTS)
    slurm = {
        "JOB_ID": str(port - SLURM_PORTS.start),
        "STEP_NODELIST": "localhost",
        "NTASKS": "1",
        "PROCID": "0",
        "LOCALID": "0",
    }
    process = start("-c", code, env=environment(**{f"SLURM_{name}": value for name, value in slurm.items()}))
    assert process.stdout.readline() == "(0, 1) (0, 1)\n"
    assert "already joined" in process.stdout.readline()
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM


def test_a_process_that_nobody_joins_is_told_so():
    code = f"""
import spatialjax
from spatialjax.devices import *
for arguments in ((), ("localhost:{free_port()}", 2, 0)):
    try:
        initialize_distributed(*arguments, timeout=1)
    except DeviceError as error:
        print(error, flush=True)
"""
    nobody, alone = output(start("-c", code, env=environment())).splitlines()
    assert "nothing says which process this is" in nobody
    assert "after 1 seconds not all processes are there: this is process 0 of 2" in alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("localhost:9911", 2, None), "SPATIALJAX_PROCESS is not given"),
        ((None, None, 0), "SPATIALJAX_COORDINATOR and SPATIALJAX_PROCESSES are not given"),
        (("localhost:9911", 2, 2), "no process 2 of 2"),
        (("localhost", 2, 1), "host:port"),
        (("localhost:9911", "two", 1), "SPATIALJAX_PROCESSES must be a whole number, found 'two'"),
        (("localhost:9911", 2, 1), "JAX has already computed something"),
    ],
)
def test_processes_that_cannot_be_joined_are_refused(arguments, message):
    jnp.zeros(()).block_until_ready()
    with pytest.raises(DeviceError, match=message):
        initialize_distributed(*arguments)


def test_a_port_in_use_is_refused():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(DeviceError, match="cannot listen on port"):
            initialize_distributed(f"localhost:{taken.getsockname()[1]}", 2, 0)


def test_the_environment_says_which_process_this_is(monkeypatch):
    for name in ("SPATIALJAX_PROCESS", "SPATIALJAX_PROCESSES", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DeviceError, match="does not say which process this is"):
        process_from_environment()
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert process_from_environment() == Process(3, 4)
    monkeypatch.setenv("SPATIALJAX_PROCESS", "1")
    with pytest.raises(DeviceError, match="SPATIALJAX_PROCESS given without SPATIALJAX_PROCESSES"):
        process_from_environment()
    monkeypatch.setenv("SPATIALJAX_PROCESSES", "2")
    assert process_from_environment() == Process(1, 2)


def test_parts_cover_all_scenarios_once():
    parts = [own_part(7, Process(number, 3)) for number in range(3)]
    assert sorted(index for part in parts for index in part) == list(range(7))
    assert list(own_part(7)) == list(range(7))


def test_results_that_are_not_those_of_the_own_part_are_refused():
    found = {"wage": jnp.arange(6.0).reshape(3, 2)}
    np.testing.assert_array_equal(gathered(found, 3)["wage"], found["wage"])
    with pytest.raises(DeviceError, match=r"has 4 of 4 scenarios, but results\['wage'\] has shape \(3, 2\)"):
        gathered(found, 4)


def scaled(shared, lanes):
    return {"value": jax.vmap(lambda x: (shared["a"] * jnp.sin(x)).sum())(lanes["x"]), "named": "scaled"}


def summed(shared, lanes):
    return lanes["x"].sum()


def test_lanes_over_devices_are_differentiable():
    shared, lanes = {"a": jnp.arange(3.0), "rule": "fixed"}, {"x": jnp.arange(15.0).reshape(5, 3)}
    mesh = jax.make_mesh((1,), ("lane",), axis_types=(AxisType.Explicit,))
    divided = over_devices(scaled, mesh, "lane")
    assert divided(shared, lanes)["named"] == "scaled"
    gradients = [
        eqx.filter_grad(lambda both, f=f: (f(*both)["value"] ** 2).sum())((shared, lanes)) for f in (scaled, divided)
    ]
    for one, other in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(one, other, rtol=EXACT)


@pytest.mark.parametrize(
    ("function", "lanes", "message"),
    [
        (scaled, {"x": jnp.zeros((5, 3)), "y": jnp.zeros(4)}, r"found 5 in \['x'\], 4 in \['y'\]"),
        (scaled, {}, "found no arrays"),
        (summed, {"x": jnp.zeros((5, 3))}, r"for 5 lanes what it returns has shape \(\)"),
    ],
)
def test_what_has_no_lanes_is_refused(function, lanes, message):
    with pytest.raises(DeviceError, match=message):
        over_devices(function)({"a": jnp.zeros(3)}, lanes)


def test_meshes_and_economies_that_cannot_be_divided_are_refused():
    economy = random_economy()
    with pytest.raises(DeviceError, match="has axes 'place', but none called 'city'"):
        shard_cities(economy, jax.make_mesh((1,), ("place",)))
    with pytest.raises(DeviceError, match="devices must be a mesh or a list of devices"):
        mesh_over([], "city")
    divided = shard_cities(economy)
    with pytest.raises(DeviceError, match="already divided over the axis 'city' of 1 devices"):
        shard_cities(divided)
    with pytest.raises(DeviceError, match="not divided"):
        gather_cities(economy)
    with pytest.raises(DeviceError, match="is traced"):
        jax.eval_shape(lambda land: shard_cities(eqx.tree_at(lambda e: e.land, economy, land)).land, economy.land)
    free = eqx.tree_at(lambda e: e.log_iceberg_cost, economy, FreeTrade(jnp.zeros(()), 5, 4))
    with pytest.raises(DeviceError, match="is a FreeTrade"):
        shard_cities(free)
    with pytest.raises(ModelError, match="nobody who produces"):
        shard_cities(eqx.tree_at(lambda e: e.log_iceberg_cost, economy, economy.log_iceberg_cost.at[0, 2].set(jnp.inf)))
