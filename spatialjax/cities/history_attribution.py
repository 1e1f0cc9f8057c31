"""Contributions of steps to a change: in one order, and in none (Shapley 1953)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import comb

import numpy as np

Array = np.ndarray
Value = Callable[[int], Array]
"""From the steps made, a bit each, to an outcome."""


def stages_of(order: Sequence[int]) -> list[int]:
    """The steps made before each stage of an order, none first and all last."""
    taken = [0]
    for step in order:
        taken.append(taken[-1] | 1 << step)
    return taken


def ordered(value: Value, order: Sequence[int]) -> Array:
    """What each step adds when steps are made in this order, by step; sums to the whole change."""
    stages = [np.asarray(value(taken)) for taken in stages_of(order)]
    changes = np.diff(np.stack(stages), axis=0)
    return changes[np.argsort(np.asarray(order))]


def shapley(value: Value, steps: int) -> Array:
    """What each step adds on average over all orders, by step; sums to the whole change.

    sum over sets S without s of |S|! (n - |S| - 1)! / n! times value(S with s) - value(S), each set valued once.
    """
    values = np.stack([np.asarray(value(taken)) for taken in range(1 << steps)])
    size = np.asarray([taken.bit_count() for taken in range(1 << steps)])
    weight = np.asarray([1.0 / (steps * comb(steps - 1, s)) if s < steps else 0.0 for s in range(steps + 1)])
    found = []
    for step in range(steps):
        without = np.flatnonzero(~(np.arange(1 << steps) >> step) & 1)
        added = values[without | 1 << step] - values[without]
        found.append(np.tensordot(weight[size[without]], added, axes=1))
    return np.stack(found)


def sampled(value: Value, orders: Iterable[Sequence[int]]) -> tuple[Array, Array]:
    """The mean over sampled orders of what each step adds, and its standard error, by step."""
    draws = np.stack([ordered(value, order) for order in orders])
    count = draws.shape[0]
    error = draws.std(0, ddof=1) / np.sqrt(count) if count > 1 else np.full(draws.shape[1:], np.nan)
    return draws.mean(0), error


def random_orders(steps: int, count: int, seed: int) -> list[tuple[int, ...]]:
    """Orders drawn at random, independent of each other."""
    generator = np.random.default_rng(seed)
    return [tuple(int(s) for s in generator.permutation(steps)) for _ in range(count)]


def sets_needed(orders: Iterable[Sequence[int]]) -> list[int]:
    """The sets of steps that some order passes through, each once."""
    return sorted({taken for order in orders for taken in stages_of(order)})


def lookup(values: Mapping[int, Mapping[str, Array]], name: str) -> Value:
    """An outcome as a function of the steps made."""
    return lambda taken: values[taken][name]
