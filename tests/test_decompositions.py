"""What moves prices and unit costs, and trade flows: identities, closed forms, independent arithmetic."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from economies import city_mix, data_from, random_economy
from jaxtyping import Array, Float

import spatialjax as sj
from spatialjax.cities.decompositions import (
    PRICE_COMPONENTS,
    UNIT_COST_COMPONENTS,
    by_sector_group,
    price_decomposition,
    unit_cost_decomposition,
)
from spatialjax.cities.flows import (
    expenditure_share,
    group_members,
    group_trade_share,
    log_own_trade_share,
    own_trade_share,
    trade_flow_changes,
    trade_flows,
)
from spatialjax.errors import ModelError

TIGHT = 1e-12
GROUPS = ["goods", "local", "services", "local"]


class Levelling(sj.IncomeRule):
    """A tax on wages at one rate, shared out equally."""

    rate: Float[Array, ""]

    def __call__(self, state, economy):
        wage_bill = (state.wage * state.employment).sum()
        rebate = self.rate * wage_bill / state.employment.sum()
        return (1 - self.rate) * state.wage + sj.land_dividend(state) + rebate


class Case(NamedTuple):
    economy: sj.Economy
    before: sj.Equilibrium
    after: sj.Equilibrium
    data: xr.Dataset

    def decompose(self, how):
        return how(self.economy, self.before, self.after, self.data)


def economy_of(kind):
    if kind == "by sector and city":
        return city_mix(random_economy(seed=3, trade_elasticity=[3.0, 4.0, 6.0, 4.0]))
    return random_economy(occupations={"one": 1, "two": 2, "three": 3}[kind], seed=2, empty_cells=3)


@pytest.fixture(scope="module", params=["two", "three", "by sector and city"])
def case(request):
    return case_of(request.param)


@pytest.fixture(scope="module")
def two():
    return case_of("two")


def case_of(kind):
    economy = economy_of(kind)
    before = sj.solve(economy, tolerance=TIGHT)
    after = sj.solve(economy, income=Levelling(jnp.asarray(0.5)), tolerance=TIGHT)
    return Case(economy, before, after, data_of(economy, before))


def data_of(economy, found):
    if isinstance(economy.input_links, sj.CityInputMix):
        labels = economy.labels
        return xr.Dataset(coords={name: list(getattr(labels, name)) for name in ("city", "occupation", "sector")})
    return data_from(economy, found)


def own_share_by_hand(economy, found):
    """The share of its spending that a city spends at home, from the definition."""
    theta = np.broadcast_to(np.asarray(economy.trade_elasticity), found.unit_cost.shape[1])
    cost = np.exp(np.asarray(economy.log_iceberg_cost)) * np.asarray(found.unit_cost).T[:, None, :]
    strength = cost ** -theta[:, None, None]
    return np.einsum("jnn->nj", strength) / strength.sum(2).T


class TestPrices:
    def test_components_add_up(self, case):
        parts = case.decompose(price_decomposition)
        total = sum(parts[name] for name in list(PRICE_COMPONENTS)[1:])
        np.testing.assert_allclose(total, parts["price"], atol=1e-12, rtol=0)
        np.testing.assert_allclose(parts["price"], np.log(case.after.price / case.before.price), atol=1e-14)

    def test_the_sign_in_print_is_a_slip(self, case):
        """With a minus, as SH print it, the identity of section I is off by twice the term."""
        parts = case.decompose(price_decomposition).where(lambda p: p["produced"])
        minus = parts["unit_cost"] - parts["variety"] - parts["price"]
        np.testing.assert_allclose(minus, -2 * parts["variety"], atol=1e-12)
        assert float(np.abs(minus).max()) > 1e-3

    def test_variety_is_the_own_trade_share(self, case):
        parts = case.decompose(price_decomposition)
        before, after = (own_share_by_hand(case.economy, found) for found in (case.before, case.after))
        produced = before > 0
        np.testing.assert_array_equal(parts["produced"], produced)
        theta = np.broadcast_to(np.asarray(case.economy.trade_elasticity), before.shape)
        expected = np.log(after[produced] / before[produced]) / theta[produced]
        np.testing.assert_allclose(parts["variety"].values[produced], expected, atol=1e-12)

    def test_nothing_is_missing_where_a_good_is_not_produced(self, case):
        parts = case.decompose(price_decomposition)
        sector = case.economy.traded[0]
        cell = parts.isel(city=0, sector=sector)
        assert not cell["produced"]
        assert float(cell["not_produced"]) == float(cell["price"]) != 0
        assert float(cell["unit_cost"]) == float(cell["variety"]) == 0
        assert parts.attrs["cells_not_produced"] == int((~parts["produced"]).sum()) > 0
        assert all(np.isfinite(parts[name]).all() for name in parts.data_vars)

    def test_what_a_city_makes_for_others_alone_does_not_set_its_price(self, two):
        """A city that cannot sell to itself has a unit cost, but no own-trade share."""
        city, sector = 2, two.economy.traded[1]
        shut = two.economy.log_iceberg_cost.at[sector, city, city].set(jnp.inf)
        economy = eqx.tree_at(lambda e: e.log_iceberg_cost, two.economy, shut)
        before = sj.solve(economy, tolerance=TIGHT)
        after = sj.solve(economy, income=Levelling(jnp.asarray(0.5)), tolerance=TIGHT)
        cell = price_decomposition(economy, before, after, two.data).isel(city=city, sector=sector)
        assert not cell["produced"]
        assert float(cell["not_produced"]) == float(cell["price"]) != 0
        assert float(cell["unit_cost"]) == float(cell["variety"]) == 0
        costs = unit_cost_decomposition(economy, before, after, two.data).isel(city=city, sector=sector)
        assert costs["produced"]
        assert np.isfinite(costs["unit_cost"])

    def test_sectors_that_are_not_traded_follow_their_costs(self, case):
        parts = case.decompose(price_decomposition)
        local = [j for j in range(4) if j not in case.economy.traded]
        assert (parts["variety"].isel(sector=local) == 0).all()
        np.testing.assert_allclose(parts["unit_cost"][:, local], parts["price"][:, local], atol=1e-14)
        traded = parts["variety"].isel(sector=list(case.economy.traded))
        assert float(np.abs(traded).max()) > 1e-3

    def test_labels_and_units(self, two):
        parts = two.decompose(price_decomposition)
        assert list(parts["city"].values) == list(two.data["city"].values)
        assert parts["variety"].attrs["units"] == "log points"
        np.testing.assert_array_equal(parts["expenditure"], two.before.expenditure)


class TestUnitCosts:
    def test_components_are_those_of_the_paper(self, case):
        """SH eq. 2 term by term, with loops and a dense table of input shares."""
        economy, before, after = case.economy, case.before, case.after
        parts = case.decompose(unit_cost_decomposition)
        cities, occupations, sectors = before.productivity.shape
        gamma, beta = np.asarray(economy.value_added_share), np.asarray(economy.land_share)
        mix = np.broadcast_to(np.asarray(economy.input_links.mix), (cities, sectors, sectors))
        wage, by_sector = np.asarray(before.wage), np.asarray(before.employment_by_sector)
        for n in range(cities):
            for j in range(sectors):
                if not np.isfinite(before.unit_cost[n, j]):
                    continue
                bill = sum(wage[n, k] * by_sector[n, k, j] for k in range(occupations))
                wages = tfp = 0.0
                for k in range(occupations):
                    if by_sector[n, k, j] > 0:
                        weight = gamma[n, j] * (1 - beta[n, j]) * wage[n, k] * by_sector[n, k, j] / bill
                        wages += weight * np.log(after.wage[n, k] / before.wage[n, k])
                        tfp -= weight * np.log(after.productivity[n, k, j] / before.productivity[n, k, j])
                inputs = sum(
                    (1 - gamma[n, j]) * mix[n, i, j] * np.log(after.price[n, i] / before.price[n, i])
                    for i in range(sectors)
                )
                rent = gamma[n, j] * beta[n, j] * np.log(after.rent[n] / before.rent[n])
                for name, expected in (("wages", wages), ("tfp", tfp), ("inputs", inputs), ("land_rent", rent)):
                    assert float(parts[name][n, j]) == pytest.approx(float(expected), abs=1e-12), (name, n, j)
                change = np.log(after.unit_cost[n, j] / before.unit_cost[n, j])
                assert float(parts["unit_cost"][n, j]) == pytest.approx(float(change), abs=1e-12)

    def test_components_add_up(self, case):
        parts = case.decompose(unit_cost_decomposition)
        total = sum(parts[name] for name in list(UNIT_COST_COMPONENTS)[1:])
        np.testing.assert_allclose(total, parts["unit_cost"], atol=1e-12, rtol=0)

    def test_remainder_is_the_substitution_of_occupations(self, case):
        """gamma (1 - beta) (log sum_k omega exp((1 - eps) d) / (1 - eps) - sum_k omega d), d = dlog(w / lambda)."""
        economy, before, after = case.economy, case.before, case.after
        parts = case.decompose(unit_cost_decomposition)
        bill = np.asarray(before.wage[:, :, None] * before.employment_by_sector)
        with np.errstate(invalid="ignore", divide="ignore"):
            omega = bill / bill.sum(1, keepdims=True)
            change = np.log(np.asarray(after.wage / before.wage))[:, :, None]
            change = np.where(bill > 0, change - np.log(np.asarray(after.productivity / before.productivity)), 0.0)
        power = 1 - float(economy.occupation_substitution)
        exact = np.log((omega * np.exp(power * change)).sum(1)) / power - (omega * change).sum(1)
        labour = np.asarray(economy.value_added_share * (1 - economy.land_share))
        np.testing.assert_allclose(parts["remainder"], labour * exact, atol=1e-10)
        assert float(np.abs(parts["remainder"]).max()) > 1e-6

    def test_remainder_is_of_second_order(self, two):
        small = [
            unit_cost_decomposition(
                two.economy,
                two.before,
                sj.solve(two.economy, income=Levelling(jnp.asarray(rate)), tolerance=1e-13),
                two.data,
            )
            for rate in (0.02, 0.01)
        ]
        first, remainder = (
            float(np.abs(small[0][name]).max() / np.abs(small[1][name]).max()) for name in ("wages", "remainder")
        )
        assert first == pytest.approx(2, rel=0.05)
        assert remainder == pytest.approx(4, rel=0.05)

    def test_one_occupation_has_no_remainder(self):
        economy = economy_of("one")
        before = sj.solve(economy, tolerance=TIGHT)
        shift = jnp.asarray(np.random.default_rng(0).normal(0, 0.2, economy.amenity.shape))
        after = sj.solve(eqx.tree_at(lambda e: e.amenity, economy, economy.amenity * jnp.exp(shift)), tolerance=TIGHT)
        parts = unit_cost_decomposition(economy, before, after, data_of(economy, before))
        np.testing.assert_allclose(parts["remainder"].fillna(0), 0, atol=1e-10)
        for name in ("wages", "tfp", "land_rent", "inputs"):
            assert float(np.abs(parts[name]).max()) > 1e-3

    def test_is_not_a_number_only_where_nothing_is_produced(self, case):
        parts = case.decompose(unit_cost_decomposition)
        produced = np.isfinite(np.asarray(case.before.unit_cost))
        assert 0 < parts.attrs["cells_not_produced"] == (~produced).sum()
        np.testing.assert_array_equal(parts["produced"], produced)
        for name in UNIT_COST_COMPONENTS:
            np.testing.assert_array_equal(np.isfinite(parts[name]), produced)
        np.testing.assert_array_equal(parts["gross_output"] > 0, produced)

    def test_only_land_users_pay_rent(self, two):
        parts = two.decompose(unit_cost_decomposition)
        uses = np.asarray(two.economy.land_share).any(0)
        assert (np.abs(parts["land_rent"].isel(sector=uses)) > 1e-4).all()
        assert (parts["land_rent"].isel(sector=~uses).fillna(0) == 0).all()


class TestBoth:
    def test_no_change(self, two):
        same = Case(two.economy, two.before, two.before, two.data)
        for how, components in (
            (price_decomposition, PRICE_COMPONENTS),
            (unit_cost_decomposition, UNIT_COST_COMPONENTS),
        ):
            parts = same.decompose(how)
            assert all((parts[name].fillna(0) == 0).all() for name in components)

    def test_doubling_the_numeraire(self, two):
        """All that is nominal doubles, so that each component is its share of cost times log 2."""
        doubled = eqx.tree_at(lambda e: e.wage_bill, two.economy, 2 * two.economy.wage_bill)
        after = sj.solve(doubled, tolerance=TIGHT)
        moved = Case(two.economy, two.before, after, two.data)
        prices, costs = moved.decompose(price_decomposition), moved.decompose(unit_cost_decomposition)
        gamma, beta = np.asarray(two.economy.value_added_share), np.asarray(two.economy.land_share)
        shares = {"wages": gamma * (1 - beta), "land_rent": gamma * beta, "inputs": 1 - gamma, "tfp": 0 * gamma}
        produced = costs["produced"].values
        for name, share in {**shares, "unit_cost": 1 + 0 * gamma, "remainder": 0 * gamma}.items():
            expected = np.where(produced, share * np.log(2), np.nan)
            np.testing.assert_allclose(costs[name], expected, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(prices["price"], np.log(2), atol=1e-9)
        np.testing.assert_allclose(prices["variety"], 0, atol=1e-9)

    def test_productivity_may_change_with_the_spillover(self, two):
        """Without externalities all of TFP's part is the externality that is gone."""
        without = eqx.tree_at(lambda e: e.spillover, two.economy, sj.NoSpillover())
        after = sj.solve(without, tolerance=TIGHT)
        parts = unit_cost_decomposition(two.economy, two.before, after, two.data)
        shift = np.asarray(two.economy.spillover(two.before.employment))
        bill = np.asarray(two.before.wage[:, :, None] * two.before.employment_by_sector)
        labour = np.asarray(two.economy.value_added_share * (1 - two.economy.land_share))
        with np.errstate(invalid="ignore"):
            lost = labour * (bill * shift).sum(1) / bill.sum(1)
        np.testing.assert_allclose(parts["tfp"], lost, atol=1e-12)

    @pytest.mark.parametrize("how", [price_decomposition, unit_cost_decomposition])
    @pytest.mark.parametrize(
        ("change", "word"),
        [
            (lambda e: eqx.tree_at(lambda e: e.trade_elasticity, e, e.trade_elasticity + 1), "price"),
            (lambda e: eqx.tree_at(lambda e: e.log_iceberg_cost, e, e.log_iceberg_cost * 1.1), "price"),
            (lambda e: eqx.tree_at(lambda e: e.value_added_share, e, e.value_added_share * 0.9), "unit cost"),
            (lambda e: eqx.tree_at(lambda e: e.occupation_substitution, e, jnp.asarray(3.0)), "unit cost"),
        ],
    )
    def test_refuse_an_equilibrium_of_another_economy(self, two, how, change, word):
        other = change(two.economy)
        after = sj.solve(other, tolerance=TIGHT)
        with pytest.raises(ModelError, match=f"`after` is not an equilibrium of this economy: the log {word} of"):
            how(two.economy, two.before, after, two.data)
        with pytest.raises(ModelError, match="`before`"):
            how(other, two.before, after, two.data)

    @pytest.mark.parametrize("how", [price_decomposition, unit_cost_decomposition])
    def test_refuse_one_that_is_not_solved(self, two, how):
        broken = eqx.tree_at(lambda e: e.price, two.after, two.after.price * jnp.nan)
        with pytest.raises(ModelError, match="`after` is not an equilibrium"):
            how(two.economy, two.before, broken, two.data)

    @pytest.mark.parametrize("how", [price_decomposition, unit_cost_decomposition])
    def test_refuse_other_cells(self, two, how):
        full = eqx.tree_at(
            lambda e: e.fundamental_productivity,
            two.economy,
            jnp.where(two.economy.fundamental_productivity > 0, two.economy.fundamental_productivity, 1.0),
        )
        with pytest.raises(ModelError, match="at only one of the two equilibria"):
            how(two.economy, two.before, sj.solve(full, tolerance=TIGHT), two.data)

    def test_are_written_to_a_file(self, two, tmp_path):
        for how in (price_decomposition, unit_cost_decomposition):
            for result in (two.decompose(how), by_sector_group(two.decompose(how), GROUPS)):
                result.to_netcdf(tmp_path / "parts.nc")
                with xr.open_dataset(tmp_path / "parts.nc") as again:
                    xr.testing.assert_identical(again.load(), result)


class TestGroups:
    def test_of_prices_add_up(self, case):
        parts = case.decompose(price_decomposition)
        groups = by_sector_group(parts, GROUPS)
        assert list(groups["sector_group"].values) == ["goods", "local", "services"]
        total = sum(groups[name] for name in list(PRICE_COMPONENTS)[1:])
        np.testing.assert_allclose(total, groups["price"], atol=1e-12, rtol=0)
        spent = parts["expenditure"].values
        for name in PRICE_COMPONENTS:
            values = parts[name].values
            of_local = (values[:, 1] * spent[:, 1] + values[:, 3] * spent[:, 3]) / (spent[:, 1] + spent[:, 3])
            np.testing.assert_allclose(groups[name].sel(sector_group="local"), of_local, atol=1e-14)
            whole = (groups[name] * groups["expenditure"]).sum("sector_group") / groups["expenditure"].sum(
                "sector_group"
            )
            np.testing.assert_allclose(whole, np.average(values, axis=1, weights=spent), atol=1e-14)
        assert groups["variety"].attrs == parts["variety"].attrs

    def test_of_unit_costs_add_up(self, case):
        parts = case.decompose(unit_cost_decomposition)
        groups = by_sector_group(parts, GROUPS)
        known = groups["gross_output"] > 0
        total = sum(groups[name] for name in list(UNIT_COST_COMPONENTS)[1:]).where(known, 0)
        np.testing.assert_allclose(total, groups["unit_cost"].where(known, 0), atol=1e-12, rtol=0)
        output = np.asarray(case.before.gross_output)
        for name in UNIT_COST_COMPONENTS:
            values = parts[name].values
            of_local = (values[:, 1] * output[:, 1] + values[:, 3] * output[:, 3]) / (output[:, 1] + output[:, 3])
            np.testing.assert_allclose(groups[name].sel(sector_group="local"), of_local, atol=1e-14)

    def test_what_a_city_does_not_produce(self, two):
        """Its share is reported; costs are means over what is produced, and missing where that is nothing."""
        prices, costs = two.decompose(price_decomposition), two.decompose(unit_cost_decomposition)
        alone = by_sector_group(prices, GROUPS).sel(sector_group="goods").isel(city=0)
        assert float(alone["not_produced_share"]) == 1
        assert float(alone["not_produced"]) == float(alone["price"])
        assert np.isnan(by_sector_group(costs, GROUPS)["unit_cost"].sel(sector_group="goods").isel(city=0))
        everything = ["all"] * 4
        spent = np.asarray(two.before.expenditure)[0]
        share = float(by_sector_group(prices, everything)["not_produced_share"][0, 0])
        assert share == pytest.approx(spent[0] / spent.sum())
        rest = np.average(costs["wages"][0, 1:], weights=two.before.gross_output[0, 1:])
        assert float(by_sector_group(costs, everything)["wages"][0, 0]) == pytest.approx(rest)

    def test_are_matched_by_label(self, two):
        sector = two.data["sector"]
        labelled = xr.DataArray(GROUPS[::-1], {"sector": sector.values[::-1]}, "sector")
        in_order = xr.DataArray(GROUPS, dims="sector")
        expected = by_sector_group(two.decompose(price_decomposition), GROUPS)
        for groups in (labelled, in_order, np.array(GROUPS)):
            xr.testing.assert_identical(by_sector_group(two.decompose(price_decomposition), groups), expected)
        assert group_members(labelled, sector).sel(sector_group="services").values.tolist() == [0, 0, 1, 0]

    @pytest.mark.parametrize("groups", [GROUPS[:3], xr.DataArray(GROUPS[:3], {"sector": ["sector 0", "x", "y"]})])
    def test_need_a_name_for_every_sector(self, two, groups):
        with pytest.raises(ModelError, match="name the group of every sector"):
            by_sector_group(two.decompose(price_decomposition), groups)


class TestTradeFlows:
    def test_own_trade_share(self, case):
        expected = own_share_by_hand(case.economy, case.before)
        np.testing.assert_allclose(own_trade_share(case.economy, case.before), expected, rtol=1e-12)
        assert own_trade_share(case.economy, case.before)[0, case.economy.traded[0]] == 0
        log_share = np.asarray(log_own_trade_share(case.economy, case.before))
        np.testing.assert_allclose(np.exp(log_share), expected, rtol=1e-12)
        assert (log_share[:, [j for j in range(4) if j not in case.economy.traded]] == 0).all()

    @pytest.mark.parametrize("name", ["trade_elasticity", "log_iceberg_cost"])
    def test_own_trade_share_has_derivatives(self, two, name):
        """Where goods are not produced or not traded too."""
        leaf = getattr(two.economy, name)
        direction = jnp.asarray(np.random.default_rng(1).standard_normal(leaf.shape))

        def total(size):
            moved = jnp.where(jnp.isfinite(leaf), leaf + size * direction, leaf)
            economy = eqx.tree_at(lambda e: getattr(e, name), two.economy, moved)
            return (own_trade_share(economy, two.before) ** 2).sum()

        finite = (total(1e-5) - total(-1e-5)) / 2e-5
        assert float(jax.grad(total)(0.0)) == pytest.approx(float(finite), rel=1e-7)
        assert abs(float(finite)) > 1e-3

    def test_group_share_is_the_definition(self, case):
        shares = group_trade_share(case.economy, case.before, case.data, GROUPS)
        pi, spent = np.asarray(expenditure_share(case.economy, case.before)), np.asarray(case.before.expenditure)
        for n in range(5):
            for m in range(5):
                flow = sum(spent[n, j] * pi[j, n, m] for j in (0, 1)) / (spent[n, 0] + spent[n, 1])
                both = group_trade_share(case.economy, case.before, case.data, ["a", "a", "b", "b"])
                assert float(both[0, n, m]) == pytest.approx(float(flow), abs=1e-14)
        np.testing.assert_allclose(shares.sum("origin"), 1)
        np.testing.assert_allclose(shares.sel(sector_group="services"), pi[2], atol=1e-14)
        np.testing.assert_allclose(shares.sel(sector_group="local"), np.eye(5), atol=1e-14)

    def test_shares_are_of_the_destination(self, two):
        """Revenue of origins follows from shares of destinations, not the other way round."""
        shares = group_trade_share(two.economy, two.before, two.data, GROUPS).sel(sector_group="services")
        spent = two.before.expenditure[:, 2]
        np.testing.assert_allclose(shares.values.T @ np.asarray(spent), two.before.gross_output[:, 2], rtol=1e-10)

    def test_nothing_bought_is_no_flow(self, two):
        spent = two.before.expenditure.at[1, 2].set(0.0)
        idle = eqx.tree_at(lambda e: e.expenditure, two.before, spent)
        shares = group_trade_share(two.economy, idle, two.data, GROUPS).sel(sector_group="services")
        assert (shares.isel(city=1) == 0).all()
        np.testing.assert_allclose(shares.isel(city=0).sum(), 1)

    def made_up(self):
        """Rows are destinations: b spends a quarter on goods from a."""
        share = [[0.9, 0.04, 0.06], [0.25, 0.7, 0.05], [0.0, 0.5, 0.5]]
        cities = ["a", "b", "c"]
        labels = {"city": cities, "origin": cities, "title": ("city", ["A", "B", "C"])}
        return xr.DataArray(share, labels, ("city", "origin"))

    def test_above_a_threshold(self):
        table = trade_flows(self.made_up(), threshold=0.05)
        expected = pd.DataFrame({"origin": ["b", "a", "c"], "destination": ["c", "b", "a"], "share": [0.5, 0.25, 0.06]})
        pd.testing.assert_frame_equal(table, expected, check_dtype=False)
        assert len(trade_flows(self.made_up(), threshold=0.05, own_city=True)) == 6
        assert trade_flows(self.made_up(), threshold=0.5).empty

    def test_changes_above_a_threshold(self):
        before = self.made_up()
        after = before.copy(data=[[0.9, 0.06, 0.04], [0.256, 0.69, 0.054], [0.0, 0.4, 0.6]])
        table = trade_flow_changes(before, after, threshold=0.0025)
        assert table[["origin", "destination"]].values.tolist() == [["b", "a"], ["a", "b"], ["c", "b"]]
        np.testing.assert_allclose(table["change"], [0.02, 0.006, 0.004])
        np.testing.assert_allclose(table["after"] - table["before"], table["change"])
        assert len(trade_flow_changes(before, after, threshold=0.01)) == 1
        with_own = trade_flow_changes(before, after, threshold=0.01, own_city=True)
        assert with_own.loc[0, ["origin", "destination"]].tolist() == ["c", "c"]
        falls = trade_flow_changes(after, before, threshold=0.01)
        assert falls[["origin", "destination"]].values.tolist() == [["b", "c"], ["c", "a"]]

    def test_of_several_groups_and_of_equilibria(self, two):
        before, after = (group_trade_share(two.economy, found, two.data, GROUPS) for found in (two.before, two.after))
        table = trade_flows(before, threshold=0.1)
        assert list(table.columns) == ["sector_group", "origin", "destination", "share"]
        assert set(table["sector_group"]) == {"goods", "services"}
        assert (table["share"] > 0.1).all()
        assert table["share"].is_monotonic_decreasing
        one = trade_flows(before.sel(sector_group="goods"), threshold=0.1)
        assert one.to_dict("records") == (
            table[table["sector_group"] == "goods"].drop(columns="sector_group").to_dict("records")
        )
        off_diagonal = ~np.eye(5, dtype=bool)
        assert len(table) == int((before.values[:, off_diagonal] > 0.1).sum())
        grown = trade_flow_changes(before, after, threshold=0.001)
        assert len(grown) == int(((after - before).values[:, off_diagonal] > 0.001).sum()) > 0

    def test_changes_need_the_same_cities(self):
        shares = self.made_up()
        with pytest.raises(ValueError, match="city"):
            trade_flow_changes(shares, shares.isel(city=[0, 1]))
