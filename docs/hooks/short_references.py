"""Short cross-references in docstrings, [`solve`][], get the full name of what the site documents."""

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import griffe

REFERENCE = re.compile(r"\[`(?P<name>[\w.]+)`\]\[\]")
PACKAGES = (
    "spatialjax.density",
    "spatialjax.estimation",
    "spatialjax.granular",
    "spatialjax.devices",
    "spatialjax.plots",
)
"""Whose `__all__` is public beside that of `spatialjax`."""
MODULES = (
    "spatialjax.cities.decompositions",
    "spatialjax.cities.distance",
    "spatialjax.cities.distance_costs",
    "spatialjax.cities.outcomes",
    "spatialjax.cities.sharded",
    "spatialjax.cities.variants",
    "spatialjax.numerics.root",
    "spatialjax.sources",
)
"""Documented in whole, or in part, under their own names."""


class ShortReferences(griffe.Extension):
    """Completes the short references of every docstring when its module is loaded."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring and obj.path.startswith("spatialjax"):
            obj.docstring.value = completed(obj.docstring.value, obj.module.path)


def completed(text: str, module: str) -> str:
    """The text with full names; what the site does not document stays as code without a link."""

    def complete(match: re.Match[str]) -> str:
        name = match["name"]
        target = public_name(name, module)
        return f"[`{name}`][{target}]" if target else f"`{name}`"

    return REFERENCE.sub(complete, text)


def public_name(name: str, module: str) -> str | None:
    """The name under which the site documents what a docstring of `module` calls `name`."""
    first, *rest = name.split(".")
    own = [package for package in PACKAGES if module.startswith(package)]
    for package in (*own, "spatialjax", module, *PACKAGES, *MODULES):
        if first in documented(package):
            # Of a function and a module of one name, the path leads to the module.
            same = package in PACKAGES and find_spec(f"{package}.{first}")
            path = [package, first, first] if same else [package, first]
            return ".".join([*path, *rest])
    return None


@cache
def documented(module: str) -> frozenset[str]:
    """The public names of a package, or what a documented module defines."""
    if module not in ("spatialjax", *PACKAGES, *MODULES):
        return frozenset()
    loaded = import_module(module)
    if hasattr(loaded, "__all__"):
        return frozenset(loaded.__all__)
    return frozenset(name for name, value in vars(loaded).items() if getattr(value, "__module__", None) == module)
