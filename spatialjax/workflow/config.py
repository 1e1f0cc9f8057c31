"""Run configurations: TOML files with a frozen, validated schema."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spatialjax.cities.spillovers import NoSpillover, OccupationSpillover
from spatialjax.errors import ConfigError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSection(_Section):
    """Where the data come from."""

    source: str = Field("us-metros", description="name of an embedded data set, or path of a NetCDF file")


class ModelSection(_Section):
    """Elasticities and calibration choices (CH sections 4.2 to 4.4)."""

    trade_elasticity: Annotated[float, Field(gt=0)] | tuple[Annotated[float, Field(gt=0)], ...] = Field(
        10.0, description="theta, a number or one by sector"
    )
    location_elasticity: float = Field(2.02, gt=1, description="nu")
    occupation_substitution: float = Field(2.0, gt=0, description="epsilon; not 1")
    housing_share: float = Field(0.2, gt=0, lt=1, description="consumption share of the land-using sector")
    minimum_consumption_share: Annotated[float, Field(ge=0, lt=1)] | Literal["refuse"] = Field(
        0.001, description="floor of implied consumption shares; 'refuse' refuses negative ones instead"
    )


class OccupationSpilloverSection(_Section):
    """Externalities of an occupation's share and of city size (CH eq. 6)."""

    kind: Literal["occupation"] = "occupation"
    share: tuple[float, ...] = Field((1.304, 0.835), description="elasticity to the share, by occupation")
    size: tuple[float, ...] = Field((0.349, 0.357), description="elasticity to city size, by occupation")

    def build(self) -> OccupationSpillover:
        """The spillover this section describes."""
        return OccupationSpillover(self.share, self.size)


class NoSpilloverSection(_Section):
    """No externalities."""

    kind: Literal["none"] = "none"

    def build(self) -> NoSpillover:
        """The spillover this section describes."""
        return NoSpillover()


SpilloverSection = Annotated[OccupationSpilloverSection | NoSpilloverSection, Field(discriminator="kind")]


class CounterfactualSection(_Section):
    """What a counterfactual changes; the exogenous part of productivity is kept."""

    spillover: SpilloverSection | None = Field(None, description="replaces the externalities")
    trade_cost_factor: float = Field(1.0, gt=0, description="multiplies iceberg costs between cities")


class SolverSection(_Section):
    """When a solve is finished."""

    tolerance: float = Field(1e-10, gt=0, description="on the largest absolute log excess demand")
    max_evaluations: int = Field(2000, gt=0, description="of the equilibrium system")


class StabilitySection(_Section):
    """Eigenvalues of the reduced map, and the search for other equilibria."""

    eigenvalues: int = Field(4, ge=0, description="how many to compute; 0 for none")
    starts: int = Field(5, ge=0, description="starts of the search; 0 for none")
    spread: float = Field(1.0, gt=0, description="standard deviation of the starts' log employment")
    seed: int = Field(0, description="of the starts")


class OutputSection(_Section):
    """What is written where."""

    folder: str = Field("results", description="folder for results, relative to where the command runs")
    figures: bool = Field(True, description="draw figures")


class RunConfig(_Section):
    """A run of the city economy."""

    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    spillover: SpilloverSection = OccupationSpilloverSection()
    counterfactual: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], CounterfactualSection] = Field(
        default_factory=dict
    )
    solver: SolverSection = SolverSection()
    stability: StabilitySection = StabilitySection()
    output: OutputSection = OutputSection()


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a configuration, apply overrides of the form "section.key=value", and validate it.

    Values are read as TOML and, where they are not TOML, as text. Raises `ConfigError` naming the file,
    the key, what was found and what is wanted.
    """
    path = Path(path)
    try:
        tree = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: not a text file; a configuration is TOML (data files are checked by `spatialjax validate`)"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    for override in sorted(overrides, key=_sets_no_kind):  # another kind has other keys: it comes first
        _apply(tree, override)
    try:
        config = RunConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in _explain(error))) from error
    if config.model.occupation_substitution == 1:
        raise ConfigError(f"{path}: model.occupation_substitution: must not be 1; use 1.0001, say")
    return config


def _apply(tree: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise ConfigError(f"--set {override}: must have the form section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        value = text.strip()
        if value[:1] in "[{\"'":
            raise ConfigError(
                f"--set {override}: {value} is not a TOML value (is a number like .3 not 0.3?)"
            ) from error
    for part in parts[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override}: {part} is a value, not a section")
    if parts[-1] == "kind" and tree.get("kind") != value:
        tree.clear()
    tree[parts[-1]] = value


def _sets_no_kind(override: str) -> bool:
    return not override.partition("=")[0].strip().endswith(".kind")


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        location = _without_tags(problem["loc"])
        key = ".".join(location)
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key{_suggestion(location)}")
        else:
            lines.append(f"{key}: {problem['msg'][0].lower()}{problem['msg'][1:]}, found {problem['input']!r}")
    return lines


def _without_tags(location: tuple[int | str, ...]) -> list[str]:
    """A key as the user wrote it: pydantic adds the kind of a spillover and of a value."""
    tags = {"occupation", "none", "constrained-float", "float", "literal['refuse']"}
    return [str(part) for part in location if str(part) not in tags]


def _suggestion(location: list[str]) -> str:
    known = _known_keys(RunConfig, location[:-1])
    if close := difflib.get_close_matches(location[-1], known, n=1):
        return f"; did you mean {close[0]}?"
    return f" (known: {', '.join(known)})" if known else ""


def _known_keys(section: Any, location: list[str]) -> list[str]:
    """Keys of the section at a location; a table of named sections accepts any name."""
    if get_origin(section) is dict:
        return _known_keys(get_args(section)[1], location[1:]) if location else []
    sections = [s for s in (section, *get_args(section)) if hasattr(s, "model_fields")]
    if not location:
        return sorted({key for s in sections for key in s.model_fields})
    fields = [s.model_fields[location[0]].annotation for s in sections if location[0] in s.model_fields]
    return sorted({key for annotation in fields for key in _known_keys(annotation, location[1:])})
