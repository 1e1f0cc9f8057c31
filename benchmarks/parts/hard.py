"""Solves where damped iterations and Newton's method get into trouble: one beside the baselines, and many."""

import spatialjax

from ..cases import perturbed
from ..comparison import NOTE, compare, comparison_table
from ..hard_cases import hard_rows, hard_table
from ..measuring import peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import memory_line

CASES_NOTE = (
    "Economies inverted from the data are solved from 5% noise on every unknown, changed ones from the data, RRH's "
    "grid from a start that knows nothing of it, CP's countries from the equilibrium before. Eigenvalues of the "
    "reduced map above 1 are directions in which migration grows: at least so many, found in 120 Arnoldi steps. The "
    "last two cases need their authors' files (`--peers FOLDER`)."
)
STRENGTH = 1.6
START = 0.05
"""Standard deviation of the noise on every log unknown."""
BASELINE_LIMIT = 10.0
"""Seconds that a baseline may take here: none is expected to arrive."""


def run(setting: Setting) -> Row:
    """The comparison in one process, the other cases in another."""
    compared = in_own_process(measure_hard, setting)
    return {**compared, "cases": in_own_process(measure_cases, setting)["cases"]}


def measure_cases(setting: Setting) -> Row:
    """Every hard case that can be made."""
    return {"cases": list(hard_rows(setting))}


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
    """One row a solver, and one a case."""
    table = comparison_table(part["rows"], part["cities"], results)
    note = f"{NOTE} A baseline is stopped after {BASELINE_LIMIT:g} s. {memory_line(part)}"
    return [*table, "", note, "", *hard_table(part["cases"]), "", CASES_NOTE]


PART = Part(lambda part: f"Strong externalities: {part['cities']} cities", run, describe)
