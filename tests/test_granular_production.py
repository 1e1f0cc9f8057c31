"""Production with finitely many firms: sectors by linear algebra, places by simulation, predictions by experiment."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import central_difference
from scipy import stats

from spatialjax import granular
from spatialjax.errors import ModelError, PrecisionError
from spatialjax.granular.concentration import power_sums
from spatialjax.granular.conduct import INTERNALISED
from spatialjax.granular.regional_production import NUMBERS, Correction, production_from, tabulate
from spatialjax.granular.second_order import competitive_gain, responses

PARAMETERS = granular.Parameters()
CONDUCTS = ("competitive", "cournot")
DRAWS = 2**12
"""Of every table here: one shape."""


def random_shares(firms, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(firms))


def values_of(parameters):
    """Parameters under the field's symbols, as numbers."""
    kappa, nu, eta = (
        float(x)
        for x in (parameters.elasticity_across_firms, parameters.elasticity_across_sectors, parameters.profit_share)
    )
    return kappa, nu, eta, 1 / nu - 1 / kappa, float(parameters.sector_variance), float(parameters.firm_variance)


def response_matrix(shares, parameters, chi):
    """R of u = R a, from the first-order conditions a - eta u = u/kappa + D U + chi D s (u - U), with U = s . u."""
    kappa, _, eta, d, _, _ = values_of(parameters)
    ones = np.ones_like(shares)
    system = np.diag(eta + 1 / kappa + chi * d * shares) + d * np.outer(ones - chi * shares, shares)
    return np.linalg.inv(system)


def moments_by_linear_algebra(shares, parameters, chi):
    """Gain and Psi of one sector, by the covariance matrix of its firms' employment."""
    kappa, _, eta, d, common, own = values_of(parameters)
    response = response_matrix(shares, parameters, chi)
    shocks = common + own * np.eye(shares.size)
    employment = response @ shocks @ response.T
    from_mean = response - shares @ response
    dispersion = np.diag(from_mean @ shocks @ from_mean.T)
    gain = shares @ (np.diag(response @ shocks) - (eta + 1 / kappa) / 2 * np.diag(employment))
    return (1 - eta) * (gain - d / 2 * shares @ employment @ shares), -chi * d * shares**2 @ dispersion


def moments(shares, parameters=PARAMETERS, chi=1.0):
    return granular.sector_moments(jnp.asarray(shares), parameters, ("competitive", "cournot")[int(chi)])


VARIED = {
    "KO": {},
    "mobile firms": {"elasticity_across_firms": 50.0, "elasticity_across_sectors": 0.05},
    "alike": {"elasticity_across_firms": 2.0, "elasticity_across_sectors": 1.95, "profit_share": 0.4},
    "sectors move": {"sector_variance": 0.3, "firm_variance": 0.01},
}


class TestSectorMoments:
    @pytest.mark.parametrize("changed", VARIED.values(), ids=VARIED)
    @pytest.mark.parametrize("conduct", CONDUCTS)
    def test_are_those_of_linear_algebra(self, conduct, changed):
        parameters, chi = granular.Parameters(**changed), INTERNALISED[conduct]
        for firms in (1, 2, 3, 7):
            shares = random_shares(firms, seed=firms)
            expected = moments_by_linear_algebra(shares, parameters, chi)
            np.testing.assert_allclose(moments(shares, parameters, chi), expected, rtol=1e-11, atol=1e-15)

    @pytest.mark.parametrize("conduct", CONDUCTS)
    def test_responses_solve_the_first_order_conditions(self, conduct):
        shares, chi = random_shares(5), INTERNALISED[conduct]
        slope, pull, weight, _ = responses(jnp.asarray(shares), PARAMETERS, chi)
        found = np.diag(slope) - np.outer(pull, weight)
        np.testing.assert_allclose(found, response_matrix(shares, PARAMETERS, chi), atol=1e-13)

    def test_competitive_responses_are_those_of_equation_22(self):
        """(a[n] - (1/nu - 1/kappa) / (eta + 1/nu) sum s a) / (eta + 1/kappa)."""
        kappa, nu, eta, *_ = values_of(PARAMETERS)
        shares = random_shares(4)
        by_hand = (np.eye(4) - (1 / nu - 1 / kappa) / (eta + 1 / nu) * np.outer(np.ones(4), shares)) / (eta + 1 / kappa)
        slope, pull, weight, _ = responses(jnp.asarray(shares), PARAMETERS, 0.0)
        np.testing.assert_allclose(np.diag(slope) - np.outer(pull, weight), by_hand, atol=1e-13)

    def test_competitive_gain_is_half_the_covariance_and_needs_only_the_herfindahl_index(self):
        for firms in (1, 2, 6):
            shares = random_shares(firms)
            *_, eta, _, common, own = values_of(PARAMETERS)
            covariance = response_matrix(shares, PARAMETERS, 0) @ (common + own * np.eye(firms))
            lemma_1 = (1 - eta) / 2 * shares @ np.diag(covariance)
            found = moments(shares, chi=0.0)
            np.testing.assert_allclose(found.gain, lemma_1, rtol=1e-12)
            np.testing.assert_allclose(found.gain, competitive_gain((shares**2).sum(), PARAMETERS), rtol=1e-12)
            assert found.psi == 0

    def test_one_firm_has_no_market_power(self):
        alone, crowd = moments(np.ones(1)), moments(np.ones(1), chi=0.0)
        np.testing.assert_allclose(alone.gain, crowd.gain, rtol=1e-13)
        assert abs(alone.psi) < 1e-16

    @pytest.mark.parametrize("conduct", CONDUCTS)
    def test_nobody_is_held_back_where_moving_between_sectors_is_as_easy(self, conduct):
        parameters = granular.Parameters(elasticity_across_sectors=2.48)
        gains = [moments(random_shares(n), parameters, INTERNALISED[conduct]).gain for n in (1, 2, 9)]
        np.testing.assert_allclose(gains, gains[0], rtol=1e-13)
        assert moments(random_shares(4), parameters).psi == 0

    @pytest.mark.parametrize("conduct", CONDUCTS)
    @pytest.mark.parametrize(
        "limit",
        [
            {"elasticity_across_sectors": 0.0},
            {"elasticity_across_firms": np.inf},
            {"elasticity_across_sectors": 0.0, "elasticity_across_firms": np.inf},
        ],
        ids=["nu = 0", "kappa = inf", "both"],
    )
    def test_limits_are_finite_and_reached_smoothly(self, conduct, limit):
        near = {"elasticity_across_sectors": 1e-7, "elasticity_across_firms": 1e8}
        chi = INTERNALISED[conduct]

        def total(parameters, shares):
            found = moments(shares, parameters, chi)
            return found.gain.sum() + 3 * found.psi.sum()

        # The second sector has one firm and the room of others.
        shares = jnp.asarray([random_shares(3), [1.0, 0.0, 0.0]])
        value, slopes = jax.value_and_grad(total)(granular.Parameters(**limit), shares)
        beside = total(granular.Parameters(**{name: near[name] for name in limit}), shares)
        np.testing.assert_allclose(value, beside, rtol=1e-5, atol=1e-7)
        assert all(np.isfinite(slope) for slope in jax.tree.leaves(slopes))
        assert np.isfinite(jax.grad(total, 1)(granular.Parameters(**limit), shares)).all()

    @pytest.mark.parametrize("conduct", CONDUCTS)
    def test_simple_model_is_the_limit_and_its_misallocation_is_the_variance_of_wages(self, conduct):
        """KO 2: Phi = E[a] + (1 - eta)/(2 eta) (1 - H) varN, and Corollary 2: Phi falls with the variance of log wages.

        All firms of a sector pay w = sum s a there, whose variance is varS + H varN.
        """
        parameters = granular.Parameters(elasticity_across_sectors=0.0, elasticity_across_firms=np.inf)
        eta, common, own = 0.13, 0.002, 0.14
        for firms in (1, 2, 5):
            shares = random_shares(firms)
            herfindahl = (shares**2).sum()
            variance_of_wages = shares @ (common + own * np.eye(firms)) @ shares
            found = moments(shares, parameters, INTERNALISED[conduct])
            if conduct == "competitive":
                np.testing.assert_allclose(found.gain, (1 - eta) / (2 * eta) * (1 - herfindahl) * own, atol=1e-14)
                misallocation = (1 - eta) / (2 * eta) * (common + own - variance_of_wages)
                np.testing.assert_allclose(found.gain, misallocation, atol=1e-14)
            else:  # firms let no shock move workers who cannot leave their sector
                np.testing.assert_allclose(found, 0.0, atol=1e-15)

    def test_market_power_withholds_a_bounded_part(self):
        """|Psi| <= D varN / (4 B (B + D)), and never more than there is to gain (KO Lemma 2)."""
        kappa, _, eta, d, _, own = values_of(PARAMETERS)
        b = eta + 1 / kappa
        bound = d * own / (4 * b * (b + d))
        assert bound == pytest.approx(0.0227, abs=5e-5)
        rng = np.random.default_rng(0)
        shares = rng.dirichlet(np.full(4, 0.3), 4000)
        shares = np.concatenate([shares, np.array([[0.5, 0.5, 0, 0], [1 / 3, 1 / 3, 1 / 3, 0]])])
        cournot, competitive = moments(shares), moments(shares, chi=0.0)
        assert (cournot.psi <= 0).all()
        assert (-cournot.psi <= bound).all()
        assert -cournot.psi.min() > 0.6 * bound
        assert (cournot.gain <= competitive.gain + 1e-15).all()

    @pytest.mark.parametrize("conduct", CONDUCTS)
    def test_order_and_room_do_not_matter(self, conduct):
        shares, chi = random_shares(5), INTERNALISED[conduct]
        padded = np.concatenate([[0.0], shares[::-1], np.zeros(3)])
        np.testing.assert_allclose(moments(padded, chi=chi), moments(shares, chi=chi), rtol=1e-12)


class TestPredictions:
    @pytest.mark.parametrize("firms", [1, 2, 6])
    def test_variances_are_those_of_the_linear_responses(self, firms):
        shares, parameters = random_shares(firms, 3), granular.Parameters(sector_variance=0.05)
        _, _, eta, _, common, own = values_of(parameters)
        shocks = common + own * np.eye(firms)
        response = response_matrix(shares, parameters, 0)
        herfindahl = (shares**2).sum()
        wage_bill = shares @ (np.eye(firms) + (1 - eta) * response)  # of w l = (1 - eta) a l^(1 - eta)
        np.testing.assert_allclose(
            granular.wage_bill_variance(herfindahl, parameters), wage_bill @ shocks @ wage_bill, rtol=1e-12
        )
        np.testing.assert_allclose(
            granular.employment_variance(herfindahl, parameters),
            shares @ np.diag(response @ shocks @ response.T),
            rtol=1e-12,
        )
        np.testing.assert_allclose(
            granular.shock_variance(firms, parameters), np.full(firms, 1 / firms) @ shocks @ np.full(firms, 1 / firms)
        )

    def test_employment_variance_is_that_of_proposition_6(self):
        kappa, nu, eta, d, common, own = values_of(PARAMETERS)
        herfindahl = 0.4
        b, c = eta + 1 / kappa, eta + 1 / nu
        printed = common / c**2 + own / b**2 - d * (b + c) / (b**2 * c**2) * herfindahl * own
        np.testing.assert_allclose(granular.employment_variance(herfindahl, PARAMETERS), printed, rtol=1e-12)

    def test_nonlinear_sectors_confirm_that_the_factor_is_squared(self):
        """Firms on their demand curves, w = a u^-eta, and labour supply w = u^(1/kappa) U^D; small shocks."""
        parameters = granular.Parameters(sector_variance=2e-5, firm_variance=1e-4)
        kappa, nu, eta, d, common, own = values_of(parameters)
        shares, draws = random_shares(3), 100_000
        rng = np.random.default_rng(0)
        log_a = np.sqrt(common) * rng.normal(size=(draws, 1)) + np.sqrt(own) * rng.normal(size=(draws, 3))
        power = (1 + kappa) / kappa
        log_total = np.zeros((draws, 1))
        for _ in range(40):  # a fixed point in the employment of the sector, halfway at a time
            log_u = (log_a - d * log_total) / (eta + 1 / kappa)
            log_total += 0.5 * (np.log(np.exp(power * log_u) @ shares)[:, None] / power - log_total)
        log_u = (log_a - d * log_total) / (eta + 1 / kappa)
        assert np.abs(np.log(np.exp(power * log_u) @ shares) / power - log_total[:, 0]).max() < 1e-10
        log_wage = log_u / kappa + d * log_total
        np.testing.assert_allclose(log_wage, log_a - eta * log_u, atol=1e-9)
        found = np.log(np.exp(log_wage + log_u) @ shares).var()
        herfindahl = (shares**2).sum()
        squared = float(granular.wage_bill_variance(herfindahl, parameters))
        np.testing.assert_allclose(found, squared, rtol=0.02)
        unsquared = (1 + nu) / (1 + eta * nu) * (common + herfindahl * own)
        assert found > 2 * unsquared
        np.testing.assert_allclose(
            log_u.var(0) @ shares, granular.employment_variance(herfindahl, parameters), rtol=0.02
        )

    def test_ratio_of_responses(self):
        assert float(granular.employment_response_ratio(PARAMETERS)) == pytest.approx(-0.346, abs=5e-4)
        response = response_matrix(np.array([1.0]), PARAMETERS, 0)[0, 0] * (0.13 + 1 / 2.48)
        np.testing.assert_allclose(granular.employment_response_ratio(PARAMETERS), response - 1, rtol=1e-12)

    def test_herfindahl_index_of_a_number_of_firms(self):
        found = granular.herfindahl_of_number(np.array([[1, 2], [5, 50]]), PARAMETERS)
        assert found.shape == (2, 2)
        np.testing.assert_allclose(found[0, 0], 1.0, atol=1e-8)
        assert (np.diff(np.ravel(found)) < 0).all()
        numbers = np.arange(1.0, 60.0)
        mixed = stats.poisson.pmf(numbers - 1, 5.0) @ np.asarray(granular.herfindahl_of_number(numbers, PARAMETERS))
        np.testing.assert_allclose(mixed, granular.herfindahl(5.0, PARAMETERS), rtol=1e-9)
        with pytest.raises(ModelError, match="number.*must be one at least, found 0"):
            granular.herfindahl_of_number(np.array([3, 0]), PARAMETERS)


def cournot(m, parameters=PARAMETERS, key=None):
    return granular.production_with_error(m, parameters, "cournot", key=key, draws=DRAWS)


def simulated_moments(shares, parameters):
    """A statistic of sectors: what production is the mean of."""
    found = granular.sector_moments(shares, parameters, "cournot")
    return {"gain": found.gain, "psi": found.psi}


def simulate(m, draws):
    return granular.sector_averages(simulated_moments, m, PARAMETERS, key=jax.random.key(1), draws=draws)


class TestCompetitive:
    def test_follows_from_the_herfindahl_index(self):
        m = np.array([[0.0676, 1.0], [10.0, 105.8]])
        found = granular.production_with_error(m, PARAMETERS)
        kappa, nu, eta, d, common, own = values_of(PARAMETERS)
        covariance = common / (eta + 1 / nu) + (1 - d / (eta + 1 / nu) * granular.herfindahl(m, PARAMETERS)) * own / (
            eta + 1 / kappa
        )
        np.testing.assert_allclose(found.phi, np.exp((common + own) / 2) + (1 - eta) / 2 * covariance, rtol=1e-13)
        for rest in found[1:]:
            np.testing.assert_array_equal(rest, np.zeros((2, 2)))
        assert granular.production(1.0, PARAMETERS)[0].shape == ()

    @pytest.mark.parametrize("conduct", CONDUCTS)
    def test_expected_shock_is_exact_or_of_second_order(self, conduct):
        table = tabulate(PARAMETERS, conduct, draws=DRAWS)

        def phi(kind):
            return production_from(table, jnp.asarray(1.0), granular.Parameters(expected_shock=kind)).phi

        np.testing.assert_allclose(phi("lognormal") - phi("second-order"), np.exp(0.071) - 1.071, rtol=1e-10)

    def test_largest_and_smallest_of_the_paper(self):
        """Tokyo over the smallest place, in productivity: KO find 2.1 percent; with Poisson entry it is 2.8."""
        phi, _ = granular.production(np.array([10 / 148, 105.8]), PARAMETERS)
        assert np.log(phi[1] / phi[0]) == pytest.approx(0.028, abs=5e-4)


class TestCournot:
    @pytest.mark.parametrize("m", [0.5, 3.0, 12.0])
    def test_agrees_with_sectors_drawn_at_random(self, m):
        expected, found = simulate(m, 2**15), cournot(m)
        gain = found.phi - PARAMETERS.mean_shock
        assert abs(gain - expected.mean["gain"]) < 3 * np.hypot(found.phi_error, expected.error["gain"])
        assert abs(found.psi - expected.mean["psi"]) < 3 * np.hypot(found.psi_error, expected.error["psi"])
        assert found.psi_error < 0.05 * expected.error["psi"] * np.sqrt(2**15 / DRAWS)

    def test_markdowns(self):
        """In percent, at the numbers of firms of KO's places; 0.94 and 0.85 at 3 and 10, where spec notes had less."""
        found = cournot(np.array([10 / 148, 1.0, 3.0, 5.0, 10.0, 105.8]))
        markdown = -100 * np.asarray(found.psi / found.phi)
        np.testing.assert_array_equal(np.round(markdown, 2), [0.06, 0.60, 0.94, 0.96, 0.85, 0.38])
        drawn = simulate(3.0, 2**16)
        at_three = -100 * drawn.mean["psi"] / (PARAMETERS.mean_shock + drawn.mean["gain"])
        assert at_three == pytest.approx(0.94, abs=0.01)

    def test_market_power_vanishes_where_firms_are_many_or_alone(self):
        many, few = cournot(np.array([1e2, 1e3, 1e4])), cournot(np.array([1e-2, 1e-3, 1e-4]))
        for found in (many, few):
            assert (np.diff(found.psi) > 0).all()
        assert (many.psi[1:] / many.psi[:-1] < 0.5).all()
        np.testing.assert_allclose(few.psi[1:] / few.psi[:-1], 0.1, rtol=0.02)
        limit = PARAMETERS.mean_shock + competitive_gain(0.0, PARAMETERS)
        competitive = granular.production(np.array([1e2, 1e3, 1e4]), PARAMETERS)[0]
        assert (many.phi < limit).all()
        assert (limit - many.phi)[-1] < 0.25 * (limit - many.phi)[0]
        assert (many.phi <= competitive).all()  # KO Lemma 2
        np.testing.assert_allclose(many.phi[-1], competitive[-1], atol=1e-4)
        assert ((competitive - many.phi) < 0.05 * (limit - many.phi)).all()

    def test_errors_are_honest(self):
        """The spread over keys is what each key reports."""
        m = np.array([0.2, 2.0, 30.0])
        found = [cournot(m, key=jax.random.key(seed)) for seed in range(1, 31)]
        for value, error in (("phi", "phi_error"), ("psi", "psi_error")):
            spread = np.std([getattr(each, value) for each in found], axis=0, ddof=1)
            told = np.sqrt(np.mean([getattr(each, error) ** 2 for each in found], axis=0))
            assert ((spread / told > 0.65) & (spread / told < 1.4)).all(), (value, spread / told)

    def test_controls_take_no_bias_in(self):
        """The mean over keys is that of a simulation without controls, at a tenth of its error."""
        m = 2.0
        found = [cournot(m, key=jax.random.key(seed)).psi for seed in range(1, 31)]
        plain = simulate(m, 2**16)
        assert abs(np.mean(found) - plain.mean["psi"]) < 3 * plain.error["psi"]
        table = tabulate(PARAMETERS, "cournot", draws=DRAWS)
        two_firms = np.random.default_rng(0)
        draws = 400_000
        size = np.column_stack([two_firms.pareto(0.365, draws) + 1, two_firms.pareto(1.365, draws) + 1])
        drawn = moments(size / size.sum(1, keepdims=True)).psi
        assert abs(table.psi[1] - drawn.mean()) < 4 * np.hypot(drawn.std() / np.sqrt(draws), table.psi_error[1])

    def test_same_key_same_result(self):
        default, first, second = cournot(2.0), cournot(2.0, key=jax.random.key(0)), cournot(2.0, key=jax.random.key(1))
        assert default == cournot(2.0) == first
        assert second.psi != first.psi
        assert abs(second.psi - first.psi) < 5 * np.hypot(first.psi_error, second.psi_error)

    def test_is_smooth_where_the_mixture_changes_its_grid(self):
        m = np.linspace(100.0, 200.0, 401)
        found = cournot(m)
        for values in (found.phi, found.psi):
            bend = np.diff(np.asarray(values), 2)
            assert (np.abs(np.diff(bend)) < 0.05 * np.abs(bend).max()).all()

    @pytest.mark.parametrize("power", ["2", "3"])
    def test_mixes_numbers_of_firms_as_poisson_does(self, power):
        """Known means by number of firms in the place of simulated ones, and the sum over all numbers."""
        m = np.array([1e-3, 0.3, 3.0, 12.0, 40.0, 105.8, 149.9, 150.1, 300.0, 700.0])
        by_number = power_sums(jnp.asarray(NUMBERS), PARAMETERS.size_tail)[power]
        index = power_sums(jnp.asarray(NUMBERS), PARAMETERS.size_tail)["2"]
        table = Correction(by_number, by_number, by_number, by_number, index)
        numbers = np.arange(1200.0)
        exact = stats.poisson.pmf(numbers, m[:, None]) @ np.asarray(
            power_sums(jnp.asarray(numbers), PARAMETERS.size_tail)[power]
        )
        found = production_from(table, jnp.asarray(m), PARAMETERS)
        competitive = PARAMETERS.mean_shock + competitive_gain(granular.herfindahl(m, PARAMETERS), PARAMETERS)
        for mixed in (found.psi, found.phi - competitive):
            np.testing.assert_allclose(mixed[:-2], exact[:-2], rtol=5e-7)
            np.testing.assert_allclose(mixed, exact, rtol=5e-6)
        # Draws at different numbers of firms are independent of each other.
        assert (found.psi_error[1:] < 0.999 * found.psi[1:]).all()
        np.testing.assert_allclose(found.psi_error[0], found.psi[0], rtol=2e-3)

    def test_works_inside_jit_with_known_parameters(self):
        inside = jax.jit(lambda m: granular.production(m, PARAMETERS, "cournot", draws=DRAWS))
        np.testing.assert_allclose(
            inside(2.0), granular.production(2.0, PARAMETERS, "cournot", draws=DRAWS), rtol=1e-13
        )
        keyed = jax.random.key(7)
        jax.jit(lambda m: granular.production(m, PARAMETERS, "cournot", key=keyed, draws=DRAWS))(2.0)
        assert np.isfinite(cournot(2.0, key=keyed).psi)  # nothing of the trace was kept

    def test_dispersed_entry_weights_sectors_by_size(self):
        sigma, m = 0.8, 2.0
        normal = stats.norm.ppf((np.arange(500) + 0.5) / 500)
        size = np.exp(sigma * normal - sigma**2 / 2)
        by_type = cournot(m * size)
        table = tabulate(PARAMETERS, "cournot", draws=DRAWS)
        found = production_from(table, jnp.asarray(m), granular.Parameters(sector_dispersion=sigma))
        for name in ("phi", "psi"):
            expected = np.asarray(getattr(by_type, name)) @ size / size.sum()
            np.testing.assert_allclose(getattr(found, name), expected, rtol=2e-3 if name == "psi" else 1e-4)
            assert abs(expected / getattr(cournot(m), name) - 1) > (1e-2 if name == "psi" else 1e-3)

    def test_derivative_in_entry_is_what_one_more_firm_adds(self):
        """d/dm E f(N) = E[f(N + 1) - f(N)] for Poisson N, by sectors drawn in pairs."""
        m, draws, room = 2.0, 100_000, 16
        rng = np.random.default_rng(0)
        number = rng.poisson(m, draws)
        size = rng.pareto(1.365, (draws, room)) + 1
        size[:, 0] = rng.pareto(0.365, draws) + 1
        firms = np.arange(room)
        before, after = (np.where(firms <= number[:, None] + more, size, 0.0) for more in (0, 1))
        added = [moments(sizes / sizes.sum(1, keepdims=True)) for sizes in (before, after)]
        slopes = jax.jvp(lambda m: tuple(cournot(m)[:2]), (jnp.asarray(m),), (jnp.ones(()),))[1]
        for slope, name in zip(slopes, ("gain", "psi"), strict=True):
            difference = np.asarray(getattr(added[1], name) - getattr(added[0], name))
            assert abs(slope - difference.mean()) < 4 * difference.std() / np.sqrt(draws)
            assert abs(slope) > 10 * difference.std() / np.sqrt(draws)


@pytest.fixture(scope="module", params=CONDUCTS)
def sums(request):
    """Sums of Phi and of Psi over places, by parameters, and their derivatives, each compiled once."""

    def values(parameters):
        return jnp.stack(granular.production(TestDerivatives.m, parameters, request.param, draws=2**11)).sum(1)

    return jax.jit(values), jax.jit(jax.jacrev(values))


class TestDerivatives:
    m = np.array([0.3, 160.0])

    @pytest.mark.parametrize(
        "name", [field.name for field in dataclasses.fields(PARAMETERS) if field.name != "expected_shock"]
    )
    def test_in_every_parameter(self, sums, name):
        values, jacobian = sums
        parameters = granular.Parameters(sector_dispersion=0.3)
        at = getattr(parameters, name)
        step = 1e-4 * float(at)
        up, down = (values(eqx.tree_at(lambda p: getattr(p, name), parameters, at + h)) for h in (step, -step))
        found = getattr(jacobian(parameters), name)
        np.testing.assert_allclose(found, (up - down) / (2 * step), rtol=1e-5, atol=1e-10)
        assert (np.abs(found[0]) > 1e-4) == (name != "migration_elasticity")

    @pytest.mark.parametrize("conduct", CONDUCTS)
    def test_in_entry(self, conduct):
        table = tabulate(PARAMETERS, conduct, draws=DRAWS)
        for index in (0, 1):

            def value(m):
                return production_from(table, m, PARAMETERS)[index]  # noqa: B023

            found = jax.grad(lambda m: value(m).sum())(jnp.asarray(self.m))
            difference = central_difference(lambda h: value(jnp.asarray(self.m * (1 + h))), 1e-3) / self.m
            np.testing.assert_allclose(found, difference, rtol=1e-5, atol=1e-14)


class TestRefusals:
    def test_unknown_conduct(self):
        with pytest.raises(ModelError, match="conduct must be one of 'competitive', 'cournot', found 'bertrand'"):
            granular.production(1.0, PARAMETERS, "bertrand")

    def test_too_few_draws(self):
        with pytest.raises(ModelError, match="draws must be at least 1450, found 1000"):
            granular.production(1.0, PARAMETERS, "cournot", draws=1000)

    @pytest.mark.parametrize("conduct", CONDUCTS)
    def test_entry_that_is_not_positive(self, conduct):
        with pytest.raises(ModelError, match=r"m, the mean number of firms.*found 0.0 at position \(1,\)"):
            granular.production(np.array([1.0, 0.0]), PARAMETERS, conduct, draws=DRAWS)

    @pytest.mark.parametrize("conduct", CONDUCTS)
    def test_single_precision(self, conduct):
        single = jax.tree.map(lambda x: x.astype(jnp.float32), PARAMETERS)
        with pytest.raises(PrecisionError, match="jax_enable_x64"):
            granular.production(1.0, single, conduct)
        with pytest.raises(PrecisionError, match="jax_enable_x64"):
            granular.herfindahl(1.0, single)
        with pytest.raises(PrecisionError, match="jax_enable_x64"):
            granular.calibrate(np.ones(2), np.ones(2), np.ones(2), single, conduct)
