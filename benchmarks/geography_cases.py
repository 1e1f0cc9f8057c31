"""Many places: what products and evaluations cost by geography and number of cities, and whole solves."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import spatialjax
from spatialjax import Economy
from spatialjax.cities.accounts import Accounts, build_accounts
from spatialjax.cities.economy import Labels
from spatialjax.cities.geographies import trade_costs
from spatialjax.cities.input_links import NationalInputMix
from spatialjax.cities.state import State
from spatialjax.data.schema import traded_sectors
from spatialjax.numerics.safe_math import masked_log

from .cases import perturbed, repeat_evaluations, repeat_kernel_products, solve, system_of, without_externalities
from .comparison import how_it_ended
from .economies import random_data
from .measuring import free_memory, measure, peak_memory
from .processes import PartError
from .protocol import QUICK_SIZE, Row, Setting
from .report import Column, ended_cell, last_line, memory, number_cell, run_cell, seconds, table

METHODS = ("stored", "tiled", "hierarchical")
EVALUATIONS = {
    "cpu": {
        "stored": (382, 750, 1500, 3000),
        "tiled": (382, 750, 1500, 3000, 6000, 12_000),
        "hierarchical": (382, 750, 1500, 3000, 6000, 12_000),
    },
    "gpu": {
        "stored": (382, 750, 1500, 3000, 6000),
        "tiled": (382, 750, 1500, 3000, 6000, 12_000, 30_000),
        "hierarchical": (382, 750, 1500, 3000, 6000, 12_000, 30_000),
    },
}
"""Cities at which evaluations are measured; `evaluation_row` measures any other number."""
SOLVES = {"cpu": (3000,), "gpu": (3000, 10_000, 30_000)}
COPIES = 7
"""Arrays as large as trade costs (sector, city, origin) that inversion and a solve hold at most, where they are
stored."""
MEASURED = 0.5
"""Seconds that a loop of evaluations takes, about."""
NOISE = 0.05


def run(setting: Setting, in_own_process: Callable[..., Any]) -> Row:
    """Evaluations and solves, each case in a process of its own."""
    platform = in_own_process(_platform)
    sizes = EVALUATIONS.get(platform, EVALUATIONS["gpu"])
    solves = [(cities, method) for method in METHODS for cities in SOLVES.get(platform, SOLVES["gpu"])]
    if setting.quick:
        sizes, solves = dict.fromkeys(METHODS, (QUICK_SIZE,)), [(QUICK_SIZE, method) for method in METHODS]

    def tried(function: Callable[..., Row], cities: int, method: str) -> Row:
        try:
            return in_own_process(function, setting, cities, method)
        except PartError as error:
            return {"method": method, "cities": cities, "left_out": last_line(str(error))}

    return {
        "evaluations": [tried(evaluation_row, cities, method) for method in METHODS for cities in sizes[method]],
        "solves": [tried(solve_row, cities, method) for cities, method in solves],
    }


def _platform() -> str:
    return jax.default_backend()


def evaluation_row(setting: Setting, cities: int, method: str) -> Row:
    """Seconds and memory of one evaluation of the equilibrium system, and of its two products with the kernel.

    `costs_seconds` is what it takes to make the costs (for the hierarchical method: to build it and to prove its error
    bound), `kernel_seconds` to make the kernel of a solve, compilation included in both. `bytes` are those of costs
    and kernel.
    """
    named = {"method": method, "cities": cities}
    if left_out := _too_large(cities, method):
        return {**named, "left_out": left_out}
    began = perf_counter()
    economy = example_economy(random_data(cities), method)
    costs_seconds = perf_counter() - began
    began = perf_counter()
    system = jax.block_until_ready(system_of(economy))
    kernel_seconds = perf_counter() - began
    start, step = economy.reference, jnp.zeros(())
    products = _seconds_each(setting, lambda count: repeat_kernel_products(system, count))
    evaluations = _seconds_each(setting, lambda count: repeat_evaluations(system, start, step, count))
    return {
        **named,
        "costs_seconds": costs_seconds,
        "kernel_seconds": kernel_seconds,
        "seconds_per_pair_of_products": products,
        "seconds_per_evaluation": evaluations,
        "bytes": _bytes((economy.log_iceberg_cost, system.geography)),
        **peak_memory(),
    }


def _seconds_each(setting: Setting, loop: Callable[[Any], Any]) -> float:
    """Seconds per iteration of a loop, from the fastest of a few runs long enough to be timed."""
    once, _ = measure(lambda: loop(jnp.asarray(1)), repeats=1, time_limit=setting.limit)
    count = 1 if setting.quick else max(1, int(MEASURED / once.minimum))
    timing, _ = measure(lambda: loop(jnp.asarray(count)), repeats=setting.few, time_limit=setting.limit)
    return timing.minimum / count


def solve_row(setting: Setting, cities: int, method: str) -> Row:
    """Inversion, the counterfactual without externalities, and CH externalities from 5 percent noise."""
    named = {"method": method, "cities": cities}
    if left_out := _too_large(cities, method):
        return {**named, "left_out": left_out}
    data = random_data(cities)
    timed: dict[str, Any] = {"repeats": 1, "time_limit": setting.limit}
    inversion, economy = measure(lambda: spatialjax.invert(data, geography=method), **timed)
    none, found = measure(lambda: solve(without_externalities(economy)), **timed)
    start = perturbed(economy.reference, NOISE)
    noise, again = measure(lambda: solve(economy, start), **timed)
    return {
        **named,
        "inversion": inversion.row(),
        "no_externalities": {**none.row(), **how_it_ended(found)},
        "from_noise": {**noise.row(), **how_it_ended(again)},
        "welfare": [float(value) for value in found.welfare],
        **peak_memory(),
    }


def _too_large(cities: int, method: str) -> str:
    needed = COPIES * 8.0 * 22 * cities**2
    if method == "stored" and needed > free_memory():
        return f"needs about {needed / 2**30:.0f} GiB"
    return ""


def _bytes(tree: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array)))


def example_economy(data: xr.Dataset, geography: str) -> Economy:
    """An economy of the data's size, without inversion: its fundamentals mean nothing, what it costs is the same."""
    accounts = build_accounts(data)
    elasticity = jnp.asarray(10.0)
    employment = accounts.employment.sum(2)
    return Economy(
        spillover=spatialjax.OccupationSpillover(),
        fundamental_productivity=jnp.asarray((accounts.employment > 0).astype(float)),
        amenity=jnp.ones(employment.shape),
        trade_elasticity=elasticity,
        location_elasticity=jnp.asarray(2.02),
        occupation_substitution=jnp.asarray(2.0),
        consumption_share=jnp.asarray(accounts.consumption_share),
        value_added_share=jnp.asarray(accounts.value_added_share),
        land_share=jnp.asarray(accounts.land_share),
        input_links=NationalInputMix(jnp.asarray(accounts.input_mix)),
        log_iceberg_cost=trade_costs(data, elasticity, geography),
        land=jnp.ones(employment.shape[0]),
        population=jnp.asarray(employment.sum(0)),
        wage_bill=jnp.asarray((accounts.wage * employment).sum()),
        reference=_state(accounts),
        traded=tuple(int(j) for j in np.flatnonzero(traded_sectors(data))),
        labels=Labels(*(tuple(map(str, data[axis].values)) for axis in ("city", "occupation", "sector"))),
    )


def _state(accounts: Accounts) -> State:
    cities, sectors = accounts.expenditure.shape
    return State(
        log_wage=masked_log(jnp.asarray(accounts.wage)),
        log_employment=masked_log(jnp.asarray(accounts.employment.sum(2))),
        log_rent=jnp.zeros(cities),
        log_price=jnp.zeros((cities, sectors)),
        log_expenditure=jnp.log(jnp.asarray(accounts.expenditure)),
    )


def describe(part: Row, results: Row) -> list[str]:
    """A table of evaluations, one of solves, and what was left out."""
    exact = {row["cities"]: row["welfare"] for row in part["solves"] if row["method"] == "stored" and "welfare" in row}

    def difference(row: Row) -> str:
        if row["method"] == "stored" or row["cities"] not in exact:
            return ""
        return f"{np.abs(np.array(row['welfare']) / exact[row['cities']] - 1).max():.0e}"

    evaluations: list[Column] = [
        *_named_columns(),
        ("evaluation", lambda r: seconds(r["seconds_per_evaluation"])),
        ("its products with the kernel", lambda r: seconds(r["seconds_per_pair_of_products"])),
        ("costs and kernel", lambda r: f"{r['bytes'] / 2**20:,.0f} MiB"),
        ("to make the costs", lambda r: seconds(r["costs_seconds"])),
        ("to make the kernel", lambda r: seconds(r["kernel_seconds"])),
    ]
    solves: list[Column] = [
        *_named_columns(),
        ("inversion", lambda r: run_cell(r["inversion"])),
        ("without externalities", lambda r: run_cell(r["no_externalities"])),
        ("evaluations", lambda r: number_cell("evaluations")(r["no_externalities"])),
        ("CH externalities from 5 percent noise", lambda r: run_cell(r["from_noise"])),
        ("evaluations", lambda r: number_cell("evaluations")(r["from_noise"])),
        ("ended", lambda r: ended_cell(r["from_noise"])),
        ("welfare, relative difference from stored", difference),
        ("peak memory", memory),
    ]
    rows = [*part["evaluations"], *part["solves"]]
    left_out = [f"{row['cities']:,} {row['method']} ({row['left_out']})" for row in rows if "left_out" in row]
    return [
        *_table(evaluations, part["evaluations"]),
        "",
        *_table(solves, part["solves"]),
        "",
        f"Random cities; compilation is apart but for costs and kernels. Left out: {', '.join(left_out) or 'none'}.",
    ]


def _named_columns() -> list[Column]:
    return [("cities", lambda r: f"{r['cities']:,}"), ("geography", lambda r: r["method"])]


def _table(columns: list[Column], rows: list[Row]) -> list[str]:
    measured = [row for row in rows if "left_out" not in row]
    return table(columns, measured) if measured else []
