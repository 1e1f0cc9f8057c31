"""The command line: one command for each thing that is asked of the library."""

import sys
from pathlib import Path
from typing import Annotated

import jax
import typer
from rich import box
from rich.table import Table

from spatialjax import __version__
from spatialjax.cli_data import data_app
from spatialjax.console import ConsoleReporter, console, errors, readable_errors, tell, warn
from spatialjax.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Quantitative spatial equilibrium."
)
app.add_typer(data_app, name="data")
ROWS_SHOWN = 20
"""Of a long table of a comparison."""


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="TOML configuration, for instance configs/us_metros.toml")],
    out: Annotated[Path | None, typer.Option(help="folder for results; by default the configuration's")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="override a value: --set model.trade_elasticity=8")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="remove the results of another configuration from the folder")
    ] = False,
) -> None:
    """Run a configuration: calibrate, solve, compare, and write tables, figures, NetCDF files and a report."""
    with readable_errors():
        from spatialjax.workflow.any_run import run_any
        from spatialjax.workflow.config import (
            GranularRunConfig,
            NestedRunConfig,
            RunConfig,
            SweepRunConfig,
            load_config,
        )

        loaded = load_config(config, set_ or ())
        if isinstance(loaded, SweepRunConfig):
            raise ConfigError(f"{config} describes a sweep: spatialjax sweep {config}")
        found = run_any(loaded, out, ConsoleReporter(), anew=anew)
        figures = _compact(found.figures) if isinstance(loaded, GranularRunConfig) else found.figures
        figures = (
            figures.rename(columns={"name": "figure", "published": "CH"}) if type(loaded) is RunConfig else figures
        )
        digits = {RunConfig: 4, NestedRunConfig: 7}.get(type(loaded), 3)
        _show(figures, found.folder, found.files, digits=digits)


@app.command()
def sweep(
    config: Annotated[Path, typer.Argument(help="TOML configuration with a table sweep, as configs/sweep_*.toml")],
    out: Annotated[Path | None, typer.Option(help="folder for results; by default the configuration's")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="override a value: --set sweep.draws=100")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="try scenarios that failed again, in steps where need be")
    ] = False,
    max_evaluations: Annotated[int | None, typer.Option(min=1, help="for those, instead of the solver's")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="remove the sweep in the folder and begin again")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the scenarios and stop")] = False,
) -> None:
    """Solve many scenarios of a configuration. Killed or interrupted, the same command goes on where it stopped.

    Ends with status 0 if every scenario is solved, and with 3 if some failed.
    """
    with readable_errors():
        from spatialjax.workflow.config import load_config
        from spatialjax.workflow.sweep_progress import ConsoleSweep
        from spatialjax.workflow.sweep_run import run_sweep
        from spatialjax.workflow.sweep_summary import described_failures, parameters_frame, ranges, sweep_config

        loaded = sweep_config(load_config(config, set_ or ()), config)
        if dry_run:
            frame, rest = parameters_frame(loaded)
            console.print(_table(frame, 6), rest)
            return
        result = run_sweep(
            loaded,
            out,
            ConsoleSweep(ConsoleReporter(), errors),
            anew=anew,
            retry_failed=retry_failed,
            max_evaluations=max_evaluations,
        )
        _show(ranges(result), result.folder, result.files)
        tell(f"{result.standing.described()}, in {result.folder}/parts")
        if result.failed:
            warn(described_failures(result))
            raise typer.Exit(3)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def bench(context: typer.Context) -> None:
    """Measure the library on this machine, and other programs beside it: `spatialjax bench --help`."""
    with readable_errors():
        from spatialjax.bench import bench as run_benchmarks

        raise typer.Exit(run_benchmarks(context.args))


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="folder of a run")],
    second: Annotated[Path, typer.Argument(help="folder of another")],
    out: Annotated[Path, typer.Option(help="folder for tables, maps and the report")] = Path("results/comparison"),
    anew: Annotated[
        bool, typer.Option("--anew", help="remove the results of another comparison from the folder")
    ] = False,
) -> None:
    """Compare two runs: their figures, variables, cities and configurations; maps of differences; a report."""
    with readable_errors():
        from spatialjax.workflow.comparison import compare as compare_runs

        found = compare_runs(first, second, out, ConsoleReporter(), anew=anew)
        for name, table in found.tables.items():
            if name != "places":
                shown = table.drop(columns=["difference", "at"] if name == "variables" else [])
                console.print(_table(shown.head(ROWS_SHOWN), 4))
        tell(_describe_files(found.folder, found.files))


@app.command()
def paper(
    out: Annotated[Path, typer.Option(help="folder for all runs and the page")] = Path("results/paper"),
    configs: Annotated[
        Path | None, typer.Option(help="folder of the configurations; by default configs here, else the library's own")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="a part, by name; may be repeated")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="override a value in every part")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="run parts again that have ended")] = False,
) -> None:
    """Run what the four papers publish, and write one page with ours beside theirs; interrupted, it goes on."""
    with readable_errors():
        from spatialjax.workflow.paper import run_paper

        found = run_paper(out, configs, ConsoleReporter(), only=only or (), overrides=set_ or (), anew=anew)
        console.print(_table(found.figures.drop(columns=["paper", "why they differ"]), 4, fold=True))
        tell(_describe_files(found.folder, found.files))


@app.command("validate-models")
def validate_models(
    peers: Annotated[
        Path | None, typer.Option(help="folder with the files of published models (docs/nested.md)")
    ] = None,
    papers: Annotated[
        Path | None, typer.Option(help="folder of a finished `spatialjax paper`, or of one of its parts")
    ] = None,
    out: Annotated[Path, typer.Option(help="the page, Markdown")] = Path("validation.md"),
) -> None:
    """Compare the library with closed forms and published models, and write one page; status 1 if a row fails."""
    with readable_errors():
        from spatialjax.workflow.validate_models import validate_models as compute
        from spatialjax.workflow.validate_models import write_page

        found = compute(peers, papers, ConsoleReporter())
        path = write_page(out, found)
        for row in found.broken:
            warn(
                f"does not hold: {row.model}, {row.quantity}: known {row.known:.8g}, computed {row.computed:.8g}, "
                f"tolerance {row.tolerance:.1g}"
            )
        total = len(found.table())
        tell(f"{total - len(found.broken)} of {total} rows hold; page: {path}")
        if found.broken:
            raise typer.Exit(1)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="folder of a run that has ended")]) -> None:
    """Write the report of a run again, from what is in its folder."""
    with readable_errors():
        from spatialjax.report.folder import write_report

        tell(f"report: {write_report(folder)}")


@app.command()
def validate(
    data: Annotated[
        str, typer.Argument(help="a NetCDF file, a folder of CSV files, or the name of an embedded data set")
    ],
    housing_share: Annotated[float, typer.Option(help="consumption share of the land-using sector")] = 0.2,
    minimum_consumption_share: Annotated[float, typer.Option(help="floor of implied consumption shares")] = 0.001,
    mend: Annotated[bool, typer.Option(help="raise smaller consumption shares to the floor")] = True,
) -> None:
    """Say everything that is wrong with a data set (a file, or a folder of tables), or that it can be inverted."""
    with readable_errors():
        from spatialjax.cities.inversion import validate as find_all
        from spatialjax.data.cbsas import check_cbsas
        from spatialjax.data.datasets import kind_of, load_data
        from spatialjax.data.zones import check_zones
        from spatialjax.errors import DataError
        from spatialjax.workflow.run import describe_sizes

        dataset = load_data(data)
        if kind_of(dataset) == "zones":
            check_zones(dataset)
            console.print(f"{data}: valid commuting zones of a granular economy ({dataset.sizes['zone']} zones)")
            return
        if kind_of(dataset) == "cbsas":
            check_cbsas(dataset)
            console.print(f"{data}: valid metropolitan areas by density ({dataset.sizes['cbsa']} CBSAs)")
            return
        minimum = minimum_consumption_share if mend else None
        problems = find_all(dataset, housing_share=housing_share, minimum_consumption_share=minimum)
        if problems:
            raise DataError(data, problems)
        console.print(f"{data}: a valid city economy ({describe_sizes(dataset)})")


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="print the version")] = False) -> None:
    """Quantitative spatial equilibrium."""
    jax.config.update("jax_enable_x64", True)
    if version:
        console.print(__version__)
        raise typer.Exit()


def _show(figures, folder: Path, files: list[Path], digits: int = 4) -> None:
    console.print(_table(figures, digits))
    tell(_describe_files(folder, files))


def _table(frame, digits: int, *, fold: bool = False) -> Table:
    """A table for the screen; `fold` breaks long names, so that all numbers are seen."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    for name, kind in frame.dtypes.items():
        if kind.kind == "f":
            table.add_column(name, justify="right", min_width=digits + 6)
        else:
            table.add_column(name, no_wrap=not fold)
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value, digits) for value in row))
    return table


def _compact(frame):
    """A table of figures for the width of a screen: what tells rows apart in one column, and fewer numbers."""
    names = frame["figure"].str.replace(", percent", " (%)") + ", " + frame["conduct"] + ", " + frame["zone"]
    left_out = ["conduct", "zone", *frame.filter(like="s.e."), *frame.filter(like="exact, data")]
    return frame.assign(figure=names).drop(columns=left_out).rename(columns=lambda name: name.replace(",", ""))


def _cell(value, digits: int) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or value != value else _number(value, digits)


def _describe_files(folder: Path, files: list[Path]) -> str:
    names = [path.name for path in files if path.parent == folder]
    inner = {kind: {path.stem for path in files if path.parent == folder / kind} for kind in ("tables", "figures")}
    counted = [f"{len(stems)} {kind} in {kind}/" for kind, stems in inner.items() if stems]
    *first, last = [*names, *counted]
    return f"results in {folder}: {', '.join(first)}{', and ' if counted else ', '}{last}"


def _number(value: float, digits: int) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


if __name__ == "__main__":
    sys.exit(app())
