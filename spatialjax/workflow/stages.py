"""Stages of a run: who hears of them, and what they take."""

import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from spatialjax.errors import EstimationWarning


class Reporter(Protocol):
    """Who hears how a run is going."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """A stage of the run, entered when it starts and left when it ends."""
        ...

    def say(self, message: str) -> None:
        """A line about the current stage."""
        ...

    def progress(self, done: int, total: int) -> None:
        """How much of the current stage is done, in units of any kind."""
        ...


class Silent:
    """A reporter that says nothing."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Run the stage."""
        yield

    def say(self, message: str) -> None:
        """Nothing."""

    def progress(self, done: int, total: int) -> None:
        """Nothing."""


@contextmanager
def timed(reporter: Reporter, name: str, seconds: dict[str, float]) -> Iterator[None]:
    """A stage whose time is kept in `seconds`."""
    start = time.perf_counter()
    with reporter.stage(name):
        yield
    seconds[name] = round(time.perf_counter() - start, 3)


@contextmanager
def telling_of_warnings(reporter: Reporter) -> Iterator[None]:
    """Say what is warned of about estimates, each message once, in the stage that it belongs to."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EstimationWarning)
        yield
    for message in dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, EstimationWarning)):
        reporter.say(f"note: {message}")
