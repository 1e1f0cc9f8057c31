"""The floor of one evaluation: what the kernel of trade alone costs this device, as measured in the same run.

An evaluation multiplies the kernel (traded, city, origin) by one vector a sector, and its transpose by another. Both
products have to read it: 2 x 8 bytes a number, and 2 x 2 operations. What reading costs depends on whether the kernel
stays in a cache, so that bandwidth is measured on arrays as large as kernels are.
"""

from .protocol import Row

TRADED = 20
"""Traded sectors of the embedded data."""
BYTES_PER_NUMBER = 8
READS = 2
OPERATIONS = 4
"""Of a multiplication and an addition in each of two products."""


def kernel_bytes(cities: int, traded: int = TRADED) -> float:
    """Bytes of the stored kernel."""
    return float(BYTES_PER_NUMBER * traded * cities**2)


def evaluation_floor(results: Row, cities: int) -> float | None:
    """Seconds that reading the kernel twice takes on this device; None where its bandwidth was not measured."""
    bandwidths = results.get("floor", {}).get("bandwidth")
    if not bandwidths:
        return None
    size = kernel_bytes(cities)
    nearest = next((found for found in bandwidths if found["bytes"] >= 0.9 * size), bandwidths[-1])
    return READS * size / nearest["bytes_per_second"]


def batched_floor(results: Row, cities: int) -> float | None:
    """Seconds of arithmetic that one evaluation of one scenario of a large batch needs: its kernel products."""
    rate = results.get("floor", {}).get("operations_per_second")
    return OPERATIONS * TRADED * cities**2 / rate if rate else None
