"""Statements of the papers about the optimum, and whether they hold on the data of a run."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.outcomes import (
    OccupationPair,
    city_size,
    correlation,
    first_two,
    occupation_share,
    specialisation,
)
from spatialjax.cities.spillovers import IndustrySpillover
from spatialjax.workflow.cases import Case
from spatialjax.workflow.hub_statements import hub_statements
from spatialjax.workflow.statement import Statement, table_of

INLAND_HUBS = ("Chicago", "Minneapolis", "Dallas")
COASTAL_HUBS = ("New York", "Washington", "San Francisco")
"""Cities that CH section 7.2 names."""
COGNITIVE = "CNR"
"""The occupation that CH's statements are about."""


def statements_table(
    data: xr.Dataset, cases: dict[str, Case], policies: dict[str, xr.Dataset], pair: OccupationPair | None = None
) -> pd.DataFrame:
    """The statements that the results of a run can judge; empty without a certified optimum or with one occupation.

    They are about the occupation CNR, or, in data without an occupation of that name, about the first of `pair`, by
    default of the data.
    """
    pair = pair or first_two(data)
    found: list[Statement] = []
    if pair is not None and cases["data"].optimum is not None:
        name = COGNITIVE if COGNITIVE in data["occupation"].values else pair[0]
        found = list(_statements(data, cases, policies, name))
    return table_of(found)


def _statements(
    data: xr.Dataset, cases: dict[str, Case], policies: dict[str, xr.Dataset], name: str
) -> Iterator[Statement]:
    base = cases["data"]
    assert base.optimum is not None
    yield from _of_baseline(base.result, base.optimum, name)
    for case_name, case in cases.items():
        if case.optimum is None:
            continue
        if isinstance(case.economy.spillover, IndustrySpillover) and "sector_group" in data:
            yield from hub_statements(data, case)
        if case_name == "homogeneous_links":
            yield _u_shape(case.result, case.optimum, base, name)
        if case_name == "no_trade_costs" and "title" in base.result.coords:
            yield _coasts(case, base, name)
        if case_name == "additive_amenities":
            yield _stronger_hubs(case, base, name)
    for policy_name, policy in policies.items():
        if policy_name == "pandemic_programme":
            yield _opposite(policy, base, name)


def _of_baseline(result: xr.Dataset, optimum: xr.Dataset, name: str) -> Iterator[Statement]:
    log_size, share = np.log(city_size(result)), _share(result, name)
    change = _share(optimum, name) - share
    value = correlation(log_size, change)
    yield Statement(
        "CH section 6",
        f"the optimum raises the {name} share in large cities",
        "correlation of log size with the change of the share",
        value,
        value > 0,
    )
    value = correlation(log_size, np.log(city_size(optimum)) - log_size)
    yield Statement(
        "CH section 6",
        "large cities become smaller and small ones larger",
        "correlation of log size with growth",
        value,
        value < 0,
    )
    gini = specialisation(optimum) - specialisation(result)
    value = _bend(share, gini)
    yield Statement(
        "CH Figure 9",
        f"cities with the lowest and the highest {name} share specialise, those between diversify",
        "quadratic coefficient of the change of the Gini in the share",
        value,
        value > 0,
    )


def _u_shape(result: xr.Dataset, optimum: xr.Dataset, base: Case, name: str) -> Statement:
    assert base.optimum is not None
    bend = _bend(np.log(city_size(result)), _growth(result, optimum, name))
    baseline = _bend(np.log(city_size(base.result)), _growth(base.result, base.optimum, name))
    return Statement(
        "CH section 7.1",
        f"with homogeneous links hubs of {name} form in the smallest and the largest cities (U-shape)",
        f"quadratic coefficient of {name} growth in log size (baseline {baseline:.3f})",
        bend,
        bend > 0,
    )


def _coasts(case: Case, base: Case, name: str) -> Statement:
    assert case.optimum is not None
    assert base.optimum is not None
    change = _growth(case.result, case.optimum, name) - _growth(base.result, base.optimum, name)
    coast, inland = (float(change[_named(base.result, cities)].mean()) for cities in (COASTAL_HUBS, INLAND_HUBS))
    return Statement(
        "CH section 7.2",
        f"without trade costs {name} workers move to coastal hubs rather than inland ones",
        "log growth against the baseline's, coastal less inland hubs",
        coast - inland,
        coast > inland,
    )


def _stronger_hubs(case: Case, base: Case, name: str) -> Statement:
    slopes = [_share_slope(c, name) for c in (case, base)]
    return Statement(
        "CH section 7.3",
        "with additive amenities cognitive hubs are even more salient",
        f"slope of the change of the {name} share in log size, less the baseline's {slopes[1]:.4f}",
        slopes[0] - slopes[1],
        slopes[0] > slopes[1],
    )


def _opposite(policy: xr.Dataset, base: Case, name: str) -> Statement:
    assert base.optimum is not None
    share = _share(base.result, name)
    changes = [_share(result, name) - share for result in (policy, base.optimum)]
    value = correlation(*changes)
    return Statement(
        "CH section 6.2",
        f"the pandemic programme moves {name} workers opposite to the optimum",
        "correlation over cities of the two changes of the share",
        value,
        value < 0,
    )


def _share(result: xr.Dataset, name: str) -> xr.DataArray:
    """An occupation's share of each city's employment."""
    return occupation_share(result).sel(occupation=name, drop=True)


def _growth(result: xr.Dataset, optimum: xr.Dataset, name: str) -> xr.DataArray:
    """Log growth of an occupation's employment."""
    before, after = (data["employment"].sel(occupation=name, drop=True) for data in (result, optimum))
    return np.log(after) - np.log(before)


def _share_slope(case: Case, name: str) -> float:
    """Slope of the change of an occupation's share in log size, weighted by employment."""
    assert case.optimum is not None
    size = city_size(case.result)
    change = _share(case.optimum, name) - _share(case.result, name)
    return float(np.polyfit(np.log(size.values), change.values, 1, w=np.sqrt(size.values))[0])


def _bend(x: xr.DataArray, y: xr.DataArray) -> float:
    """Quadratic coefficient of a least-squares fit, x in standard deviations."""
    scaled = (x.values - x.values.mean()) / x.values.std()
    known = np.isfinite(scaled) & np.isfinite(y.values)
    return float(np.polyfit(scaled[known], y.values[known], 2)[0])


def _named(result: xr.Dataset, cities: tuple[str, ...]) -> np.ndarray:
    titles = [str(title) for title in result["title"].values]
    return np.asarray([n for n, title in enumerate(titles) if title.startswith(cities)])
