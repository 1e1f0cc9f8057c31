"""Output and pay of a place whose sectors have finitely many firms: Phi(m) and Psi(m) (KO Lemmas 1 to 3).

    Y = z m^eta l^(1 - eta) Phi(m),    w l = (1 - eta) z m^eta l^(1 - eta) (Phi(m) + Psi(m)).

Under perfect competition both follow from the Herfindahl index, which is a quadrature. What Cournot conduct changes is
simulated: the mean, over sectors with a given number of firms, of the difference between a sector's moments and those
that price takers would have. Two devices make it precise and smooth:

- **Control variates.** The means of low power sums of shares are known exactly (`concentration.power_sums`); what a
  regression on them explains of the difference is replaced by its exact mean. That takes the standard error down by a
  factor of 40 to 300.
- **Mixing.** Draws are made once for some numbers N of firms. Their means, relative to the mean Herfindahl index of
  such sectors, are interpolated in log N and mixed with Poisson weights, which are smooth in m.
"""

from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from spatialjax.errors import ModelError
from spatialjax.granular.concentration import check_entry, dispersed, herfindahl, power_sums
from spatialjax.granular.conduct import Conduct, internalised
from spatialjax.granular.mixing import number_weights
from spatialjax.granular.parameters import Parameters, check_parameters
from spatialjax.granular.second_order import competitive_gain, moments_at
from spatialjax.granular.sectors import draw_shares

ByPlace = Float[Array, "*place"]

BUCKETS = (
    (1, 2, 3, 4, 5, 6, 7),
    (8, 10, 12, 15, 19, 24, 31),
    (39, 49, 63, 79, 100, 127),
    (160, 202, 255, 320, 405, 511, 720, 1023),
)
"""Numbers of firms, besides the one drawn by size, at which sectors are drawn; those of a bucket share one shape."""
NUMBERS = np.array([0, *(number for bucket in BUCKETS for number in bucket)], float)
CONTROLS = 5
RIDGE = 1e-10


class Correction(NamedTuple):
    """What conduct adds to the competitive moments, by number of other firms: means, and standard errors of draws.

    `herfindahl` is the exact mean index of such sectors.
    """

    gain: Float[Array, " number"]
    psi: Float[Array, " number"]
    gain_error: Float[Array, " number"]
    psi_error: Float[Array, " number"]
    herfindahl: Float[Array, " number"]


class Production(NamedTuple):
    """Phi and Psi by place, and the standard errors of their simulated part."""

    phi: ByPlace
    psi: ByPlace
    phi_error: ByPlace
    psi_error: ByPlace


def production(
    m: ByPlace | float,
    parameters: Parameters,
    conduct: Conduct = "competitive",
    *,
    key: Key[Array, ""] | None = None,
    draws: int = 2**17,
) -> tuple[ByPlace, ByPlace]:
    """Phi(m) and Psi(m) of the regional production function, to second order in shocks (KO Lemmas 1 to 3).

    Smooth and differentiable in `m` and in every parameter. Under perfect competition exact, and Psi is zero.

    **Arguments:**

    - `m`: mean number of firms in a sector, above zero; any shape.
    - `conduct`: "competitive", or "cournot" (firms commit to a wage schedule and take others' employment as given).
    - `key`: of the draws that Cournot conduct takes; by default always the same one.
    - `draws`: sectors drawn in all.

    **Returns:** two arrays of the shape of `m`, without units: Phi is one where there are no shocks, and Psi zero or
    negative.

    **Raises:** `ModelError` for arguments out of range.
    """
    found = production_with_error(m, parameters, conduct, key=key, draws=draws)
    return found[0], found[1]


def production_with_error(
    m: ByPlace | float,
    parameters: Parameters,
    conduct: Conduct = "competitive",
    *,
    key: Key[Array, ""] | None = None,
    draws: int = 2**17,
) -> Production:
    """[`production`][] and the standard errors of what is simulated: (phi, psi, phi_error, psi_error).

    Errors are zero under perfect competition.
    """
    correction = tabulate(parameters, conduct, key=key, draws=draws)
    return production_from(correction, check_entry(m), parameters)


def tabulate(
    parameters: Parameters, conduct: Conduct, *, key: Key[Array, ""] | None = None, draws: int = 2**17
) -> Correction | None:
    """What a conduct adds to the competitive moments, by number of firms; nothing under perfect competition.

    One table serves all places.
    """
    check_parameters(parameters)
    chi = internalised(conduct)
    if not chi:
        return None
    each = draws // NUMBERS.size
    if each < 10 * CONTROLS:
        raise ModelError(f"draws must be at least {10 * CONTROLS * NUMBERS.size}, found {draws}")
    with jax.ensure_compile_time_eval():  # inside jax.jit too, what is known is drawn once and kept
        key = jax.random.key(0) if key is None else key
        leaves, structure = jax.tree.flatten(parameters)
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in (*leaves, key)):
            kind = str(jax.random.key_impl(key))
            return _remembered_table(tuple(map(float, leaves)), structure, chi, kind, _words(key), each)
    return _tabulate(parameters, chi, key, each)


def _words(key: Key[Array, ""]) -> tuple[int, ...]:
    return tuple(int(word) for word in np.asarray(jax.random.key_data(key)).ravel())


@lru_cache(maxsize=32)
def _remembered_table(values, structure, chi: float, kind: str, words: tuple[int, ...], draws: int) -> Correction:
    """A table, kept: solves in a loop at the same parameters draw once."""
    parameters = jax.tree.unflatten(structure, [jnp.asarray(value) for value in values])
    key = jax.random.wrap_key_data(jnp.asarray(words, dtype=jnp.uint32), impl=kind)
    return _tabulate(parameters, chi, key, draws)


@partial(jax.jit, static_argnums=(1, 3))
def _tabulate(parameters: Parameters, chi: float, key, draws: int) -> Correction:
    exact = jnp.stack(list(power_sums(jnp.asarray(NUMBERS), parameters.size_tail).values()), axis=1)
    none = jnp.zeros(1)
    columns = [Correction(none, none, none, none, jnp.ones(1))]  # alone, a firm has no market power
    first = 1
    for bucket in BUCKETS:
        numbers = jnp.asarray(bucket)

        mean_at = partial(_mean_at, key, draws, max(bucket) + 1, parameters, chi)
        columns.append(jax.lax.map(mean_at, (numbers, exact[first : first + len(bucket)])))
        first += len(bucket)
    return Correction(*(jnp.concatenate(parts) for parts in zip(*columns, strict=True)))


def _mean_at(key, draws: int, room: int, parameters: Parameters, chi: float, number_and_means) -> Correction:
    """Mean correction of sectors with a given number of firms besides the one drawn by size."""
    number, exact_means = number_and_means
    others = jnp.full(draws, number)
    shares = draw_shares(jax.random.fold_in(key, number), others, parameters.size_tail, room)
    return _controlled_mean(shares, exact_means, parameters, chi)


def _controlled_mean(shares, exact_means, parameters: Parameters, chi: float) -> Correction:
    """Means of the difference from competitive moments, with the exact means of power sums as controls."""
    second, third, fourth = ((shares**p).sum(-1) for p in (2, 3, 4))
    moments = moments_at(shares, parameters, chi)
    gap = moments.gain - competitive_gain(second, parameters)
    controls = jnp.stack([second, third, fourth, second**2, second * third], axis=1) - exact_means
    centred = controls - controls.mean(0)
    scale = jnp.sqrt((centred**2).mean(0))
    standard = centred / scale
    outcomes = jnp.stack([gap, moments.psi], axis=1)
    gram = standard.T @ standard / len(standard)
    # Coefficients given in advance would leave the mean unbiased, whatever they are: the ridge, which keeps nearly
    # collinear controls in bounds, costs nothing. That they are estimated biases it by one over the draws.
    coefficients = jnp.linalg.solve(gram + RIDGE * jnp.eye(CONTROLS), standard.T @ outcomes / len(standard))
    corrected = outcomes - controls / scale @ coefficients
    error = corrected.std(0) / jnp.sqrt(len(corrected) - 1 - CONTROLS)
    means = corrected.mean(0)
    return Correction(means[0], means[1], error[0], error[1], exact_means[0])


def production_from(correction: Correction | None, m: ByPlace, parameters: Parameters) -> Production:
    """Phi and Psi at any m from a table of what conduct adds."""
    return _production(correction, m, parameters)


@jax.jit
def _production(correction: Correction | None, m: ByPlace, parameters: Parameters) -> Production:
    phi = parameters.mean_shock + competitive_gain(herfindahl(m, parameters), parameters)
    if correction is None:
        zero = jnp.zeros_like(phi)
        return Production(phi, zero, zero, zero)
    rates, weights = dispersed(m, parameters)
    at = jax.vmap(lambda rate: number_weights(rate, NUMBERS, relative_to=correction.herfindahl)[0])(rates.ravel())
    at = jnp.einsum("...rn,r->...n", at.reshape(*rates.shape, -1), weights)
    errors = (jnp.sqrt(at**2 @ error**2) for error in (correction.gain_error, correction.psi_error))
    return Production(phi + at @ correction.gain, at @ correction.psi, *errors)
