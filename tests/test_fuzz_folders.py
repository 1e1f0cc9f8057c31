"""Folders of tables, agencies' files and folders of runs, with a file spoilt: a named error, or a verified result."""

import re
import tomllib
from itertools import count

import numpy as np
import pytest
import test_sources
import tomli_w
from fuzz_cases import ending, fuzz
from fuzz_config import CHANGES, TEXT, changed, spoil_text
from fuzz_data import FRACTION
from fuzz_folders import (
    FILE,
    RESULT,
    SPOILT,
    assert_comparison,
    assert_page,
    assert_tables,
    copy,
    spoil_file,
    write_run,
)
from hypothesis import strategies as st
from test_fuzz import invoked

import spatialjax as sj
from spatialjax.data.schema import VARIABLES
from spatialjax.errors import DataError
from spatialjax.report.folder import write_report
from spatialjax.sources import read_folder, write_template
from spatialjax.sources.build import build_from_config
from spatialjax.sources.business_patterns import read_business_patterns
from spatialjax.sources.config import load_build_config
from spatialjax.sources.delineation import areas, read_delineation
from spatialjax.sources.examples import EXAMPLES
from spatialjax.sources.industry_occupations import read_industry_occupations
from spatialjax.sources.occupational_wages import mean_wages, read_occupational_wages
from spatialjax.sources.price_parities import read_price_parities
from spatialjax.sources.shipments import mean_miles, read_shipments
from spatialjax.sources.suppressed_cells import impute
from spatialjax.sources.use_tables import read_use_table
from spatialjax.workflow.comparison import compare, compared_tables
from spatialjax.workflow.identity import flat
from spatialjax.workflow.sweep_folder import MARKER, SweepFolder

agencies = test_sources.agencies


def assert_valid(data):
    """Numbers that the model reads are there, but those that a data set may lack: elasticities, wages of nobody."""
    for name in VARIABLES:
        if name in data and data[name].dtype.kind == "f" and name not in ("distance_elasticity", "iceberg_cost"):
            lacking = data["employment"].sum("sector") == 0 if name == "wage" else False
            assert bool((np.isfinite(data[name]) | lacking).all()), name


def validated(data, source, **options):
    """The data set, as `spatialjax validate` takes it or refuses it."""
    if problems := sj.validate(data, **options):
        raise DataError(str(source), problems)
    return data


def test_folders_of_tables(tmp_path):
    for name in EXAMPLES:
        write_template(tmp_path / name, name)
    files = {name: sorted(p.name for p in (tmp_path / name).iterdir() if p.suffix != ".md") for name in EXAMPLES}
    numbers = count()

    def check(case):
        example, which, how = case
        folder = copy(tmp_path / example, tmp_path / f"own{next(numbers)}")
        spoil_file(folder / files[example][int(which * len(files[example]))], how)
        return ending(lambda: validated(read_folder(folder), folder), assert_valid, f"{folder}: ")

    cases = st.tuples(st.sampled_from(sorted(EXAMPLES)), FRACTION, FILE)
    endings = fuzz("folders of tables", cases, check)
    assert min(endings["refused"], endings["verified"]) > 20


def write_shipments(folder):
    (folder / "cfs.csv").write_text(
        "NAICS.id,COMM.id,VAL,TON,TMILE,AVGMILE,AVGMILE_S\nNAICS code,Commodity code,V,T,M,A,S\n"
        "311,0000,100,1,1,200,2\n312,0000,300,1,1,400,S\n313,0000,5,1,1,S,S\n"
    )


GROUPS = {"high": ["11-0000"], "low": ["41-0000"]}
READERS = {
    "list1.csv": lambda path: areas(read_delineation(path)),
    "cbp14co.txt": lambda path: impute(read_business_patterns(path))["employment"],
    "wages.xlsx": lambda path: mean_wages(read_occupational_wages(path), GROUPS),
    "use.csv": lambda path: read_use_table(path).uses,
    "rpp.csv": lambda path: read_price_parities(path, [2014]),
    "industries.csv": read_industry_occupations,
    "cfs.csv": lambda path: mean_miles(found := read_shipments(path), list(found.index)),
}
"""What is made of each of the agencies' files alone."""


def test_files_of_agencies(agencies, tmp_path):
    write_shipments(agencies)
    numbers = count()

    def check(case):
        name, how = case
        folder = tmp_path / f"spoilt{next(numbers)}"
        folder.mkdir()
        path = folder / name
        path.write_bytes((agencies / name).read_bytes())
        spoil_file(path, how)
        return ending(lambda: READERS[name](path), lambda found: None, str(path))

    endings = fuzz("files of agencies", st.tuples(st.sampled_from(sorted(READERS)), FILE), check)
    assert min(endings["refused"], endings["verified"]) > 20


def test_data_sets_from_agencies(agencies):
    """Built of spoilt files, or with other assumptions: what is built is valid, or what is wrong is listed."""
    names = sorted(path.name for path in agencies.iterdir() if path.is_file())
    kept = {name: (agencies / name).read_bytes() for name in names}
    known = (*(f"{agencies / name}" for name in names), "occupation_totals", "assumptions", "files", "margins")

    def check(case):
        name, how = case
        path = agencies / name
        spoil_file(path, how)
        try:
            return ending(
                lambda: validated(build_from_config(agencies / "own.toml").data, path, housing_share=0.3),
                assert_valid,
                *known,
            )
        finally:
            if path.is_dir():
                path.rmdir()
            path.unlink(missing_ok=True)
            path.write_bytes(kept[name])

    endings = fuzz("data sets from agencies", st.tuples(st.sampled_from(names), FILE), check)
    assert min(endings["refused"], endings["verified"]) > 2


def test_configurations_of_builders(agencies):
    path, whole = agencies / "own.toml", tomllib.loads(test_sources.CONFIG)

    def check(case):
        kind, how = case
        text = test_sources.CONFIG
        text = tomli_w.dumps(changed(whole, how)) if kind == "tree" else spoil_text(text, how)
        path.write_bytes(text.encode(errors="surrogatepass"))

        def verify(config):
            assert sum(sector.uses_land for sector in config.sectors) == 1
            assert config.files.places.is_absolute()

        return ending(lambda: load_build_config(path), verify, str(path))

    cases = st.one_of(st.tuples(st.just("tree"), CHANGES), st.tuples(st.just("text"), TEXT))
    endings = fuzz("configurations of builders", cases, check)
    assert min(endings["refused"], endings["verified"]) > 10


def test_folders_of_runs(tmp_path):
    """The report of a run, and its comparison with another, of which a file is spoilt."""
    runs = [write_run(tmp_path / name, factor) for name, factor in (("one", 1.0), ("other", 1.1))]
    assert_page(write_report(runs[0]))
    assert_comparison(compare(*runs, tmp_path / "compared", figures=False))
    numbers = count()

    def check(case):
        reader, name, how = case
        folder = copy(runs[0], tmp_path / f"spoilt{next(numbers)}")
        spoil_file(folder / name, how)
        if reader == "report":
            return ending(lambda: write_report(folder), assert_page, folder)
        pair = (runs[1], folder) if reader == "second" else (folder, runs[1])
        if reader == "comparison":
            out = folder.with_name(f"{folder.name}_compared")
            return ending(lambda: compare(*pair, out, figures=False), assert_comparison, folder)
        return ending(lambda: compared_tables(*pair), assert_tables, folder)

    readers = st.sampled_from((*["report"] * 6, "first", "second", "comparison"))
    cases = st.tuples(readers, st.sampled_from(SPOILT), RESULT)
    endings = fuzz("folders of runs", cases, check)
    assert min(endings["refused"], endings["verified"]) > 50


def test_folders_of_sweeps(tmp_path):
    """What a sweep's results depend on, spoilt: it goes on only where this is still what is wanted."""
    wanted = {"sweep": {"kind": "list", "count": 3}, "model": {"trade_elasticity": 4.0}, "versions": {"jax": "1"}}
    numbers = count()

    def check(how):
        folder = tmp_path / f"sweep{next(numbers)}"
        with SweepFolder(folder) as store:
            store.begin(wanted, anew=False)
            spoil_file(folder / MARKER, how)

            def verify(_):
                assert not (folder / MARKER).exists() or dict(flat(tomllib.loads((folder / MARKER).read_text()))) == (
                    dict(flat(wanted))
                )

            found = ending(lambda: store.check(wanted, anew=False), verify, folder)
            if (folder / MARKER).is_file():
                store.check(wanted, anew=True)
                store.begin(wanted, anew=True)
                store.check(wanted, anew=False)
        return found

    comment = st.tuples(st.just("comment"), st.integers(0, 999).map("# {}\n".format))
    endings = fuzz("folders of sweeps", st.one_of(FILE, st.tuples(st.just("tree"), CHANGES), comment), check)
    assert min(endings["refused"], endings["verified"]) > 1


DAMAGED = [
    ("report", "run.json", b"[]", r"run.json is not the record of a run \(JSON\): it holds \[\], not keys and values"),
    ("report", "run.json", b"[" * 10**5, "run.json is not the record of a run"),
    ("report", "run.json", b'{"files": [], "data": 3}', "run.json: data must hold keys and values, found 3"),
    ("report", "run.json", b'{"files": "all"}', "run.json: files must be a list of names"),
    ("report", "run.json", b'{"optima": {"data": 3}}', "run.json is not the record of a run"),
    ("report", "config.toml", b"a = [", r"config.toml is not the configuration of a run \(TOML\): "),
    ("report", "config.toml", b"\xff\xfe", r"config.toml is not the configuration .* byte 0 is not text in UTF-8"),
    ("report", "config.toml", b".".join([b"a"] * 2000) + b" = 1", "lie more than 50 deep within each other"),
    ("report", "summary.csv", b"", r"summary.csv is not a table of a run \(CSV\): No columns to parse from file"),
    ("report", "figures/wages.svg", b"<html>", r"wages.svg is not a figure of a run \(SVG\): it has no element svg"),
    ("compare", "config.toml", b"\xff\xfe", r"config.toml is not the configuration .* byte 0 is not text in UTF-8"),
    ("compare", "run.json", b"[]", "run.json is not the record of a run"),
    ("compare", "summary.csv", b"a,b\n1,2,3\n1,2\n1,2,3,4,5\n", "summary.csv is not a table of a run"),
    ("compare", "equilibrium.nc", None, r"equilibrium.nc cannot be read as a data set of a run \(NetCDF\): NetCDF: "),
]


@pytest.mark.parametrize(("command", "name", "content", "message"), DAMAGED)
def test_damaged_files_are_named_with_a_remedy(command, name, content, message, tmp_path):
    """By the commands that people type: status 1, the file, what was found and what to do, and no traceback."""
    one, other = (write_run(tmp_path / run, 1.0) for run in ("one", "other"))
    path = one / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    status, text = invoked(command, one, *([other, "--out", tmp_path / "out"] if command == "compare" else []))
    assert status == 1
    text = " ".join(text.split())
    assert re.search(message, text), text
    assert "run it again, or choose another folder" in text
