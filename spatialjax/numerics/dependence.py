"""Which results of a function depend on which of its arguments."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jax.extend import core


def depends(function: Callable[[Any], Any], argument: Any) -> Any:
    """For each array that `function(argument)` returns, whether it depends on an array of `argument`.

    What the function closes over does not count. The function is traced, not computed. What its result has besides
    arrays is marked `False`.
    """
    results: list[Any] = []

    def arrays_of(argument):
        results.append(function(argument))
        return [leaf for leaf in jax.tree.leaves(results[-1]) if eqx.is_array(leaf)]

    closed = jax.make_jaxpr(arrays_of)(argument)
    reached = set(closed.jaxpr.invars)
    for equation in closed.jaxpr.eqns:
        if any(not isinstance(v, core.Literal) and v in reached for v in equation.invars):
            reached.update(equation.outvars)
    flags = iter([not isinstance(v, core.Literal) and v in reached for v in closed.jaxpr.outvars])
    return jax.tree.map(lambda leaf: next(flags) if eqx.is_array(leaf) else False, results[-1])
