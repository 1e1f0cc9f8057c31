"""Errors that a user can act on: each says what was found, where, and how to mend it."""

from collections.abc import Sequence


class SpatialJAXError(Exception):
    """Base class of every error that the library raises on purpose."""


class PrecisionError(SpatialJAXError):
    """Single precision where the tolerance asks for double."""


class DataError(SpatialJAXError):
    """Data that cannot be an economy; `problems` lists everything that is wrong with them."""

    def __init__(self, source: str, problems: Sequence[str]):
        self.source = source
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{source}: {count}", *(f"  - {problem}" for problem in problems)]))


class ModelError(SpatialJAXError):
    """Parameters or model components that do not define an economy."""


class ConvergenceError(SpatialJAXError):
    """A solve that ended without a solution; the message names the worst block and city."""


class ConfigError(SpatialJAXError):
    """A run configuration that cannot be used; the message names the file and the key."""


class OutputError(SpatialJAXError):
    """A result that cannot be written, or read again."""


class EstimationWarning(UserWarning):
    """An estimate that was made, but should not be read without what the message says."""
