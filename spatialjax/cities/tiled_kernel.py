"""A kernel of distance that is computed anew, tile by tile, in every product."""
# Methods are described by their base class:
# ruff: noqa: D102

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.cities.distance import log_relative_distance
from spatialjax.cities.trade import Kernel
from spatialjax.numerics.column_groups import ColumnGroups

TILE_ELEMENTS = 2**20
"""Elements of the kernel that exist at a time."""


class TiledKernel(Kernel):
    """(d[n, m] / shortest distance)^(-a) of points on the unit sphere, never stored.

    `exponent` a, by group of sectors with the same one; `sectors` says which group each traded sector is in. A
    product takes as many tiles as rows of cities are divided into, and its derivatives in reverse mode compute tiles
    again instead of keeping them. The kernel is symmetric.
    """

    point: Float[Array, "city 3"]
    exponent: Float[Array, " group"]
    sectors: ColumnGroups
    rows: int = eqx.field(static=True)

    @classmethod
    def of(cls, point: Float[Array, "city 3"], exponent: Float[Array, " group"], sectors: ColumnGroups):
        """The kernel with tiles of `TILE_ELEMENTS`."""
        return cls(point, exponent, sectors, tile_rows(point.shape[0], exponent.shape[0]))

    def apply(self, strength):
        columns = self.sectors.gather(strength)

        # Without the checkpoint, derivatives would keep every tile: all of the kernel.
        @jax.checkpoint
        def product(here):
            log_distance = log_relative_distance(here, self.point)
            tile = jnp.exp(-self.exponent[:, None, None] * log_distance)
            return jnp.einsum("gnm,gmk->gnk", tile, columns)

        blocks = jnp.moveaxis(jax.lax.map(product, _in_blocks(self.point, self.rows)), 1, 0)
        groups, members = blocks.shape[0], blocks.shape[3]
        return self.sectors.scatter(blocks.reshape(groups, -1, members)[:, : self.point.shape[0]])

    def apply_transpose(self, demand):
        return self.apply(demand)

    def own(self):
        return jnp.ones((self.point.shape[0], len(self.sectors.group)), self.exponent.dtype)


def tile_rows(cities: int, groups: int) -> int:
    """Rows of a tile, so that all groups' tiles together have about `TILE_ELEMENTS` elements."""
    return min(cities, max(8, TILE_ELEMENTS // max(cities * groups, 1)))


def _in_blocks(point: Float[Array, "city 3"], rows: int) -> Float[Array, "block row 3"]:
    """Points in blocks of equal size, the last one filled up with the first point."""
    blocks = -(-point.shape[0] // rows)
    filling = jnp.broadcast_to(point[:1], (blocks * rows - point.shape[0], 3))
    return jnp.concatenate([point, filling]).reshape(blocks, rows, 3)
