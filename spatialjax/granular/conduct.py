"""How firms compete for labour: as price takers, or à la Cournot with commitment to a wage schedule (KO 3.1)."""

from typing import Literal

from spatialjax.errors import ModelError

Conduct = Literal["competitive", "cournot"]

INTERNALISED = {"competitive": 0.0, "cournot": 1.0}
"""Whether a firm takes account of its own effect on wages: what one set of formulas for all conducts multiplies."""


def internalised(conduct: Conduct) -> float:
    """Zero for price takers, one for Cournot.

    **Raises:** `ModelError` for another name.
    """
    if conduct not in INTERNALISED:
        names = ", ".join(f"'{name}'" for name in INTERNALISED)
        raise ModelError(f"conduct must be one of {names}, found {conduct!r}")
    return INTERNALISED[conduct]
