"""Externalities so strong that damped iterations and Newton's method fail: the library beside the baselines."""

import spatialjax

from ..cases import perturbed
from ..comparison import NOTE, compare, comparison_table
from ..measuring import peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import memory_line

STRENGTH = 1.6
START = 0.05
"""Standard deviation of the noise on every log unknown."""
BASELINE_LIMIT = 10.0
"""Seconds that a baseline may take here: none is expected to arrive."""


def run(setting: Setting) -> Row:
    """Measured in a process of its own."""
    return in_own_process(measure_hard, setting)


def measure_hard(setting: Setting) -> Row:
    """The library and the baselines, from one perturbed start."""
    ch = spatialjax.OccupationSpillover()
    spillover = spatialjax.OccupationSpillover(STRENGTH * ch.share, STRENGTH * ch.size)
    economy = spatialjax.invert(setting.data(), spillover=spillover)
    name = f"{STRENGTH:g} times CH's externalities, from {START:.0%} noise"
    setting = setting._replace(baseline_limit=min(setting.baseline_limit, BASELINE_LIMIT))
    rows = list(compare(name, economy, perturbed(economy.reference, START), setting))
    return {"cities": len(economy.labels.city), "rows": rows, **peak_memory()}


def describe(part: Row, results: Row) -> list[str]:
    """One row a solver."""
    table = comparison_table(part["rows"], part["cities"], results)
    note = f"{NOTE} A baseline is stopped after {BASELINE_LIMIT:g} s. {memory_line(part)}"
    return [*table, "", note]


PART = Part(lambda part: f"Strong externalities: {part['cities']} cities", run, describe)
