"""Externalities: how productivity and amenities depend on who works where.

Any callable module from employment (city, occupation) to a shift of log productivity broadcastable to
(city, occupation, sector) is a production spillover; one to a shift of log amenity (city, occupation) is an
amenity spillover.
"""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from spatialjax.errors import ModelError
from spatialjax.numerics.safe_math import masked_log
from spatialjax.typing import ByOccupation, CityOccupation, CityOccupationSector

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


class IndustrySpillover(eqx.Module):
    """Externalities that differ by industry (SH eq. 1).

    log lambda[n, k, j] = log lambda_hat[n, k, j] + share[k, j] log(L[n, k] / L[n]) + size[k, j] log L[n].

    `share` and `size` have shape (occupation, sector); `size` may be (sector,), alike for all occupations.
    """

    share: Float[Array, "occupation sector"]
    size: Float[Array, "*occupation sector"]

    def __init__(self, share: ArrayLike, size: ArrayLike):
        self.share = jnp.asarray(share, dtype=float)
        self.size = jnp.asarray(size, dtype=float)

    @classmethod
    def from_groups(
        cls,
        data: xr.Dataset,
        share: Mapping[str, Sequence[float]] | None = None,
        size: Mapping[str, float] | None = None,
    ) -> "IndustrySpillover":
        """Elasticities by group of sectors, through the data's `sector_group`.

        **Arguments:**

        - `data`: a dataset with `sector_group` (sector).
        - `share`: group -> elasticity to each occupation's share, by occupation; by default SH Table 1.
        - `size`: group -> elasticity to city size, alike for all occupations; by default SH Table 1.

        A group that is in neither has no externalities (SH: the sectors that are not traded).

        **Raises:** `ModelError` for data without groups, a group that the data lack, or a wrong number of
        occupations.
        """
        share = SECTORAL_HUBS_SHARE if share is None else share
        size = SECTORAL_HUBS_SIZE if size is None else size
        if "sector_group" not in data:
            raise ModelError("the data have no sector_group (sector), which says how sectors are grouped: add it")
        groups = [str(group) for group in data["sector_group"].values]
        occupations = data.sizes["occupation"]
        _check_groups(groups, share, size, occupations)
        none = (0.0,) * occupations
        return cls(
            np.asarray([share.get(group, none) for group in groups]).T,
            np.asarray([size.get(group, 0.0) for group in groups]),
        )

    def __call__(self, employment: CityOccupation) -> CityOccupationSector:
        if self.share.shape[0] != employment.shape[1]:
            raise ModelError(
                f"IndustrySpillover has elasticities for {self.share.shape[0]} occupations, "
                f"but the economy has {employment.shape[1]}"
            )
        city_size = employment.sum(1, keepdims=True)
        log_size = masked_log(city_size)
        log_share = masked_log(employment) - log_size
        return self.share * log_share[:, :, None] + self.size * log_size[:, :, None]


SECTORAL_HUBS_SHARE = {
    "health_education": (0.63, 0.44),
    "professional_other": (1.22, 0.71),
    "manufacturing": (1.23, 1.28),
    "accommodation_trade_transport": (0.80, 0.54),
}
"""SH Table 1: elasticities to the share of an occupation, (CNR, non-CNR)."""
SECTORAL_HUBS_SIZE = {
    "health_education": 0.20,
    "professional_other": 0.39,
    "manufacturing": 0.51,
    "accommodation_trade_transport": 0.37,
}
"""SH Table 1: elasticities to city size."""


def _check_groups(
    groups: Sequence[str], share: Mapping[str, Sequence[float]], size: Mapping[str, float], occupations: int
) -> None:
    known = sorted(set(groups))
    for group in sorted({*share, *size}):
        if group not in known:
            raise ModelError(f"no sector of the data is in group {group}; sector_group has {', '.join(known)}")
    for group, elasticities in share.items():
        if len(elasticities) != occupations:
            raise ModelError(
                f"group {group} has {len(elasticities)} elasticities to the share of an occupation, "
                f"but the data have {occupations} occupations"
            )


class NoAmenitySpillover(eqx.Module):
    """Amenities that do not depend on employment."""

    def __call__(self, employment: CityOccupation) -> CityOccupation:
        return jnp.zeros_like(employment)


class OccupationAmenitySpillover(eqx.Module):
    """Amenities that depend on how many of each occupation live in a city (CH section 5.1).

    log A[n, k] = log A_hat[n, k] + sum_l elasticity[k, l] log L[n, l].

    The defaults, for (CNR, non-CNR), are the values of Fajgelbaum and Gaubert (2020) after Diamond (2016) as
    remembered: they have not been verified against the paper.
    """

    elasticity: Float[Array, "occupation other"]

    def __init__(self, elasticity: Sequence[Sequence[float]] = ((0.77, -1.24), (0.18, -0.43))):
        self.elasticity = jnp.asarray(elasticity, dtype=float)

    def __call__(self, employment: CityOccupation) -> CityOccupation:
        occupations = employment.shape[1]
        if self.elasticity.shape != (occupations, occupations):
            raise ModelError(
                f"OccupationAmenitySpillover has elasticities of shape {self.elasticity.shape}, but the economy has "
                f"{occupations} occupations: give one for each pair"
            )
        return masked_log(employment) @ self.elasticity.T
