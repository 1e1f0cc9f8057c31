"""What the competitive economy predicts about variances in the data (KO 5), to first order in shocks."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spatialjax.errors import ModelError
from spatialjax.granular.concentration import power_sums
from spatialjax.granular.parameters import Parameters, check_parameters

Values = Float[Array, "..."]


def herfindahl_of_number(number: Values, parameters: Parameters) -> Values:
    """Mean Herfindahl index, weighted by size, of sectors that have a given number of firms, one at least.

    **Raises:** `ModelError` for a number below one.
    """
    check_parameters(parameters)
    number = jnp.asarray(number, dtype=float)
    if not isinstance(number, jax.core.Tracer) and not np.all(np.asarray(number) >= 1):
        raise ModelError(f"number, of firms in a sector, must be one at least, found {np.min(np.asarray(number))}")
    return _herfindahl_of_number(number, parameters)


@jax.jit
def _herfindahl_of_number(number, parameters: Parameters):
    return power_sums((number - 1).ravel(), parameters.size_tail)["2"].reshape(number.shape)


def wage_bill_variance(herfindahl: Values, parameters: Parameters) -> Values:
    """Variance of a sector's log wage bill (KO Proposition 5, with its factor squared, as it must be).

    The wage bill moves by (1 + nu)/(1 + eta nu) times the mean shock, weighted by shares.
    """
    nu, eta = parameters.elasticity_across_sectors, parameters.profit_share
    factor = (1 + nu) / (1 + eta * nu)
    return factor**2 * (parameters.sector_variance + herfindahl * parameters.firm_variance)


def employment_variance(herfindahl: Values, parameters: Parameters) -> Values:
    """Variance of firms' log employment, averaged with their shares in a sector (KO Proposition 6)."""
    nu, eta, b = parameters.elasticity_across_sectors, parameters.profit_share, parameters.firm_slope
    common = nu / (1 + eta * nu)  # 1 / (eta + 1/nu)
    held_back = employment_response_ratio(parameters)
    own = (1 + held_back * (2 + held_back) * herfindahl) / b**2
    return common**2 * parameters.sector_variance + own * parameters.firm_variance


def employment_response_ratio(parameters: Parameters) -> Values:
    """How much less a firm that is all of its sector responds to its own shock than a small one does, as a share.

    The ratio beta_3 / beta_1 of KO eq. 23: -(1/nu - 1/kappa) / (eta + 1/nu).
    """
    return -parameters.immobility / (1 + parameters.profit_share * parameters.elasticity_across_sectors)


def shock_variance(number: Values, parameters: Parameters) -> Values:
    """Variance of the mean log productivity shock of a given number of firms (KO eq. 21)."""
    return parameters.sector_variance + parameters.firm_variance / number
