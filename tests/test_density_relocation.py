"""Random relocations: stationarity, the two readings of FF's 39 percent, and the premium."""

import jax
import numpy as np
import pytest
from drawn_panels import drawn_cbsas
from scipy import stats

from spatialjax.density.cbsas import cbsa_table
from spatialjax.density.percentiles import density_groups
from spatialjax.density.relocation import simulate_relocation
from spatialjax.density.sorting import relocation_curves
from spatialjax.errors import DataError, ModelError

SIZES = {"low": 1.0, "middle": 3.0, "high": 8.0}
ESTABLISHMENTS = 240_000
PROBABILITY = 0.2


@pytest.fixture(scope="module")
def simulated():
    return simulate_relocation(
        drawn_cbsas(),
        key=jax.random.key(1),
        establishments=ESTABLISHMENTS,
        move_probability=PROBABILITY,
        group_sizes=SIZES,
    )


def size_of_places(cbsas):
    groups = density_groups(cbsas)
    sizes = groups.map(SIZES) / groups.map(groups.value_counts())
    return (sizes / sizes.sum()).to_numpy(float)


def test_change_in_density_is_zero_by_stationarity(simulated):
    """Flows between any two places balance, however uneven sizes and densities are."""
    assert abs(simulated.mean_change) < 3 * simulated.mean_change_error
    assert simulated.mean_change_error < 0.01


def test_log_of_mean_density_exceeds_the_mean_of_logs(simulated):
    cbsas = drawn_cbsas()
    weights, density = size_of_places(cbsas), cbsas["density"].to_numpy()
    expected = np.log(weights @ density) - weights @ np.log(density)
    assert simulated.expected_log_mean_change == pytest.approx(expected, abs=1e-4)
    assert simulated.log_mean_change == pytest.approx(expected, abs=0.02)
    assert expected > 0.2


def test_moves_are_as_probable_in_every_percentile(simulated):
    assert simulated.establishments == ESTABLISHMENTS
    assert stats.binomtest(simulated.movers, ESTABLISHMENTS, PROBABILITY).pvalue > 1e-3
    moves = simulated.by_percentile.query("measure == 'move_probability'").groupby("ranking")
    assert set(moves.groups) == {"origin", "full"}
    for _, found in moves:
        z = (found["mean"] - PROBABILITY) / found["standard_error"]
        assert np.abs(z).max() < 4.5
        assert list(found["percentile"]) == list(range(1, 101))


def test_movers_draw_places_by_size(simulated):
    """The chance of drawing one's own place is the sum of squared sizes."""
    share = (size_of_places(drawn_cbsas()) ** 2).sum()
    assert stats.binomtest(round(simulated.stayed * simulated.movers), simulated.movers, share).pvalue > 1e-3


def test_changes_fall_with_earnings_of_all_but_not_within_origins(simulated):
    """High earnings among all are those of dense origins, from which random moves lead to less dense places."""

    def tilt(ranking):
        found = simulated.by_percentile.query("ranking == @ranking and measure == 'log_density_change'")["mean"]
        return found.iloc[75:].mean() - found.iloc[:25].mean()

    assert tilt("full") < -0.1
    assert abs(tilt("origin")) < 0.05


def test_premium_is_that_of_group_means(simulated):
    cbsas, weights = drawn_cbsas(), size_of_places(drawn_cbsas())
    mean = density_groups(cbsas).map({"low": 0.0, "middle": 0.115, "high": 0.23}).to_numpy(float)
    x = np.column_stack([np.ones(12), np.log(cbsas["density"]), cbsas["college_share"]])
    truth = np.linalg.solve(x.T @ (weights[:, None] * x), x.T @ (weights * mean))[1]
    error = 0.81 / np.sqrt(ESTABLISHMENTS * np.cov(np.log(cbsas["density"]), aweights=weights))
    assert simulated.premium["origin"].coefficients["log_density"] == pytest.approx(truth, abs=4 * error)
    at_destination = simulated.premium["destination"].coefficients["log_density"]
    assert at_destination == pytest.approx((1 - PROBABILITY) * truth, abs=6 * error)


def test_without_gaps_there_is_no_premium():
    found = simulate_relocation(
        drawn_cbsas(),
        key=jax.random.key(2),
        establishments=ESTABLISHMENTS,
        group_sizes=SIZES,
        log_gaps={"low": 0.0, "middle": 0.0, "high": 0.0},
    )
    assert abs(found.premium["origin"].coefficients["log_density"]) < 0.01
    assert found.summary().loc["premium at the origin", "published"] == 0.067


def test_embedded_cbsas_give_the_published_numbers():
    """41 percent by the nearest reading, 39 in FF; a premium near 0.07, 0.067 in FF."""
    found = simulate_relocation(cbsa_table(), key=jax.random.key(3), establishments=400_000, move_probability=0.1)
    summary = found.summary()
    assert found.expected_log_mean_change == pytest.approx(0.3468, abs=5e-4)
    assert summary.loc["log of mean density less mean of logs", "percent"] == pytest.approx(41.5, abs=2)
    assert abs(found.mean_change) < 3 * found.mean_change_error
    assert summary.loc["premium at the origin", "value"] == pytest.approx(0.070, abs=0.005)


def test_keys_make_draws():
    def draw(seed):
        return simulate_relocation(
            drawn_cbsas(), key=jax.random.key(seed), establishments=ESTABLISHMENTS, group_sizes=SIZES
        ).mean_change

    assert draw(4) == draw(4) != draw(5)


def test_curves_of_movers_leave_others_out():
    moved = np.array([True, False, True, False])
    change = np.array([1.0, 99.0, 3.0, 99.0])
    curves = relocation_curves(moved.astype(float), change, moved, np.array([1, 1, 1, 1]), None, 1)
    assert curves["move_probability", "data"]["mean"].loc[1] == 0.5
    assert curves["log_density_change", "data"]["mean"].loc[1] == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"move_probability": 0.0}, "move_probability is 0.0"),
        ({"log_gaps": {"low": 0.0}}, "log_gaps has"),
        ({"standard_deviation": -1.0}, "standard_deviation is -1.0"),
        ({"establishments": 0}, "establishments is 0"),
    ],
)
def test_refuses_what_is_no_simulation(arguments, message):
    with pytest.raises(ModelError, match=message):
        simulate_relocation(drawn_cbsas(), key=jax.random.key(0), **{"group_sizes": SIZES} | arguments)


def test_asks_for_sizes():
    with pytest.raises(DataError, match="give group_sizes"):
        simulate_relocation(drawn_cbsas(), key=jax.random.key(0))
