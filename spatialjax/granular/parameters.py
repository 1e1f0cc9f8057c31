"""Parameters of the granular economy (KO Table 2)."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from spatialjax.errors import ModelError, PrecisionError
from spatialjax.typing import Scalar

ExpectedShock = Literal["lognormal", "second-order"]


class Parameters(eqx.Module):
    """Preferences and technology that all places share; the defaults are those of KO Table 2.

    - `elasticity_across_firms`: kappa, of labour supplied to a firm of a sector in the short run; may be infinite.
    - `elasticity_across_sectors`: nu, of labour supplied to a sector; may be zero, and at most kappa.
    - `profit_share`: eta; a firm produces with labour to the power 1 - eta.
    - `productivity_tail`: lambda, tail exponent of ex-ante productivity; lambda eta, that of firm size, exceeds one.
    - `sector_variance`, `firm_variance`: of log productivity shocks that a sector shares, and of a firm's own.
    - `migration_elasticity`: theta, of population to utility.
    - `sector_dispersion`: standard deviation sigma of log entry rates between sectors, m_s = m exp(sigma g - sigma^2/2)
      with g standard normal. None in KO; an extension.
    - `expected_shock`: E[a] of log-normal shocks, exp of half their variance, or its second-order approximation, one
      plus half the variance.
    """

    elasticity_across_firms: Scalar
    elasticity_across_sectors: Scalar
    profit_share: Scalar
    productivity_tail: Scalar
    sector_variance: Scalar
    firm_variance: Scalar
    migration_elasticity: Scalar
    sector_dispersion: Scalar | None
    expected_shock: ExpectedShock = eqx.field(static=True)

    def __init__(
        self,
        *,
        elasticity_across_firms: float = 2.48,
        elasticity_across_sectors: float = 1.46,
        profit_share: float = 0.13,
        productivity_tail: float = 10.5,
        sector_variance: float = 0.002,
        firm_variance: float = 0.14,
        migration_elasticity: float = 3.0,
        sector_dispersion: float | None = None,
        expected_shock: ExpectedShock = "lognormal",
    ):
        self.elasticity_across_firms = jnp.asarray(elasticity_across_firms, dtype=float)
        self.elasticity_across_sectors = jnp.asarray(elasticity_across_sectors, dtype=float)
        self.profit_share = jnp.asarray(profit_share, dtype=float)
        self.productivity_tail = jnp.asarray(productivity_tail, dtype=float)
        self.sector_variance = jnp.asarray(sector_variance, dtype=float)
        self.firm_variance = jnp.asarray(firm_variance, dtype=float)
        self.migration_elasticity = jnp.asarray(migration_elasticity, dtype=float)
        self.sector_dispersion = None if sector_dispersion is None else jnp.asarray(sector_dispersion, dtype=float)
        self.expected_shock = expected_shock

    @property
    def size_tail(self) -> Scalar:
        """Lambda eta: tail exponent of firm size q = z^(1/eta)."""
        return self.productivity_tail * self.profit_share

    @property
    def mean_shock(self) -> Scalar:
        """E[a]."""
        half = (self.sector_variance + self.firm_variance) / 2
        return jnp.exp(half) if self.expected_shock == "lognormal" else 1 + half

    @property
    def firm_slope(self) -> Scalar:
        """B = eta + 1/kappa: log marginal product less log wage, by log employment of one small firm."""
        return self.profit_share + 1 / self.elasticity_across_firms

    @property
    def immobility(self) -> Scalar:
        """1 - nu/kappa = nu D: how much harder it is to move between sectors than between firms, from 0 to 1."""
        return 1 - self.elasticity_across_sectors / self.elasticity_across_firms


LARGEST_SIZE_TAIL = 15.0
"""The integrals of `concentration` are tested up to here."""

RANGES = {
    "elasticity_across_firms": ("positive", lambda x: x > 0),
    "elasticity_across_sectors": ("zero or positive", lambda x: x >= 0),
    "profit_share": ("between 0 and 1", lambda x: (x > 0) & (x < 1)),
    "productivity_tail": ("positive", lambda x: x > 0),
    "sector_variance": ("finite, zero or positive", lambda x: np.isfinite(x) & (x >= 0)),
    "firm_variance": ("finite, zero or positive", lambda x: np.isfinite(x) & (x >= 0)),
    "migration_elasticity": ("finite and positive", lambda x: np.isfinite(x) & (x > 0)),
    "sector_dispersion": ("finite, zero or positive", lambda x: np.isfinite(x) & (x >= 0)),
}


def check_parameters(parameters: Parameters) -> None:
    """Refuse parameters that are no economy; those inside a JAX transformation cannot be looked at.

    **Raises:** `ModelError` naming the parameter, what was found and what is wanted.
    """
    if parameters.profit_share.dtype != jnp.float64:
        raise PrecisionError(
            "Parameters are in single precision, which is too little here: call "
            'jax.config.update("jax_enable_x64", True) before anything else'
        )
    for name, (wanted, holds) in RANGES.items():
        value = getattr(parameters, name)
        if value is not None and jnp.ndim(value):
            raise ModelError(
                f"Parameters.{name} must be a number, found shape {jnp.shape(value)}; use jax.vmap for many"
            )
        if value is not None and not isinstance(value, jax.core.Tracer) and not np.all(holds(np.asarray(value))):
            raise ModelError(f"Parameters.{name} must be {wanted}, found {np.asarray(value)}")
    if parameters.expected_shock not in ("lognormal", "second-order"):
        raise ModelError(
            f"Parameters.expected_shock must be 'lognormal' or 'second-order', found {parameters.expected_shock!r}"
        )
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(parameters)):
        return
    # With NumPy: inside jax.jit, what JAX makes of known numbers is a tracer.
    across_firms, across_sectors = map(
        np.asarray, (parameters.elasticity_across_firms, parameters.elasticity_across_sectors)
    )
    tail = float(np.asarray(parameters.productivity_tail) * np.asarray(parameters.profit_share))
    if across_sectors > across_firms:
        raise ModelError(
            "workers must move at least as easily between firms as between sectors: elasticity_across_sectors "
            f"{across_sectors} exceeds elasticity_across_firms {across_firms}"
        )
    if tail <= 1:
        raise ModelError(
            f"productivity_tail times profit_share is {tail:.4g}: it must exceed 1 for "
            "the mean size of firms to be finite; raise productivity_tail"
        )
    if tail > LARGEST_SIZE_TAIL:
        raise ModelError(
            f"productivity_tail times profit_share is {tail:.4g}: above "
            f"{LARGEST_SIZE_TAIL:g} firms are of one size for all purposes; lower productivity_tail"
        )
