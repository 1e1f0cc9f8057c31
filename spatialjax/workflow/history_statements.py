"""Statements of CH section 8, and whether they hold in a decomposition of the steps of CH Table 3."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.history import Decomposition
from spatialjax.cities.history_outcomes import Positions
from spatialjax.cities.history_table import WelfareTable
from spatialjax.cities.history_technology import LOCAL, OCCUPATIONS, REAL_ESTATE, SKILL_BIASED
from spatialjax.cities.outcomes import OccupationPair
from spatialjax.errors import ModelError
from spatialjax.workflow.statement import Statement, table_of

SOURCE = "CH section 8"
MORE = 1.5
"""By how much the gain of the optimum is larger where real estate is as it was, at least."""


def history_statements(
    found: Mapping[bool, Decomposition], tables: Mapping[bool, WelfareTable], technology: pd.DataFrame
) -> pd.DataFrame:
    """What CH say of the change after 1980, the numbers that judge it, and whether it holds.

    It is said of the occupations that the decompositions compare. Empty for one occupation, other steps than those of
    CH Table 3, or without the decomposition without externalities.

    **Arguments:**

    - `found`, `tables`: with externalities (True) and without (False).
    - `technology`: by city, `technology_change` and `real_estate_change`.
    """
    steps = {SKILL_BIASED, OCCUPATIONS, LOCAL, REAL_ESTATE}
    complete = set(found) == {True, False} and steps <= set(found[True].steps)
    if not complete or found[True].compared is None:
        return table_of([])
    return table_of([*_of_welfare(found), *_of_places(found[True], technology), *_of_optima(found[True], tables[True])])


def _of_welfare(found: Mapping[bool, Decomposition]) -> Iterator[Statement]:
    def added(external: bool, step: str) -> np.ndarray:
        return found[external].contributions["log_welfare"][found[external].steps.index(step)][list(positions)]

    (first, second), positions = _compared(found[True])
    for who, value, rises in (
        (first, added(False, OCCUPATIONS)[0], False),
        (second, added(False, OCCUPATIONS)[1], True),
    ):
        yield Statement.of_sign(
            SOURCE,
            f"without externalities {who} workers {'gain' if rises else 'lose'} from the change of occupational shares",
            f"log welfare of {who}",
            value,
            rises,
        )
    yield Statement.of_sign(
        SOURCE,
        "with externalities both gain from it",
        "log welfare, smaller of two",
        added(True, OCCUPATIONS).min(),
        True,
    )
    yield Statement.of_sign(
        SOURCE,
        "local technology raises the welfare of both",
        "log welfare, smaller of two",
        added(True, LOCAL).min(),
        True,
    )
    yield Statement.of_sign(
        SOURCE,
        "the change in real estate lowers the welfare of both",
        "log welfare, larger of two",
        added(True, REAL_ESTATE).max(),
        False,
    )
    yield Statement.of_sign(
        SOURCE,
        "without externalities it raises the welfare of both",
        "log welfare, smaller of two",
        added(False, REAL_ESTATE).min(),
        True,
    )


def _of_places(found: Decomposition, technology: pd.DataFrame) -> Iterator[Statement]:
    share = _share(found, 1 + found.steps.index(SKILL_BIASED))
    first = _compared(found)[0][0]
    for column, what, rises in (
        ("technology_change", "technology grew more", True),
        ("real_estate_change", "productivity of real estate grew less", False),
    ):
        value = np.corrcoef(share, technology[column].to_numpy(float))[0, 1]
        yield Statement.of_sign(
            SOURCE, f"{what} where the {first} share was large", "correlation over cities", value, rises
        )
    values = found.values.get("share_dispersion")
    if values is not None:
        ratio = float(values[-1] / values[1 + found.steps.index(SKILL_BIASED)])
        yield Statement(
            SOURCE,
            f"shares of {first} differ more between cities than before",
            "standard deviation over workers, over that in the Baseline",
            ratio,
            ratio > 1,
        )


def _of_optima(found: Decomposition, table: WelfareTable) -> Iterator[Statement]:
    if len(table.optima) < 2 or not all(best.found for best in table.optima):
        return
    best, without = table.optima
    ratio = float(without.gain[0] / best.gain[0])
    yield Statement(
        SOURCE,
        "the optimum gains more than 50 percent more with real estate as in 1980",
        "gain over the gain of the target's optimum",
        ratio,
        ratio > MORE,
    )
    optimal = _share_in(best.equilibrium, found)
    now, before = _share(found, -1), _share(found, 1 + found.steps.index(SKILL_BIASED))
    value = np.corrcoef(now - before, optimal - now)[0, 1]
    yield Statement.of_sign(
        SOURCE, "the change was in the direction of the optimum", "correlation of changes of the share", value, True
    )


def _share(found: Decomposition, stage: int) -> np.ndarray:
    return _share_in(found.stages[stage], found)


def _share_in(equilibrium: Equilibrium, found: Decomposition) -> np.ndarray:
    """Share of the first of the compared occupations in each city."""
    employment = np.asarray(equilibrium.employment)
    return employment[:, _compared(found)[1][0]] / employment.sum(1)


def _compared(found: Decomposition) -> tuple[OccupationPair, Positions]:
    """Names and positions of the occupations that a decomposition compares, which it does here."""
    if found.compared is None or found.compared_positions is None:
        raise ModelError("these statements compare two occupations, found one")
    return found.compared, found.compared_positions
