"""Wall-clock time apart from compilation, peak memory, and what they were measured on."""

import os
import platform
import resource
import statistics
import sys
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any, NamedTuple

import jax

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "equinox", "spatialjax")
RECORDED = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "XLA_FLAGS",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
    "JAX_PLATFORMS",
)
"""Environment variables that are kept with what was measured."""


class Timing(NamedTuple):
    """Seconds a call takes: the first call includes compilation, the median and minimum do not."""

    first: float
    median: float
    minimum: float
    maximum: float
    repeats: int

    def row(self, per: int = 1) -> dict[str, Any]:
        """The timing as a dictionary, run time divided by `per` iterations within a call."""
        return {
            "compile_seconds": max(self.first - self.median, 0.0),
            "median_seconds": self.median / per,
            "minimum_seconds": self.minimum / per,
            "maximum_seconds": self.maximum / per,
            "repeats": self.repeats,
        }


def measure(
    call: Callable[[], Any], *, repeats: int, time_limit: float = 60.0, warm_up: bool = True
) -> tuple[Timing, Any]:
    """Time `call`, and return its result too.

    It is called once to compile and then `repeats` times, or fewer, but at least once, where these
    would take longer than `time_limit` seconds. Without `warm_up` the first call counts, and where nothing is
    compiled one long call is enough.
    """
    first, result = _timed(call)
    seconds: list[float] = [] if warm_up else [first]
    while len(seconds) < repeats and (not seconds or sum(seconds) + seconds[-1] <= time_limit):
        elapsed, result = _timed(call)
        seconds.append(elapsed)
    return Timing(first, statistics.median(seconds), min(seconds), max(seconds), len(seconds)), result


def once(elapsed: float) -> dict[str, Any]:
    """What was timed once, as the row of a timing, compilation apart."""
    return {"median_seconds": elapsed, "minimum_seconds": elapsed, "maximum_seconds": elapsed, "repeats": 1}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = perf_counter()
    result = jax.block_until_ready(call())
    return perf_counter() - began, result


def peak_memory() -> dict[str, float | None]:
    """Peak memory of this process so far, and of its accelerator where it counts its own, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    statistics_ = jax.devices()[0].memory_stats() or {}
    on_device = statistics_.get("peak_bytes_in_use")
    return {
        "peak_resident_mib": resident / 2**20,
        "peak_device_mib": None if on_device is None else on_device / 2**20,
    }


def free_memory() -> float:
    """Bytes that a process can still take here, of this machine and of its accelerator: the smaller of the two."""
    host = _free_host_memory()
    statistics_ = jax.devices()[0].memory_stats() or {}
    limit = statistics_.get("bytes_limit")
    return host if limit is None else min(host, limit - statistics_.get("bytes_in_use", 0))


def _free_host_memory() -> float:
    try:
        with open("/proc/meminfo") as lines:
            kib = next(line.split()[1] for line in lines if line.startswith("MemAvailable"))
        return 1024.0 * int(kib)
    except (OSError, StopIteration):
        return float("inf")


def machine() -> dict[str, Any]:
    """What the measurements were made on."""
    device = jax.devices()[0]
    return {
        "platform": device.platform,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu_model(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "float64": bool(jax.config.read("jax_enable_x64")),
        "load_average_at_start": os.getloadavg()[0],
        **{package: import_module(package).__version__ for package in PACKAGES},
        **{name: os.environ[name] for name in RECORDED if name in os.environ},
    }


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
