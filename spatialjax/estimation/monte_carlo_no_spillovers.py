"""The experiment of CH Table A8: what estimators find in an economy without externalities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import pandas as pd

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, solve
from spatialjax.cities.spillovers import NoSpillover
from spatialjax.estimation.instrumental import Estimator
from spatialjax.estimation.instruments import model_instruments
from spatialjax.estimation.spillovers import Instruments, SpilloverEstimates, spillovers
from spatialjax.estimation.tables import side_by_side


@dataclass(frozen=True)
class NoSpilloverExperiment:
    """CH Table A8: estimates, by estimator, in an economy without externalities, of which all are zero in truth."""

    economy: Economy
    equilibrium: Equilibrium
    estimates: Mapping[str, SpilloverEstimates]

    def table(self) -> pd.DataFrame:
        """A row each coefficient and estimator: the coefficient is its bias."""
        return pd.concat({name: found.table() for name, found in self.estimates.items()}, names=["estimator", None])

    def printed(self) -> pd.DataFrame:
        """Estimators side by side, as CH print them."""
        return side_by_side(list(self.estimates.values()))


def no_spillover_experiment(
    economy: Economy,
    *,
    estimators: Sequence[Estimator] = ("ols", "2sls", "cue"),
    instruments: Instruments = "model",
    **options: Any,
) -> NoSpilloverExperiment:
    """Estimate externalities in the economy as it would be without any (CH section 4.6, Table A8).

    Exogenous productivity stays as inversion found it with the economy's externalities; these are then set to zero,
    and the economy is solved. Where inverted fundamentals depend on each other, instruments need not be valid.

    **Arguments:**

    - `economy`: inverted from data, with the externalities that it is taken to have.
    - `instruments`: as for [`spillovers`][]; "model" are those of the economy without externalities.
    - `options`: of [`spillovers`][].

    **Raises:** `ConvergenceError` where the economy has no equilibrium without externalities.
    """
    without = eqx.tree_at(lambda e: e.spillover, economy, NoSpillover())
    equilibrium = solve(without)
    alone = eqx.tree_at(lambda e: e.reference, without, equilibrium.state())
    excluded = model_instruments(alone) if isinstance(instruments, str) and instruments == "model" else instruments
    estimates = {str(name): spillovers(alone, estimator=name, instruments=excluded, **options) for name in estimators}
    return NoSpilloverExperiment(alone, equilibrium, estimates)
