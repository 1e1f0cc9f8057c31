"""CH Table 3: welfare at each stage relative to the Baseline, at the optimum, and without one of the steps."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.history import Decomposition
from spatialjax.cities.history_outcomes import Positions
from spatialjax.cities.planner import Optimum, optimum
from spatialjax.errors import ModelError

Array = np.ndarray

PUBLISHED = {
    True: (
        (0.558, 0.765, 0.730),
        (0.708, 0.824, 0.859),
        (0.927, 1.081, 0.857),
        (1.000, 1.000, 1.000),
        (1.045, 1.058, 0.987),
        (1.066, 1.079, 0.988),
        (1.042, 1.060, 0.983),
        (1.039, 1.061, 0.980),
        (1.045, 1.067, 0.980),
        (1.054, 1.070, 0.985),
        (1.064, 1.081, 0.985),
    ),
    False: (
        (0.488, 0.643, 0.759),
        (0.790, 0.893, 0.885),
        (0.936, 1.057, 0.885),
        (1.000, 1.000, 1.000),
        (0.858, 1.110, 0.773),
        (0.852, 1.116, 0.763),
        (0.860, 1.129, 0.762),
        (0.861, 1.129, 0.762),
        (0.863, 1.132, 0.762),
        (0.846, 1.109, 0.763),
        (0.849, 1.112, 0.763),
    ),
}
"""CH Table 3, rows 1 to 11 (with externalities) and 12 to 22 (without): CNR, non-CNR, ratio."""
PUBLISHED_RATIO = {True: 1.911, False: 3.767}
"""CH Table 3: CNR over non-CNR welfare in the Baseline."""


@dataclass(frozen=True)
class WelfareTable:
    """The rows of CH Table 3 for one decomposition.

    - `rows`: names of the rows.
    - `relative`: welfare (row, occupation) over that at the Baseline stage; NaN where there is no certified optimum.
    - `compared`: positions of the occupations whose welfare `ratio` and `baseline_ratio` compare; None for one alone.
    - `baseline_ratio`: welfare of the first of them over that of the second at the Baseline stage.
    - `left_out`: equilibrium of the target without the step that is left out, if one is.
    - `optima`: of the target, and of the target without that step, where asked for; certified or not.
    """

    rows: tuple[str, ...]
    relative: Array
    compared: Positions | None
    baseline_ratio: float
    left_out: Equilibrium | None
    optima: tuple[Optimum, ...]

    def frame(self, occupations: tuple[str, ...], published: bool | None = None) -> pd.DataFrame:
        """A row a row of the table: welfare by occupation, and the ratio of those compared.

        `published` adds CH's numbers, with externalities (True) or without (False).
        """
        frame = pd.DataFrame(self.relative, columns=list(occupations), index=pd.Index(self.rows, name="row"))
        if self.compared is not None:
            first, second = self.compared
            frame["ratio"] = frame.iloc[:, first] / frame.iloc[:, second]
        if published is not None and len(PUBLISHED[published]) == len(frame):
            for column, values in zip(list(frame.columns), np.transpose(PUBLISHED[published]), strict=False):
                frame[f"{column} (CH)"] = values
            frame["row of CH Table 3"] = np.arange(1, 12) if published else np.arange(12, 23)
        return frame


def welfare_table(
    found: Decomposition, *, baseline_stage: str | None = None, left_out: str | None = None, optima: bool = True
) -> WelfareTable:
    """Welfare at every stage of a decomposition relative to one of them (CH Table 3, rows 1 to 11).

    After the stages come the target's optimum, and the equilibrium and the optimum of the target without the step
    `left_out` (CH: real estate). Welfare is a proportional level, and takes multiplicative amenities.

    **Arguments:**

    - `found`: what [`decompose`][] returned.
    - `baseline_stage`: the step after which welfare is one; by default the baseline of the decomposition.
    - `optima`: find optima.

    **Raises:** `ModelError` for a step that is none; `ConvergenceError` where there is no equilibrium without a step.
    """
    for step in (baseline_stage, left_out):
        if step is not None and step not in found.steps:
            raise ModelError(f"there is no step {step!r}; there are {', '.join(found.steps)}")
    welfare = [np.asarray(stage.welfare) for stage in found.stages]
    base = welfare[0 if baseline_stage is None else 1 + found.steps.index(baseline_stage)]
    rows, best = ["baseline", *(f"+ {step}" for step in found.steps)], []
    if optima:
        best.append(found.optima[1] if found.optima is not None else _optimum(found.economies[-1], found.stages[-1]))
        rows.append("optimum of the target")
        welfare.append(_at_optimum(best[0]))
    without = None
    if left_out is not None:
        economy, without = found.leave_out(left_out)
        rows.append(f"target without the change in {left_out}")
        welfare.append(np.asarray(without.welfare))
        if optima:
            best.append(_optimum(economy, without))
            rows.append(f"optimum without the change in {left_out}")
            welfare.append(_at_optimum(best[1]))
    compared = found.compared_positions
    ratio = float("nan") if compared is None else float(base[compared[0]] / base[compared[1]])
    return WelfareTable(tuple(rows), np.stack(welfare) / base, compared, ratio, without, tuple(best))


def _optimum(economy: Economy, equilibrium: Equilibrium) -> Optimum:
    return optimum(economy, equilibrium, throw=False)


def _at_optimum(found: Optimum) -> Array:
    welfare = np.asarray(found.equilibrium.welfare)
    return welfare if found.found else np.full_like(welfare, np.nan)
