"""The tail of ex-ante productivity (lambda), from concentration of employment by location (KO 4.3)."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float
from scipy.optimize import minimize_scalar

from spatialjax.errors import ConvergenceError, DataError, ModelError
from spatialjax.estimation.granular_checks import KEYS, check_granular_panel
from spatialjax.granular.concentration import check_entry, mean_size, power_density, quadrature
from spatialjax.granular.parameters import LARGEST_SIZE_TAIL

Weighting = Literal["sectors", "size"]
SMALLEST_SIZE_TAIL = 1.02
"""Of firm size, below which the search for it does not go."""


@dataclass(frozen=True)
class TailEstimate:
    """Lambda, tail exponent of ex-ante productivity, and the concentration it was matched to.

    `fit` has a row for each location: firms_per_sector, sectors (with firms), herfindahl (in the data) and predicted.
    """

    estimate: float
    standard_error: float
    size_tail: float
    weighting: Weighting
    fit: pd.DataFrame


def mean_herfindahl(
    m: Float[Array, "..."] | float, size_tail: float, weighting: Weighting = "sectors"
) -> Float[Array, "..."]:
    """Mean Herfindahl index of sectors that m firms enter on average, Pareto sizes with tail `size_tail` above one.

    **Arguments:**

    - `weighting`: "sectors" is a plain mean over sectors that have firms; "size" weights by size, as `herfindahl`.

    With phi(t) = E exp(-t q) the plain mean is E[sum q^2 / (sum q)^2 | N] = N int t phi''(t) phi(t)^(N-1) dt in sectors
    of N firms, and mixed over Poisson numbers of one firm at least m/(1 - exp(-m)) int t phi''(t) exp(-m (1 - phi)) dt.

    **Raises:** `ModelError` for arguments out of range.
    """
    _check_weighting(weighting)
    if not 1 < size_tail <= LARGEST_SIZE_TAIL:
        raise ModelError(f"size_tail must be above 1 and at most {LARGEST_SIZE_TAIL:g}, found {size_tail}")
    return _moments(check_entry(m), jnp.asarray(size_tail, dtype=float), weighting == "size")[0]


@partial(jax.jit, static_argnames="by_size")
def _moments(m, size_tail, by_size: bool):
    """Mean Herfindahl indices, and their derivatives in m and in the tail."""

    def means(m, size_tail):
        nodes = quadrature(size_tail)
        density = power_density(nodes, (2,), size_tail)
        if not by_size:
            density = density * mean_size(size_tail) * jnp.exp(nodes.log_t)
        integral = jnp.exp(-m[..., None] * nodes.gap) @ density
        return integral if by_size else integral * m / -jnp.expm1(-m)

    value, in_m = jax.jvp(lambda x: means(x, size_tail), (m,), (jnp.ones_like(m),))
    return value, in_m, jax.jvp(lambda x: means(m, x), (size_tail,), (jnp.ones_like(size_tail),))[1]


def estimate_tail(
    panel: pd.DataFrame,
    profit_share: float,
    *,
    sectors: int | None = None,
    year: int | None = None,
    weighting: Weighting = "sectors",
) -> TailEstimate:
    """Lambda by simulated method of moments without simulation: KO 4.3.

    Minimises sum_i (HHI_i - H(m_i))^2 over locations, HHI_i the mean index over sectors with firms, by shares of
    employment, m_i the number of firms over that of sectors, and H the model's mean (`mean_herfindahl`).

    **Arguments:**

    - `panel`: location, sector, firm, year, employment.
    - `profit_share`: eta; lambda is the tail of firm size over it.
    - `sectors`: that firms may enter, also those without; None counts those of the whole panel.
    - `year`: takes employment of this year alone; None takes firms' medians over years.
    - `weighting`: "sectors", a plain mean, or "size". With a tail of size below two, means weighted by size have
      infinite variance: neither that estimate nor its standard error settles as the panel grows.

    The standard error is the sandwich of the minimum distance, with the variance, between sectors of a location, of
    indices and of numbers of firms. Shocks in employment count as differences in size: medians over 18 years of
    independent shocks of KO's variances take lambda down from 10.5 to 10.25.

    **Raises:** `DataError` for panels that cannot be used; `ModelError` for arguments out of range;
    `ConvergenceError` where the loss falls towards the end of the admissible range.
    """
    _check_weighting(weighting)
    check_granular_panel(panel, columns=(*KEYS, "employment"), several_years=False)
    if not 0 < profit_share < 1:
        raise ModelError(f"profit_share must be between 0 and 1, found {profit_share}")
    markets = _markets(panel, year)
    count = panel.sector.nunique() if sectors is None else sectors
    if count < panel.sector.nunique():
        raise ModelError(f"sectors must be at least the {panel.sector.nunique()} of the panel, found {count}")
    fit = _by_location(markets, count, weighting)
    m, by_size = jnp.asarray(fit.firms_per_sector.to_numpy()), weighting == "size"
    herfindahl = fit.herfindahl.to_numpy()

    def loss(tail):
        return float(((herfindahl - np.asarray(_moments(m, tail, by_size)[0])) ** 2).sum())

    bounds = (SMALLEST_SIZE_TAIL, LARGEST_SIZE_TAIL)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    if not found.success or min(found.x - bounds[0], bounds[1] - found.x) < 1e-3:
        raise ConvergenceError(
            f"no tail of firm size between {bounds[0]} and {bounds[1]:g} fits: the loss is least at {found.x:.4g}; "
            "concentration in the panel is not that of Pareto firms that enter sectors at one rate"
        )
    predicted, in_m, in_tail = (np.asarray(x) for x in _moments(m, float(found.x), by_size))
    variance = _variances(markets, fit, in_m, count, weighting)
    error = np.sqrt((in_tail**2 * variance).sum()) / (in_tail**2).sum() / profit_share
    size_tail = float(found.x)
    return TailEstimate(size_tail / profit_share, float(error), size_tail, weighting, fit.assign(predicted=predicted))


def _markets(panel: pd.DataFrame, year: int | None) -> pd.DataFrame:
    """Number of firms, size and Herfindahl index of each market with firms."""
    rows = panel if year is None else panel[panel.year == year]
    if rows.empty:
        raise DataError("panel of firms", [f"there are no rows of year {year}"])
    firms = rows.groupby(["location", "sector", "firm"], as_index=False).employment.median()
    firms["squared"] = firms.employment**2
    markets = firms.groupby(["location", "sector"]).agg(
        firms=("firm", "size"), size=("employment", "sum"), squared=("squared", "sum")
    )
    return markets.assign(herfindahl=markets.squared / markets["size"] ** 2).reset_index()


def _by_location(markets: pd.DataFrame, sectors: int, weighting: Weighting) -> pd.DataFrame:
    weight = markets["size"] if weighting == "size" else 1.0
    sums = markets.assign(weight=weight, product=weight * markets.herfindahl).groupby("location")
    table = sums.agg(
        firms=("firms", "sum"), sectors=("sector", "size"), weight=("weight", "sum"), top=("product", "sum")
    )
    return pd.DataFrame(
        {
            "firms_per_sector": table.firms / sectors,
            "sectors": table.sectors,
            "herfindahl": table.top / table.weight,
        }
    )


def _variances(markets: pd.DataFrame, fit: pd.DataFrame, in_m: np.ndarray, sectors: int, weighting: Weighting):
    """Variance of HHI_i - H(m_i) by location, sectors being independent; sectors without firms count in m_i alone."""
    of = fit.assign(slope=in_m).loc[markets.location].reset_index(drop=True)
    weight = markets["size"] if weighting == "size" else pd.Series(1.0, markets.index)
    mean = weight.groupby(markets.location).transform("sum") / sectors
    residual = weight / mean * (markets.herfindahl - of.herfindahl)
    residual = residual - of.slope * (markets.firms - of.firms_per_sector)
    with_firms = (residual**2).groupby(markets.location).sum().to_numpy()
    empty = (sectors - fit.sectors) * (in_m * fit.firms_per_sector) ** 2
    return (with_firms + empty.to_numpy()) / sectors**2


def _check_weighting(weighting: str) -> None:
    if weighting not in ("sectors", "size"):
        raise ModelError(f"weighting must be 'sectors' or 'size', found {weighting!r}")
