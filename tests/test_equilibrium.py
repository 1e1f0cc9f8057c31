"""Equilibria against closed forms, an independent solver, and the model's own symmetries."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import one_sector_economy, random_economy
from raw_model import near, raw_economy, solve_raw

import spatialjax as sj
from spatialjax.cities.equilibrium import EquilibriumStatus, evaluate_at
from spatialjax.cities.input_links import CityInputMix
from spatialjax.cities.location import FixedEmployment

TIGHT = 1e-12


def close(a, b, tolerance=1e-9):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=tolerance)


def adds_up(economy, found):
    """Walras' law and the numeraire, which no masked or missing cell may break."""
    close(found.gross_output.sum(0), found.expenditure.sum(0))
    close((found.wage[:, :, None] * found.employment_by_sector).sum(), economy.wage_bill)
    close(found.employment.sum(0), economy.population)


def asymmetric_costs(cities, seed=1):
    rng = np.random.default_rng(seed)
    costs = rng.uniform(0.1, 1.0, (cities, cities))
    np.fill_diagonal(costs, 0.0)
    return costs


@pytest.mark.parametrize("occupations", [1, 2, 3])
@pytest.mark.parametrize("substitution", [2.0, 0.6])
def test_agrees_with_scipy_on_the_raw_equations(occupations, substitution):
    economy = random_economy(4, 4, occupations, seed=occupations, occupation_substitution=substitution)
    ours = sj.solve(economy, tolerance=TIGHT)
    theirs = solve_raw(raw_economy(economy), near(ours))
    for name, values in theirs.items():
        close(getattr(ours, name), values)


def test_symmetric_cities_are_alike():
    cities = 4
    costs = np.full((cities, cities), 0.4)
    np.fill_diagonal(costs, 0.0)
    found = sj.solve(one_sector_economy(np.ones(cities), costs), tolerance=TIGHT)
    close(found.employment, 100.0)
    close(found.wage, 1.0)


def test_frictionless_wages_have_their_closed_form():
    """With free trade and fixed labour, w_n is proportional to (lambda_n^theta / L_n)^(1 / (1 + theta))."""
    productivity, theta = np.array([1.0, 1.5, 0.7]), 4.0
    economy = one_sector_economy(productivity, np.zeros((3, 3)), theta=theta)
    labour = np.array([[50.0], [100.0], [150.0]])
    found = sj.solve(economy, income=sj.LaissezFaire(), mobility=FixedEmployment(jnp.log(labour)), tolerance=TIGHT)
    expected = (productivity**theta / labour[:, 0]) ** (1 / (1 + theta))
    wage = np.asarray(found.wage)[:, 0]
    close(wage / wage[0], expected / expected[0])


@pytest.mark.parametrize("value_added_share", [1.0, 0.4])
def test_gains_from_trade_are_those_of_arkolakis_costinot_rodriguez_clare(value_added_share):
    """Real wages over autarky are pi_nn^(-1 / (theta gamma)), with input links and asymmetric costs."""
    productivity, theta = np.array([1.0, 1.5, 0.7, 1.2]), 4.0
    labour = jnp.log(jnp.asarray([[50.0], [100.0], [150.0], [100.0]]))
    economy = one_sector_economy(productivity, asymmetric_costs(4), value_added_share=value_added_share, theta=theta)
    trading = sj.solve(economy, income=sj.LaissezFaire(), mobility=FixedEmployment(labour), tolerance=TIGHT)
    own_share = (np.asarray(trading.unit_cost) / np.asarray(trading.price))[:, 0] ** (-theta)
    assert own_share.max() < 0.9
    # In autarky P = x = (w / lambda)^gamma P^(1 - gamma), so that the real wage is lambda.
    gains = np.asarray(trading.consumption)[:, 0] / productivity
    close(gains, own_share ** (-1 / (theta * value_added_share)))


def test_costs_run_from_origin_to_destination():
    """A city that others can reach cheaply, but that cannot reach them, faces low prices and sells little."""
    costs = np.full((3, 3), 0.8)
    costs[0, :] = 0.05
    np.fill_diagonal(costs, 0.0)
    labour = jnp.zeros((3, 1))
    found = sj.solve(one_sector_economy(np.ones(3), costs), income=sj.LaissezFaire(), mobility=FixedEmployment(labour))
    price = np.asarray(found.price)[:, 0]
    assert price[0] < price[1]
    close(price[1], price[2])
    assert float(found.wage[0, 0]) < float(found.wage[1, 0])


def test_accounts_add_up():
    economy = random_economy(5, 5, 3, local_sectors=(3,), land_sector=0, seed=3)
    found = sj.solve(economy, tolerance=TIGHT)
    close(found.employment_by_sector.sum(2), found.employment)
    close(found.employment.sum(0), economy.population)
    close((found.wage * found.employment).sum(), economy.wage_bill)
    close((found.income * found.employment).sum(), economy.wage_bill + found.land_income.sum())
    close(found.gross_output.sum(0), found.expenditure.sum(0))
    close(found.consumption, found.income / found.price_index[:, None])
    close(found.rent * economy.land, found.land_income)
    value_added = (economy.value_added_share * found.gross_output).sum()
    close(value_added, economy.wage_bill + found.land_income.sum())


def test_expenditure_shares_carry_spending_to_output():
    economy = random_economy(5, 4, 2, seed=3)
    found = sj.solve(economy, tolerance=TIGHT)
    share = sj.expenditure_share(economy, found)
    close(share.sum(2), 1.0)
    assert (np.asarray(share[0, :, 0]) == 0).all()  # city 0 does not produce in sector 0
    close(jnp.einsum("jnm,nj->mj", share, found.expenditure) + 1, found.gross_output + 1)
    own = np.exp(-4 * np.asarray(economy.log_iceberg_cost[2, 1, 1]))
    close(share[2, 1, 1], own * (found.unit_cost[1, 2] / found.price[1, 2]) ** -4)


def test_nominal_values_scale_with_the_numeraire_and_nothing_else_moves():
    economy = random_economy(seed=2)
    found = sj.solve(economy, tolerance=TIGHT)
    doubled = sj.solve(eqx.tree_at(lambda e: e.wage_bill, economy, 2 * economy.wage_bill), tolerance=TIGHT)
    for name in ("wage", "expenditure", "gross_output", "price", "income"):
        close(getattr(doubled, name), 2 * getattr(found, name))
    for name in ("employment", "consumption", "welfare"):
        close(getattr(doubled, name), getattr(found, name))


def test_welfare_rises_one_for_one_with_amenities():
    economy = random_economy(seed=2)
    found = sj.solve(economy, tolerance=TIGHT)
    better = sj.solve(eqx.tree_at(lambda e: e.amenity, economy, 1.1 * economy.amenity), tolerance=TIGHT)
    close(better.welfare, 1.1 * found.welfare)
    close(better.employment, found.employment)


def permuted(economy, cities, sectors):
    """The same economy with its cities and sectors in another order."""
    traded = tuple(i for i, j in enumerate(sectors) if j in economy.traded)
    take = {
        "fundamental_productivity": lambda x: x[cities][:, :, sectors],
        "amenity": lambda x: x[cities],
        "consumption_share": lambda x: x[sectors],
        "value_added_share": lambda x: x[cities][:, sectors],
        "land_share": lambda x: x[cities][:, sectors],
        "log_iceberg_cost": lambda x: x[sectors][:, cities][:, :, cities],
        "land": lambda x: x[cities],
    }
    fields = {name: take.get(name, lambda x: x)(getattr(economy, name)) for name in economy.__dataclass_fields__}
    fields["input_links"] = type(economy.input_links)(economy.input_links.mix[sectors][:, sectors])
    fields["traded"] = traded
    return sj.Economy(**fields)


def test_order_of_cities_and_sectors_does_not_matter():
    economy = random_economy(6, 5, 2, land_sector=2, local_sectors=(4,), seed=7)
    cities, sectors = np.array([3, 1, 5, 0, 2, 4]), np.array([4, 2, 0, 3, 1])
    found = sj.solve(economy, tolerance=TIGHT)
    other = sj.solve(permuted(economy, cities, sectors), tolerance=TIGHT)
    close(other.wage, found.wage[cities])
    close(other.price, found.price[cities][:, sectors])
    close(other.gross_output + 1, found.gross_output[cities][:, sectors] + 1)
    close(other.welfare, found.welfare)


def test_an_equilibrium_is_its_own_solution():
    economy = random_economy(seed=4)
    found = sj.solve(economy, tolerance=1e-11)
    again = sj.solve(economy, initial=found, tolerance=1e-9)
    assert int(again.evaluations) == 1
    assert float(evaluate_at(economy, found.state()).largest()) < 1e-10


def test_input_mix_by_city_equals_the_national_one_where_they_are_the_same():
    economy = random_economy(seed=5)
    mix = jnp.broadcast_to(economy.input_links.mix, (5, 4, 4))
    by_city = eqx.tree_at(lambda e: e.input_links, economy, CityInputMix(mix))
    close(sj.solve(by_city, tolerance=TIGHT).wage, sj.solve(economy, tolerance=TIGHT).wage)


def test_trade_elasticity_by_sector_equals_the_common_one_where_they_are_the_same():
    economy = random_economy(seed=5)
    by_sector = eqx.tree_at(lambda e: e.trade_elasticity, economy, jnp.full(4, 4.0))
    close(sj.solve(by_sector, tolerance=TIGHT).wage, sj.solve(economy, tolerance=TIGHT).wage)
    uneven = eqx.tree_at(lambda e: e.trade_elasticity, economy, jnp.asarray([4.0, 99.0, 7.0, 99.0]))
    assert not np.allclose(sj.solve(uneven).wage, sj.solve(economy).wage, rtol=1e-3)


def test_a_users_spillover_is_as_good_as_a_built_in_one():
    class Mine(eqx.Module):
        share: jax.Array
        size: jax.Array

        def __call__(self, employment):
            total = employment.sum(1, keepdims=True)
            return (self.share * jnp.log(employment / total) + self.size * jnp.log(total))[:, :, None]

    economy = random_economy(seed=6)
    mine = eqx.tree_at(lambda e: e.spillover, economy, Mine(economy.spillover.share, economy.spillover.size))
    close(sj.solve(mine, tolerance=TIGHT).wage, sj.solve(economy, tolerance=TIGHT).wage)


def test_spillovers_by_sector_are_possible():
    class OneSectorOnly(eqx.Module):
        def __call__(self, employment):
            log_size = jnp.log(employment.sum(1))
            return jnp.zeros((employment.shape[0], 1, 4)).at[:, 0, 2].set(0.1 * log_size)

    economy = random_economy(seed=6, spillover=OneSectorOnly())
    found = sj.solve(economy)
    expected = economy.fundamental_productivity[:, :, 2] * found.employment.sum(1, keepdims=True) ** 0.1
    close(found.productivity[:, :, 2], expected)
    close(found.productivity[:, :, 0], economy.fundamental_productivity[:, :, 0])


def test_a_spillover_of_the_wrong_shape_is_named():
    class Flat(eqx.Module):
        def __call__(self, employment):
            return jnp.log(employment)

    with pytest.raises(sj.errors.ModelError, match=r"Flat returned shape \(5, 2\).*\(5, 2, 4\)"):
        sj.solve(random_economy(spillover=Flat()))


@pytest.mark.parametrize("shift", [5.0, -5.0])
@pytest.mark.parametrize("uniform", [True, False])
def test_costs_may_move_by_e_to_the_five(shift, uniform):
    economy = random_economy(6, 4, 2, seed=8, trade_elasticity=10.0)
    between = ~jnp.eye(6, dtype=bool)
    size = jnp.ones(()) if uniform else jnp.asarray(np.random.default_rng(0).uniform(0, 1, (4, 6, 6)))
    costs = economy.log_iceberg_cost + jnp.where(between, shift * size, 0.0)
    found = sj.solve(eqx.tree_at(lambda e: e.log_iceberg_cost, economy, costs))
    adds_up(eqx.tree_at(lambda e: e.log_iceberg_cost, economy, costs), found)
    start = sj.solve(economy)
    assert float(jnp.abs(jnp.log(found.employment / start.employment)).max()) > 0.01


@pytest.mark.parametrize("shift", [5.0, -5.0])
def test_productivity_may_move_by_e_to_the_five(shift):
    economy = random_economy(6, 4, 2, seed=8, trade_elasticity=10.0)
    factor = jnp.ones((6, 1, 1)).at[2].set(jnp.exp(shift))
    changed = eqx.tree_at(lambda e: e.fundamental_productivity, economy, economy.fundamental_productivity * factor)
    adds_up(changed, sj.solve(changed))


def test_infinite_costs_are_no_trade():
    economy = random_economy(4, 4, 2, seed=9, empty_cells=0)
    own = jnp.eye(4, dtype=bool)
    autarky = eqx.tree_at(lambda e: e.log_iceberg_cost, economy, jnp.where(own, economy.log_iceberg_cost, jnp.inf))
    found = sj.solve(autarky, tolerance=TIGHT)
    close(found.gross_output, found.expenditure)
    close(found.price, found.unit_cost * jnp.exp(jnp.einsum("jnn->nj", economy.log_iceberg_cost)))


def test_empty_cells_stay_empty():
    economy = random_economy(seed=0)
    found = sj.solve(economy)
    empty = np.asarray(economy.fundamental_productivity) == 0
    assert empty.any()
    assert (np.asarray(found.employment_by_sector)[empty] == 0).all()
    assert np.isinf(np.asarray(found.unit_cost)[0, 0])
    assert float(found.gross_output[0, 0]) == 0
    assert float(found.price[0, 0]) > 0


def test_an_occupation_may_be_absent_from_a_city():
    economy = random_economy(5, 4, 2, seed=1)
    economy = eqx.tree_at(lambda e: e.amenity, economy, economy.amenity.at[3, 0].set(0.0))
    found = sj.solve(economy)
    assert float(found.employment[3, 0]) == 0
    assert float(found.wage[3, 0]) == 0
    adds_up(economy, found)

    class Logs(eqx.Module):
        def __call__(self, employment):
            return (0.1 * jnp.log(employment / employment.sum(1, keepdims=True)))[:, :, None]

    mine = eqx.tree_at(lambda e: e.spillover, economy, Logs())
    found = sj.solve(mine)
    adds_up(mine, found)
    wedge = np.asarray(sj.wedge(mine, found))
    assert np.isfinite(wedge).all()
    assert wedge[3, 0] == 0
    gradient = eqx.filter_grad(lambda e: sj.solve(e).welfare.sum())(mine)
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(gradient))


class TestFailure:
    def test_names_the_market_the_city_and_the_reason(self):
        with pytest.raises(sj.errors.ConvergenceError, match=r"evaluations allowed were used up.*market in city \d"):
            sj.solve(random_economy(), max_evaluations=3)

    def test_is_a_status_where_nothing_is_thrown(self):
        found = sj.solve(random_economy(), max_evaluations=3, throw=False)
        assert found.status == EquilibriumStatus.out_of_evaluations
        assert not bool(found.converged)
        assert int(found.evaluations) == 3
        assert float(found.residuals.largest()) > 1e-10

    def test_is_raised_inside_jit_too(self):
        with pytest.raises(Exception, match="no equilibrium"):
            jax.block_until_ready(eqx.filter_jit(lambda e: sj.solve(e, max_evaluations=3).wage)(random_economy()))

    def test_of_an_income_rule_that_does_not_add_up_is_named(self):
        class Generous(sj.IncomeRule):
            def __call__(self, state, economy):
                return 1.1 * state.wage

        with pytest.raises(sj.errors.ConvergenceError, match="pays out more or less.*budget"):
            sj.solve(random_economy(), income=Generous())

    def test_of_negative_incomes_is_named(self):
        class PollTax(sj.IncomeRule):
            def __call__(self, state, economy):
                base = sj.LaissezFaire()(state, economy)
                transfer = jnp.zeros_like(base).at[0].set(-1.02 * base[0])
                mean = (transfer * state.employment).sum() / state.employment.sum()
                return base + transfer - mean

        found = sj.solve(random_economy(), income=PollTax(), throw=False)
        assert found.status != EquilibriumStatus.converged

    def test_of_incomes_below_the_guard_is_named(self):
        """Log consumption is guarded there, so that such a state solves other equations than the rule's."""

        class Confiscation(sj.IncomeRule):
            def __call__(self, state, economy):
                base = sj.LaissezFaire()(state, economy)
                left = base.at[0, 0].set(1e-8 * state.wage[0, 0])
                taken = ((base - left) * state.employment).sum() / state.employment.sum()
                return left + jnp.where(jnp.arange(left.size).reshape(left.shape) == 0, 0.0, taken)

        found = sj.solve(random_economy(), income=Confiscation(), throw=False)
        assert found.status != EquilibriumStatus.converged

    def test_of_prices_beyond_numbers_is_named(self):
        economy = random_economy(local_sectors=(3,))
        cost = economy.log_iceberg_cost.at[3, 2, 2].set(1e12)
        with pytest.raises(sj.errors.ConvergenceError, match=r"too large or too small.*in city 2"):
            sj.solve(eqx.tree_at(lambda e: e.log_iceberg_cost, economy, cost))

    def test_single_precision_is_refused_unless_asked_for(self):
        economy = random_economy()
        single = jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, economy)
        with pytest.raises(sj.errors.PrecisionError, match="jax_enable_x64"):
            sj.solve(single)
        for tolerance in (2e-5, 1e-4):
            found = sj.solve(single, tolerance=tolerance)
            assert found.wage.dtype == jnp.float32
            close(found.wage, sj.solve(economy).wage, 1e-3)

    def test_one_single_precision_leaf_is_named(self):
        economy = random_economy()
        mixed = eqx.tree_at(lambda e: e.land, economy, economy.land.astype(jnp.float32))
        with pytest.raises(sj.errors.PrecisionError, match="land"):
            sj.solve(mixed)

    @pytest.mark.parametrize(
        ("leaf", "value", "message"),
        [
            ("location_elasticity", 0.9, "location_elasticity must be above 1, found 0.9"),
            ("occupation_substitution", 1.0, "occupation_substitution must be positive and not 1"),
            ("consumption_share", jnp.full(4, 0.3), "consumption_share must sum to 1"),
            ("amenity", jnp.ones((5, 2)).at[2, 1].set(jnp.nan), r"amenity.*city 2, occupation 1"),
        ],
    )
    def test_a_bad_economy_is_refused_by_name(self, leaf, value, message):
        economy = eqx.tree_at(lambda e: getattr(e, leaf), random_economy(), jnp.asarray(value))
        with pytest.raises(sj.errors.ModelError, match=message):
            sj.solve(economy)

    def test_a_city_that_nobody_can_supply_is_refused_by_name(self):
        economy = random_economy(seed=0)
        broken = economy.fundamental_productivity.at[2, :, 3].set(0.0)
        with pytest.raises(sj.errors.ModelError, match="sector 3 of city 2"):
            sj.solve(eqx.tree_at(lambda e: e.fundamental_productivity, economy, broken))

    @pytest.mark.parametrize(
        ("leaf", "change", "message"),
        [
            ("fundamental_productivity", lambda x: x.at[2, 1].set(0.0), "occupation 1 can live in city 2.*no sector"),
            ("log_iceberg_cost", lambda x: x.at[2, 4].set(jnp.inf), "nobody who produces sector 2 can ship to city 4"),
            ("log_iceberg_cost", lambda x: x.at[2, 4, 1].set(jnp.nan), "found nan .sector 2, city 4 from city 1"),
            ("log_iceberg_cost", lambda x: x.at[2, 4, 1].set(-jnp.inf), "found -inf"),
            ("land", lambda x: x.at[1].set(0.0), "land is zero in city 1"),
            ("trade_elasticity", lambda x: jnp.asarray([4.0, 5.0]), r"trade_elasticity has shape \(2,\).*\(4,\)"),
            ("trade_elasticity", lambda x: 4.0, "trade_elasticity must be an array, found float"),
            ("amenity", lambda x: x[:3], r"amenity has shape \(3, 2\).*\(5, 2\)"),
        ],
    )
    def test_what_cannot_be_solved_is_refused_by_name(self, leaf, change, message):
        economy = random_economy(seed=0)
        economy = eqx.tree_at(lambda e: getattr(e, leaf), economy, change(getattr(economy, leaf)))
        with pytest.raises(sj.errors.ModelError, match=message):
            sj.solve(economy)

    @pytest.mark.parametrize("leaf", ["fundamental_productivity", "log_iceberg_cost"])
    def test_what_cannot_be_solved_does_not_converge_where_it_is_traced(self, leaf):
        """Under jit values are not checked: the solve itself must not take it for an equilibrium."""
        economy = random_economy(seed=0)
        values = {
            "fundamental_productivity": economy.fundamental_productivity.at[2, 1].set(0.0),
            "log_iceberg_cost": economy.log_iceberg_cost.at[2, 4].set(jnp.inf),
        }[leaf]
        solve = eqx.filter_jit(lambda x: sj.solve(eqx.tree_at(lambda e: getattr(e, leaf), economy, x), throw=False))
        assert solve(values).status == EquilibriumStatus.not_finite

    def test_input_mixes_must_sum_to_one(self):
        economy = random_economy(seed=0)
        with pytest.raises(sj.errors.ModelError, match="input_links.mix must sum to 1 over inputs.*sector 0"):
            sj.solve(eqx.tree_at(lambda e: e.input_links.mix, economy, 1.2 * economy.input_links.mix))

    def test_a_start_of_another_economy_is_refused(self):
        other = sj.solve(random_economy(6, 4, 2))
        with pytest.raises(sj.errors.ModelError, match="start from an equilibrium of the same cities"):
            sj.solve(random_economy(), initial=other)
        with pytest.raises(sj.errors.ModelError, match="must be an Equilibrium or a State, found dict"):
            sj.solve(random_economy(), initial={})

    def test_something_else_than_an_economy_is_refused(self, us_data):
        with pytest.raises(sj.errors.ModelError, match="an Economy is needed.*found Dataset"):
            sj.solve(us_data)
        with pytest.raises(sj.errors.DataError, match=r"xarray\.Dataset is needed.*found str"):
            sj.invert("us-metros")


def test_compiles_once():
    traces = 0

    class Counting(eqx.Module):
        strength: jax.Array

        def __call__(self, employment):
            nonlocal traces
            traces += 1
            return (self.strength * jnp.log(employment))[:, :, None]

    def economy(strength):
        return random_economy(spillover=Counting(jnp.asarray(strength)))

    sj.solve(economy(0.1))
    first = traces
    sj.solve(economy(0.11), tolerance=1e-9, max_evaluations=500)
    sj.solve(eqx.tree_at(lambda e: e.amenity, economy(0.12), 1.1 * economy(0.12).amenity))
    assert traces == first


def test_vmap_equals_loop():
    economy = random_economy(seed=10)
    factors = jnp.asarray([0.8, 1.0, 1.3, 2.0])

    def solve_scaled(factor):
        costs = jnp.where(jnp.isfinite(economy.log_iceberg_cost), economy.log_iceberg_cost * factor, jnp.inf)
        found = sj.solve(eqx.tree_at(lambda e: e.log_iceberg_cost, economy, costs), tolerance=1e-11)
        return found.wage, found.welfare, found.evaluations

    together = jax.vmap(solve_scaled)(factors)
    for i, factor in enumerate(factors):
        for batched, single in zip(together, solve_scaled(factor), strict=True):
            close(batched[i], single, 1e-10)
