"""The exact game: closed forms, primitives, the second-order formulas as its limit, and simulation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq, minimize

from spatialjax.errors import ConvergenceError, ModelError, PrecisionError
from spatialjax.granular.concentration import herfindahl, power_sums
from spatialjax.granular.exact import (
    BLOCK,
    WIDTHS,
    _solve_blocks,
    exact_production,
    numbers_of_others,
    production_of,
    stratified_shares,
    tabulate_sectors,
)
from spatialjax.granular.game_shocks import Shocks, drawn_shocks, hermite_shocks, stratified
from spatialjax.granular.parameters import Parameters
from spatialjax.granular.sector_game import solve_game

KO = Parameters()
KAPPA, NU, ETA = 2.48, 1.46, 0.13
CONDUCTS = ("competitive", "cournot")
UNEQUAL = (0.62, 0.27, 0.11)

solve = jax.jit(solve_game, static_argnames=("conduct", "max_steps"))


def solve_hermite(shares, conduct, parameters=KO, nodes=7):
    shares = jnp.asarray(shares)
    return solve(shares, parameters, conduct, shocks=hermite_shocks(parameters, shares.size, nodes=nodes))


def phi_psi(game, eta=ETA):
    phi = float(game.output / game.labour ** (1 - eta))
    return phi, float(game.labour**eta / (1 - eta)) - phi


def few_states(firms, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.5, 1, 5)
    return Shocks(jnp.asarray(rng.normal(0, 0.4, (5, firms))), jnp.asarray(weight / weight.sum()))


class World:
    """A sector from primitives: what workers can do with L and l, and what follows for wages and profits."""

    def __init__(self, shares, shocks):
        self.shares, self.weight = np.asarray(shares), np.asarray(shocks.weight)
        self.productivity = self.shares**ETA * np.exp(np.asarray(shocks.log_shock))
        self.by_period = jax.jit(jax.vmap(jax.grad(self.labour_used, argnums=(0, 1)), in_axes=(None, 0)))

    @staticmethod
    def labour_used(early, late):
        """A sector's part of the worker's constraint, by labour before and after shocks (KO 3.1)."""
        total = early.sum()
        sector = ((early / total) ** (-1 / KAPPA) * late ** ((1 + KAPPA) / KAPPA)).sum() ** (KAPPA / (1 + KAPPA))
        return total ** (-1 / NU) * sector ** ((1 + NU) / NU)

    def wages(self, early, late):
        return NU / (1 + NU) * np.asarray(self.by_period(early, late)[1])

    def value(self, early, late):
        """Of a unit of L at each firm; one is what it is worth elsewhere."""
        return -NU * self.weight @ np.asarray(self.by_period(early, late)[0])

    def outputs(self, late):
        return self.productivity * late ** (1 - ETA)

    def profit(self, firm, own_late, early, late):
        """Of a firm that commits to own_late[state]: workers choose its L, rivals' l and L are given."""
        late = np.column_stack([own_late if n == firm else late[:, n] for n in range(late.shape[1])])

        def with_own(log_own):
            return np.where(np.arange(early.size) == firm, np.exp(log_own), early)

        centre = np.log(early[firm])
        log_own = brentq(lambda x: self.value(with_own(x), late)[firm] - 1, centre - 1, centre + 1, xtol=1e-13)
        early = with_own(log_own)
        profits = self.outputs(late)[:, firm] - self.wages(early, late)[:, firm] * late[:, firm]
        return self.weight @ profits


def played(shares, conduct, seed=0):
    shocks = few_states(len(shares), seed)
    game = solve(jnp.asarray(shares), KO, conduct, shocks=shocks)
    assert game.converged
    early = np.asarray(game.employment)
    return game, World(shares, shocks), early, early * np.exp(np.asarray(game.log_ratio))


@pytest.mark.parametrize("conduct", CONDUCTS)
def test_lone_firm_has_a_closed_form(conduct):
    game = solve_hermite([1.0], conduct, nodes=15)
    exponent = (1 + 1 / NU) / (ETA + 1 / NU)
    phi, psi = phi_psi(game)
    assert phi == pytest.approx(np.exp(exponent * (0.14 + 0.002) / 2), rel=1e-9)
    assert psi == pytest.approx(0, abs=1e-9)
    assert game.multiplier[0] == pytest.approx(1, abs=1e-9)


def test_conducts_coincide_without_a_reason_to_mark_down():
    no_firm_shocks = Parameters(firm_variance=0.0, sector_variance=0.1)
    equally_mobile = Parameters(elasticity_across_sectors=KAPPA)
    for parameters in (no_firm_shocks, equally_mobile):
        competitive, cournot = (solve_hermite(UNEQUAL, conduct, parameters, nodes=5) for conduct in CONDUCTS)
        assert phi_psi(cournot) == pytest.approx(phi_psi(competitive), abs=1e-9)
        np.testing.assert_allclose(cournot.employment, competitive.employment, rtol=1e-8)
    lone = solve_hermite([1.0], "cournot", no_firm_shocks, nodes=5)
    together = solve_hermite(UNEQUAL, "cournot", no_firm_shocks, nodes=5)
    assert together.output == pytest.approx(float(lone.output), rel=1e-4)
    np.testing.assert_allclose(together.employment / together.labour, UNEQUAL, rtol=1e-9)


@pytest.mark.parametrize("conduct", CONDUCTS)
def test_primitive_conditions_hold(conduct):
    game, world, early, late = played(UNEQUAL, conduct)
    wages = world.wages(early, late)
    np.testing.assert_allclose(world.value(early, late), 1, rtol=1e-8)
    used = [float(world.labour_used(early, one)) for one in late]
    assert world.weight @ used == pytest.approx(early.sum(), rel=1e-8)
    assert world.weight @ (wages * late).sum(1) == pytest.approx(float(game.labour), rel=1e-8)
    assert world.weight @ world.outputs(late).sum(1) == pytest.approx(float(game.output), rel=1e-8)
    products = (1 - ETA) * world.outputs(late) / late
    assert np.allclose(products, wages, rtol=1e-8) == (conduct == "competitive")


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2), UNEQUAL])
def test_no_deviation_pays_a_cournot_firm(shares):
    _, world, early, late = played(shares, "cournot")
    rng = np.random.default_rng(1)
    for firm in range(len(shares)):
        best = world.profit(firm, late[:, firm], early, late)
        assert best == pytest.approx(world.weight @ (world.outputs(late) - world.wages(early, late) * late)[:, firm])
        for direction in (*np.eye(5)[:3], np.ones(5), *rng.normal(size=(3, 5))):
            up, down = (world.profit(firm, late[:, firm] * np.exp(x * direction), early, late) for x in (0.01, -0.01))
            assert max(up, down) < best
            assert abs(up - down) < 0.02 * (2 * best - up - down)


def test_a_firm_that_searches_finds_the_cournot_answer():
    _, world, early, late = played((0.7, 0.3), "cournot")

    def loss(log_late):
        return -world.profit(0, np.exp(log_late), early, late) / early[0]

    found = minimize(loss, np.full(5, np.log(early[0])), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(found.x, np.log(late[:, 0]), atol=2e-4)


def test_deviations_from_price_taking_pay():
    _, world, early, late = played((0.5, 0.5), "competitive")
    best = world.profit(0, late[:, 0], early, late)
    gains = [world.profit(0, late[:, 0] * np.exp(x * d), early, late) - best for d in np.eye(5) for x in (0.01, -0.01)]
    assert max(gains) > 0


def second_order(shares, conduct, sector_variance, firm_variance):
    """Phi and Psi of one sector to second order, E[a] included."""
    s, n = np.asarray(shares), len(shares)
    d, b = 1 / NU - 1 / KAPPA, ETA + 1 / KAPPA
    own = d * s * (conduct == "cournot")
    to_sector = s / (b + own) / (1 + (s * d * (1 - s) / (b + own)).sum()) if own.any() else s / (ETA + 1 / NU)
    pull = d * (1 - s * (conduct == "cournot"))
    to_firm = (np.eye(n) - pull[:, None] * to_sector) / (b + own)[:, None]
    variance = firm_variance * np.eye(n) + sector_variance
    covariances = (np.diag(variance @ to_firm.T), np.diag(to_firm @ variance @ to_firm.T))
    gain = s @ covariances[0] - b / 2 * s @ covariances[1] - d / 2 * to_sector @ variance @ to_sector
    apart = to_firm - to_sector
    psi = -d * s**2 @ np.diag(apart @ variance @ apart.T) * (conduct == "cournot")
    return 1 + (sector_variance + firm_variance) / 2 + (1 - ETA) * gain, psi


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.85, 0.15), UNEQUAL])
@pytest.mark.parametrize("conduct", CONDUCTS)
def test_second_order_is_the_limit_of_small_shocks(shares, conduct):
    sigmas = np.array([0.02, 0.04, 0.08, 0.16])
    errors = []
    for sigma in sigmas:
        firm, sector = sigma**2, 0.3 * sigma**2
        parameters = Parameters(firm_variance=firm, sector_variance=sector)
        exact = phi_psi(solve_hermite(shares, conduct, parameters))
        errors.append(np.subtract(exact, second_order(shares, conduct, sector, firm)) / firm)
    phi_errors, psi_errors = np.abs(errors).T
    np.testing.assert_allclose(phi_errors / sigmas**2, phi_errors[1] / sigmas[1] ** 2, rtol=0.1)
    assert phi_errors[0] < 1e-3
    if conduct == "cournot":
        assert (psi_errors < 0.3 * sigmas**2 + 1e-6).all()
        assert psi_errors[0] < 0.1 * psi_errors[2] + 1e-6
    else:
        np.testing.assert_allclose(psi_errors, 0, atol=1e-6)


def test_second_order_is_five_percent_off_at_two_equal_firms():
    exact = phi_psi(solve_hermite((0.5, 0.5), "cournot"))
    approximate = second_order((0.5, 0.5), "cournot", 0.002, 0.14)
    lognormal = approximate[0] - 1.071 + np.exp(0.071)
    assert (lognormal - 1) / (exact[0] - 1) == pytest.approx(0.950, abs=0.001)
    assert (approximate[0] - 1) / (exact[0] - 1) == pytest.approx(0.935, abs=0.001)
    assert approximate[1] / exact[1] == pytest.approx(1.078, abs=0.001)


@pytest.mark.parametrize("conduct", CONDUCTS)
def test_symmetry_permutation_and_padding(conduct):
    equal = solve_hermite((1 / 3, 1 / 3, 1 / 3), conduct, nodes=5)
    np.testing.assert_allclose(equal.employment, equal.employment[0], rtol=1e-9)
    np.testing.assert_allclose(equal.multiplier, equal.multiplier[0], rtol=1e-9)

    order = np.array([2, 0, 1])
    game, permuted = (solve_hermite(np.array(UNEQUAL)[o], conduct, nodes=5) for o in (np.arange(3), order))
    np.testing.assert_allclose(permuted.employment, game.employment[order], rtol=1e-9)

    shocks = few_states(5)
    padded = solve(jnp.array([*UNEQUAL, 0, 0]), KO, conduct, shocks=shocks)
    alone = solve(jnp.array(UNEQUAL), KO, conduct, shocks=Shocks(shocks.log_shock[:, :3], shocks.weight))
    assert phi_psi(padded) == pytest.approx(phi_psi(alone), rel=1e-8)
    np.testing.assert_array_equal(padded.employment[3:], 0)
    assert padded.converged


def test_a_tiny_firm_changes_nothing():
    shocks = few_states(2)
    tiny, none = (solve(jnp.array([1 - q, q]), KO, "cournot", shocks=shocks) for q in (1e-13, 0.0))
    assert tiny.converged
    assert phi_psi(tiny) == pytest.approx(phi_psi(none), abs=1e-9)


@pytest.mark.parametrize("elasticity", [0.42, 0.05])
def test_skewed_sectors_and_immobile_workers_are_solved(elasticity):
    parameters = Parameters(elasticity_across_sectors=elasticity)
    shares = jnp.array([[1 - q, q] for q in (1e-6, 1e-3, 0.02, 0.1, 0.2, 0.35, 0.5)])
    shocks = hermite_shocks(parameters, 2, nodes=7)
    play = jax.jit(jax.vmap(lambda one: solve_game(one, parameters, "cournot", shocks=shocks)))
    games = play(shares)
    assert games.converged.all()
    assert (games.labour**ETA / (1 - ETA) <= games.output / games.labour ** (1 - ETA) + 1e-9).all()


def test_vmap_equals_loop():
    shares = jnp.asarray(np.random.default_rng(0).dirichlet([0.3, 0.3, 0.3], 4))
    shocks = few_states(3)
    together = jax.jit(jax.vmap(lambda one: solve_game(one, KO, "cournot", shocks=shocks)))(shares)
    for i, one in enumerate(shares):
        game = solve(one, KO, "cournot", shocks=shocks)
        assert game.steps == together.steps[i]
        np.testing.assert_allclose(together.log_ratio[i], game.log_ratio, atol=1e-11)


def test_what_is_unsolved_says_so():
    game = solve(jnp.array([0.6, 0.4]), KO, "cournot", shocks=few_states(2), max_steps=3)
    assert not game.converged
    assert game.residual > 1e-6
    hard = Parameters(firm_variance=3.0, elasticity_across_sectors=0.2)
    with pytest.raises(ConvergenceError, match="% of the sectors drawn with 2 firms have no solution"):
        exact_production(1.0, hard, "cournot", key=jax.random.key(0), draws=BLOCK, max_firms=2)


@pytest.mark.parametrize(
    ("parameters", "conduct", "arguments", "message"),
    [
        (Parameters(elasticity_across_firms=np.inf), "cournot", {}, "finite elasticity_across_firms"),
        (Parameters(elasticity_across_sectors=0.0), "cournot", {}, "positive elasticity_across_sectors"),
        (KO, "bertrand", {}, "conduct"),
        (KO, "cournot", {"m": 0.0}, "m, the mean number"),
        (KO, "cournot", {"m": 1e4}, "max_firms"),
        (KO, "cournot", {"max_firms": WIDTHS[-1] + 1}, "max_firms"),
        (KO, "cournot", {"states": 257}, "states"),
    ],
)
def test_impossible_arguments_are_refused(parameters, conduct, arguments, message):
    arguments = {"m": 1.0, "key": jax.random.key(0), **arguments}
    with pytest.raises(ModelError, match=message):
        exact_production(arguments.pop("m"), parameters, conduct, **arguments)


def test_impossible_shocks_and_precision_are_refused():
    with pytest.raises(ModelError, match="drawn_shocks"):
        hermite_shocks(KO, 4)
    with pytest.raises(ModelError, match="twice the 20 firms"):
        drawn_shocks(KO, 20, 38, key=jax.random.key(0))
    with pytest.raises(PrecisionError, match="jax_enable_x64"):
        solve_game(jnp.array([1.0], jnp.float32), KO, "cournot", shocks=few_states(1))


def test_shocks_have_the_moments_of_the_model():
    variance = 0.14 * np.eye(3) + 0.002
    drawn = drawn_shocks(KO, 3, 128, key=jax.random.key(0))
    for shocks in (hermite_shocks(KO, 3, nodes=3), drawn):
        log_shock, weight = (np.asarray(x) for x in shocks)
        np.testing.assert_allclose(weight.sum(), 1, rtol=1e-12)
        np.testing.assert_allclose(weight @ log_shock, 0, atol=1e-12)
        np.testing.assert_allclose(log_shock.T * weight @ log_shock, variance, atol=1e-12)
        np.testing.assert_allclose(weight @ log_shock**3, 0, atol=1e-12)
    alone = np.asarray(
        drawn_shocks(Parameters(sector_variance=0.0, firm_variance=1.0), 1, 128, key=jax.random.key(1))[0]
    )
    np.testing.assert_allclose([(alone**p).mean() for p in (2, 4, 6)], [1, 3, 15], rtol=1e-9)


def test_stratified_numbers():
    numbers = np.asarray(stratified(jax.random.key(0), 64, 3))
    np.testing.assert_array_equal(np.sort(np.floor(numbers * 64), axis=0), np.arange(64)[:, None] * np.ones(3))
    np.testing.assert_array_equal(numbers[:, :2], stratified(jax.random.key(0), 64, 2))
    assert abs(np.corrcoef(numbers.T) - np.eye(3)).max() < 0.4


def test_drawn_states_agree_with_quadrature():
    exact = phi_psi(solve_hermite(UNEQUAL, "cournot"))
    keys = jax.random.split(jax.random.key(0), 8)
    draw = jax.jit(partial(drawn_shocks, KO, 3, 256))
    drawn = [phi_psi(solve(jnp.array(UNEQUAL), KO, "cournot", shocks=draw(key=key))) for key in keys]
    spread = np.std(drawn, axis=0, ddof=1)
    assert (spread < [6e-4, 5e-4]).all()
    assert (np.abs(np.mean(drawn, axis=0) - exact) < 4 * spread / np.sqrt(8) + 1e-5).all()


def test_shares_are_drawn_by_size():
    draw = jax.jit(jax.vmap(partial(stratified_shares, width=6, size_tail=KO.size_tail), in_axes=(0, None)))
    shares = draw(jax.random.split(jax.random.key(0), 64), 3)
    assert (np.asarray(shares[..., 4:]) == 0).all()
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-12)
    by_block = (shares**2).sum(-1).mean(1)
    error = by_block.std() / 8
    assert abs(by_block.mean() - power_sums(jnp.array([3.0]), KO.size_tail)["2"][0]) < 4 * error
    assert error < 3e-3


def test_numbers_of_firms():
    np.testing.assert_array_equal(numbers_of_others(1), [0])
    np.testing.assert_array_equal(numbers_of_others(5), np.arange(5))
    numbers = numbers_of_others(100)
    assert numbers[-1] == 99
    assert (np.diff(numbers) > 0).all()
    assert numbers.size < 40


@pytest.fixture(scope="module")
def up_to_three():
    return tabulate_sectors(KO, "cournot", key=jax.random.key(0), max_firms=3, draws=64 * BLOCK)


def test_mixture_over_numbers_of_firms(up_to_three):
    """Poisson weights of numbers of others: with shares squared in the place of labour they give H(m)."""
    squares = power_sums(jnp.arange(40.0), KO.size_tail)["2"]
    by_block = jnp.stack([squares, squares])
    table = type(up_to_three)(tuple(range(40)), jnp.ones_like(by_block), by_block, jnp.zeros(40), jnp.zeros(40))
    for parameters in (KO, Parameters(sector_dispersion=0.3)):
        produced = production_of(table, jnp.array([0.2, 5.0]), parameters)
        labour = produced.phi ** (-1 / (1 - ETA))
        np.testing.assert_allclose(produced.coverage, 1, atol=1e-6)
        np.testing.assert_allclose(labour, herfindahl(jnp.array([0.2, 5.0]), parameters), rtol=1e-5)


def test_two_firms_by_quadrature_over_sizes(up_to_three):
    tail = float(KO.size_tail)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    u, weights = ((nodes + 1) / 2) ** 4, weights * 2 * ((nodes + 1) / 2) ** 3
    log_odds = np.log(u)[None, :] / tail - np.log(u)[:, None] / (tail - 1)
    share = 1 / (1 + np.exp(-log_odds.ravel()))
    shocks = hermite_shocks(KO, 2)
    play = jax.jit(jax.vmap(lambda one: solve_game(one, KO, "cournot", shocks=shocks)))
    games = play(jnp.asarray(np.column_stack([share, 1 - share])))
    for of_game, of_table in ((games.output, up_to_three.output), (games.labour, up_to_three.labour)):
        by_block = np.asarray(of_table[:, 1])
        quadrature = np.outer(weights, weights).ravel() @ np.asarray(of_game)
        assert by_block.mean() == pytest.approx(quadrature, abs=4 * by_block.std() / np.sqrt(by_block.size))


def test_exact_markdowns_of_small_places(up_to_three):
    """In percent, of sectors of up to three firms; of all they are 0.061, 0.373 and 0.627."""
    produced = production_of(up_to_three, jnp.array([0.07, 0.5, 1.0]), KO)
    np.testing.assert_allclose(100 * produced.markdown, [0.0612, 0.3612, 0.5789], rtol=0.002)
    assert (produced.psi_error < 1e-5).all()
    assert (up_to_three.unsolved == 0).all()
    assert float(up_to_three.residual.max()) < 1e-10


def test_production_is_smooth_in_m(up_to_three):
    def psi(m):
        return production_of(up_to_three, m, KO).psi

    difference = (psi(0.5 + 1e-5) - psi(0.5 - 1e-5)) / 2e-5
    assert jax.jit(jax.grad(psi))(0.5) == pytest.approx(float(difference), rel=1e-6)


def test_results_do_not_depend_on_memory_but_on_the_key():
    play = partial(
        _solve_blocks, others=np.array([3, 4]), parameters=KO, conduct="cournot", blocks=2, width=6, states=32
    )
    one_by_one, together, other = (
        play(jax.random.key(seed), max_memory=memory) for seed, memory in ((0, 10**4), (0, 10**7), (1, 10**7))
    )
    for small, large, different in zip(one_by_one, together, other, strict=True):
        np.testing.assert_allclose(small, large, rtol=1e-12, atol=1e-12)
        assert small.shape[:2] == different.shape[:2] == (2, 2)
    assert (together[0] != other[0]).all()


def test_default_leaves_few_sectors_out():
    produced = exact_production(0.004, KO, "competitive", key=jax.random.key(0), draws=BLOCK, states=32)
    assert produced.phi.shape == ()
    assert 1 - 1e-6 < float(produced.coverage) < 1
    assert abs(float(produced.markdown)) < 1e-9
    assert float(produced.phi) > np.exp(0.071)
