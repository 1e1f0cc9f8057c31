"""States of the world in which a sector's game is played: log-normal shocks, shared by the sector and of each firm."""

from functools import cache, partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy import optimize, stats

from spatialjax.errors import ModelError
from spatialjax.granular.parameters import Parameters

MAX_HERMITE_FIRMS = 3
MIN_STATES = 32
"""Of the world, drawn: fewer numbers cannot have the moments of `_normal_scores`."""
HERMITE_NODES = 5
"""For each firm. At KO's variances Phi is then within 2e-6, Psi within 3e-7; with 7 nodes both within 2e-8."""


class Shocks(NamedTuple):
    """Log productivity shocks log a[n] in each state, and the probability of the state."""

    log_shock: Float[Array, "state firm"]
    weight: Float[Array, " state"]


def hermite_shocks(parameters: Parameters, firms: int, *, nodes: int = HERMITE_NODES) -> Shocks:
    """The Gauss-Hermite rule with `nodes` points for each of one to three firms.

    **Raises:** `ModelError` above three firms: their number of states is `nodes` to the power `firms`.
    """
    if firms > MAX_HERMITE_FIRMS:
        raise ModelError(f"{nodes}^{firms} states: above {MAX_HERMITE_FIRMS} firms use drawn_shocks")
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    standard = np.array(list(product(points, repeat=firms)))
    weight = np.array(list(product(weights / weights.sum(), repeat=firms))).prod(1)
    return Shocks(_correlated(jnp.asarray(standard), parameters), jnp.asarray(weight))


def drawn_shocks(parameters: Parameters, firms: int, states: int, *, key: Key[Array, ""]) -> Shocks:
    """Random states with the means, variances and covariances of the shocks, and no skewness, exactly.

    Each firm's shocks are one symmetric set of numbers with the moments of a normal variable up to the seventh, in
    random order, then made orthogonal to those of the firms before it. Moments are thus most exact for the first
    firms: put the largest first. The draws of a firm do not depend on how many come after it.

    **Raises:** `ModelError` unless there is an even number of states, 32 and two for each firm at least.
    """
    if states % 2 or states < max(MIN_STATES, 2 * firms):
        raise ModelError(f"states must be even, at least {MIN_STATES} and twice the {firms} firms, found {states}")
    half = states // 2
    order_key, sign_key = jax.random.split(key)
    order = jnp.argsort(_by_column(partial(jax.random.uniform, shape=(half,)), order_key, firms), axis=0)
    sign = _by_column(partial(jax.random.rademacher, shape=(half,)), sign_key, firms)
    basis, triangle = jnp.linalg.qr(sign * jnp.asarray(_normal_scores(half))[order])
    standard = basis * jnp.sign(jnp.diagonal(triangle)) * jnp.sqrt(half)
    return Shocks(_correlated(jnp.concatenate([standard, -standard]), parameters), jnp.full(states, 1 / states))


@cache
def _normal_scores(count: int) -> np.ndarray:
    """Positive numbers whose mean second, fourth and sixth powers are those of a standard normal variable.

    Quantiles of its absolute value, stretched by an odd polynomial.
    """
    quantile = stats.norm.ppf((1 + (np.arange(count) + 0.5) / count) / 2)
    powers = quantile[:, None] ** np.array([1, 3, 5])

    def error(coefficient):
        return [np.mean((powers @ coefficient) ** p) / moment - 1 for p, moment in ((2, 1), (4, 3), (6, 15))]

    return powers @ optimize.root(error, [1.0, 0.0, 0.0], tol=1e-12).x


def stratified(key: Key[Array, ""], draws: int, columns: int) -> Float[Array, "draws columns"]:
    """Uniform numbers above 0 and below 1; each column has one in every interval of length 1/draws."""

    def column(key):
        order_key, place_key = jax.random.split(key)
        place = jax.random.uniform(place_key, (draws,), minval=1e-12)
        return (jax.random.permutation(order_key, draws) + place) / draws

    return _by_column(column, key, columns)


def _by_column(draw, key, columns: int):
    """Columns drawn one by one, each with a key of its own: more columns leave the first as they are."""
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(columns))
    return jax.vmap(draw, out_axes=1)(keys)


def _correlated(standard, parameters: Parameters):
    """Shocks with variance varS + varN and covariance varS between firms: the symmetric square root, as firms are."""
    firms = standard.shape[1]
    own = jnp.sqrt(parameters.firm_variance)
    common = (jnp.sqrt(parameters.firm_variance + firms * parameters.sector_variance) - own) / firms
    return own * standard + common * standard.sum(1, keepdims=True)
