"""Externalities of cities by each estimator, and the parameters of the granular model from a panel of firms."""

from collections.abc import Iterator
from functools import partial

import spatialjax
from spatialjax import Economy, estimation

from .. import density_cases
from ..measuring import Timing, measure, peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import Column, compile_cell, memory_line, name_cell, number_cell, rate_cell, run_cell, table
from .density import versions_line


def run(setting: Setting) -> Row:
    """All in one process."""
    return in_own_process(measure_estimation, setting)


def measure_estimation(setting: Setting) -> Row:
    """Both models."""
    data = setting.data()
    economy = spatialjax.invert(data)
    columns = density_cases.instruments(data, economy)
    rows = [*_externalities(economy, columns, setting.repeats), *_granular_rows(setting)]
    return {"cities": data.sizes["city"], "rows": rows, "versions": density_cases.versions(), **peak_memory()}


def _externalities(economy: Economy, columns, repeats: int) -> Iterator[Row]:
    timing, _ = measure(lambda: estimation.model_instruments(economy), repeats=repeats)
    yield {"name": "instruments of the model", **timing.row()}
    for estimator in ("ols", "2sls", "cue"):
        call = partial(density_cases.spillovers, economy, estimator, columns)
        timing, found = measure(call, repeats=repeats)
        rows = sum(one.observations for one in found.regressions.values())
        searches = [one.search.evaluations for one in found.regressions.values() if one.search]
        evaluations = {"evaluations": sum(searches)} if searches else {}
        yield {"name": f"externalities by occupation, {estimator.upper()}", **timing.row(), "rows": rows, **evaluations}


def _granular_rows(setting: Setting) -> Iterator[Row]:
    repeats = min(setting.repeats, 3)
    timing, made = measure(lambda: density_cases.firms(setting.quick), repeats=repeats)
    yield _of_rows("panel of firms simulated", timing, len(made.panel))
    timing, _ = measure(lambda: estimation.estimate_granular(made.panel, made.products), repeats=repeats)
    yield _of_rows("parameters of KO Table 2", timing, len(made.panel))


def _of_rows(name: str, timing: Timing, rows: int) -> Row:
    return {"name": name, **timing.row(), "rows": rows, "per_second": rows / timing.median, "of": "rows"}


def describe(part: Row, results: Row) -> list[str]:
    """One row an estimate."""
    columns: list[Column] = [
        ("", name_cell),
        ("rows", number_cell("rows", ",")),
        ("run", run_cell),
        ("compile", compile_cell),
        ("evaluations", number_cell("evaluations")),
        ("rate", rate_cell),
    ]
    return [
        *table(columns, part["rows"]),
        "",
        "Externalities: both occupations, given four instruments for two endogenous columns; evaluations of CUE are of "
        f"all its starts. {versions_line(part)} {memory_line(part)}",
    ]


def _title(part: Row) -> str:
    return f"Estimation: externalities of {part['cities']} cities, parameters of the granular model"


PART = Part(_title, run, describe, standard=False)
