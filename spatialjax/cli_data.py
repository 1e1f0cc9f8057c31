"""Commands for data of one's own: `spatialjax data template`, `spatialjax data build`, `spatialjax data calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from spatialjax.console import readable_errors, tell

data_app = typer.Typer(
    no_args_is_help=True,
    help="Data sets of one's own: a template, a builder from agencies' files, trade costs from shipments.",
)


@data_app.command()
def template(
    folder: Annotated[Path, typer.Argument(help="new or empty folder")],
    example: Annotated[
        str,
        typer.Option(
            help="minimal; archipelago: all that the files may hold; agencies: files of agencies to build data from"
        ),
    ] = "minimal",
) -> None:
    """Write annotated files to fill in: a valid small economy as they stand, or files of agencies that build one."""
    with readable_errors():
        from spatialjax.sources.template import AGENCIES, write_template

        files = write_template(folder, example)
        tell(f"{folder}: {', '.join(path.name for path in files)}")
        if example == AGENCIES:
            tell(f"build with: spatialjax data build {folder / 'build.toml'} --out mine.nc")
        else:
            tell(f"check with: spatialjax validate {folder}")


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
            tell(line)
        files = write_built(built, out)
        tell(f"results in {', '.join(map(str, files))}")
        tell(f"check with: spatialjax validate {out}")


@data_app.command()
def calibrate(
    data: Annotated[Path, typer.Argument(help="an embedded data set, a NetCDF file, or a folder of CSV files")],
    miles: Annotated[Path, typer.Argument(help="CSV file with the columns sector and miles: means of shipments")],
    out: Annotated[Path, typer.Option(help="NetCDF file (.nc) to write, or a new folder of CSV files")],
    circuity: Annotated[float, typer.Option(help="observed miles over those of the data, 1.2 for roads")] = 1.0,
    own_city: Annotated[bool, typer.Option(help="what a city buys from itself counts as shipments")] = True,
) -> None:
    """Find the distance elasticities at which goods travel the observed miles, and write the data with them."""
    with readable_errors():
        from spatialjax.data.datasets import load_data
        from spatialjax.estimation.trade_distances import calibrate_distance_elasticities
        from spatialjax.sources.folder_writing import write_data
        from spatialjax.sources.shipments import read_mean_miles

        observed = read_mean_miles(miles)
        calibrated, fit = calibrate_distance_elasticities(
            load_data(data), observed, own_city=own_city, circuity=circuity
        )
        tell(fit.to_string(float_format="{:.4g}".format))
        for sector in fit.index[~fit["reached"]]:
            tell(f"{sector}: its miles are not reached at any elasticity, and it keeps its own")
        files = write_data(calibrated, out, {"distance_fit": fit})
        tell(f"results in {', '.join(map(str, files))}")
