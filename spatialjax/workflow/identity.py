"""What results depend on, and how two runs differ in it."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spatialjax.workflow.output import environment
from spatialjax.workflow.sweep_schema import SweepRunConfig

COMPUTING = ("spatialjax", "jax", "jaxlib", "equinox", "numpy", "scipy")
"""Packages whose versions results depend on."""
WITHOUT_EFFECT = ("max_memory", "combined", "draws")
"""Keys of [sweep] that change no result: a draw is the same among however many."""
SHOWN = 10


def identity(config: SweepRunConfig) -> dict[str, Any]:
    """What the result of a scenario depends on: keys, what is in the files that they name, and versions."""
    keys = config.model_dump(mode="json", exclude_none=True, exclude={"output", "report", "stability", "variant"})
    keys["sweep"] = {key: value for key, value in keys["sweep"].items() if key not in WITHOUT_EFFECT}
    named = (config.data.source, config.sweep.file)
    files = {name: _digest(name) for name in named if name is not None and Path(name).is_file()}
    versions = environment()["versions"]
    return {**keys, "files": files, "versions": {name: versions[name] for name in COMPUTING if name in versions}}


def _digest(name: str) -> str:
    with open(name, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Keys in which two runs differ, with what is found in each."""
    first, second = dict(flat(there)), dict(flat(here))
    keys = dict.fromkeys((*first, *second))
    return [
        f"{key}: {first.get(key, 'not given')} there, {second.get(key, 'not given')} here"
        for key in keys
        if first.get(key) != second.get(key)
    ]


def listed(lines: list[str]) -> str:
    """Lines of a message, the first few of many."""
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join(f"  - {line}" for line in (*lines[:SHOWN], *more))


def flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested mappings, by keys joined with dots."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
