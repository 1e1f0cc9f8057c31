"""The game that the firms of one sector play, solved without approximation.

**Primitives** (KO 3.1). Firm n has ex-ante size q[n], here the share of it in its sector, and makes
q[n]^eta a[n] l[n]^(1-eta) from labour l[n]. Workers choose L[n] before shocks are known, l[n] after; s[n] is the share
of L[n] in its sector's L. It equals q[n] without shocks only: L[n] responds to risk. With u[n] = l[n]/L[n] and
U^((1+kappa)/kappa) = sum s u^((1+kappa)/kappa), what the representative worker can do is int L U^(1+1/nu) = 1. Her
conditions, with w_i = 1, are w[n] = u[n]^(1/kappa) U^D with D = 1/nu - 1/kappa, and for L[n], as the derivative of
L U^(1+1/nu) is the same at every firm,

    E[(kappa-nu)/(1+kappa) U^(1+1/nu) + (1+nu)/(1+kappa) U^D u[n]^((1+kappa)/kappa)] = 1.

**In terms of relative intensity.** Let rho[n] = (u[n]/U)^(1+1/kappa), so that sum s rho = 1, and P = U^(1+1/nu). Then
w[n] u[n] = P rho[n]. The condition for L[n] weighted by s sums to E[P] = 1; hence, for every n,

    E[P rho[n]] = E[w[n] u[n]] = 1:

firms must pay the same per unit of L. Feasibility follows, and the wage bill of the sector is its L.

**Firms.** A Cournot firm chooses l[n] by state and L[n], subject to the worker's condition for L[n], the l and L of its
rivals given. With sig[n] = s[n] rho[n] its conditions are (1-eta) q^eta a l^(-eta) = w (alpha + beta sig) in every
state, where

    alpha = 1 + 1/kappa - mu (1/kappa + D kappa s/(1+kappa)),   beta = D (1 - mu/(1+kappa)),

and, the condition for L[n] once E[P] = E[P rho] = 1 is used, with h = (kappa + E[P rho^2])/(1+kappa),

    mu = (1+kappa) (1/kappa + D s h) / ((1+kappa)/kappa + D s (kappa + h)).

Without shocks mu = 1, and a lone firm always has mu = 1 and alpha + beta = 1. A competitive firm has alpha = 1 and
beta = 0. As y (1-eta) = w l (alpha + beta sig), sector output is sum L (alpha + beta s E[P rho^2])/(1-eta).

**Solution.** Within a state the unknowns are r[n] = log rho[n] and X = log U:

    b r[n] + log(alpha + beta s rho[n]) + (eta + 1/nu) X = log((1-eta) a[n] (q[n]/L[n])^eta),   sum s rho = 1,

with b = (eta + 1/kappa)/(1 + 1/kappa). Each is increasing in r[n] and X is common: Newton steps cost a few operations
per firm. A step of every state is followed by a step of log L[n] that would be exact without shocks; mu is explicit.
Size does not enter other than as log L/q, so that a firm without size (padding) is the limit of a small firm.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from spatialjax.errors import ModelError, PrecisionError
from spatialjax.granular.conduct import Conduct, internalised
from spatialjax.granular.game_shocks import Shocks
from spatialjax.granular.parameters import Parameters, check_parameters
from spatialjax.typing import Scalar

TOLERANCE = 1e-10
MAX_STEPS = 200
LONGEST_STEP = 2.0
"""Of a logarithm, in one step."""
RESTART = 0.05
"""Value of alpha + beta sig from which a firm continues after a step has made it negative."""


class SectorGame(NamedTuple):
    """The solution of the game in one sector whose firms have size one together, at w_i = 1.

    - `employment`: L[n], which workers choose before shocks; zero where there is no firm.
    - `multiplier`: mu[n], a firm's gain from attracting L[n] per unit of the wage bill; 1 without shocks, and not used
      under perfect competition.
    - `log_ratio`: log u[n] = log l[n]/L[n] in each state, where there is no firm that of a vanishing one;
      `sector_log_ratio`: log U.
    - `output`, `labour`: expected output of the sector, and L = sum L[n], which is also the wage bill.
    - `residual`: largest error of any condition, in logs, over states and firms; `converged`: below the tolerance.
    """

    employment: Float[Array, " firm"]
    multiplier: Float[Array, " firm"]
    log_ratio: Float[Array, "state firm"]
    sector_log_ratio: Float[Array, " state"]
    output: Scalar
    labour: Scalar
    residual: Scalar
    converged: Bool[Array, ""]
    steps: Int[Array, ""]


class _Sector(NamedTuple):
    """What a game is played with, and the constants of the equations above."""

    shares: Float[Array, " firm"]
    log_shock: Float[Array, "state firm"]
    weight: Float[Array, " state"]
    market_power: Scalar
    kappa: Scalar
    nu: Scalar
    eta: Scalar

    @property
    def immobility(self):
        """D."""
        return 1 / self.nu - 1 / self.kappa

    @property
    def firm_slope(self):
        """Slope b of the firm's condition in log rho."""
        return (self.eta + 1 / self.kappa) / (1 + 1 / self.kappa)

    @property
    def sector_slope(self):
        """Slope eta + 1/nu of the firm's condition in log U."""
        return self.eta + 1 / self.nu


class _Point(NamedTuple):
    """A trial solution (the first three) and its errors.

    - `log_relative`: r[n]; `sector_log_ratio`: X; `log_employment`: log L[n]/q[n].
    - `square`: E[P rho^2]; `elasticity`: of alpha + beta sig to rho.
    - `firm_error`, `supply_error`: of the firms' conditions and of sum s rho = 1; `pay_error`: log E[P rho].
    """

    log_relative: Float[Array, "state firm"]
    sector_log_ratio: Float[Array, " state"]
    log_employment: Float[Array, " firm"]
    square: Float[Array, " firm"]
    elasticity: Float[Array, "state firm"]
    firm_error: Float[Array, "state firm"]
    supply_error: Float[Array, " state"]
    pay_error: Float[Array, " firm"]
    residual: Scalar


def solve_game(
    shares: Float[Array, " firm"],
    parameters: Parameters,
    conduct: Conduct,
    *,
    shocks: Shocks,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> SectorGame:
    """Solve the game of one sector; `jax.vmap` solves many.

    **Arguments:**

    - `shares`: ex-ante sizes q[n] over their sum; zero where there is no firm.
    - `conduct`: "competitive" or "cournot".
    - `shocks`: of `hermite_shocks` for up to three firms, of `drawn_shocks` above.
    - `tolerance`: on the largest error of a condition, in logs.

    **Returns:** a `SectorGame`. Nothing is raised if there is no solution: look at its `converged`.

    **Raises:** `ModelError` for parameters or a conduct that are none; `PrecisionError` in single precision.
    """
    sector = _sector(jnp.asarray(shares), parameters, conduct, shocks)

    def unfinished(search):
        point, steps = search
        return (point.residual >= tolerance) & (steps < max_steps)

    def step(search):
        point, steps = search
        return _step(point, sector), steps + 1

    point, steps = jax.lax.while_loop(unfinished, step, (_start(sector), jnp.zeros((), int)))
    return _solution(point, sector, tolerance, steps)


def _sector(shares, parameters: Parameters, conduct: Conduct, shocks: Shocks) -> _Sector:
    check_game(parameters, conduct)
    if shares.dtype != jnp.float64:
        raise PrecisionError('the game needs double precision: call jax.config.update("jax_enable_x64", True) first')
    return _Sector(
        shares,
        *shocks,
        jnp.asarray(internalised(conduct)),
        parameters.elasticity_across_firms,
        parameters.elasticity_across_sectors,
        parameters.profit_share,
    )


def check_game(parameters: Parameters, conduct: Conduct) -> None:
    """Refuse what the game cannot be played with.

    **Raises:** `ModelError`.
    """
    with jax.ensure_compile_time_eval():
        check_parameters(parameters)
    internalised(conduct)
    kappa, nu = parameters.elasticity_across_firms, parameters.elasticity_across_sectors
    if any(isinstance(x, jax.core.Tracer) for x in (kappa, nu)):
        return
    if not (np.all(np.isfinite(kappa)) and np.all(np.asarray(nu) > 0)):
        raise ModelError(
            "the exact game needs a finite elasticity_across_firms and a positive elasticity_across_sectors, found "
            f"{kappa} and {nu}: use values near the limit, or the second-order solution, which takes the limit"
        )


def _start(sector: _Sector) -> _Point:
    """No response to shocks."""
    no_shock = jnp.full_like(sector.shares, jnp.log1p(-sector.eta) / sector.eta)
    return _evaluate(jnp.zeros_like(sector.log_shock), jnp.zeros_like(sector.weight), no_shock, sector)


def _step(point: _Point, sector: _Sector) -> _Point:
    """A Newton step of every state, then one of employment with the states' response to it."""
    log_relative, sector_log_ratio = _step_states(point, sector)
    _, pay, _ = _moments(log_relative, sector_log_ratio, sector)
    s = _employment_shares(point.log_employment, sector)
    pay_error = jnp.clip(jnp.log(pay), -LONGEST_STEP, LONGEST_STEP)
    mean = (s * pay_error).sum()
    own, common = mean - pay_error, -mean / (1 + 1 / sector.nu)
    log_employment = point.log_employment + _employment_step(own, common, s, sector)
    return _evaluate(log_relative + own, sector_log_ratio + common, log_employment, sector)


def _step_states(point: _Point, sector: _Sector):
    """Newton's step within each state, the firms' first eliminated.

    Where alpha is negative rho has a lower bound, at which alpha + beta sig is zero and its elasticity infinite: no
    step takes this sum below a tenth of what it was.
    """
    s = _employment_shares(point.log_employment, sector)
    stiffness = sector.firm_slope + point.elasticity
    weight = s * jnp.exp(point.log_relative)
    weight = weight / weight.sum(1, keepdims=True)
    excess = point.supply_error - (weight * point.firm_error / stiffness).sum(1)
    rise = excess / (sector.sector_slope * (weight / stiffness).sum(1))
    rise = jnp.clip(rise, -LONGEST_STEP, LONGEST_STEP)
    change = -(point.firm_error + sector.sector_slope * rise[:, None]) / stiffness
    change = jnp.clip(change, -jnp.minimum(LONGEST_STEP, 0.9 / point.elasticity), LONGEST_STEP)
    return point.log_relative + change, point.sector_log_ratio + rise


def _employment_step(own, common, s, sector: _Sector):
    """The change of log L that, without shocks, would change log rho by `own` and log U by `common`."""
    stiffness = sector.eta + 1 / sector.kappa + sector.market_power * sector.immobility * s
    return -(stiffness * own / (1 + 1 / sector.kappa) + sector.sector_slope * common) / sector.eta


def _evaluate(log_relative, sector_log_ratio, log_employment, sector: _Sector) -> _Point:
    s = _employment_shares(log_employment, sector)
    relative, pay, square = _moments(log_relative, sector_log_ratio, sector)
    alpha, slope = _wage_schedule(s, square, sector)
    over_wage = alpha + slope * relative
    feasible = over_wage > 0
    over_wage = jnp.where(feasible, over_wage, RESTART)
    log_product = jnp.log1p(-sector.eta) + sector.log_shock - sector.eta * log_employment
    log_wage = sector.firm_slope * log_relative + sector.sector_slope * sector_log_ratio[:, None]
    firm_error = log_wage + jnp.log(over_wage) - log_product
    supply_error = jnp.log(relative @ s)
    errors = (firm_error, supply_error, jnp.log(pay))
    return _Point(
        log_relative,
        sector_log_ratio,
        log_employment,
        square,
        slope * relative / over_wage,
        *errors,
        jnp.where(feasible.all(), _largest_error(*errors, sector.shares > 0), jnp.inf),
    )


def _largest_error(firm_error, supply_error, pay_error, exists):
    largest = jnp.maximum(
        jnp.max(jnp.where(exists, jnp.abs(firm_error).max(0), 0)), jnp.max(jnp.where(exists, jnp.abs(pay_error), 0))
    )
    return jnp.maximum(largest, jnp.abs(supply_error).max())


def _employment_shares(log_employment, sector: _Sector):
    """Shares s of L."""
    size = sector.shares * jnp.exp(log_employment)
    return size / size.sum()


def _moments(log_relative, sector_log_ratio, sector: _Sector):
    """The relative intensities rho, E[P rho], and E[P rho^2] / E[P rho], whose denominator is 1 at the solution."""
    relative = jnp.exp(log_relative)
    price = sector.weight * jnp.exp((1 + 1 / sector.nu) * sector_log_ratio)
    pay = price @ relative
    return relative, pay, price @ relative**2 / pay


def _wage_schedule(s, square, sector: _Sector):
    """Alpha and beta s, the intercept and slope in rho of the marginal product over the wage."""
    kappa, immobility = sector.kappa, sector.immobility
    mu = _multiplier(s, square, sector)
    alpha = 1 / kappa - mu * (1 / kappa + immobility * kappa * s / (1 + kappa))
    beta = immobility * (1 - mu / (1 + kappa))
    return 1 + sector.market_power * alpha, sector.market_power * beta * s


def _multiplier(s, square, sector: _Sector):
    """The multiplier mu."""
    kappa, immobility = sector.kappa, sector.immobility
    h = (kappa + square) / (1 + kappa)
    return (1 + kappa) * (1 / kappa + immobility * s * h) / ((1 + kappa) / kappa + immobility * s * (kappa + h))


def _solution(point: _Point, sector: _Sector, tolerance, steps) -> SectorGame:
    s = _employment_shares(point.log_employment, sector)
    alpha, slope = _wage_schedule(s, point.square, sector)
    employment = sector.shares * jnp.exp(point.log_employment)
    return SectorGame(
        employment=employment,
        multiplier=_multiplier(s, point.square, sector),
        log_ratio=point.sector_log_ratio[:, None] + point.log_relative / (1 + 1 / sector.kappa),
        sector_log_ratio=point.sector_log_ratio,
        output=employment @ (alpha + slope * point.square) / (1 - sector.eta),
        labour=employment.sum(),
        residual=point.residual,
        converged=point.residual < tolerance,
        steps=steps,
    )
