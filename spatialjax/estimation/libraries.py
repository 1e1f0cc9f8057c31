"""Libraries of the extra "estimation", loaded when they are needed."""

from importlib import import_module
from types import ModuleType

from spatialjax.errors import SpatialJAXError


def library(name: str) -> ModuleType:
    """A module of a library of the extra.

    **Raises:** `SpatialJAXError` saying how to install it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise SpatialJAXError(f"{error.name} is not installed: pip install 'spatialjax[estimation]'") from error
