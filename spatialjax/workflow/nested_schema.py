"""The schema of a run of a model that the city economy nests."""

from typing import Literal

from pydantic import Field

from spatialjax.workflow.schema import OutputSection, Section

NestedModel = Literal["helpman", "nafta", "eu-enlargement"]


class NestedRunConfig(Section):
    """A run of a published model on its published data."""

    economy: Literal["nested"]
    model: NestedModel = Field(description="which model; its module is in spatialjax/nested/")
    folder: str = Field(description="folder with the files of its authors (docs/nested.md)")
    options: dict[str, bool | int | float | str] = Field(
        {}, description="arguments of the model's `run` other than the folder, by name"
    )
    output: OutputSection = OutputSection(folder="results/nested")
