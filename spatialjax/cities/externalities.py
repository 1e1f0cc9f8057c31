"""Externalities at work: what spillovers do to productivity and amenities, and what that is worth."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.cities.economy import Economy
from spatialjax.errors import ModelError
from spatialjax.typing import CityOccupation, CityOccupationSector

ABSENT = 1e-100
"""Workers that a spillover sees where there are none: too few to count in any sum."""


def checked_shift(spillover, employment: CityOccupation, full: tuple[int, ...]) -> CityOccupationSector:
    """A spillover's shift of log productivity, its shape checked.

    Absent cells are shown as `ABSENT` workers, so that logarithms and their derivatives stay finite.
    """
    shift = jnp.asarray(spillover(shown_employment(employment)))
    if shift.ndim != 3 or any(s not in (1, f) for s, f in zip(shift.shape, full, strict=True)):
        raise ModelError(
            f"spillover {type(spillover).__name__} returned shape {shift.shape}; it must return a shift of log "
            f"productivity broadcastable to (city, occupation, sector) = {full}, for instance "
            "(city, occupation, 1) where sectors are alike"
        )
    return shift


def shown_employment(employment: CityOccupation) -> CityOccupation:
    """Employment as spillovers see it."""
    return jnp.where(employment > 0, employment, ABSENT)


def effective_amenity(economy: Economy, employment: CityOccupation) -> CityOccupation:
    """Amenities with the effect of the economy's amenity spillover; 0 where an occupation cannot live."""
    return economy.amenity * jnp.exp(checked_amenity_shift(economy.amenity_spillover, employment))


def checked_amenity_shift(spillover, employment: CityOccupation) -> CityOccupation:
    """A spillover's shift of log amenity (city, occupation), its shape checked; 0 where nobody lives."""
    shift = jnp.asarray(spillover(shown_employment(employment)))
    if shift.shape != employment.shape:
        raise ModelError(
            f"amenity spillover {type(spillover).__name__} returned shape {shift.shape}; it must return a shift of log "
            f"amenity by (city, occupation) = {employment.shape}"
        )
    return jnp.where(employment > 0, shift, 0.0)


def productivity_shift(economy: Economy, employment: CityOccupation) -> CityOccupationSector:
    """The shift of log productivity that the economy's spillover gives at this employment."""
    return checked_shift(economy.spillover, employment, economy.fundamental_productivity.shape)


def productivity_wedge(economy: Economy, employment: CityOccupation, wage_bill: CityOccupationSector) -> CityOccupation:
    """What one more worker adds to output through the productivity of others, dollars a year (CH Lemma 2).

    `wage_bill` is w[n, k] L[n, k, j].
    """

    def shift(employment):
        return jnp.broadcast_to(productivity_shift(economy, employment), wage_bill.shape)

    _, pull = jax.vjp(shift, employment)
    return jnp.where(employment > 0, pull(wage_bill)[0], 0.0)


def amenity_wedge(economy: Economy, employment: CityOccupation, spending: CityOccupation) -> CityOccupation:
    """What one more worker adds to the amenities of others, in dollars a year of their spending P C L."""
    _, pull = jax.vjp(lambda employment: checked_amenity_shift(economy.amenity_spillover, employment), employment)
    return jnp.where(employment > 0, pull(spending)[0], 0.0)


def amenity_wedge_matrix(economy: Economy, employment: CityOccupation) -> Float[Array, "city occupation payer"]:
    """The amenity wedge as a matrix within each city: wedge[n, k] = sum_l matrix[n, k, l] P C[n, l].

    It takes the spillover to be local: the amenities of a city depend on its own workers.
    """

    def shift(employment):
        return checked_amenity_shift(economy.amenity_spillover, employment)

    def effect_of(occupation):
        tangent = jnp.broadcast_to(occupation, employment.shape)
        return jax.jvp(shift, (employment,), (tangent,))[1]

    effects = jax.vmap(effect_of, out_axes=1)(jnp.eye(employment.shape[1], dtype=employment.dtype))
    return jnp.where((employment > 0)[:, :, None], effects * employment[:, None, :], 0.0)
