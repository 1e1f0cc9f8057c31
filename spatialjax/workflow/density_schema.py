"""The schema of a run of the density premium."""

from typing import Literal

from pydantic import Field, model_validator

from spatialjax.workflow.schema import OutputSection, Section, Seed


class PanelSection(Section):
    """Where the panel of establishments comes from."""

    source: str = Field("simulated", description="'simulated', or the path of a Parquet or CSV file (docs/density.md)")
    history: str | None = Field(
        None,
        description="path of a Parquet or CSV file with the annual history of the panel's establishments, which "
        "tells their moves (docs/data.md); without it, those are the panel's own columns",
    )

    @model_validator(mode="after")
    def _history_is_of_a_panel(self) -> "PanelSection":
        if self.source == "simulated" and self.history is not None:
            raise ValueError("history is for a panel that is read; a simulated one has its moves")
        return self


class CbsaSection(Section):
    """Facts about places."""

    source: str = Field("us-cbsas", description="name of the embedded data set, or path of a NetCDF file")


class PanelSimulationSection(Section):
    """The simulated panel: its size and its truth (FF's estimates, unless given)."""

    establishments: int = Field(500_000, ge=20_000, description="active in each of the two years; FF have 5,128,302")
    premium: float = Field(0.074, description="elasticity of earnings to density")
    premium_at_birth: float = Field(
        0.0, ge=0, le=1, description="share of the premium that stays with the city of birth when a firm moves"
    )
    college: float = Field(0.883, description="semi-elasticity of earnings to the college share")
    seed: Seed = Field(0, description="of all draws")


class RelocationSection(Section):
    """The relocation simulation (FF appendix D)."""

    establishments: int = Field(7_800_000, ge=10_000, description="establishments that may move")
    move_probability: float = Field(0.0103, gt=0, lt=1, description="of each establishment")


class BridgeSection(Section):
    """Premia implied by solved economies, beside the estimates."""

    cities: bool = Field(True, description="solve the economy of the embedded metros")
    granular: bool = Field(True, description="solve the granular economy of the embedded zones")


class DensityRunConfig(Section):
    """A run of the density premium."""

    economy: Literal["density"]
    panel: PanelSection = PanelSection()
    cbsas: CbsaSection = CbsaSection()
    simulation: PanelSimulationSection = PanelSimulationSection()
    relocation: RelocationSection = RelocationSection()
    bridge: BridgeSection = BridgeSection()
    output: OutputSection = OutputSection(folder="results/density_premium")
