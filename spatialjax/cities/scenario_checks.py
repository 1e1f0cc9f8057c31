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
WHOLE = ("tariff", "mobility.population")
"""Leaves that are checked wherever they are changed."""


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
        values = np.asarray(leaf)
        # One by one: arrays of all scenarios may be large.
        yield from (index for index in range(scenarios.count) if _is_suspect(name, values[index], values[0]))


def _is_suspect(name: str, value: np.ndarray, first: np.ndarray) -> bool:
    """Whether a leaf may be wrong where that of the first scenario is not."""
    if name in RANGES and not (np.isfinite(value) & RANGES[name][1](value)).all():
        return True
    if name in PATTERNS and any((test(value) != test(first)).any() for test in (np.isfinite, _is_positive)):
        return True
    return name in (*SUMS, *WHOLE) and bool((value != first).any())


def _is_positive(value: np.ndarray) -> np.ndarray:
    return value > 0
