"""Several processes: which one this is, and how they become one computation.

JAX's own runtime is the distributed engine: after [`initialize_distributed`][] the devices of all processes are in
`jax.devices()`, and every process runs the same program.
"""

import os
import socket
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from spatialjax.devices.meshes import DeviceError

COORDINATOR, PROCESSES, PROCESS = "SPATIALJAX_COORDINATOR", "SPATIALJAX_PROCESSES", "SPATIALJAX_PROCESS"
SLURM_PROCESSES, SLURM_PROCESS = "SLURM_NTASKS", "SLURM_PROCID"
GRACE = 60
"""Seconds for which JAX waits longer than `timeout`: where it gives up, it ends the process without an exception."""


class Process(NamedTuple):
    """Which process this is, counted from zero, and how many there are."""

    number: int
    of: int


def initialize_distributed(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    *,
    local_devices: Sequence[int] | None = None,
    timeout: int = 300,
) -> Process:
    """Join the processes of one computation (`jax.distributed.initialize`), and wait until all have.

    To be called before anything is computed. What says who this process is, in this order: the arguments; the
    environment variables SPATIALJAX_COORDINATOR, SPATIALJAX_PROCESSES and SPATIALJAX_PROCESS; a cluster that JAX knows
    (SLURM, Open MPI, Kubernetes, Cloud TPU), where `srun python program.py` needs neither. On the CPU processes talk
    through Gloo, on GPUs through NCCL.

    **Arguments:**

    - `coordinator`: where process 0 listens, "host:port"; the host as the other processes see it, the port any
      that is free.
    - `processes`: how many there are. `process`: which this is, from 0.
    - `local_devices`: which of the devices that this process sees it takes. By default all, but under SLURM and
      Open MPI the one with its number on the node.
    - `timeout`: seconds until all have to be there.

    **Raises:** `DeviceError` where only some of the three are given, where nothing says who this process is, where
    JAX has already computed something or been initialised, where the port is in use, and where not all
    processes are there in time.
    """
    if jax.distributed.is_initialized():
        raise DeviceError("this process has already joined the others: call initialize_distributed once")
    given = _given(coordinator, processes, process)
    options: dict[str, Any] = {"local_device_ids": local_devices}
    if given is not None:
        address, who = given
        _check_address(address, listens=who.number == 0)
        options |= {
            "coordinator_address": address,
            "num_processes": who.of,
            "process_id": who.number,
            "cluster_detection_method": "deactivate",
        }
    _configure()
    _join(options, timeout)
    return Process(jax.process_index(), jax.process_count())


def process_from_environment() -> Process:
    """Which process this is, by SPATIALJAX_PROCESS and SPATIALJAX_PROCESSES or under SLURM's `srun`.

    Nothing is connected: processes that share scenarios by [`own_part`][] can end, fail and start again on their own.

    **Raises:** `DeviceError` where the environment does not say.
    """
    for names in ((PROCESS, PROCESSES), (SLURM_PROCESS, SLURM_PROCESSES)):
        values = {name: os.environ[name] for name in names if name in os.environ}
        if len(values) == 2:
            return _checked(*(_whole_number(name, value) for name, value in values.items()))
        if values and names[0] == PROCESS:
            raise DeviceError(f"{_listed(values)} given without {_listed(set(names) - set(values))}: set both")
    raise DeviceError(
        f"the environment does not say which process this is: set {PROCESS} and {PROCESSES}, "
        "or start the program with SLURM's srun"
    )


def _given(coordinator: str | None, processes: int | None, process: int | None) -> tuple[str, Process] | None:
    """Who this process is by arguments and environment; None where neither says anything."""
    arguments = {COORDINATOR: coordinator, PROCESSES: processes, PROCESS: process}
    values = {name: os.environ.get(name) if value is None else value for name, value in arguments.items()}
    missing = [name for name, value in values.items() if value is None]
    if len(missing) == 3:
        return None
    if missing:
        raise DeviceError(
            f"coordinator, number of processes and process belong together, but {_listed(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not given: give all three, as arguments or in the environment"
        )
    who = _checked(_whole_number(PROCESS, values[PROCESS]), _whole_number(PROCESSES, values[PROCESSES]))
    return str(values[COORDINATOR]), who


def _whole_number(name: str, value: Any) -> int:
    try:
        return int(value)
    except ValueError:
        raise DeviceError(f"{name} must be a whole number, found {value!r}") from None


def _checked(number: int, of: int) -> Process:
    if not 0 <= number < of:
        raise DeviceError(f"processes are counted from 0: there is no process {number} of {of}")
    return Process(number, of)


def _listed(names: Any) -> str:
    return " and ".join(sorted(names))


def _check_address(address: str, listens: bool) -> None:
    """Refuse an address that is none, and a port that is in use: JAX would end the process without a word."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise DeviceError(f"the coordinator must be host:port, such as node001:9911, found {address!r}")
    if not listens:
        return
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as JAX does: a port just left is free
        try:
            probe.bind(("", int(port)))
        except OSError as error:
            raise DeviceError(f"process 0 cannot listen on port {port} ({error.strerror}): choose another") from None


def _configure() -> None:
    if not jax.config.values.get("jax_cpu_collectives_implementation"):
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # JAX would keep SIGTERM from ending the process, for programs that write checkpoints when it comes.
    if "jax_enable_preemption_service" in jax.config.values:
        jax.config.update("jax_enable_preemption_service", False)


def _join(options: dict[str, Any], timeout: int) -> None:
    """Call JAX in a thread: where others do not come, JAX ends the process instead of raising."""
    failure: list[Exception] = []

    def initialize() -> None:
        try:
            jax.distributed.initialize(**options, initialization_timeout=timeout + GRACE)
        except Exception as error:
            failure.append(error)

    joining = threading.Thread(target=initialize, daemon=True)
    joining.start()
    joining.join(timeout)
    if joining.is_alive():
        raise DeviceError(f"after {timeout} seconds not all processes are there: {_who(options)}")
    if failure:
        raise DeviceError(_reason(failure[0])) from failure[0]


def _who(options: dict[str, Any]) -> str:
    if "process_id" not in options:
        return "under SLURM, start the program with srun, so that there are as many processes as tasks"
    return (
        f"this is process {options['process_id']} of {options['num_processes']}, with process 0 at "
        f"{options['coordinator_address']}. Start them all, with the same address, which all of them can reach"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError):
        return (
            f"nothing says which process this is ({error}): give coordinator, processes and process, "
            f"set {COORDINATOR}, {PROCESSES} and {PROCESS}, or start the program with SLURM's srun"
        )
    if "must be called before" in str(error):
        return "JAX has already computed something in this process: call initialize_distributed before anything else"
    return f"the processes could not be joined: {error}"
