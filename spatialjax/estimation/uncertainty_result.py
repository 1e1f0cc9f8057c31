"""What is known of outcomes under estimated externalities: by the delta method and by draws, compared."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.cities.economy import Labels
from spatialjax.cities.labelled import PLACE_NAMES
from spatialjax.errors import ModelError
from spatialjax.estimation.uncertainty_outcomes import QUANTITIES

LEVEL = 0.95
STATISTICS = ("value", "delta_error", "draws_mean", "draws_error", "draws_lower", "draws_upper")
"""Value at the estimate and standard error by the delta method; mean, standard deviation and percentiles of draws."""


class Draw(NamedTuple):
    """One draw of the parameters: outcomes at its optimum, `None` where it has none; `outcome` says so in words."""

    number: int
    parameters: np.ndarray
    outcomes: Mapping[str, np.ndarray] | None
    outcome: str


@dataclass(frozen=True)
class Propagation:
    """Outcomes of the planner's optimum, and how uncertain estimates of the externalities make them.

    - `parameters`: their names; `estimate` and `covariance` are in this order.
    - `values`: outcomes at the estimate, by name. `derivatives`: theirs, with the parameter as first axis.
    - `draws`: every draw with its outcomes, those without an optimum included.
    """

    parameters: tuple[str, ...]
    estimate: np.ndarray
    covariance: np.ndarray
    values: Mapping[str, np.ndarray]
    derivatives: Mapping[str, np.ndarray]
    draws: tuple[Draw, ...]
    labels: Labels

    @property
    def failures(self) -> tuple[Draw, ...]:
        """Draws without an optimum."""
        return tuple(draw for draw in self.draws if draw.outcomes is None)

    def failure_reasons(self) -> pd.Series:
        """How many draws have no optimum, by the first clause of the reason; `draw_table` has all of it."""
        counts = Counter(draw.outcome.split(":")[0] for draw in self.failures)
        return pd.Series(dict(counts.most_common()), dtype=int, name="draws")

    def delta_error(self, quantity: str) -> np.ndarray:
        """Standard errors by the delta method, sqrt(J V J')."""
        jacobian = self.derivatives[quantity]
        variance = np.einsum("p...,pq,q...->...", jacobian, self.covariance, jacobian)
        return np.sqrt(np.maximum(variance, 0.0))

    def drawn(self, quantity: str) -> np.ndarray:
        """A quantity in the draws that have an optimum, which are the first axis."""
        found = [draw.outcomes[quantity] for draw in self.draws if draw.outcomes is not None]
        return np.stack(found) if found else np.empty((0, *self.values[quantity].shape))

    def statistics(self, quantity: str, level: float = LEVEL) -> np.ndarray:
        """The `STATISTICS` of a quantity, as first axis; those of fewer than two draws are not numbers.

        The bounds are the percentiles of draws between which a part `level` of them lies.
        """
        drawn = self.drawn(quantity)
        if len(drawn) < 2:
            of_draws = np.full((4, *self.values[quantity].shape), np.nan)
        else:
            bounds = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
            of_draws = np.stack([drawn.mean(0), drawn.std(0, ddof=1), *bounds])
        return np.concatenate([self.values[quantity][None], self.delta_error(quantity)[None], of_draws])

    def table(self, level: float = LEVEL) -> pd.DataFrame:
        """National outcomes: a row for each quantity and occupation, a column for each of `STATISTICS`.

        `attrs` count the draws and those without an optimum: statistics of draws are of the others alone.
        """
        national = [name for name in self.values if QUANTITIES[name].dimensions == ("occupation",)]
        rows = {
            (name, occupation): row
            for name in national
            for occupation, row in zip(self.labels.occupation, self.statistics(name, level).T, strict=True)
        }
        frame = pd.DataFrame(rows, index=list(STATISTICS)).T.rename_axis(["quantity", "occupation"])
        frame.attrs = {"draws": len(self.draws), "failed": len(self.failures), "level": level}
        return frame

    def draw_table(self) -> pd.DataFrame:
        """A row for each draw: parameters, gains by occupation where they were asked for, and how it ended."""
        rows = []
        for draw in self.draws:
            row = dict(zip(self.parameters, draw.parameters, strict=True))
            gain = None if draw.outcomes is None else draw.outcomes.get("gain")
            if "gain" in self.values:
                gains = np.full(len(self.labels.occupation), np.nan) if gain is None else gain
                row |= {f"gain[{name}]": g for name, g in zip(self.labels.occupation, gains, strict=True)}
            rows.append(row | {"found": draw.outcomes is not None, "outcome": draw.outcome})
        return pd.DataFrame(rows, index=pd.Index([draw.number for draw in self.draws], name="draw"))

    def to_xarray(self, data: xr.Dataset | None = None, level: float = LEVEL) -> xr.Dataset:
        """All quantities with their `STATISTICS` as a dimension, and derivatives; names of places from `data`."""
        names = {"city": self.labels.city, "occupation": self.labels.occupation}
        result = xr.Dataset(coords={"statistic": list(STATISTICS), "parameter": list(self.parameters)})
        result = result.assign_coords({name: list(values) for name, values in names.items()})
        for name in self.values:
            dimensions, units, description = QUANTITIES[name]
            labelled = {"units": units, "long_name": description}
            result[name] = ("statistic", *dimensions), self.statistics(name, level), labelled
            slope = {"units": f"{units} per unit of the parameter", "long_name": f"derivative of {name}"}
            result[f"{name}_derivative"] = ("parameter", *dimensions), self.derivatives[name], slope
        if data is not None:
            result = result.assign_coords({name: data[name] for name in PLACE_NAMES if name in data})
        counts = {"draws": len(self.draws), "draws_without_optimum": len(self.failures), "level": level}
        reasons = {"reasons": [f"{count}: {reason}" for reason, count in self.failure_reasons().items()]}
        return result.assign_attrs(counts | reasons)

    def joined(self, other: "Propagation") -> "Propagation":
        """One study of these draws and others.

        **Raises:** `ModelError` for another study, or draws that are in both.
        """
        same = self.parameters == other.parameters and np.array_equal(self.estimate, other.estimate)
        if not same or not np.array_equal(self.covariance, other.covariance):
            raise ModelError("draws are of other estimates: only draws of one study can be joined")
        if both := {draw.number for draw in self.draws} & {draw.number for draw in other.draws}:
            raise ModelError(f"draw {min(both)} is in both")
        return replace(self, draws=tuple(sorted((*self.draws, *other.draws), key=lambda draw: draw.number)))
