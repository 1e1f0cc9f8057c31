"""Folders with several files, one of which is spoilt: tables of a user, agencies' files, results of a run."""

import json
import shutil
import tomllib

import numpy as np
import pandas as pd
import xarray as xr
from fuzz_config import CHANGES, TEXT, changed, spoil_text
from fuzz_data import BYTES, FRACTION, apply, spoil_bytes, spoilt
from hypothesis import strategies as st

from spatialjax.workflow.output import write_config, write_dataset, write_record, write_table
from spatialjax.workflow.schema import RunConfig

CELLS = (
    *("", " ", "x", "nan", "NA", "(NA)", "inf", "-inf", "-1", "0", "0.5", "1e999", "1e-320", "1e308", "9" * 400),
    *("true", "1,5", "1;5", '"', "'", "#", "*", "**", "D", "S", "½", "naïve", "東京", "10180", "11-0000", "31----"),
)
FILE = st.one_of(
    st.tuples(st.just("bytes"), BYTES),
    st.tuples(st.just("text"), TEXT),
    st.tuples(st.just("cell"), st.tuples(FRACTION, FRACTION, st.sampled_from(CELLS))),
    st.tuples(st.just("cell"), st.tuples(FRACTION, FRACTION, st.sampled_from(CELLS))),
    st.tuples(st.just("line"), st.tuples(FRACTION, st.sampled_from(("removed", "doubled", "empty")))),
    st.tuples(st.just("whole"), st.sampled_from(("gone", "empty", "folder", "nowhere", "unicode"))),
)
"""Ways to spoil a file, whatever it holds."""
VARIABLES, DIMENSIONS = ("wage", "employment", "price_index", "latitude", "title", "city"), ("city", "occupation")
RESULT = st.one_of(
    FILE,
    st.tuples(st.just("tree"), CHANGES),
    st.tuples(st.just("tree"), CHANGES),
    st.tuples(st.just("data"), spoilt(VARIABLES, DIMENSIONS)),
    st.tuples(st.just("data"), spoilt(VARIABLES, DIMENSIONS)),
)
"""Ways to spoil a result of a run: also those that leave it JSON, TOML or NetCDF."""


def spoil_file(path, how):
    """Spoil a file where it is; text that only a text file can have is, in another, cut off."""
    kind, detail = how
    content = path.read_bytes()
    if kind == "comment":
        path.write_bytes(content + detail.encode())
    elif kind == "whole":
        _replace(path, detail)
    elif kind == "tree" and path.suffix in (".json", ".toml"):
        _spoil_tree(path, detail)
    elif kind == "data" and path.suffix == ".nc":
        _spoil_data(path, detail)
    elif kind == "bytes":
        path.write_bytes(spoil_bytes(content, detail))
    elif b"\0" in content or kind in ("tree", "data"):
        path.write_bytes(content[: len(content) // 2])
    else:
        text = content.decode("utf-8")
        made = {"text": spoil_text, "cell": _spoil_cell, "line": _spoil_line}[kind](text, detail)
        path.write_bytes(made.encode(errors="surrogatepass"))


def _replace(path, what):
    path.unlink()
    match what:
        case "empty":
            path.write_bytes(b"")
        case "folder":
            path.mkdir()
        case "nowhere":
            path.symlink_to(path.with_name("nowhere"))
        case "unicode":
            path.write_bytes("naïve".encode("latin-1"))


def _spoil_tree(path, changes):
    if path.suffix == ".json":
        path.write_text(json.dumps(changed(json.loads(path.read_text()), changes), default=str))
    else:
        import tomli_w

        path.write_text(tomli_w.dumps(changed(tomllib.loads(path.read_text()), changes)))


def _spoil_data(path, changes):
    data = xr.load_dataset(path)
    path.unlink()
    try:
        apply(data, changes).to_netcdf(path)
    except (ValueError, TypeError, NotImplementedError):  # no file can hold that
        path.write_bytes(b"")


def _spoil_line(text, how):
    where, kind = how
    lines = text.splitlines(keepends=True)
    at = int(where * len(lines))
    return "".join((*lines[:at], *{"removed": [], "doubled": [lines[at]] * 2, "empty": ["\n"]}[kind], *lines[at + 1 :]))


def _spoil_cell(text, how):
    row, column, value = how
    lines = text.splitlines()
    rows = [n for n, line in enumerate(lines) if not line.startswith("#")]
    at = rows[int(row * len(rows))]
    cells = lines[at].split(",")
    cells[int(column * len(cells))] = value
    lines[at] = ",".join(cells)
    return "\n".join(lines) + "\n"


CERTIFICATE = {"residual": 1e-12, "curvature": [-1.0, -2.0]}
DIAGNOSTICS = {
    "precision": "float64",
    "seconds": {"inversion": 0.5, "solving": 1.5},
    "data_are_an_equilibrium": {"labour": 1e-12, "goods": 1e-11},
    "mended_sectors": [{"sector": "food", "value_added_share_in_data": 0.5, "value_added_share": 0.4}],
    "equilibria_solved": {"data": {"largest_log_excess": 1e-12, "evaluations": 9}},
    "optima": {"optimum": {"outcome": "first best", "certificate": CERTIFICATE}},
    "policies": {"flat_tax": {"outcome": "found", "certificate": None}},
    "stability": {"eigenvalues_of_reduced_map": [[0.5, 0.0]], "stable": True},
    "equilibria": {"outcome_of_start": [0, 0], "distinct": 1},
    "competitive": {"data_are_an_equilibrium": 1e-12, "leading_eigenvalue": 0.5, "stable": True},
    "scenarios": {"solved": 3, "failed": 1},
    "tables_left_out": {"table": "too small"},
    "tables_read_back": ["another"],
    "parts": {"first": {"attention": [], "report": "first/report.html"}},
}
"""Something of all that reports know how to check."""


def write_run(folder, factor):
    """Write a folder as a run leaves it, whose numbers are multiplied by a factor; returns the files."""
    folder.mkdir(parents=True)
    cities, numbers = ["a", "b", "c"], factor * (1 + np.arange(6.0).reshape(3, 2))
    data = xr.Dataset(
        {
            "wage": (("city", "occupation"), numbers, {"units": "US dollars a year"}),
            "employment": (("city", "occupation"), 10 * numbers),
            "price_index": ("city", numbers[:, 0]),
            "national": 3.0 * factor,
        },
        {
            "city": cities,
            "occupation": ["high", "low"],
            "title": ("city", ["Åre", "B, TX", "C"]),
            "latitude": ("city", [1.0, 2.0, 3.0]),
        },
        {"title": "three cities"},
    )
    figures = pd.DataFrame({"figure": ["wages", "rents"], "of": ["all", "b"], "ours": [factor, 2.0]})
    files = [write_config(folder, RunConfig.model_validate({"model": {"trade_elasticity": 4.0 + factor}}))]
    files += [write_dataset(folder / "equilibrium.nc", data)]
    files += write_table(folder / "summary.csv", figures)
    files += write_table(folder / "cities.csv", pd.DataFrame({"city": cities, "wage": numbers[:, 0], "large": True}))
    drawing = folder / "figures" / "wages.svg"
    drawing.parent.mkdir()
    drawing.write_text('<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><g id="a"/></svg>\n')
    write_record(folder, DIAGNOSTICS, data, [*files, drawing, folder / "run.json", folder / "report.html"])
    return folder


SPOILT = ("config.toml", "run.json", "run.json", "summary.csv", "cities.csv", "equilibrium.nc", "figures/wages.svg")
"""Files of such a folder that are read again."""


def copy(folder, to):
    """A copy of a folder in a place that nothing was read from: libraries go on to hold files that they failed with."""
    return shutil.copytree(folder, to)


def assert_page(path):
    """A page that is whole."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert "Diagnostics and certificates" in text


def assert_tables(tables):
    """Tables of a comparison: of what differs, and of numbers where there should be some."""
    assert set(tables) <= {"summary", "configuration", "variables", "places"}
    assert {"summary", "variables"} & set(tables)
    for name, table in tables.items():
        assert len(table) > 0, name
    if "variables" in tables:
        assert np.isfinite(tables["variables"]["largest"]).all()


def assert_comparison(found):
    """A comparison whose tables are those on the disk, and of which all files are there."""
    assert_page(found.folder / "report.html")
    record = json.loads((found.folder / "run.json").read_text())
    assert all((found.folder / name).stat().st_size for name in record["files"])
    assert_tables(found.tables)
    assert set(found.tables) <= {path.stem for path in found.folder.glob("*.csv")}
    for name, table in found.tables.items():
        assert len(pd.read_csv(found.folder / f"{name}.csv")) == len(table) > 0
