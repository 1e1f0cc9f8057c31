"""Measurements as Markdown tables."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], str]]

MACHINE = {
    "device": "device",
    "cores": "cores",
    "cpu": "CPU",
    "python": "Python",
    "jax": "jax",
    "jaxlib": "jaxlib",
    "numpy": "NumPy",
    "equinox": "equinox",
    "spatialjax": "spatialjax",
    "load_average_at_start": "load average at start",
}


def to_markdown(results: Row) -> str:
    """All tables of a run."""
    sections = {
        "machine": _heading,
        "pieces": _pieces,
        "counterfactuals": _counterfactuals,
        "optimum": _optimum,
        "gradients": _gradients,
        "sizes": _sizes,
        "granular": _granular,
        "density": _density,
        "estimation": _estimation,
    }
    return "\n".join(line for part, section in sections.items() if part in results for line in section(results))


def _heading(results: Row) -> list[str]:
    machine = results["machine"]
    described = "; ".join(f"{label} {_plain(machine[key])}" for key, label in MACHINE.items())
    return [
        f"# Measured on {results['date']}",
        "",
        *(
            ["A check that the program runs, on few random cities or small panels; no measurement.", ""]
            * results["quick"]
        ),
        f"{described}. Double precision. Solves to a largest log excess of {results['tolerance']:g}.",
        "",
        "Run times are medians after compilation, and in brackets the smallest and the largest. "
        "Compilation is the first call less the median.",
        "",
    ]


def _plain(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _pieces(results: Row) -> list[str]:
    pieces = results["pieces"]
    columns = [("", lambda r: r["name"]), ("run", _run), ("compile", _compile)]
    return [
        f"## Pieces: {pieces['cities']} cities, {pieces['sectors']} sectors",
        "",
        *table(columns, pieces["rows"]),
        "",
        f"An evaluation takes {pieces['evaluation_over_kernel_products']:.2f} times its two kernel products. "
        f"{_memory(pieces)}",
        "",
    ]


def _counterfactuals(results: Row) -> list[str]:
    part = results["counterfactuals"]
    columns: list[Column] = [
        ("problem", lambda r: r["problem"]),
        ("solver", lambda r: r["solver"]),
        ("run", _run),
        ("compile", _compile),
        ("evaluations", lambda r: str(r["evaluations"])),
        ("ended", lambda r: f"{r['outcome']} ({r['residual']:.0e})"),
        ("spatialjax is faster by", _faster),
        ("log difference", lambda r: f"{r['log_difference']:.0e}" if "log_difference" in r else ""),
    ]
    return [
        f"## Solves: {part['cities']} cities",
        "",
        *table(columns, part["rows"]),
        "",
        "The baselines are damped sweeps (0.3 on wages, employment and rents). Log difference: the largest "
        f"of wages and employment from spatialjax's. {_memory(part)}",
        "",
    ]


def _optimum(results: Row) -> list[str]:
    part = results["optimum"]
    columns: list[Column] = [
        ("", lambda r: r["name"]),
        ("run", _run),
        ("compile", _compile),
        ("evaluations", lambda r: str(r.get("evaluations", ""))),
        ("residual", lambda r: "" if r["residual"] is None else f"{r['residual']:.0e}"),
        ("ended", lambda r: r.get("outcome", "")),
        ("spatialjax is faster by", _faster),
        ("log difference", lambda r: f"{r['log_difference']:.0e}" if "log_difference" in r else ""),
    ]
    gains = ", ".join(f"{100 * gain:.4f}" for gain in part["gain"])
    return [
        f"## Optimum with equal gains, from the equilibrium: {part['cities']} cities",
        "",
        *table(columns, part["rows"]),
        "",
        f"Gains by occupation: {gains} percent. Residual: of the markets for allocations, of the planner's "
        "first-order conditions for certificates. The baselines use the papers' hand formulas and damped sweeps, and "
        f"have no certificate. {_memory(part)}",
        "",
    ]


def _gradients(results: Row) -> list[str]:
    part = results["gradients"]
    columns: list[Column] = [
        ("", lambda r: r["name"]),
        ("run", _run),
        ("compile", _compile),
        ("adjoint alone", _adjoint),
    ]
    return [
        f"## Gradients of total welfare, without externalities: {part['cities']} cities",
        "",
        *table(columns, part["rows"]),
        "",
        f"Adjoint alone: the gradient's time less the forward solve's, and their ratio. {_memory(part)}",
        "",
    ]


def _sizes(results: Row) -> list[str]:
    columns: list[Column] = [
        ("cities", lambda r: str(r["cities"])),
        ("inversion", lambda r: _run(r["inversion"])),
        ("solve", lambda r: _run(r["solves"][0])),
        ("evaluations", lambda r: str(r["solves"][0]["evaluations"])),
        ("gradient", lambda r: _run(r["gradient"])),
        ("adjoint alone", lambda r: _adjoint(r["gradient"])),
        ("NumPy, kernel stored", lambda r: _baseline(r["solves"][1])),
        ("NumPy, kernel recomputed", lambda r: _baseline(r["solves"][2])),
        ("peak memory: inversion / solve / gradient", _peaks),
        ("ended", lambda r: r["solves"][0]["outcome"]),
    ]
    return [
        "## Random cities, without externalities",
        "",
        *table(columns, results["sizes"]),
        "",
        "Gradient: in fundamental productivity. Memory: peak of the process so far, everything included.",
        "",
    ]


def _granular(results: Row) -> list[str]:
    part = results["granular"]
    columns: list[Column] = [
        ("", lambda r: r["name"]),
        ("run", _run),
        ("compile", _compile),
        ("rate", _rate),
        ("spatialjax is faster by", _faster),
        ("log difference", lambda r: f"{r['log_difference']:.0e}" if "log_difference" in r else ""),
    ]
    return [
        "## The granular economy",
        "",
        *table(columns, part["rows"]),
        "",
        "The loops go over sectors, zones or games one at a time. Places: the embedded zones, from a start off by 10 "
        f"percent in firms and 30 in people. {_memory(part)}",
        "",
    ]


def _density(results: Row) -> list[str]:
    part = results["density"]
    steps: list[Column] = [
        ("", lambda r: r["name"]),
        ("rows", lambda r: f"{r['rows']:,}"),
        ("run", lambda r: seconds(r["median_seconds"])),
        ("CPU time", lambda r: seconds(r["cpu_seconds"])),
        ("compile", _compile),
        ("rate", _rate),
        ("peak memory so far", lambda r: _mib(r["memory"])),
        ("elasticity, by density", lambda r: " to ".join(f"{x:.4f}" for x in r["elasticities"])),
    ]
    beside: list[Column] = [
        ("", lambda r: r["name"]),
        ("run", _run),
        ("rate", _rate),
        ("spatialjax is faster by", _faster),
        ("largest difference", lambda r: f"{r['largest_difference']:.0e}" if "largest_difference" in r else ""),
    ]
    return [
        f"## The density premium: {part['rows'][0]['rows']:,} establishment-years",
        "",
        *table(steps, part["rows"]),
        "",
        "Each step ran once at this size, in one process, after two calls on a panel of "
        f"{part['small_rows']:,}: the first of these less the second is compilation, imports included. CPU time is of "
        "all threads. Elasticities of eq. (3) are those of the youngest and the oldest. Load average at the end "
        f"{_plain(part['load_average_at_end'])}. {_versions(part)}",
        "",
        f"Beside it, on {part['baseline']['panel_rows']:,} establishment-years:",
        "",
        *table(beside, part["baseline"]["rows"]),
        "",
        "Largest difference: of coefficients. Both also estimate errors clustered by CBSA. "
        f"{_memory(part['baseline'])}",
        "",
    ]


def _estimation(results: Row) -> list[str]:
    part = results["estimation"]
    columns: list[Column] = [
        ("", lambda r: r["name"]),
        ("rows", lambda r: f"{r['rows']:,}" if "rows" in r else ""),
        ("run", _run),
        ("compile", _compile),
        ("evaluations", lambda r: str(r.get("evaluations", ""))),
        ("rate", _rate),
    ]
    return [
        f"## Estimation: externalities of {part['cities']} cities, parameters of the granular model",
        "",
        *table(columns, part["rows"]),
        "",
        "Externalities: both occupations, given four instruments for two endogenous columns; evaluations of CUE are of "
        f"all its starts. {_versions(part)} {_memory(part)}",
        "",
    ]


def _versions(part: Row) -> str:
    return f"{', '.join(f'{name} {number}' for name, number in part['versions'].items())}."


def _rate(row: Row) -> str:
    return f"{row['per_second']:,.0f} {row.get('of', 'rows')} a second" if "per_second" in row else ""


def table(columns: Sequence[Column], rows: Iterable[Row]) -> list[str]:
    """A Markdown table."""
    lines = [[heading for heading, _ in columns], ["---"] * len(columns)]
    lines += [[cell(row) for _, cell in columns] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def seconds(value: float) -> str:
    """A duration with its unit."""
    if abs(value) >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.3g} ms" if abs(value) >= 1e-3 else f"{value * 1e6:.3g} µs"


def _run(row: Row) -> str:
    smallest, largest = seconds(row["minimum_seconds"]), seconds(row["maximum_seconds"])
    return f"{seconds(row['median_seconds'])} ({smallest}, {largest})"


def _compile(row: Row) -> str:
    return "" if row["compile_seconds"] is None else seconds(row["compile_seconds"])


def _adjoint(row: Row) -> str:
    if "adjoint_seconds" not in row:
        return ""
    return f"{seconds(row['adjoint_seconds'])} ({row['adjoint_over_forward']:.2f} of the forward solve)"


def _faster(row: Row) -> str:
    if "library_is_faster_by" not in row:
        return ""
    at_least = "" if row["outcome"] == "converged" else "not converged; over "
    return f"{at_least}{row['library_is_faster_by']:.1f} times"


def _baseline(row: Row) -> str:
    ended = "" if row["outcome"] == "converged" else f", {row['outcome']} at {row['residual']:.0e}"
    return f"{seconds(row['median_seconds'])}, {row['evaluations']} sweeps{ended}, {_faster(row)}"


def _peaks(row: Row) -> str:
    memory = row["memory"]
    parts = [_mib(memory[stage]) for stage in ("inversion", "solve", "gradient")]
    return " / ".join(parts)


def _mib(memory: Row) -> str:
    on_device = memory["peak_device_mib"]
    resident = f"{memory['peak_resident_mib']:.0f} MiB"
    return resident if on_device is None else f"{resident} (device {on_device:.0f})"


def _memory(part: Row) -> str:
    return f"Peak memory of the process: {_mib(part)}."
