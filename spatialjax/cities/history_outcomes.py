"""Outcomes that a decomposition follows unless told otherwise: welfare, and where the first occupation works."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jax.typing import ArrayLike

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.preferences import AdditiveAmenities
from spatialjax.numerics.safe_math import masked_log
from spatialjax.typing import ByCity, Scalar

Outcome = Callable[[Economy, Equilibrium], ArrayLike]


def log_welfare(economy: Economy, equilibrium: Equilibrium) -> ArrayLike:
    """Log expected utility by occupation; with additive amenities expected utility over their unit, log points too."""
    if isinstance(economy.preferences, AdditiveAmenities):
        return equilibrium.welfare / economy.preferences.unit
    return jnp.log(equilibrium.welfare)


def log_welfare_ratio(economy: Economy, equilibrium: Equilibrium) -> ArrayLike:
    """Log welfare of the first occupation over that of the second (CH Table 3, last column, in logs)."""
    log = jnp.asarray(log_welfare(economy, equilibrium))
    return log[0] - log[1]


def national_share(economy: Economy, equilibrium: Equilibrium) -> ArrayLike:
    """Share of the first occupation in national employment."""
    return equilibrium.employment[:, 0].sum() / equilibrium.employment.sum()


def share_dispersion(economy: Economy, equilibrium: Equilibrium) -> ArrayLike:
    """Standard deviation over workers of the first occupation's share in their city (the spread of CH Figure 18)."""
    size, share = _size_and_share(equilibrium)
    mean = (size * share).sum() / size.sum()
    return jnp.sqrt((size * (share - mean) ** 2).sum() / size.sum())


def share_with_size(economy: Economy, equilibrium: Equilibrium) -> ArrayLike:
    """Correlation over cities of log employment with the first occupation's share (CH section 2: 0.57 in 2011-15)."""
    size, share = _size_and_share(equilibrium)
    return _correlation(jnp.log(size), share, size > 0)


def premium_with_size(economy: Economy, equilibrium: Equilibrium) -> ArrayLike:
    """Slope over cities of the log wage of the first occupation over the second's in log employment (CH Table 1)."""
    size, _ = _size_and_share(equilibrium)
    both = (equilibrium.employment[:, :2] > 0).all(1)
    log_wage = masked_log(equilibrium.wage)
    return _slope(jnp.log(size), log_wage[:, 0] - log_wage[:, 1], both)


def default_outcomes(occupations: int) -> Mapping[str, Outcome]:
    """The outcomes that are defined for so many occupations."""
    if occupations == 1:
        return {"log_welfare": log_welfare}
    return {
        "log_welfare": log_welfare,
        "log_welfare_ratio": log_welfare_ratio,
        "national_share": national_share,
        "share_dispersion": share_dispersion,
        "share_with_size": share_with_size,
        "premium_with_size": premium_with_size,
    }


def _size_and_share(equilibrium: Equilibrium) -> tuple[ByCity, ByCity]:
    size = equilibrium.employment.sum(1)
    return size, equilibrium.employment[:, 0] / jnp.where(size > 0, size, 1.0)


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
