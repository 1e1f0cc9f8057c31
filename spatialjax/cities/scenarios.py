"""Scenarios: one economy, and what each of many scenarios changes in it or in its income rule."""

from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from spatialjax.cities.economy import Economy
from spatialjax.cities.income import IncomeRule
from spatialjax.errors import ModelError

Changes = PyTree


class Scenarios(eqx.Module):
    """Many economies and income rules that share all that is not changed.

    `changed` is a pair (economy, income) with changed leaves, scenario first, and None elsewhere; `shared` the same
    pair with the leaves that no scenario changes.
    """

    changed: Any
    shared: Any
    count: int = eqx.field(static=True)

    @classmethod
    def of(cls, economy: Economy, changes: Changes, income: IncomeRule) -> "Scenarios":
        """The scenarios that `changes` describe (see [`solve_many`][]).

        **Raises:** `ModelError` naming the leaf that is not known, has another shape, or has another number of
        scenarios than the first.
        """
        base = (economy, income)
        changed = _from_names(base, changes) if isinstance(changes, Mapping) else _from_tree(base, changes)
        count = _checked_count(base, changed)
        shared = jax.tree.map(lambda new, old: None if new is not None else old, changed, base, is_leaf=_absent)
        return cls(changed, shared, count)

    def one(self, index: int) -> tuple[Economy, IncomeRule]:
        """The economy and income rule of one scenario."""
        return self.combined(jax.tree.map(lambda leaf: leaf[index], self.changed))

    def changed_by_name(self) -> dict[str, Any]:
        """The changed leaves by name, scenario first."""
        economy, income = self.changed
        return dict(_named_leaves(economy)) | {f"income.{name}": leaf for name, leaf in _named_leaves(income)}

    def combined(self, changed: Any) -> tuple[Economy, IncomeRule]:
        """The economy and income rule with these leaves, without a scenario axis, in place of the shared ones."""
        return eqx.combine(changed, self.shared)


def _absent(leaf: Any) -> bool:
    return leaf is None


def leaf_names(economy: Economy, income: IncomeRule) -> dict[str, Any]:
    """The arrays that a scenario can change, by name: `spillover.size`, and `income.rate` for those of the rule."""
    named = {name: leaf for name, leaf in _named_leaves(economy) if eqx.is_array(leaf)}
    return named | {f"income.{name}": leaf for name, leaf in _named_leaves(income) if eqx.is_array(leaf)}


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]


def with_leaves(economy: Economy, income: IncomeRule, values: Mapping[str, Any]) -> tuple[Economy, IncomeRule]:
    """The economy and its income rule with these values in the place of leaves, by name."""
    return eqx.combine(_at_names((economy, income), values), (economy, income))


def check_names(argument: str, names: Iterable[str], economy: Economy, income: IncomeRule) -> None:
    """Refuse names that no leaf has."""
    known = leaf_names(economy, income)
    for name in names:
        if name not in known:
            raise ModelError(
                f"{argument}: there is no {name!r} in the economy or its income rule; there are {', '.join(known)}"
            )


def _at_names(base: tuple[Economy, IncomeRule], values: Mapping[str, Any]) -> Any:
    """The values at the leaves that they name, and None elsewhere."""

    def value(path: tuple, leaf: Any) -> Any:
        part, name = path[0].idx, jax.tree_util.keystr(path[1:], simple=True, separator=".")
        return values.get(f"income.{name}" if part else name)

    return jax.tree_util.tree_map_with_path(value, base)


def _from_names(base: tuple[Economy, IncomeRule], changes: Mapping[str, Any]) -> Any:
    check_names("changes", changes, *base)
    known = leaf_names(*base)
    return _at_names(base, {name: jnp.asarray(value, known[name].dtype) for name, value in changes.items()})


def _from_tree(base: tuple[Economy, IncomeRule], changes: Any) -> Any:
    """Changes given as an economy, or a pair of an economy and an income rule, with None where nothing changes."""
    unchanged = jax.tree.map(lambda _: None, base[1])
    pair = changes if isinstance(changes, tuple) else (changes, unchanged)
    found, wanted = (str(jax.tree.structure(tree, is_leaf=_absent)) for tree in (pair, base))
    if found != wanted:
        raise ModelError(
            "changes must be a dictionary from names of leaves to arrays with a leading scenario axis, such as "
            '{"spillover.size": ...}, or the economy with such arrays where something changes and None elsewhere; '
            f"found {type(changes).__name__} of another structure"
        )
    return jax.tree.map(lambda new, old: None if new is None else jnp.asarray(new), pair, base, is_leaf=_absent)


def _checked_count(base: Any, changed: Any) -> int:
    """The number of scenarios, which all changed leaves share."""
    shapes = {name: leaf.shape for name, leaf in _named_leaves(base) if eqx.is_array(leaf)}
    count, first = None, ""
    for name, leaf in _named_leaves(changed):
        plain = name.partition(".")[2] if name.startswith("0.") else f"income.{name.partition('.')[2]}"
        if leaf.shape[1:] != shapes[name] or leaf.ndim == 0:
            raise ModelError(
                f"changes: {plain} has shape {leaf.shape}, but must have (scenario, "
                f"{', '.join(map(str, shapes[name]))}): one array as the economy's for each scenario"
            )
        if count is not None and leaf.shape[0] != count:
            raise ModelError(f"changes: {plain} has {leaf.shape[0]} scenarios, but {first} has {count}")
        count, first = leaf.shape[0], plain
    if count is None:
        raise ModelError("changes: nothing is changed; give at least one leaf with a leading scenario axis")
    if count == 0:
        raise ModelError("changes: there are no scenarios: the scenario axis has length 0")
    return count
