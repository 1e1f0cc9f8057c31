"""Derivatives of a root: linear systems with the Jacobian of the residual, preconditioned place by place."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree

from spatialjax.numerics.linear import solve_linear
from spatialjax.numerics.local_inverse import (
    LocalInverse,
    Packed,
    apply_local,
    apply_local_transpose,
    local_inverse,
)
from spatialjax.numerics.packing import pack, unpack

TOLERANCE = 1e-11
"""Of the linear systems, relative."""
SINGULAR = (
    "the derivative of this solution could not be computed: its linear system did not converge, which happens "
    "where the solution is about to vanish or to split (an eigenvalue of the reduced map near 1), or where the "
    "solve itself did not converge"
)
Residual = Callable[[Any, Any], Any]


class LinearisedRoot:
    """The residual's Jacobian J in the state at a root, for use inside one traced function.

    `residual` and `localise` are those of [`find_root`][], `state` and `args` where it ended.
    """

    def __init__(self, residual: Residual, localise: Residual, state: PyTree, args: PyTree):
        self._packed = pack(state)
        _, self._push = jax.linearize(lambda packed: pack(residual(unpack(packed, state), args)), self._packed)
        self._local = local_newton(self._packed, args, state, residual, localise)

    def tangent(self, forcing: Packed, tolerance: float = TOLERANCE) -> Packed:
        """The change of the packed state that undoes a change `forcing` of the residual: -J tangent = forcing."""
        return _krylov(lambda v: -self._push(v), forcing, self._local, apply_local, tolerance)

    def adjoint(self, cotangent: Packed) -> Packed:
        """The multipliers of the residual for an outcome with this cotangent in the state: -J^T adjoint."""
        transposed = jax.linear_transpose(self._push, self._packed)
        return _krylov(lambda v: -transposed(v)[0], cotangent, self._local, apply_local_transpose)


def implicit_tangent(
    state: Packed, args: PyTree, args_tangent: PyTree, structure: PyTree, residual: Residual, localise: Residual
) -> Packed:
    """Implicit function theorem: minus the Jacobian in the state times the tangent is that in the args.

    Differentiable again, in both modes.
    """

    def evaluate(packed, args):
        return pack(residual(unpack(packed, structure), args))

    _, forcing = eqx.filter_jvp(lambda args: evaluate(state, args), (args,), (args_tangent,))
    _, push = jax.linearize(lambda packed: evaluate(packed, args), state)
    fixed = jax.tree.map(_stop_gradient, (state, args))
    local = local_newton(fixed[0], fixed[1], structure, residual, localise)
    return jax.lax.custom_linear_solve(
        lambda packed: -push(packed),
        forcing,
        solve=lambda matvec, b: _krylov(matvec, b, local, apply_local),
        transpose_solve=lambda matvec, b: _krylov(matvec, b, local, apply_local_transpose),
    )


def local_newton(
    packed: Packed,
    args: PyTree,
    structure: PyTree,
    residual: Residual,
    localise: Residual,
    damping: Packed | float = 0.0,
) -> LocalInverse:
    """The local inverse of a residual at a packed state; `structure` is a state to unpack like."""
    local_args = localise(unpack(packed, structure), args)
    return local_inverse(lambda state: pack(residual(unpack(state, structure), local_args)), packed, damping)


def _krylov(matvec, right_hand_side: Packed, local: LocalInverse, apply, tolerance: float = TOLERANCE) -> Packed:
    shape = right_hand_side.shape
    solution = solve_linear(
        lambda v: matvec(v.reshape(shape)).ravel(),
        right_hand_side.ravel(),
        lambda v: apply(local, v.reshape(shape)).ravel(),
        tolerance=tolerance,
    )
    # A derivative has no status to carry: what is no solution must not look like one.
    value = eqx.error_if(solution.value, ~solution.converged, SINGULAR)
    return value.reshape(shape)


def _stop_gradient(leaf):
    return jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf
