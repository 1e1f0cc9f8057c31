"""The schema of a run that estimates externalities."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from spatialjax.workflow.schema import (
    DataSection,
    ModelSection,
    OccupationSpilloverSection,
    OutputSection,
    Section,
    Seed,
    SpilloverSection,
)

Estimator = Literal["ols", "2sls", "cue"]


class RegressionSection(Section):
    """The regressions of productivity on the share of an occupation and on city size."""

    estimators: tuple[Estimator, ...] = Field(("ols", "2sls", "cue"), min_length=1, description="columns of the table")
    by: tuple[Literal["occupation", "group"], ...] = Field(
        ("occupation", "group"), min_length=1, description="'occupation' (CH Table 2), 'group' (SH Table 1)"
    )
    instruments: str = Field("model", description="'model' (implied by the model), or a CSV file with a row a city")
    controls: str | None = Field(None, description="CSV file with a row a city and a column a control")


class UncertaintySection(Section):
    """Standard errors of the elasticities in [spillover], carried through to the optimum."""

    share_errors: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.38, 0.51), description="standard errors of spillover.share (CH Table 2, CUE)"
    )
    size_errors: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.06, 0.04), description="standard errors of spillover.size"
    )
    draws: int = Field(40, ge=0, description="of the elasticities; 0 for the delta method alone")
    seed: Seed = Field(0, description="of the draws")


class MonteCarloSection(Section):
    """Economies with known externalities, solved and estimated again."""

    replications: int = Field(100, ge=0, description="for each truth; 0 for none")
    cities: int = Field(60, ge=20, description="the largest of the data's cities, which the economies resemble")
    seed: Seed = Field(0, description="of the economies")


def _kind_of_uncertainty(value: Any) -> str:
    return "none" if value in (None, "none") else "section"


Uncertainty = Annotated[
    Annotated[UncertaintySection, Tag("section")]
    | Annotated[Literal["none"], BeforeValidator(lambda value: value or "none"), Tag("none")],
    Discriminator(_kind_of_uncertainty),
]


class SpilloverRunConfig(Section):
    """A run that estimates externalities and what follows from their uncertainty."""

    economy: Literal["spillovers"]
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    spillover: SpilloverSection = OccupationSpilloverSection()
    regression: RegressionSection = RegressionSection()
    uncertainty: Uncertainty = Field(UncertaintySection(), description="or 'none', which carries no errors through")
    monte_carlo: MonteCarloSection = MonteCarloSection()
    output: OutputSection = OutputSection(folder="results/spillovers")
