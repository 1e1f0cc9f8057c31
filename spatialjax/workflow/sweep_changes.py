"""What parameters do to the arrays of an economy and of its policy."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import xarray as xr

from spatialjax.cities.checks import LARGEST
from spatialjax.data.schema import city_names
from spatialjax.errors import ConfigError
from spatialjax.workflow.sweep_calibration import Calibration
from spatialjax.workflow.sweep_schema import TRADE_COST, ParameterSection, SweepSection, Value

Array = np.ndarray
LOG_COST = "log_iceberg_cost"
LOG_BORDER = f"{LOG_COST}.border"
"""The factor on costs between cities, in logs, where costs are not stored (`TradeCosts`)."""


CHANGES = {
    "set": lambda old, new: new,
    "scale": lambda old, new: old * new,
    "shift": lambda old, new: old + new,
    "scale_logarithm": lambda old, new: old + np.log(new),
}
"""What is done with the value of a parameter."""


@dataclass(frozen=True)
class Target:
    """The cells of one array that a parameter changes, and how.

    - `leaf`: name of the array, such as "spillover.size". `cells`: a mask of its shape.
    - `verb`: "set", "scale" or "shift", or "scale_logarithm" of an array of logarithms.
    """

    parameter: str
    leaf: str
    verb: str
    cells: Array

    def applied(self, stacked: Array, values: Sequence[Value]) -> Array:
        """Arrays of many scenarios (scenario, ...) with the parameter's values.

        **Raises:** `ConfigError` for a value whose length is not that of the array's last axis, or a word.
        """
        new = np.stack([self._as_array(value, stacked.shape[1:]) for value in values])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.cells, CHANGES[self.verb](stacked, new), stacked)

    def check(self, values: Sequence[Value], shape: tuple[int, ...]) -> None:
        """Refuse values that an array of this shape cannot have."""
        for value in {value for value in values if not isinstance(value, float)}:
            self._as_array(value, shape)

    def _as_array(self, value: Value, shape: tuple[int, ...]) -> Array:
        if isinstance(value, str):
            raise ConfigError(f"sweep.parameter.{self.parameter}: {value!r} is no number")
        try:
            return np.broadcast_to(np.asarray(value, dtype=float), shape)
        except ValueError:
            raise ConfigError(
                f"sweep.parameter.{self.parameter}: {len(value)} numbers were given, but {self.leaf} has shape {shape}"  # type: ignore[arg-type]
            ) from None


def targets(sweep: SweepSection, calibration: Calibration, data: xr.Dataset) -> list[Target]:
    """What the parameters of a sweep change in an economy, in the order of the configuration.

    **Raises:** `ConfigError` naming the parameter, for an array that there is not, an axis that it does not have, and a
    city, occupation or sector that the data do not have.
    """
    changing = {name: parameter for name, parameter in sweep.parameter.items() if parameter.calibrate is None}
    return [_target(name, parameter, calibration, data) for name, parameter in changing.items()]


def _target(name: str, parameter: ParameterSection, calibration: Calibration, data: xr.Dataset) -> Target:
    where = f"sweep.parameter.{name}"
    leaves = calibration.leaves
    leaf = _leaf(where, parameter, leaves)
    shape = leaves[leaf].shape
    axes = axes_of(calibration, leaf)[-len(shape) :] if shape else ()
    cells = np.ones(shape, bool)
    for axis, names in parameter.chosen.items():
        if axis not in axes:
            raise ConfigError(f"{where}.{axis}: {leaf} has no axis {axis}; its axes are {', '.join(axes) or 'none'}")
        cells &= _along(axes.index(axis), len(shape), _members(f"{where}.{axis}", axis, names, data))
    if parameter.target != TRADE_COST:
        return Target(name, leaf, parameter.verb, cells)
    if leaf == LOG_COST:
        cells &= ~np.eye(shape[-1], dtype=bool)
    return Target(name, leaf, "scale_logarithm", cells)


def _leaf(where: str, parameter: ParameterSection, leaves: Mapping[str, Any]) -> str:
    wanted = parameter.target
    if wanted == TRADE_COST:
        if parameter.verb != "scale":
            raise ConfigError(f"{where}: {TRADE_COST} can be scaled only; {LOG_COST} can be set and shifted")
        return LOG_COST if LOG_COST in leaves else LOG_BORDER
    if wanted == LOG_COST and parameter.verb == "scale":
        raise ConfigError(f'{where}: {LOG_COST} are logarithms: write scale = "{TRADE_COST}" to multiply costs')
    if wanted not in leaves:
        advice = _advice(wanted, [*leaves, TRADE_COST])
        raise ConfigError(f"{where}.{parameter.verb}: there is no {wanted!r} in this economy; {advice}")
    return wanted


def _advice(wanted: str, known: Sequence[str]) -> str:
    if wanted.startswith("income.") and not any(name.startswith("income.") for name in known):
        return "arrays of income are those of a policy: say in sweep.policy which is in force"
    close = difflib.get_close_matches(wanted, known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"


def _along(position: int, dimensions: int, mask: Array) -> Array:
    """A mask along one axis, of the dimensions of an array."""
    return mask.reshape([-1 if axis == position else 1 for axis in range(dimensions)])


def _members(where: str, axis: str, names: Sequence[str], data: xr.Dataset) -> Array:
    dimension = {"origin": "city", "other": "occupation", "input": "sector"}.get(axis, axis)
    known = [str(label) for label in data[dimension].values]
    others = city_names(data) if dimension == "city" else known
    mask = np.zeros(len(known), bool)
    for name in names:
        found = np.array([name in pair for pair in zip(known, others, strict=True)])
        if not found.any():
            close = difflib.get_close_matches(name, [*others, *known], n=1)
            listed = f"did you mean {close[0]}?" if close else f"there are {_few(others)}"
            raise ConfigError(f"{where}: the data have no {dimension} {name!r}; {listed}")
        mask |= found
    return mask


def _few(names: Sequence[str], most: int = 30) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def axes_of(calibration: Calibration, leaf: str) -> tuple[str, ...]:
    """Names of an array's axes, from the shape that its module declares; those that may be absent are included."""
    module: Any = calibration.economy
    if leaf.startswith("income."):
        module, leaf = calibration.income, leaf.partition(".")[2]
    *path, last = leaf.split(".")
    for part in path:
        module = getattr(module, part)
    declared = {field.name: field.type for field in dataclasses.fields(module)}[last]
    shapes = [kind.dim_str for kind in (declared, *get_args(declared)) if hasattr(kind, "dim_str")]
    return tuple(axis.lstrip("*") for shape in shapes[:1] for axis in shape.split())


UNBOUNDED = ("spillover.", "amenity_spillover.", "income.", "preferences.")
BOUNDED_BY_SIGN = ("fundamental_productivity", "amenity", "land", "population", "wage_bill")


def is_suspicious(leaf: str, old: Array, new: Array) -> bool:
    """Whether a change of one array could have made an economy that is none, so that it has to be checked."""
    if leaf.startswith(UNBOUNDED):
        return not np.isfinite(new).all()
    if leaf in BOUNDED_BY_SIGN:
        return not ((np.abs(new) < LARGEST).all() and np.array_equal(np.sign(new), np.sign(old)))
    if leaf == LOG_COST:
        return not np.array_equal(np.isfinite(new), np.isfinite(old)) or bool((np.isnan(new) | (new == -np.inf)).any())
    return True
