"""One comparison of a published or known number with ours."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ValidationRow:
    """A number that a model must give, beside what the library gives.

    `known` is published, or from a closed form; `tolerance` is how far `computed` may be from it, in the units of both:
    half a unit of the last digit published, or what the closed form allows. `source` says where `known` is from,
    `note` why the two differ where they do. `seconds` is what the library took for one
    equilibrium, `toolkit_seconds` what the authors' code is known to take for one.
    """

    model: str
    quantity: str
    known: float
    computed: float
    tolerance: float
    source: str
    note: str = ""
    seconds: float | None = None
    toolkit_seconds: float | None = None

    @property
    def difference(self) -> float:
        """Ours less the known number."""
        return self.computed - self.known

    @property
    def holds(self) -> bool:
        """Whether the two agree to the tolerance; a number that is none does not."""
        return abs(self.difference) <= self.tolerance
