"""Where workers live: the closures of location choice."""

import equinox as eqx
import jax.numpy as jnp

from spatialjax.cities.preferences import log_location_share
from spatialjax.typing import CityOccupation


class Mobility(eqx.Module):
    """A rule for the supply of workers to cities."""

    def log_employment(self, attraction: CityOccupation, economy) -> CityOccupation:
        """Log employment, city by occupation, given how strongly cities attract; 0 where none can live."""
        raise NotImplementedError


class FreeMobility(Mobility):
    """Workers choose their city (CH section 3.1)."""

    def log_employment(self, attraction, economy):
        lives = attraction > -jnp.inf
        return jnp.where(lives, jnp.log(economy.population) + log_location_share(attraction), 0.0)


class FixedEmployment(Mobility):
    """Workers stay where they are: `fixed_log_employment` (city, occupation)."""

    fixed_log_employment: CityOccupation

    def log_employment(self, attraction, economy):
        return self.fixed_log_employment
