"""The density premium along the distribution of earnings within CBSAs: FF Table C.2 and the first C.3.

Establishments are divided into quintiles of earnings in their CBSA, and eq. (2) is estimated within each quintile.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from spatialjax.density import published
from spatialjax.density.alternatives import (
    INSTRUMENTS,
    MEASURES,
    WEIGHTED,
    instrumented_premium,
    with_instruments,
    with_measure,
)
from spatialjax.density.columns import quantile_within
from spatialjax.density.premium import (
    ALL_CONTROLS,
    UNCONDITIONAL,
    WITH_COLLEGE,
    Specification,
    beside,
    panelled,
    premium,
)
from spatialjax.density.residuals import residual_earnings
from spatialjax.estimation.regression import Regression

PANELS = {"density": UNCONDITIONAL, "density and college": WITH_COLLEGE, "all controls": ALL_CONTROLS}
"""Panels of Table C.2."""


def quintiles(panel: pd.DataFrame, residual: bool = False) -> pd.Series:
    """Quintile (1 to 5) of each establishment in the earnings of its CBSA, both years together.

    With `residual`, of log earnings net of size, age, industry, multi-unit status and year (FF appendix, footnote 4).
    """
    if not residual:
        return quantile_within(panel, "log_earnings")
    return quantile_within(panel[["cbsa"]].assign(residual=residual_earnings(panel)), "residual")


def quintile_table(panel: pd.DataFrame, residual: bool = False) -> pd.DataFrame:
    """Table C.2: the premium within quintiles without controls, with the college share, and with all controls.

    Published numbers are for quintiles of earnings; FF find those by residual earnings similar, without printing them.

    **Returns:** rows as in `premium_table`, by panel and quintile ("lowest" to "highest").
    """
    divided = panel.assign(quintile=quintiles(panel, residual))
    fits = (fit for kind, specification in PANELS.items() for fit in _within(kind, divided, specification))
    return beside(panelled(fits), published.TABLE_C2)


def alternative_quintile_table(
    panel: pd.DataFrame, cbsas: pd.DataFrame, instruments: Sequence[str] = INSTRUMENTS, residual: bool = False
) -> pd.DataFrame:
    """First Table C.3: within quintiles, weighted, with other measures of density, and on CBSAs with instruments.

    Quintiles are those of the whole panel, which must be all establishments (employment density adds them up).

    **Returns:** rows as in `quintile_table`, all with all controls.
    """
    divided = panel.assign(quintile=quintiles(panel, residual))
    return beside(panelled(_alternatives(divided, cbsas, instruments)), published.TABLE_C3)


def _alternatives(
    panel: pd.DataFrame, cbsas: pd.DataFrame, instruments: Sequence[str]
) -> Iterator[tuple[str, str, Regression]]:
    yield from _within("employment-weighted", panel, WEIGHTED)
    for name, measure in MEASURES.items():
        yield from _within(name, with_measure(panel, cbsas, measure, others=["quintile"]), ALL_CONTROLS)
    restricted = with_instruments(panel, cbsas, instruments, others=["quintile"])
    yield from _within("OLS, restricted", restricted, ALL_CONTROLS)
    for position, name in enumerate(published.QUINTILES, 1):
        rows = restricted[restricted["quintile"] == position]
        yield "2SLS, restricted", name, instrumented_premium(rows, instruments)


def _within(kind: str, panel: pd.DataFrame, specification: Specification) -> Iterator[tuple[str, str, Regression]]:
    for position, name in enumerate(published.QUINTILES, 1):
        rows = panel.loc[panel["quintile"] == position, specification.columns]
        yield kind, name, premium(rows, specification)
