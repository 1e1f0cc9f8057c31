"""Solves beside the baselines: without externalities, and with those of CH from perturbed starts."""

import spatialjax

from ..cases import perturbed, without_externalities
from ..comparison import NOTE, compare, comparison_table
from ..measuring import peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import memory_line

STARTS = (0.05, 0.2)
"""Standard deviations of the noise on every log unknown from which economies with externalities start."""


def run(setting: Setting) -> Row:
    """All in one process."""
    return in_own_process(measure_counterfactuals, setting)


def measure_counterfactuals(setting: Setting) -> Row:
    """Every problem by every solver."""
    economy = spatialjax.invert(setting.data())
    cases = [("no externalities, from the data", without_externalities(economy), economy.reference)]
    for size in STARTS:
        start = perturbed(economy.reference, size)
        cases.append((f"CH externalities, from {size:.0%} noise", economy, start))
    rows = [row for name, case, start in cases for row in compare(name, case, start, setting)]
    return {"cities": len(economy.labels.city), "rows": rows, **peak_memory()}


def describe(part: Row, results: Row) -> list[str]:
    """One row for each problem and solver."""
    return [*comparison_table(part["rows"], part["cities"], results), "", f"{NOTE} {memory_line(part)}"]


PART = Part(lambda part: f"Solves: {part['cities']} cities", run, describe)
