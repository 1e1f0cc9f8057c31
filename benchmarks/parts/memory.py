"""What each task needs: peak memory and time from the start of a fresh process, imports and compilation included."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import jax

import spatialjax
from spatialjax import Economy

from ..cases import gradient_in_productivity, productivity_shocks, solve, without_externalities
from ..measuring import peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import Column, memory, name_cell, seconds, table

SCENARIOS = 16

TASKS: dict[str, Callable[[Economy], Any]] = {
    "inversion": lambda economy: economy,
    "inversion and a solve": lambda economy: solve(without_externalities(economy)),
    "inversion, a solve and its gradient": lambda economy: gradient_in_productivity(without_externalities(economy)),
    f"inversion and a batch of {SCENARIOS}": lambda economy: spatialjax.solve_many(
        economy, productivity_shocks(economy, SCENARIOS)
    ),
}


def run(setting: Setting) -> Row:
    """Each task in a process of its own."""
    rows = [in_own_process(measure_start, setting), *(in_own_process(measure_task, setting, name) for name in TASKS)]
    return {"cities": setting.data().sizes["city"], "rows": rows}


def measure_start(setting: Setting) -> Row:
    """Imports alone, and an array on the device."""
    began = perf_counter()
    jax.block_until_ready(jax.numpy.zeros(1))
    return {"name": "imports", "seconds": perf_counter() - began, **peak_memory()}


def measure_task(setting: Setting, name: str) -> Row:
    """One task, once."""
    began = perf_counter()
    jax.block_until_ready(TASKS[name](spatialjax.invert(setting.data())))
    return {"name": name, "seconds": perf_counter() - began, **peak_memory()}


def describe(part: Row, results: Row) -> list[str]:
    """One row a task."""
    columns: list[Column] = [
        ("in a fresh process", name_cell),
        ("time, compilation included", lambda r: seconds(r["seconds"])),
        ("peak memory", memory),
    ]
    return [*table(columns, part["rows"]), "", "The time does not include imports."]


PART = Part(lambda part: f"Memory: {part['cities']} cities", run, describe)
