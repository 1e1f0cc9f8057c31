from itertools import permutations
from math import factorial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from economies import data_from, random_economy

import spatialjax as sj
from spatialjax.cities.history_1980 import WELFARE_1980
from spatialjax.cities.history_attribution import ordered, sampled, shapley
from spatialjax.cities.history_outcomes import default_outcomes
from spatialjax.cities.history_steps import Transition
from spatialjax.cities.history_table import PUBLISHED, welfare_table
from spatialjax.cities.validation import (
    Move,
    city_measures,
    least_squares,
    productivity_moves,
    validation_regressions,
    wage_regressions,
)
from spatialjax.cities.variants import without_externalities
from spatialjax.errors import ConfigError, ConvergenceError, ModelError, SpatialJAXError
from spatialjax.workflow.config import load_config
from spatialjax.workflow.history_run import run_history
from spatialjax.workflow.history_statements import history_statements

CITIES = 20


@pytest.fixture(scope="module")
def data():
    """What two economies of 20 cities would publish, in different years: employment, wages, prices."""
    economy = random_economy(CITIES, 4, 2, seed=1, empty_cells=4)
    return data_from(economy, sj.solve(economy))


@pytest.fixture(scope="module")
def target(data):
    return sj.invert(data, spillover=sj.OccupationSpillover((0.3, 0.2), (0.1, 0.05)))


@pytest.fixture(scope="module")
def past(data, target):
    """Another year of the same cities: fewer workers, fewer of the first occupation, in other units."""
    earlier = sj.stylised_1980(data, occupation_share=0.5, sector_tilt=0.3)
    spillover = sj.OccupationSpillover((0.3, 0.2), (0.1, 0.05))
    return sj.in_units_of(sj.invert(earlier, spillover=spillover), target)


@pytest.fixture(scope="module")
def steps(past, target):
    return sj.historical_steps(past, target, sj.solve(target))


@pytest.fixture(scope="module")
def found(past, target, steps):
    return sj.decompose(past, target, steps, optima=True)


# Attribution


def random_values(steps, seed=0, shape=(3,)):
    drawn = np.random.default_rng(seed).normal(size=(1 << steps, *shape))
    return lambda taken: drawn[taken]


def test_shapley_is_the_mean_over_all_orders():
    value, steps = random_values(4), 4
    brute = sum(ordered(value, order) for order in permutations(range(steps))) / factorial(steps)
    np.testing.assert_allclose(shapley(value, steps), brute, rtol=1e-12)
    np.testing.assert_allclose(brute.sum(0), value(15) - value(0), rtol=1e-12)


def test_shapley_gives_a_step_without_effect_nothing_and_equal_steps_the_same():
    base = random_values(3)

    def value(taken):
        """Steps 0 and 1 are alike; step 3 does nothing."""
        alike = (taken & 1) + (taken >> 1 & 1)
        return base([0, 1, 3][alike] | (taken >> 2 & 1) << 2)

    shares = shapley(value, 4)
    np.testing.assert_allclose(shares[3], 0.0, atol=1e-14)
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-12)


def test_sampled_orders_are_near_the_average_and_say_how_near():
    value = random_values(5, shape=())
    generator = np.random.default_rng(1)
    mean, error = sampled(value, [generator.permutation(5) for _ in range(2000)])
    assert (np.abs(mean - shapley(value, 5)) < 4 * error).all()
    np.testing.assert_allclose(mean.sum(), value(31) - value(0), rtol=1e-12)


# Steps


def test_ends_are_the_two_economies(past, target, steps):
    transition = Transition.of(past, target, steps)
    for end, taken in ((past, 0), (target, transition.every)):
        for name in transition.arrays:
            field = name.split(".")[0]
            assert eqx.tree_equal(getattr(transition.at(taken), field), getattr(end, field))


def test_parts_of_a_leaf_make_it_in_any_order(past, target, steps):
    """Whatever steps are made, the log of a leaf has moved by the sum of their parts."""
    transition = Transition.of(past, target, steps)
    open_cells = (np.asarray(past.fundamental_productivity) > 0) & (np.asarray(target.fundamental_productivity) > 0)

    def log(taken):
        return np.log(np.asarray(transition.at(taken).fundamental_productivity)[open_cells])

    for taken in (5, 42, 99):
        alone = sum(log(1 << s) - log(0) for s in range(7) if taken >> s & 1)
        np.testing.assert_allclose(log(taken) - log(0), alone, atol=1e-10)


def test_national_parts_leave_no_mean(past, target, steps):
    """Local technology has a mean of zero over cities, skill bias one over occupations, at the target's wage bills."""
    transition = Transition.of(past, target, steps)
    names = list(steps)
    bill = sj.solve(target)
    bill = np.asarray(bill.wage[:, :, None] * bill.employment_by_sector)
    base = np.asarray(past.fundamental_productivity)
    both = (base > 0) & (np.asarray(target.fundamental_productivity) > 0)
    change = {}
    for name in ("skill-biased technology", "local technology"):
        changed = np.asarray(transition.at(1 << names.index(name)).fundamental_productivity)
        change[name] = np.where(both, np.log(np.where(both, changed / np.where(both, base, 1), 1.0)), 0.0)
    local = (np.where(both, bill, 0) * change["local technology"]).sum(0)
    np.testing.assert_allclose(local / bill.sum(0), 0.0, atol=1e-10)
    biased = (np.where(both, bill, 0) * change["skill-biased technology"]).sum((0, 1))
    np.testing.assert_allclose(biased / bill.sum((0, 1)), 0.0, atol=1e-10)


def test_amenities_have_no_level_in_the_units_of_the_other(past, target):
    workers = np.exp(np.asarray(target.reference.log_employment))
    change = np.log(np.asarray(target.amenity) / np.asarray(past.amenity))
    np.testing.assert_allclose((workers * change).sum(0), 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ({}, "there are none"),
        ({"a": "amenities"}, "no 'amenities' in the economies"),
        ({"a": "amenity", "b": "amenity"}, "moved by two steps, a and b"),
        ({"a": "amenity"}, "differ between baseline and target, but no step moves them"),
        ({"a": sj.Part("population", 1.0)}, "no step names it to move the rest"),
        ({"a": ["land", sj.Part("land", np.zeros(3))]}, r"log_change has shape \(3,\), but land has"),
        ({"a": ["land", sj.Part("land", np.nan)]}, "must be finite"),
    ],
)
def test_steps_that_do_not_lead_there_are_refused(past, target, steps, said):
    with pytest.raises(ModelError, match=said):
        sj.decompose(past, target, steps)


def test_economies_of_other_places_are_refused(target):
    other = random_economy(5, 4, 2)
    with pytest.raises(ModelError, match=r"same city labels .* found 20 and 5"):
        sj.decompose(target, other, {"a": "amenity"})
    with pytest.raises(ModelError, match="must be an Economy"):
        sj.decompose(target, "us-metros", {"a": "amenity"})


def test_too_many_steps_and_wrong_orders_are_refused(past, target, steps):
    many = steps | {f"empty {i}": [] for i in range(2)}
    with pytest.raises(ModelError, match="9 steps have 512 sets"):
        sj.decompose(past, target, many)
    with pytest.raises(ModelError, match="order must name each step once"):
        sj.decompose(past, target, steps, order=["amenities"])
    with pytest.raises(ModelError, match="permutations must be 1 or more"):
        sj.decompose(past, target, steps, permutations=0)


# Decompositions


def test_contributions_add_up_to_the_whole_change(found):
    for name in default_outcomes((0, 1)):
        np.testing.assert_allclose(found.contributions[name].sum(0), found.total(name), atol=1e-12)
        np.testing.assert_allclose(found.order_free[name].sum(0), found.total(name), atol=1e-12)
    table = found.table()
    assert table.index[-1] == "total"
    np.testing.assert_allclose(table.iloc[:-1].sum(), table.iloc[-1], atol=1e-12)


def test_ends_are_solved_from_their_own_data(found, past, target):
    np.testing.assert_allclose(found.stages[-1].employment, np.exp(target.reference.log_employment), rtol=1e-7)
    np.testing.assert_allclose(found.stages[0].employment, np.exp(past.reference.log_employment), rtol=1e-7)
    assert found.gap < 1e-7
    assert found.notes == ()


def test_every_set_is_solved_as_it_is_by_itself(found, past, target, steps):
    """A set of steps that the order does not pass, by an ordinary solve."""
    transition = Transition.of(past, target, steps)
    names = list(steps)
    economy, equilibrium = found.leave_out("real estate")
    taken = transition.every & ~(1 << names.index("real estate"))
    again = sj.solve(transition.at(taken))
    np.testing.assert_allclose(equilibrium.welfare, again.welfare, rtol=1e-8)
    assert eqx.tree_equal(economy.land, transition.at(taken).land)


def test_any_order_and_the_same_average(found, past, target, steps):
    backwards = list(steps)[::-1]
    other = sj.decompose(past, target, steps, order=backwards)
    assert other.steps == tuple(backwards)
    np.testing.assert_allclose(other.order_free["log_welfare"][::-1], found.order_free["log_welfare"], atol=1e-8)
    np.testing.assert_allclose(other.total("log_welfare"), found.total("log_welfare"), atol=1e-8)
    assert np.abs(other.contributions["log_welfare"][::-1] - found.contributions["log_welfare"]).max() > 1e-4
    drawn = sj.decompose(past, target, steps, permutations=3, seed=1)
    np.testing.assert_allclose(drawn.order_free["log_welfare"].sum(0), found.total("log_welfare"), atol=1e-8)
    assert np.isnan(drawn.table().iloc[-1].xs("standard error", level="attribution")).all()


def test_the_average_is_that_of_a_loop_over_orders(past, target):
    """Brute force: three steps, all orders, every stage solved by itself."""
    mixed = eqx.tree_at(lambda e: (e.amenity, e.population, e.land), target, (past.amenity, past.population, past.land))
    steps = {"places": "amenity", "people": "population", "land": "land"}
    found = sj.decompose(mixed, target, steps, outcomes={"rent": lambda _, e: e.rent[0]})
    fields = ("amenity", "population", "land")

    def rent(taken):
        made = [field for s, field in enumerate(fields) if taken >> s & 1]
        economy = eqx.tree_at(
            lambda e: [getattr(e, f) for f in fields],
            mixed,
            [getattr(target if f in made else past, f) for f in fields],
        )
        return np.asarray(sj.solve(economy).rent[0])

    brute = sum(ordered(rent, order) for order in permutations(range(3))) / 6
    np.testing.assert_allclose(found.order_free["rent"], brute, rtol=1e-6)
    np.testing.assert_allclose(found.contributions["rent"], ordered(rent, range(3)), rtol=1e-6)


def test_externalities_can_be_a_step_and_levels_are_warned_of(past, target):
    """Of another structure: each set is solved by itself."""
    bare = without_externalities(target)
    mixed = eqx.tree_at(lambda e: e.amenity, bare, past.amenity)
    found = sj.decompose(mixed, target, {"externalities": "spillover", "amenities": "amenity"})
    np.testing.assert_allclose(found.order_free["log_welfare"].sum(0), found.total("log_welfare"), atol=1e-12)
    assert any("externalities" in note for note in found.notes)


def test_a_solve_that_fails_is_followed_in_steps(past, target, monkeypatch):
    """With too few evaluations for one leap: the same equilibria, in small steps."""
    from spatialjax.cities import history_solve

    attempts = []
    original = history_solve.Solver.attempt

    def attempt(self, economy, start):
        attempts.append(economy)
        found = original(self, economy, start)
        if len(attempts) in (2, 3):  # the first step of the order, and its first small step, fail
            return eqx.tree_at(lambda e: e.status, found, sj.EquilibriumStatus.out_of_evaluations)
        return found

    monkeypatch.setattr(history_solve.Solver, "attempt", attempt)
    mixed = eqx.tree_at(lambda e: e.population, target, past.population)
    found = sj.decompose(mixed, target, {"people": "population"}, order_free=False)
    assert len(attempts) > 6
    np.testing.assert_allclose(found.stages[1].welfare, sj.solve(target).welfare, rtol=1e-8)


def test_a_step_without_equilibrium_is_named(past, target, monkeypatch):
    from spatialjax.cities import history_solve

    original = history_solve.Solver.attempt

    def attempt(self, economy, start):
        found = original(self, economy, start)
        if np.allclose(economy.population, past.population):
            return found
        return eqx.tree_at(lambda e: e.status, found, sj.EquilibriumStatus.out_of_evaluations)

    monkeypatch.setattr(history_solve.Solver, "attempt", attempt)
    mixed = eqx.tree_at(lambda e: e.population, target, past.population)
    with pytest.raises(ConvergenceError, match=r"no equilibrium after people: .* the path ends at 0\.000"):
        sj.decompose(mixed, target, {"people": "population"}, order_free=False)


def test_occupations_are_compared_by_name(found, past, target, steps):
    """Named the other way round, shares are the rest's and ratios the inverse; a stage needs no other solve."""
    first, second = target.labels.occupation
    assert found.compared == (first, second)
    reverse = sj.decompose(past, target, steps, compared=(second, first), order_free=False)
    np.testing.assert_allclose(reverse.values["log_welfare_ratio"], -found.values["log_welfare_ratio"], rtol=1e-6)
    np.testing.assert_allclose(reverse.values["national_share"], 1 - found.values["national_share"], rtol=1e-6)
    np.testing.assert_allclose(reverse.values["share_with_size"], -found.values["share_with_size"], rtol=1e-6)
    np.testing.assert_allclose(reverse.values["premium_with_size"], -found.values["premium_with_size"], rtol=1e-6)
    tables = [welfare_table(each, optima=False) for each in (found, reverse)]
    ratios = [table.frame((first, second))["ratio"] for table in tables]
    np.testing.assert_allclose(ratios[1], 1 / ratios[0], rtol=1e-6)
    np.testing.assert_allclose(tables[1].baseline_ratio, 1 / tables[0].baseline_ratio, rtol=1e-6)
    with pytest.raises(ModelError, match="compared must name two of the occupations"):
        sj.decompose(past, target, steps, compared=(first, "baker"))


# Table 3


def test_welfare_table_has_the_rows_of_the_paper(found):
    table = welfare_table(found, baseline_stage="skill-biased technology", left_out="real estate")
    frame = table.frame(("one", "other"), published=True)
    assert len(frame) == 11 == len(PUBLISHED[False])
    np.testing.assert_allclose(frame.loc["+ skill-biased technology", ["one", "other", "ratio"]].astype(float), 1.0)
    np.testing.assert_allclose(frame["one (CH)"].iloc[0], 0.558)
    assert all(best.found for best in table.optima)
    assert found.optima[0].found
    gain = frame["one"].iloc[8] / frame["one"].iloc[7] - 1
    np.testing.assert_allclose(gain, table.optima[0].gain[0], rtol=1e-8)
    base = found.stages[3].welfare
    np.testing.assert_allclose(table.baseline_ratio, base[0] / base[1], rtol=1e-12)


def test_the_ratio_published_is_that_of_the_columns():
    for rows in PUBLISHED.values():
        for first, second, ratio in rows:
            assert abs(first / second - ratio) < 2e-3


# The stylised economy


def test_stylised_1980_has_what_it_says(data):
    past = sj.stylised_1980(data, occupation_share=0.4, workers=0.5, sector_tilt=0.7, dispersion=0.5)
    now, then = (d["employment"].sum("sector") for d in (data, past))
    share_now, share_then = (e[:, 0] / e.sum("occupation") for e in (now, then))
    np.testing.assert_allclose(then.sum(), 0.5 * now.sum(), rtol=1e-12)
    np.testing.assert_allclose(then[:, 0].sum() / then.sum(), 0.4, rtol=1e-10)
    np.testing.assert_allclose(then.sum("occupation") / now.sum("occupation"), 0.5, rtol=1e-10)
    odds_now, odds_then = (np.log(s / (1 - s)) for s in (share_now, share_then))
    np.testing.assert_allclose(odds_then - odds_then.mean(), 0.5 * (odds_now - odds_now.mean()), atol=1e-10)
    wages = [(d["wage"] * e).sum("city") / e.sum("city") for d, e in ((data, now), (past, then))]
    np.testing.assert_allclose(wages[1] / wages[0], WELFARE_1980, rtol=1e-12)
    assert not sj.validate(past)
    assert "no data of 1980" in past.attrs["title"]


def test_cities_grew_at_different_rates(data):
    growth = np.exp(np.random.default_rng(3).normal(0, 0.3, CITIES))
    past = sj.stylised_1980(data, occupation_share=0.4, workers=0.5, city_size=growth)
    now, then = (d["employment"].sum(("occupation", "sector")).values for d in (data, past))
    ratio = then / now
    np.testing.assert_allclose(ratio / ratio[0], growth / growth[0], rtol=1e-10)
    np.testing.assert_allclose(then.sum(), 0.5 * now.sum(), rtol=1e-12)
    np.testing.assert_allclose(past["employment"][:, 0].sum() / then.sum(), 0.4, rtol=1e-10)


def test_residents_of_1990_are_those_of_the_embedded_areas(us_data, data):
    ratio = dict(zip(us_data["city"].values, sj.residents_1990(us_data), strict=True))
    known = sj.load_data("us-cbsas")["population"]
    for now, then in (("35620", "35620"), ("31080", "31100")):  # New York; Los Angeles, under its earlier code
        population = us_data["population"].sel(city=now)
        code = next(code for code in known["cbsa"].values if str(code) == then)
        np.testing.assert_allclose(ratio[now], known.sel(cbsa=code) / population, rtol=1e-12)
    np.testing.assert_allclose(ratio["10540"], np.median(list(ratio.values())), rtol=0.05)  # Albany, OR: the median
    with pytest.raises(ModelError, match="known for US metropolitan areas"):
        sj.residents_1990(data)


def test_stylised_1980_of_today_is_today(data):
    share = float(data["employment"][:, 0].sum() / data["employment"].sum())
    same = sj.stylised_1980(
        data, occupation_share=share, workers=1, wages=(1, 1), sector_tilt=0, dispersion=1, housing_dispersion=1
    )
    for name in ("employment", "wage", "housing_price"):
        np.testing.assert_allclose(same[name], data[name], rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"occupation_share": 1.5}, "occupation_share must be between 0 and 1"),
        ({"workers": -1}, "workers must be positive"),
        ({"wages": (1, np.nan)}, "wages of the second must be positive"),
        ({"dispersion": 3}, "dispersion must be between 0 and 2"),
        ({"city_size": np.ones(3)}, "one number for each of 20 cities"),
    ],
)
def test_arguments_out_of_range_are_refused(data, arguments, said):
    with pytest.raises(ModelError, match=said):
        sj.stylised_1980(data, **arguments)


# Tables of cities


@pytest.fixture(scope="module")
def result(data, target):
    return sj.solve(target).to_xarray(data)


def test_least_squares_with_known_errors():
    """Two groups of two: the slope is the difference of means, its HC1 variance that of the means times n / (n - k)."""
    y, x = np.array([1.0, 3.0, 6.0, 10.0, np.nan]), np.array([0.0, 0.0, 1.0, 1.0, 0.0])
    coefficients, errors, count = least_squares(y, x)
    np.testing.assert_allclose(coefficients, [6.0, 2.0], rtol=1e-12)
    np.testing.assert_allclose(errors[0], np.sqrt((2 * 1.0 / 4 + 2 * 4.0 / 4) * 4 / 2), rtol=1e-12)
    assert count == 4
    with pytest.raises(ModelError, match="needs them to vary"):
        least_squares(y, np.ones(5))


def test_wage_regressions_recover_what_wages_are_made_of(result):
    size = np.log(result["employment"].sum("occupation"))
    made = result.assign(wage=np.exp(xr_stack(0.06 * size, 0.05 * size, result)))
    table = wage_regressions(made, published=True).set_index(["dependent", "regressor"])
    on_size = table.xs("log employment", level="regressor")["coefficient"]
    np.testing.assert_allclose(on_size, [0.06, 0.05, 0.01], rtol=1e-9)
    assert table["published"].iloc[0] == 0.059
    assert len(table) == 9


def xr_stack(first, second, result):
    return result["wage"].copy(data=np.stack([first, second], 1))


def test_measures_of_cities(target, result):
    measures = city_measures(target, result)
    share = np.asarray(result["employment"])
    np.testing.assert_allclose(measures["share"], share[:, 0] / share.sum(1), rtol=1e-12)
    amenity = np.asarray(target.amenity)
    np.testing.assert_allclose(measures["relative_amenity"], np.log(amenity[:, 0] / amenity[:, 1]), rtol=1e-10)
    table = validation_regressions(measures)
    assert list(table["sign in CH"]) == ["negative", *["positive"] * 5]
    slope = np.polyfit(measures["log_size"], measures["tfp"], 1)[0]
    row = table[(table["regressor"] == "log employment") & table["statement"].str.startswith("TFP rises with city")]
    np.testing.assert_allclose(row["coefficient"], slope, rtol=1e-8)


def test_occupations_of_regressions_are_named(target, result):
    """A third occupation does not count, and the order is that of the pair."""
    first, second = (str(name) for name in result["occupation"].values)
    third = result.isel(occupation=[0]).assign_coords(occupation=["third"])
    three = xr.concat([third, result], "occupation", data_vars="minimal")
    assert [str(name) for name in three["occupation"].values] == ["third", first, second]
    by_name = ["dependent", "regressor"]
    wages = wage_regressions(three, pair=(second, first)).set_index(by_name)
    alone = wage_regressions(result).set_index(by_name)
    at = (f"log wage of {first}", "log employment")
    assert "log wage of third" not in wages.index.get_level_values(0)
    assert wages.loc[("log wage premium", f"log {second} over {first} employment"), "coefficient"] == pytest.approx(
        alone.loc[("log wage premium", f"log {first} over {second} employment"), "coefficient"], rel=1e-10
    )
    assert at in wages.index
    measures, reverse = city_measures(target, result), city_measures(target, result, (second, first))
    np.testing.assert_allclose(reverse["relative_amenity"], -measures["relative_amenity"], rtol=1e-12)
    np.testing.assert_allclose(reverse["share"], 1 - measures["share"], rtol=1e-12)
    assert reverse["share"].attrs["long_name"] == f"{second} share of employment"


def test_productivity_between_two_cities_is_the_elasticity(target, result):
    moves = (Move("city 1", "city 2", "share"), Move("city 3", "city 4", "size"), Move("Atlantis", "city 1", "size"))
    table = productivity_moves(target, result, moves)
    gamma = np.asarray(target.value_added_share)[:, list(target.traded)].mean()
    workers = np.asarray(result["employment"])
    share = workers / workers.sum(1, keepdims=True)
    of_share = 100 * gamma * np.array([0.3, 0.2]) * np.log(share[2] / share[1])
    of_size = 100 * gamma * np.array([0.1, 0.05]) * np.log(workers[4].sum() / workers[3].sum())
    np.testing.assert_allclose(table["gain"], [*of_share, *of_size], rtol=1e-10)
    with pytest.raises(ModelError, match="'share' or 'size'"):
        productivity_moves(target, result, [Move("city 1", "city 2", "wealth")])


def test_tables_compare_two_occupations(target, result):
    with pytest.raises(SpatialJAXError, match="two occupations"):
        wage_regressions(result.isel(occupation=[0]))


def test_stage_table(found):
    table = found.stage_table()
    assert isinstance(table, pd.DataFrame)
    assert table.shape[0] == 8
    np.testing.assert_allclose(
        table[("log_welfare", "occupation 0")], np.log([float(s.welfare[0]) for s in found.stages]), rtol=1e-12
    )
    assert jnp.isfinite(jnp.asarray(table.values)).all()


# Runs


@pytest.fixture(scope="module")
def files(data, tmp_path_factory):
    """Two data sets of a user's, and the beginning of a configuration."""
    folder = tmp_path_factory.mktemp("history")
    data.to_netcdf(folder / "later.nc")
    sj.stylised_1980(data, occupation_share=0.5, sector_tilt=0.3).to_netcdf(folder / "earlier.nc")
    return folder


COMMON = """
economy = "history"
[baseline]
source = "{folder}/earlier.nc"
[target]
source = "{folder}/later.nc"
[spillover]
kind = "occupation"
share = [0.3, 0.2]
size = [0.1, 0.05]
"""


def configured(folder, text):
    (folder / "history.toml").write_text(COMMON.format(folder=folder) + text)
    return load_config(folder / "history.toml")


def test_a_run_of_two_data_sets_of_ones_own(files, found, tmp_path):
    compared = '[report]\noccupations = ["occupation 1", "occupation 0"]\n'
    config = configured(files, f"[decomposition]\nwithout_externalities = false\n{compared}")
    outcome = run_history(config, tmp_path)
    names = {path.name for path in outcome.files}
    assert {"decomposition.nc", "stages.nc", "welfare.csv", "welfare.tex", "contributions.csv", "run.json"} <= names
    assert {"population_by_share.png", "technology_change.svg", "real_estate_change.png", "contributions.png"} <= names
    np.testing.assert_allclose(
        outcome.decompositions[True].order_free["log_welfare"], found.order_free["log_welfare"], atol=1e-7
    )
    welfare = pd.read_csv(tmp_path / "welfare.csv", index_col=["model", "row"])
    assert len(welfare) == 11
    assert "occupation 0 (CH)" not in welfare  # not CH's years
    assert outcome.figures["published (CH)"].isna().all()
    assert "welfare of occupation 1 over that of occupation 0" in outcome.figures["figure"].str.cat(sep="\n")
    np.testing.assert_allclose(
        outcome.decompositions[True].values["national_share"], 1 - found.values["national_share"], rtol=1e-6
    )
    saved = xr.load_dataset(tmp_path / "decomposition.nc")
    np.testing.assert_allclose(
        saved["log_welfare_contribution"].sum("step"), np.diff(saved["log_welfare"][[0, -1]], axis=0)[0], atol=1e-12
    )
    stages = xr.load_dataset(tmp_path / "stages.nc")
    np.testing.assert_allclose(stages["employment"].isel(stage=-1), np.exp(stages_of_data(files)), rtol=1e-6)
    rows = pd.read_csv(tmp_path / "contributions.csv")
    assert list(rows.columns) == ["model", "step", "outcome", "of", "in this order", "over all orders"]


def stages_of_data(folder):
    return np.log(xr.load_dataset(folder / "later.nc")["employment"].sum("sector"))


def test_statements_are_judged_by_their_numbers(found, past, target, steps):
    bare = sj.decompose(without_externalities(past), without_externalities(target), steps, order_free=False)
    both = {True: found, False: bare}
    tables = {external: welfare_table(each, left_out="real estate", optima=external) for external, each in both.items()}
    technology = pd.DataFrame({"technology_change": np.arange(CITIES), "real_estate_change": -np.arange(CITIES)})
    said = history_statements(both, tables, technology)
    assert len(said) == 11
    loss = said[said["statement"].str.contains("workers lose")].iloc[0]
    value = bare.contributions["log_welfare"][bare.steps.index("occupational shares")][0]
    np.testing.assert_allclose(loss["value"], value, rtol=1e-12)
    assert loss["holds"] == (value < 0)
    grew = said[said["statement"].str.contains("technology grew more")].iloc[0]
    workers = np.asarray(found.stages[1 + found.steps.index("skill-biased technology")].employment)
    share = workers[:, 0] / workers.sum(1)
    np.testing.assert_allclose(grew["value"], np.corrcoef(share, np.arange(CITIES))[0, 1], rtol=1e-10)
    assert history_statements({True: found}, tables, technology).empty


def test_a_run_with_steps_and_an_order_of_ones_own(files, tmp_path):
    config = configured(
        files,
        """
        [decomposition]
        steps = { technology = ["fundamental_productivity", "land"], people = ["population"], tastes = ["amenity", \
"consumption_share", "value_added_share", "land_share", "input_links"] }
        order = ["people", "tastes", "technology"]
        order_free = false
        optima = false
        [output]
        figures = false
        """,
    )
    outcome = run_history(config, tmp_path)
    assert [found.steps for found in outcome.decompositions.values()] == [("people", "tastes", "technology")] * 2
    assert list(outcome.welfare[False].rows) == ["baseline", "+ people", "+ tastes", "+ technology"]
    np.testing.assert_allclose(outcome.welfare[True].relative[0], 1.0)  # no stage is called the Baseline
    assert not (tmp_path / "figures").exists()


def test_configurations_of_histories_are_checked(files):
    with pytest.raises(ConfigError, match=r"decomposition.order_fre: unknown key; did you mean order_free\?"):
        configured(files, "[decomposition]\norder_fre = true\n")
    shipped = load_config(Path(__file__).parents[1] / "configs" / "history.toml")
    np.testing.assert_allclose(shipped.stylised.wages, WELFARE_1980, rtol=1e-12)
    defaults = type(shipped.stylised)().model_dump(exclude={"wages"})  # the file states them
    assert shipped.stylised.model_dump(exclude={"wages"}) == defaults


def test_cells_may_open_and_close(past, target):
    """A sector that a city loses, one that it gains, and a city where an occupation did not live before."""
    open_cells = np.argwhere((np.asarray(target.fundamental_productivity) > 0).all(1)[:, list(target.traded)])
    (gains, j), (loses, i) = open_cells[3], open_cells[11]
    gained, lost = target.traded[j], target.traded[i]
    before = eqx.tree_at(
        lambda e: (e.fundamental_productivity, e.amenity),
        past,
        (past.fundamental_productivity.at[gains, 0, gained].set(0.0), past.amenity.at[7, 1].set(0.0)),
    )
    after = eqx.tree_at(
        lambda e: e.fundamental_productivity, target, target.fundamental_productivity.at[loses, 1, lost].set(0.0)
    )
    found = sj.decompose(before, after, sj.historical_steps(before, after, sj.solve(after)))
    np.testing.assert_allclose(found.order_free["log_welfare"].sum(0), found.total("log_welfare"), atol=1e-12)
    local = found.steps.index("local technology")
    for stage, equilibrium in enumerate(found.stages):
        assert (equilibrium.employment_by_sector[gains, 0, gained] > 0) == (stage > local)
        assert (equilibrium.employment_by_sector[loses, 1, lost] > 0) == (stage <= local)
        assert (equilibrium.employment[7, 1] > 0) == (stage == len(found.stages) - 1)  # amenities come last


def test_decompositions_are_not_traced(past, target, steps):
    with pytest.raises(ModelError, match="cannot be traced"):
        jax.jit(lambda economy: sj.decompose(economy, target, steps).gap)(past)
