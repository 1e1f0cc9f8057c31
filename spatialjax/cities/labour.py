"""The labour market: a CES aggregate of occupations in each sector of each city (CH eq. 5)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from spatialjax.numerics.safe_math import masked_divide, masked_log
from spatialjax.typing import CityOccupation, CityOccupationSector, CitySector, Scalar


class LabourTechnology(eqx.Module):
    """What the labour block needs of fundamental productivity, computed once per solve.

    `strength` is lambda_hat^(epsilon - 1), scaled by its largest value over occupations so that no
    power over- or underflows; `log_scale` is the log of that value, in units of productivity.
    """

    strength: CityOccupationSector
    log_scale: CitySector
    operating: Bool[Array, "city sector"]
    substitution: Scalar

    @classmethod
    def of(cls, fundamental_productivity: CityOccupationSector, substitution: Scalar) -> "LabourTechnology":
        """Precompute from lambda-hat (city, occupation, sector) and epsilon."""
        employed = fundamental_productivity > 0
        log_productivity = masked_log(fundamental_productivity)
        power = substitution - 1
        ranked = jnp.where(employed, power * log_productivity, -jnp.inf).max(1)
        operating = employed.any(1)
        log_scale = jax.lax.stop_gradient(jnp.where(operating, ranked, 0.0) / power)
        strength = jnp.exp(power * (log_productivity - log_scale[:, None, :]))
        return cls(jnp.where(employed, strength, 0.0), log_scale, operating, substitution)

    def hire(
        self, log_wage: CityOccupation, log_shift: Float[Array, "city occupation sector_or_one"]
    ) -> tuple[CitySector, CityOccupationSector]:
        """Log cost of labour, log W, and each occupation's share of a sector's wage bill, delta.

        W[n, j]^(1 - epsilon) = sum_k (w[n, k] / lambda[n, k, j])^(1 - epsilon). Both are 0 where no
        occupation is employed.
        """
        power = self.substitution - 1
        log_advantage = log_shift - log_wage[:, :, None]
        reference = jax.lax.stop_gradient((power * log_advantage).max(1, keepdims=True) / power)
        by_occupation = jnp.exp(power * (log_advantage - reference)) * self.strength
        total = by_occupation.sum(1)
        log_cost = -masked_log(total) / power - self.log_scale - reference[:, 0, :]
        share = masked_divide(by_occupation, total[:, None, :], self.operating[:, None, :])
        return jnp.where(self.operating, log_cost, 0.0), share
