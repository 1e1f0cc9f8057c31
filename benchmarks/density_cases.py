"""What is measured of the density premium and of estimation, as functions to call, and what it is compared with."""

import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
import pandas as pd

import spatialjax
from spatialjax import Economy
from spatialjax.density.age_profile import age_profile, instrumented_age_profile
from spatialjax.density.alternatives import instrumented_premium, with_instruments
from spatialjax.density.cbsas import cbsa_table
from spatialjax.density.columns import with_regressors
from spatialjax.density.panel import with_earnings
from spatialjax.density.premium import ALL_CONTROLS, premium
from spatialjax.density.simulation import simulate_panel
from spatialjax.errors import EstimationWarning
from spatialjax.estimation import granular_panel
from spatialjax.estimation.granular_estimates import estimate_granular
from spatialjax.estimation.instruments import model_instruments
from spatialjax.estimation.spillovers import SpilloverEstimates, spillovers
from spatialjax.granular import Parameters

PER_YEAR = 5_128_302
"""Establishments of FF's sample in a year: 10,256,604 establishment-years in two (Table 3)."""
QUICK_PER_YEAR = 30_000
BASELINE_PER_YEAR = 500_000
"""Establishments a year in the regression that linearmodels runs as well."""
GRANULAR_ROWS = 10**6
YEARS, SECTORS, LOCATIONS = 18, 148, 40

Step = tuple[str, Callable[[], Any]]


def simulated(per_year: int) -> pd.DataFrame:
    """The panel that the simulator draws on the embedded CBSAs."""
    return simulate_panel(cbsa_table(), key=jax.random.key(0), establishments_per_year=per_year)


def density_steps(per_year: int) -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], tuple[int, float]]]]:
    """Steps from the simulator to Figure C.5: name, call, and rows and a number of what it returned.

    Later steps use what earlier ones returned: each call is to be made once, before the next step is asked for.
    """
    cbsas, at = cbsa_table(), {}

    def keep(name: str, make: Callable[[], Any]) -> Callable[[], Any]:
        def call():
            at[name] = make()
            return at[name]

        return call

    yield "simulated panel", keep("panel", partial(simulated, per_year)), None
    earned = keep("panel", lambda: with_earnings(at["panel"])[0])
    yield "earnings by eq. (1), with imputation", earned, None
    yield "density, college share and logs", keep("panel", lambda: with_regressors(at["panel"], cbsas)), None
    yield "eq. (2), all controls", lambda: premium(at["panel"]), None
    yield "eq. (3), all controls", lambda: age_profile(at["panel"]), None
    at["panel"] = at["panel"][ALL_CONTROLS.columns]
    yield "instruments of CBSAs", keep("panel", lambda: with_instruments(at["panel"], cbsas)), None
    yield "eq. (2) by 2SLS, two endogenous", lambda: instrumented_premium(at["panel"]), None
    yield "eq. (3) by 2SLS, Figure C.5", lambda: instrumented_age_profile(at["panel"]), None
