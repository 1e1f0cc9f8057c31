"""Spoilt input of every kind ends in an error that names it, or in a result that was verified; never otherwise."""

import tomllib
from itertools import count
from operator import attrgetter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import tomli_w
import xarray as xr
from economies import data_from, random_economy
from establishments import drawn_panel
from fuzz_cases import CASES, assert_finite, ending, fuzz
from fuzz_config import CHANGES, CONFIGS, NAMES, OVERRIDES, TEXT, changed, spoil_text, tree
from fuzz_data import BYTES, FRACTION, ODD, apply, spoil_bytes, spoilt, zones
from hypothesis import strategies as st
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax.cli import app
from spatialjax.data.cbsas import check_cbsas
from spatialjax.data.schema import VARIABLES
from spatialjax.data.zones import ZONE_VARIABLES, check_zones
from spatialjax.density.cbsas import cbsa_table, msa_table
from spatialjax.density.panel import as_panel, read_panel
from spatialjax.density.panel_checks import check_panel
from spatialjax.errors import SpatialJAXError
from spatialjax.granular.parameters import Parameters
from spatialjax.granular.places import calibrate
from spatialjax.granular.places import solve as solve_places
from spatialjax.workflow.config import load_config
from spatialjax.workflow.output import resolved
from spatialjax.workflow.sweep_run import run_sweep
from spatialjax.workflow.sweep_scenarios import scenario_table
from spatialjax.workflow.sweep_schema import SweepSection

OPTIONS = {"trade_elasticity": 4.0, "location_elasticity": 2.0, "minimum_consumption_share": None}
SPILLOVER = sj.OccupationSpillover((0.3, 0.2), (0.1, 0.05))
DIMENSIONS = ("city", "origin", "occupation", "sector", "input")


@pytest.fixture(scope="module")
def cities():
    """The data of a small economy, and the housing share under which they are inverted."""
    economy = random_economy(4, 3, 2, local_sectors=(), empty_cells=1, seed=3)
    data = data_from(economy, sj.solve(economy, tolerance=1e-12))
    data = data.assign(latitude=("city", np.linspace(30, 45, 4)), longitude=("city", np.linspace(-120, -75, 4)))
    return data, float(economy.consumption_share[1])


def invert_and_solve(data, housing_share, **options):
    economy = sj.invert(data, **OPTIONS | {"housing_share": housing_share, "spillover": SPILLOVER} | options)
    assert_finite(economy, but=("log_iceberg_cost", "reference"))
    return sj.solve(economy, tolerance=1e-12)  # spoilt numbers make ill-conditioned economies


def assert_equilibrium(found):
    assert float(found.residuals.largest()) <= 1e-10
    assert_finite(found, but=("unit_cost",))
    assert float(found.wage.sum()) > 0


def test_city_data(cities):
    data, housing_share = cities
    known = (*VARIABLES, *DIMENSIONS, *map(str, data["sector"].values), *map(str, data["city"].values))

    def check(changes):
        changed = apply(data, changes)

        def verify(found):
            assert_equilibrium(found)
            given = changed["employment"].transpose("city", "occupation", "sector").values
            np.testing.assert_allclose(found.employment_by_sector, given, rtol=1e-4, atol=1e-6 * given.max())

        return ending(lambda: invert_and_solve(changed, housing_share), verify, *known)

    endings = fuzz("city data", spoilt((*VARIABLES, *DIMENSIONS), DIMENSIONS), check)
    assert min(endings.values()) > 20


@pytest.mark.parametrize("other", [None, 3, "us-metros", {}, [1.0], np.ones(3)])
def test_what_is_no_data_set(other):
    for check in (sj.invert, check_zones, check_cbsas):
        with pytest.raises(sj.errors.DataError, match="xarray.Dataset is needed"):
            check(other)


def test_relabelled_cities(cities):
    """Data in another order are of the same economy in that order, whatever the labels are called."""
    data, housing_share = cities
    before = invert_and_solve(data, housing_share)
    orders = st.tuples(*(st.permutations(range(data.sizes[axis])) for axis in ("city", "occupation", "sector")))

    def check(order):
        city, occupation, sector = map(list, order)
        moved = data.isel(city=city, origin=city, occupation=occupation, sector=sector, input=sector)
        moved = moved.assign_coords(city=data["city"].values, origin=data["city"].values)
        share, size = (np.asarray(x)[occupation] for x in (SPILLOVER.share, SPILLOVER.size))
        after = invert_and_solve(moved, housing_share, spillover=sj.OccupationSpillover(share, size))
        assert_equilibrium(after)
        for name in ("wage", "employment", "income", "consumption"):
            np.testing.assert_allclose(
                getattr(after, name), np.asarray(getattr(before, name))[city][:, occupation], rtol=1e-8
            )
        np.testing.assert_allclose(after.price, np.asarray(before.price)[city][:, sector], rtol=1e-8)
        np.testing.assert_allclose(after.welfare, np.asarray(before.welfare)[occupation], rtol=1e-8)
        return "verified"

    fuzz("relabelled cities", orders, check)
    city, sector = [2, 0, 3, 1], [2, 0, 1]
    moved = data.isel(city=city, origin=city, sector=sector, input=sector)
    one, other = before.to_xarray(data), invert_and_solve(moved, housing_share).to_xarray(moved)
    again = other.sel(city=one["city"], sector=one["sector"])
    for name in ("wage", "price", "employment_by_sector"):
        np.testing.assert_allclose(again[name].transpose(*one[name].dims), one[name], rtol=1e-8)


ARGUMENTS = (
    "trade_elasticity",
    "location_elasticity",
    "occupation_substitution",
    "housing_share",
    "minimum_consumption_share",
    "spillover",
    "amenities",
    "amenity_spillover",
    "geography",
    "relative_error",
)
VALUES = (
    *(*ODD, 1, 2, 0.5, 0.2, 1e-6, 1 + 1e-9, 700.0, True, None, "4", "additive", "stored", "tiled", "", b"4", 4j),
    *([], [4.0], [4.0, 5.0], [4.0, 5.0, 6.0], [[4.0]], [0.2, 0.3], [np.nan, 4.0, 5.0], ["a", "b"], {"a": 1}, [4, None]),
    *(np.ones(2), np.ones((2, 3)), np.zeros(0), np.array(["x"]), object(), sj.OccupationSpillover((1.0,), (0.1,))),
)


def test_arguments_of_inversion(cities):
    data, housing_share = cities
    values = st.sampled_from(range(len(VALUES)))

    def check(case):
        argument, position = case

        def action():
            return invert_and_solve(data, **{"housing_share": housing_share, argument: VALUES[position]})

        return ending(
            action,
            assert_equilibrium,
            argument,
            *VARIABLES,
            *LEAVES,
            "Spillover",
            "no equilibrium",
            "sector",
            "national output",
        )

    fuzz("arguments of inversion", st.tuples(st.sampled_from(ARGUMENTS), values), check)


LEAVES = (
    *("fundamental_productivity", "amenity", "trade_elasticity", "location_elasticity", "occupation_substitution"),
    *("consumption_share", "value_added_share", "land_share", "log_iceberg_cost", "land", "population", "wage_bill"),
    *("input_links.mix", "spillover.share", "spillover.size"),
)


def test_economies(cities):
    """Leaves of an economy with cells that no economy has, or of another shape."""
    data, housing_share = cities
    economy = sj.invert(data, **OPTIONS, housing_share=housing_share, spillover=SPILLOVER)

    def changed(case):
        name, position, value, kind = case
        where = attrgetter(name)
        leaf = np.array(where(economy))
        if "." in name and kind == "type":  # what a module of externalities holds is its own affair
            kind = "cell"
        match kind:
            case "cell":
                leaf[np.unravel_index(int(position * leaf.size), leaf.shape)] = value
            case "all":
                leaf = np.full_like(leaf, value)
            case "shape":
                leaf = leaf[..., None]
            case "type":
                return eqx.tree_at(where, economy, [value])
        return eqx.tree_at(where, economy, jnp.asarray(leaf))

    def check(case):
        made = changed(case)
        return ending(
            lambda: sj.solve(made, max_evaluations=300), assert_equilibrium, *LEAVES, "Spillover", "no equilibrium"
        )

    kinds = st.sampled_from(("cell", "cell", "cell", "cell", "all", "shape", "type"))
    fuzz("economies", st.tuples(st.sampled_from(LEAVES), FRACTION, st.sampled_from(ODD), kinds), check)


def test_zones():
    data = zones()
    parameters = Parameters()

    def solved(changed):
        check_zones(changed)
        firms = changed["establishments"].values / float(changed["sectors"])
        places = calibrate(
            *(jnp.asarray(changed[x].values) for x in ("population", "wage")), jnp.asarray(firms), parameters
        )
        assert_finite(places)
        return solve_places(places)

    def verify(found):
        assert_finite(found)
        assert max(float(jnp.abs(x).max()) for x in (found.residual.log_firms, found.residual.log_population)) < 1e-10

    def check(changes):
        changed = apply(data, changes)
        return ending(lambda: solved(changed), verify, *ZONE_VARIABLES, "zone", "cities", "firms", "place")

    fuzz("zones", spoilt((*ZONE_VARIABLES, "zone", "title"), ("zone",)), check)


def test_metropolitan_areas():
    data = sj.load_data("us-cbsas").isel(cbsa=slice(0, 12), msa=slice(0, 8))
    variables = [str(name) for name in data.variables]

    def tables(changed):
        return cbsa_table(changed), msa_table(changed) if "msa" in changed.dims else None

    def verify(found):
        table = found[0]
        assert np.isfinite(table[["density", "college_share", "earnings_2001", "earnings_2007"]]).all(axis=None)
        assert (table["density"] > 0).all()

    def check(changes):
        changed = apply(data, changes)
        return ending(lambda: tables(changed), verify, *variables, "cbsa", "msa")

    fuzz("metropolitan areas", spoilt(variables, ("cbsa", "msa")), check)


def loaded(path, overrides=()):
    """A configuration, as it is after it was written and read again."""
    config = load_config(path, overrides)
    again = type(config).model_validate(tomllib.loads(tomli_w.dumps(resolved(config))))
    assert again == config
    return config


def assert_complete(config):
    assert_finite(jax.tree.leaves(resolved(config)))


@pytest.fixture(scope="module")
def trees():
    return {name: tree(name) for name in NAMES}


def test_configurations(trees, tmp_path):
    path = tmp_path / "mine.toml"

    def check(case):
        name, changes = case
        path.write_text(tomli_w.dumps(changed(trees[name], changes)))
        return ending(lambda: loaded(path), assert_complete, f"{path}: ")

    fuzz("configurations", st.tuples(st.sampled_from(NAMES), CHANGES), check)


def test_text_of_configurations(tmp_path):
    path = tmp_path / "mine.toml"
    texts = {name: (CONFIGS / name).read_text() for name in NAMES}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)

    def check(case):
        name, how = case
        path.write_bytes(spoil_text(texts[name], how).encode(errors="surrogatepass"))
        return ending(
            lambda: loaded(path), assert_complete, f"{path}: ", "extends", *(f"{tmp_path / n}: " for n in NAMES)
        )

    fuzz("text of configurations", st.tuples(st.sampled_from(NAMES), TEXT), check)


def test_overrides():
    def check(case):
        name, overrides = case
        return ending(lambda: loaded(CONFIGS / name, overrides), assert_complete, f"{CONFIGS / name}: ", "--set")

    fuzz("overrides", st.tuples(st.sampled_from(NAMES), OVERRIDES), check)


@pytest.fixture(scope="module")
def file(cities, tmp_path_factory):
    """The small economy's data as a file."""
    path = tmp_path_factory.mktemp("data") / "cities.nc"
    cities[0].to_netcdf(path)
    return path


def test_truncated_and_spoilt_files(cities, file, tmp_path):
    content, numbers = file.read_bytes(), count()

    def check(how):
        path = tmp_path / f"{next(numbers)}.nc"  # the library goes on to hold a file that it failed to read
        path.write_bytes(spoil_bytes(content, how))

        def verify(found):
            assert_equilibrium(found)
            if how[0] == "cut":  # what is left of a file is either nothing or all
                xr.testing.assert_identical(sj.load_data(path), cities[0])

        return ending(lambda: invert_and_solve(sj.load_data(path), cities[1]), verify, f"{path}: ", "city", "sector")

    endings = fuzz("truncated and spoilt files", BYTES, check)
    assert endings["refused"] > 100


def other_files(folder, data):
    """Files, folders and names that hold no data of cities."""
    (folder / "folder.nc").mkdir()
    for name, content in {
        "empty.nc": b"",
        "text.nc": b"city,wage\na,1\n",
        "config.toml": b"economy = 'cities'\n",
        "zip.nc": b"PK\x03\x04" + bytes(100),
        "gzip.nc": b"\x1f\x8b\x08" + bytes(50),
        "png.nc": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "pickle.nc": b"\x80\x04N.",
        "hdf5.nc": b"\x89HDF\r\n\x1a\n" + bytes(500),
        "classic.nc": b"CDF\x01" + bytes(40),
        "classic64.nc": b"CDF\x02" + b"\xff" * 40,
        "json.nc": b"{}",
        "latin.nc": "naïve".encode("latin-1"),
    }.items():
        (folder / name).write_bytes(content)
    (folder / "broken.nc").symlink_to(folder / "nowhere.nc")
    (folder / "loop.nc").symlink_to(folder / "loop.nc")

    def variable(name, **attributes):
        return data.assign({name: data[name].assign_attrs(**attributes)})

    for name, made in {
        "no_variables.nc": xr.Dataset(),
        "scalars.nc": xr.Dataset({"wage": 1.0}),
        "units.nc": variable("wage", units="days since whenever"),
        "words.nc": variable("wage", scale_factor="ten"),
        "missing.nc": variable("wage", missing_value=float(data["wage"].values[0, 0])),
        "unicode.nc": data.assign(title=("city", ["Åre", "東京", "a,b", ""])),
    }.items():
        made.to_netcdf(folder / name)
    xr.Dataset({"wage": 1.0}).to_netcdf(folder / "group.nc", group="below")
    names = ["nowhere.nc", "x" * 300, "a/b/c", "\0", "", ".", "us_metros", "/dev/null", "\n"]
    return [str(folder / name) for name in sorted(path.name for path in folder.iterdir())] + names


def test_files_of_other_kinds(cities, tmp_path):
    names = other_files(tmp_path, cities[0])

    def check(case):
        position, what = case
        name = names[position % len(names)]
        if what == "data":
            return ending(
                lambda: invert_and_solve(sj.load_data(name), cities[1]),
                assert_equilibrium,
                f"{name}: ",
                "source is empty",
            )
        if what == "configuration":
            return ending(lambda: loaded(name), assert_complete, f"{name}: ", ".: ")
        if what == "panel":
            name = name[:200]
            return ending(lambda: read_panel(name), lambda panel: None, f"{name}: ", ".: ")
        table = sweep_of({"file": name}, "list")
        return ending(lambda: scenario_table(table), lambda found: None, "sweep.file: ")

    cases = st.tuples(st.integers(0, 999), st.sampled_from(("data", "configuration", "panel", "scenarios")))
    fuzz("files of other kinds", cases, check)


def sweep_of(keys, kind):
    parameter = {"a": {"scale": "amenity"}, "b": {"calibrate": "model.trade_elasticity"}}
    return SweepSection.model_validate({"kind": kind, "parameter": parameter, **keys})


def test_files_of_scenarios(tmp_path):
    path = tmp_path / "scenarios.csv"
    section = sweep_of({"file": str(path)}, "list")
    cell = st.one_of(
        st.floats().map(str), st.integers().map(str), st.sampled_from(("", "x", "nan", "1e999", '"', "1;2"))
    )
    row = st.lists(cell, min_size=1, max_size=4).map(",".join)
    head = st.sampled_from(("a,b", "a,b", "a,b", "b,a", "a", "a,b,c", "a,a", "", "\ufeffa,b", "A,B"))
    end = st.sampled_from(("\n", "", "\x00", "\r\n\r\n"))

    def check(case):
        header, rows, ending_ = case
        path.write_bytes(("\n".join([header, *rows]) + ending_).encode(errors="replace"))

        def verify(table):
            assert table.count == len(table.columns["a"]) == len(table.columns["b"]) > 0
            numbers = [x for column in table.columns.values() for x in column if not isinstance(x, str)]
            assert np.isfinite(numbers).all()

        return ending(lambda: scenario_table(section), verify, "sweep")

    fuzz("files of scenarios", st.tuples(head, st.lists(row, max_size=4), end), check)


def test_panels(tmp_path):
    cbsas = cbsa_table().iloc[:20]
    panel = drawn_panel(cbsas, 30)
    panel = panel.assign(
        firm=panel["establishment"],
        payroll=1.0,
        payroll_lag=panel["employment_lag"],
        earnings_lead=panel["earnings"].where(~panel["exit"]),
    )
    check_panel(as_panel(panel))
    columns, rows = st.sampled_from(list(panel.columns)), st.integers(0, len(panel) - 1)
    cells = st.one_of(st.sampled_from(ODD), st.sampled_from(("x", "", True, None, 10**12)))
    change = st.tuples(st.sampled_from(("cell", "cell", "cell", "all", "missing", "doubled")), columns, rows, cells)

    def check(changes):
        made = panel.astype(object)
        for kind, column, position, value in changes:
            if column not in made:
                continue
            match kind:
                case "cell":
                    made.iloc[position, list(made.columns).index(column)] = value
                case "all":
                    made[column] = pd.Series([value] * len(made), made.index, dtype=object)
                case "missing":
                    made = made.drop(columns=column)
                case "doubled":
                    made = pd.concat([made, made.iloc[[position]]])
        path = tmp_path / "panel.csv"
        made.to_csv(path, index=False)
        return ending(lambda: read_panel(path, cbsas), lambda found: check_panel(found, cbsas=cbsas), f"{path}: ")

    fuzz("panels", st.lists(change, min_size=1, max_size=2), check)


def invoked(*arguments):
    """What a command ends in: success, or status 1 with an error and no traceback."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    text = result.output + (result.stderr or "")
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in text
    assert result.exit_code in (0, 1), text
    if result.exit_code == 1:
        assert "error: " in text, text
    return result.exit_code, text


def test_validate(cities, tmp_path):
    data, share = cities
    changes = st.tuples(st.just("cities"), spoilt((*VARIABLES, *DIMENSIONS), DIMENSIONS))
    of_zones = st.tuples(st.just("zones"), spoilt((*ZONE_VARIABLES, "zone", "title"), ("zone",)))

    def check(case):
        kind, how = case
        path = tmp_path / "mine.nc"
        try:
            apply(data if kind == "cities" else zones(), how).to_netcdf(path)
        except (ValueError, TypeError, NotImplementedError):  # no file can hold that
            return "no file"
        status, text = invoked("validate", path, "--housing-share", share, "--minimum-consumption-share", 0.0)
        assert str(path) in text
        if status:
            assert "problem" in text
        return "refused" if status else "verified"

    endings = fuzz("validate", st.one_of(changes, of_zones), check)
    assert min(endings["refused"], endings["verified"]) > 5


def test_run(trees, cities, tmp_path):
    """Configurations and data that are refused before anything is solved, by the command that people type."""
    broken = tmp_path / "broken.nc"
    cities[0].drop_vars("wage").to_netcdf(broken)
    path = tmp_path / "mine.toml"
    path.write_bytes(b"")
    sources = ("data.source", "target.source", "baseline.source", "panel.source", "cbsas.source", "sweep.file")
    texts = ("nowhere.nc", str(broken), "", "\0", str(path), str(tmp_path))
    source = st.builds("{}={!r}".format, st.sampled_from(sources), st.sampled_from(texts))

    def check(case):
        name, changes, override = case
        path.write_text(tomli_w.dumps(changed(trees[name], changes)))
        try:
            config = load_config(path, [override])
        except SpatialJAXError:
            config = None
        command = "sweep" if name.startswith("sweep") else "run"
        if config is not None and not refused_early(config, texts):
            return "not run"
        status, text = invoked(command, path, "--set", override, "--out", tmp_path / "out")
        assert status == 1
        assert str(path) in text or any(
            x in text for x in (*filter(None, texts), "source is empty", "--set", "source", "sweep")
        ), text
        return "refused"

    fuzz("run", st.tuples(st.sampled_from(NAMES), CHANGES, source), check)


def refused_early(config, sources):
    """Whether a configuration names data that there are not."""
    named = (getattr(getattr(config, section, None), "source", None) for section in ("data", "target", "cbsas"))
    return any(name in sources for name in named)


def test_scenarios(cities, tmp_path):
    """A sweep over values that no economy has and some that it may have: each is solved, or failed with a reason."""
    data, share = cities
    data.to_netcdf(tmp_path / "cities.nc")
    (tmp_path / "sweep.toml").write_text(
        f"""
        data.source = "{tmp_path / "cities.nc"}"
        output.figures = false
        spillover = {{ kind = "occupation", share = [0.3, 0.2], size = [0.1, 0.05] }}
        [model]
        trade_elasticity = 4.0
        location_elasticity = 2.0
        minimum_consumption_share = 0.0
        housing_share = {share}
        [solver]
        max_evaluations = 100
        [sweep]
        kind = "list"
        file = "{tmp_path / "scenarios.csv"}"
        outcomes = "all"
        [sweep.parameter]
        skill = {{ scale = "fundamental_productivity", city = ["city 1"] }}
        cost_factor = {{ scale = "trade_cost" }}
        elasticity = {{ set = "spillover.size", occupation = ["occupation 0"] }}
        building = {{ scale = "land" }}
        """
    )
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {name: rng.uniform(0.8, 1.2, CASES["scenarios"]) for name in ("skill", "cost_factor", "building")}
    )
    table["elasticity"] = rng.uniform(0.0, 0.1, len(table))
    odd = [value for value in ODD if np.isfinite(value)]
    for row in range(0, len(table), 2):
        table.iloc[row, rng.integers(4)] = odd[row // 2 % len(odd)]
    table.to_csv(tmp_path / "scenarios.csv", index=False)
    found = run_sweep(load_config(tmp_path / "sweep.toml"), tmp_path / "out").scenarios
    assert len(found) == CASES["scenarios"]
    assert set(found["status"]) == {"solved", "failed"}
    assert (found["status"].values[1::2] == "solved").all()
    solved, failed = found[found["status"] == "solved"], found[found["status"] == "failed"]
    assert (solved["largest_residual"] <= 1e-10).all()
    assert np.isfinite(solved.select_dtypes("number")).all(axis=None)
    assert failed["reason"].str.len().gt(10).all()
    results = xr.load_dataset(tmp_path / "out" / "sweep.nc").isel(scenario=(found["status"] == "solved").values)
    for name in ("wage", "employment", "price_index", "rent", "consumption", "welfare"):
        assert np.isfinite(results[name].values).all(), name


def test_there_are_enough_cases():
    assert sum(CASES.values()) >= 2000
