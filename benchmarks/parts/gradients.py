"""Gradients of total welfare at the counterfactual without externalities, beside its solve."""

from collections.abc import Callable, Iterator
from typing import Any

import spatialjax
from spatialjax import Economy

from ..cases import gradient_in_productivity, gradient_in_spillover, total_welfare, with_zero_externalities
from ..measuring import measure, peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import Column, compile_cell, memory_line, name_cell, run_cell, seconds, table

Gradients = dict[str, Callable[[Economy], Any]]
GRADIENTS: Gradients = {
    "gradient in externalities": gradient_in_spillover,
    "gradient in fundamental productivity": gradient_in_productivity,
}


def run(setting: Setting) -> Row:
    """All in one process."""
    return in_own_process(measure_gradients, setting)


def measure_gradients(setting: Setting) -> Row:
    """The solve and both gradients."""
    economy = with_zero_externalities(spatialjax.invert(setting.data()))
    rows = list(gradient_rows(economy, setting, GRADIENTS))
    return {"cities": len(economy.labels.city), "rows": rows, **peak_memory()}


def gradient_rows(economy: Economy, setting: Setting, gradients: Gradients) -> Iterator[Row]:
    """The forward solve, and gradients with what they cost beyond it."""
    timed = {"repeats": setting.repeats, "time_limit": setting.limit}
    forward, _ = measure(lambda: total_welfare(economy), **timed)
    yield {"name": "forward solve", **forward.row()}
    for name, gradient in gradients.items():
        timing, _ = measure(lambda gradient=gradient: gradient(economy), **timed)
        adjoint = timing.median - forward.median
        ratio = adjoint / forward.median
        yield {"name": name, **timing.row(), "adjoint_seconds": adjoint, "adjoint_over_forward": ratio}


def adjoint_cell(row: Row) -> str:
    """The gradient's time beyond the forward solve's."""
    if "adjoint_seconds" not in row:
        return ""
    return f"{seconds(row['adjoint_seconds'])} ({row['adjoint_over_forward']:.2f} of the forward solve)"


def describe(part: Row, results: Row) -> list[str]:
    """One row a gradient."""
    columns: list[Column] = [
        ("", name_cell),
        ("run", run_cell),
        ("compile", compile_cell),
        ("adjoint alone", adjoint_cell),
    ]
    return [
        *table(columns, part["rows"]),
        "",
        f"Adjoint alone: the gradient's time less the forward solve's, and their ratio. {memory_line(part)}",
    ]


PART = Part(lambda part: f"Gradients of total welfare, without externalities: {part['cities']} cities", run, describe)
