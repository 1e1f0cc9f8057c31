"""Sectors drawn at random, and averages over them weighted by their size (spec 1).

Sizes of firms are Pareto with a tail a below two: weights have infinite variance, and a plain average weighted by size
never settles. Mecke's formula makes the weighted average a plain one: draw one firm by size, Pareto with tail a - 1,
and let a Poisson number of ordinary firms keep it company.

Sectors are drawn in blocks, each with a key folded from its number, so that what is drawn depends neither on how many
are held in memory at once nor on how many devices there are.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree
from scipy.stats import poisson

from spatialjax.errors import ModelError
from spatialjax.granular.concentration import check_entry
from spatialjax.granular.parameters import Parameters, check_parameters

BLOCK = 1024
"""Sectors with one key."""
NEGLIGIBLE = 1e-13
"""Probability of more firms than a sector has room for."""
ARRAYS = 12
"""Arrays of all firms that are alive at once while a chunk is evaluated, at a guess that errs upwards."""

Shares = Float[Array, " firm"]
Statistic = Callable[[Shares, Parameters], PyTree]


class SectorAverages(NamedTuple):
    """Means over sectors weighted by size, and their standard errors: pytrees like the statistic's result."""

    mean: PyTree
    error: PyTree
    draws: int


def draw_shares(
    key: Key[Array, ""],
    others: Int[Array, " sector"],
    size_tail: Float[Array, ""],
    firms: int,
) -> Float[Array, "sector firm"]:
    """Shares of firms in sectors of one firm drawn by size, the first, and `others` ordinary ones.

    Zero beyond them. `firms` is the room for both.
    """
    return _firms_first(key, others, size_tail, firms).T


def _firms_first(key, others, size_tail, firms: int) -> Float[Array, "firm sector"]:
    """Firms along the first axis: sums over firms then run over all sectors at once."""
    log_size = jax.random.exponential(key, (firms, others.size)) / size_tail
    log_size = log_size.at[0].multiply(size_tail / (size_tail - 1))
    present = jnp.arange(firms)[:, None] <= others
    return jax.nn.softmax(jnp.where(present, log_size, -jnp.inf), axis=0)


def most_firms(m: float) -> int:
    """Room for firms in a sector that m others enter on average: more are as good as impossible."""
    return 1 + int(poisson.isf(NEGLIGIBLE, m))


def sector_averages(
    statistic: Statistic,
    m: float,
    parameters: Parameters,
    *,
    key: Key[Array, ""],
    draws: int = 2**20,
    max_memory: float = 2**28,
    progress: Callable[[int, int], None] | None = None,
) -> SectorAverages:
    """Averages over sectors of any statistic of their firms' shares, weighted by size, by simulation.

    **Arguments:**

    - `statistic`: maps the shares of one sector's firms (zeros are no firms) and the parameters to a pytree of numbers.
      A module-level function: it is compiled once.
    - `m`: mean number of firms in a sector.
    - `draws`: sectors drawn, rounded up to a multiple of `BLOCK`.
    - `max_memory`: bytes that may be in use at once; the result does not depend on it.
    - `progress`: called with the sectors drawn so far and in all.

    **Returns:** means and standard errors. What is drawn depends on `key` and `draws` only, whatever the memory and the
    number of devices.

    **Raises:** `ModelError` for arguments out of range, and for parameters with `sector_dispersion`: all sectors drawn
    have one entry rate.
    """
    check_parameters(parameters)
    checked = check_entry(m)
    if checked.ndim:
        raise ModelError(f"m must be a number, found shape {checked.shape}: call once for each place")
    m = float(checked)
    if parameters.sector_dispersion is not None:
        raise ModelError("sector_averages draws sectors of one entry rate m: set sector_dispersion to None")
    if draws < 2 * BLOCK:
        raise ModelError(f"draws must be at least {2 * BLOCK}, found {draws}")
    firms, blocks = most_firms(m), math.ceil(draws / BLOCK)
    devices = jax.devices()
    fit = max(1, int(max_memory // (8 * ARRAYS * BLOCK * firms)))
    at_once = min(fit, math.ceil(blocks / len(devices))) * len(devices)
    cumulative = jnp.asarray(poisson.cdf(np.arange(firms - 1), m))
    parts = []
    for first in range(0, blocks, at_once):
        numbers = np.arange(first, first + at_once)
        placed = _spread(jnp.asarray(numbers), devices)
        chunk = _chunk(statistic, placed, key, cumulative, parameters, firms)
        kept = min(blocks, first + at_once) - first
        parts.append(jax.tree.map(lambda x: np.asarray(x)[:kept], chunk))  # noqa: B023
        if progress is not None:
            progress((first + kept) * BLOCK, blocks * BLOCK)
    mean, squares = jax.tree.map(lambda *pieces: np.concatenate(pieces), *parts) if len(parts) > 1 else parts[0]
    return _merge(mean, squares, blocks)


def _spread(blocks: Int[Array, " block"], devices) -> Int[Array, " block"]:
    """Blocks dealt out to all devices: they share nothing."""
    if len(devices) == 1:
        return blocks
    mesh = jax.sharding.Mesh(np.asarray(devices), ("block",))
    return jax.device_put(blocks, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("block")))


@partial(jax.jit, static_argnums=(0, 5))
def _chunk(statistic: Statistic, blocks, key, cumulative, parameters: Parameters, firms: int) -> Any:
    """Means and sums of squared deviations by block."""

    def of_block(number):
        for_number, for_sizes = jax.random.split(jax.random.fold_in(key, number))
        uniform = jax.random.uniform(for_number, (BLOCK, 1))
        others = (uniform > cumulative).sum(-1)
        shares = _firms_first(for_sizes, others, parameters.size_tail, firms)
        values = jax.vmap(statistic, (1, None))(shares, parameters)
        mean = jax.tree.map(lambda x: x.mean(0), values)
        return mean, jax.tree.map(lambda x, centre: ((x - centre) ** 2).sum(0), values, mean)

    return jax.vmap(of_block)(blocks)


def _merge(mean, squares, blocks: int) -> SectorAverages:
    """Means and standard errors of all draws from those of blocks of equal size."""
    draws = blocks * BLOCK

    def error(means, within):
        between = BLOCK * ((means - means.mean(0)) ** 2).sum(0)
        return np.sqrt((within.sum(0) + between) / (draws - 1) / draws)

    return SectorAverages(jax.tree.map(lambda means: means.mean(0), mean), jax.tree.map(error, mean, squares), draws)
