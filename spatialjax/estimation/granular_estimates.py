"""All parameters of the granular economy that a panel of firms can tell, beside those of KO Table 2."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spatialjax.estimation.granular_elasticities import Elasticity, estimate_kappa, estimate_nu
from spatialjax.estimation.granular_panel import Shocks
from spatialjax.estimation.granular_tail import TailEstimate, estimate_tail
from spatialjax.estimation.granular_variances import VarianceEstimates, estimate_shock_variances
from spatialjax.estimation.granular_variances import profit_share as measure_profit_share
from spatialjax.granular.parameters import Parameters

REPORTED = {"kappa": 2.48, "nu": 1.46, "eta": 0.13, "lambda": 10.5, "varS": 0.002, "varN": 0.14}
"""KO Table 2."""
REPORTED_ERRORS = {"kappa": 0.73, "nu": 0.07}
"""KO Table 1, columns (2) and (4)."""
NAMES = {
    "kappa": "elasticity_across_firms",
    "nu": "elasticity_across_sectors",
    "eta": "profit_share",
    "lambda": "productivity_tail",
    "varS": "sector_variance",
    "varN": "firm_variance",
}


@dataclass(frozen=True)
class GranularEstimates:
    """Estimates of kappa, nu, lambda and the variances of shocks, and eta, measured or given."""

    kappa: Elasticity
    nu: Elasticity
    tail: TailEstimate
    variances: VarianceEstimates
    profit_share: float

    def parameters(self, **others) -> Parameters:
        """Parameters of the granular economy; `others` are those that a panel does not tell (migration_elasticity).

        **Raises:** `ModelError`, when they are used, for estimates that are no economy (nu above kappa).
        """
        values = {NAMES[symbol]: value for symbol, (value, _) in self._rows().items()}
        return Parameters(**{**values, **others})

    def table(self) -> pd.DataFrame:
        """Estimates and standard errors (NaN where there are none), KO's beside, and the first-stage F."""
        rows = self._rows()
        frame = pd.DataFrame(rows, index=["estimate", "standard_error"]).T
        frame["KO"] = pd.Series(REPORTED)
        frame["KO_standard_error"] = pd.Series(REPORTED_ERRORS)
        frame["first_stage_f"] = pd.Series(
            {"kappa": self.kappa.two_stage.first_stage_f, "nu": self.nu.two_stage.first_stage_f}
        )
        frame.insert(0, "parameter", pd.Series(NAMES))
        return frame

    def _rows(self) -> dict[str, tuple[float, float]]:
        sector, firm = self.variances.standard_errors
        return {
            "kappa": (self.kappa.estimate, self.kappa.standard_error),
            "nu": (self.nu.estimate, self.nu.standard_error),
            "eta": (self.profit_share, np.nan),
            "lambda": (self.tail.estimate, self.tail.standard_error),
            "varS": (self.variances.sector_variance, sector),
            "varN": (self.variances.firm_variance, firm),
        }


def estimate_granular(
    panel: pd.DataFrame,
    products: pd.DataFrame,
    *,
    shipments: pd.DataFrame | None = None,
    leave_out: bool = False,
    shocks: Shocks = "levels",
    profit_share: float | None = None,
    sectors: int | None = None,
    tail_year: int | None = None,
    weighted: bool = False,
    lagged_growth: bool = False,
) -> GranularEstimates:
    """Estimate all parameters of KO Table 2 that a panel of firms can tell.

    Units: employment in persons, wage_bill and sales in one unit of money, any. Elasticities use growth, the tail
    shares of employment, variances growth of sales: only eta, where it is measured, compares money with money.

    **Arguments:**

    - `panel`, `products`, `shipments`, `leave_out`, `weighted`, `lagged_growth`: as in `estimate_kappa`.
    - `shocks`: whether the variances are of levels or of changes, as in `estimate_shock_variances`.
    - `profit_share`: eta; None measures it (`granular_variances.profit_share`).
    - `sectors`, `tail_year`: sectors that firms may enter, and the year of employment, as in `estimate_tail`. Where
      shocks to productivity last, sizes drift apart: take an early year.

    Standard errors are of each estimate given those it rests on: nu given kappa, lambda and variances given eta.

    **Raises:** `DataError`, `ModelError`, `ConvergenceError` as the estimators do.

    **Warns:** `EstimationWarning` as they do.
    """
    eta = measure_profit_share(panel) if profit_share is None else profit_share
    choices: dict[str, Any] = {
        "shipments": shipments,
        "leave_out": leave_out,
        "weighted": weighted,
        "lagged_growth": lagged_growth,
    }
    kappa = estimate_kappa(panel, products, **choices)
    return GranularEstimates(
        kappa=kappa,
        nu=estimate_nu(panel, products, kappa.estimate, **choices),
        tail=estimate_tail(panel, eta, sectors=sectors, year=tail_year),
        variances=estimate_shock_variances(panel, eta, shocks=shocks),
        profit_share=eta,
    )
