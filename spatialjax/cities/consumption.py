"""Consumption baskets: Cobb-Douglas shares, alike for all or by occupation (CH sections 3.1 and 7.4).

Shares have shape (sector,), or (occupation, sector) where occupations consume different baskets; price
indices are by city, or by city and occupation, accordingly.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from spatialjax.typing import CityOccupation, CityOccupationOrOne, CitySector, PriceIndex

Shares = Float[Array, "*occupation sector"]


def log_price_index(log_price: CitySector, consumption_share: Shares) -> PriceIndex:
    """Log consumer price index, sum_j alpha[j] log P[n, j]; the constant of Cobb-Douglas is left out."""
    return log_price @ consumption_share.T


def by_occupation(price_index: PriceIndex) -> CityOccupationOrOne:
    """A price index with an axis of occupations, of length one where baskets are alike."""
    return price_index[:, None] if price_index.ndim == 1 else price_index


def final_demand(consumption_share: Shares, spending: CityOccupation) -> CitySector:
    """Consumers' spending by sector, sum_k alpha[k, j] I[n, k] L[n, k], in dollars."""
    if consumption_share.ndim == 1:
        return spending.sum(1)[:, None] * consumption_share
    return spending @ consumption_share


def is_consumed(consumption_share: Shares) -> Bool[Array, " sector"]:
    """Whether anyone consumes a sector's good."""
    return jnp.atleast_2d(consumption_share).max(0) > 0
