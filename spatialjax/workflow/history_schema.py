"""The schema of a run that decomposes the change between two economies."""

from typing import Annotated, Literal

import xarray as xr
from pydantic import Field

from spatialjax.cities.history_1980 import WELFARE_1980, residents_1990, stylised_1980
from spatialjax.workflow.schema import (
    DataSection,
    ModelSection,
    OccupationSpilloverSection,
    OutputSection,
    ReportSection,
    Section,
    Seed,
    SolverSection,
    SpilloverSection,
)

STYLISED = "stylised-1980"
"""The source of a baseline that is made from the target's data."""

Positive = Annotated[float, Field(gt=0)]


class BaselineSection(Section):
    """Where the data of the earlier economy come from."""

    source: str = Field(
        STYLISED, description=f"'{STYLISED}', made from the target's data, or the path of a NetCDF file"
    )


class StylisedSection(Section):
    """Facts and assumptions of the stylised 1980 economy (docs/history.md)."""

    occupation_share: float = Field(0.24, gt=0, lt=1, description="the first occupation's share of employment")
    workers: Positive = Field(2 / 3, description="national employment, over the target's")
    wages: tuple[Positive, Positive] = Field(WELFARE_1980, description="mean wage by occupation, over the target's")
    sector_tilt: float = Field(0.85, description="log points by which skill-intensive sectors were smaller")
    dispersion: float = Field(0.5, ge=0, le=2, description="of shares and premia over cities, over the target's")
    housing_dispersion: float = Field(0.5, ge=0, le=2, description="of housing prices, over the target's")

    city_sizes: Literal["alike", "residents-1990"] = Field(
        "residents-1990", description="as the target's, or changed as the residents of US metropolitan areas since 1990"
    )

    def build(self, data: xr.Dataset) -> xr.Dataset:
        """The data set that this section describes."""
        sizes = residents_1990(data) if self.city_sizes == "residents-1990" else 1.0
        return stylised_1980(data, **self.model_dump(exclude={"city_sizes"}), city_size=sizes)


class DecompositionSection(Section):
    """How the change is divided among steps."""

    steps: dict[str, tuple[str, ...]] | None = Field(
        None, description="names of steps and the leaves that each moves; by default those of CH Table 3"
    )
    order: tuple[str, ...] | None = Field(None, description="names of the steps in the order to make them in")
    order_free: bool = Field(True, description="average over all orders too")
    permutations: int | None = Field(None, ge=1, description="average over so many random orders instead of all")
    seed: Seed = Field(0, description="of the random orders")
    baseline_stage: str | None = Field(
        "skill-biased technology", description="the step after which welfare is one; by default the baseline itself"
    )
    left_out: str | None = Field("real estate", description="a step whose change the target is solved without")
    amenity_level: Literal["target", "own"] = Field(
        "target", description="'target': amenities do not change in level; 'own': as each inversion scales them"
    )
    without_externalities: bool = Field(True, description="decompose again without externalities")
    optima: bool = Field(True, description="the planner's optima at both ends and without the step left out")


class HistoryRunConfig(Section):
    """A run that decomposes the change between two economies."""

    economy: Literal["history"]
    baseline: BaselineSection = BaselineSection()
    stylised: StylisedSection = StylisedSection()
    target: DataSection = DataSection()
    model: ModelSection = ModelSection()
    spillover: SpilloverSection = OccupationSpilloverSection()
    decomposition: DecompositionSection = DecompositionSection()
    solver: SolverSection = SolverSection()
    report: ReportSection | None = None
    output: OutputSection = OutputSection(folder="results/history")
