"""Many solves that are hard: evaluations, times, which equilibrium is found, and how many directions grow there."""

from collections.abc import Iterator

from ..hard_cases import cases_of, hard_row, hard_table
from ..processes import PartError, in_own_process
from ..protocol import Part, Row, Setting
from ..report import last_line

NOTE = (
    "Economies inverted from the data are solved from 5% noise on every unknown, changed ones from the data, RRH's "
    "grid from a start that knows nothing of it, CP's countries from the equilibrium before. Eigenvalues of the "
    "reduced map above 1 are directions in which migration grows. 120 Arnoldi steps look for them; one counts if it is "
    "above 1 by more than the residual norm of its pair, which the last column has for the largest. Of more directions "
    "than 120 some may be missed. The last two cases need their authors' files (`--peers FOLDER`)."
)


def run(setting: Setting) -> Iterator[Row]:
    """Every case that can be made, in a process of its own; what is known after each."""
    rows: list[Row] = []
    for case in cases_of(setting):
        try:
            rows.append(in_own_process(hard_row, case.name, setting))
        except PartError as error:
            rows.append({"problem": case.name, "left_out": last_line(str(error))})
        yield {"rows": rows}


def describe(part: Row, results: Row) -> list[str]:
    """One row a case."""
    return [*hard_table(part["rows"]), "", NOTE]


PART = Part(lambda part: "Hard cases", run, describe)
