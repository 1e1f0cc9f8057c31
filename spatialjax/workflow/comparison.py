"""Two runs beside each other: how their configurations, figures, data sets and cities differ."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import BaseModel

from spatialjax.errors import OutputError
from spatialjax.files import is_there
from spatialjax.report.reading import read_data_set, read_keys, read_record, read_table, section
from spatialjax.workflow.ending import finish
from spatialjax.workflow.identity import flat
from spatialjax.workflow.output import CONFIG, RECORD, write_config, write_table
from spatialjax.workflow.run_folder import run_folder
from spatialjax.workflow.stages import Reporter, Silent, timed

PLACES = ("city", "zone", "cbsa")


class Comparison(BaseModel):
    """What is compared: two folders of runs."""

    economy: Literal["comparison"] = "comparison"
    first: str
    second: str


@dataclass(frozen=True)
class ComparisonResult:
    """Tables of differences by name, and where they are."""

    folder: Path
    tables: dict[str, pd.DataFrame]
    files: list[Path]


def compare(
    first: str | Path,
    second: str | Path,
    folder: str | Path,
    reporter: Reporter | None = None,
    *,
    figures: bool = True,
    anew: bool = False,
) -> ComparisonResult:
    """Compare two runs and write tables, maps of differences and a report.

    Differences are the second less the first. Tables: `summary` (figures of both), `configuration` (keys that differ),
    `variables` (of data sets of the same name: the largest and the mean relative difference, and where it is largest),
    and `places` (relative differences by city or zone).

    **Raises:** `OutputError` for a folder without the results of a run, one of its files that is damaged, runs that
    have nothing in common, and a folder that cannot be written to.
    """
    one, other = Path(first), Path(second)
    for path in (one, other):
        _check_run(path)
    config = Comparison(first=str(first), second=str(second))
    seconds: dict[str, float] = {}
    reporter = Silent() if reporter is None else reporter
    with run_folder(folder, config, anew=anew) as target:
        files = [write_config(target, config)]
        with timed(reporter, "comparing tables and data sets", seconds):
            tables = compared_tables(one, other)
            for name, table in tables.items():
                files += write_table(target / f"{name}.csv", table)
            reporter.say(_described(tables))
        if figures:
            with timed(reporter, "drawing maps of differences", seconds):
                from spatialjax.workflow.comparison_drawing import draw_differences

                files += draw_differences(target, common_data_sets(one, other))
        files = finish(target, files, {"seconds": seconds}, None, timed(reporter, "writing the report", seconds))
    return ComparisonResult(target, tables, files)


def _check_run(folder: Path) -> None:
    missing = [name for name in (RECORD, CONFIG) if not is_there(folder / name)]
    if missing:
        raise OutputError(f"{folder} has no {' and no '.join(missing)}: it is not the folder of a run that has ended")


def compared_tables(one: Path, other: Path) -> dict[str, pd.DataFrame]:
    """The tables of differences between two folders of runs; those that have nothing are left out."""
    pairs = list(common_data_sets(one, other))
    found = {
        "summary": compared_figures(_read(one / "summary.csv"), _read(other / "summary.csv")),
        "configuration": compared_configurations(one, other),
        "variables": pd.DataFrame([row for pair in pairs for row in compared_variables(*pair)]),
        "places": compared_places(pairs),
    }
    if all(found[name].empty for name in ("summary", "variables")):
        raise OutputError(
            f"{one} and {other} have neither figures nor data sets of the same names: runs of different economies "
            "cannot be compared"
        )
    return {name: table for name, table in found.items() if not table.empty}


def _read(path: Path) -> pd.DataFrame:
    return read_table(path) if path.exists() else pd.DataFrame()


def compared_figures(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Rows of two tables of figures beside each other, matched by their text and in the order of the first."""
    if first.empty or second.empty:
        return pd.DataFrame()
    shared = [name for name in first.columns if name in second and "published" not in str(name)]
    numbers = [n for n in shared if all(pd.api.types.is_float_dtype(table[n]) for table in (first, second))]
    keys = [n for n in shared if not any(pd.api.types.is_numeric_dtype(table[n]) for table in (first, second))]
    if not numbers or not keys:
        return pd.DataFrame()
    value = str(numbers[0])
    left, right = (_numbered(table[[*keys, value]], keys) for table in (first, second))
    table = left.merge(right, how="outer", on=[*keys, "turn"], suffixes=(", first", ", second"))
    table = table.sort_values(["row, first", "row, second"], ignore_index=True)
    table = table.drop(columns=["row, first", "row, second"])
    ours, theirs = table[f"{value}, first"], table[f"{value}, second"]
    table["difference"] = theirs - ours
    table["percent"] = (100 * (theirs / ours.where(ours != 0) - 1)).where(np.sign(ours) == np.sign(theirs))
    return table.drop(columns="turn").rename(columns=lambda name: str(name).removeprefix(f"{value}, "))


def _numbered(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows with their number, and the turn of those whose text is the same."""
    return table.assign(row=range(len(table)), turn=table.groupby(keys, dropna=False).cumcount())


def compared_configurations(one: Path, other: Path) -> pd.DataFrame:
    """Keys in which configurations and versions differ."""
    first, second = (
        dict(flat(read_keys(path / CONFIG))) | {f"version of {name}": value for name, value in _versions(path).items()}
        for path in (one, other)
    )
    keys = [key for key in dict.fromkeys((*first, *second)) if first.get(key) != second.get(key)]
    rows = [(key, str(first.get(key, "")), str(second.get(key, ""))) for key in keys if not key.startswith("output.")]
    return pd.DataFrame(rows, columns=["key", "first", "second"])


def _versions(folder: Path) -> dict[str, Any]:
    return section(read_record(folder), "versions", folder / RECORD)


def common_data_sets(one: Path, other: Path) -> Iterator[tuple[str, xr.Dataset, xr.Dataset]]:
    """Data sets of the same name, of the places that both have."""
    for path in sorted(one.glob("*.nc")):
        if (other / path.name).exists():
            first, second = read_data_set(path), read_data_set(other / path.name)
            try:
                both = xr.align(first, second, join="inner")
            except (ValueError, TypeError) as error:  # labels that occur more than once, dimensions of other lengths
                raise OutputError(
                    f"{path} and {other / path.name} cannot be laid beside each other: {error}; where one of them is "
                    "damaged, run it again"
                ) from error
            yield path.stem, *both


def compared_variables(name: str, first: xr.Dataset, second: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Relative differences of the variables that two data sets share; absolute ones where values change sign."""
    for variable in _numbers_of_both(first, second):
        before, after = first[variable], second[variable]
        relative = bool(((before.fillna(1) > 0) & (after.fillna(1) > 0)).all())
        change = after / before - 1 if relative else after - before
        size = abs(change)
        if not size.size or not np.isfinite(size).any():
            continue
        largest = size.where(np.isfinite(size)).argmax(...)
        yield {
            "data set": name,
            "variable": str(variable),
            "difference": "relative" if relative else f"absolute, {before.attrs.get('units', '1')}",
            "largest": float(change.isel(largest)),
            "at": ", ".join(_named(first, str(d), int(at)) for d, at in largest.items()),
            "mean": float(size.mean()),
        }


def _numbers_of_both(first: xr.Dataset, second: xr.Dataset) -> Iterator[str]:
    """Variables of the same dimensions that are numbers in both data sets, and not whole ones in the first."""
    for name, values in first.data_vars.items():
        if values.dtype.kind != "f" or name not in second:
            continue
        if second[name].dtype.kind in "fiu" and second[name].dims == values.dims:
            yield str(name)


def _named(data: xr.Dataset, dimension: str, place: int) -> str:
    """What stands at a place of a dimension: its title, its label, or the number of the place."""
    for name in ("title", dimension):
        if name in data.coords and data[name].dims == (dimension,):
            return str(data[name].values[place])
    return str(place)


def compared_places(pairs: list[tuple[str, xr.Dataset, xr.Dataset]]) -> pd.DataFrame:
    """Percent changes by place, of the variables of the first data set that have places alone or with occupations."""
    for _, first, second in pairs:
        place = next((name for name in PLACES if name in first.dims), None)
        if place is None:
            continue
        titled = "title" in first.coords and first["title"].dims == (place,)
        columns = {"title": first["title"].values} if titled else {}
        for name, column in _columns(first, second, place):
            columns[name] = column
        return pd.DataFrame(columns, index=pd.Index(first[place].values, name=place)).reset_index()
    return pd.DataFrame()


def _columns(first: xr.Dataset, second: xr.Dataset, place: str) -> Iterator[tuple[str, np.ndarray]]:
    for name in _numbers_of_both(first, second):
        before = first[name]
        if not {place} <= set(before.dims) <= {place, "occupation"} or not bool((before.fillna(1) > 0).all()):
            continue
        change = 100 * (second[name] / before - 1)
        if "occupation" in change.dims:
            for at, label in enumerate(change["occupation"].values):
                yield f"{name} of {label}, percent", change.isel(occupation=at).values
        else:
            yield f"{name}, percent", change.values


def _described(tables: dict[str, pd.DataFrame]) -> str:
    variables = tables.get("variables", pd.DataFrame(columns=["largest"]))
    apart = int((np.abs(variables["largest"]) > 1e-9).sum()) if len(variables) else 0
    keys = len(tables.get("configuration", ()))
    return f"{keys} keys of the configurations differ, and {apart} of {len(variables)} variables"
