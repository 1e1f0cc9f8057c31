"""Consumption baskets: Cobb-Douglas shares, alike for all, by occupation, or by city (CH sections 3.1 and 7.4).

Shares have shape (sector,); (occupation, sector) where occupations consume different baskets; or (city, occupation,
sector) where cities do, with one row for all occupations or one for each. Price indices are by city, or by city and
occupation, accordingly.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from spatialjax.typing import CityOccupation, CityOccupationOrOne, CitySector, PriceIndex

Shares = Float[Array, "*place_and_occupation sector"]


def log_price_index(log_price: CitySector, consumption_share: Shares) -> PriceIndex:
    """Log consumer price index, sum_j alpha[j] log P[n, j]; the constant of Cobb-Douglas is left out."""
    if consumption_share.ndim == 3:
        return jnp.einsum("nkj,nj->nk", consumption_share, log_price)
    return log_price @ consumption_share.T


def by_occupation(price_index: PriceIndex) -> CityOccupationOrOne:
    """A price index with an axis of occupations, of length one where baskets are alike."""
    return price_index[:, None] if price_index.ndim == 1 else price_index


def final_demand(consumption_share: Shares, spending: CityOccupation) -> CitySector:
    """Consumers' spending by sector, sum_k alpha[k, j] I[n, k] L[n, k], in dollars."""
    match consumption_share.ndim:
        case 1:
            return spending.sum(1)[:, None] * consumption_share
        case 2:
            return spending @ consumption_share
    shares = jnp.broadcast_to(consumption_share, (*spending.shape, consumption_share.shape[-1]))
    return jnp.einsum("nk,nkj->nj", spending, shares)


def is_consumed(consumption_share: Shares) -> Bool[Array, "#city sector"]:
    """Whether anyone consumes a sector's good; by city where baskets are."""
    consumed = consumption_share > 0
    return consumed.any(1) if consumed.ndim == 3 else jnp.atleast_2d(consumed).any(0)[None]
