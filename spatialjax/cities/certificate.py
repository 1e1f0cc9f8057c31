"""A certificate of optimality: the planner's first-order conditions, checked directly (spec section 7).

A policy is optimal only if no small change of it raises the welfare of all occupations: the gradients of
welfare in the instruments, weighted by some positive weights, must add up to zero.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import nnls

from spatialjax.cities.checks import refuse_unless_planned_for
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.income import IncomeRule
from spatialjax.cities.market_clearing import System, clear_markets, excess, localise
from spatialjax.cities.policies import Transfers, net_transfer
from spatialjax.cities.state import State
from spatialjax.numerics.implicit import LinearisedRoot
from spatialjax.numerics.packing import pack, unpack
from spatialjax.typing import ByOccupation, CityOccupation

CERTIFIED = 1e-6
"""Largest residual of the first-order conditions at which a policy is called an optimum."""
CURVATURE_TOLERANCE = 1e-8
"""Of responses of the equilibrium along directions, relative: curvature is read for its sign."""


class Certificate(NamedTuple):
    """First-order conditions of a policy, and the sign of curvature.

    - `residual`: the smallest |sum_k phi[k] g[k]| / sum_k |phi[k] g[k]| over weights phi > 0, with g[k] the gradient of
      occupation k's welfare in the instruments; zero at an optimum. With one occupation, |g| over the norm of
      the direct effect of transfers on welfare.
    - `weights`: those phi, summing to one: the planner's marginal values of welfare.
    - `cosine`: largest cosine between an occupation's weighted gradient and the sum of the others'; -1 at an
      optimum (nan with one occupation).
    - `curvature`: second derivative of log weighted welfare along directions that leave the welfare of every
      occupation as it is to first order, per squared step of one percent of income; negative at a maximum. A few
      directions only: a sign, not a proof.
    - `gradient`: g (occupation, city, occupation paid), or (occupation, instrument) for restricted instruments, in
      units of welfare per dollar a year.
    """

    residual: float
    weights: np.ndarray
    cosine: float
    curvature: np.ndarray
    gradient: np.ndarray

    @property
    def first_order(self) -> bool:
        """Whether the first-order conditions hold."""
        return bool(self.residual < CERTIFIED)

    @property
    def concave(self) -> bool:
        """Whether curvature is negative in every direction tried."""
        return bool((self.curvature < 0).all())


def certify(economy: Economy, equilibrium: Equilibrium) -> Certificate:
    """Certificate of an equilibrium's transfers among all budget-balanced transfers by city and occupation.

    One adjoint an occupation for the gradients, one linear solve a direction for curvature.
    """
    refuse_unless_planned_for(economy, "a certificate")
    transfer = net_transfer(equilibrium)
    rule, state = Transfers(transfer), equilibrium.state()
    derivatives = welfare_gradients(economy, state, rule)
    gradient = np.asarray(derivatives.gradient.transfer)
    flat = gradient.reshape(gradient.shape[0], -1)
    direct = np.asarray(_direct_effect(equilibrium)) if gradient.shape[0] == 1 else None
    residual, weights, cosine = first_order_conditions(flat, direct)
    directions = Transfers(jnp.asarray(_directions(equilibrium, transfer, flat)))
    curvature = welfare_curvature(economy, state, rule, jnp.asarray(weights), derivatives.multipliers, directions)
    return Certificate(residual, weights, cosine, np.asarray(curvature), gradient)


class WelfareGradients(NamedTuple):
    """Derivatives of welfare in the parameters of an income rule, at an equilibrium under it.

    - `welfare`: of each occupation, with what is left of the equilibrium's residual corrected for to first order.
    - `gradient`: the rule with derivatives of each occupation's welfare in the place of every floating-point array;
      `direct`: the part of them at given wages, prices and employment. Both have welfare's occupation as first axis.
    - `multipliers`: of the equilibrium's equations, for each occupation's welfare.
    """

    welfare: ByOccupation
    gradient: Any
    direct: Any
    multipliers: Float[Array, "welfare_of place variable"]


@eqx.filter_jit
def welfare_gradients(economy: Economy, state: State, rule: IncomeRule) -> WelfareGradients:
    """Gradients of each occupation's welfare in all parameters of an income rule: one adjoint an occupation."""
    parameters, fixed = eqx.partition(rule, eqx.is_inexact_array)
    packed = pack(state)

    def outcomes(packed, parameters):
        at = unpack(packed, state)
        return _welfare_and_residual(economy, at, eqx.combine(parameters, fixed))

    (welfare, residual), pull = jax.vjp(outcomes, packed, parameters)
    linearised = LinearisedRoot(excess, localise, state, _system(economy, rule))

    def of_one(unit: ByOccupation):
        in_state, direct = pull((unit, jnp.zeros_like(packed)))
        multipliers = linearised.adjoint(in_state)
        _, gradient = pull((unit, multipliers))
        return gradient, direct, multipliers

    gradient, direct, multipliers = jax.vmap(of_one)(jnp.eye(welfare.size, dtype=welfare.dtype))
    return WelfareGradients(welfare + (multipliers * residual).sum((1, 2)), gradient, direct, multipliers)


@eqx.filter_jit
def welfare_curvature(
    economy: Economy,
    state: State,
    rule: IncomeRule,
    weights: ByOccupation,
    multipliers: Float[Array, "welfare_of place variable"],
    directions: IncomeRule,
) -> Float[Array, " direction"]:
    """Second derivatives of log weighted welfare along directions of an income rule's parameters.

    Along the equilibrium's response, the second derivative of welfare is that of welfare plus the equilibrium's
    equations at their multipliers: no second-order response is needed. `directions` is the rule with directions,
    along a first axis, in the place of its floating-point arrays.
    """
    parameters, fixed = eqx.partition(rule, eqx.is_inexact_array)
    linearised = LinearisedRoot(excess, localise, state, _system(economy, rule))
    weighted = jnp.tensordot(weights, multipliers, 1)
    packed = pack(state)

    def outcomes(packed, parameters):
        return _welfare_and_residual(economy, unpack(packed, state), eqx.combine(parameters, fixed))

    def along(direction):
        _, forcing = jax.jvp(lambda p: outcomes(packed, p)[1], (parameters,), (direction,))
        response = linearised.tangent(forcing, CURVATURE_TOLERANCE)

        def lagrangian(size):
            moved = jax.tree.map(lambda at, step: at + size * step, parameters, direction)
            welfare, residual = outcomes(packed + size * response, moved)
            return weights @ welfare + (weighted * residual).sum()

        return jax.jvp(lambda size: jax.jvp(lagrangian, (size,), (1.0,))[1], (0.0,), (1.0,))[1]

    return jax.vmap(along)(eqx.filter(directions, eqx.is_inexact_array)) / (weights @ outcomes(packed, parameters)[0])


def _system(economy: Economy, rule: IncomeRule) -> System:
    return System.of(economy, rule)


def _welfare_and_residual(economy: Economy, state: State, rule: IncomeRule):
    """Welfare by occupation and the packed residual at a state, in equilibrium or not."""
    system = _system(economy, rule)
    markets = clear_markets(state, system)
    welfare = economy.preferences.welfare(markets.attraction, economy.location_elasticity)
    return welfare, pack(excess(state, system))


def first_order_conditions(gradient: np.ndarray, direct: np.ndarray | None = None) -> tuple[float, np.ndarray, float]:
    """Residual, weights and cosine of a certificate, from gradients.

    `direct` is the scale of the gradient where there is one occupation only.
    """
    length = np.linalg.norm(gradient, axis=1)
    if gradient.shape[0] == 1:
        scale = 1.0 if direct is None else float(np.linalg.norm(direct))
        return float(length[0] / scale), np.ones(1), float("nan")
    if not np.isfinite(length).all() or (length == 0).any():
        return float("nan"), np.full(length.size, np.nan), float("nan")
    unit = gradient / length[:, None]
    share = _nearest_to_zero(unit)
    residual = float(np.linalg.norm(share @ unit))
    weights = share / length
    return residual, weights / weights.sum(), largest_cosine(share[:, None] * unit)


def largest_cosine(weighted: np.ndarray) -> float:
    """Largest cosine between a weighted gradient and the sum of the others; nan where there are no others."""
    weighted = weighted[np.linalg.norm(weighted, axis=1) > 0]
    if weighted.shape[0] < 2:
        return float("nan")
    others = weighted.sum(0) - weighted
    norms = np.linalg.norm(weighted, axis=1) * np.linalg.norm(others, axis=1)
    return float(np.divide((weighted * others).sum(1), norms, out=np.ones_like(norms), where=norms > 0).max())


def _nearest_to_zero(unit: np.ndarray) -> np.ndarray:
    """Shares of the point nearest to zero in the convex hull of unit vectors: non-negative least squares."""
    if unit.shape[0] == 2:  # by symmetry, without rounding
        return np.full(2, 0.5)
    heavy = 1e3
    shares, _ = nnls(np.vstack([unit.T, np.full((1, unit.shape[0]), heavy)]), np.append(np.zeros(unit.shape[1]), heavy))
    shares = shares / shares.sum()
    return _polish(unit, shares)


def _polish(unit: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The least-squares solution on the support of `shares`, without the penalty's error."""
    support = shares > 0
    vectors = unit[support]
    gram = vectors @ vectors.T
    ones = np.ones(gram.shape[0])
    basis = np.linalg.svd(ones[None])[2][1:].T  # shares sum to one: move only along these
    start = ones / ones.size
    step = np.linalg.lstsq(vectors.T @ basis, -(start @ vectors), rcond=None)[0]
    polished = start + basis @ step
    if (polished < 0).any():
        return shares
    result = np.zeros_like(shares)
    result[support] = polished
    return result


def _direct_effect(equilibrium: Equilibrium):
    """Effect of transfers on welfare at given prices: s / P, by the envelope theorem."""
    return equilibrium.employment / equilibrium.employment.sum() * equilibrium.welfare / equilibrium.income


def _directions(equilibrium: Equilibrium, transfer: CityOccupation, gradient: np.ndarray) -> np.ndarray:
    """Directions of curvature, one percent of income in size: more policy, larger cities, more sorting, noise.

    They are made orthogonal to the gradients, so that no occupation gains or loses to first order.
    """
    employment, income = np.asarray(equilibrium.employment), np.asarray(equilibrium.income)
    size = employment.sum(1, keepdims=True)
    share = np.divide(employment, size, out=np.zeros_like(employment), where=size > 0)
    noise = np.random.default_rng(0).standard_normal(employment.shape)
    log_size = np.broadcast_to(np.log(np.maximum(size, 1e-300)), share.shape)
    lives = employment > 0
    raw = [np.asarray(transfer), income * log_size, income * share, income * noise]
    basis = np.linalg.qr(np.vstack([gradient, employment.ravel()[None]]).T)[0]
    directions = []
    for direction in raw:
        flat = np.where(lives, direction, 0.0).ravel()
        flat = flat - basis @ (basis.T @ flat)
        flat = np.where(lives.ravel(), flat, 0.0)
        scale = np.sqrt((flat**2 * employment.ravel()).sum() / employment.sum())
        mean_income = (income * employment).sum() / employment.sum()
        if scale > 1e-9 * mean_income:
            directions.append((0.01 * mean_income / scale * flat).reshape(employment.shape))
    return np.stack(directions)
