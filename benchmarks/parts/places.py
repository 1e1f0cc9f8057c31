"""Many places: evaluations and whole solves by geography and number of cities."""

from .. import geography_cases
from ..processes import in_own_process
from ..protocol import Part, Row, Setting


def run(setting: Setting) -> Row:
    """Each case in a process of its own."""
    return geography_cases.run(setting, in_own_process)


PART = Part(lambda _: "Many places", run, geography_cases.describe)
