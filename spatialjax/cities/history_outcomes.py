"""Outcomes that a decomposition follows unless told otherwise: welfare, and where one of two occupations works."""

from collections.abc import Callable, Mapping
from functools import partial

import jax.numpy as jnp
from jax.typing import ArrayLike

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.preferences import AdditiveAmenities
from spatialjax.numerics.safe_math import masked_log
from spatialjax.typing import ByCity, Scalar

Outcome = Callable[[Economy, Equilibrium], ArrayLike]
Positions = tuple[int, int]
"""Of the occupation whose share is told, and of the one that it is compared with."""


def log_welfare(economy: Economy, equilibrium: Equilibrium) -> ArrayLike:
    """Log expected utility by occupation; with additive amenities expected utility over their unit, log points too."""
    if isinstance(economy.preferences, AdditiveAmenities):
        return equilibrium.welfare / economy.preferences.unit
    return jnp.log(equilibrium.welfare)


def log_welfare_ratio(economy: Economy, equilibrium: Equilibrium, pair: Positions = (0, 1)) -> ArrayLike:
    """Log welfare of one occupation over that of another (CH Table 3, last column, in logs)."""
    log = jnp.asarray(log_welfare(economy, equilibrium))
    return log[pair[0]] - log[pair[1]]


def national_share(economy: Economy, equilibrium: Equilibrium, pair: Positions = (0, 1)) -> ArrayLike:
    """Share of the occupation in national employment."""
    return equilibrium.employment[:, pair[0]].sum() / equilibrium.employment.sum()


def share_dispersion(economy: Economy, equilibrium: Equilibrium, pair: Positions = (0, 1)) -> ArrayLike:
    """Standard deviation over workers of the occupation's share in their city (the spread of CH Figure 18)."""
    size, share = _size_and_share(equilibrium, pair)
    mean = (size * share).sum() / size.sum()
    return jnp.sqrt((size * (share - mean) ** 2).sum() / size.sum())


def share_with_size(economy: Economy, equilibrium: Equilibrium, pair: Positions = (0, 1)) -> ArrayLike:
    """Correlation over cities of log employment with the occupation's share (CH section 2: 0.57 in 2011-15)."""
    size, share = _size_and_share(equilibrium, pair)
    return _correlation(jnp.log(size), share, size > 0)


def premium_with_size(economy: Economy, equilibrium: Equilibrium, pair: Positions = (0, 1)) -> ArrayLike:
    """Slope over cities of the log wage of one occupation over another's in log employment (CH Table 1)."""
    size, _ = _size_and_share(equilibrium, pair)
    both = (equilibrium.employment[:, list(pair)] > 0).all(1)
    log_wage = masked_log(equilibrium.wage)
    return _slope(jnp.log(size), log_wage[:, pair[0]] - log_wage[:, pair[1]], both)


def default_outcomes(pair: Positions | None) -> Mapping[str, Outcome]:
    """Welfare, and what tells of two occupations: the share of the first, and the first against the second.

    `pair`: their positions; None where there is one occupation.
    """
    if pair is None:
        return {"log_welfare": log_welfare}
    of_two = (log_welfare_ratio, national_share, share_dispersion, share_with_size, premium_with_size)
    return {"log_welfare": log_welfare, **{outcome.__name__: partial(outcome, pair=pair) for outcome in of_two}}


def _size_and_share(equilibrium: Equilibrium, pair: Positions) -> tuple[ByCity, ByCity]:
    size = equilibrium.employment.sum(1)
    return size, equilibrium.employment[:, pair[0]] / jnp.where(size > 0, size, 1.0)


def _moments(x: ByCity, y: ByCity, known: ByCity) -> tuple[Scalar, Scalar, Scalar]:
    """Sums of squares and products of deviations over the cities that are known."""
    count = known.sum()
    dx, dy = (jnp.where(known, z - jnp.where(known, z, 0.0).sum() / count, 0.0) for z in (x, y))
    return (dx * dx).sum(), (dx * dy).sum(), (dy * dy).sum()


def _correlation(x: ByCity, y: ByCity, known: ByCity) -> Scalar:
    xx, xy, yy = _moments(x, y, known)
    return xy / jnp.sqrt(xx * yy)


def _slope(x: ByCity, y: ByCity, known: ByCity) -> Scalar:
    xx, xy, _ = _moments(x, y, known)
    return xy / xx
