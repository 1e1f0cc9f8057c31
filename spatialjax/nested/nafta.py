"""Caliendo and Parro (2015): what the tariff cuts of NAFTA did, 1993 to 2005, in 31 countries and 40 sectors.

Reads the files of the R package cp2015. Twenty sectors trade; the others are bought at home. Workers stay in their
country. The base is the equilibrium at the tariffs of 1993, without trade deficits or with those observed; the tariffs
that Mexico, Canada and the USA charge each other then become those of 2005, all else equal.
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
from spatialjax.cities.income import TradeDeficits
from spatialjax.nested.first_order import changes
from spatialjax.nested.published_files import folder_with, read_numbers, read_table
from spatialjax.nested.row import ValidationRow
from spatialjax.nested.trade_flows import economy_from_flows, observed_deficits

MODEL = "Caliendo and Parro (2015)"
FOLDER = "cp2015"
FILES = ("B.txt", "GO.txt", "IO.txt", "T.txt", "tariffs1993.txt", "tariffs2005.txt", "xbilat1993.txt")
MEMBERS = ("Mexico", "Canada", "USA")
COUNTRIES = (
    *("Argentina", "Australia", "Austria", "Brazil", "Canada", "Chile", "China", "Denmark", "Finland", "France"),
    *("Germany", "Greece", "Hungary", "India", "Indonesia", "Ireland", "Italy", "Japan", "Korea", "Mexico"),
    *("Netherlands", "New Zealand", "Norway", "Portugal", "South Africa", "Spain", "Sweden", "Turkey", "UK", "USA"),
    "Row",
)
GOODS = (
    *("Agriculture", "Mining", "Food", "Textile", "Wood", "Paper", "Petroleum", "Chemicals", "Plastic", "Minerals"),
    *("Basic metals", "Metal products", "Machinery", "Office", "Electrical", "Communication", "Medical", "Auto"),
    *("Other transport", "Other goods"),
)
SERVICES = (
    *("Electricity", "Construction", "Retail", "Hotels", "Land transport", "Water transport", "Air transport"),
    *("Auxiliary transport", "Post", "Finance", "Real estate", "Renting", "Computer", "Research", "Other business"),
    *("Public", "Education", "Health", "Other services", "Private households"),
)
SERVICES_ELASTICITY = 8.22
"""Of sectors that are not traded, where it does not matter."""
THOUSAND, PERCENT = 1000.0, 100.0
"""The files have trade in thousands of dollars, output in dollars, tariffs in percent."""

PUBLISHED = {
    "Mexico": (1.31, -0.41, 1.72, 1.72),
    "Canada": (-0.06, -0.11, 0.04, 0.32),
    "USA": (0.08, 0.04, 0.04, 0.11),
}
"""Table 2, percent: welfare, terms of trade, volume of trade, real wage; without deficits."""
COLUMNS = ("welfare", "terms_of_trade", "volume_of_trade", "real_wage")
EXACT = {"Mexico": 0.007, "Canada": -0.110, "USA": 0.074}
"""Real income, percent, at the same equilibria: another implementation's."""
EXPECTED_FILES = {
    "removed": "expected_welfare_zero_deficit_TRUE.csv",
    "held": "expected_welfare_zero_deficit_FALSE.csv",
}
EXPECTED_COLUMNS = {
    "welfare": "welfare",
    "terms_of_trade": "tot",
    "volume_of_trade": "vot",
    "real_wage": "realwage",
}

Deficits = Literal["removed", "held"]
Cuts = Literal["nafta", "all"]


class Experiment(NamedTuple):
    """The base and what tariffs make of it."""

    base: Economy
    before: Equilibrium
    changed: Economy
    after: Equilibrium
    income: TradeDeficits
    seconds: float

    def table(self) -> pd.DataFrame:
        """Changes by country in percent; see [`changes`][spatialjax.nested.first_order.changes]."""
        return changes(self.base, self.before, self.changed, self.after)


def read_nafta(folder: Path | str) -> xr.Dataset:
    """The data of 1993 for [`economy_from_flows`][], with `tariff_2005` beside `tariff`.

    Steps of the authors' code: output is no less than exports, what is not exported is sold at home. Rounding of the
    files is undone: input shares sum to one, and the one that is negative is zero; sectors without inputs have none.

    **Arguments:**

    - `folder`: with `B.txt` (value-added share), `GO.txt` (output), `IO.txt`, `T.txt` (theta of goods),
      `tariffs1993.txt`, `tariffs2005.txt` and `xbilat1993.txt`, or the folder that has it as `cp2015`.

    **Raises:** `DataError` naming the file that is missing or holds something else.
    """
    found = folder_with(folder, FOLDER, FILES)
    sectors = (*GOODS, *SERVICES)
    square = (len(GOODS), len(COUNTRIES), len(COUNTRIES))
    by_country = (len(sectors), len(COUNTRIES))
    value_added = read_numbers(found / "B.txt", by_country, "value-added shares, sector by country")
    output = read_numbers(found / "GO.txt", by_country, "gross output, sector by country")
    mix = read_numbers(
        found / "IO.txt", (len(COUNTRIES), len(sectors), len(sectors)), "country by input (rows), sector (columns)"
    )
    elasticity = read_numbers(found / "T.txt", (len(GOODS),), "the trade elasticities of goods")
    rates = [
        _all_sectors(read_numbers(found / name, square, "tariffs in percent, good by importer (rows), exporter"))
        for name in ("tariffs1993.txt", "tariffs2005.txt")
    ]
    exports = read_numbers(found / "xbilat1993.txt", square, "trade, good by importer (rows), exporter (columns)")
    mix, value_added = _inputs(mix, value_added)
    directions = ("sector", "city", "origin")
    return xr.Dataset(
        {
            "trade_flow": (directions, _with_home_sales(_all_sectors(exports) * THOUSAND, output)),
            "trade_elasticity": ("sector", np.append(elasticity, np.full(len(SERVICES), SERVICES_ELASTICITY))),
            "value_added_share": (("sector", "city"), value_added),
            "input_mix": (("city", "input", "sector"), mix),
            "tariff": (directions, rates[0] / PERCENT),
            "tariff_2005": (directions, rates[1] / PERCENT),
        },
        {"city": list(COUNTRIES), "origin": list(COUNTRIES), "sector": list(sectors), "input": list(sectors)},
    )


def experiment(data: xr.Dataset, *, deficits: Deficits = "removed", cuts: Cuts = "nafta") -> Experiment:
    """The base of 1993 and the equilibrium after tariffs have fallen.

    **Arguments:**

    - `data`: of [`read_nafta`][spatialjax.nested.nafta.read_nafta].
    - `deficits`: "removed" in base and counterfactual, or "held" at what was observed, in units of world value added.
    - `cuts`: "nafta", tariffs that members charge each other (Table 2); or "all", those of all countries.

    **Raises:** `ModelError` for another word; the errors of [`solve`][].
    """
    check_choice("deficits", deficits, ("removed", "held"))
    check_choice("cuts", cuts, ("nafta", "all"))
    base = economy_from_flows(data)
    observed = observed_deficits(data)
    income = TradeDeficits(jnp.asarray(observed if deficits == "held" else np.zeros_like(observed)))
    changed = eqx.tree_at(lambda e: e.tariff, base, jnp.asarray(_tariffs_after(data, cuts)))
    before = solve(base, income=income)
    solve(changed, income=income, initial=before)  # compiles
    started = time.perf_counter()
    after = jax.block_until_ready(solve(changed, income=income, initial=before))
    return Experiment(base, before, changed, after, income, time.perf_counter() - started)


def run(folder: Path | str, *, deficits: Deficits = "removed", cuts: Cuts = "nafta") -> pd.DataFrame:
    """Changes by country in percent: first-order terms, real wage and real income.

    **Arguments:** those of [`read_nafta`][spatialjax.nested.nafta.read_nafta] and
    [`experiment`][spatialjax.nested.nafta.experiment].
    """
    return experiment(read_nafta(folder), deficits=deficits, cuts=cuts).table()


def rows(folder: Path | str) -> list[ValidationRow]:
    """Table 2 of the paper and exact real income; and, where the files of expected results are there, all countries."""
    data, found = read_nafta(folder), folder_with(folder, FOLDER, FILES)
    removed, held = (experiment(data, deficits=choice) for choice in ("removed", "held"))  # type: ignore[arg-type]
    compared = [*_published_rows(removed), *_exact_rows(removed)]
    for choice, made in (("removed", removed), ("held", held)):
        if (found / EXPECTED_FILES[choice]).is_file():
            compared += _all_countries_rows(read_expected(found, choice), made, choice)
    return compared


def read_expected(folder: Path | str, deficits: str) -> pd.DataFrame:
    """Results of the R package by country, in percent, under the names of our columns."""
    found = folder_with(folder, FOLDER, [EXPECTED_FILES[deficits]])
    table = read_table(found / EXPECTED_FILES[deficits], ["region", *EXPECTED_COLUMNS.values()])
    return pd.DataFrame(
        {ours: table[theirs].to_numpy() for ours, theirs in EXPECTED_COLUMNS.items()},
        index=pd.Index(table["region"], name="country"),
    )


def _published_rows(made: Experiment) -> list[ValidationRow]:
    table = made.table()
    note = "a first-order formula evaluated at a finite change"
    return [
        ValidationRow(
            model=MODEL,
            quantity=f"{country}, {column.replace('_', ' ')}, percent",
            known=known,
            computed=float(table.loc[country, column]),
            tolerance=0.005,
            source="Caliendo and Parro (2015), Table 2",
            note="" if column == "real_wage" else note,
            seconds=made.seconds,
        )
        for country in MEMBERS
        for column, known in zip(COLUMNS, PUBLISHED[country], strict=True)
    ]


def _exact_rows(made: Experiment) -> list[ValidationRow]:
    table = made.table()
    return [
        ValidationRow(
            model=MODEL,
            quantity=f"{country}, real income, percent",
            known=EXACT[country],
            computed=float(table.loc[country, "real_income"]),
            tolerance=0.0005,
            source="another implementation of the same system",
            note="exact: the paper's welfare is its first-order approximation",
            seconds=made.seconds,
        )
        for country in MEMBERS
    ]


def _all_countries_rows(expected: pd.DataFrame, made: Experiment, deficits: str) -> list[ValidationRow]:
    difference = (made.table()[list(COLUMNS)].loc[expected.index] - expected[list(COLUMNS)]).abs()
    return [
        ValidationRow(
            model=MODEL,
            quantity=f"largest difference of {len(expected)} countries, {column.replace('_', ' ')}, percentage points, "
            f"deficits {deficits}",
            known=0.0,
            computed=float(difference[column].max()),
            tolerance=1e-5,
            source=f"R package cp2015, {EXPECTED_FILES[deficits]}",
            note="its solver stops at 1e-7",
            seconds=made.seconds,
        )
        for column in COLUMNS
    ]


def _all_sectors(goods: np.ndarray) -> np.ndarray:
    """Numbers of goods with zeros for services."""
    return np.concatenate([goods, np.zeros((len(SERVICES), *goods.shape[1:]))])


def _with_home_sales(exports: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Flows with what is left of output sold at home; nothing where exports are more."""
    flow = exports.copy()
    own = np.arange(flow.shape[1])
    flow[:, own, own] = np.maximum(output - exports.sum(1), 0.0)
    return flow


def _inputs(mix: np.ndarray, value_added: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Input shares that sum to one, and value-added shares of one where there are no inputs."""
    mix = np.maximum(mix, 0.0)
    total = mix.sum(1, keepdims=True)
    some = total > 0
    return mix / np.where(some, total, 1.0), np.where(some[:, 0, :].T, value_added, 1.0)


def _tariffs_after(data: xr.Dataset, cuts: str) -> np.ndarray:
    before, after = (data[name].transpose("sector", "city", "origin").values for name in ("tariff", "tariff_2005"))
    member = data["city"].isin(MEMBERS).values
    return np.where((member[:, None] & member) | (cuts == "all"), after, before)
