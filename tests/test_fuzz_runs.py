"""Whole runs on spoilt data, tables and configurations end in an error that names these, or in a complete folder."""

from itertools import count

import numpy as np
import pytest
from fuzz_cases import ending, fuzz
from fuzz_data import apply, spoilt, zones
from fuzz_runs import (
    DENSITY,
    GRANULAR,
    HISTORY,
    MODEL,
    OCCUPATIONS,
    SPILLOVERS,
    assert_complete_folder,
    cities,
    controls,
    of_table,
    overrides,
    panel,
    spoil_table,
)
from hypothesis import strategies as st

import spatialjax as sj
from spatialjax.data.schema import VARIABLES
from spatialjax.data.zones import ZONE_VARIABLES
from spatialjax.density.panel import as_panel, read_panel
from spatialjax.errors import DataError
from spatialjax.workflow.any_run import run_any
from spatialjax.workflow.config import load_config
from spatialjax.workflow.stages import Silent

pytestmark = pytest.mark.filterwarnings("ignore::spatialjax.errors.EstimationWarning")
DIMENSIONS = ("city", "origin", "occupation", "sector", "input")
NAMES = (*VARIABLES, *DIMENSIONS, "no equilibrium", "these parameters make no economy", "national output")
RECOMPILING = ("shorter", "no dimension", "odd title")
"""Changes after which everything is compiled again: of sizes, and of titles, which programs hold."""


@pytest.fixture
def ends(tmp_path):
    """What a run ends in: a function of a configuration's text, overrides and names one of which an error must say."""
    numbers, path = count(), tmp_path / "mine.toml"

    def run(text, sets, *names):
        out = tmp_path / f"out{next(numbers)}"
        path.write_text(text)
        keys = [key.partition("=")[0].rpartition(".")[2] for key in sets]
        return ending(
            lambda: run_any(load_config(path, sets), out, Silent()),
            lambda found: assert_complete_folder(found.folder),
            *(f"{path}: ", *keys, *names),
        )

    return run


def changes(variables, dimensions):
    """No change of a data set, or some that keep its sizes and its titles."""
    kept = spoilt(variables, dimensions).map(lambda found: [c for c in found if c[0] not in RECOMPILING])
    return st.one_of(st.just([]), kept)


def saved(data, how, path):
    """Whether a data set with these changes could be written to a file."""
    try:
        apply(data, how).to_netcdf(path)
    except (ValueError, TypeError, NotImplementedError):  # no file can hold that
        return False
    return True


def test_granular_runs(ends, tmp_path):
    path = tmp_path / "zones.nc"
    known = (*ZONE_VARIABLES, "zone", "cities", "firms", "place", "no equilibrium")

    def check(case):
        how, sets = case
        if not saved(zones(), how, path):
            return "no file"
        return ends(GRANULAR.format(source=path), sets, f"{path}: ", *known)

    of_zones = changes((*ZONE_VARIABLES, "zone"), ("zone",))
    endings = fuzz("granular runs", st.tuples(of_zones, overrides("granular")), check)
    assert min(endings["refused"], endings["verified"]) > 5


def test_runs_that_estimate_spillovers(ends, tmp_path):
    data, share = cities(10, 4)
    source, table = tmp_path / "cities.nc", tmp_path / "controls.csv"
    text = SPILLOVERS.format(source=source, controls=table) + MODEL.format(share=share) + OCCUPATIONS
    columns = controls(data).reset_index()

    def check(case):
        how, of_columns, sets = case
        if not saved(data, how, source):
            return "no file"
        spoil_table(columns, of_columns).to_csv(table, index=False)
        return ends(text, sets, f"{source}: ", f"{table}: ", "controls", *NAMES)

    cases = st.tuples(
        changes((*VARIABLES, *DIMENSIONS), DIMENSIONS), of_table(list(columns), 10), overrides("spillovers")
    )
    endings = fuzz("spillover runs", cases, check)
    assert min(endings["refused"], endings["verified"]) > 5


def test_runs_of_the_density_premium(ends, tmp_path):
    path, made = tmp_path / "panel.csv", panel()
    text = DENSITY.format(source=path)

    def check(case):
        how, sets = case
        spoil_table(made, how).to_csv(path, index=False)
        return ends(text, sets, f"{path}: ", *made.columns)

    endings = fuzz("density runs", st.tuples(of_table(list(made), len(made)), overrides("density")), check)
    assert min(endings["refused"], endings["verified"]) > 2


def test_histories(ends, tmp_path):
    later, share = cities(4, 3)
    both = [sj.stylised_1980(later, occupation_share=0.5, sector_tilt=0.3), later]
    paths = [tmp_path / "earlier.nc", tmp_path / "later.nc"]
    text = HISTORY.format(earlier=paths[0], later=paths[1]) + MODEL.format(share=share) + OCCUPATIONS

    def check(case):
        which, how, sets = case
        for place, data in enumerate(both):
            if not saved(data, how if place == which else [], paths[place]):
                return "no file"
        return ends(text, sets, *(f"{path}: " for path in paths), "baseline", "target", *NAMES)

    cases = st.tuples(st.integers(0, 1), changes((*VARIABLES, *DIMENSIONS), DIMENSIONS), overrides("history"))
    endings = fuzz("histories", cases, check)
    assert min(endings["refused"], endings["verified"]) > 5


def test_numbers_of_a_panel_that_cannot_be_stored(tmp_path):
    """Refused by name before they are cast; what is infinite as it is read is refused by the checks."""
    made = panel()
    made.loc[3, "payroll"] = 1e39
    with pytest.raises(DataError, match=r"payroll must hold numbers up to 3.4e\+38 in size, .* 1e\+39 in row 3"):
        as_panel(made)
    made.loc[3, "payroll"] = np.inf
    made.to_csv(tmp_path / "panel.csv", index=False)
    with pytest.raises(DataError, match="payroll is negative or infinite"):
        read_panel(tmp_path / "panel.csv")
