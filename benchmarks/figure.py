"""One figure of results: solvers beside each other, growth with the number of cities, geographies, batches."""

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from spatialjax.plots import style

from .comparison import BASELINES
from .floors import evaluation_floor
from .parts.batches import LOOP
from .protocol import Row

LIBRARY = "spatialjax"
COLOURS = dict(zip((LIBRARY, *BASELINES), ("blue", "orange", "vermillion", "purple", "green"), strict=True))
PANEL_WIDTH, HEIGHT = 3.6, 4.0
LEGEND: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "fontsize": 7.0, "handlelength": 1.6}
POINTS: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linewidth": 1.1}


def draw(results: Row) -> Figure | None:
    """The figure, with a panel for each part that was measured; None where none was."""
    panels = [panel for name, panel in PANELS.items() if "failed" not in results.get(name, {"failed": ""})]
    if not panels:
        return None
    with style.plot_style():
        figure = style.new_figure(PANEL_WIDTH * len(panels), HEIGHT)
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            style.dress_axes(axes)
            panel(axes, results)
    return figure


def _number_ticks(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, as numbers without exponents."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axis.set_minor_formatter(NullFormatter())


def _solvers(axes: Axes, results: Row) -> None:
    """Seconds of a solve by problem and solver; hollow where a solver did not converge."""
    rows = [row for part in ("counterfactuals", "hard") for row in results.get(part, {}).get("rows", [])]
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    for solver, colour in COLOURS.items():
        for row in rows:
            if row["solver"] == solver:
                filled = row["outcome"] == "converged"
                axes.plot(
                    row["median_seconds"],
                    problems.index(row["problem"]),
                    "o",
                    markersize=5.5,
                    color=style.PALETTE[colour],
                    markerfacecolor=style.PALETTE[colour] if filled else "white",
                )
        if any(row["solver"] == solver for row in rows):
            axes.plot([], [], "o", markersize=5.5, color=style.PALETTE[colour], label=solver)
    axes.set(xscale="log", xlabel="seconds (hollow: not converged)", ylim=(len(problems) - 0.5, -0.5))
    _number_ticks(axes.xaxis)
    axes.set_yticks(range(len(problems)), [problem.replace(", ", ",\n") for problem in problems])
    axes.set_title(f"A solve, {results['counterfactuals']['cities']} cities")
    axes.legend(ncols=1, **LEGEND)


def _growth(axes: Axes, results: Row) -> None:
    """Seconds against the number of cities."""
    rows = [row for row in results["sizes"]["rows"] if "left_out" not in row]
    lines: dict[str, tuple[str, Callable[[Row], float | None]]] = {
        "solve": ("blue", lambda r: r["solves"][0]["median_seconds"]),
        "gradient": ("sky blue", lambda r: r["gradient"]["median_seconds"]),
        "inversion": ("black", lambda r: r["inversion"]["median_seconds"]),
        "NumPy, kernel stored": ("orange", lambda r: _baseline(r, 1)),
        "NumPy, kernel recomputed": ("vermillion", lambda r: _baseline(r, 2)),
    }
    for label, (colour, value) in lines.items():
        points = [(row["cities"], value(row)) for row in rows]
        known = [(x, y) for x, y in points if y is not None]
        axes.plot(*zip(*known, strict=True), color=style.PALETTE[colour], label=label, **POINTS)
    floors = [(row["cities"], _floor(results, row)) for row in rows]
    if all(floor is not None for _, floor in floors):
        axes.plot(
            *zip(*floors, strict=True), "--", color=style.PALETTE["grey"], linewidth=1.0, label="floor of a solve"
        )
    axes.set(xscale="log", yscale="log", xlabel="cities", ylabel="seconds", title="Growth with the number of cities")
    axes.set_xticks([row["cities"] for row in rows], [f"{row['cities']:,}" for row in rows])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.legend(ncols=2, **LEGEND)


def _floor(results: Row, row: Row) -> float | None:
    floor = evaluation_floor(results, row["cities"])
    return floor * row["solves"][0]["evaluations"] if floor else None


def _baseline(row: Row, position: int) -> float | None:
    return row["solves"][position]["median_seconds"] if position < len(row["solves"]) else None


GEOGRAPHIES = {"stored": "blue", "tiled": "orange", "hierarchical": "green"}


def _places(axes: Axes, results: Row) -> None:
    """Seconds of an evaluation against the number of cities, by geography; with lines of slopes one and two."""
    rows = results["places"]["evaluations"]
    for method, colour in GEOGRAPHIES.items():
        points = [(row["cities"], row["seconds_per_evaluation"]) for row in rows if row["method"] == method]
        if points:
            axes.plot(*zip(*points, strict=True), color=style.PALETTE[colour], label=method, **POINTS)
    cities = sorted({row["cities"] for row in rows})
    least = min(row["seconds_per_evaluation"] for row in rows)
    for power, dashes in ((1, ":"), (2, "--")):
        slope = [least * (n / cities[0]) ** power for n in cities]
        label = "proportional to cities" + ("" if power == 1 else " squared")
        axes.plot(cities, slope, dashes, color=style.PALETTE["grey"], linewidth=1.0, label=label)
    axes.set(xscale="log", yscale="log", xlabel="cities", ylabel="seconds", title="An evaluation, by geography")
    axes.set_xticks(cities, [f"{n:,}" for n in cities])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.legend(ncols=1, **LEGEND)


def _batches(axes: Axes, results: Row) -> None:
    """Equilibria a second against the number of scenarios; a loop of single solves as a line."""
    colours = iter(("blue", "orange", "green", "purple", "vermillion"))
    for family in results["batches"]["families"].values():
        rows = [row for row in family["rows"] if "per_second" in row]
        points = [(row["count"], row["per_second"]) for row in rows if "count" in row]
        if not points:
            continue
        colour = style.PALETTE[next(colours)]
        label = rows[-1]["name"].rpartition(":")[0].replace(", ", ",\n")
        axes.plot(*zip(*points, strict=True), color=colour, label=label, **POINTS)
        loops = [row["per_second"] for row in rows if "count" not in row]
        for rate in loops:
            axes.plot(LOOP, rate, "x", color=colour, markersize=5.0)
    axes.set(xscale="log", yscale="log", xlabel="scenarios at once (crosses: one by one)", ylabel="a second")
    _number_ticks(axes.yaxis)
    counts = sorted({row["count"] for row in _measured(results) if "count" in row})
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"Batches, {results['batches']['cities']} cities")
    axes.legend(ncols=1, **LEGEND)


def _measured(results: Row) -> list[Row]:
    rows = [row for family in results["batches"]["families"].values() for row in family["rows"]]
    return [row for row in rows if "per_second" in row]


PANELS: dict[str, Callable[[Axes, Row], None]] = {
    "counterfactuals": _solvers,
    "sizes": _growth,
    "places": _places,
    "batches": _batches,
}
