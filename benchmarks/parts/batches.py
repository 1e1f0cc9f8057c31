"""Many scenarios at once: equilibria a second, beside a loop of single solves; optima and gradients likewise."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import spatialjax
from spatialjax import Economy

from ..cases import (
    TOLERANCE,
    gradient_in_productivity,
    productivity_shocks,
    solve,
    trade_cost_shocks,
    without_externalities,
)
from ..floors import batched_floor
from ..measuring import free_memory, measure, peak_memory
from ..processes import PartError, in_own_process
from ..protocol import Part, Row, Setting
from ..report import Column, compile_cell, last_line, memory, name_cell, number_cell, run_cell, table

SIZES = (16, 256, 4096)
LOOP = 16
"""Scenarios that are also solved one by one, and compared."""
OPTIMA = 4
"""Scenarios whose optima are also found one by one."""
BRIEF = 15.0
"""Seconds up to which a batch is called once to compile, and then timed. Longer ones have been compiled by the batch
before, or compile for much less time than they run."""
SHARE_OF_MEMORY = 0.25
"""Of free memory, that what changes may take."""

Changes = dict[str, Any]


class Kind(NamedTuple):
    """A family of scenarios: its name, the economy, and what `count` scenarios change."""

    name: str
    economy: Callable[[Economy], Economy]
    changes: Callable[[Economy, int], Changes]


def _as_it_is(economy: Economy) -> Economy:
    return economy


KINDS = {
    "productivity": Kind("5 percent shocks to productivity, CH externalities", _as_it_is, productivity_shocks),
    "no externalities": Kind("the same without externalities", without_externalities, productivity_shocks),
    "trade costs": Kind("5 percent shocks to trade costs, CH externalities", _as_it_is, trade_cost_shocks),
}


def run(setting: Setting) -> Row:
    """Each family in a process of its own, and what else goes in batches."""
    found: Row = {}
    for name in KINDS:
        found[name] = _tried(measure_solves, setting, name)
    found["optima"] = _tried(measure_optima, setting)
    found["gradients"] = _tried(measure_gradients, setting)
    return {"families": found, "cities": setting.data().sizes["city"]}


def _tried(function: Callable[..., Row], *arguments: Any) -> Row:
    try:
        return in_own_process(function, *arguments)
    except PartError as error:
        return {"failed": str(error), "rows": []}


def measure_solves(setting: Setting, family: str) -> Row:
    """A loop of single solves, then batches of each size."""
    kind = KINDS[family]
    economy = kind.economy(spatialjax.invert(setting.data()))
    scenarios = spatialjax.Scenarios.of(economy, kind.changes(economy, LOOP), spatialjax.LaissezFaire())

    def loop():
        return [solve(scenarios.one(index)[0]) for index in range(LOOP)]

    def batch(changes: Changes):
        return spatialjax.solve_many(economy, changes, tolerance=TOLERANCE)

    single, alone = measure(loop, repeats=setting.few, time_limit=setting.limit)
    rows = [{"name": f"{kind.name}: a loop of {LOOP} solves", **single.row(), **_rate(LOOP, single.median)}]
    for row, found in _batches(economy, kind, batch, setting, rows[0]["per_second"]):
        if found is not None:
            row |= _how_they_ended(found)
            if row["count"] == LOOP:
                row["log_difference"] = _largest_difference(found, alone)
        rows.append(row)
    return {"rows": rows, **peak_memory()}


def measure_optima(setting: Setting) -> Row:
    """Optima of economies with other productivities, each with equal gains from its own equilibrium."""
    call = getattr(spatialjax, "optimum_many", None)
    if call is None:
        return _missing("optimum_many")
    economy = spatialjax.invert(setting.data())
    one = _scenario_by_scenario(economy, OPTIMA)

    def loop():
        found = [spatialjax.optimum(one(index), solve(one(index)), throw=False) for index in range(OPTIMA)]
        return [optimum.gain for optimum in found]

    single, _ = measure(loop, repeats=1, time_limit=setting.limit)
    name = "optima with equal gains, the same shocks"
    rows = [{"name": f"{name}: a loop of {OPTIMA}, with certificates", **single.row(), **_rate(OPTIMA, single.median)}]
    for certificates in (True, False):
        kind = Kind(f"{name}, {'with' if certificates else 'without'} certificates", _as_it_is, productivity_shocks)

        def batch(changes: Changes, certificates=certificates):
            return call(economy, changes, certificates=certificates)

        rows += _rows_of(economy, kind, batch, setting, rows[0]["per_second"])
    return {"rows": rows, **peak_memory()}


def measure_gradients(setting: Setting) -> Row:
    """Gradients of total welfare in fundamental productivity, scenario by scenario."""
    call = getattr(spatialjax, "gradient_many", None)
    if call is None:
        return _missing("gradient_many")
    economy = spatialjax.invert(setting.data())
    population = economy.population
    one = _scenario_by_scenario(economy, LOOP)

    def loop():
        return [gradient_in_productivity(one(index)) for index in range(LOOP)]

    def total_welfare(equilibrium):
        return (equilibrium.welfare * population).sum()

    single, alone = measure(loop, repeats=setting.few, time_limit=setting.limit)
    kind = Kind("gradients of welfare in productivity, the same shocks", _as_it_is, productivity_shocks)
    rows = [{"name": f"{kind.name}: a loop of {LOOP}", **single.row(), **_rate(LOOP, single.median)}]
    rate = rows[0]["per_second"]
    for row, found in _batches(economy, kind, lambda changes: call(economy, changes, total_welfare), setting, rate):
        if found is not None:
            row |= _how_they_ended(found)
            if row["count"] == LOOP:
                slopes = np.stack([slope for _, slope in alone])
                gap = np.abs(np.asarray(found.gradient["fundamental_productivity"]) - slopes).max()
                row["log_difference"] = float(gap / np.abs(slopes).max())
        rows.append(row)
    return {"rows": rows, **peak_memory()}


def _scenario_by_scenario(economy: Economy, count: int) -> Callable[[int], Economy]:
    scenarios = spatialjax.Scenarios.of(economy, productivity_shocks(economy, count), spatialjax.LaissezFaire())
    return lambda index: scenarios.one(index)[0]


def _missing(name: str) -> Row:
    row = {"name": name, "left_out": "this version of the library does not have it"}
    return {"rows": [row], **peak_memory()}


def _rows_of(
    economy: Economy, kind: Kind, call: Callable[[Changes], Any], setting: Setting, rate: float
) -> Iterator[Row]:
    for row, found in _batches(economy, kind, call, setting, rate):
        yield row if found is None else row | _how_they_ended(found)


def _batches(
    economy: Economy, kind: Kind, call: Callable[[Changes], Any], setting: Setting, rate: float
) -> Iterator[tuple[Row, Any]]:
    """A row for each size of batch, and what it found; the loop had `rate` a second."""
    for count in SIZES[:1] if setting.quick else SIZES:
        name = f"{kind.name}: {count:,} at once"
        expected, smallest = count / rate, count == SIZES[0]
        reason = _too_large(economy, kind, count) or ("" if smallest else _too_long(expected, setting))
        if reason:
            yield {"name": name, "count": count, "left_out": reason}, None
            continue
        changes = jax.tree.map(jnp.asarray, kind.changes(economy, count))
        brief = smallest or expected < BRIEF
        timing, found = measure(lambda c=changes: call(c), repeats=setting.few, time_limit=setting.limit, warm_up=brief)
        row = {"name": name, "count": count, **timing.row(), **_rate(count, timing.median), "memory": peak_memory()}
        if not brief:
            row["compile_seconds"] = None
        rate = row["per_second"]
        yield row, found


def _rate(count: int, elapsed: float) -> Row:
    return {"per_second": count / elapsed}


def _too_large(economy: Economy, kind: Kind, count: int) -> str:
    size = count * sum(np.asarray(leaf).nbytes for leaf in kind.changes(economy, 1).values())
    if size <= SHARE_OF_MEMORY * free_memory():
        return ""
    return f"what changes takes {size / 2**30:.0f} GiB"


def _too_long(expected: float, setting: Setting) -> str:
    return f"would take about {expected:,.0f} s" if expected > setting.limit else ""


def _how_they_ended(found: Any) -> Row:
    """How many scenarios were solved, and for equilibria the evaluations."""
    if not isinstance(found, spatialjax.Equilibrium):
        solved = found.found if hasattr(found, "found") else found.converged
        return {"converged": int(np.asarray(solved).sum())}
    evaluations = np.asarray(found.evaluations)
    return {
        "converged": int(np.asarray(found.converged).sum()),
        "evaluations": float(evaluations.mean()),
        "most_evaluations": int(evaluations.max()),
    }


def _largest_difference(found: spatialjax.Equilibrium, alone: list[spatialjax.Equilibrium]) -> float:
    """Largest relative difference of wages and employment between the batch and the single solves."""
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *(eqx.filter(one, eqx.is_array) for one in alone))
    pairs = ((found.wage, stacked.wage), (found.employment, stacked.employment))
    return max(float(np.abs(np.asarray(a) / np.where(b > 0, b, 1.0) - (b > 0)).max()) for a, b in pairs)


def describe(part: Row, results: Row) -> list[str]:
    """One row for each family and size; failures by name."""
    floor = batched_floor(results, part["cities"])

    def most(row: Row) -> str:
        return f"{1 / (floor * row['evaluations']):,.0f}" if floor and "evaluations" in row else ""

    columns: list[Column] = [
        ("", name_cell),
        ("run", run_cell),
        ("compile", compile_cell),
        ("a second", lambda r: f"{r['per_second']:,.1f}" if "per_second" in r else ""),
        ("floor: at most a second", most),
        ("converged", number_cell("converged", ",")),
        ("evaluations, mean", number_cell("evaluations", ".0f")),
        ("most", number_cell("most_evaluations")),
        ("relative difference from the loop", number_cell("log_difference", ".0e")),
        ("peak memory", lambda r: memory(r["memory"]) if "memory" in r else ""),
    ]
    families = part["families"]
    failures = [f"{name}: {last_line(found['failed'])}." for name, found in families.items() if "failed" in found]
    return [
        *table(columns, [row for found in families.values() for row in found["rows"]]),
        "",
        "Floor: as many as the arithmetic of the kernel products of these evaluations allows, at this device's rate of "
        "multiplying matrices. Peak memory is of the family's process so far. What was called once may have compiled.",
        *failures,
    ]


PART = Part(lambda part: f"Batches: {part['cities']} cities", run, describe)
