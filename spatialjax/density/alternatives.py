"""The density premium by two-stage least squares and with other measures of density: FF Tables 5 and C.1.

FF instrument density and the college share together by geology and climate of 283 CBSAs: water, elevation, ruggedness,
temperature, moisture, growing days and soils. Soils, moisture, growing days and the share above 1000 metres are not in
the embedded table; the default instruments are climate, topography, water and elevation, missing in a few CBSAs.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from spatialjax.density import published
from spatialjax.density.columns import DENSITIES, complete, log_density, of_cbsas
from spatialjax.density.premium import ALL_CONTROLS, PLACE, Specification, beside, estimates, premium
from spatialjax.errors import DataError, EstimationWarning
from spatialjax.estimation.chunked import regress_in_chunks
from spatialjax.estimation.regression import Regression, regress
from spatialjax.estimation.wald import WaldTest, wald_test

INSTRUMENTS = (
    "january_temperature",
    "january_sun",
    "july_temperature",
    "july_humidity",
    "topography",
    "water_percent",
    "elevation",
    "elevation_spread",
)
"""Columns of the CBSA table: degrees Fahrenheit, hours of sun, percent, type of land surface, percent, metres."""

WEAK = 10.0
"""Rule of thumb of Staiger and Stock (1997) for a first-stage F."""
WEIGHTED = replace(ALL_CONTROLS, weights="employment")
MEASURES = {measure.replace("_", " "): measure for measure in DENSITIES[1:]}
"""Columns of Table 5 with another measure of density."""


def alternatives_table(
    panel: pd.DataFrame, cbsas: pd.DataFrame, instruments: Sequence[str] = INSTRUMENTS
) -> pd.DataFrame:
    """Table 5: eq. (2) with all controls on CBSAs with instruments by OLS and 2SLS, weighted, and by other measures.

    **Arguments:**

    - `panel`: with the columns of `with_regressors`, all establishments (employment density adds them up).

    **Returns:** rows as in `premium_table`. `first_stages` says how strong the instruments are.

    **Raises:** `DataError` for columns that are missing, and if no CBSA has all instruments.
    """
    return beside(estimates(_fits(panel, cbsas, instruments)), published.TABLE_5)


def _fits(panel: pd.DataFrame, cbsas: pd.DataFrame, instruments: Sequence[str]) -> Iterator[tuple[str, Regression]]:
    restricted = with_instruments(panel, cbsas, instruments)
    yield "OLS, restricted", premium(restricted)
    yield "2SLS, restricted", instrumented_premium(restricted, instruments)
    del restricted
    yield "employment-weighted", premium(panel[WEIGHTED.columns], WEIGHTED)
    for name, measure in MEASURES.items():
        yield name, premium(with_measure(panel, cbsas, measure))


def instrumented_premium(
    panel: pd.DataFrame,
    instruments: Sequence[str] = INSTRUMENTS,
    specification: Specification = ALL_CONTROLS,
    memory: float = 4.0,
) -> Regression:
    """Eq. (2) by 2SLS, with log density and the college share endogenous, on a panel of `with_instruments`.

    **Raises:** `DataError` for columns that are missing or not finite; `ModelError` with fewer than two instruments.
    """
    return regress_in_chunks(
        panel,
        "log_earnings",
        specification.controls,
        cluster="cbsa",
        effects=specification.absorbed,
        endogenous=PLACE,
        instruments=instruments,
        memory=memory,
    )


def with_instruments(
    panel: pd.DataFrame,
    cbsas: pd.DataFrame,
    instruments: Sequence[str] = INSTRUMENTS,
    specification: Specification = ALL_CONTROLS,
    others: Sequence[str] = (),
) -> pd.DataFrame:
    """The establishments in CBSAs that have all instruments, with the columns of eq. (2), others, and the instruments.

    **Raises:** `DataError` if the CBSA table lacks a column, or no establishment is left.
    """
    keep = np.isfinite(np.stack([of_cbsas(panel["cbsa"], cbsas, name) for name in instruments])).all(0)
    if not keep.any():
        raise DataError("CBSA table", [f"no CBSA of the panel has all of {', '.join(instruments)}"])
    rows = panel.loc[keep, [*specification.columns, *others]]
    return rows.assign(**{name: of_cbsas(rows["cbsa"], cbsas, name) for name in instruments})


def with_measure(
    panel: pd.DataFrame,
    cbsas: pd.DataFrame,
    measure: str,
    specification: Specification = ALL_CONTROLS,
    others: Sequence[str] = (),
) -> pd.DataFrame:
    """The columns of eq. (2) and others, with another measure of density; rows without it are left out.

    **Raises:** `ModelError` for an unknown measure, `DataError` if no row has it.

    **Warns:** `EstimationWarning` with the number of rows left out.
    """
    values = log_density(panel, cbsas, measure)
    if not np.isfinite(values).any():
        raise DataError("CBSA table", [f"{measure} is missing in all CBSAs of the panel"])
    rows = panel[[*specification.columns, *others]].assign(log_density=values)
    return complete(rows, ["log_density"])


def first_stages(panel: pd.DataFrame, instruments: Sequence[str] = INSTRUMENTS) -> pd.DataFrame:
    """Lower half of Table C.1: log density and the college share on K instruments and all controls, establishments.

    `f_statistic` tests all instruments with errors clustered by CBSA, on K and G - 1 degrees of freedom.
    `conditional_f` is that of Sanderson and Windmeijer (2016), on K - 1 and G - 1: whether the instruments identify the
    column given the other endogenous one. FF's p-value of 0.138 for the college share at F = 2.21 is that of one degree
    in the numerator; with as many degrees as instruments it would be smaller.

    **Returns:** a row for each endogenous column: f_statistic, restrictions, p_value, conditional_f, conditional_p,
    r_squared, observations, and published_f, published_p of FF.

    **Raises:** `DataError` for as many instruments as CBSAs, or more: they fit anything.

    **Warns:** `EstimationWarning` naming columns with a conditional F below 10.
    """
    places = panel["cbsa"].nunique()
    if places <= len(instruments):
        found = f"{places} CBSAs for {len(instruments)} instruments: first stages need more CBSAs than instruments"
        raise DataError("panel of establishments", [found])
    rows = [_first_stage(panel, name, other, instruments) for name, other in zip(PLACE, PLACE[::-1], strict=True)]
    table = pd.DataFrame(rows, index=pd.Index(PLACE, name="endogenous"))
    if len(weak := table.index[table["conditional_f"] < WEAK]):
        found = ", ".join(f"{name} (conditional F = {table.loc[name, 'conditional_f']:.2f})" for name in weak)
        warnings.warn(f"weak instruments: {found}; 2SLS may be far off", EstimationWarning, stacklevel=2)
    return table.assign(
        published_f=published.FIRST_STAGES["f_statistic"], published_p=published.FIRST_STAGES["p_value"]
    )


def _first_stage(panel: pd.DataFrame, endogenous: str, other: str, instruments: Sequence[str]) -> dict:
    fit = _on_instruments(panel, endogenous, instruments)
    conditional = _conditional_test(panel, endogenous, other, instruments)
    diagnostics = _diagnostics(fit, joint_test(fit, instruments))
    return {**diagnostics, "conditional_f": conditional.statistic, "conditional_p": conditional.p_value}


def _on_instruments(panel: pd.DataFrame, outcome: str, instruments: Sequence[str]) -> Regression:
    regressors = [*instruments, *ALL_CONTROLS.controls]
    return regress(panel, outcome, regressors, effects=ALL_CONTROLS.absorbed, cluster="cbsa")


def _conditional_test(panel: pd.DataFrame, endogenous: str, other: str, instruments: Sequence[str]) -> WaldTest:
    """Test of the instruments in a regression of a column less what 2SLS on the other endogenous column explains."""
    second = regress_in_chunks(
        panel,
        endogenous,
        ALL_CONTROLS.controls,
        cluster="cbsa",
        effects=ALL_CONTROLS.absorbed,
        endogenous=[other],
        instruments=instruments,
    )
    left = panel[endogenous] - second.coefficients[other] * panel[other]
    return joint_test(_on_instruments(panel.assign(left=left), "left", instruments), instruments, estimated=1)


def joint_test(fit: Regression, names: Sequence[str], estimated: int = 0) -> WaldTest:
    """Test that the coefficients of the named columns that were not left out are all zero."""
    kept = [name for name in names if name in fit.coefficients.index]
    freedom = fit.observations - len(fit.coefficients) if fit.clusters is None else fit.clusters - 1
    return wald_test(fit.coefficients[kept].to_numpy(), fit.covariance.loc[kept, kept].to_numpy(), freedom, estimated)


def cbsa_first_stages(
    cbsas: pd.DataFrame, instruments: Sequence[str] = INSTRUMENTS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Upper half of Table C.1: regressions of log density and the college share on instruments over CBSAs.

    Errors are robust to heteroskedasticity (HC1); FF do not say which theirs are.

    **Returns:** coefficients and standard errors (a row for each endogenous column and instrument), and for each
    endogenous column f_statistic, restrictions, p_value, r_squared and observations.

    **Raises:** `DataError` for columns that are missing, and if no CBSA has all instruments.
    """
    table = cbsas.assign(log_density=np.log(cbsas["density"])).dropna(subset=[*PLACE, *instruments])
    fits = {endogenous: regress(table, endogenous, instruments) for endogenous in PLACE}
    coefficients = pd.concat({name: fit.table() for name, fit in fits.items()}, names=["endogenous", "instrument"])
    diagnostics = [_diagnostics(fit, joint_test(fit, instruments)) for fit in fits.values()]
    return coefficients, pd.DataFrame(diagnostics, index=pd.Index(PLACE, name="endogenous"))


def _diagnostics(fit: Regression, test: WaldTest) -> dict:
    return {
        "f_statistic": test.statistic,
        "restrictions": test.restrictions,
        "p_value": test.p_value,
        "r_squared": fit.r_squared,
        "observations": fit.observations,
    }
