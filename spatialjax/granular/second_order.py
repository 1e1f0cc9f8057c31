"""Output and wages of a sector to second order in productivity shocks, given the shares of its firms (KO 3).

Hats are log deviations from the allocation without shocks: `a` of productivity, u[n] of a firm's employment, U of
the sector's. A firm that takes account of its effect on wages (chi = 1; 0 under perfect competition) sets

    MRPL[n] = w[n] (1 + chi kappa/(1 + kappa) D (sig[n] - s[n])),

with s its share of the sector's labour before and sig after shocks, and D = 1/nu - 1/kappa. With labour supply
w[n] = u[n] / kappa + D U this gives u[n] = (a[n] - D (1 - chi s[n]) U) / (B + chi D s[n]), B = eta + 1/kappa.
Everything is written in d = nu D and T = U / nu, which stay finite where nu is zero and where kappa is infinite.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.granular.conduct import Conduct, internalised
from spatialjax.granular.parameters import Parameters

Shares = Float[Array, "*sector firm"]


class SectorMoments(NamedTuple):
    """What a sector adds to productivity, and what market power takes from wages.

    - `gain`: Phi less E[a], from labour that moves to firms with good shocks.
    - `psi`: Psi, the part of pay that market power withholds; zero or negative (KO Lemma 3).
    """

    gain: Float[Array, "*sector"]
    psi: Float[Array, "*sector"]


class Responses(NamedTuple):
    """How employment responds to shocks: T = sum_n weight[n] a[n], u[n] = slope[n] a[n] - pull[n] T.

    `spread` is 1/(nu B + d s[n]): of slope[n] = nu spread[n] under Cournot.
    """

    slope: Shares
    pull: Shares
    weight: Shares
    spread: Shares


def responses(shares: Shares, parameters: Parameters, chi: float) -> Responses:
    """Responses of a sector's firms, to first order. A share of zero is no firm."""
    b, d, nu = parameters.firm_slope, parameters.immobility, parameters.elasticity_across_sectors
    present = shares > 0
    own = jnp.where(present, nu * b + d * shares, 1.0)
    slope = (1 - chi * d * shares / own) / b
    pull = d * (1 - chi * shares) * slope
    # In units of 1/(nu B + chi d), so that neither nu = 0 nor a lone firm divides zero by zero.
    mobility = jnp.where(present, (nu * b + d) / (own + (1 - chi) * d * (1 - shares)), 0.0)
    total = nu * b + chi * d + d * (shares * (1 - chi * shares) * mobility).sum(-1, keepdims=True)
    return Responses(slope, pull, shares * mobility / total, jnp.where(present, 1 / own, 0.0))


def sector_moments(shares: Shares, parameters: Parameters, conduct: Conduct = "competitive") -> SectorMoments:
    """Second-order moments of sectors with given shares (KO Lemmas 1 to 3).

    Closed form in the variances of shocks. `shares` sum to one over the last axis; zeros are no firms.

    **Raises:** `ModelError` for an unknown conduct.
    """
    return moments_at(shares, parameters, internalised(conduct))


def moments_at(shares: Shares, parameters: Parameters, chi: float) -> SectorMoments:
    """[`sector_moments`][] for chi of zero (price takers) or one (Cournot)."""
    common, own = parameters.sector_variance, parameters.firm_variance
    nu, d, eta = parameters.elasticity_across_sectors, parameters.immobility, parameters.profit_share
    slope, pull, weight, spread = responses(shares, parameters, chi)
    total = weight.sum(-1, keepdims=True)
    with_t = common * total + own * weight  # E[a[n] T]
    t_squared = common * total**2 + own * (weight**2).sum(-1, keepdims=True)
    with_own = slope * (common + own) - pull * with_t  # E[a[n] u[n]]
    squared = slope**2 * (common + own) - 2 * slope * pull * with_t + pull**2 * t_squared
    gain = (1 - eta) * (
        (shares * (with_own - parameters.firm_slope / 2 * squared)).sum(-1) - d * nu / 2 * t_squared[..., 0]
    )
    # y = (u - U) / nu = spread (a - (1 - s) d T) - T
    on_t = 1 + spread * (1 - shares) * d
    apart = spread**2 * (common + own) - 2 * spread * on_t * with_t + on_t**2 * t_squared
    psi = -chi * d * nu * (shares**2 * apart).sum(-1)
    return SectorMoments(gain, psi)


def competitive_gain(herfindahl, parameters: Parameters):
    """Phi less E[a] under perfect competition: half the covariance of KO 3.2, which only the Herfindahl index moves."""
    eta, nu = parameters.profit_share, parameters.elasticity_across_sectors
    between = nu / (1 + eta * nu)  # 1 / (eta + 1/nu)
    held_back = parameters.immobility / (1 + eta * nu)  # D / (eta + 1/nu)
    covariance = (
        between * parameters.sector_variance
        + (1 - held_back * herfindahl) / (parameters.firm_slope) * parameters.firm_variance
    )
    return (1 - eta) / 2 * covariance
