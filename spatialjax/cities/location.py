"""Where workers live: Frechet location choice, and its closures."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from spatialjax.numerics.safe_math import masked_log
from spatialjax.typing import ByCity, ByOccupation, BySector, CityOccupation, CitySector, Scalar


def log_price_index(log_price: CitySector, consumption_share: BySector) -> ByCity:
    """Log consumer price index, sum_j alpha[j] log P[n, j]; the constant of Cobb-Douglas is left out."""
    return log_price @ consumption_share


def _log_attraction(amenity: CityOccupation, log_consumption: CityOccupation, elasticity: Scalar) -> CityOccupation:
    return jnp.where(amenity > 0, elasticity * (masked_log(amenity) + log_consumption), -jnp.inf)


def log_location_share(amenity: CityOccupation, log_consumption: CityOccupation, elasticity: Scalar) -> CityOccupation:
    """Log share of each occupation's workers that lives in each city (CH eq. 2); 0 where none can.

    L[n, k] / L[k] = (A C)^nu / sum_n (A C)^nu.
    """
    log_share = jax.nn.log_softmax(_log_attraction(amenity, log_consumption, elasticity), axis=0)
    return jnp.where(amenity > 0, log_share, 0.0)


def welfare(amenity: CityOccupation, log_consumption: CityOccupation, elasticity: Scalar) -> ByOccupation:
    """Expected utility, v[k] = Gamma((nu - 1) / nu) (sum_n (A C)^nu)^(1/nu) (CH section 5.1).

    In units of real consumption, by the scale that inversion gives to amenities.
    """
    attraction = _log_attraction(amenity, log_consumption, elasticity)
    log_sum = jax.scipy.special.logsumexp(attraction, axis=0)
    return jnp.exp(gammaln((elasticity - 1) / elasticity) + log_sum / elasticity)


class Mobility(eqx.Module):
    """A rule for the supply of workers to cities."""

    def log_employment(self, log_consumption: CityOccupation, economy) -> CityOccupation:
        """Log employment that workers would choose, city by occupation."""
        raise NotImplementedError


class FreeMobility(Mobility):
    """Workers choose their city (CH section 3.1)."""

    def log_employment(self, log_consumption, economy):
        log_share = log_location_share(economy.amenity, log_consumption, economy.location_elasticity)
        return jnp.where(economy.amenity > 0, jnp.log(economy.population) + log_share, 0.0)


class FixedEmployment(Mobility):
    """Workers stay where they are: `fixed_log_employment` (city, occupation)."""

    fixed_log_employment: CityOccupation

    def log_employment(self, log_consumption, economy):
        return self.fixed_log_employment
