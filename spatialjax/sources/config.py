"""What a data set is built from, and every assumption: a TOML file (docs/own-data.md)."""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spatialjax.errors import ConfigError
from spatialjax.files import is_there


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sector(_Table):
    """A sector, and the industries of each source that make it up."""

    name: str = Field(description="a short name, each once; it labels the sector in the data set")
    label: str = Field("", description="name in figures and tables; by default `name`")
    group: str = Field("", description="group of sectors, for externalities and results by group; by default `name`")
    naics: tuple[str, ...] = Field(
        (),
        description="its industries in County Business Patterns and in the table of occupations by industry: codes of "
        "2 to 6 digits, none within another",
    )
    use_codes: tuple[str, ...] = Field((), description="its industries and commodities in the Use and Import tables")
    distance_elasticity: float | None = Field(
        None,
        ge=0,
        description="elasticity of trade flows to distance, assumed; absent: not traded between cities",
    )
    uses_land: bool = Field(
        False, description="true in exactly one sector, not traded: it owns and lets all land and structures (housing)"
    )


class Occupation(_Table):
    """A group of occupations, and their codes in the wage tables."""

    name: str = Field(description="a short name, each once; it labels the occupation in the data set")
    codes: tuple[str, ...] = Field(
        description="codes of the Standard Occupational Classification, such as 11-0000; none within another"
    )
    mean_wage: float | None = Field(
        None, gt=0, description="its wages are scaled to this mean of all cities, a year's pay; absent: as published"
    )


class Files(_Table):
    """Files, by paths relative to the configuration; docs/own-data.md says where agencies publish each."""

    delineation: Path | None = Field(
        None, description="OMB list 1: the counties of each metropolitan area; needed where another file is by county"
    )
    business_patterns: tuple[Path, ...] = Field(
        (),
        description="County Business Patterns of one or more years, all of counties or all of metropolitan areas; "
        "means over years are taken",
    )
    employment: Path | None = Field(
        None,
        description="instead of `business_patterns`: a CSV file with a column `city` and one for each sector, workers",
    )
    wages: Path = Field(description="OEWS by metropolitan area and occupation: employment and mean annual wages")
    use_tables: tuple[Path, ...] = Field(
        description="BEA summary Use tables, before redefinitions, at producers' prices, an entry for each year; means "
        "over years are taken"
    )
    import_tables: tuple[Path, ...] = Field(
        (),
        description="as many BEA Import tables, in the same order: domestic purchases are Use less Import; absent: all "
        "purchases are domestic",
    )
    table_sheets: tuple[str, ...] = Field(
        (),
        description="where Use and Import tables are workbooks with a sheet a year: the sheet for each entry of "
        "`use_tables`, such as 2012; absent: the first sheet",
    )
    price_parities: Path = Field(description="BEA regional price parities of metropolitan areas (MARPP)")
    places: Path = Field(
        description="a CSV file with `latitude`, `longitude` and either `city` or `county` (means over a city's "
        "counties are taken); also `population`, and `title` where there is `city`"
    )
    industry_occupations: Path | tuple[Path, ...] = Field(
        description="OEWS by industry and occupation, national: employment; a file, or several where sectors are of "
        "industries of two and of three digits"
    )
    occupation_shares: Path | None = Field(
        None,
        description="a CSV file with a column for each occupation, its share, and either `city`, or `county` and "
        "`workers`; absent: employment by occupation in `wages`",
    )


class Assumptions(_Table):
    """Everything that no file says."""

    suppressed: Literal["establishments", "size_class"] = Field(
        "establishments",
        description="employment that County Business Patterns suppress: establishments by size times the middle of "
        "their class, within the bounds of the cell's letter; or the middle of the letter's class. Each stands in "
        "where the other cannot be had",
    )
    add_up: bool = Field(
        True,
        description="suppressed industries of three digits are scaled, within their bounds, to what the published "
        "total of their two digits leaves",
    )
    largest_establishment: float = Field(
        6000.0, gt=5000, description="upper end of the class of establishments of 5,000 workers and more"
    )
    largest_suppressed_cell: float = Field(
        150_000.0, gt=100_000, description="upper end of the class M of suppressed cells, 100,000 workers and more"
    )
    parity_years: tuple[int, ...] = Field(
        min_length=1, description="years of the price parities to average, each a column of the file"
    )
    parity_line: Literal["all", "goods", "housing", "utilities", "other_services"] = Field(
        "housing", description="which price parity is the price of housing"
    )
    highest_wage: float | None = Field(
        None,
        gt=0,
        description="dollars a year that stand for the mark #, this or more (187,200 in May 2015: the notes of a "
        "workbook say); absent: such wages are unknown and left out of means",
    )
    surplus_to_land: float = Field(
        0.74,
        ge=0,
        le=1,
        description="part of gross operating surplus that pays for structures and land: every sector buys it from the "
        "sector that uses land",
    )
    missing_wage: Literal["refuse", "nation"] = Field(
        "refuse",
        description="a city without wages is refused, or paid the mean over cities of each occupation, weighted by "
        "employment",
    )
    missing_parity: Literal["refuse", "nonmetropolitan", "nation"] = Field(
        "refuse",
        description="a city without price parity is refused, or given that of the nation's non-metropolitan part, or "
        "the nation's (100)",
    )
    occupation_totals: Literal["shares", "industries"] = Field(
        "shares",
        description="the nation's employment by occupation: what shares of cities sum to; or what national shares by "
        "industry imply, for which shares of all occupations but the last are multiplied by one factor each, and the "
        "last has the rest",
    )
    wage_areas: dict[str, tuple[str, ...]] = Field(
        {}, description="for a city, by code, other areas of the wage table whose wages it is given, together"
    )
    parity_areas: dict[str, str] = Field(
        {}, description="for a city, by code, another area whose price parity it is given"
    )
    local_minimum: float = Field(
        1.0, ge=0, description="workers that a city has at least in each sector that is not traded"
    )


class BuildConfig(_Table):
    """A configuration of `spatialjax data build`: files, what sectors and occupations are, and every assumption."""

    title: str = Field(description="name of the data set")
    provenance: str = Field("", description="where the files are from: kept with the data set")
    files: Files
    sectors: tuple[Sector, ...] = Field(description="a table `[[sectors]]` each, in the order of the data set")
    occupations: tuple[Occupation, ...] = Field(
        description="a table `[[occupations]]` each, in the order of the data set"
    )
    assumptions: Assumptions

    @model_validator(mode="after")
    def _consistent(self) -> "BuildConfig":
        for what, names in (("sectors", self.sectors), ("occupations", self.occupations)):
            listed = [entry.name for entry in names]
            if len(set(listed)) < len(listed) or not listed:
                raise ValueError(f"{what} must have names, each once")
        land = [sector.name for sector in self.sectors if sector.uses_land]
        if len(land) != 1:
            raise ValueError(
                f"uses_land must be true in exactly one sector, but is in {', '.join(land) or 'none'}: it lets housing "
                "and structures to all. Say that further sectors use land of their own by land_share, in the data set "
                "that is built (docs/own-data.md)"
            )
        if bool(self.files.business_patterns) == (self.files.employment is not None):
            raise ValueError("files: give either business_patterns or employment")
        if self.files.import_tables and len(self.files.import_tables) != len(self.files.use_tables):
            raise ValueError("files: give as many import_tables as use_tables, or none")
        if self.files.table_sheets and len(self.files.table_sheets) != len(self.files.use_tables):
            raise ValueError("files: give as many table_sheets as use_tables, or none")
        return self


def load_build_config(path: str | Path) -> BuildConfig:
    """A configuration from a TOML file, its paths made absolute.

    **Raises:** `ConfigError` naming the file and every key that cannot be used, or whose file is missing.
    """
    path = Path(path)
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not a text file; a configuration is TOML (data files are checked by `spatialjax validate`)"
        ) from error
    except (ValueError, RecursionError) as error:  # such as numbers of thousands of digits, or as many brackets
        raise ConfigError(f"{path} is not TOML: {error}") from error
    try:
        config = BuildConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join([f"{path}:", *(f"  - {_described(entry)}" for entry in error.errors())])) from None
    files = {name: _absolute(value, path.parent) for name, value in dict(config.files).items()}
    if absent := [line for name, value in files.items() for line in _absent(name, value)]:
        count = "a file that it names is" if len(absent) == 1 else f"{len(absent)} files that it names are"
        raise ConfigError(
            "\n".join(
                [
                    f"{path}: {count} missing; put each where the key says, or change the key "
                    "(docs/own-data.md says where agencies publish them):",
                    *absent,
                ]
            )
        )
    return config.model_copy(update={"files": Files(**files)})


def _absent(name: str, value: Any) -> list[str]:
    """A line for each file of a key that is not there."""
    entries = value if isinstance(value, tuple) else (value,)
    paths = dict.fromkeys(entry for entry in entries if isinstance(entry, Path))
    return [f"  - files.{name}: {path}: no such file" for path in paths if not is_there(path)]


def _described(entry: Any) -> str:
    where = ".".join(str(part) for part in entry["loc"]) or "the file"
    message = entry["msg"].removeprefix("Value error, ")
    if entry["type"] == "extra_forbidden":
        return f"{where}: there is no such key"
    return f"{where}: {message[0].lower()}{message[1:]}"


def _absolute(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return folder / value
    return tuple(_absolute(entry, folder) for entry in value) if isinstance(value, tuple) else value
