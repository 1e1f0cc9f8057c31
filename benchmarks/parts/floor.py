"""What this device can do at most: bandwidth, multiplications, exponentials; and what one evaluation asks of it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

import spatialjax
from spatialjax.cities.market_clearing import excess

from ..cases import system_of
from ..floors import OPERATIONS, READS, evaluation_floor, kernel_bytes
from ..measuring import measure, peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import Column, memory_line, name_cell, seconds, table

SIZES = (100, 382, 1500)
"""Cities whose kernels are as large as the arrays that are read."""
COLUMNS = 1024
MOST_READ = 2**30
"""Bytes that a loop of reads goes through, at least once."""
MATRIX = {"cpu": 2048, "gpu": 8192}
"""Rows of the square matrices that are multiplied."""
NUMBERS = 2**22
"""Numbers whose exponentials are taken."""


def run(setting: Setting) -> Row:
    """The device's rates, then the work of one evaluation."""
    return in_own_process(measure_floor, setting)


def measure_floor(setting: Setting) -> Row:
    """Rates are of the fastest repeat: a floor is what is possible."""
    sizes = SIZES[:1] if setting.quick else SIZES
    rows = 256 if setting.quick else MATRIX.get(jax.default_backend(), max(MATRIX.values()))
    return {
        "bandwidth": [bandwidth(kernel_bytes(cities), setting) for cities in sizes],
        "matrix_rows": rows,
        "operations_per_second": 2 * rows**3 / fastest(multiply, jnp.ones((rows, rows)), setting),
        "exponentials_per_second": NUMBERS / fastest(exponentials, jnp.linspace(0.0, 1.0, NUMBERS), setting),
        "evaluation": evaluation_work(setting),
        **peak_memory(),
    }


multiply = jax.jit(lambda matrix: matrix @ matrix)
exponentials = jax.jit(jnp.exp)


def fastest(call: Callable[[Array], Array], argument: Array, setting: Setting) -> float:
    """Seconds of the fastest call."""
    timing, _ = measure(lambda: call(argument), repeats=setting.repeats, time_limit=setting.limit)
    return timing.minimum


def bandwidth(size: float, setting: Setting) -> Row:
    """Bytes a second at which a matrix of this many bytes is read, again and again, by products with a vector."""
    matrix = jnp.ones((max(int(size) // (8 * COLUMNS), 1), COLUMNS))
    reads = max(int(MOST_READ // matrix.nbytes), 1)

    @jax.jit
    def read(matrix: Array) -> Array:
        """The carried number keeps the compiler from reading once for all."""
        return jax.lax.fori_loop(0, reads, lambda _, x: 1e-9 * (matrix @ jnp.full(COLUMNS, x)).max(), jnp.ones(()))

    return {"bytes": matrix.nbytes, "bytes_per_second": reads * matrix.nbytes / fastest(read, matrix, setting)}


def evaluation_work(setting: Setting) -> Row:
    """Operations of one evaluation, by the compiler's count of the program that it makes of it."""
    economy = spatialjax.invert(setting.data())
    compiled = jax.jit(excess).lower(economy.reference, system_of(economy)).compile()
    counted = compiled.cost_analysis() or {}
    counted = counted[0] if isinstance(counted, list) else counted
    cities, traded = len(economy.labels.city), len(economy.traded)
    return {
        "cities": cities,
        "kernel_bytes": READS * kernel_bytes(cities, traded),
        "kernel_operations": OPERATIONS * traded * cities**2,
        "operations": counted.get("flops"),
        "bytes": counted.get("bytes accessed"),
        "exponentials": counted.get("transcendentals"),
    }


def describe(part: Row, results: Row) -> list[str]:
    """Rates, and the floor that they set to one evaluation."""
    columns: list[Column] = [("", name_cell), ("rate", lambda r: r["rate"])]
    work = part["evaluation"]
    floor = evaluation_floor(results, work["cities"])
    kernel = f"{work['kernel_bytes'] / 1e6:.1f} MB and {work['kernel_operations'] / 1e6:.1f} million operations"
    counted = "; ".join(
        f"{work[key] / 1e6:.2f} {unit}"
        for key, unit in (
            ("operations", "million operations"),
            ("bytes", "MB of arguments and intermediate results"),
            ("exponentials", "million exponentials, logarithms and powers"),
        )
        if work[key] is not None
    )
    return [
        *table(columns, _rates(part)),
        "",
        f"One evaluation at {work['cities']} cities has to read its kernel twice, {kernel}: "
        f"{seconds(floor) if floor else 'unknown'} at the bandwidth above, the floor that other tables refer to. The "
        f"compiler counts, in the whole evaluation: {counted or 'nothing'}. {memory_line(part)}",
    ]


def _rates(part: Row) -> list[Row]:
    reads = [
        {
            "name": f"reading {found['bytes'] / 1e6:,.1f} MB again and again",
            "rate": f"{found['bytes_per_second'] / 1e9:,.0f} GB/s",
        }
        for found in part["bandwidth"]
    ]
    rows = part["matrix_rows"]
    return [
        *reads,
        {"name": f"multiplying matrices of {rows} rows", "rate": f"{part['operations_per_second'] / 1e9:,.0f} GFLOP/s"},
        {"name": "exponentials", "rate": f"{part['exponentials_per_second'] / 1e6:,.0f} million a second"},
    ]


PART = Part(lambda _: "The device, and the floor of one evaluation", run, describe)
