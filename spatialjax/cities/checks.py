"""Checks of an economy before it is solved."""

import jax
import numpy as np
from jax.typing import ArrayLike

from spatialjax.cities.economy import Economy
from spatialjax.errors import ModelError


def check_economy(economy: Economy) -> None:
    """Refuse an economy that cannot have an equilibrium, naming what is wrong.

    Looks only at concrete values: inside `jax.jit` or `jax.grad` it checks what is not traced.
    """
    for stage in (_range_problems, _share_problems, _cell_problems):
        if problems := list(stage(economy)):
            raise ModelError("; ".join(problems))


def check_parameter(name: str, value: ArrayLike) -> None:
    """Refuse a parameter out of its range, by name; a traced one passes."""
    if not _concrete(value):
        return
    wanted, holds = RANGES[name]
    found = np.asarray(value)
    if not (np.isfinite(found) & holds(found)).all():
        raise ModelError(f"{name} must be {wanted}, found {found}")


def _concrete(*arrays) -> bool:
    return not any(isinstance(array, jax.core.Tracer) for array in arrays)


RANGES = {
    "trade_elasticity": ("positive", lambda x: x > 0),
    "location_elasticity": ("above 1", lambda x: x > 1),
    "occupation_substitution": ("positive and not 1", lambda x: (x > 0) & (x != 1)),
    "housing_share": ("between 0 and 1", lambda x: (x > 0) & (x < 1)),
    "minimum_consumption_share": ("at least 0 and below 1", lambda x: (x >= 0) & (x < 1)),
    "population": ("positive", lambda x: x > 0),
    "wage_bill": ("positive", lambda x: x > 0),
    "fundamental_productivity": ("zero or positive", lambda x: x >= 0),
    "amenity": ("zero or positive", lambda x: x >= 0),
    "land": ("zero or positive", lambda x: x >= 0),
    "consumption_share": ("zero or positive", lambda x: x >= 0),
    "value_added_share": ("above 0 and at most 1", lambda x: (x > 0) & (x <= 1)),
    "land_share": ("between 0 and 1", lambda x: (x >= 0) & (x <= 1)),
}


def _range_problems(economy: Economy):
    for name, (wanted, holds) in RANGES.items():
        value = getattr(economy, name, None)
        if value is None or not _concrete(value):
            continue
        value = np.asarray(value)
        bad: np.ndarray = np.asarray(~(np.isfinite(value) & holds(value)))
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0]) if value.ndim else ()
            yield f"{name} must be {wanted}, found {value[where]:g}{_place(economy, name, where)}"


AXES = {
    "amenity": ("city", "occupation"),
    "land": ("city",),
    "population": ("occupation",),
    "trade_elasticity": ("sector",),
    "consumption_share": ("sector",),
    "value_added_share": ("city", "sector"),
    "land_share": ("city", "sector"),
    "fundamental_productivity": ("city", "occupation", "sector"),
}


def _place(economy: Economy, name: str, where: tuple[int, ...]) -> str:
    names = [getattr(economy.labels, axis)[i] for axis, i in zip(AXES.get(name, ()), where, strict=False)]
    return f" ({', '.join(names)})" if names else ""


def _share_problems(economy: Economy):
    shares = economy.consumption_share
    if _concrete(shares) and abs(total := float(np.asarray(shares).sum()) - 1) > 1e-6:
        yield f"consumption_share must sum to 1, found {1 + total:.8f}"


def _cell_problems(economy: Economy):
    productivity = economy.fundamental_productivity
    if not _concrete(productivity):
        return
    operating: np.ndarray = np.asarray((np.asarray(productivity) > 0).any(axis=1))
    for sector in sorted(set(range(operating.shape[1])) - set(economy.traded)):
        for city in np.flatnonzero(~operating[:, sector])[:3]:
            yield (
                f"fundamental_productivity is zero in {economy.labels.sector[sector]} of "
                f"{economy.labels.city[city]}, a sector that is not traded: nobody could supply that city"
            )
