"""The schema of a run configuration: frozen sections with a description and a range for every key."""

from typing import Annotated, Literal

import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, field_validator

from spatialjax.cities.income import IncomeRule
from spatialjax.cities.objectives import Objective, ParetoWeights, WelfareReference, named_objective
from spatialjax.cities.optimal_policy import OptimalPolicy
from spatialjax.cities.policies import FlatTax, PhasedOutPayment
from spatialjax.cities.spillovers import (
    IndustrySpillover,
    NoSpillover,
    OccupationAmenitySpillover,
    OccupationSpillover,
)


class Section(BaseModel):
    """A frozen table of a configuration; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSection(Section):
    """Where the data come from."""

    source: str = Field("us-metros", description="name of an embedded data set, or path of a NetCDF file")


Share = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


class ModelSection(Section):
    """Elasticities and calibration choices (CH sections 4.2 to 4.4)."""

    trade_elasticity: Annotated[float, Field(gt=0)] | tuple[Annotated[float, Field(gt=0)], ...] = Field(
        10.0, description="theta, a number or one by sector"
    )
    location_elasticity: float = Field(2.02, gt=1, description="nu")
    occupation_substitution: float = Field(2.0, gt=0, description="epsilon; not 1")
    housing_share: Share | tuple[Share, ...] = Field(
        0.2, description="consumption share of the land-using sector, a number or one by occupation"
    )
    minimum_consumption_share: Annotated[float, Field(ge=0, lt=1)] | Literal["refuse"] = Field(
        0.001, description="floor of implied consumption shares; 'refuse' refuses negative ones instead"
    )
    amenities: Literal["multiplicative", "additive"] = Field(
        "multiplicative", description="how amenities and consumption make utility"
    )


class OccupationSpilloverSection(Section):
    """Externalities of an occupation's share and of city size (CH eq. 6)."""

    kind: Literal["occupation"] = "occupation"
    share: tuple[float, ...] = Field((1.304, 0.835), description="elasticity to the share, by occupation")
    size: tuple[float, ...] = Field((0.349, 0.357), description="elasticity to city size, by occupation")

    def build(self, data: xr.Dataset) -> OccupationSpillover:
        """The spillover this section describes."""
        return OccupationSpillover(self.share, self.size)


class IndustrySpilloverSection(Section):
    """Externalities that differ by group of sectors (SH Table 1, unless given)."""

    kind: Literal["industry"]
    share: dict[str, tuple[float, ...]] | None = Field(
        None, description="elasticity to the share, by occupation, for each group of the data's sector_group"
    )
    size: dict[str, float] | None = Field(None, description="elasticity to city size for each group")

    def build(self, data: xr.Dataset) -> IndustrySpillover:
        """The spillover this section describes."""
        return IndustrySpillover.from_groups(data, self.share, self.size)


class NoSpilloverSection(Section):
    """No externalities."""

    kind: Literal["none"] = "none"

    def build(self, data: xr.Dataset) -> NoSpillover:
        """The spillover this section describes."""
        return NoSpillover()


SpilloverSection = Annotated[
    OccupationSpilloverSection | IndustrySpilloverSection | NoSpilloverSection, Field(discriminator="kind")
]


class AmenitySpilloverSection(Section):
    """Amenities that depend on who lives in a city (CH section 5.1)."""

    elasticity: tuple[tuple[float, ...], ...] = Field(
        ((0.77, -1.24), (0.18, -0.43)), description="of each occupation's amenity to each occupation's employment"
    )
    strength: float = Field(1.0, description="multiplies the elasticities")

    def build(self) -> OccupationAmenitySpillover:
        """The spillover this section describes."""
        return OccupationAmenitySpillover([[self.strength * x for x in row] for row in self.elasticity])


class CounterfactualSection(Section):
    """What a counterfactual changes; the exogenous part of productivity is kept."""

    spillover: SpilloverSection | None = Field(None, description="replaces the externalities")
    trade_cost_factor: float = Field(1.0, gt=0, description="multiplies iceberg costs between cities")
    trade_costs: Literal["kept", "none"] = Field("kept", description="'none': all but land-using sectors trade freely")
    input_links: Literal["kept", "homogeneous"] = Field("kept", description="'homogeneous': CH footnote 32")
    optimum: bool = Field(False, description="find the optimum of the counterfactual economy too")


class VariantSection(Section):
    """Assumptions under which the same data are inverted again; those not given are the run's own."""

    amenities: Literal["multiplicative", "additive"] | None = Field(None, description="replaces model.amenities")
    housing_share: Share | tuple[Share, ...] | None = Field(None, description="replaces model.housing_share")
    spillover: SpilloverSection | None = Field(None, description="replaces the externalities")
    amenity_spillover: AmenitySpilloverSection | None = Field(None, description="replaces amenity spillovers")
    optimum: bool = Field(True, description="find the optimum")


class PlannerSection(Section):
    """Whose gains the planner maximises."""

    optimum: bool = Field(True, description="find the optimum")
    objective: Literal["equal-gains", "pareto-weights", "utilitarian", "max-min"] = Field(
        "equal-gains", description="what the planner wants"
    )
    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="by occupation, for pareto-weights; one for every worker unless given"
    )
    inequality_aversion: float = Field(1.0, ge=0, description="of pareto-weights; 1 is logarithmic utility")

    def build(self, occupations: int) -> Objective:
        """The objective this section describes."""
        if self.objective == "pareto-weights":
            return ParetoWeights(self.weights or (1.0,) * occupations, self.inequality_aversion)
        return named_objective(self.objective, occupations)


class OptimalPolicySection(Section):
    """The planner's rule, or a variant of it."""

    kind: Literal["optimal"]
    location_tax: float = Field(1.0, description="part of the tax on place that is levied")

    def build(self, reference: WelfareReference) -> IncomeRule:
        """The income rule this section describes."""
        return OptimalPolicy(reference, location_tax=self.location_tax)


class PaymentSection(Section):
    """A payment phased out with the wage and paid for by a flat tax: the pandemic programme (CH section 6.2)."""

    kind: Literal["phased-out-payment"]
    payment: float = Field(6200.0, ge=0, description="dollars a year per worker")
    threshold: float = Field(75000.0, ge=0, description="wage above which it is phased out, dollars a year")
    phase_out: float = Field(0.05, ge=0, description="dollars of payment lost per dollar of wage above it")

    def build(self, reference: WelfareReference) -> IncomeRule:
        """The income rule this section describes."""
        return PhasedOutPayment(self.payment, self.threshold, self.phase_out)


class FlatTaxSection(Section):
    """A flat tax on wages, returned to every worker alike."""

    kind: Literal["flat-tax"]
    rate: float = Field(gt=-1, lt=1, description="of wages")

    def build(self, reference: WelfareReference) -> IncomeRule:
        """The income rule this section describes."""
        return FlatTax(self.rate)


PolicySection = Annotated[OptimalPolicySection | PaymentSection | FlatTaxSection, Field(discriminator="kind")]


class SolverSection(Section):
    """When a solve is finished."""

    tolerance: float = Field(1e-10, gt=0, description="on the largest absolute log excess demand")
    max_evaluations: int = Field(2000, gt=0, description="of the equilibrium system")


class StabilitySection(Section):
    """Eigenvalues of the reduced map, and the search for other equilibria."""

    eigenvalues: int = Field(4, ge=0, description="how many to compute; 0 for none")
    starts: int = Field(5, ge=0, description="starts of the search; 0 for none")
    spread: float = Field(1.0, gt=0, description="standard deviation of the starts' log employment")
    seed: Seed = Field(0, description="of the starts")


class ReportSection(Section):
    """Of which occupations tables, statements and figures tell."""

    occupations: tuple[str, ...] | None = Field(
        None,
        description="names of two: the one whose share is told, and the one that its wages and wedges are compared "
        "with; the data's first two unless given",
    )

    @field_validator("occupations")
    @classmethod
    def _are_two(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and (len(names) != 2 or names[0] == names[1]):
            raise ValueError(f"must name two different occupations, found {list(names)}")
        return names


class OutputSection(Section):
    """What is written where."""

    folder: str = Field("results", description="folder for results, relative to where the command runs")
    figures: bool = Field(True, description="draw figures")


class RunConfig(Section):
    """A run of the city economy."""

    economy: Literal["cities"] = Field("cities", description="which system is run")
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    spillover: SpilloverSection = OccupationSpilloverSection()
    amenity_spillover: AmenitySpilloverSection | None = None
    planner: PlannerSection = PlannerSection()
    counterfactual: dict[Name, CounterfactualSection] = Field(default_factory=dict)
    variant: dict[Name, VariantSection] = Field(default_factory=dict)
    policy: dict[Name, PolicySection] = Field(default_factory=dict)
    solver: SolverSection = SolverSection()
    stability: StabilitySection = StabilitySection()
    report: ReportSection | None = None
    output: OutputSection = OutputSection()
