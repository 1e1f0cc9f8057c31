"""What SH say of prices and unit costs at the optimum: the numbers against independent arithmetic, and the verdicts."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

import spatialjax as sj
from spatialjax.cities.spillovers import IndustrySpillover
from spatialjax.workflow.cases import Case
from spatialjax.workflow.hub_statements import EXCEPTIONS, WORDS, hub_statements
from spatialjax.workflow.statement import Statement

CITIES = 9


@pytest.fixture(scope="module")
def data():
    """The cities that SH name among the largest."""
    everywhere = sj.load_data("us-metros")
    size = everywhere["employment"].sum(("occupation", "sector")).values
    named = [n for n, title in enumerate(everywhere["title"].values) if str(title).startswith(EXCEPTIONS)]
    others = [n for n in np.argsort(-size) if n not in named][: CITIES - len(named)]
    return everywhere.isel(city=sorted([*named, *others]))


@pytest.fixture(scope="module")
def case(data):
    economy = sj.invert(data, spillover=IndustrySpillover.from_groups(data))
    equilibrium = sj.solve(economy)
    best = jax.block_until_ready(sj.optimum(economy, equilibrium))
    return Case(economy, equilibrium, equilibrium.to_xarray(data)).with_optimum(best, data)


@pytest.fixture(scope="module")
def said(data, case):
    return {one.statement: one for one in hub_statements(data, case)}


def group_mean(data, case, group, change, weight):
    """Mean of a change over the sectors of a group, by the weights of the equilibrium before."""
    members = data["sector_group"].values == group
    weights = case.result[weight].transpose("city", "sector").values[:, members]
    return (change[:, members] * weights).sum(1) / weights.sum(1)


def log_change(case, name):
    before, after = (found[name].transpose("city", "sector").values for found in (case.result, case.optimum))
    return np.log(after) - np.log(before)


@pytest.mark.parametrize("rises", [True, False])
def test_what_is_not_a_number_confirms_nothing(rises):
    assert not Statement.of_sign("SH", "it moves", "slope", np.nan, rises).holds
    assert Statement.of_sign("SH", "it moves", "slope", 1.0 if rises else -1.0, rises).holds
    assert not Statement.of_sign("SH", "it moves", "slope", -1.0 if rises else 1.0, rises).holds


def test_there_are_statements_of_all_groups(said):
    for words in WORDS.values():
        assert any(words in statement for statement in said)
    assert len(said) == 17
    assert all(np.isfinite(one.value) for one in said.values())


@pytest.mark.parametrize("group", ["professional_other", "manufacturing"])
def test_prices_that_fall_everywhere(data, case, said, group):
    change = group_mean(data, case, group, log_change(case, "price"), "expenditure")
    one = said[f"prices of {WORDS[group]} fall in all cities"]
    assert one.value == pytest.approx(change.max(), abs=1e-9)
    assert one.holds == (change.max() < 0)


@pytest.mark.parametrize(
    ("group", "statement", "rises"),
    [
        ("health_education", "prices of {} fall in larger cities and rise in smaller ones", False),
        ("manufacturing", "prices of {} fall most in smaller cities", True),
    ],
)
def test_prices_by_size(data, case, said, group, statement, rises):
    change = group_mean(data, case, group, log_change(case, "price"), "expenditure")
    size = case.result["employment"].sum("occupation").values
    value = np.corrcoef(np.log(size), change)[0, 1]
    one = said[statement.format(WORDS[group])]
    assert one.value == pytest.approx(value, abs=1e-6)
    assert one.holds == ((value > 0) == rises)


def test_unit_costs_of_the_cities_that_are_named(data, case, said):
    costs = {
        group: group_mean(data, case, group, log_change(case, "unit_cost"), "gross_output")
        for group in ("health_education", "professional_other")
    }
    named = [n for n, title in enumerate(data["title"].values) if str(title).startswith(EXCEPTIONS)]
    smallest = costs["health_education"][named].min()
    rises = said[f"unit costs of {WORDS['health_education']} rise in San Jose, Washington and San Francisco"]
    assert rises.value == pytest.approx(smallest, abs=1e-9)
    assert rises.holds == (smallest > 0)
    order = list(np.argsort(costs["professional_other"]))
    falls = said[f"unit costs of {WORDS['professional_other']} fall most in San Jose, Washington and San Francisco"]
    assert falls.value == max(order.index(n) for n in named) + 1
    assert falls.holds == (falls.value == len(named))


def test_groups_and_titles_that_are_not_there_are_passed_over(data, case):
    manufacturing_alone = xr.where(data["sector_group"] == "manufacturing", "manufacturing", "other")
    found = list(hub_statements(data.assign(sector_group=("sector", manufacturing_alone.values)), case))
    assert found
    assert all("manufacturing" in one.statement for one in found)
    untitled = replace(case, result=case.result.drop_vars("title"))
    assert len(list(hub_statements(data, untitled))) == 15
