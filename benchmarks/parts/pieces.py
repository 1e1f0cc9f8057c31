"""Inversion, and what one step of the solver consists of."""

import jax.numpy as jnp

import spatialjax

from ..cases import (
    ITERATIONS,
    local_inverse_at,
    repeat_evaluations,
    repeat_kernel_products,
    system_of,
    unit_cost_step,
)
from ..floors import evaluation_floor
from ..measuring import measure, peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import Column, compile_cell, memory_line, name_cell, run_cell, seconds, table


def run(setting: Setting) -> Row:
    """All in one process."""
    return in_own_process(measure_pieces, setting)


def measure_pieces(setting: Setting) -> Row:
    """Inversion, kernel products, evaluations, the local inverse."""
    data = setting.data()
    repeats = setting.repeats
    inversion, economy = measure(lambda: spatialjax.invert(data), repeats=repeats)
    unit_costs, scaling = measure(unit_cost_step(data, economy), repeats=repeats)
    system, state, step = system_of(economy), economy.reference, jnp.asarray(1e-3)
    products, _ = measure(lambda: repeat_kernel_products(system), repeats=repeats)
    evaluations, _ = measure(lambda: repeat_evaluations(system, state, step), repeats=repeats)
    inverse, _ = measure(lambda: local_inverse_at(system, state), repeats=repeats)
    return {
        "cities": data.sizes["city"],
        "sectors": data.sizes["sector"],
        "rows": [
            {"name": "two kernel products", **products.row(ITERATIONS), "evaluations": 1},
            {"name": "one evaluation of every market", **evaluations.row(ITERATIONS), "evaluations": 1},
            {"name": "local inverse", **inverse.row()},
            {"name": "inversion: unit costs", **unit_costs.row(), "newton_steps": int(scaling.steps.max())},
            {"name": "inversion, whole", **inversion.row()},
        ],
        "evaluation_over_kernel_products": evaluations.median / products.median,
        **peak_memory(),
    }


def describe(part: Row, results: Row) -> list[str]:
    """One row a piece."""
    floor = evaluation_floor(results, part["cities"])
    columns: list[Column] = [
        ("", name_cell),
        ("run", run_cell),
        ("compile", compile_cell),
        ("floor", lambda r: seconds(floor) if floor and "evaluations" in r else ""),
        ("times the floor", lambda r: f"{r['median_seconds'] / floor:.1f}" if floor and "evaluations" in r else ""),
    ]
    ratio = part["evaluation_over_kernel_products"]
    return [
        *table(columns, part["rows"]),
        "",
        f"An evaluation takes {ratio:.2f} times its two kernel products. {memory_line(part)}",
    ]


PART = Part(lambda part: f"Pieces: {part['cities']} cities, {part['sectors']} sectors", run, describe)
