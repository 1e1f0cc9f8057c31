"""An annotated folder to start one's own data set from."""

from pathlib import Path

from spatialjax.data.schema import VARIABLES
from spatialjax.errors import DataError
from spatialjax.sources.agency_example import agency_files
from spatialjax.sources.examples import EXAMPLES
from spatialjax.sources.folder_layout import CITIES, INPUT_SHARES, LONG_TABLES, SECTORS
from spatialjax.sources.folder_writing import write_files, write_folder, write_text

AGENCIES = "agencies"
"""The example whose files are those of agencies, from which a data set is built."""


def write_template(folder: str | Path, example: str = "minimal") -> list[Path]:
    """Write a folder of annotated files to fill in, which is a valid small economy, or builds one, as it stands.

    **Arguments:**

    - `folder`: a new or empty folder.
    - `example`: "minimal" (four cities, two occupations, four sectors), or "archipelago" (nine cities, three
      occupations, eight sectors of which three are neither traded nor housing; distances and local prices given),
      or "agencies": files in the layouts of statistical agencies and the build.toml from which `spatialjax data build`
      makes a data set of four cities. All are made up.

    **Returns:** the files.

    **Raises:** `DataError` for another example; `OutputError` where the folder is not empty or cannot be written.
    """
    if example == AGENCIES:
        return write_files(Path(folder), agency_files())
    if example not in EXAMPLES:
        known = ", ".join([*EXAMPLES, AGENCIES])
        raise DataError("template", [f"there is no example {example!r}; there are {known}"])
    files = write_folder(EXAMPLES[example](), folder, comments())
    return [write_text(Path(folder) / "README.md", README), *files]


def comments() -> dict[str, str]:
    """What stands above the header of each file."""
    return {
        CITIES: f"""A row for every city. Replace the rows, keep names of columns. Lines beginning with # are not read.
city           a code or short name: text, each once. It names the city in all other files
title          optional: the name in messages, tables and figures
latitude, longitude   degrees, north and east positive. Left out where distances.csv or iceberg_costs.csv is given
housing_price  {_rule("housing_price")}. Any index of the same homes in all cities will do
Further columns are kept under their names, and not used by the model (population, here).""",
        SECTORS: f"""A row for every sector, in any order.
sector               a short name: text, each once. It names the sector in all other files
label, group         optional: name in figures; group of sectors (externalities by group, results by group)
value_added_share    {_rule("value_added_share")}
distance_elasticity  how fast trade falls with distance: the elasticity of trade flows to miles. 0 or more;
                     empty (or nan) where the sector is not traded between cities
uses_land            true in exactly one sector, not traded: it owns and lets land and structures (housing)
land_share           optional: further sectors that use land (farms, hotels): the share of their value added that pays
                     for it; 0 in the others, and in the sector of uses_land, whose share follows from the data
Further columns are kept under their names, and not used by the model.""",
        **{table.file: f"{table.about}\n{table.value}: {_rule(table.variable)}" for table in LONG_TABLES},
        INPUT_SHARES: """National input-output shares. A row for each input, a column for each sector that buys it:
purchases of the input over the buyer's gross output. Zero or positive.
In each column the shares and the sector's value_added_share (sectors.csv) sum to 1.""",
    }


def _rule(variable: str) -> str:
    described = VARIABLES[variable]
    units = "" if described.units == "US dollars a year" else f" ({described.units})"
    return f"{described.description}{units}; {described.wanted}"


README = """# A data set of cities

These files are an economy: a table of cities, one of sectors, and three of numbers. As they stand they are made up.
Replace them by your own, then

    spatialjax validate THIS_FOLDER

says everything that is wrong, by file, column and line, or that the economy can be inverted.

    import spatialjax as sj
    from spatialjax.sources import read_folder

    data = read_folder("THIS_FOLDER")
    economy = sj.invert(data)

| file | a row for each | usual source |
| --- | --- | --- |
| cities.csv | city | delineation of labour markets; a price index of housing or rents |
| sectors.csv | sector | national accounts: value added over gross output; gravity estimates |
| employment.csv | city, occupation, sector | a census, a labour force survey, registers of establishments |
| wages.csv | city, occupation | a census or survey of earnings, adjusted for who works where, if possible |
| input_shares.csv | input (and a column for each buyer) | national input-output or use table, domestic uses |
| nontradable_prices.csv | city, sector | optional; relative prices of local services |
| distances.csv | city, origin | optional; miles by road, rail or sea |
| iceberg_costs.csv | sector, city, origin | optional; estimated trade costs |
| about.toml | | optional; title, provenance: kept with the data set |

Rules that are easy to miss:

- Names of cities, sectors and occupations are text and are compared letter by letter; 01 is not 1. Spreadsheets drop
  leading zeros: format such columns as text.
- Any number of cities, occupations and sectors. Sectors are told apart by what sectors.csv says, never by their order.
  A sector whose distance_elasticity is empty is supplied in each city by those who work there: nowhere may it be empty.
- One sector lets housing (uses_land) and its price tells rents. Any others that use land of their own, traded or not,
  have a column land_share in sectors.csv.
- Everyone lives where they work. Leave out a city rather than guess half of it.
- One currency, one period: wages a year. Nothing else is in money; shares and relative prices have no unit.
- Decimal points or, in files with semicolons, decimal commas. UTF-8.
"""
