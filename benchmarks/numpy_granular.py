"""The granular economy in plain NumPy, as replication code has it: a loop over sectors, a loop over places.

Shares no code with the library.
"""

from time import perf_counter
from typing import NamedTuple

import numpy as np
from scipy.integrate import quad
from scipy.optimize import root
from scipy.special import gamma, gammaincc

KAPPA, NU, ETA, LAMBDA = 2.48, 1.46, 0.13, 10.5
SECTOR, FIRM = 0.002, 0.14
D, B, A = 1 / NU - 1 / KAPPA, ETA + 1 / KAPPA, LAMBDA * ETA


class Moments(NamedTuple):
    """Means over sectors of what they add to Phi, and of Psi; sectors drawn and seconds taken."""

    gain: float
    psi: float
    sectors: int
    seconds: float


def simulate(m: float, sectors: int, seed: int = 0) -> Moments:
    """Second-order Cournot moments by size-biased simulation, sector by sector."""
    rng = np.random.default_rng(seed)
    began = perf_counter()
    gain = psi = 0.0
    for _ in range(sectors):
        others = rng.poisson(m)
        size = np.append(rng.random() ** (-1 / (A - 1)), rng.random(others) ** (-1 / A))
        sector_gain, sector_psi = sector_moments(size / size.sum())
        gain += sector_gain
        psi += sector_psi
    return Moments(gain / sectors, psi / sectors, sectors, perf_counter() - began)


def sector_moments(s: np.ndarray) -> tuple[float, float]:
    """Phi - E[a] and Psi of one sector under Cournot conduct, from the covariances of its firms' responses."""
    slope = 1 / (B + D * s)
    weight = s * slope / (1 + (s * D * (1 - s) * slope).sum())
    responses = np.diag(slope) - np.outer(D * (1 - s) * slope, weight)
    shocks = SECTOR + FIRM * np.eye(s.size)
    own = np.einsum("nm,nm->n", responses, shocks)
    squared = np.einsum("nm,mk,nk->n", responses, shocks, responses)
    sector = weight @ shocks @ weight
    apart = responses - weight
    spread = np.einsum("nm,mk,nk->n", apart, shocks, apart)
    gain = (1 - ETA) * (s @ (own - B / 2 * squared) - D / 2 * sector)
    return float(gain), float(-D * (s**2 @ spread))


def herfindahl(m: np.ndarray) -> np.ndarray:
    """H(m) by adaptive quadrature, place by place."""

    def integrand(log_t: float, rate: float) -> float:
        t = np.exp(log_t)
        second = A * t ** (A - 2) * gamma(2 - A) * gammaincc(2 - A, t)
        # E_(a+1)(t) from Gamma(2 - a, t) by the recursion of exponential integrals
        below = t ** (A - 2) * gamma(2 - A) * gammaincc(2 - A, t)
        middle = (np.exp(-t) - t * below) / (A - 1)
        transform = np.exp(-t) - t * middle
        return second * np.exp(-rate * (1 - transform)) * t

    scale = (A - 1) / A
    return np.array([scale * quad(integrand, -60, 4.5, args=(rate,), limit=400, epsabs=1e-10)[0] for rate in m])


def play(shares: np.ndarray, log_shocks: np.ndarray, weights: np.ndarray, tolerance: float = 1e-8) -> float:
    """One Cournot game of the exact economy by damped iteration: labour, per unit of size.

    `log_shocks` (state, firm). Within a state, employment solves the firms' conditions given their labour and
    multipliers, by scipy; around it, labour moves until workers are indifferent between firms.
    """
    labour, multiplier = shares.copy(), np.ones(shares.size)
    for _ in range(500):
        s = labour / labour.sum()
        pay, square = np.zeros(s.size), np.zeros(s.size)
        for shocks, weight in zip(log_shocks, weights, strict=True):
            u, wage, sector = _state(s, labour, shares, shocks, multiplier)
            pay += weight * wage * u
            square += weight * sector ** (1 + 1 / NU) * (u / sector) ** (2 + 2 / KAPPA)
        h = (KAPPA + square) / (1 + KAPPA)
        before = multiplier
        multiplier = (1 + KAPPA) * (1 / KAPPA + D * s * h) / ((1 + KAPPA) / KAPPA + D * s * (KAPPA + h))
        if max(np.abs(np.log(pay)).max(), np.abs(multiplier - before).max()) < tolerance:
            return float(labour.sum())
        labour = labour * pay**2.5
    raise RuntimeError("workers are not indifferent between firms")


def _state(s, labour, shares, shocks, multiplier):
    """Employment ratios, wages and the sector's ratio in one state, by a root finder."""

    def conditions(log_u):
        u = np.exp(log_u)
        sector = (s @ u ** (1 + 1 / KAPPA)) ** (KAPPA / (1 + KAPPA))
        share = s * (u / sector) ** (1 + 1 / KAPPA)
        log_wage = log_u / KAPPA + D * np.log(sector)
        markup = 1 + 1 / KAPPA + D * share
        markup -= multiplier * (D * KAPPA / (1 + KAPPA) * s + 1 / KAPPA + D * share / (1 + KAPPA))
        log_product = np.log(1 - ETA) + ETA * np.log(shares) + shocks - ETA * (np.log(labour) + log_u)
        return log_product - log_wage - np.log(np.maximum(markup, 1e-3))

    common = shocks @ s
    start = common / (ETA + 1 / NU) + (shocks - common) / B
    start = start - np.log(labour.sum()) * ETA / (ETA + 1 / NU)
    for method in ("hybr", "lm", "df-sane"):  # each gets stuck in some states
        log_u = root(conditions, start, method=method).x
        if np.abs(conditions(log_u)).max() < 1e-6:
            break
    else:
        raise RuntimeError("a state was not solved")
    u = np.exp(log_u)
    sector = (s @ u ** (1 + 1 / KAPPA)) ** (KAPPA / (1 + KAPPA))
    return u, u ** (1 / KAPPA) * sector**D, sector
