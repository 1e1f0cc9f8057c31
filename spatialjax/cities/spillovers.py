"""Production externalities: how productivity depends on who works where.

Any callable module from employment (city, occupation) to a shift of log productivity broadcastable to
(city, occupation, sector) is a spillover.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.errors import ModelError
from spatialjax.numerics.safe_math import masked_log
from spatialjax.typing import ByOccupation, CityOccupation

CityOccupationOne = Float[Array, "city occupation 1"]


class OccupationSpillover(eqx.Module):
    """Externalities of an occupation's share and of city size, alike in all sectors (CH eq. 6).

    log lambda[n, k, j] = log lambda_hat[n, k, j] + share[k] log(L[n, k] / L[n]) + size[k] log L[n].

    The defaults are the continuously updated GMM estimates of CH Table 2, for (CNR, non-CNR).
    """

    share: ByOccupation
    size: ByOccupation

    def __init__(self, share: Sequence[float] = (1.304, 0.835), size: Sequence[float] = (0.349, 0.357)):
        self.share = jnp.asarray(share, dtype=float)
        self.size = jnp.asarray(size, dtype=float)

    def __call__(self, employment: CityOccupation) -> CityOccupationOne:
        occupations = employment.shape[1]
        if self.share.shape != (occupations,) or self.size.shape != (occupations,):
            raise ModelError(
                f"OccupationSpillover has {self.share.size} elasticities to the share and {self.size.size} to size, "
                f"but the economy has {occupations} occupations: give one of each for each occupation"
            )
        city_size = employment.sum(1, keepdims=True)
        log_size = masked_log(city_size)
        log_share = masked_log(employment) - log_size
        return (self.share * log_share + self.size * log_size)[:, :, None]


class NoSpillover(eqx.Module):
    """Productivity that does not depend on employment."""

    def __call__(self, employment: CityOccupation) -> CityOccupationOne:
        return jnp.zeros_like(employment)[:, :, None]
