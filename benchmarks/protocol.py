"""What a part of the benchmarks is: something to measure, and the tables that tell what was found."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

import spatialjax

from .economies import random_data

Row = dict[str, Any]

QUICK_SIZE = 40
"""Cities of the random economy that stands for the embedded one where only the program is checked."""


class Setting(NamedTuple):
    """How to measure.

    - `quick`: few random cities and one repeat: a check that the program runs, no measurement.
    - `repeats`: calls timed, after one that compiles.
    - `limit`: seconds that the repeats of one call may take together, and about the longest that a batch may take.
    - `baseline_limit`: seconds that one solve of a baseline may take.
    - `peers`: folder with example data of other packages, which are not distributed here.
    """

    quick: bool = False
    repeats: int = 5
    limit: float = 20.0
    baseline_limit: float = 60.0
    peers: Path | None = None

    def data(self) -> xr.Dataset:
        """The data set that is measured: the embedded one, or a small random one."""
        return random_data(QUICK_SIZE) if self.quick else spatialjax.load_data("us-metros")

    @property
    def few(self) -> int:
        """Repeats of what takes long or varies little."""
        return min(self.repeats, 2)


class Part(NamedTuple):
    """One part of the benchmarks.

    - `title`: of its tables, given what was found.
    - `run`: measure, given the setting; it calls `processes.in_own_process`. One of many long steps yields what is
      known after each.
    - `describe`: lines of Markdown, given what was found and the results of all parts.
    - `standard`: whether it is measured unless parts are named.
    """

    title: Callable[[Row], str]
    run: Callable[[Setting], Row | Iterator[Row]]
    describe: Callable[[Row, Row], list[str]]
    standard: bool = True
