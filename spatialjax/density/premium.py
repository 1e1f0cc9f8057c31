"""The density premium of establishments: eq. (2) of FF, Tables 3 and 4.

ln w = alpha_t + beta ln D_j + gamma C_j + delta Z + error, for an establishment in CBSA j and year t, where w are
average earnings (1997 dollars), D density, C the share of residents with a college degree, and Z log employment,
multi-unit status, and effects of age and four-digit industry. Errors are clustered by CBSA.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from spatialjax.density import published
from spatialjax.density.columns import INDUSTRY_GROUPS, SIZE_CLASSES, industry_group, size_class
from spatialjax.density.residuals import CONTROLS
from spatialjax.errors import DataError, EstimationWarning
from spatialjax.estimation.regression import Regression, regress

PLACE = ("log_density", "college_share")
EFFECTS = ("age", "industry")


@dataclass(frozen=True)
class Specification:
    """What eq. (2) controls for besides density and the year.

    `college` is the college share of the CBSA. `controls` are columns and `effects` absorbed columns of establishments.
    `weights` is a column, or None.
    """

    college: bool = True
    controls: tuple[str, ...] = CONTROLS
    effects: tuple[str, ...] = EFFECTS
    weights: str | None = None

    @property
    def regressors(self) -> tuple[str, ...]:
        """Columns that have a coefficient, density first."""
        return (*PLACE[: 1 + self.college], *self.controls)

    @property
    def absorbed(self) -> tuple[str, ...]:
        """Columns whose values have an effect each."""
        return (*self.effects, "year")

    @property
    def columns(self) -> list[str]:
        """All columns of a panel that the regression needs."""
        weights = [self.weights] if self.weights else []
        return list(dict.fromkeys(["log_earnings", *self.regressors, *self.absorbed, *weights, "cbsa"]))


UNCONDITIONAL = Specification(college=False, controls=(), effects=())
WITH_COLLEGE = Specification(controls=(), effects=())
WITH_CHARACTERISTICS = Specification(college=False)
ALL_CONTROLS = Specification()
NO_AGES = Specification(effects=("industry",))
ONE_STATUS = Specification(controls=("log_employment",))
SPECIFICATIONS = {
    "density": UNCONDITIONAL,
    "density and college": WITH_COLLEGE,
    "density and characteristics": WITH_CHARACTERISTICS,
    "all controls": ALL_CONTROLS,
}
"""Columns of Table 3."""


def premium(panel: pd.DataFrame, specification: Specification = ALL_CONTROLS) -> Regression:
    """Estimate eq. (2) on a panel that has the columns of `with_regressors`.

    **Raises:** `DataError` for columns that are missing or not finite, and for a single CBSA.

    **Warns:** `EstimationWarning` naming collinear columns.
    """
    return regress(
        panel,
        "log_earnings",
        specification.regressors,
        effects=specification.absorbed,
        cluster="cbsa",
        weights=specification.weights,
    )


def premium_table(panel: pd.DataFrame) -> pd.DataFrame:
    """Table 3: the premium with and without the college share and characteristics of establishments.

    **Returns:** a row for each specification and regressor (log_density, college_share): coefficient, standard_error,
    r_squared, observations, clusters, and published_coefficient, published_error of FF.
    """
    fits = ((name, premium(panel, specification)) for name, specification in SPECIFICATIONS.items())
    return beside(estimates(fits), published.TABLE_3)


def subgroup_table(panel: pd.DataFrame) -> pd.DataFrame:
    """Table 4: eq. (2) with all controls for entrants, exits, kinds of firm, size classes and industry groups.

    Entrants have no effects of age, and single- or multi-unit firms no indicator of their status, as these do not vary.

    **Returns:** rows as in `premium_table`, with the panel of Table 4 that they belong to.
    """
    fits = ((kind, name, premium(rows, specification)) for kind, name, rows, specification in subgroups(panel))
    return beside(panelled(fits), published.TABLE_4)


def subgroups(panel: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame, Specification]]:
    """Panel, name, rows and specification of each subgroup of Table 4.

    **Warns:** `EstimationWarning` naming subgroups that are left out, with no more establishments than coefficients.
    """
    multiple = panel["multi_unit"].astype(bool)
    masks = {
        "entrants and exits": {"entrants": panel["entrant"], "exits": panel["exit"]},
        "single- and multi-unit firms": {
            "single-unit": ~multiple,
            "multi-unit": multiple,
        },
        "size": _members(size_class(panel["employment"]), SIZE_CLASSES),
        "industry": _members(industry_group(panel["industry2"]), INDUSTRY_GROUPS),
    }
    special = {"entrants": NO_AGES, "single-unit": ONE_STATUS, "multi-unit": ONE_STATUS}
    for kind, groups in masks.items():
        for name, mask in groups.items():
            specification = special.get(name, ALL_CONTROLS)
            rows = panel.loc[mask, specification.columns]
            if _enough(rows, specification):
                yield kind, name, rows, specification
            else:
                places = rows["cbsa"].nunique()
                message = f"{name}: {len(rows)} establishments in {places} CBSAs are too few; left out"
                warnings.warn(message, EstimationWarning, stacklevel=2)


def estimates(fits: Iterable[tuple[str, Regression]]) -> pd.DataFrame:
    """Tidy rows (specification, regressor) of the coefficients of log density and the college share."""
    return pd.DataFrame([row for name, fit in fits for row in _rows(name, fit)])


def panelled(fits: Iterable[tuple[str, str, Regression]]) -> pd.DataFrame:
    """Tidy rows as by `estimates`, of regressions that belong to panels of a table.

    **Raises:** `DataError` if there is none.
    """
    rows = [{"panel": kind, **row} for kind, name, fit in fits for row in _rows(name, fit)]
    if not rows:
        raise DataError("panel of establishments", ["no subgroup has enough establishments and CBSAs"])
    return pd.DataFrame(rows)


def beside(table: pd.DataFrame, numbers: pd.DataFrame) -> pd.DataFrame:
    """Published coefficients and standard errors beside estimated ones; missing where FF have none."""
    keys = [name for name in ("panel", "specification", "regressor") if name in table.columns]
    renamed = numbers.rename(columns={"coefficient": "published_coefficient", "standard_error": "published_error"})
    return table.merge(renamed[[*keys, "published_coefficient", "published_error"]], how="left", on=keys)


def _rows(name: str, fit: Regression) -> list[dict]:
    return [
        {
            "specification": name,
            "regressor": regressor,
            "coefficient": fit.coefficients[regressor],
            "standard_error": fit.standard_errors[regressor],
            "r_squared": fit.r_squared,
            "observations": fit.observations,
            "clusters": fit.clusters,
        }
        for regressor in PLACE
        if regressor in fit.coefficients.index
    ]


def _enough(rows: pd.DataFrame, specification: Specification) -> bool:
    coefficients = len(specification.regressors) + sum(rows[name].nunique() for name in specification.absorbed)
    return len(rows) > coefficients and rows["cbsa"].nunique() > len(specification.regressors)


def _members(groups: pd.Series, names: Sequence[str] | Iterable[str]) -> dict[str, pd.Series]:
    return {name: groups == name for name in names}
