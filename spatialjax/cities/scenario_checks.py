"""Checks of scenarios before they are solved: all that is asked of an economy, without checking each in full."""

from collections.abc import Iterator

import numpy as np

from spatialjax.cities.checks import RANGES, check_economy
from spatialjax.cities.scenarios import Scenarios
from spatialjax.errors import ModelError

SUMS = ("consumption_share", "value_added_share", "input_links.mix")
"""Leaves of which sums are checked."""
PATTERNS = ("fundamental_productivity", "amenity", "land", "land_share", "log_iceberg_cost")
"""Leaves of which it matters where they are zero or infinite."""


def check_scenarios(scenarios: Scenarios) -> None:
    """Refuse scenarios of which one has an economy that cannot have an equilibrium, naming it and what is wrong."""
    check_economy(scenarios.one(0)[0])
    for index in sorted(set(_suspects(scenarios))):
        try:
            check_economy(scenarios.one(index)[0])
        except ModelError as error:
            raise ModelError(f"scenario {index}: {error}") from None


def _suspects(scenarios: Scenarios) -> Iterator[int]:
    """Scenarios that may be wrong where the first is not."""
    for name, leaf in scenarios.changed_by_name().items():
        values = np.asarray(leaf).reshape(scenarios.count, -1)
        wrong = np.zeros(scenarios.count, bool)
        if name in RANGES:
            wrong |= ~(np.isfinite(values) & RANGES[name][1](values)).all(1)
        if name in PATTERNS:
            wrong |= (_pattern(values) != _pattern(values[:1])).any(1)
        if name in SUMS:
            wrong |= (values != values[:1]).any(1)
        yield from np.flatnonzero(wrong).tolist()


def _pattern(values: np.ndarray) -> np.ndarray:
    """Positive, finite, neither."""
    return np.isfinite(values) * (1 + (values > 0))
