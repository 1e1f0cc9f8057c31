"""What the shape of Phi and Psi says of a place, whatever they were computed from (KO Propositions 1 and 4)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.typing import Scalar

Values = Float[Array, "..."]


class ProductionShape(NamedTuple):
    """Phi and Psi at some m, and their derivatives in log m."""

    phi: Values
    psi: Values
    phi_slope: Values
    psi_slope: Values


def production_shape(technology: Callable[[Values], tuple[Values, Values]], m: Values) -> ProductionShape:
    """The shape of a technology, a function from m to (phi, psi), by differentiation."""

    def at(log_m):
        return technology(jnp.exp(log_m))

    log_m = jnp.log(m)
    (phi, psi), (phi_slope, psi_slope) = jax.jvp(at, (log_m,), (jnp.ones_like(log_m),))
    return ProductionShape(phi, psi, phi_slope, psi_slope)


def local_wage_elasticity(shape: ProductionShape, profit_share: Scalar) -> Values:
    """Elasticity of the wage to population where firms enter until profits pay for it (KO Proposition 1).

    Under perfect competition x / (1 - x) with x = d log Phi / d log m / (1 - eta). Market power adds how profits and
    pay share output.
    """
    eta = profit_share
    profit, profit_slope = _profit(shape, eta)
    pay, pay_slope = shape.phi + shape.psi, shape.phi_slope + shape.psi_slope
    entry = (1 - eta) / (1 - eta - profit_slope / profit)  # d log m / d log l
    return -eta + (eta + pay_slope / pay) * entry


def local_labour_wedge(shape: ProductionShape) -> Values:
    """Wage over the marginal product of labour, (Phi + Psi) / Phi."""
    return (shape.phi + shape.psi) / shape.phi


def local_firm_wedge(shape: ProductionShape, profit_share: Scalar) -> Values:
    """Profit over the marginal product of a firm."""
    return _profit(shape, profit_share)[0] / (profit_share * shape.phi + shape.phi_slope)


def _profit(shape: ProductionShape, eta: Scalar) -> tuple[Values, Values]:
    """Profits, in the units of Phi, and their derivative in log m."""
    return eta * shape.phi - (1 - eta) * shape.psi, eta * shape.phi_slope - (1 - eta) * shape.psi_slope
