"""What a data set is built from, and every assumption: a TOML file (docs/own-data.md)."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spatialjax.errors import ConfigError


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sector(_Table):
    """A sector, and the industries of each source that make it up."""

    name: str
    label: str = ""
    group: str = ""
    naics: tuple[str, ...] = ()
    """Industries of County Business Patterns, and of occupations by industry: 2 to 6 digits, none within another."""
    use_codes: tuple[str, ...] = ()
    """Industries (and commodities) of the Use tables."""
    distance_elasticity: Annotated[float, Field(ge=0)] | None = None
    """Absent: not traded."""
    uses_land: bool = False


class Occupation(_Table):
    """A group of occupations, and their codes in the wage tables."""

    name: str
    codes: tuple[str, ...]
    """Codes of the Standard Occupational Classification, such as 11-0000; none within another."""
    mean_wage: Annotated[float, Field(gt=0)] | None = None
    """Wages are scaled to this national mean; absent: as published."""


class Files(_Table):
    """Files, by paths relative to the configuration. What is absent is said by `Assumptions`, or left out."""

    delineation: Path | None = None
    business_patterns: tuple[Path, ...] = ()
    """One or more years, all of counties or all of metros; means over years are taken."""
    employment: Path | None = None
    """Instead: a CSV file with columns `city` and one for each sector, workers."""
    wages: Path
    use_tables: tuple[Path, ...]
    import_tables: tuple[Path, ...] = ()
    """As many as Use tables, in the same order: domestic uses are uses less imports."""
    price_parities: Path
    places: Path
    """A CSV file with `city`, `latitude`, `longitude`, or the same with `county`; also `title`, `population`."""
    industry_occupations: Path
    """Employment by industry and occupation, national."""
    occupation_shares: Path | None = None
    """A CSV file with `city`, or `county` and `workers`, and a column for each occupation: its share. Absent:
    employment by occupation of the wage tables."""


class Assumptions(_Table):
    """Everything that no file says."""

    suppressed: Literal["establishments", "size_class"] = "establishments"
    add_up: bool = True
    largest_establishment: Annotated[float, Field(gt=5000)] = 6000.0
    largest_suppressed_cell: Annotated[float, Field(gt=100_000)] = 150_000.0
    parity_years: tuple[int, ...]
    parity_line: Literal["all", "goods", "housing", "utilities", "other_services"] = "housing"
    highest_wage: Annotated[float, Field(gt=0)] | None = None
    surplus_to_land: Annotated[float, Field(ge=0, le=1)] = 0.74
    """Part of gross operating surplus that pays for structures and land: bought from the sector that uses land."""
    missing_wage: Literal["refuse", "nation"] = "refuse"
    """A city without wages: refused, or paid the mean over cities of each occupation, weighted by employment."""
    missing_parity: Literal["refuse", "nonmetropolitan", "nation"] = "refuse"
    occupation_totals: Literal["shares", "industries"] = "shares"
    """The nation's employment by occupation: what shares of cities sum to; or what national shares by industry imply,
    for which shares of all occupations but the last are multiplied by one factor each, and the last has the rest."""
    wage_areas: dict[str, tuple[str, ...]] = {}
    """For a city, other areas whose wages it is given, together."""
    parity_areas: dict[str, str] = {}
    """For a city, another area whose price parity it is given."""
    local_minimum: Annotated[float, Field(ge=0)] = 1.0
    """Workers given to a city without any in a sector that is not traded."""


class BuildConfig(_Table):
    """A configuration of `spatialjax data build`."""

    title: str
    provenance: str = ""
    files: Files
    sectors: tuple[Sector, ...]
    occupations: tuple[Occupation, ...]
    assumptions: Assumptions

    @model_validator(mode="after")
    def _consistent(self) -> "BuildConfig":
        for what, names in (("sectors", self.sectors), ("occupations", self.occupations)):
            listed = [entry.name for entry in names]
            if len(set(listed)) < len(listed) or not listed:
                raise ValueError(f"{what} must have names, each once")
        if sum(sector.uses_land for sector in self.sectors) != 1:
            raise ValueError("uses_land must be true in exactly one sector")
        if bool(self.files.business_patterns) == (self.files.employment is not None):
            raise ValueError("files: give either business_patterns or employment")
        if self.files.import_tables and len(self.files.import_tables) != len(self.files.use_tables):
            raise ValueError("files: give as many import_tables as use_tables, or none")
        return self


def load_build_config(path: str | Path) -> BuildConfig:
    """A configuration from a TOML file, its paths made absolute.

    **Raises:** `ConfigError` naming the file and every key that cannot be used.
    """
    path = Path(path)
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    try:
        config = BuildConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join([f"{path}:", *(f"  - {_described(entry)}" for entry in error.errors())])) from None
    files = {name: _absolute(value, path.parent) for name, value in dict(config.files).items()}
    return config.model_copy(update={"files": Files(**files)})


def _described(entry: Any) -> str:
    where = ".".join(str(part) for part in entry["loc"]) or "the file"
    message = entry["msg"].removeprefix("Value error, ")
    if entry["type"] == "extra_forbidden":
        return f"{where}: there is no such key"
    return f"{where}: {message[0].lower()}{message[1:]}"


def _absolute(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return folder / value
    return tuple(folder / path for path in value) if isinstance(value, tuple) else value
