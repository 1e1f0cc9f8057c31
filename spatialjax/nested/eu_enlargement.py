"""The enlargement of the European Union in 2004 on the trade of 2000: one-sector structural gravity.

The example of ge_gravity (Baier, Yotov and Zylkin 2019): 44 countries, one good, no inputs, a trade elasticity of four,
workers who stay in their country; the agreement eases trade between old and new members by what a gravity regression
estimates. Trade deficits are held fixed, in units of world output; or proportional to output.
"""

import time
from pathlib import Path
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.checks import check_choice
from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, solve
from spatialjax.cities.income import IncomeRule, ProportionalDeficits, TradeDeficits
from spatialjax.errors import DataError
from spatialjax.nested.first_order import trade_flow
from spatialjax.nested.published_files import folder_with, read_table
from spatialjax.nested.row import ValidationRow
from spatialjax.nested.trade_flows import economy_from_flows, observed_deficits

MODEL = "EU enlargement (ge_gravity)"
FOLDER = "ge_gravity"
FILE = "TradeData0014_with_expected_results_2000.csv"
ELASTICITY = 4.0
DIGITS = 2e-7
"""Relative: numbers are in single precision, and were computed from numbers that are."""
COLUMNS = {"held": ("w_eu", "X_eu"), "proportional": ("w_mult", "X_mult")}
"""Expected change of welfare of the exporter, and expected trade, under each closure."""

Deficits = Literal["held", "proportional"]


class Experiment(NamedTuple):
    """The base and what the agreement makes of it."""

    base: Economy
    before: Equilibrium
    changed: Economy
    after: Equilibrium
    seconds: float

    def table(self) -> pd.DataFrame:
        """By country: `welfare` (real income), `real_wage` and `wage`, each after over before; `exports` likewise."""
        before, after = self.before, self.after
        real = after.wage[:, 0] / after.price[:, 0] * before.price[:, 0] / before.wage[:, 0]
        columns = {
            "welfare": after.consumption[:, 0] / before.consumption[:, 0],
            "real_wage": real,
            "wage": after.wage[:, 0] / before.wage[:, 0],
            "exports": _exports(self.changed, after) / _exports(self.base, before),
        }
        index = pd.Index(self.base.labels.city, name="country")
        return pd.DataFrame({name: np.asarray(value) for name, value in columns.items()}, index=index)


def read_eu_enlargement(folder: Path | str) -> xr.Dataset:
    """Trade of 2000 for [`economy_from_flows`][], in millions of dollars, and `log_ease`, what the agreement adds.

    `log_ease` (city, origin) is the direct effect of the agreement on the log of trade, given all prices.

    **Arguments:**

    - `folder`: with the file `FILE`, of columns `exporter`, `importer`, `trade` and `eu_effect`; or the folder that has
      it as `ge_gravity`.

    **Raises:** `DataError` naming the file, the column, or a pair of countries that is missing.
    """
    table = read_table(folder_with(folder, FOLDER, [FILE]) / FILE, ["exporter", "importer", "trade", "eu_effect"])
    flow = _square(table, "trade")
    countries = list(flow.index)
    return xr.Dataset(
        {
            "trade_flow": (("sector", "city", "origin"), flow.to_numpy()[None]),
            "trade_elasticity": ELASTICITY,
            "value_added_share": ("sector", [1.0]),
            "log_ease": (("city", "origin"), _square(table, "eu_effect").to_numpy()),
        },
        {"city": countries, "origin": countries, "sector": ["goods"]},
    )


def experiment(data: xr.Dataset, *, deficits: Deficits = "held") -> Experiment:
    """Trade of 2000 with and without the agreement.

    **Arguments:**

    - `data`: of [`read_eu_enlargement`][spatialjax.nested.eu_enlargement.read_eu_enlargement].
    - `deficits`: "held", at what was observed; or "proportional", a constant multiple of output, up to one number for
      all countries with which the world spends what it earns (ge_gravity's option `multiplicative`).

    **Raises:** `ModelError` for another word; the errors of [`solve`][].
    """
    check_choice("deficits", deficits, tuple(COLUMNS))
    base = economy_from_flows(data)
    income = _closure(data, deficits)
    ease = data["log_ease"].transpose("city", "origin").values
    costs = jnp.asarray(base.log_iceberg_cost) - jnp.asarray(ease) / ELASTICITY
    changed = eqx.tree_at(lambda e: e.log_iceberg_cost, base, costs)
    before = solve(base, income=income)
    solve(changed, income=income, initial=before)  # compiles
    started = time.perf_counter()
    after = jax.block_until_ready(solve(changed, income=income, initial=before))
    return Experiment(base, before, changed, after, time.perf_counter() - started)


def run(folder: Path | str, *, deficits: Deficits = "held") -> pd.DataFrame:
    """Changes by country in percent: welfare (real income), real wage, wage, exports.

    **Arguments:** those of [`read_eu_enlargement`][spatialjax.nested.eu_enlargement.read_eu_enlargement] and
    [`experiment`][spatialjax.nested.eu_enlargement.experiment].
    """
    return 100 * (experiment(read_eu_enlargement(folder), deficits=deficits).table() - 1)


def rows(folder: Path | str) -> list[ValidationRow]:
    """Expected results of the file, for all countries and pairs of them; and three countries by name.

    **Raises:** `DataError` where the file lacks a column of expected results.
    """
    data = read_eu_enlargement(folder)
    wanted = [column for columns in COLUMNS.values() for column in columns]
    table = read_table(folder_with(folder, FOLDER, [FILE]) / FILE, ["exporter", "importer", *wanted])
    held, proportional = (experiment(data, deficits=choice) for choice in ("held", "proportional"))
    return [
        *_country_rows(table, held),
        *_world_rows(table, held, "held", "welfare", ""),
        *_world_rows(table, proportional, "proportional", "real_wage", MULTIPLICATIVE_NOTE),
    ]


MULTIPLICATIVE_NOTE = (
    "w_mult is the real wage: ge_gravity leaves out the common factor with which the world spends what it earns. The "
    "toolkit's seconds are of another package, gegravity 0.3, called on its own results until prices stay, its tables "
    "included (docs/performance.md); ge_gravity's own are not known"
)
GEGRAVITY_SECONDS = 5.46
"""Of the Python package gegravity 0.3 for the equilibrium of proportional deficits, in 11 calls, on two cores."""


def expected_welfare(table: pd.DataFrame, column: str) -> pd.Series:
    """Expected changes by country."""
    return table.groupby("exporter")[column].first().rename_axis("country")


def _country_rows(table: pd.DataFrame, made: Experiment) -> list[ValidationRow]:
    found, known = made.table()["welfare"], expected_welfare(table, "w_eu")
    return [
        _row(f"{country}, welfare, after over before", float(known[country]), float(found[country]), made)
        for country in ("HUN", "CZE", "POL")
    ]


def _world_rows(table: pd.DataFrame, made: Experiment, deficits: str, column: str, note: str) -> list[ValidationRow]:
    welfare, trade = COLUMNS[deficits]
    found, known = made.table()[column], expected_welfare(table, welfare)
    flow = np.asarray(trade_flow(made.changed, made.after))[0]
    ratio = flow / _square(table, trade).to_numpy()
    # The level of values is a choice of units where ge_gravity's closure does not add up.
    ratio = ratio / np.median(ratio) if deficits == "proportional" else ratio
    where, toolkit = f"deficits {deficits}", GEGRAVITY_SECONDS if deficits == "proportional" else None
    return [
        _row(
            f"largest difference of {len(known)} countries, {welfare}, {where}",
            0.0,
            float((found - known[found.index]).abs().max()),
            made,
            note,
            toolkit,
        ),
        _row(
            f"largest relative difference of {ratio.size} trade flows, {trade}, {where}",
            0.0,
            float(np.abs(ratio - 1).max()),
            made,
            note,
            toolkit,
        ),
    ]


def _row(
    quantity: str, known: float, computed: float, made: Experiment, note: str = "", toolkit: float | None = None
) -> ValidationRow:
    source = f"ge_gravity, {FILE}, in single precision"
    return ValidationRow(MODEL, quantity, known, computed, DIGITS, source, note, made.seconds, toolkit)


def _closure(data: xr.Dataset, deficits: str) -> IncomeRule:
    deficit = observed_deficits(data)
    if deficits == "held":
        return TradeDeficits(jnp.asarray(deficit))
    output = data["trade_flow"].sum(("sector", "city")).values
    return ProportionalDeficits(jnp.asarray(1 + deficit / output))


def _exports(economy: Economy, equilibrium: Equilibrium):
    flow = trade_flow(economy, equilibrium)[0]
    return flow.sum(0) - jnp.diagonal(flow)


def _square(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column as a matrix, importers by exporters."""
    repeated = table.duplicated(["importer", "exporter"])
    if repeated.any():
        pair = table.loc[repeated.idxmax(), ["importer", "exporter"]]
        raise DataError(FILE, [f"there are two rows for {pair['importer']} from {pair['exporter']}"])
    matrix = table.pivot(index="importer", columns="exporter", values=column)
    countries = sorted({*matrix.index, *matrix.columns})
    matrix = matrix.reindex(index=countries, columns=countries)
    if missing := [(n, m) for n, m in np.argwhere(matrix.isna().to_numpy())[:1]]:
        n, m = missing[0]
        raise DataError(FILE, [f"column {column} has no number for {countries[n]} from {countries[m]}"])
    return matrix
