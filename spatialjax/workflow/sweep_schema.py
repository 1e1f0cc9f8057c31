"""The schema of a sweep: which parameters take which values, what is asked of each scenario, what is kept of it."""

from itertools import combinations
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator
from scipy.special import ndtr

from spatialjax.cities.labelled import DIMENSIONS, POLICY_DIMENSIONS
from spatialjax.workflow.schema import Name, RunConfig, Section, Seed

Value = float | str | tuple[float, ...]
"""What a parameter can be: a number, a word, or numbers in the order of occupations, sectors or cities."""

VERBS = ("calibrate", "set", "scale", "shift")
CALIBRATED = ("model", "spillover", "amenity_spillover")
"""Sections of a configuration that say how data are calibrated."""
TRADE_COST = "trade_cost"
"""What `scale` calls iceberg costs between cities, all but those within a city."""
AXES = ("city", "origin", "occupation", "other", "sector", "input")
DEFAULT_OUTCOMES = ("wage", "employment", "consumption", "price_index", "rent")
EVERYWHERE = ("welfare", "gain")
"""Outcomes that are kept whatever is asked for."""
OUTCOMES = {"equilibrium": (*DIMENSIONS, "wedge", "transfer", "gain"), "optimum": (*DIMENSIONS, *POLICY_DIMENSIONS)}
"""Outcomes by question."""
TABLE_NAMES = ("scenario", "status", "reason", "evaluations", "largest_residual", "steps", "title")
"""Names of a sweep's data set beside outcomes."""


class RangeSection(Section):
    """Values from the first to the last."""

    first: float
    last: float
    count: int = Field(ge=1, le=1_000_000, description="how many, the first and the last among them")
    spacing: Literal["linear", "log"] = Field("linear", description="equal differences, or equal ratios")

    @model_validator(mode="after")
    def _has_ratios(self):
        if self.spacing == "log" and min(self.first, self.last) <= 0:
            raise ValueError(f"spacing 'log' needs positive values, found first {self.first:g} and last {self.last:g}")
        return self

    def values(self) -> tuple[float, ...]:
        """The values."""
        spaced = np.geomspace if self.spacing == "log" else np.linspace
        return tuple(float(x) for x in spaced(self.first, self.last, self.count))


class NormalSection(Section):
    """A normal distribution."""

    distribution: Literal["normal"]
    mean: float
    standard_deviation: float = Field(gt=0)

    def at(self, normal: np.ndarray) -> np.ndarray:
        """Draws, from standard normal ones."""
        return self.mean + self.standard_deviation * normal


class LognormalSection(Section):
    """A distribution whose logarithm is normal."""

    distribution: Literal["lognormal"]
    median: float = Field(gt=0)
    log_standard_deviation: float = Field(gt=0, description="standard deviation of the logarithm")

    def at(self, normal: np.ndarray) -> np.ndarray:
        """Draws, from standard normal ones."""
        return self.median * np.exp(self.log_standard_deviation * normal)


class UniformSection(Section):
    """A uniform distribution."""

    distribution: Literal["uniform"]
    lowest: float
    highest: float

    @model_validator(mode="after")
    def _in_order(self):
        if self.lowest >= self.highest:
            raise ValueError(f"lowest must be below highest, found {self.lowest:g} and {self.highest:g}")
        return self

    def at(self, normal: np.ndarray) -> np.ndarray:
        """Draws, from standard normal ones."""
        return self.lowest + (self.highest - self.lowest) * ndtr(normal)


DrawSection = Annotated[NormalSection | LognormalSection | UniformSection, Field(discriminator="distribution")]


class ParameterSection(Section):
    """One parameter of a sweep: what it does to the economy, and its values."""

    calibrate: str | None = Field(None, description="a key of this configuration; the data are inverted anew")
    set: str | None = Field(None, description="an array of the economy or of its policy: replaced by the value")
    scale: str | None = Field(None, description="an array, or trade_cost: multiplied by the value")
    shift: str | None = Field(None, description="an array: the value is added")
    city: tuple[str, ...] | None = Field(None, description="of which cities, by name or title; all unless given")
    origin: tuple[str, ...] | None = Field(None, description="of which cities of origin")
    occupation: tuple[str, ...] | None = Field(None, description="of which occupations")
    other: tuple[str, ...] | None = Field(None, description="of which other occupations")
    sector: tuple[str, ...] | None = Field(None, description="of which sectors")
    input: tuple[str, ...] | None = Field(None, description="of which sectors as inputs")
    values: tuple[Value, ...] | None = Field(None, min_length=1, description="one by one")
    range: RangeSection | None = Field(None, description="equally spaced values")
    draw: DrawSection | None = Field(None, description="a distribution")

    @property
    def verb(self) -> str:
        """What is done with the value."""
        return next(verb for verb in VERBS if getattr(self, verb) is not None)

    @property
    def target(self) -> str:
        """What it is done to."""
        return getattr(self, self.verb)

    @property
    def chosen(self) -> dict[str, tuple[str, ...]]:
        """Names by axis, of the axes along which some are chosen."""
        return {axis: names for axis in AXES if (names := getattr(self, axis)) is not None}

    def listed(self) -> tuple[Value, ...] | None:
        """The values, where they are given."""
        return self.range.values() if self.range is not None else self.values

    @model_validator(mode="after")
    def _does_one_thing(self):
        given = [verb for verb in VERBS if getattr(self, verb) is not None]
        if len(given) != 1:
            raise ValueError(f"must say one of {', '.join(VERBS)}, found {' and '.join(given) or 'none'}")
        if self.calibrate is not None and self.chosen:
            raise ValueError(
                f"{' and '.join(self.chosen)} cannot be chosen of a key of the configuration: write the position in "
                'the key, such as calibrate = "spillover.share.0"'
            )
        if sum(x is not None for x in (self.values, self.range, self.draw)) > 1:
            raise ValueError("must have only one of values, range and draw")
        return self

    @field_validator("calibrate")
    @classmethod
    def _is_calibrated(cls, key):
        if key is not None and (key.partition(".")[0] not in CALIBRATED or "." not in key):
            raise ValueError(
                f"must be a key of {', '.join(f'[{s}]' for s in CALIBRATED)}, such as model.trade_elasticity, found "
                f"{key!r}; arrays of the economy and of its policy are changed by set, scale and shift"
            )
        return key


class SweepSection(Section):
    """Which scenarios there are, what is asked of each, and what is kept."""

    kind: Literal["grid", "list", "draws"] = Field(
        description="all combinations of values; values taken together, one by one; or random draws"
    )
    parameter: dict[Name, ParameterSection] = Field(min_length=1, description="what differs between scenarios")
    file: str | None = Field(None, description="of a list: a CSV file with a row a scenario, a column a parameter")
    draws: int | None = Field(None, ge=1, description="how many draws")
    seed: Seed = Field(0, description="of the draws")
    correlation: tuple[tuple[Name, Name, Annotated[float, Field(gt=-1, lt=1)]], ...] = Field(
        (), description="of draws: pairs of parameters and the correlation of the normal variables behind them"
    )
    question: Literal["equilibrium", "optimum"] = Field("equilibrium", description="what is solved for")
    policy: Name | None = Field(None, description="which [policy] is in force; its arrays are income.*")
    counterfactual: Name | None = Field(None, description="which [counterfactual] the parameters are applied on")
    outcomes: Literal["all"] | tuple[str, ...] = Field(DEFAULT_OUTCOMES, description="what is kept of a scenario")
    combined: bool = Field(True, description="write sweep.nc, all scenarios in one file")
    max_memory: float | None = Field(None, gt=0, description="GiB that a batch of scenarios may use")

    def kept(self) -> tuple[str, ...]:
        """The outcomes that are kept."""
        known = OUTCOMES[self.question]
        wanted = known if self.outcomes == "all" else (*self.outcomes, *EVERYWHERE)
        return tuple(name for name in known if name in wanted)

    @model_validator(mode="after")
    def _fits_together(self):
        for problem in (*_kind_problems(self), *_name_problems(self)):
            raise ValueError(problem)
        return self


def _kind_problems(sweep: SweepSection):
    parameters = sweep.parameter
    without = [name for name, p in parameters.items() if p.listed() is None and p.draw is None]
    drawn = [name for name, p in parameters.items() if p.draw is not None]
    if sweep.file is not None and sweep.kind != "list":
        yield f"file is of a sweep of kind 'list', and this one is of kind {sweep.kind!r}"
    if sweep.file is not None and len(without) < len(parameters):
        given = next(name for name in parameters if name not in without)
        yield f"parameter {given} has values of its own, but the scenarios are those of {sweep.file}: leave them out"
    if without and sweep.file is None:
        yield f"parameter {without[0]} has no values: give it values, a range or a draw"
    if drawn and sweep.kind != "draws":
        yield f"parameter {drawn[0]} is drawn, which needs kind = 'draws'; this sweep is of kind {sweep.kind!r}"
    if sweep.kind == "draws" and not drawn:
        yield "kind is 'draws', but no parameter has a draw"
    if (sweep.draws is None) == (sweep.kind == "draws"):
        yield "draws says how many draws there are: give it for kind = 'draws', and only for that"
    lengths = {name: len(listed) for name, p in parameters.items() if (listed := p.listed()) is not None}
    for (one, length), (other, another) in combinations(lengths.items(), 2) if sweep.kind == "list" else ():
        if length != another:
            yield f"values of a list are taken together, but {one} has {length} and {other} has {another}"
    for pair in sweep.correlation:
        for name in pair[:2]:
            if name not in drawn:
                yield f"correlation: {name} is no parameter with a draw (these are {', '.join(drawn) or 'none'})"
        if pair[0] == pair[1]:
            yield f"correlation: {pair[0]} is paired with itself"


def _name_problems(sweep: SweepSection):
    known = OUTCOMES[sweep.question]
    for name in () if sweep.outcomes == "all" else sweep.outcomes:
        if name not in known:
            yield f"outcomes: there is no {name!r} of an {sweep.question}; known are {', '.join(known)}, or 'all'"
    for name in sweep.parameter:
        if name in (*known, *AXES, *TABLE_NAMES):
            yield f"parameter {name} has the name of something else in the results: choose another"
    if sweep.question == "optimum":
        for name, parameter in sweep.parameter.items():
            if parameter.target.startswith("income."):
                yield f"parameter {name} changes {parameter.target}, but at the optimum the planner sets incomes"
        if sweep.policy is not None:
            yield "policy cannot be in force at the optimum, where the planner sets incomes: leave it out"


class SweepRunConfig(RunConfig):
    """A sweep over a run of the city economy."""

    sweep: SweepSection

    @model_validator(mode="after")
    def _names_exist(self):
        for kind in ("policy", "counterfactual"):
            name, known = getattr(self.sweep, kind), getattr(self, kind)
            if name is not None and name not in known:
                raise ValueError(
                    f"sweep.{kind}: there is no [{kind}.{name}] (there {'are' if known else 'is'} "
                    f"{', '.join(known) or 'none'})"
                )
        return self
