"""Commands for data of one's own: `spatialjax data template`, `spatialjax data build`."""

from pathlib import Path
from typing import Annotated

import typer

from spatialjax.console import console, readable_errors

data_app = typer.Typer(
    no_args_is_help=True, help="Data sets of one's own: a template, and a builder from agencies' files."
)


@data_app.command()
def template(
    folder: Annotated[Path, typer.Argument(help="new or empty folder")],
    example: Annotated[str, typer.Option(help="minimal, or archipelago: all that the files may hold")] = "minimal",
) -> None:
    """Write annotated CSV files to fill in: a valid small economy as they stand."""
    with readable_errors():
        from spatialjax.sources.template import write_template

        files = write_template(folder, example)
        console.print(f"{folder}: {', '.join(path.name for path in files)}", markup=False, soft_wrap=True)
        console.print(f"check with: spatialjax validate {folder}", markup=False, soft_wrap=True)


@data_app.command()
def build(
    config: Annotated[Path, typer.Argument(help="TOML file that names agencies' files and says what to assume")],
    out: Annotated[Path, typer.Option(help="NetCDF file (.nc) to write, or a new folder of CSV files")],
) -> None:
    """Assemble a data set of cities from agencies' files; every imputed cell is counted."""
    with readable_errors():
        from spatialjax.sources.build import build_from_config, write_built

        built = build_from_config(config)
        for line in built.report:
            console.print(line, markup=False, soft_wrap=True)
        files = write_built(built, out)
        console.print(f"results in {', '.join(map(str, files))}", markup=False, soft_wrap=True)
        console.print(f"check with: spatialjax validate {out}", markup=False, soft_wrap=True)
