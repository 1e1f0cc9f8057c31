"""The parts of the benchmarks, by name, in the order in which they are measured and told."""

from ..protocol import Part
from . import (
    batches,
    counterfactuals,
    density,
    estimation,
    floor,
    gradients,
    granular,
    hard,
    hard_cases,
    memory,
    optimum,
    peers,
    pieces,
    places,
    sizes,
)

PARTS: dict[str, Part] = {
    "floor": floor.PART,
    "pieces": pieces.PART,
    "counterfactuals": counterfactuals.PART,
    "hard": hard.PART,
    "hard_cases": hard_cases.PART,
    "optimum": optimum.PART,
    "gradients": gradients.PART,
    "batches": batches.PART,
    "sizes": sizes.PART,
    "places": places.PART,
    "memory": memory.PART,
    "peers": peers.PART,
    "granular": granular.PART,
    "density": density.PART,
    "estimation": estimation.PART,
}
"""Each part is one file; a new one is added here."""
