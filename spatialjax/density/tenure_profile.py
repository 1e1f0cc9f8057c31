"""The density premium by age and by tenure in a city: eq. (4) of FF, Figure 5.

ln w(a, tau) = alpha + phi(a) + beta ln D + zeta(a) ln D + gamma C + delta Z
               + theta(tau) + eta I(m) + mu(tau) ln D + nu(tau) ln D I(m) + error,

in one year, where tau is the tenure in the present CBSA, top-coded at 6, and m an establishment that moved there since
1991. The profiles are beta + zeta(a) by age and beta + mu(tau) + nu(tau) by tenure.

What the data tell apart. The tenure of a stayer is its age, so stayers give zeta(a) + mu(a) together. Movers of age a
and tenure tau give zeta(a) + mu(tau) + nu(tau): at one age, differences by tenure; at one tenure, differences by age.
One direction stays open: mu(tau) + c for tau > 0, zeta(a) - c for a > 0 and nu(0) + c change no fitted value, because
nobody of age 0 has moved. FF do not say how they close it. Here mu(0) = 0, and mu equals mu(0) at `equal_tenure`, 1
unless told otherwise: what density adds between birth and the first year is age's. The shapes of the profile by age
from 1 on, and of that by tenure, do not depend on it; their levels do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg

from spatialjax.density.age_profile import TERM, Profile, profile_of
from spatialjax.density.columns import require_columns
from spatialjax.density.premium import ALL_CONTROLS
from spatialjax.errors import DataError, ModelError
from spatialjax.estimation.regression import Regression, regress

LONGEST = 6
"""Years at which tenure is top-coded: moves are seen from 1991 on."""
YEAR = 1997


@dataclass(frozen=True)
class TenureProfiles:
    """Elasticity of earnings with respect to density by age, and by tenure of movers (FF Figure 5)."""

    by_age: Profile
    by_tenure: Profile

    def table(self) -> pd.DataFrame:
        """A row for each profile ("age", "tenure") and years: elasticity, standard_error, observations."""
        profiles = {"age": self.by_age, "tenure": self.by_tenure}
        tables = [profile.table(profile=name).rename(columns={name: "years"}) for name, profile in profiles.items()]
        return pd.concat(tables, ignore_index=True)


def tenure_profile(panel: pd.DataFrame, year: int = YEAR, equal_tenure: int = 1) -> TenureProfiles:
    """Estimate eq. (4) on one year of a panel that has the columns of `with_regressors`, tenure and moved.

    **Arguments:**

    - `equal_tenure`: the tenure at which mu is taken to equal mu(0), from 1 to 6.

    **Raises:** `DataError` if there are too few movers to tell age and tenure apart, naming what is not identified; for
    tenures that cannot be; for columns that are missing or not finite. `ModelError` for another `equal_tenure`.
    """
    if not 1 <= equal_tenure <= LONGEST:
        raise ModelError(f"equal_tenure is {equal_tenure}; it can be from 1 to {LONGEST}")
    require_columns(panel, [*ALL_CONTROLS.columns, "tenure", "moved"], "panel of establishments")
    rows = panel.loc[panel["year"] == year, [*ALL_CONTROLS.columns, "tenure", "moved"]]
    _check_tenures(rows, year)
    stayed = [tenure for tenure in range(1, LONGEST + 1) if tenure != equal_tenure]
    moved = sorted(int(tenure) for tenure in rows.loc[rows["moved"].astype(bool), "tenure"].unique())
    check_rank(rows, stayed, moved)
    regressors = [*ALL_CONTROLS.regressors[1:], "moved", *map(_mu, stayed), *map(_nu, moved)]
    frame = _with_interactions(rows, stayed, moved)
    fit = regress(frame, "log_earnings", regressors, effects=["age", "industry", "tenure"], cluster="cbsa", by=TERM)
    return TenureProfiles(profile_of(fit), _by_tenure(fit, moved))


def check_rank(rows: pd.DataFrame, stayed: Sequence[int], moved: Sequence[int]) -> None:
    """Check that slopes in log density by age, tenure and tenure of movers can be told apart.

    Cells of age, tenure and moving in which density varies have a slope each; these must pin down all coefficients.

    **Raises:** `DataError` naming the coefficients that they do not pin down.
    """
    cells = rows.groupby(["age", "tenure", "moved"], observed=True)["log_density"].agg(["min", "max"])
    age, tenure, mover = (
        cells.index[cells["min"] < cells["max"]].to_frame()[name].to_numpy() for name in cells.index.names
    )
    ages = np.unique(rows["age"])
    columns = {f"age {value}": age == value for value in ages}
    columns |= {f"tenure {value}": tenure == value for value in stayed}
    columns |= {f"tenure {value} of movers": (tenure == value) & mover.astype(bool) for value in moved}
    design = np.stack(list(columns.values()), axis=1).astype(float)
    open_directions = linalg.null_space(design)
    if not moved or open_directions.size:
        unknown = np.abs(open_directions).max(1, initial=0) > 1e-9
        named = ", ".join(np.array(list(columns))[unknown])
        movers = int(rows["moved"].sum())
        problem = f"age and tenure separate only through movers, and {movers} of {len(rows)} establishments have moved"
        mend = "add movers of these ages and tenures, or estimate eq. (3) by age_profile"
        raise DataError("tenure profile", [f"{problem}; not identified: {named or 'tenure of movers'}; {mend}"])


def _check_tenures(rows: pd.DataFrame, year: int) -> None:
    if not (rows["age"] == 0).any():
        raise DataError("tenure profile", [f"the panel has no establishments of age 0 in {year}: {len(rows)} rows"])
    moved = rows["moved"].to_numpy(bool)
    age, tenure = rows["age"].to_numpy(), rows["tenure"].to_numpy()
    wrong = {
        "stayers whose tenure is not their age (6 if older)": ~moved & (tenure != np.minimum(age, LONGEST)),
        "movers whose tenure is not below their age": moved & (tenure >= age),
        f"tenures outside 0 to {LONGEST}": (tenure < 0) | (tenure > LONGEST),
    }
    problems = [f"{bad.sum()} {what} (first: row {rows.index[bad][0]})" for what, bad in wrong.items() if bad.any()]
    if problems:
        raise DataError("tenure profile", problems)


def _with_interactions(rows: pd.DataFrame, stayed: Sequence[int], moved: Sequence[int]) -> pd.DataFrame:
    density, mover = rows["log_density"], rows["moved"].astype(np.int8)
    by_tenure = {_mu(tenure): density * (rows["tenure"] == tenure) for tenure in stayed}
    by_move = {_nu(tenure): density * ((rows["tenure"] == tenure) & (mover == 1)) for tenure in moved}
    return rows.assign(moved=mover, **by_tenure, **by_move)


def _by_tenure(fit: Regression, moved: Sequence[int]) -> Profile:
    """Elasticity beta + mu(tau) + nu(tau), with their covariance; beta is the elasticity at age 0."""
    assert fit.clusters is not None
    names = list(fit.coefficients.index)
    birth = f"{TERM[0]}::0:{TERM[1]}"
    weights = np.array([[name in (birth, _mu(tenure), _nu(tenure)) for name in names] for tenure in moved], float)
    index = pd.Index(moved, name="tenure")
    values = pd.Series(weights @ fit.coefficients.to_numpy(), index)
    covariance = pd.DataFrame(weights @ fit.covariance.to_numpy() @ weights.T, index, index)
    return Profile(values, covariance, fit.observations, fit.r_squared, fit.clusters)


def _mu(tenure: int) -> str:
    return f"tenure_{tenure}_log_density"


def _nu(tenure: int) -> str:
    return f"moved_{tenure}_log_density"
