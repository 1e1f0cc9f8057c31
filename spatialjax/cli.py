"""The command line: `spatialjax run`, `spatialjax validate`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Annotated

import jax
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from spatialjax import __version__
from spatialjax.errors import SpatialJAXError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Quantitative spatial equilibrium."
)
console = Console(highlight=False)
if not console.is_terminal:
    console = Console(highlight=False, width=120)
errors = Console(stderr=True, highlight=False)


class ConsoleReporter:
    """Shows the stage that is running, and what each found and took."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show the stage while it runs and its time once it has ended."""
        start = perf_counter()
        self.lines = []
        with errors.status(f"{name} ..."):
            yield
        console.print(f"{name} [dim]({perf_counter() - start:.1f} s)[/dim]")
        for line in self.lines:
            console.print(f"  {line}", markup=False, soft_wrap=True)

    def say(self, message: str) -> None:
        """Keep a line until the stage has ended."""
        self.lines.append(message)


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except SpatialJAXError as error:
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        errors.print("interrupted; files already written are whole", style="red")
        raise typer.Exit(130) from None


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="TOML configuration, for instance configs/us_metros.toml")],
    out: Annotated[Path | None, typer.Option(help="folder for results; by default the configuration's")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="override a value: --set model.trade_elasticity=8")
    ] = None,
) -> None:
    """Run a configuration: invert, solve, compare, and write tables, figures and NetCDF files."""
    with _readable_errors():
        _double_precision()
        from spatialjax.workflow.config import load_config
        from spatialjax.workflow.run import run as run_workflow

        result = run_workflow(load_config(config, set_ or ()), out, ConsoleReporter())
        console.print(_figures_table(result.figures))
        console.print(_describe_files(result.folder, result.files), soft_wrap=True)


@app.command()
def validate(
    data: Annotated[str, typer.Argument(help="NetCDF file, or the name of an embedded data set")],
    housing_share: Annotated[float, typer.Option(help="consumption share of the land-using sector")] = 0.2,
    minimum_consumption_share: Annotated[float, typer.Option(help="floor of implied consumption shares")] = 0.001,
    mend: Annotated[bool, typer.Option(help="raise smaller consumption shares to the floor")] = True,
) -> None:
    """Say everything that is wrong with a data set, or that it can be inverted."""
    with _readable_errors():
        _double_precision()
        from spatialjax.cities.inversion import validate as find_all
        from spatialjax.data.datasets import load_data
        from spatialjax.errors import DataError
        from spatialjax.workflow.run import describe_sizes

        dataset = load_data(data)
        minimum = minimum_consumption_share if mend else None
        problems = find_all(dataset, housing_share=housing_share, minimum_consumption_share=minimum)
        if problems:
            raise DataError(data, problems)
        console.print(f"{data}: a valid city economy ({describe_sizes(dataset)})")


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="print the version")] = False) -> None:
    """Quantitative spatial equilibrium."""
    if version:
        console.print(__version__)
        raise typer.Exit()


def _double_precision() -> None:
    jax.config.update("jax_enable_x64", True)


def _figures_table(figures) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("CH", justify="right", no_wrap=True)
    for row in figures.itertuples(index=False):
        name, value, unit, published = row
        table.add_row(
            name, _number(value), unit, "" if published != published or published is None else _number(published)
        )
    return table


def _describe_files(folder: Path, files: list[Path]) -> str:
    drawn = {path.stem for path in files if path.parent != folder}
    names = ", ".join(path.name for path in files if path.parent == folder)
    figures = f", and {len(drawn)} figures in figures/" if drawn else ""
    return f"results in {folder}: {names}{figures}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(app())
