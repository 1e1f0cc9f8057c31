"""Run configurations: TOML files, read, laid over one another and validated."""

import difflib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from spatialjax.errors import ConfigError
from spatialjax.workflow.density_schema import DensityRunConfig
from spatialjax.workflow.granular_schema import GranularRunConfig
from spatialjax.workflow.history_schema import HistoryRunConfig
from spatialjax.workflow.nested_schema import NestedRunConfig
from spatialjax.workflow.schema import RunConfig
from spatialjax.workflow.spillover_schema import SpilloverRunConfig
from spatialjax.workflow.sweep_schema import SweepRunConfig

__all__ = [
    "AnyRunConfig",
    "DensityRunConfig",
    "GranularRunConfig",
    "HistoryRunConfig",
    "NestedRunConfig",
    "RunConfig",
    "SpilloverRunConfig",
    "SweepRunConfig",
    "load_config",
]

AnyRunConfig = (
    RunConfig | GranularRunConfig | SpilloverRunConfig | DensityRunConfig | HistoryRunConfig | NestedRunConfig
)

SCHEMAS: dict[Any, type[AnyRunConfig]] = {
    "cities": RunConfig,
    "granular": GranularRunConfig,
    "spillovers": SpilloverRunConfig,
    "density": DensityRunConfig,
    "history": HistoryRunConfig,
    "nested": NestedRunConfig,
}
"""By `economy`, the system that a configuration runs."""


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> AnyRunConfig:
    """Read a configuration, apply overrides of the form "section.key=value", and validate it.

    Its key `economy`, "cities" unless given, says which system it runs; a table `[sweep]` makes it a sweep over runs
    of that economy. `extends = "other.toml"` lays a file's tables over those of another, by a path relative to it.
    Values are read as TOML and, where they are not TOML, as text. Raises `ConfigError` naming the file,
    the key, what was found and what is wanted.
    """
    path = Path(path)
    tree = _read(path)
    for override in sorted(overrides, key=_sets_no_kind):  # another kind has other keys: it comes first
        _apply(tree, override)
    schema = _schema(path, tree.get("economy", "cities"))
    if schema is RunConfig and "sweep" in tree:
        schema = SweepRunConfig
    try:
        config = schema.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in explain(error, schema))) from error
    model = getattr(config, "model", None)
    if getattr(model, "occupation_substitution", None) == 1:
        raise ConfigError(f"{path}: model.occupation_substitution: must not be 1; use 1.0001, say")
    return config


def _schema(path: Path, economy: Any) -> type[AnyRunConfig]:
    if not isinstance(economy, str) or economy not in SCHEMAS:
        raise ConfigError(f"{path}: economy: must be one of {', '.join(map(repr, SCHEMAS))}, found {economy!r}")
    return SCHEMAS[economy]


def _read(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The tables of a file, laid over those of the file it extends."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: not a text file; a configuration is TOML (data files are checked by `spatialjax validate`)"
        ) from error
    except (ValueError, RecursionError) as error:  # such as numbers of thousands of digits, or as many brackets
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    base = tree.pop("extends", None)
    if base is None:
        return tree
    if not isinstance(base, str) or not base or "\0" in base:
        raise ConfigError(f"{path}: extends: must be the path of another configuration, found {base!r}")
    target = (path.parent / base).resolve()
    if target in (path.resolve(), *seen):
        raise ConfigError(f"{path}: extends: {base} extends this file in turn")
    try:
        below = _read(target, (path.resolve(), *seen))
    except ConfigError as error:
        raise ConfigError(f"{path}: extends: {error}") from error
    return _overlaid(below, tree)


def _overlaid(base: dict[str, Any], tree: dict[str, Any]) -> dict[str, Any]:
    """Tables of `tree` laid over those of `base`; a table of another kind replaces the whole."""
    result = dict(base)
    for key, value in tree.items():
        other = result.get(key)
        if isinstance(value, dict) and isinstance(other, dict) and value.get("kind") in (None, other.get("kind")):
            result[key] = _overlaid(other, value)
        else:
            result[key] = value
    return result


def _apply(tree: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise ConfigError(f"--set {override}: must have the form section.key=value")
    try:
        value = _single_value(text)
    except (ValueError, RecursionError) as error:
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


def _single_value(text: str) -> Any:
    tree = tomllib.loads(f"value = {text}")
    if len(tree) > 1:
        raise ValueError("more than a value")
    return tree["value"]


def _sets_no_kind(override: str) -> bool:
    return not override.partition("=")[0].strip().endswith(".kind")


def explain(error: ValidationError, schema: type) -> list[str]:
    """What is wrong with a configuration, a line for each key."""
    lines = []
    problems = error.errors()
    inner = {problem["loc"][:-1] for problem in problems}
    for problem in problems:
        location = _without_tags(problem["loc"], of_key=problem["type"] in ("extra_forbidden", "missing"))
        if problem["type"] != "too_short" or problem["loc"] not in inner:  # else its values are what is wrong
            lines.append(": ".join(filter(None, (".".join(location), _described(problem, location, schema)))))
    return lines


def _described(problem: Any, location: list[str], schema: type) -> str:
    """What is wrong with a key, in a form that says how to mend it."""
    found = f", found {problem['input']!r}"
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key{_suggestion(location, schema)}"
        case "union_tag_not_found":
            return "the key kind is missing, which says what the other keys are about"
        case "value_error":
            return str(problem["ctx"]["error"])
        case "tuple_type":
            return f"must be a list in brackets{found}"
        case "model_type":
            return f"must be a table of keys{found}"
        case "too_short":
            return f"needs at least {problem['ctx']['min_length']} value{found}"
        case "literal_error":
            close = _close(str(problem["input"]).lower(), re.findall("'(.*?)'", problem["ctx"]["expected"]))
            return f"must be {problem['ctx']['expected']}{found}{close}"
    return f"{problem['msg'][0].lower()}{problem['msg'][1:]}{found}"


def _close(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _without_tags(location: tuple[int | str, ...], *, of_key: bool = False) -> list[str]:
    """A key as the user wrote it: pydantic adds the kind of a section and of a value, but not behind an `of_key`."""
    *before, last = map(str, location) if of_key else (*map(str, location), "")
    parts = [part for part in before if part not in TAGS and not part.startswith("tuple[")]
    return [*parts, last] if of_key else parts


TAGS = {
    "occupation",
    "industry",
    "none",
    "section",
    "optimal",
    "phased-out-payment",
    "flat-tax",
    "constrained-float",
    "float",
    "literal['refuse']",
}


def _suggestion(location: list[str], schema: type) -> str:
    known = _known_keys(schema, location[:-1])
    if close := _close(location[-1], known):
        return close
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
