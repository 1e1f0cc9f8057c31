"""What SH section IV says of prices, unit costs and concentration at the optimum, and whether it holds."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from spatialjax.cities.decompositions import by_sector_group, price_decomposition, unit_cost_decomposition
from spatialjax.cities.outcomes import city_size, concentration, correlation
from spatialjax.workflow.cases import Case
from spatialjax.workflow.statement import Statement

SOURCE = "SH section IV"
HEALTH, PROFESSIONAL, MANUFACTURING = "health_education", "professional_other", "manufacturing"
WORDS = {
    HEALTH: "health and education",
    PROFESSIONAL: "professional and other services",
    MANUFACTURING: "manufacturing",
}
EXCEPTIONS = ("San Jose", "Washington", "San Francisco")
"""Cities that SH name: wages raise their unit costs of health and education, and they lead in professional services."""


def hub_statements(data: xr.Dataset, case: Case) -> Iterator[Statement]:
    """Statements about the groups of sectors that the data have, at the optimum of a case.

    Prices are means by a city's expenditure, unit costs by its output, as in SH Figure 2.
    """
    assert case.allocation is not None
    assert case.optimum is not None
    groups = data["sector_group"]
    change = 100 * (concentration(case.optimum, groups) / concentration(case.result, groups) - 1)
    known = [group for group in WORDS if group in change["sector_group"].values]
    prices = by_sector_group(price_decomposition(case.economy, case.equilibrium, case.allocation, data), groups)
    costs = by_sector_group(unit_cost_decomposition(case.economy, case.equilibrium, case.allocation, data), groups)
    log_size = xr.apply_ufunc(np.log, city_size(case.result))
    for group in known:
        words, price, cost = WORDS[group], prices.sel(sector_group=group), costs.sel(sector_group=group)
        if group != HEALTH:
            yield _concentration(words, float(change.sel(sector_group=group)), rises=group == PROFESSIONAL)
        if group == MANUFACTURING:
            yield from _of_manufacturing(price, cost, log_size)
        else:
            yield from _of_services(words, price, cost, log_size)
    titles = [str(title) for title in case.result["title"].values] if "title" in case.result.coords else []
    named = [n for n, title in enumerate(titles) if title.startswith(EXCEPTIONS)]
    if HEALTH in known and PROFESSIONAL in known and len(named) == len(EXCEPTIONS):
        yield from _of_exceptions(costs["unit_cost"], named)


def _concentration(words: str, percent: float, *, rises: bool) -> Statement:
    return Statement.of_sign(
        SOURCE,
        f"{words} {'concentrate' if rises else 'spreads over cities'}",
        "percent change of the Herfindahl index of employment over cities",
        percent,
        rises,
    )


def _of_services(words: str, price: xr.Dataset, cost: xr.Dataset, log_size: xr.DataArray) -> Iterator[Statement]:
    if words == WORDS[HEALTH]:
        yield Statement.of_sign(
            SOURCE,
            f"prices of {words} fall in larger cities and rise in smaller ones",
            "correlation of log size with the change of the log price",
            correlation(log_size, price["price"]),
            False,
        )
        yield Statement.of_sign(
            SOURCE,
            f"prices of {words} follow unit costs",
            "correlation over cities of the two changes",
            correlation(price["price"], price["unit_cost"]),
            True,
        )
    else:
        yield _everywhere_lower(words, price)
    yield Statement.of_sign(
        SOURCE,
        f"varieties bought elsewhere offset the unit costs of {words}",
        "correlation over cities of the two contributions",
        correlation(price["unit_cost"], price["variety"]),
        False,
    )
    yield Statement.of_sign(
        SOURCE,
        f"unit costs of {words} fall where productivity rises",
        "correlation over cities of the change of unit costs with productivity's contribution",
        correlation(cost["unit_cost"], cost["tfp"]),
        True,
    )
    yield Statement.of_sign(
        SOURCE,
        f"wages offset productivity in the unit costs of {words}",
        "correlation over cities of the two contributions",
        correlation(cost["wages"], cost["tfp"]),
        False,
    )


def _of_manufacturing(price: xr.Dataset, cost: xr.Dataset, log_size: xr.DataArray) -> Iterator[Statement]:
    words = WORDS[MANUFACTURING]
    yield Statement.of_sign(
        SOURCE,
        f"prices of {words} fall most in smaller cities",
        "correlation of log size with the change of the log price",
        correlation(log_size, price["price"]),
        True,
    )
    yield _everywhere_lower(words, price)
    yield Statement.of_sign(
        SOURCE,
        f"wages and productivity move the unit costs of {words} in the same direction",
        "correlation over cities of the two contributions",
        correlation(cost["wages"], cost["tfp"]),
        True,
    )
    yield Statement.of_sign(
        SOURCE,
        f"prices of inputs lower the unit costs of {words} across the country",
        "largest contribution, log points",
        float(cost["inputs"].max()),
        False,
    )


def _everywhere_lower(words: str, price: xr.Dataset) -> Statement:
    return Statement.of_sign(
        SOURCE,
        f"prices of {words} fall in all cities",
        "largest change of the log price",
        float(price["price"].max()),
        False,
    )


def _of_exceptions(unit_cost: xr.DataArray, named: list[int]) -> Iterator[Statement]:
    cities = "San Jose, Washington and San Francisco"
    health, services = (unit_cost.sel(sector_group=group).values for group in (HEALTH, PROFESSIONAL))
    yield Statement.of_sign(
        SOURCE,
        f"unit costs of {WORDS[HEALTH]} rise in {cities}",
        "change of the log unit cost, smallest of three",
        float(health[named].min()),
        True,
    )
    rank = max(int((services < services[n]).sum()) + 1 for n in named)
    yield Statement(
        SOURCE,
        f"unit costs of {WORDS[PROFESSIONAL]} fall most in {cities}",
        f"rank by the fall among {len(services)} cities, last of three",
        rank,
        rank == len(named),
    )
