"""Estimated externalities as a vector of parameters with a covariance."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float
from scipy import linalg

from spatialjax.estimation.spillovers import SpilloverEstimates
from spatialjax.estimation.uncertainty_outcomes import ModuleFamily, Parameters


class LinearFamily(eqx.Module):
    """Externalities whose numbers are linear in the parameters, as where sectors of a group share an elasticity."""

    template: Any
    matrix: Float[Array, "number parameter"]

    def __call__(self, parameters: Parameters) -> Any:
        """The module whose numbers, in the order of its leaves, are matrix @ parameters."""
        return ModuleFamily(self.template)(self.matrix @ parameters)


class EstimatedParameters(NamedTuple):
    """What [`propagate`][] asks for: the covariance is zero between regressions, which are separate."""

    estimate: pd.Series
    covariance: pd.DataFrame
    family: LinearFamily


def estimated_parameters(found: SpilloverEstimates) -> EstimatedParameters:
    """Coefficients of all regressions, "regression coefficient", and the externalities that they make."""
    keys = [(name, str(c)) for name, r in found.regressions.items() for c in r.coefficients.index]
    labels = [" ".join(key) for key in keys]
    values = np.concatenate([r.coefficients.to_numpy() for r in found.regressions.values()])
    blocks = linalg.block_diag(*(r.covariance.to_numpy() for r in found.regressions.values()))
    matrix = np.array([[key == wanted for key in keys] for wanted in _numbers(found)], dtype=float)
    return EstimatedParameters(
        pd.Series(values, labels),
        pd.DataFrame(blocks, labels, labels),
        LinearFamily(found.spillover(), jnp.asarray(matrix)),
    )


def _numbers(found: SpilloverEstimates) -> list[tuple[str, str]]:
    """The regression and coefficient of each number of `found.spillover()`, in the order of its leaves."""
    if found.by == "occupation":
        return [(k, name) for name in ("share", "size") for k in found.occupations]
    groups = list(found.groups.values())
    return [(g, f"share:{k}") for k in found.occupations for g in groups] + [(g, "size") for g in groups]
