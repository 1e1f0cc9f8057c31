"""Concentration of sectors: the quadrature against other quadratures, closed forms, and simulation."""

import itertools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import central_difference
from scipy import integrate, special, stats

from spatialjax import granular
from spatialjax.errors import ModelError
from spatialjax.granular.concentration import power_sums
from spatialjax.granular.sectors import BLOCK

TAILS = (1.05, 1.365, 1.99, 2.0, 2.01, 3.0, 10.0)
ENTRY = (0.0676, 0.5, 1.0, 5.0, 20.0, 105.8)


def with_tail(tail, **others):
    """Parameters with a given tail of firm size."""
    return granular.Parameters(profit_share=0.2, productivity_tail=tail / 0.2, **others)


def herfindahl(m, tail=1.365):
    return np.asarray(granular.herfindahl(m, with_tail(tail)))


def exponential_integral(s, t):
    """E_s(t) for any s > 0: recursion upwards from incomplete gamma functions, or its own integral for large t."""
    if t > 1:
        return integrate.quad(lambda v: np.exp(-t - v) * (1 + v / t) ** -s / t, 0, 60, epsabs=0, epsrel=1e-12)[0]
    whole = int(np.ceil(s)) - 1
    start = s - whole  # from 0, excluded, to 1
    value = (
        special.exp1(t) if start == 1 else t ** (start - 1) * special.gammaincc(1 - start, t) * special.gamma(1 - start)
    )
    for k in range(whole):
        value = (np.exp(-t) - t * value) / (start + k)
    return value


def herfindahl_by_scipy(m, a):
    """H(m) = 1/E[q] int phi''(t) exp(-m (1 - phi(t))) dt with phi'' = a E_{a-1}, adaptively in t^(a-1)."""

    def integrand(x):
        t = np.exp(x / min(a - 1, 1))
        gap = 1 - a * exponential_integral(a + 1, t)
        return a * exponential_integral(a - 1, t) * np.exp(-m * gap) * t / min(a - 1, 1)

    pieces = [-30.0, -20.0, -12.0, -8.0, -5.0, -3.0, -1.0, *(min(a - 1, 1) * np.array([-0.5, 0.0, 1.0, 2.0, 3.0, 3.9]))]
    pieces = sorted(set(pieces))
    parts = [integrate.quad(integrand, *ends, epsabs=1e-12, epsrel=1e-10)[0] for ends in itertools.pairwise(pieces)]
    return sum(parts) * (a - 1) / a


class TestQuadrature:
    def test_reference_values(self):
        found = granular.herfindahl(jnp.array([10 / 148, 1.0, 105.8]), granular.Parameters())
        np.testing.assert_allclose(found, [0.981691051335, 0.787539353143, 0.147321503944], rtol=0, atol=1e-11)

    @pytest.mark.parametrize("tail", TAILS)
    def test_agrees_with_adaptive_quadrature_of_special_functions(self, tail):
        m = np.array([1e-3, 0.3, 7.0, 300.0, 1e4])
        expected = [herfindahl_by_scipy(value, tail) for value in m]
        np.testing.assert_allclose(herfindahl(m, tail), expected, rtol=0, atol=1e-8)

    @pytest.mark.parametrize("tail", TAILS)
    def test_a_sector_has_one_firm_where_few_enter(self, tail):
        m = 1e-4
        with_another = power_sums(jnp.ones(1), jnp.asarray(tail))["2"][0]
        np.testing.assert_allclose((1 - herfindahl(m, tail)) / m, 1 - with_another, rtol=2e-4)
        np.testing.assert_allclose(herfindahl(1e-9, tail), 1.0, rtol=1e-8)

    def test_firms_of_nearly_one_size_share_alike(self):
        m = np.array([0.1, 1.0, 5.0, 30.0])
        alike = -np.expm1(-m) / m  # E 1/(1 + N)
        excess = np.array([herfindahl(m, tail) / alike - 1 for tail in (5.0, 10.0, 15.0)])
        assert (excess > 0).all()
        assert (np.diff(excess, axis=0) < 0).all()
        assert excess[-1].max() < 1 / (15 * 13)  # the squared coefficient of variation of Pareto sizes

    def test_rate_of_fall_is_that_of_thick_tails(self):
        """H(m) falls like m^-(a - 1): not like m^-0.535, which is what KO footnote 6 gives for another average."""
        m = np.logspace(1, 4, 7)
        slope = np.diff(np.log(herfindahl(m))) / np.diff(np.log(m))
        assert (np.abs(slope[-2:] + 0.365) < 0.01).all()
        assert np.abs(np.diff(slope[-3:])).max() < 0.01
        assert np.abs(slope[-1] + 0.365) < np.abs(slope[-2] + 0.365) < np.abs(slope[-3] + 0.365)
        assert np.abs(slope + 0.535).min() > 0.1

    @pytest.mark.parametrize("tail", [3.0, 10.0])
    def test_rate_of_fall_is_one_with_thin_tails(self, tail):
        m = np.array([1e3, 1e4])
        second = tail * (tail - 1) ** 2 / ((tail - 2) * tail**2)  # E[q^2] / E[q]^2
        np.testing.assert_allclose(m * herfindahl(m, tail), second, rtol=0.05)
        assert abs(np.diff(np.log(herfindahl(m, tail)))[0] / np.log(10) + 1) < 0.01

    def test_falls_in_entry_and_keeps_its_shape(self):
        m = np.logspace(-3, 4, 30)
        assert (np.diff(herfindahl(m)) < 0).all()
        np.testing.assert_array_equal(herfindahl(m.reshape(2, 3, 5)), herfindahl(m).reshape(2, 3, 5))
        assert herfindahl(1.0).shape == ()

    def test_derivative_in_entry(self):
        slope = jax.vmap(jax.grad(granular.herfindahl), (0, None))
        m = jnp.array([1e-3, 0.1, 3.0, 2e3])
        difference = central_difference(lambda h: herfindahl(m * np.exp(h)), 1e-2) / m
        np.testing.assert_allclose(slope(m, granular.Parameters()), difference, rtol=1e-7)

    @pytest.mark.parametrize("tail", TAILS[1:])
    def test_derivative_in_the_tail_is_smooth_across_whole_numbers(self, tail):
        m = jnp.array([0.1, 3.0, 1e3])

        def at(tail):
            return granular.herfindahl(m, with_tail(tail))

        found = jax.jvp(at, (jnp.asarray(tail),), (jnp.ones(()),))[1]
        np.testing.assert_allclose(found, central_difference(lambda h: at(tail + h), 5e-3), rtol=3e-7, atol=1e-10)


class TestPowerSums:
    names = ("2", "3", "4", "22", "23")

    @staticmethod
    def simulated(shares):
        second, third, fourth = ((shares**p).sum(1) for p in (2, 3, 4))
        return np.stack([second, third, fourth, second**2, second * third])

    @pytest.mark.parametrize("others", [1, 3, 20])
    def test_agree_with_whole_sectors_weighted_by_size(self, others):
        """Sectors of ordinary firms, weighted by their size: no firm is drawn by size here."""
        tail, draws = 4.0, 200_000
        size = np.random.default_rng(others).pareto(tail, (draws, others + 1)) + 1
        weight = size.sum(1)
        values = self.simulated(size / weight[:, None])
        mean = values @ weight / weight.sum()
        error = np.sqrt((((values - mean[:, None]) * weight) ** 2).sum(1)) / weight.sum()
        exact = power_sums(jnp.asarray([float(others)]), jnp.asarray(tail))
        gap = np.array([float(exact[name][0]) for name in self.names]) - mean
        assert (np.abs(gap) < 4 * error).all()
        assert (error < 0.02 * mean).all()

    def test_agree_with_one_firm_drawn_by_size_where_the_tail_is_thick(self):
        tail, draws, others = 1.365, 200_000, 5
        rng = np.random.default_rng(0)
        size = np.column_stack([rng.pareto(tail - 1, draws) + 1, rng.pareto(tail, (draws, others)) + 1])
        values = self.simulated(size / size.sum(1, keepdims=True))
        exact = power_sums(jnp.asarray([float(others)]), jnp.asarray(tail))
        gap = np.array([float(exact[name][0]) for name in self.names]) - values.mean(1)
        assert (np.abs(gap) < 4 * values.std(1) / np.sqrt(draws)).all()

    @pytest.mark.parametrize("tail", TAILS)
    def test_are_one_for_a_lone_firm(self, tail):
        found = power_sums(jnp.zeros(1), jnp.asarray(tail))
        assert set(found) == set(self.names)
        for values in found.values():
            np.testing.assert_allclose(values, 1.0, atol=1e-8)

    @pytest.mark.parametrize("m", [0.3, 20.0])
    def test_mixed_over_poisson_numbers_are_the_herfindahl_index(self, m):
        numbers = np.arange(120.0)
        mixed = stats.poisson.pmf(numbers, m) @ np.asarray(power_sums(jnp.asarray(numbers), jnp.asarray(1.365))["2"])
        np.testing.assert_allclose(mixed, herfindahl(m), rtol=1e-9)


class TestDispersion:
    def test_that_vanishes_is_none(self):
        m = np.array([0.1, 3.0, 100.0])
        np.testing.assert_allclose(
            granular.herfindahl(m, with_tail(1.365, sector_dispersion=1e-6)), herfindahl(m), rtol=1e-10
        )

    def test_weights_sectors_by_size(self):
        """Against many types of sectors, each drawn as often as it occurs and weighted by its mean size."""
        sigma, m = 0.86, np.array([0.1, 3.0, 100.0])
        normal = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
        size = np.exp(sigma * normal - sigma**2 / 2)
        grid = np.linspace(np.log(1e-4), np.log(1e5), 600)
        values = herfindahl(np.exp(grid))
        expected = [np.interp(np.log(value * size), grid, values) @ size / size.sum() for value in m]
        found = granular.herfindahl(m, with_tail(1.365, sector_dispersion=sigma))
        np.testing.assert_allclose(found, expected, rtol=3e-4)
        assert np.abs(found / herfindahl(m) - 1).min() > 0.01


def hhi(shares, parameters):
    return (shares**2).sum()


def several(shares, parameters):
    """A pytree of statistics, one of which looks at the parameters."""
    return {"hhi": (shares**2).sum(), "largest": [shares.max(), parameters.profit_share * (shares > 0).sum()]}


def average(statistic=hhi, m=2.0, seed=0, draws=2 * BLOCK, **options):
    return granular.sector_averages(
        statistic, m, granular.Parameters(), key=jax.random.key(seed), draws=draws, **options
    )


class TestSectorAverages:
    @pytest.mark.parametrize("m", ENTRY)
    def test_agree_with_the_quadrature(self, m):
        found = average(m=m, draws=2**14)
        assert abs(found.mean - herfindahl(m)) < 3 * found.error
        assert found.error < 0.015 * found.mean

    def test_number_of_firms_is_poisson_beside_the_one_drawn_by_size(self):
        found = average(several, m=2.0, draws=2**14)
        eta = 0.13
        assert abs(found.mean["largest"][1] - eta * 3.0) < 3 * found.error["largest"][1]
        np.testing.assert_allclose(found.error["largest"][1], eta * np.sqrt(2.0 / 2**14), rtol=0.03)

    def test_interval_covers_the_truth_as_often_as_it_says(self):
        found = [average(seed=seed) for seed in range(200)]
        score = np.array([(each.mean - herfindahl(2.0)) / each.error for each in found])
        assert 0.90 < (np.abs(score) < 1.96).mean() < 0.99
        assert 0.85 < score.std() < 1.15

    def test_do_not_depend_on_memory(self):
        at_once, piecewise = (average(several, draws=5 * BLOCK, max_memory=memory) for memory in (2**28, 1.0))
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-14), at_once, piecewise)
        assert at_once.draws == 5 * BLOCK

    def test_do_not_depend_on_the_number_of_devices(self):
        program = (
            "import jax; jax.config.update('jax_enable_x64', True)\n"
            "import test_granular_concentration as t\n"
            "assert jax.device_count() == 2\n"
            "found = t.average(draws=3 * t.BLOCK)\n"
            "print(float(found.mean).hex(), float(found.error).hex())"
        )
        environment = os.environ | {
            "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2",
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path]),
        }
        printed = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        here = average(draws=3 * BLOCK)
        np.testing.assert_allclose([float.fromhex(x) for x in printed], [here.mean, here.error], rtol=1e-14)

    def test_progress_ends_at_the_total(self):
        seen = []
        average(draws=5 * BLOCK - 7, max_memory=1.0, progress=lambda done, total: seen.append((done, total)))
        assert seen == [(k * BLOCK, 5 * BLOCK) for k in range(1, 6)]

    def test_same_key_same_draws(self):
        assert average(seed=1).mean == average(seed=1).mean
        assert average(seed=1).mean != average(seed=2).mean


class TestRefusals:
    @pytest.mark.parametrize("m", [0.0, -1.0, np.nan, np.inf])
    def test_entry_that_is_not_positive(self, m):
        with pytest.raises(ModelError, match=rf"m, the mean number of firms.*{m}"):
            granular.herfindahl(m, granular.Parameters())
        with pytest.raises(ModelError, match=rf"m, the mean number of firms.*{m} at position \(1, 0\)"):
            granular.herfindahl(np.array([[1.0], [m]]), granular.Parameters())
        with pytest.raises(ModelError, match="m, the mean number of firms"):
            average(m=m)

    def test_too_few_draws(self):
        with pytest.raises(ModelError, match=f"draws must be at least {2 * BLOCK}, found 100"):
            average(draws=100)

    def test_averages_at_many_rates(self):
        with pytest.raises(ModelError, match=r"m must be a number, found shape \(2,\)"):
            average(m=np.array([1.0, 2.0]))
        with pytest.raises(ModelError, match="sector_dispersion"):
            granular.sector_averages(hhi, 1.0, with_tail(1.365, sector_dispersion=0.5), key=jax.random.key(0))

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("elasticity_across_firms", 0.0, "must be positive, found 0.0"),
            ("elasticity_across_sectors", -0.1, "must be zero or positive, found -0.1"),
            ("profit_share", 1.0, "must be between 0 and 1, found 1.0"),
            ("productivity_tail", np.nan, "must be positive, found nan"),
            ("sector_variance", -1.0, "must be finite, zero or positive"),
            ("firm_variance", np.inf, "must be finite, zero or positive"),
            ("migration_elasticity", 0.0, "must be finite and positive"),
            ("sector_dispersion", -1.0, "must be finite, zero or positive"),
            ("firm_variance", np.ones(3), r"must be a number, found shape \(3,\)"),
            ("expected_shock", "normal", "must be 'lognormal' or 'second-order', found 'normal'"),
        ],
    )
    def test_parameters_that_are_no_economy(self, name, value, message):
        with pytest.raises(ModelError, match=rf"Parameters\.{name} {message}"):
            granular.herfindahl(1.0, granular.Parameters(**{name: value}))

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"elasticity_across_sectors": 3.0}, "elasticity_across_sectors 3.0 exceeds elasticity_across_firms 2.48"),
            ({"productivity_tail": 7.0}, "productivity_tail times profit_share is 0.91: it must exceed 1"),
            ({"productivity_tail": 200.0}, "productivity_tail times profit_share is 26: above 15"),
        ],
    )
    def test_parameters_that_do_not_go_together(self, changed, message):
        with pytest.raises(ModelError, match=message):
            granular.herfindahl(1.0, granular.Parameters(**changed))
