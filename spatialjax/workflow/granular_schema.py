"""The schema of a run of the granular economy."""

from typing import Annotated, Literal

from pydantic import Field

from spatialjax.granular.parameters import Parameters
from spatialjax.workflow.schema import OutputSection, Section, Seed

Positive = Annotated[float, Field(gt=0)]
Variance = Annotated[float, Field(ge=0, le=100)]
"""Of logs: above the bound, means of shocks are beyond what numbers hold before an equilibrium is found."""
Dispersion = Annotated[float, Field(gt=0, le=10)]
"""Above the bound one sector has nearly all firms, and results no longer change."""


class ZonesSection(Section):
    """Where the data come from."""

    source: str = Field("japan-zones", description="name of an embedded data set, or path of a NetCDF file")


class ParametersSection(Section):
    """Preferences and technology (KO Table 2)."""

    elasticity_across_firms: Positive = Field(2.48, description="kappa")
    elasticity_across_sectors: Positive = Field(1.46, description="nu; at most kappa")
    profit_share: float = Field(0.13, gt=0, lt=1, description="eta")
    productivity_tail: Positive = Field(10.5, description="lambda; times eta above 1")
    sector_variance: Variance = Field(0.002, description="variance of shocks that a sector shares")
    firm_variance: Variance = Field(0.14, description="variance of a firm's own shocks")
    migration_elasticity: Positive = Field(3.0, description="theta")
    expected_shock: Literal["lognormal", "second-order"] = Field("lognormal", description="how E[a] is taken")

    def build(self, sector_dispersion: float | None = None) -> Parameters:
        """The parameters this section describes."""
        return Parameters(**self.model_dump(), sector_dispersion=sector_dispersion)


class ExtensionSection(Section):
    """Entry rates that differ between sectors: not in KO, and shown beside."""

    sector_dispersion: Dispersion | None = Field(2.2, description="sigma, standard deviation of log entry rates")


class PolicySection(Section):
    """The optimal policy towards places."""

    welfare: Literal["efficiency", "expected_utility"] = Field("efficiency", description="what is maximised")
    financing: Literal["income-tax", "income-and-profit-tax", "lump-sum"] = Field(
        "income-tax", description="how subsidies are paid for; KO's is the income tax"
    )


class SimulationSection(Section):
    """Draws of sectors."""

    draws: int = Field(2**17, ge=2**11, description="sectors drawn for second-order Cournot moments")
    exact: bool = Field(True, description="solve the exact game too")
    exact_draws: int = Field(512, ge=512, description="sectors solved exactly for each number of firms")
    seed: Seed = Field(0, description="of all draws")


class GranularRunConfig(Section):
    """A run of the granular economy."""

    economy: Literal["granular"]
    data: ZonesSection = ZonesSection()
    parameters: ParametersSection = ParametersSection()
    conducts: tuple[Literal["competitive", "cournot"], ...] = Field(
        ("competitive", "cournot"), min_length=1, description="how firms compete for labour"
    )
    policy: PolicySection = PolicySection()
    extension: ExtensionSection = ExtensionSection()
    simulation: SimulationSection = SimulationSection()
    output: OutputSection = OutputSection(folder="results/japan_granular")
