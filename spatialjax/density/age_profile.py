"""The density premium over the life of establishments: eq. (3) of FF, Figures 1, 2, C.4 and C.5.

ln w(a) = alpha_t + phi(a) + beta ln D_j + zeta(a) ln D_j + gamma C_j + delta Z + error, a being age, top-coded at 16.
The profile is beta + zeta(a), the elasticity of earnings with respect to density at each age.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from spatialjax.density.alternatives import INSTRUMENTS, MEASURES, WEIGHTED, with_instruments, with_measure
from spatialjax.density.columns import quantile_within
from spatialjax.density.premium import (
    ALL_CONTROLS,
    UNCONDITIONAL,
    WITH_COLLEGE,
    Specification,
    subgroups,
)
from spatialjax.density.published import QUINTILES
from spatialjax.errors import EstimationWarning, ModelError
from spatialjax.estimation.chunked import regress_in_chunks
from spatialjax.estimation.regression import Regression, regress
from spatialjax.estimation.wald import WaldTest, wald_test

PROFILES = {"density": UNCONDITIONAL, "density and college": WITH_COLLEGE, "all controls": ALL_CONTROLS}
"""Specifications of Figure 1."""
PANELS = {
    "single- and multi-unit firms": "(b) single- and multi-unit firms",
    "size": "(c) size",
    "industry": "(d) industry",
}
"""Panels of Figure 2 that divide establishments as Table 4 does."""
PERCENTILES = (10, 50, 90)
TERM = ("age", "log_density")
FEW = 20
"""Clusters for each restriction below which a joint test is not to be trusted."""


@dataclass(frozen=True)
class Profile:
    """Elasticity of earnings with respect to density by age (or tenure, the name of the index), clustered by CBSA."""

    elasticities: pd.Series
    covariance: pd.DataFrame
    observations: int
    r_squared: float
    clusters: int

    @property
    def standard_errors(self) -> pd.Series:
        """Square roots of the diagonal of the covariance."""
        return pd.Series(np.sqrt(np.diag(self.covariance)), self.elasticities.index)

    def table(self, **labels: str) -> pd.DataFrame:
        """A row for each age: labels, elasticity, standard_error, observations."""
        columns = {"elasticity": self.elasticities, "standard_error": self.standard_errors}
        return pd.DataFrame(columns).reset_index().assign(**labels, observations=self.observations)


def age_profile(panel: pd.DataFrame, specification: Specification = ALL_CONTROLS) -> Profile:
    """Estimate eq. (3) on a panel that has the columns of `with_regressors`; ages always have effects.

    **Raises:** `DataError` for columns that are missing or not finite, and for a single CBSA.

    **Warns:** `EstimationWarning` for ages at which density does not vary; the profile lacks these.
    """
    fit = regress(
        panel,
        "log_earnings",
        specification.regressors[1:],
        effects=_with_ages(specification).absorbed,
        cluster="cbsa",
        weights=specification.weights,
        by=TERM,
    )
    return profile_of(fit)


def instrumented_age_profile(
    panel: pd.DataFrame,
    instruments: Sequence[str] = INSTRUMENTS,
    specification: Specification = ALL_CONTROLS,
    memory: float = 4.0,
) -> Profile:
    """Eq. (3) by 2SLS (Figure C.5), on a panel of `with_instruments`.

    All products of log density with ages and the college share are endogenous; instruments are the products of each
    column of `instruments` with ages. `memory` is in gigabytes: see `regress_in_chunks`.

    **Raises:** `DataError` for columns that are missing or not finite.
    """
    fit = regress_in_chunks(
        panel,
        "log_earnings",
        specification.controls,
        cluster="cbsa",
        effects=_with_ages(specification).absorbed,
        endogenous=[TERM, *specification.regressors[1 : 1 + specification.college]],
        instruments=[("age", name) for name in instruments],
        memory=memory,
    )
    return profile_of(fit)


def flat_profile_test(profile: Profile) -> WaldTest:
    """Test that elasticities are the same at all ages: F on the number of ages less one, and G - 1, degrees of freedom.

    With few CBSAs for each restriction it rejects too often: at 5 percent, flat profiles of 17 ages in 42 of 100 drawn
    panels with 120 CBSAs, 15 with 363 CBSAs and 20,000 establishments, 7 with 363 and 60,000.

    **Raises:** `ModelError` with a single age, or no more clusters than ages.

    **Warns:** `EstimationWarning` with fewer than 20 clusters for each restriction.
    """
    values, covariance = profile.elasticities.to_numpy(), profile.covariance.to_numpy()
    if len(values) < 2:
        raise ModelError(f"a profile of {len(values)} ages cannot be tested: two are needed")
    contrasts = np.hstack([-np.ones((len(values) - 1, 1)), np.eye(len(values) - 1)])
    if profile.clusters < FEW * len(contrasts):
        found = f"{len(contrasts)} restrictions with {profile.clusters} clusters"
        warnings.warn(f"{found}: the test rejects flat profiles too often", EstimationWarning, stacklevel=2)
    return wald_test(contrasts @ values, contrasts @ covariance @ contrasts.T, profile.clusters - 1)


def profile_table(panel: pd.DataFrame) -> pd.DataFrame:
    """Figure 1: the profile without controls, with the college share, and with all controls.

    **Returns:** a row for each specification and age: age, elasticity, standard_error, specification, observations.
    """
    profiles = (age_profile(panel, specification).table(specification=name) for name, specification in PROFILES.items())
    return pd.concat(profiles, ignore_index=True)


def subgroup_profiles(panel: pd.DataFrame, cbsas: pd.DataFrame) -> pd.DataFrame:
    """Figure 2: profiles with all controls by exit, kind of firm, size, industry, quintile, and measure of density.

    **Returns:** a row for each panel, group and age: age, elasticity, standard_error, panel, group, observations.
    """
    profiles = (
        age_profile(rows, specification).table(panel=kind, group=name)
        for kind, name, rows, specification in _subgroups(panel, cbsas)
    )
    return pd.concat(profiles, ignore_index=True)


def instrumented_profiles(
    panel: pd.DataFrame, cbsas: pd.DataFrame, instruments: Sequence[str] = INSTRUMENTS, memory: float = 4.0
) -> pd.DataFrame:
    """Figure C.5: profiles by OLS and 2SLS on CBSAs that have all instruments, rows as in `profile_table`."""
    restricted = with_instruments(panel, cbsas, instruments)
    least_squares = age_profile(restricted).table(specification="OLS, restricted")
    instrumented = instrumented_age_profile(restricted, instruments, memory=memory)
    return pd.concat([least_squares, instrumented.table(specification="2SLS, restricted")], ignore_index=True)


def predicted_earnings(panel: pd.DataFrame, cbsas: pd.DataFrame) -> pd.DataFrame:
    """Figure C.4: log earnings phi(a) + (beta + zeta(a)) ln D by eq. (3) without controls, in the first year.

    D is the density of the CBSAs at the 10th, 50th and 90th percentile (FF: Yakima, Des Moines, Santa Cruz).

    **Returns:** a row for each percentile and age: percentile, cbsa, age, log_earnings.
    """
    later = {f"year_{year}": (panel["year"] == year).astype(np.int8) for year in sorted(panel["year"].unique())[1:]}
    controls = list(later)
    frame = panel[["log_earnings", "log_density", "age", "cbsa"]].assign(**later)
    fit = regress(frame, "log_earnings", controls, effects=["age"], cluster="cbsa", by=TERM)
    slopes = profile_of(fit).elasticities
    means = frame.groupby("age")[["log_earnings", "log_density", *controls]].mean().loc[slopes.index]
    levels = means["log_earnings"] - slopes * means["log_density"] - means[controls] @ fit.coefficients[controls]
    places = _at_percentiles(cbsas.loc[cbsas.index.isin(panel["cbsa"].unique()), "density"])
    rows = [
        pd.DataFrame({"percentile": percentile, "cbsa": code, "log_earnings": levels + slopes * np.log(density)})
        for percentile, code, density in places
    ]
    return pd.concat(rows).reset_index()


def profile_of(fit: Regression, term: tuple[str, str] = TERM) -> Profile:
    """The coefficients of a column by category as a profile."""
    start, end = f"{term[0]}::", f":{term[1]}"
    names = [name for name in fit.coefficients.index if name.startswith(start) and name.endswith(end)]
    ages = pd.Index([int(float(name.removeprefix(start).removesuffix(end))) for name in names], name=term[0])
    covariance = fit.covariance.loc[names, names].set_axis(ages).set_axis(ages, axis=1)
    elasticities = fit.coefficients[names].set_axis(ages)
    assert fit.clusters is not None
    return Profile(elasticities, covariance, fit.observations, fit.r_squared, fit.clusters)


def _subgroups(panel: pd.DataFrame, cbsas: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame, Specification]]:
    columns = ALL_CONTROLS.columns
    for name, mask in (("continuing", ~panel["exit"].to_numpy(bool)), ("exiting", panel["exit"].to_numpy(bool))):
        yield "(a) survival", name, panel.loc[mask, columns], ALL_CONTROLS
    for kind, name, rows, specification in subgroups(panel):
        if kind in PANELS:
            yield PANELS[kind], name, rows, specification
    quintile = quantile_within(panel, "log_earnings")
    for position, name in enumerate(QUINTILES, 1):
        yield "(e) quintile", name, panel.loc[quintile == position, columns], ALL_CONTROLS
    yield "(f) density", "employment-weighted", panel[WEIGHTED.columns], WEIGHTED
    for name, measure in MEASURES.items():
        yield "(f) density", name, with_measure(panel, cbsas, measure), ALL_CONTROLS


def _with_ages(specification: Specification) -> Specification:
    return replace(specification, effects=tuple(dict.fromkeys(["age", *specification.effects])))


def _at_percentiles(density: pd.Series) -> Iterator[tuple[int, int, float]]:
    """Percentile, code and density of the CBSAs at each percentile of densities."""
    ordered = density.sort_values()
    for percentile in PERCENTILES:
        position = round(percentile / 100 * (len(ordered) - 1))
        yield percentile, ordered.index[position], ordered.iloc[position]
