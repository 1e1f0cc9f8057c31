"""Concentration of sectors with Poisson numbers of firms and Pareto sizes, by quadrature.

Averages over sectors are weighted by size. With q the size of a firm, phi(t) = E exp(-t q) and
1/S^p = int t^(p-1) exp(-t S) dt / Gamma(p), averages of power sums of shares are single integrals:

    E sum_n s_n^p = 1/E[q] int t^(p-2)/(p-2)! (-1)^p phi^(p)(t) phi(t)^N dt

in a sector of one firm drawn by size and N others, and exp(-m (1 - phi(t))) in the place of phi^N where N is Poisson
with mean m. For Pareto sizes (-1)^p phi^(p)(t) = a t^(a-p) Gamma(p - a, t).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spatialjax.errors import ModelError
from spatialjax.granular.parameters import Parameters, check_parameters

NODES = 800
"""Of the trapezoid rule in t."""
LEFTMOST, RIGHTMOST = -3.6, 4.1
"""Range of u, with log t = u - exp(-u) / min(a - 1, 1): integrands vanish double-exponentially at both ends."""
SERIES_TERMS = 20
"""Of the incomplete gamma function below one: 1/20! is below rounding."""
DISPERSION_NODES, DISPERSION_REACH = 65, 7.5
"""Of the trapezoid rule over entry rates, and its range in standard deviations."""


class Nodes(NamedTuple):
    """Points of the quadrature: log t, weights in log t, and 1 - phi there."""

    log_t: Float[Array, " node"]
    weight: Float[Array, " node"]
    gap: Float[Array, " node"]


def herfindahl(m: Float[Array, "..."] | float, parameters: Parameters) -> Float[Array, "..."]:
    """H(m): mean Herfindahl index of sectors, weighted by their size (KO 2.4, Lemma 5).

    **Arguments:**

    - `m`: mean number of firms in a sector, above zero; any shape.

    **Returns:** an array of the shape of `m`, from 1 where a sector has one firm at most, falling like
    m^-(a - 1) with a tail of firm size a = lambda eta below 2, like 1/m above. Exact to 1e-8 from m = 1e-3 to 1e4.
    Differentiable in `m` and in the parameters. With `sector_dispersion`, the mean over sectors whose entry rates
    differ.

    **Raises:** `ModelError` for `m` or parameters out of range.
    """
    check_parameters(parameters)
    m = check_entry(m)
    return _herfindahl(m, parameters)


@jax.jit
def _herfindahl(m, parameters: Parameters):
    nodes = quadrature(parameters.size_tail)
    density = power_density(nodes, (2,), parameters.size_tail)
    rates, weights = dispersed(m, parameters)
    return (jnp.exp(-rates[..., None] * nodes.gap) @ density) @ weights


def dispersed(m: Float[Array, "..."], parameters: Parameters):
    """Entry rates of sectors, along a last axis, and their weights by size.

    A sector that firms enter at k times the mean rate is k times as large on average: with log-normal rates,
    weighting by size shifts the mean of their logarithm from -sigma^2/2 to sigma^2/2.
    """
    sigma = parameters.sector_dispersion
    if sigma is None:
        return m[..., None], jnp.ones(1)
    nodes = np.linspace(-DISPERSION_REACH, DISPERSION_REACH, DISPERSION_NODES)
    weights = np.exp(-(nodes**2) / 2)
    return m[..., None] * jnp.exp(sigma * nodes + sigma**2 / 2), jnp.asarray(weights / weights.sum())


def power_sums(others: Float[Array, " number"], size_tail) -> dict[str, Float[Array, " number"]]:
    """Means of power sums of shares, in sectors of one firm drawn by size and a given number of others.

    "2" is the mean of sum_n s_n^2, "22" that of its square, "23" that of sum_n s_n^2 sum_n s_n^3, and so on. Numbers
    need not be whole.
    """
    nodes = quadrature(size_tail)
    log_phi = jnp.log1p(-jnp.minimum(nodes.gap, 1 - 1e-16))
    all_others = jnp.exp(others[:, None] * log_phi)
    all_but_one = others[:, None] * jnp.exp((others[:, None] - 1) * log_phi)

    def single(p):
        return all_others @ power_density(nodes, (p,), size_tail)

    def pair(p, r):
        one_firm, two_firms = (power_density(nodes, powers, size_tail) for powers in ((p + r,), (p, r)))
        return all_others @ one_firm + all_but_one @ two_firms

    return {"2": single(2), "3": single(3), "4": single(4), "22": pair(2, 2), "23": pair(2, 3)}


def quadrature(size_tail) -> Nodes:
    """Points at which integrals over t are taken; the result does not depend on where they are."""
    slowest = jax.lax.stop_gradient(jnp.minimum(size_tail - 1, 1.0))
    u = jnp.linspace(LEFTMOST, RIGHTMOST, NODES)
    log_t = u - jnp.exp(-u) / slowest
    weight = (u[1] - u[0]) * (1 + jnp.exp(-u) / slowest)
    return Nodes(log_t, weight, laplace_gap(log_t, size_tail))


def mean_size(size_tail):
    """E[q] = a / (a - 1)."""
    return size_tail / (size_tail - 1)


def power_density(nodes: Nodes, powers: tuple[int, ...], size_tail) -> Float[Array, " node"]:
    """Weights w such that w . exp(-t S) sums E[prod_i q_i^p_i / (q_1 + q_2 + ... + S)^(sum p - 1)] / E[q].

    One firm q_i for each power; with (2,), what the Herfindahl index takes.
    """
    total, firms = sum(powers), len(powers)
    log_scale = (firms * size_tail - 1) * nodes.log_t  # t^(total - 2) dt and t^(a - p) for each firm
    factors = [upper_gamma(p - size_tail, nodes.log_t) for p in powers]
    # Each is of order t^-max(0, a - p): divided among them, neither they nor the scale overflow.
    share = jnp.exp(log_scale / firms)
    product = jnp.prod(jnp.stack([size_tail * share * factor for factor in factors]), axis=0)
    return nodes.weight * product / (_factorial(total - 2) * mean_size(size_tail))


def laplace_gap(log_t: Float[Array, " node"], size_tail) -> Float[Array, " node"]:
    """1 - E exp(-t q) = 1 - exp(-t) + t^a Gamma(1 - a, t), without cancellation where t is small."""
    return -jnp.expm1(-jnp.exp(log_t)) + jnp.exp(size_tail * log_t) * upper_gamma(1 - size_tail, log_t)


def upper_gamma(s, log_t: Float[Array, " node"]) -> Float[Array, " node"]:
    """Gamma(s, t) = int_t^inf x^(s-1) exp(-x) dx for any real s: a series below t = 1, quadrature above."""
    log_small, large = jnp.minimum(log_t, 0.0), jnp.exp(jnp.maximum(log_t, 0.0))
    at_one = _upper_integral(s, jnp.ones(1))[0]
    orders = np.arange(SERIES_TERMS)
    coefficients = np.cumprod([1.0, *(-1.0 / orders[1:])])  # (-1)^k / k!
    terms = -_exponential_ratio((s + orders) * log_small[:, None]) * log_small[:, None] @ coefficients
    return jnp.where(log_t < 0, at_one + terms, jnp.exp(s * jnp.maximum(log_t, 0.0)) * _upper_integral(s, large))


def _upper_integral(s, t: Float[Array, " node"]) -> Float[Array, " node"]:
    """int_1^inf x^(s-1) exp(-t x) dx for t of one or more: x = 1 + exp(v - exp(-v)), trapezoid rule in v."""
    v = np.linspace(-3.6, 4.0, 128)
    excess = np.exp(v - np.exp(-v))
    weight = (v[1] - v[0]) * excess * (1 + np.exp(-v))
    integrand = jnp.exp((s - 1) * np.log1p(excess) - t[:, None] * (1 + excess))
    return integrand @ weight


def _exponential_ratio(x):
    """(exp(x) - 1) / x, one at zero, smooth there."""
    near = jnp.abs(x) < 1e-5
    away = jnp.where(near, 1.0, x)
    return jnp.where(near, 1 + x / 2 + x**2 / 6, jnp.expm1(away) / away)


def _factorial(k: int) -> float:
    return float(np.prod(np.arange(1, k + 1, dtype=float)))


def check_entry(m) -> Float[Array, "..."]:
    """Mean numbers of firms as an array.

    **Raises:** `ModelError` where one is not a positive number.
    """
    m = jnp.asarray(m, dtype=float)
    if not isinstance(m, jax.core.Tracer):
        bad = ~(np.isfinite(np.asarray(m)) & (np.asarray(m) > 0))
        if bad.any():
            where = f" at position {tuple(int(i) for i in np.argwhere(bad)[0])}" if bad.ndim else ""
            found = np.asarray(m)[bad].ravel()[0]
            raise ModelError(f"m, the mean number of firms in a sector, must be positive, found {found}{where}")
    return m
