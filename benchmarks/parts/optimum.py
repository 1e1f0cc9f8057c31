"""The optimum with equal gains from the equilibrium: the allocation, its certificate, both; the baselines."""

import dataclasses

import numpy as np

import spatialjax
from spatialjax.cities.certificate import certify

from .. import numpy_baseline, numpy_planner
from ..cases import TOLERANCE
from ..comparison import SWEEPS, baseline_rows, difference_cell, how_it_ended
from ..measuring import measure, peak_memory
from ..processes import in_own_process
from ..protocol import Part, Row, Setting
from ..report import Column, compile_cell, ended_cell, faster_cell, memory_line, name_cell, number_cell, run_cell, table


def run(setting: Setting) -> Row:
    """All in one process."""
    return in_own_process(measure_optimum, setting)


def measure_optimum(setting: Setting) -> Row:
    """Three steps of the library, and the allocation by the papers' hand formulas in NumPy."""
    economy = spatialjax.invert(setting.data())
    equilibrium = spatialjax.solve(economy, tolerance=TOLERANCE)
    policy = spatialjax.OptimalPolicy(spatialjax.WelfareReference.of(economy, equilibrium))

    def allocate():
        return spatialjax.solve(economy, income=policy, initial=equilibrium, tolerance=TOLERANCE, throw=False)

    timed = {"repeats": setting.repeats, "time_limit": setting.limit}
    allocation, found = measure(allocate, **timed)
    certificate, proof = measure(lambda: certify(economy, found), **timed)
    whole, optimum = measure(lambda: spatialjax.optimum(economy, equilibrium, throw=False), **timed)
    rows = [
        {"name": "allocation, spatialjax", **allocation.row(), **how_it_ended(found)},
        {"name": "certificate, spatialjax", **certificate.row(), "residual": proof.residual},
        {
            "name": "optimum with certificate, spatialjax",
            **whole.row(),
            "evaluations": int(optimum.equilibrium.evaluations),
            "outcome": optimum.outcome,
            "residual": optimum.certificate.residual if optimum.certificate else None,
        },
    ]
    gains = numpy_planner.EqualGains(np.asarray(equilibrium.welfare))
    problem = dataclasses.replace(numpy_baseline.Problem.of(economy), policy=gains)
    for row in baseline_rows(problem, equilibrium.state(), setting, SWEEPS, allocation.median, found):
        rows.append({"name": f"allocation, {row['solver']}", **row})
    gain = [float(gain) for gain in optimum.gain]
    return {"cities": len(economy.labels.city), "gain": gain, "rows": rows, **peak_memory()}


def describe(part: Row, results: Row) -> list[str]:
    """One row a step."""
    columns: list[Column] = [
        ("", name_cell),
        ("run", run_cell),
        ("compile", compile_cell),
        ("evaluations", number_cell("evaluations")),
        ("residual", number_cell("residual", ".0e")),
        ("ended", lambda row: ended_cell({**row, "residual": None})),
        ("spatialjax is faster by", faster_cell),
        ("log difference", difference_cell),
    ]
    gains = ", ".join(f"{100 * gain:.4f}" for gain in part["gain"])
    return [
        *table(columns, part["rows"]),
        "",
        f"Gains by occupation: {gains} percent. Residual: of the markets for allocations, of the planner's "
        "first-order conditions for certificates. The baselines use the papers' hand formulas and damped sweeps, and "
        f"have no certificate. {memory_line(part)}",
    ]


PART = Part(lambda part: f"Optimum with equal gains, from the equilibrium: {part['cities']} cities", run, describe)
