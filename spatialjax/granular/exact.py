"""Production of places from the exact solution of their sectors' games.

Averages over sectors are weighted by size. A sector of a place with m firms by sector on average is then one firm with
size drawn from a Pareto distribution of tail a - 1 and a Poisson(m) number of others, of tail a = lambda eta (Mecke's
formula). With y and l the means of output and labour per unit of size at w_i = 1,

    Phi = y / l^(1-eta),    Phi + Psi = l^eta / (1-eta),

as output is z m^eta l^(1-eta) Phi and the wage bill, here l, is (1-eta) times the same with Phi + Psi.

The means are simulated once for each number of firms, with common draws, then mixed with Poisson weights: Phi and Psi
are smooth in m. Sums of powers of shares, whose means `concentration.power_sums` gives exactly, serve as control
variates: Phi and Psi are nearly linear in them.
"""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy import stats

from spatialjax.errors import ConvergenceError, ModelError
from spatialjax.granular.concentration import check_entry, dispersed, power_sums
from spatialjax.granular.conduct import Conduct
from spatialjax.granular.game_shocks import MAX_HERMITE_FIRMS, MIN_STATES, drawn_shocks, hermite_shocks, stratified
from spatialjax.granular.mixing import number_weights
from spatialjax.granular.parameters import Parameters
from spatialjax.granular.sector_game import check_game, solve_game

DRAWS = 1024
"""Sectors drawn for each number of firms."""
STATES = 256
"""Drawn for sectors of more than three firms; never fewer than four for each firm."""
MAX_MEMORY = 2**24
"""Bytes: more is no faster on processors with caches of this size."""
BLOCK = 32
"""Sectors drawn together, stratified, with one draw of shocks; standard errors are those of independent blocks."""
LEAST_BLOCKS = 16
CONTROLS = ("2", "3", "22")
"""Of `power_sums`: means of sum s^2, sum s^3 and (sum s^2)^2."""
WIDTHS = (1, 2, 3, 6, 12, 24, 48, 96, 192, 384, 768)
"""Sectors are padded to one of these numbers of firms: each is compiled once."""
ARRAYS_OF_A_GAME = 12
"""Arrays by state and firm that exist at once."""
DENSE, SPACING = 8, 1.3
"""Numbers of other firms simulated: each up to the first, then growing by the second; interpolated between."""
NEGLIGIBLE = 1e-6
"""Share of sectors that may have more than the largest number of firms, unless this number is given."""


Progress = Callable[[int, int], None]


class SectorTable(eqx.Module):
    """Size-weighted means of sectors by number of firms: one drawn by size, and `others`.

    - `output`, `labour`: mean expected output and labour per unit of size at w_i = 1, in each block of draws, less what
      control variates account for.
    - `unsolved`: share of games not solved; `residual`: largest error of a condition of any game, in logs.
    """

    others: tuple[int, ...] = eqx.field(static=True)
    output: Float[Array, "block number"]
    labour: Float[Array, "block number"]
    unsolved: Float[Array, " number"]
    residual: Float[Array, " number"]


class ExactProduction(eqx.Module):
    """Phi and Psi of KO's Lemmas 2 and 3, exact but for simulation, with standard errors; shapes are those of m.

    The errors are those of drawn sectors and states; that of quadrature over states is near 1e-6 at KO's parameters.
    `coverage` is the share of sectors, by size, that have at most `max_firms` firms. The others are left out.
    """

    phi: Float[Array, "..."]
    psi: Float[Array, "..."]
    phi_error: Float[Array, "..."]
    psi_error: Float[Array, "..."]
    coverage: Float[Array, "..."]

    @property
    def markdown(self) -> Float[Array, "..."]:
        """-Psi/Phi: one less the ratio of the wage to the marginal product of labour."""
        return -self.psi / self.phi


def exact_production(
    m: Float[Array, "..."] | float,
    parameters: Parameters,
    conduct: Conduct,
    *,
    key: Key[Array, ""],
    draws: int = DRAWS,
    states: int = STATES,
    max_firms: int | None = None,
    max_memory: int = MAX_MEMORY,
) -> ExactProduction:
    """Phi and Psi at given numbers of firms, from `exact_production_table` and `production_of`.

    **Arguments:**

    - `m`: mean number of firms in a sector, above zero; any shape.
    - `conduct`: "competitive" or "cournot".
    - `draws`: sectors drawn for each number of firms, in blocks of 32; 512 at least.
    - `states`: of the world, drawn for each block, for sectors of more than three firms.
    - `max_firms`: sectors with more are left out; by default those are fewer than one in a million.
    - `max_memory`: bytes, approximately; results do not depend on it.

    **Raises:** `ModelError` for arguments out of range, infinite `elasticity_across_firms` or zero
    `elasticity_across_sectors`; `ConvergenceError` if a game has no solution.
    """
    table = exact_production_table(
        m, parameters, conduct, key=key, draws=draws, states=states, max_firms=max_firms, max_memory=max_memory
    )
    return production_of(table, m, parameters)


def exact_production_table(
    m: Float[Array, "..."] | float,
    parameters: Parameters,
    conduct: Conduct,
    *,
    key: Key[Array, ""],
    draws: int = DRAWS,
    states: int = STATES,
    max_firms: int | None = None,
    max_memory: int = MAX_MEMORY,
    progress: Progress | None = None,
) -> SectorTable:
    """What `production_of` needs up to the largest `m`; arguments and errors are those of `exact_production`."""
    check_game(parameters, conduct)
    max_firms = _max_firms(check_entry(m), parameters) if max_firms is None else max_firms
    table = tabulate_sectors(
        parameters,
        conduct,
        key=key,
        max_firms=max_firms,
        draws=draws,
        states=states,
        max_memory=max_memory,
        progress=progress,
    )
    _raise_unless_solved(table)
    return table


def tabulate_sectors(
    parameters: Parameters,
    conduct: Conduct,
    *,
    key: Key[Array, ""],
    max_firms: int,
    draws: int = DRAWS,
    states: int = STATES,
    max_memory: int = MAX_MEMORY,
    progress: Progress | None = None,
) -> SectorTable:
    """Solve the games of sectors of 1 to `max_firms` firms; one table serves all places.

    Arguments are those of `exact_production`, and `progress`, called with the work done so far and in all. Games
    without a solution are counted, and nothing is raised for them.
    """
    check_game(parameters, conduct)
    if not 1 <= max_firms <= WIDTHS[-1]:
        raise ModelError(f"max_firms must be from 1 to {WIDTHS[-1]}, found {max_firms}")
    if states % 2 or states < MIN_STATES:
        raise ModelError(f"states must be even and at least {MIN_STATES}, found {states}")
    others = numbers_of_others(max_firms)
    width = np.array(WIDTHS)[np.searchsorted(WIDTHS, others + 1)]
    work = np.cumsum(width * np.maximum(states, 4 * width))
    blocks = max(LEAST_BLOCKS, -(-draws // BLOCK))
    columns = []
    for number, room, done in zip(others, width, work, strict=True):
        at = (jnp.asarray([number]), parameters, conduct, blocks, int(room), max(states, 4 * int(room)), max_memory)
        columns.append(jax.block_until_ready(_solve_blocks(key, *at)))
        if progress is not None:
            progress(int(done), int(work[-1]))
    output, labour, unsolved, residual, controls = (
        jnp.concatenate(parts, axis=1) for parts in zip(*columns, strict=True)
    )
    controls = controls - _control_means(jnp.asarray(others, dtype=float), parameters)
    output, labour = _controlled(output, controls), _controlled(labour, controls)
    return SectorTable(tuple(int(n) for n in others), output, labour, unsolved.mean(0), residual.max(0))


@jax.jit
def _control_means(others, parameters: Parameters) -> Float[Array, "number control"]:
    means = power_sums(others, parameters.size_tail)
    return jnp.stack([means[name] for name in CONTROLS], axis=1)


@partial(jax.vmap, in_axes=(1, 1), out_axes=1)
def _controlled(by_block, controls):
    """Means by block less their regression on controls of mean zero."""
    slopes = jnp.linalg.lstsq(controls - controls.mean(0), by_block - by_block.mean(), rcond=1e-8)[0]
    return by_block - controls @ slopes


def production_of(table: SectorTable, m: Float[Array, "..."] | float, parameters: Parameters) -> ExactProduction:
    """Phi and Psi at `m` of a table made with the same parameters; smooth and differentiable in `m`."""
    weight, coverage = _number_weights(check_entry(m), table.others, parameters)
    output, labour = (jnp.tensordot(weight, by_block, axes=((-1,), (1,))) for by_block in (table.output, table.labour))
    y, employment = output.mean(-1), labour.mean(-1)
    eta = parameters.profit_share
    phi = y / employment ** (1 - eta)
    paid = employment**eta / (1 - eta)
    by_output, by_labour = output / y[..., None], labour / employment[..., None]
    phi_by_block = phi[..., None] * (by_output - (1 - eta) * by_labour)
    paid_by_block = paid[..., None] * eta * by_labour
    return ExactProduction(phi, paid - phi, _error(phi_by_block), _error(paid_by_block - phi_by_block), coverage)


def jackknife(table: SectorTable) -> list[SectorTable]:
    """The table without each block of draws in turn, from which standard errors of anything follow.

    The variance of a function of the table is (blocks - 1) times that over these tables.
    """
    blocks = table.output.shape[0]
    return [
        eqx.tree_at(
            lambda t: (t.output, t.labour), table, (jnp.delete(table.output, b, 0), jnp.delete(table.labour, b, 0))
        )
        for b in range(blocks)
    ]


def _error(by_block):
    """Standard error of the mean over blocks, after as many regressions as there are controls."""
    return by_block.std(-1, ddof=1 + len(CONTROLS)) / jnp.sqrt(by_block.shape[-1])


def numbers_of_others(max_firms: int) -> np.ndarray:
    """Numbers of other firms for which sectors are simulated, zero to `max_firms` - 1."""
    numbers = list(range(min(max_firms, DENSE + 1)))
    while numbers[-1] < max_firms - 1:
        numbers.append(min(int(np.ceil(SPACING * numbers[-1])), max_firms - 1))
    return np.array(numbers)


def _max_firms(m, parameters: Parameters) -> int:
    """The number of firms that a negligible share of sectors exceed."""
    rates, weights = (np.asarray(x) for x in dispersed(m.max(), parameters))
    reached = weights[::-1].cumsum()[::-1] > NEGLIGIBLE / 2
    largest = 1 + int(stats.poisson.isf(NEGLIGIBLE / 2, rates[reached].max()))
    if largest > WIDTHS[-1]:
        raise ModelError(
            f"sectors have up to {largest} firms, and at most {WIDTHS[-1]} can be solved: with max_firms, larger "
            "ones are left out; the second-order solution takes any number"
        )
    return largest


def _number_weights(m, others: tuple[int, ...], parameters: Parameters):
    """Weights of the simulated numbers of other firms, and the Poisson probability of the numbers that they span."""
    rates, rate_weights = dispersed(m, parameters)
    numbers = np.asarray(others, float)
    weight, coverage = jax.vmap(lambda rate: number_weights(rate, numbers, largest=others[-1]))(rates.ravel())
    weight = jnp.einsum("...rn,r->...n", weight.reshape(*rates.shape, -1), rate_weights)
    coverage = coverage.reshape(rates.shape) @ rate_weights
    return weight / jnp.where(coverage > 0, coverage, 1.0)[..., None], coverage


@partial(jax.jit, static_argnames=("conduct", "blocks", "width", "states", "max_memory"))
def _solve_blocks(key, others, parameters: Parameters, conduct: Conduct, blocks, width, states, max_memory):
    """Means of every block, for each number of others: output, labour, share unsolved, largest error, controls."""
    games = max(1, max_memory // (8 * width * states * ARRAYS_OF_A_GAME))

    def means(pair):
        block, number = pair
        return _block_means(jax.random.fold_in(key, block), number, parameters, conduct, width, states, games)

    pairs = (jnp.repeat(jnp.arange(blocks), others.size), jnp.tile(others, blocks))
    at_once = _largest_divisor(blocks * others.size, games // BLOCK)
    results = jax.lax.map(means, pairs, batch_size=at_once)
    return tuple(result.reshape(blocks, others.size, *result.shape[1:]) for result in results)


def _largest_divisor(whole: int, limit: int) -> int:
    """Batches of equal size: a remainder would be compiled once more."""
    return max(n for n in range(1, whole + 1) if whole % n == 0 and n <= max(1, limit))


def _block_means(key, number, parameters: Parameters, conduct: Conduct, width, states, games):
    size_key, shock_key = jax.random.split(key)
    shares = stratified_shares(size_key, number, width, parameters.size_tail)
    if width <= MAX_HERMITE_FIRMS:
        shocks = hermite_shocks(parameters, width)
    else:
        shocks = drawn_shocks(parameters, width, states, key=shock_key)

    def play(one):
        game = solve_game(one, parameters, conduct, shocks=shocks)
        return game.output, game.labour, 1.0 - game.converged, game.residual

    output, labour, unsolved, residual = jax.lax.map(play, shares, batch_size=_largest_divisor(BLOCK, games))
    squares, cubes = (shares**2).sum(1), (shares**3).sum(1)
    controls = jnp.stack([squares.mean(), cubes.mean(), (squares**2).mean()])
    return output.mean(), labour.mean(), unsolved.mean(), residual.max(), controls


def stratified_shares(key, number, width: int, size_tail) -> Float[Array, "draw firm"]:
    """Shares of size, the largest first, of sectors of a firm drawn by size and `number` others, padded by zeros."""
    tail = jnp.where(jnp.arange(width) == 0, size_tail - 1, size_tail)
    log_size = -jnp.log(stratified(key, BLOCK, width)) / tail
    log_size = jnp.where(jnp.arange(width) <= number, log_size, -jnp.inf)
    return jax.nn.softmax(jnp.sort(log_size, axis=1, descending=True), axis=1)


def _raise_unless_solved(table: SectorTable) -> None:
    if np.any(table.unsolved > 0):
        worst = int(np.argmax(table.unsolved))
        raise ConvergenceError(
            f"{float(table.unsolved[worst]):.2%} of the sectors drawn with {table.others[worst] + 1} firms have "
            f"no solution, the largest error is {float(table.residual.max()):.1e}: shocks are too large for so small "
            "an elasticity_across_sectors; tabulate_sectors shows which numbers of firms can be solved"
        )
