"""Measurements as Markdown: the cells that tables share, and the page of a whole run."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .protocol import Part, Row

Column = tuple[str, Callable[[Row], str]]

MACHINE = {
    "device": "device",
    "cores": "cores",
    "cpu": "CPU",
    "python": "Python",
    "jax": "jax",
    "jaxlib": "jaxlib",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "equinox": "equinox",
    "spatialjax": "spatialjax",
}
HOW_TIMED = (
    "Run times are medians after compilation, and in brackets the smallest and the largest. Compilation is the first "
    "call less the median."
)


def to_markdown(results: Row, parts: dict[str, Part]) -> str:
    """The page of a run: every part with what it was measured on."""
    lines = _heading(results)
    for name, part in parts.items():
        if name in results:
            lines += [f"## {heading(results[name], name, part)}", "", *body(results, name, part), ""]
    return "\n".join(lines)


def _heading(results: Row) -> list[str]:
    quick = ["A check that the program runs, on few random cities or small panels; no measurement.", ""]
    return [
        f"# Measured on {results['date']}",
        "",
        *(quick if results["quick"] else []),
        f"{machine_line(results['machine'])} Double precision. Solves to a largest log excess of "
        f"{results['tolerance']:g}. {HOW_TIMED}",
        "",
    ]


def machine_line(machine: Row) -> str:
    """What the measurements were made on."""
    described = "; ".join(f"{label} {machine[key]}" for key, label in MACHINE.items() if key in machine)
    return f"{described[0].upper()}{described[1:]}."


def heading(part: Row, name: str, kind: Part) -> str:
    """The title of a part's tables."""
    return name.capitalize() if "failed" in part else kind.title(part)


def body(results: Row, name: str, kind: Part) -> list[str]:
    """The lines of a part: its tables, or why there are none, and when they were measured."""
    part = results[name]
    if "failed" in part:
        return [f"Not measured: {last_line(part['failed'])}."]
    return [*kind.describe(part, results), "", measured_line(part)]


ERROR_LINE = re.compile(r"^[\w.]+(Error|Exception|Interrupt|Warning)\b.*", re.MULTILINE)


def last_line(reason: str) -> str:
    """The line of an error that says what it is, without a full stop; notes may stand after it."""
    errors = [found.group(0) for found in ERROR_LINE.finditer(reason)]
    line = errors[-1] if errors else reason.strip().splitlines()[-1]
    return line.rstrip(".")


def measured_line(part: Row) -> str:
    """When a part was measured, and what else the machine did."""
    found = part["measured"]
    return (
        f"Measured {found['at']} in {seconds(found['seconds'])}, load average {found['load_average_at_start']:.2f} "
        "at its start."
    )


def table(columns: Sequence[Column], rows: Iterable[Row]) -> list[str]:
    """A Markdown table, without the columns in which nothing stands."""
    rows = list(rows)
    cells = [[heading, *(cell(row) for row in rows)] for heading, cell in columns]
    kept = [column for column in cells if any(column[1:])]
    first, *others = [list(line) for line in zip(*kept, strict=True)]
    lines = [first, ["---"] * len(first), *others]
    return [f"| {' | '.join(line)} |" for line in lines]


def seconds(value: float) -> str:
    """A duration with its unit."""
    if abs(value) >= 100:
        return f"{value:.0f} s"
    if abs(value) >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.3g} ms" if abs(value) >= 1e-3 else f"{value * 1e6:.3g} µs"


def name_cell(row: Row) -> str:
    """What was measured."""
    return row["name"]


def run_cell(row: Row) -> str:
    """Median, smallest and largest time; or why there is none."""
    if "left_out" in row:
        return f"left out: {row['left_out']}"
    if row["repeats"] == 1:
        return f"{seconds(row['median_seconds'])} (once)"
    smallest, largest = seconds(row["minimum_seconds"]), seconds(row["maximum_seconds"])
    return f"{seconds(row['median_seconds'])} ({smallest}, {largest})"


def compile_cell(row: Row) -> str:
    """Time of compilation."""
    return "" if row.get("compile_seconds") is None else seconds(row["compile_seconds"])


def number_cell(key: str, form: str = "") -> Callable[[Row], str]:
    """A number where there is one."""

    def cell(row: Row) -> str:
        value: Any = row.get(key)
        return "" if value is None else format(value, form)

    return cell


def faster_cell(row: Row) -> str:
    """How many times longer a baseline takes than the library."""
    if "library_is_faster_by" not in row:
        return ""
    at_least = "" if row["outcome"] == "converged" else f"{row['outcome']}; over "
    return f"{at_least}{row['library_is_faster_by']:.1f} times"


def ended_cell(row: Row) -> str:
    """How a search ended, and the largest log excess there."""
    if "outcome" not in row:
        return ""
    residual = row.get("residual")
    return row["outcome"] if residual is None else f"{row['outcome']} ({residual:.0e})"


def rate_cell(row: Row) -> str:
    """How many a second."""
    if "per_second" not in row:
        return ""
    form = ",.0f" if row["per_second"] >= 100 else ".3g"
    return f"{row['per_second']:{form}} {row.get('of', 'rows')} a second"


def memory(found: Row) -> str:
    """Peak memory of a process, and of its accelerator."""
    on_device = found["peak_device_mib"]
    resident = f"{found['peak_resident_mib']:,.0f} MiB"
    return resident if on_device is None else f"{resident} (device {on_device:,.0f})"


def memory_line(part: Row) -> str:
    """Peak memory of the process that measured a part."""
    return f"Peak memory of the process: {memory(part)}."
