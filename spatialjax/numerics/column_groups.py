"""Columns of a matrix product that are multiplied by the same matrix, brought together."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Columns = Float[Array, "row column"]
Grouped = Float[Array, "group row member"]


class ColumnGroups(eqx.Module):
    """Which matrix each column is multiplied by; a group's columns are those of one matrix."""

    group: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, keys: Sequence) -> "ColumnGroups":
        """One group for each distinct key, in order of appearance."""
        distinct = list(dict.fromkeys(keys))
        return cls(tuple(distinct.index(key) for key in keys))

    @property
    def count(self) -> int:
        """Number of groups."""
        return max(self.group, default=-1) + 1

    def first(self) -> tuple[int, ...]:
        """The first column of each group."""
        return tuple(self.group.index(g) for g in range(self.count))

    def gather(self, columns: Columns) -> Grouped:
        """Columns by group, filled with zeros where a group has fewer than the largest."""
        table, _ = self._tables()
        return jnp.moveaxis(jnp.take(columns, table, axis=1, mode="fill", fill_value=0.0), 1, 0)

    def scatter(self, grouped: Grouped) -> Columns:
        """Inverse of [`gather`][]."""
        _, member = self._tables()
        return grouped[np.asarray(self.group, int), :, member].T

    def _tables(self):
        """Column of each member of each group, and the place of each column in its group."""
        members = [np.flatnonzero(np.asarray(self.group, int) == g) for g in range(self.count)]
        table = np.full((self.count, max(map(len, members), default=0)), len(self.group))
        member = np.zeros(len(self.group), int)
        for g, columns in enumerate(members):
            table[g, : len(columns)] = columns
            member[columns] = np.arange(len(columns))
        return table, member
