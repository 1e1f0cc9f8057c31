import os
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from economies import flat_state
from economies import labels as labels_of

import spatialjax as sj
from spatialjax.cities.flows import expenditure_share
from spatialjax.errors import ConvergenceError, DataError, ModelError
from spatialjax.nested import eu_enlargement, nafta
from spatialjax.nested.closed_forms import observed_flows
from spatialjax.nested.exact_hat import exact_hat
from spatialjax.nested.first_order import changes, trade_flow, welfare_terms, welfare_terms_along_path
from spatialjax.nested.trade_flows import observed_deficits, read_flows
from spatialjax.workflow.config import load_config
from spatialjax.workflow.nested_run import run_nested

PEERS = os.environ.get("SPATIALJAX_PEERS", "")
needs_peers = pytest.mark.skipif(not PEERS, reason="SPATIALJAX_PEERS does not name the folder of published results")

CITIES, SECTORS = 5, 4
LOCAL, UNWANTED, NOT_MADE = 3, (0, 2), (1, 1)
"""The sector that is not traded; a city that has no use for a good; a city that does not make one."""
TOLERANCE = 1e-12


def world(seed=0):
    """Countries with costs, inputs, baskets, value-added shares and tariffs of their own."""
    rng = np.random.default_rng(seed)
    own = np.eye(CITIES, dtype=bool)
    cost = np.where(own, 0.0, rng.uniform(0.2, 0.9, (SECTORS, CITIES, CITIES)))
    cost[0, 1, 4] = np.inf
    cost[LOCAL] = np.where(own, 0.1, np.inf)
    tariff = np.where(own, 0.0, rng.uniform(0.02, 0.3, (SECTORS, CITIES, CITIES)))
    tariff[LOCAL] = 0.0
    mix = rng.dirichlet(np.ones(SECTORS), (CITIES, SECTORS)).transpose(0, 2, 1)
    basket = rng.dirichlet(3 * np.ones(SECTORS), CITIES)
    mix[UNWANTED[0], UNWANTED[1]], basket[UNWANTED] = 0.0, 0.0
    mix, basket = mix / mix.sum(1, keepdims=True), basket / basket.sum(1, keepdims=True)
    productivity = np.exp(rng.normal(0, 0.3, (CITIES, 1, SECTORS)))
    productivity[NOT_MADE[0], 0, NOT_MADE[1]] = 0.0
    workers = jnp.asarray(rng.uniform(50.0, 150.0, (CITIES, 1)))
    start = flat_state(CITIES, 1, SECTORS, workers.sum(0), 1e4)
    return sj.Economy(
        spillover=sj.NoSpillover(),
        fundamental_productivity=jnp.asarray(productivity),
        amenity=jnp.ones((CITIES, 1)),
        trade_elasticity=jnp.asarray([3.0, 5.0, 8.0, 4.0]),
        location_elasticity=jnp.asarray(2.0),
        occupation_substitution=jnp.asarray(2.0),
        consumption_share=jnp.asarray(basket)[:, None, :],
        value_added_share=jnp.asarray(rng.uniform(0.3, 0.7, (CITIES, SECTORS))),
        land_share=jnp.zeros((CITIES, SECTORS)),
        input_links=sj.CityInputMix(jnp.asarray(mix)),
        log_iceberg_cost=jnp.asarray(cost),
        land=jnp.zeros(CITIES),
        population=workers.sum(0),
        wage_bill=jnp.asarray(1e4),
        reference=eqx.tree_at(lambda s: s.log_employment, start, jnp.log(workers)),
        traded=(0, 1, 2),
        labels=labels_of(CITIES, 1, SECTORS),
        mobility=sj.FixedEmployment(jnp.log(workers)),
        tariff=jnp.asarray(tariff),
    )


def deficits_of_world():
    return sj.TradeDeficits(jnp.asarray([300.0, -200.0, 100.0, -250.0, 50.0]))


def solved(economy, income=None, **options):
    return sj.solve(economy, income=deficits_of_world() if income is None else income, tolerance=TOLERANCE, **options)


def flows_of(economy, equilibrium):
    """The data that a world shows."""
    flow = np.asarray(trade_flow(economy, equilibrium))
    names, sectors = list(economy.labels.city), list(economy.labels.sector)
    return xr.Dataset(
        {
            "trade_flow": (("sector", "city", "origin"), flow),
            "trade_elasticity": ("sector", np.asarray(economy.trade_elasticity)),
            "value_added_share": (("city", "sector"), np.asarray(economy.value_added_share)),
            "input_mix": (("city", "input", "sector"), np.asarray(economy.input_links.mix)),
            "tariff": (("sector", "city", "origin"), np.asarray(economy.tariff)),
            "workers": ("city", np.asarray(equilibrium.employment[:, 0])),
        },
        {"city": names, "origin": names, "sector": sectors, "input": sectors},
    )


@pytest.fixture(scope="module")
def base():
    economy = world()
    return economy, solved(economy)


@pytest.fixture(scope="module")
def data(base):
    return flows_of(*base)


@pytest.fixture(scope="module")
def hat(data):
    return sj.economy_from_flows(data)


def liberalised(economy):
    return eqx.tree_at(lambda e: e.tariff, economy, economy.tariff * jnp.asarray([0.0, 0.5, 1.5, 1.0])[:, None, None])


# Exact-hat algebra as levels.


def test_observed_flows_are_an_equilibrium_at_prices_of_one(base, data, hat):
    deficit = observed_deficits(data)
    np.testing.assert_allclose(deficit, deficits_of_world().deficit, atol=1e-6)
    again = solved(hat, sj.TradeDeficits(jnp.asarray(deficit)))
    bought = np.asarray(base[1].expenditure) > 0
    np.testing.assert_allclose(np.asarray(again.price)[bought], 1.0, rtol=1e-9)
    np.testing.assert_allclose(again.wage, base[1].wage, rtol=1e-9)
    np.testing.assert_allclose(again.expenditure, base[1].expenditure, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(trade_flow(hat, again), data["trade_flow"], rtol=1e-8, atol=1e-9)
    assert hat.traded == (0, 1, 2)


def test_changes_from_flows_are_those_of_the_economy_with_costs(base, hat):
    economy, before = base
    after, hat_after = (solved(liberalised(e)) for e in (economy, hat))
    np.testing.assert_allclose(hat_after.wage, after.wage, rtol=1e-9)
    np.testing.assert_allclose(hat_after.tariff_revenue, after.tariff_revenue, rtol=1e-9)
    np.testing.assert_allclose(hat_after.gross_output, after.gross_output, rtol=1e-9, atol=1e-9)
    bought = np.asarray(before.expenditure) > 0
    np.testing.assert_allclose(
        np.asarray(hat_after.price)[bought], np.asarray(after.price / before.price)[bought], rtol=1e-9
    )
    gain = after.consumption / before.consumption
    np.testing.assert_allclose(hat_after.consumption / solved(hat).consumption, gain, rtol=1e-9)
    assert np.abs(np.asarray(gain) - 1).max() > 1e-3


def test_a_good_of_no_use_in_a_city_is_not_bought_there(base, hat):
    for economy in (base[0], hat):
        assert float(solved(economy).expenditure[UNWANTED]) == 0.0


def test_shares_and_expenditure_say_the_same_as_flows(base, data, hat):
    economy, equilibrium = base
    share = np.asarray(expenditure_share(economy, equilibrium))
    same = data.drop_vars("trade_flow").assign(
        trade_share=(("sector", "city", "origin"), share),
        expenditure=(("city", "sector"), np.asarray(equilibrium.expenditure)),
    )
    other = sj.economy_from_flows(same)
    for one, two in zip(jax.tree.leaves(hat), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


def test_baskets_can_be_given_and_are_otherwise_what_inputs_leave(base, data, hat):
    np.testing.assert_allclose(hat.consumption_share, base[0].consumption_share, atol=1e-9)
    basket = np.asarray(base[0].consumption_share)[:, 0]
    given = sj.economy_from_flows(data.assign(consumption_share=(("city", "sector"), basket)))
    np.testing.assert_array_equal(given.consumption_share[:, 0], basket)


def test_negative_final_demand_is_set_to_zero_and_the_base_found_nearby():
    # City 0 buys no more of good 0 than a tenth of what its sectors use.
    mix = np.asarray([[0.9, 0.5], [0.1, 0.5]])
    flow = np.asarray([[[1.0, 1.0], [9.0, 20.0]], [[30.0, 5.0], [5.0, 30.0]]])
    names = {"city": ["a", "b"], "origin": ["a", "b"], "sector": ["x", "y"], "input": ["x", "y"]}
    data = xr.Dataset(
        {
            "trade_flow": (("sector", "city", "origin"), flow),
            "trade_elasticity": 4.0,
            "value_added_share": ("sector", [0.5, 0.6]),
            "input_mix": (("input", "sector"), mix),
        },
        names,
    )
    economy = sj.economy_from_flows(data)
    np.testing.assert_array_equal(economy.consumption_share[0, 0], [0.0, 1.0])
    assert isinstance(economy.input_links, sj.NationalInputMix)
    found = sj.solve(economy)
    assert np.abs(np.asarray(found.wage) - 1).max() > 1e-3
    np.testing.assert_allclose(found.wage.ravel() @ found.employment.ravel(), economy.wage_bill)


def test_workers_may_move_if_told_so(hat):
    free = sj.solve(eqx.tree_at(lambda e: e.mobility, hat, sj.FreeMobility()))
    np.testing.assert_allclose(free.employment.sum(), hat.population.sum())
    assert np.abs(np.asarray(free.employment / jnp.exp(hat.reference.log_employment)) - 1).max() > 1e-3
    # Amenities are one, so that workers are where consumption to the power of the location elasticity says.
    offer = np.asarray(free.consumption) ** float(hat.location_elasticity)
    share = np.asarray(free.employment) / float(hat.population[0])
    np.testing.assert_allclose(share, offer / offer.sum(), rtol=1e-8)


# Exact-hat algebra by itself.


def by_hat(**changed):
    data = observed_flows()
    same = {"tariff": data["tariff"].values, "deficit": observed_deficits(data)}
    return exact_hat(read_flows(data), **(same | changed))


def test_without_a_change_nothing_changes():
    found = by_hat()
    for change in (found.wage, found.price, found.real_income):
        np.testing.assert_allclose(change, 1.0, rtol=1e-10)
    np.testing.assert_allclose(found.trade_flow, observed_flows()["trade_flow"], rtol=1e-10)


def test_wages_and_flows_of_hat_algebra_are_those_of_solves():
    data = observed_flows()
    economy, income = sj.economy_from_flows(data), sj.TradeDeficits(jnp.asarray(observed_deficits(data)))
    changed = eqx.tree_at(lambda e: e.tariff, economy, jnp.zeros_like(economy.tariff))
    before, after = solved(economy, income), solved(changed, income)
    known = by_hat(tariff=np.zeros(economy.tariff.shape))
    np.testing.assert_allclose((after.wage / before.wage)[:, 0], known.wage, rtol=1e-8)
    np.testing.assert_allclose(trade_flow(changed, after), known.trade_flow, rtol=1e-8)
    assert np.abs(known.real_income - 1).max() > 0.01


def test_hat_algebra_that_cannot_be_is_refused(data):
    with pytest.raises(ConvergenceError, match="did not settle in 2 iterations"):
        by_hat(deficit=np.zeros(4), max_iterations=2)
    with pytest.raises(ModelError, match="every city buys every good"):
        exact_hat(read_flows(data), tariff=data["tariff"].values, deficit=np.zeros(CITIES))


# Tariffs and deficits.


def test_tariffs_deficits_and_markets_add_up(hat):
    found = solved(hat)
    flow = np.asarray(trade_flow(hat, found))
    np.testing.assert_allclose(found.tariff_revenue, (np.asarray(hat.tariff) * flow).sum((0, 2)), rtol=1e-10)
    earned = np.asarray(found.wage * found.employment)[:, 0] + np.asarray(found.tariff_revenue)
    spent = np.asarray(found.income * found.employment)[:, 0]
    np.testing.assert_allclose(spent - earned, deficits_of_world().deficit, atol=1e-7)
    # Imports less exports are the deficit: Walras' law, place by place.
    np.testing.assert_allclose(flow.sum((0, 2)) - flow.sum((0, 1)), deficits_of_world().deficit, atol=1e-6)
    np.testing.assert_allclose(found.gross_output, flow.sum(1).T, rtol=1e-10, atol=1e-9)
    paid = flow * (1 + np.asarray(hat.tariff))
    np.testing.assert_allclose(found.expenditure, paid.sum(2).T, rtol=1e-10, atol=1e-9)
    assert float(found.residuals.budget) < 1e-12


def test_proportional_deficits_keep_ratios(hat):
    ratio = jnp.asarray([1.1, 0.9, 1.05, 1.0, 0.95])
    found = solved(hat, sj.ProportionalDeficits(ratio))
    earned = np.asarray(found.wage * found.employment)[:, 0] + np.asarray(found.tariff_revenue)
    spent = np.asarray(found.income * found.employment)[:, 0]
    np.testing.assert_allclose(spent.sum(), earned.sum())
    np.testing.assert_allclose(spent / earned / np.asarray(ratio), (spent / earned / np.asarray(ratio))[0])


@pytest.mark.parametrize(
    "rule",
    [
        sj.Transfers(jnp.linspace(-10.0, 10.0, CITIES)[:, None]),
        sj.FlatTax(0.2),
        sj.PhasedOutPayment(10.0, 80.0, 0.05),
        sj.ScaledPolicy(sj.FlatTax(0.2), jnp.asarray(0.5)),
        sj.LocalLandRents(),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_rules_of_a_government_pay_out_tariffs_too(hat, rule):
    found = sj.solve(hat, income=rule)
    np.testing.assert_allclose((sj.net_transfer(found) * found.employment).sum(), 0.0, atol=1e-6)


def test_the_derivative_of_welfare_in_a_tariff_is_that_of_differences(hat):
    cell, step = (1, 0, 2), 1e-4

    def log_consumption(rate):
        economy = eqx.tree_at(lambda e: e.tariff, hat, hat.tariff.at[cell].set(rate))
        return jnp.log(solved(economy).consumption[:, 0])

    rate = hat.tariff[cell]
    differences = (log_consumption(rate + step) - log_consumption(rate - step)) / (2 * step)
    np.testing.assert_allclose(jax.jacfwd(log_consumption)(rate), differences, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(jax.jacrev(log_consumption)(rate), differences, rtol=1e-5, atol=1e-9)


def test_many_tariffs_at_once_are_as_one_by_one(hat):
    tariffs = hat.tariff * jnp.linspace(0.0, 2.0, 5)[:, None, None, None]
    deficits = deficits_of_world().deficit * jnp.linspace(1.0, 0.0, 5)[:, None]
    batch = sj.solve_many(
        hat, {"tariff": tariffs, "income.deficit": deficits}, income=deficits_of_world(), tolerance=TOLERANCE
    )
    assert np.asarray(batch.converged).all()
    for i, (tariff, deficit) in enumerate(zip(tariffs, deficits, strict=True)):
        one = solved(eqx.tree_at(lambda e: e.tariff, hat, tariff), sj.TradeDeficits(deficit))
        np.testing.assert_allclose(batch.consumption[i], one.consumption, rtol=1e-9)
        np.testing.assert_allclose(batch.tariff_revenue[i], one.tariff_revenue, rtol=1e-9, atol=1e-9)


def test_a_scenario_with_a_tariff_that_is_none_is_named(hat):
    tariffs = np.repeat(np.asarray(hat.tariff)[None], 3, axis=0)
    tariffs[2, 0, 1, 3] = np.nan
    with pytest.raises(ModelError, match=r"scenario 2: tariff must be a rate above -1.*city 1 from city 3"):
        sj.solve_many(hat, {"tariff": tariffs}, income=deficits_of_world())


# Terms of trade and volume of trade.


@pytest.mark.parametrize("balanced", [True, False])
def test_first_order_terms_are_exact_for_a_small_change(hat, balanced):
    income = sj.LaissezFaire() if balanced else deficits_of_world()
    slightly = eqx.tree_at(lambda e: e.tariff, hat, hat.tariff * (1 - 1e-5))
    before, after = solved(hat, income), solved(slightly, income)
    exact = np.asarray(after.consumption / before.consumption)[:, 0] - 1
    terms = welfare_terms(hat, before, slightly, after)
    np.testing.assert_allclose(terms.welfare, exact, rtol=1e-3, atol=1e-10)


@pytest.mark.parametrize("balanced", [True, False])
def test_terms_add_up_along_a_path_to_the_exact_change(hat, balanced):
    income = sj.LaissezFaire() if balanced else deficits_of_world()
    other = liberalised(hat)
    before, after = solved(hat, income), solved(other, income)
    exact = np.log(np.asarray(after.consumption / before.consumption))[:, 0]
    errors = []
    for steps in (4, 8):
        terms = welfare_terms_along_path(hat, other.tariff, income=income, steps=steps)
        errors.append(np.abs(np.asarray(terms.welfare) - exact).max())
    assert errors[1] < 1e-4
    np.testing.assert_allclose(errors[0] / errors[1], 4.0, rtol=0.2)


def test_changes_are_a_table_by_country(hat):
    before, other = solved(hat), liberalised(hat)
    table = changes(hat, before, other, solved(other))
    assert list(table.columns) == ["terms_of_trade", "volume_of_trade", "welfare", "real_wage", "real_income"]
    np.testing.assert_allclose(table["welfare"], table["terms_of_trade"] + table["volume_of_trade"])
    assert list(table.index) == list(hat.labels.city)


def test_terms_need_tariffs(data):
    free = sj.economy_from_flows(data.drop_vars("tariff"))
    assert free.tariff is None
    found = sj.solve(free)
    with pytest.raises(ModelError, match="need an economy with tariffs"):
        welfare_terms(free, found, free, found)


# What is refused.


def without(*names):
    return lambda data: data.drop_vars(names)


def with_cell(name, cell, value):
    def changed(data):
        values = data[name].values.copy()
        values[cell] = value
        return data.assign({name: (data[name].dims, values)})

    return changed


def with_variable(name, dims, values):
    return lambda data: data.assign({name: (dims, values)})


MISTAKES = {
    "no flows": (without("trade_flow"), r"variable trade_flow \(sector, city, origin\) is missing: what sellers"),
    "a negative flow": (
        with_cell("trade_flow", (1, 2, 3), -1.0),
        "trade_flow must be zero or positive, but has sector 1, city 2, city 3: -1",
    ),
    "dimensions": (
        with_variable("value_added_share", ("city",), np.ones(CITIES)),
        r"value_added_share has dimensions \(city\); it must have \(city, sector\)",
    ),
    "a share above one": (
        with_cell("value_added_share", (0, 1), 1.2),
        "value_added_share must be above 0 and at most 1, but has city 0, sector 1: 1.2",
    ),
    "an elasticity": (with_cell("trade_elasticity", 1, 0.0), "trade_elasticity must be positive, but has sector 1: 0"),
    "no input mix": (without("input_mix"), r"input_mix \(city, input, sector\) or \(input, sector\) is missing"),
    "an input mix": (with_cell("input_mix", (1, 0, 2), 5.0), "input_mix must sum to 1 over inputs.*sector 2 of city 1"),
    "a tariff at home": (
        with_cell("tariff", (1, 2, 2), 0.1),
        "tariff must be 0 on a city's own goods, but is not in sector 1 of city 2",
    ),
    "a tariff": (with_cell("tariff", (1, 2, 3), -1.0), "tariff must be above -1, but has sector 1, city 2, city 3: -1"),
    "workers": (with_cell("workers", 3, 0.0), "workers must be positive, but has city 3: 0"),
    "other origins": (
        lambda data: data.assign_coords(origin=list(data["city"].values[::-1])),
        "dimension origin must have the labels of city, in the same order",
    ),
    "other inputs": (
        lambda data: data.assign_coords(input=list(data["sector"].values[::-1])),
        "dimension input must have the labels of sector, in the same order",
    ),
    "no labels": (lambda data: data.drop_vars("sector"), "dimension sector has no labels"),
    "a basket": (
        with_variable("consumption_share", ("city", "sector"), np.full((CITIES, SECTORS), 0.3)),
        "consumption_share must sum to 1 over sectors, but sums to 1.2.* in city 0",
    ),
    "a good from nobody": (
        with_variable("consumption_share", ("sector",), np.full(SECTORS, 0.25)),
        "city 0 buys sector 2 from nobody, but its consumption or inputs need it",
    ),
    "a city that sells nothing": (
        lambda data: data.assign(trade_flow=data["trade_flow"].where(data["origin"] != "city 2", 0.0)),
        "trade_flow: city 2 sells nothing; leave it out",
    ),
    "nothing left": (
        with_variable(
            "trade_flow",
            ("sector", "city", "origin"),
            np.where(np.arange(CITIES) == 1, 1.0, 1e-9)
            * np.ones((SECTORS, CITIES, CITIES))
            * (np.arange(CITIES) != 1)[:, None]
            + 1e-9,
        ),
        "nothing that city 1 buys is left for consumption after inputs",
    ),
    "deficits": (
        with_variable("deficit", ("city",), np.full(CITIES, 100.0)),
        "deficit must sum to 0 over cities, but sums to 500",
    ),
    "shares without expenditure": (
        lambda data: data.rename(trade_flow="trade_share"),
        r"variable expenditure \(city, sector\) is missing",
    ),
    "shares": (
        lambda data: data.rename(trade_flow="trade_share").assign(
            expenditure=(("city", "sector"), np.ones((CITIES, SECTORS)))
        ),
        "trade_share must sum to 1 over origins, but sums to .* in sector 0 of city 0",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_data_that_are_no_economy_are_refused_by_name(data, mistake):
    change, message = MISTAKES[mistake]
    with pytest.raises(DataError, match=message):
        sj.economy_from_flows(change(data))


def test_what_is_no_data_set_is_refused():
    with pytest.raises(DataError, match="an xarray.Dataset is needed"):
        sj.economy_from_flows({"trade_flow": 1})


def test_all_problems_are_listed_and_the_file_is_named(data, tmp_path):
    bad = with_cell("workers", 3, 0.0)(with_cell("trade_elasticity", 1, 0.0)(data))
    bad.to_netcdf(tmp_path / "world.nc")
    with pytest.raises(DataError) as error:
        sj.economy_from_flows(sj.load_data(tmp_path / "world.nc"))
    assert len(error.value.problems) == 2
    assert "world.nc: 2 problems" in str(error.value)


def test_given_deficits_are_taken(data):
    deficit = np.asarray([1.0, -1.0, 0.0, 2.0, -2.0])
    np.testing.assert_array_equal(observed_deficits(data.assign(deficit=("city", deficit))), deficit)


# Readers of published files.


def test_files_that_are_missing_or_hold_something_else_are_named(tmp_path):
    with pytest.raises(DataError, match=r"file B\.txt is missing"):
        nafta.read_nafta(tmp_path)
    for name in nafta.FILES:
        (tmp_path / name).write_text("1 2 3\n")
    with pytest.raises(DataError, match=r"B\.txt: .*\n.*1240 numbers, value-added shares.* but holds 3"):
        nafta.read_nafta(tmp_path)
    (tmp_path / "B.txt").write_text("a b\n")
    with pytest.raises(DataError, match=r"B\.txt: .*\n.*must hold numbers alone"):
        nafta.read_nafta(tmp_path)


@pytest.fixture
def small_nafta(tmp_path, monkeypatch):
    """Files as those of cp2015, of three countries, two goods and one service."""
    monkeypatch.setattr(nafta, "COUNTRIES", ("USA", "Mexico", "Canada"))
    monkeypatch.setattr(nafta, "GOODS", ("Food", "Auto"))
    monkeypatch.setattr(nafta, "SERVICES", ("Retail",))
    own = np.eye(3, dtype=bool)
    mix = np.full((3, 3, 3), 1 / 3)
    mix[0, :, 0] = [0.75, 0.26, -0.01]  # rounded, and one that is negative
    mix[2, :, 2] = 0.0
    exports = np.where(own, 0.0, [[[0, 1, 2], [3, 0, 4], [5, 6, 0]], [[0, 7, 8], [9, 0, 1], [2, 3, 0]]])
    output = np.array([[20e3, 30e3, 25e3], [60e3, 50e3, 4e3], [90e3, 80e3, 70e3]])
    rate = np.where(own, 0.0, [[[10.0] * 3] * 3, [[20.0] * 3] * 3])
    numbers = {
        "B.txt": [[0.5, 0.6, 0.7], [0.4, 0.5, 0.6], [0.6, 0.7, 0.8]],
        "GO.txt": output,
        "IO.txt": mix,
        "T.txt": [8.0, 2.0],
        "tariffs1993.txt": rate,
        "tariffs2005.txt": 0 * rate,
        "xbilat1993.txt": exports,
    }
    for name, values in numbers.items():
        np.savetxt(tmp_path / name, np.asarray(values).reshape(len(values), -1))
    return tmp_path


def test_files_of_nafta_become_flows(small_nafta):
    data = nafta.read_nafta(small_nafta)
    at = lambda name, *labels: float(data[name].sel(dict(zip(data[name].dims, labels, strict=True))))  # noqa: E731
    assert at("trade_flow", "Food", "Mexico", "USA") == 3000.0  # Mexico's imports, in thousands
    assert at("trade_flow", "Food", "USA", "USA") == 20e3 - 8e3
    assert at("trade_flow", "Auto", "Canada", "Canada") == 0.0  # exports are more than output
    assert at("trade_flow", "Retail", "USA", "USA") == 90e3
    assert at("trade_flow", "Retail", "USA", "Mexico") == 0.0
    assert at("tariff", "Auto", "Mexico", "USA") == pytest.approx(0.2)
    assert at("tariff_2005", "Auto", "Mexico", "USA") == 0.0
    np.testing.assert_allclose(data["trade_elasticity"], [8.0, 2.0, nafta.SERVICES_ELASTICITY])
    np.testing.assert_allclose(data["input_mix"].sel(city="USA", sector="Food"), [0.75 / 1.01, 0.26 / 1.01, 0.0])
    assert at("value_added_share", "Auto", "Mexico") == 0.5
    assert at("value_added_share", "Retail", "Canada") == 1.0  # no inputs
    table = nafta.run(small_nafta)
    assert list(table.index) == ["USA", "Mexico", "Canada"]
    assert (table["real_wage"] > 0.1).all()


def test_a_table_of_trade_without_a_column_or_a_pair_is_refused(tmp_path):
    file = tmp_path / eu_enlargement.FILE
    with pytest.raises(DataError, match="is missing"):
        eu_enlargement.read_eu_enlargement(tmp_path)
    table = pd.DataFrame({"exporter": ["a", "a", "b", "b"], "importer": ["a", "b", "a", "b"], "trade": 1.0})
    table.to_csv(file)
    with pytest.raises(DataError, match="column eu_effect is missing"):
        eu_enlargement.read_eu_enlargement(tmp_path)
    table.assign(eu_effect=0.0).iloc[:3].to_csv(file)
    with pytest.raises(DataError, match="column trade has no number for b from b"):
        eu_enlargement.read_eu_enlargement(tmp_path)
    pd.concat([table, table]).assign(eu_effect=0.0).to_csv(file)
    with pytest.raises(DataError, match="there are two rows for a from a"):
        eu_enlargement.read_eu_enlargement(tmp_path)
    table.assign(eu_effect=0.0).to_csv(file)
    np.testing.assert_allclose(eu_enlargement.run(tmp_path)["welfare"], 0.0, atol=1e-9)


# Published results.


@pytest.fixture(scope="module")
def nafta_data():
    return nafta.read_nafta(PEERS)


@needs_peers
@pytest.mark.parametrize("deficits", ["removed", "held"])
def test_nafta_is_that_of_the_package_in_all_countries(nafta_data, deficits):
    table = nafta.experiment(nafta_data, deficits=deficits).table()
    expected = nafta.read_expected(Path(PEERS), deficits)
    assert list(table.index) == list(expected.index)
    assert (table[list(nafta.COLUMNS)] - expected[list(nafta.COLUMNS)]).abs().to_numpy().max() < 1e-5


@needs_peers
def test_rows_of_nafta_hold():
    rows = nafta.rows(Path(PEERS))
    assert len(rows) == 12 + 3 + 8
    assert [row.quantity for row in rows if not row.holds] == []
    assert all(row.seconds > 0 for row in rows)


ALONG_THE_PATH = {"Mexico": ("-0.68", "0.69"), "Canada": ("-0.109", "-0.0011"), "USA": ("0.059", "0.0155")}
"""Terms of trade and volume of trade, percent, to the digits that docs/nested.md shows."""


@needs_peers
def test_along_the_path_the_formula_gives_real_income(nafta_data):
    made = nafta.experiment(nafta_data)
    terms = welfare_terms_along_path(made.base, made.changed.tariff, income=made.income, initial=made.before)
    exact = 100 * np.log(np.asarray(made.after.consumption / made.before.consumption)[:, 0])
    assert np.abs(100 * np.asarray(terms.welfare) - exact).max() < 0.005
    for country, shown in ALONG_THE_PATH.items():
        for term, number in zip(terms, shown, strict=True):
            found = 100 * float(term[nafta.COUNTRIES.index(country)])
            assert f"{found:.{len(number.split('.')[1])}f}" == number


@needs_peers
def test_tariffs_of_all_countries_and_words_that_are_none(nafta_data):
    everyone = nafta.experiment(nafta_data, cuts="all")
    assert float(jnp.abs(everyone.changed.tariff - nafta_data["tariff_2005"].values).max()) == 0.0
    for options, message in (({"deficits": "some"}, "removed, held"), ({"cuts": "some"}, "nafta, all")):
        with pytest.raises(ModelError, match=message):
            nafta.experiment(nafta_data, **options)


@needs_peers
def test_rows_of_the_enlargement_hold():
    rows = eu_enlargement.rows(Path(PEERS))
    assert len(rows) == 3 + 4
    assert [row.quantity for row in rows if not row.holds] == []
    found = {row.quantity[:3]: round(row.computed, 6) for row in rows[:3]}
    assert found == {"HUN": 1.014043, "CZE": 1.009983, "POL": 1.006804}


@needs_peers
def test_configurations_of_published_models_run(tmp_path):
    written = {"summary.csv", "summary.tex", "report.html", "run.json"}
    cuts = run_nested(load_config("configs/nafta_tariffs.toml", [f"folder={PEERS}/cp2015"]), tmp_path / "nafta")
    assert {path.name for path in cuts.files} >= written
    table = cuts.figures.set_index("country")
    for country, published in nafta.PUBLISHED.items():
        assert [round(table.loc[country, name], 2) for name in nafta.COLUMNS] == list(published)
        assert round(table.loc[country, "real_income"], 3) == nafta.EXACT[country]
    joined = run_nested(load_config("configs/eu_enlargement.toml", [f"folder={PEERS}/ge_gravity"]), tmp_path / "eu")
    assert {path.name for path in joined.files} >= written
    assert round(joined.figures.set_index("country").loc["HUN", "welfare"], 4) == 1.4043


@needs_peers
def test_runs_give_tables_by_country():
    assert list(nafta.run(PEERS, deficits="held").columns[-2:]) == ["real_wage", "real_income"]
    table = eu_enlargement.run(Path(PEERS) / "ge_gravity", deficits="proportional")
    assert len(table) == 44
    assert table["exports"]["HUN"] > 10
