"""The scenarios of a sweep: a value of each parameter for each of them."""

import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from spatialjax.errors import ConfigError
from spatialjax.workflow.sweep_schema import SweepSection, Value

MOST_SCENARIOS = 1_000_000


@dataclass(frozen=True)
class ScenarioTable:
    """Values of parameters, by name of the parameter, in the order of scenarios."""

    columns: Mapping[str, Sequence[Value]]

    @property
    def count(self) -> int:
        """How many scenarios there are."""
        return len(next(iter(self.columns.values())))

    @cached_property
    def flat(self) -> dict[str, np.ndarray]:
        """Numbers or words by column of a table: lists of numbers have a column for each position, "size.0"."""
        return {name: cells for parameter, values in self.columns.items() for name, cells in _flat(parameter, values)}

    def row(self, scenario: int) -> dict[str, Value]:
        """The parameters of one scenario."""
        return {name: column[scenario] for name, column in self.columns.items()}

    def described(self, scenario: int) -> str:
        """The parameters of one scenario, in words."""
        return ", ".join(f"{name} = {written(value)}" for name, value in self.row(scenario).items())


def _flat(name: str, values: Sequence[Value]) -> Iterator[tuple[str, np.ndarray]]:
    if any(isinstance(value, str) for value in values):
        yield name, np.array([written(value) for value in values], dtype=object)
    elif width := max((len(value) for value in values if isinstance(value, tuple)), default=0):
        for i in range(width):
            yield f"{name}.{i}", np.array([_at(value, i) for value in values])
    else:
        yield name, np.array(values, dtype=float)


def _at(value: Value, position: int) -> float:
    if isinstance(value, tuple):
        return value[position] if position < len(value) else np.nan
    return float(value)


def written(value: Value) -> str:
    """A value of a parameter, short."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return f"[{', '.join(map(written, value))}]"
    return f"{value:.6g}"


def scenario_table(sweep: SweepSection) -> ScenarioTable:
    """The scenarios that a section describes.

    A grid goes through the values of its last parameter first. Draws are numbered: draw d of a parameter is made of
    the seed, of d and of the parameter's name, so that it depends neither on how many draws there are nor on the other
    parameters. Parameters of a sweep by draws that are not drawn are gone through for each draw.

    **Raises:** `ConfigError` for correlations that cannot be, for a file that cannot be read or that lacks a
    parameter, and for more than a million scenarios.
    """
    if sweep.kind == "draws":
        return _drawn(sweep)
    if sweep.file is not None:
        return ScenarioTable(_read_rows(sweep.file, list(sweep.parameter)))
    listed = _listed(sweep)
    return ScenarioTable(_grid(listed) if sweep.kind == "grid" else listed)


def _listed(sweep: SweepSection) -> dict[str, Sequence[Value]]:
    return {name: listed for name, p in sweep.parameter.items() if (listed := p.listed()) is not None}


def _check_count(count: int) -> None:
    if count > MOST_SCENARIOS:
        raise ConfigError(f"sweep: {count:,} scenarios are more than the {MOST_SCENARIOS:,} that one sweep can have")


def _grid(listed: Mapping[str, Sequence[Value]]) -> dict[str, Sequence[Value]]:
    _check_count(int(np.prod([float(len(values)) for values in listed.values()])))
    return dict(zip(listed, zip(*itertools.product(*listed.values()), strict=True), strict=True))


def _drawn(sweep: SweepSection) -> ScenarioTable:
    assert sweep.draws is not None
    grid = _grid(listed) if (listed := _listed(sweep)) else {}
    points = len(next(iter(grid.values()))) if grid else 1
    _check_count(sweep.draws * points)
    draws = _draws(sweep)
    columns: dict[str, Sequence[Value]] = {}
    for name in sweep.parameter:
        columns[name] = np.repeat(draws[name], points).tolist() if name in draws else list(grid[name]) * sweep.draws
    return ScenarioTable(columns)


def _draws(sweep: SweepSection) -> dict[str, np.ndarray]:
    """Draws of each parameter that is drawn, by name."""
    assert sweep.draws is not None
    sections = {name: p.draw for name, p in sweep.parameter.items() if p.draw is not None}
    normal = standard_normals(sweep.seed, list(sections), sweep.draws)
    factor = _cholesky(list(sections), sweep.correlation)
    correlated = {name: _combined(factor[row], normal) for row, name in enumerate(sections)}
    return {name: section.at(correlated[name]) for name, section in sections.items()}


def standard_normals(seed: int, names: Sequence[str], draws: int) -> np.ndarray:
    """Independent standard normal numbers (parameter, draw), each a function of the seed, the name and the number."""
    codes = [zlib.crc32(name.encode()) for name in names]
    key = jax.random.key(seed)

    def draw(number):
        of_draw = jax.random.fold_in(key, number)
        return jnp.stack([jax.random.normal(jax.random.fold_in(of_draw, code), dtype=float) for code in codes])

    return np.asarray(jax.jit(jax.vmap(draw, out_axes=1))(jnp.arange(draws)))


def _combined(weights: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """A weighted sum over parameters; term by term, so that a draw is the same to the last bit among any others."""
    return sum((weight * row for weight, row in zip(weights, normal, strict=True)), np.zeros(normal.shape[1]))


def _cholesky(names: Sequence[str], pairs: Sequence[tuple[str, str, float]]) -> np.ndarray:
    matrix = np.eye(len(names))
    for one, other, value in pairs:
        i, j = names.index(one), names.index(other)
        if matrix[i, j] not in (0.0, value):
            raise ConfigError(f"sweep.correlation: {one} and {other} are given two correlations")
        matrix[i, j] = matrix[j, i] = value
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    if smallest <= 1e-10:
        raise ConfigError(
            "sweep.correlation: no variables have these correlations together: the smallest eigenvalue of their matrix "
            f"is {smallest:.2g} and must be positive; make them smaller"
        )
    return np.linalg.cholesky(matrix)


def _read_rows(file: str, names: Sequence[str]) -> dict[str, Sequence[Value]]:
    try:
        table = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise ConfigError(f"sweep.file: {file} cannot be read as a CSV file with a row a scenario: {error}") from error
    for name in names:
        if name not in table:
            raise ConfigError(f"sweep.file: {file} has no column {name}; it has {', '.join(map(str, table.columns))}")
    for name in table:
        if name not in names:
            raise ConfigError(f"sweep.file: column {name} of {file} is no [sweep.parameter.{name}]; describe it there")
    if table.empty:
        raise ConfigError(f"sweep.file: {file} has no rows")
    _check_count(len(table))
    return {name: list(_cells(file, name, table[name])) for name in names}


def _cells(file: str, name: str, column: pd.Series) -> Iterator[Value]:
    for row, cell in enumerate(column.tolist()):
        if isinstance(cell, str):
            yield cell
        elif abs(cell) < np.inf:  # false of what is no number
            yield float(cell)
        else:
            raise ConfigError(f"sweep.file: {file} has no finite {name} in scenario {row} (line {row + 2})")
