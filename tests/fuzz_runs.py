"""Runs small enough to be spoilt many times: their data and configurations, and what is verified of their folders."""

import json

import numpy as np
import pandas as pd
import xarray as xr
from economies import data_from, random_economy
from establishments import drawn_panel
from fuzz_data import ODD
from hypothesis import strategies as st

import spatialjax as sj
from spatialjax.density.cbsas import cbsa_table

MAY_LACK = ("_exact", "elasticity", "conduct", "unit_cost", "cost_error")
"""Words in names of variables that are not a number everywhere: what is not reached, or not defined there."""

MODEL = """
[model]
trade_elasticity = 4.0
location_elasticity = 2.0
minimum_consumption_share = 0.0
housing_share = {share}
"""
OCCUPATIONS = """
[spillover]
kind = "occupation"
share = [0.3, 0.2]
size = [0.1, 0.05]
"""
GRANULAR = """
economy = "granular"
conducts = ["competitive"]
data.source = "{source}"
simulation = {{ draws = 2048, exact = false }}
output.figures = false
"""
SPILLOVERS = """
economy = "spillovers"
data.source = "{source}"
regression = {{ estimators = ["ols", "2sls"], by = ["occupation"], controls = "{controls}" }}
uncertainty = "none"
monte_carlo.replications = 0
"""
DENSITY = """
economy = "density"
panel.source = "{source}"
relocation.establishments = 10000
bridge = {{ cities = false, granular = false }}
output.figures = false
"""
HISTORY = """
economy = "history"
baseline.source = "{earlier}"
target.source = "{later}"
solver.max_evaluations = 100
decomposition = {{ order_free = false, optima = false, without_externalities = false }}
output.figures = false
"""

POSITIVE = (1e-12, 1e-3, 0.1, 0.5, 0.999, 1.0, 1.5, 8.0, 15.0, 100.0, 1e6, 1e150, "inf", "nan")
KEYS = {
    "granular": (
        *(f"parameters.{x}" for x in ("elasticity_across_firms", "elasticity_across_sectors", "profit_share")),
        *(f"parameters.{x}" for x in ("productivity_tail", "sector_variance", "firm_variance")),
        *("parameters.migration_elasticity", "extension.sector_dispersion"),
    ),
    "spillovers": ("model.trade_elasticity", "model.location_elasticity", "model.housing_share"),
    "density": ("relocation.move_probability",),
    "history": (
        *("model.trade_elasticity", "model.location_elasticity", "model.housing_share"),
        *("spillover.size", "spillover.share", "solver.tolerance"),
    ),
}


def overrides(kind):
    """None, or one key with a number that it should not have, or may just have."""
    key, value = st.sampled_from(KEYS[kind]), st.sampled_from(POSITIVE)
    lists = ("spillover.size", "spillover.share")
    one = st.builds(lambda k, v: f"{k}=[{v}, 0.1]" if k in lists else f"{k}={v}", key, value)
    return st.one_of(st.just([]), one.map(lambda text: [text]))


def cities(count, seed):
    """The data of a small economy and the housing share under which they are inverted."""
    economy = random_economy(count, 3, 2, local_sectors=(), empty_cells=0, seed=seed)
    data = data_from(economy, sj.solve(economy, tolerance=1e-12))
    places = {"latitude": np.linspace(30, 45, count), "longitude": np.linspace(-120, -75, count)}
    return data.assign({name: ("city", values) for name, values in places.items()}), float(economy.consumption_share[1])


def controls(data):
    """Two controls, a row a city."""
    drawn = np.random.default_rng(0).normal(size=(data.sizes["city"], 2))
    return pd.DataFrame(drawn, pd.Index(data["city"].values.astype(str), name="city"), ["cold", "old"])


def panel():
    """A panel of a few places with every column that a run asks for."""
    made = drawn_panel(cbsa_table().iloc[:12], 240)
    made = made.assign(
        firm=made["establishment"],
        payroll=1.0,
        payroll_lag=made["employment_lag"],
        earnings_lead=made["earnings"].where(~made["exit"]),
    )
    return made


CELLS = st.one_of(st.sampled_from(ODD), st.sampled_from(("x", "", True, None, 10**12, 1992, 2002)))


def of_table(columns, rows):
    """Changes of a table that is written as text."""
    change = st.tuples(
        st.sampled_from(("cell", "cell", "all", "missing", "doubled", "few")),
        st.sampled_from(columns),
        st.integers(0, rows - 1),
        CELLS,
    )
    return st.lists(change, max_size=2)


def spoil_table(table, changes):
    """The table with these changes."""
    made = table.astype(object)
    for kind, column, position, value in changes:
        if kind in ("cell", "all", "missing") and column not in made:
            continue
        match kind:
            case "cell":
                made.iloc[position % len(made), list(made.columns).index(column)] = value
            case "all":
                made[column] = pd.Series([value] * len(made), made.index, dtype=object)
            case "missing":
                made = made.drop(columns=column)
            case "doubled":
                made = pd.concat([made, made.iloc[[position % len(made)]]])
            case "few":
                made = made.iloc[: position % 30]
    return made


def assert_complete_folder(folder):
    """Every file that the run recorded is there; no number is infinite, and those that must be there are no NaN."""
    record = json.loads((folder / "run.json").read_text())
    assert record["files"]
    for name in record["files"]:
        path = folder / name
        assert path.stat().st_size, name
        if path.suffix == ".csv":
            numbers = pd.read_csv(path).select_dtypes("number")
            assert not np.isinf(numbers).any(axis=None), f"{name}: {numbers.columns[np.isinf(numbers).any()].tolist()}"
        if path.suffix == ".nc":
            _assert_finite_variables(path)
    assert not list(folder.glob(".spatialjax*"))


def _assert_finite_variables(path):
    for name, values in xr.load_dataset(path, engine="netcdf4").data_vars.items():
        if values.dtype.kind == "f":
            lacking = any(word in str(name) for word in MAY_LACK)
            bad = np.isinf(values.values) if lacking else ~np.isfinite(values.values)
            assert not bad.any(), f"{path.name}: {name} is not finite"
