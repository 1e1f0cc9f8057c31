"""Steps from one economy to another: which leaves take the target's values, in any order (CH section 8)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from spatialjax.cities.economy import Economy
from spatialjax.errors import ModelError

NOT_MOVED = ("reference", "traded", "labels", "mended", "wage_bill")
"""Fields that no step moves: starts, names, and the numeraire, which is the target's at every stage."""
IN_LOGS = ("fundamental_productivity", "amenity", "land", "population")
"""Leaves between whose values a path is straight in logs; the others' paths are straight in levels."""


@dataclass(frozen=True)
class Part:
    """A part of a leaf's change that a step of its own makes: the leaf's log rises by `log_change`.

    What is left of the change, cells that open or close among it, belongs to the step that names the leaf.

    - `leaf`: its name, such as "fundamental_productivity".
    - `log_change`: log points, broadcastable to the leaf.
    """

    leaf: str
    log_change: ArrayLike


Change = str | Part
Steps = Mapping[str, Change | Sequence[Change]]


@dataclass(frozen=True)
class Transition:
    """Two economies, and the steps between them: `steps` are their names, in order.

    `rest` says which step moves a leaf, or what its parts leave of it; `parts` are these, with their steps.
    """

    baseline: Economy
    target: Economy
    steps: tuple[str, ...]
    rest: Mapping[str, int]
    parts: Mapping[str, tuple[tuple[int, Any], ...]]

    @classmethod
    def of(cls, baseline: Economy, target: Economy, steps: Steps) -> "Transition":
        """The transition that the steps describe.

        **Raises:** `ModelError` naming cities, sectors or occupations that differ, a leaf that is not known, that
        two steps move, that has another shape in the two economies, or that differs and no step moves.
        """
        _check_alike(baseline, target)
        if not steps:
            raise ModelError('steps: there are none: give at least one, such as {"amenities": "amenity"}')
        known = {name: leaf for field in _moved_fields(baseline) for name, leaf in _leaves(field, baseline, target)}
        rest: dict[str, int] = {}
        parts: dict[str, list[tuple[int, Any]]] = {}
        for position, (step, changes) in enumerate(steps.items()):
            for change in [changes] if isinstance(changes, str | Part) else changes:
                if isinstance(change, Part):
                    value = _checked_part(step, change, known)
                    parts.setdefault(change.leaf, []).append((position, value))
                    continue
                for leaf in _named(step, change, known):
                    if leaf in rest:
                        raise ModelError(f"steps: {leaf} is moved by two steps, {list(steps)[rest[leaf]]} and {step}")
                    rest[leaf] = position
        _check_covered(known, rest, parts)
        moved = {name: step for name, step in rest.items() if name in parts or not _equal(*known[name])}
        return cls(baseline, target, tuple(steps), moved, {name: tuple(p) for name, p in parts.items()})

    def at(self, taken: int) -> Economy:
        """The economy after some of the steps: bit s of `taken` says whether step s has been made."""
        values = {field: self._field(field, taken) for field in _moved_fields(self.baseline) if self._moves(field)}
        return replace(self.baseline, **values, wage_bill=self.target.wage_bill)

    @property
    def every(self) -> int:
        """All steps made."""
        return (1 << len(self.steps)) - 1

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the leaves that steps move."""
        return tuple(dict.fromkeys([*self.rest, *self.parts]))

    @property
    def alike(self) -> bool:
        """Whether all stages have leaves of the same structure and shapes, so that they can be solved in a batch."""
        return all(_same_structure(field, self.baseline, self.target) for field in _moved_fields(self.baseline))

    def described(self, taken: int) -> str:
        """The steps made, in words."""
        made = [step for s, step in enumerate(self.steps) if taken >> s & 1]
        return f"after {', '.join(made)}" if made else "of the baseline"

    def _moves(self, field: str) -> bool:
        return any(name == field or name.startswith(f"{field}.") for name in self.arrays)

    def _field(self, field: str, taken: int) -> Any:
        before, after = getattr(self.baseline, field), getattr(self.target, field)
        if not _same_structure(field, self.baseline, self.target):
            return after if taken >> self.rest[field] & 1 else before

        def value(path: tuple, before: Any, after: Any) -> Any:
            return self._leaf(_joined(field, path), before, after, taken)

        return jax.tree_util.tree_map_with_path(value, before, after)

    def _leaf(self, name: str, before: Any, after: Any, taken: int) -> Any:
        """The target's leaf less the parts not made yet, or the baseline's with those made."""
        if name not in self.rest:
            return before
        ends = bool(taken >> self.rest[name] & 1)
        moved = [part for step, part in self.parts.get(name, ()) if bool(taken >> step & 1) != ends]
        factor = sum(moved) if moved else None
        value = after if ends else before
        return value if factor is None else value * jnp.exp(-factor if ends else factor)


def between(before: Economy, after: Economy, position: float) -> Economy:
    """An economy on the way from one stage to another: straight in logs or levels, by leaf.

    A cell that is closed in one of the two is as it is in the second. For structures that differ there is no way
    between: the second's.
    """
    values = {}
    for field in _moved_fields(before):
        if not _same_structure(field, before, after):
            values[field] = getattr(after, field)
            continue
        in_logs = field in IN_LOGS
        values[field] = jax.tree.map(
            lambda b, a, in_logs=in_logs: _on_the_way(b, a, position, in_logs),
            getattr(before, field),
            getattr(after, field),
        )
    return replace(after, **values)


def _on_the_way(before: Any, after: Any, position: float, in_logs: bool) -> Any:
    if not eqx.is_inexact_array(before):
        return after
    if in_logs:
        both = (before > 0) & (after > 0)
        one, other = (jnp.log(jnp.where(both, x, 1.0)) for x in (before, after))
        return jnp.where(both, jnp.exp((1 - position) * one + position * other), after)
    both = jnp.isfinite(before) & jnp.isfinite(after)
    one, other = (jnp.where(both, x, 0.0) for x in (before, after))
    return jnp.where(both, (1 - position) * one + position * other, after)


def _moved_fields(economy: Economy) -> list[str]:
    return [field.name for field in fields(economy) if field.name not in NOT_MOVED]


def _joined(field: str, path: tuple) -> str:
    inner = jax.tree_util.keystr(path, simple=True, separator=".")
    return f"{field}.{inner}" if inner else field


def _same_structure(field: str, one: Economy, other: Economy) -> bool:
    trees = [getattr(economy, field) for economy in (one, other)]
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in trees]
    structures: list[Any] = [jax.tree.structure(tree) for tree in trees]
    return bool(structures[0] == structures[1]) and shapes[0] == shapes[1]


def _leaves(field: str, baseline: Economy, target: Economy) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Names of what a step may move, with the two values: leaves, or a whole field where its structure differs."""
    before, after = getattr(baseline, field), getattr(target, field)
    if not _same_structure(field, baseline, target):
        yield field, (before, after)
        return
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True):
        yield _joined(field, path), (one, other)


def _named(step: str, name: str, known: Mapping[str, Any]) -> list[str]:
    """The leaves that a name means: itself, or all that are in it."""
    found = [leaf for leaf in known if leaf == name or leaf.startswith(f"{name}.")]
    if not found:
        raise ModelError(f"steps: {step}: there is no {name!r} in the economies; there are {', '.join(known)}")
    return found


def _checked_part(step: str, part: Part, known: Mapping[str, Any]) -> Any:
    _named(step, part.leaf, known)
    value, shape = jnp.asarray(part.log_change, float), np.shape(known.get(part.leaf, (None,))[0])
    if part.leaf not in known or not _fits(value.shape, shape):
        raise ModelError(f"steps: {step}: log_change has shape {value.shape}, but {part.leaf} has {shape}")
    if not bool(jnp.isfinite(value).all()):
        raise ModelError(f"steps: {step}: log_change of {part.leaf} must be finite: 0 where nothing changes")
    return value


def _fits(shape: tuple[int, ...], leaf: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, leaf) == leaf
    except ValueError:
        return False


def _check_alike(baseline: Economy, target: Economy) -> None:
    for economy, name in ((baseline, "baseline"), (target, "target")):
        if not isinstance(economy, Economy):
            raise ModelError(f"{name} must be an Economy, as invert returns it, found {type(economy).__name__}")
    for axis in ("city", "occupation", "sector"):
        one, other = (list(getattr(economy.labels, axis)) for economy in (baseline, target))
        if one != other:
            first = next((pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]), (len(one), len(other)))
            raise ModelError(
                f"baseline and target must have the same {axis} labels in the same order, found {len(one)} and "
                f"{len(other)}, first difference {first[0]!r} against {first[1]!r}: select common ones before inverting"
            )
    if baseline.traded != target.traded:
        raise ModelError(
            f"baseline trades the sectors {baseline.traded}, target {target.traded}: they must be the same"
        )


def _check_covered(known: Mapping[str, Any], rest: Mapping[str, int], parts: Mapping[str, Any]) -> None:
    """Refuse a change that no step makes, which would belong to none of them."""
    lonely = [name for name in parts if name not in rest]
    if lonely:
        raise ModelError(f"steps: parts of {', '.join(lonely)} are moved, but no step names it to move the rest")
    missing = [name for name, (one, other) in known.items() if name not in rest and not _equal(one, other)]
    if missing:
        raise ModelError(f"steps: {', '.join(missing)} differ between baseline and target, but no step moves them")


def _equal(one: Any, other: Any) -> bool:
    structures: list[Any] = [jax.tree.structure(tree) for tree in (one, other)]
    if structures[0] != structures[1]:
        return False
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True) for a, b in pairs)
