"""Devices and processes: how work is divided over them. Knows no economics.

One economy is divided over devices by [`shard_cities`][], many scenarios by [`over_devices`][]. Several processes
become one computation by [`initialize_distributed`][], or share scenarios without talking to each other
([`process_from_environment`][], [`own_part`][]).
"""

from spatialjax.devices.lanes import over_devices
from spatialjax.devices.meshes import DeviceError, Devices, DeviceWarning, mesh_over, replicate
from spatialjax.devices.parts import gathered, own_part
from spatialjax.devices.processes import Process, initialize_distributed, process_from_environment

__all__ = [
    "DeviceError",
    "DeviceWarning",
    "Devices",
    "Process",
    "gathered",
    "initialize_distributed",
    "mesh_over",
    "over_devices",
    "own_part",
    "process_from_environment",
    "replicate",
]
