"""Leading eigenvalues of a matrix-free operator by Arnoldi's method."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

BREAKDOWN = 1e-10


class Eigenvalues(eqx.Module):
    """Ritz values ordered by real part, largest first, and the residual norm of each."""

    values: Complex[np.ndarray, " count"]
    residuals: Float[np.ndarray, " count"]


def arnoldi(
    operator: Callable[[Float[Array, " n"]], Float[Array, " n"]], start: Float[Array, " n"], steps: int
) -> Float[Array, "rows steps"]:
    """The Hessenberg matrix (steps + 1, steps) of `operator` on the Krylov space of `start`; zero if `start` is."""

    def extend(j, carry):
        basis, hessenberg = carry
        image = operator(basis[j])
        overlap = basis @ image
        image = image - overlap @ basis
        correction = basis @ image
        image = image - correction @ basis
        norm = jnp.linalg.norm(image)
        basis = basis.at[j + 1].set(jnp.where(norm > 0, image / jnp.where(norm > 0, norm, 1.0), 0.0))
        return basis, hessenberg.at[:, j].set(overlap + correction).at[j + 1, j].set(norm)

    length = jnp.linalg.norm(start)
    first = start / jnp.where(length > 0, length, 1.0)
    basis = jnp.zeros((steps + 1, start.size), start.dtype).at[0].set(first)
    _, hessenberg = jax.lax.fori_loop(0, steps, extend, (basis, jnp.zeros((steps + 1, steps), start.dtype)))
    return hessenberg


def eigenvalues(hessenberg: Float[Array, "rows steps"], count: int) -> Eigenvalues:
    """The `count` Ritz values of largest real part; fewer where the Krylov space is smaller."""
    matrix = np.asarray(hessenberg)
    below = np.abs(np.diag(matrix[1:]))
    complete = np.flatnonzero(below < BREAKDOWN * max(1.0, np.abs(matrix).max()))
    size = int(complete[0]) + 1 if complete.size else matrix.shape[1]
    values, vectors = np.linalg.eig(matrix[:size, :size])
    residuals = below[size - 1] * np.abs(vectors[-1]) / np.linalg.norm(vectors, axis=0)
    order = np.argsort(-values.real)[:count]
    return Eigenvalues(values[order].astype(complex), residuals[order])
