"""Panels of firms simulated from the granular model, on which estimators recover parameters that are known.

In a market (a sector of a location) s[n] are shares of labour committed before shocks; in a year, u[n] = l[n]/L[n] is a
firm's employment over that, x[n] its log wage and X the market's, relative to the location's wage, which is one. With
taste shocks e[n] for a firm and e for its market, short-run labour supply (KO eqs. 14 and 17) is

    log u[n] = kappa x[n] - (kappa - nu) X + e[n] + e,    (1 + kappa) X = log sum_n s[n] exp(e[n] + (1 + kappa) x[n]),

and price takers pay x[n] = a[n] - eta log u[n]. Elasticities are constant, so the solution is exact and closed:
x[n] = c[n] + eta (kappa - nu)/(1 + eta kappa) X with c[n] = (a[n] - eta (e[n] + e))/(1 + eta kappa), and X is
(1 + eta kappa)/(1 + eta nu) times the same mean of c. Labour is committed as it would be without shocks: s[n] are
shares of size. Location-time effects absorb the wage that is one here, were it not.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int, Key

from spatialjax.errors import ModelError
from spatialjax.granular.parameters import Parameters, check_parameters

Shocks = Literal["levels", "changes"]
"""Whether the variances of KO Table 2 are those of independent levels of log productivity, or of its yearly changes."""
ROOM = 1.25
"""Arrays of firms have one of few lengths, this factor apart, so that programs are compiled once for many panels."""
OVERLAP = 2 / 3
"""E[g^2 + (1-g)^2] for g uniform between one half and one, the share of a firm's first product."""


@dataclass(frozen=True)
class SimulatedPanel:
    """A panel of firms, and what only a simulation knows.

    - `panel`: location, sector, firm, year, employment (persons), wage_bill and sales (in one unit of money).
    - `products`: firm, product, share of the product in the firm's shipments, two rows a firm.
    - `shipments`: product, year, shipments of the whole country, of which the panel is a part too small to matter.
    - `firms`: firm, location, sector, committed (employment before shocks) and share (of it in the market).
    """

    panel: pd.DataFrame
    products: pd.DataFrame
    shipments: pd.DataFrame
    firms: pd.DataFrame


class _Deviations(NamedTuple):
    """Standard deviations of shocks."""

    demand: Float[Array, ""]
    sector: Float[Array, ""]
    firm: Float[Array, ""]
    taste: Float[Array, ""]
    market_taste: Float[Array, ""]


class _Firms(NamedTuple):
    """What is fixed over time; markets are numbered location by location."""

    market: Int[Array, " firm"]
    log_size: Float[Array, " firm"]
    first: Int[Array, " firm"]
    second: Int[Array, " firm"]
    first_share: Float[Array, " firm"]


def simulate_granular_panel(
    parameters: Parameters,
    firms_per_sector,
    *,
    key: Key[Array, ""],
    sectors: int = 148,
    years: int = 18,
    products: int = 10,
    shocks: Shocks = "levels",
    demand_sd: float | None = None,
    supply_sd: float = 0.5,
    market_supply_sd: float = 0.3,
    smallest_firm: float = 10.0,
    minimum_employment: float | None = None,
    first_year: int = 2002,
) -> SimulatedPanel:
    """Simulate a panel of firms of price takers from the granular model.

    **Arguments:**

    - `firms_per_sector`: m by location; the number of firms of each market is Poisson, sizes are Pareto.
    - `products`: of each sector. A firm makes two of them.
    - `shocks`: "levels" draws all shocks anew each year; "changes" adds them up, from none in the first year on.
    - `demand_sd`: standard deviation of a product's demand shock, which moves revenue productivity by the product's
      share. It is a part of the variances of `parameters`, not in addition: demand_sd^2 / products of the sector
      variance and (2/3 - 1/products) demand_sd^2 of the firm variance. None makes it half of the sector variance.
    - `supply_sd`, `market_supply_sd`: standard deviations of tastes of workers for a firm and for a market, which
      move labour supply and bias least squares.
    - `smallest_firm`: persons that the smallest firm employs before shocks.
    - `minimum_employment`: rows with fewer persons are not surveyed.

    **Raises:** `ModelError` for arguments out of range, demand shocks whose variance exceeds that of all shocks,
    an infinite elasticity across firms, and `sector_dispersion`.
    """
    check_parameters(parameters)
    m = _checked(parameters, firms_per_sector, sectors, years, products, shocks)
    deviations = _deviations(parameters, demand_sd, supply_sd, market_supply_sd, products)
    for_number, for_firms, for_shocks = jax.random.split(key, 3)
    entered = np.asarray(jax.random.poisson(for_number, jnp.asarray(np.repeat(m, sectors))))
    market = np.repeat(np.arange(entered.size), entered)
    if market.size == 0:
        raise ModelError("no firm entered any market: raise firms_per_sector or sectors")
    padded = np.full(_room(market.size), entered.size)
    padded[: market.size] = market
    firms = _draw_firms(for_firms, jnp.asarray(padded), parameters.size_tail, sectors, products)
    demand, log_ratio, log_wage = _solve(for_shocks, firms, parameters, deviations, m.size * sectors,
                                         sectors * products, years, shocks == "changes")  # fmt: skip
    n = market.size
    committed = smallest_firm * np.exp(np.asarray(firms.log_size)[:n])
    table = _firm_table(market, committed, sectors)
    panel = _panel(table, np.asarray(log_ratio)[:n], np.asarray(log_wage)[:n], parameters, first_year)
    if minimum_employment is not None:
        panel = panel[panel.employment >= minimum_employment].reset_index(drop=True)
    return SimulatedPanel(panel, _product_table(firms, n), _shipments(np.asarray(demand), first_year), table)


def _checked(parameters: Parameters, firms_per_sector, sectors, years, products, shocks) -> np.ndarray:
    m = np.atleast_1d(np.asarray(firms_per_sector, dtype=float))
    if m.ndim > 1 or not np.all(np.isfinite(m) & (m > 0)):
        raise ModelError("firms_per_sector must be positive numbers, one for each location")
    for name, value, least in (("sectors", sectors, 1), ("years", years, 2), ("products", products, 2)):
        if value < least:
            raise ModelError(f"{name} must be at least {least}, found {value}")
    check_shocks(shocks)
    if not np.isfinite(parameters.elasticity_across_firms):
        raise ModelError("elasticity_across_firms must be finite in a simulated panel")
    if parameters.sector_dispersion is not None:
        raise ModelError("simulate_granular_panel draws sectors of one entry rate m: set sector_dispersion to None")
    return m


def check_shocks(shocks: str) -> None:
    """Refuse what is neither "levels" nor "changes"."""
    if shocks not in ("levels", "changes"):
        raise ModelError(f"shocks must be 'levels' or 'changes', found {shocks!r}")


def _deviations(parameters: Parameters, demand_sd, supply_sd, market_supply_sd, products: int) -> _Deviations:
    sector, firm = float(parameters.sector_variance), float(parameters.firm_variance)
    demand = math.sqrt(sector * products / 2) if demand_sd is None else demand_sd
    common, own = demand**2 / products, (OVERLAP - 1 / products) * demand**2
    for name, value in (("demand_sd", demand), ("supply_sd", supply_sd), ("market_supply_sd", market_supply_sd)):
        if not (np.isfinite(value) and value >= 0):
            raise ModelError(f"{name} must be finite, zero or positive, found {value}")
    if common > sector or own > firm:
        raise ModelError(
            f"demand shocks of standard deviation {demand:.4g} have a variance of {common:.3g} common to a sector and "
            f"{own:.3g} of a firm's own, more than all shocks ({sector:.3g} and {firm:.3g}); lower demand_sd"
        )
    rest = math.sqrt(sector - common), math.sqrt(firm - own)
    return _Deviations(*map(jnp.asarray, (demand, *rest, float(supply_sd), float(market_supply_sd))))


def _room(firms: int) -> int:
    return math.ceil(64 * ROOM ** max(0, math.ceil(math.log(firms / 64, ROOM))))


@partial(jax.jit, static_argnames=("sectors", "products"))
def _draw_firms(key, market, size_tail, sectors: int, products: int) -> _Firms:
    """Pareto sizes, and two different products of the firm's sector each."""
    keys = jax.random.split(key, 4)
    log_size = jax.random.exponential(keys[0], market.shape) / size_tail
    first = jax.random.randint(keys[1], market.shape, 0, products)
    second = (first + jax.random.randint(keys[2], market.shape, 1, products)) % products
    base = products * (market % sectors)
    return _Firms(market, log_size, base + first, base + second, jax.random.uniform(keys[3], market.shape, minval=0.5))


@partial(jax.jit, static_argnames=("markets", "products", "years", "changes"))
def _solve(key, firms: _Firms, parameters: Parameters, deviations: _Deviations, markets, products, years, changes):
    """Demand by product, and log employment ratios and log wages by firm, by year. The last market is padding."""
    keys = jax.random.split(key, 5)

    def path(key, rows, deviation):
        shock = deviation * jax.random.normal(key, (rows, years))
        return jnp.cumsum(shock.at[:, 0].set(0.0), axis=1) if changes else shock

    count = firms.market.size
    demand = path(keys[0], products, deviations.demand)
    share = firms.first_share[:, None]
    exposure = share * demand[firms.first] + (1 - share) * demand[firms.second]
    sector = path(keys[1], markets + 1, deviations.sector)
    productivity = exposure + sector[firms.market] + path(keys[2], count, deviations.firm)
    taste = path(keys[3], count, deviations.taste)
    market_taste = path(keys[4], markets + 1, deviations.market_taste)[firms.market]
    return demand, *_respond(firms, productivity, taste, market_taste, parameters, markets + 1)


def _respond(firms: _Firms, productivity, taste, market_taste, parameters: Parameters, markets: int):
    """Log employment ratios and log wages: the exact competitive solution of the module's docstring."""
    kappa, nu = parameters.elasticity_across_firms, parameters.elasticity_across_sectors
    eta = parameters.profit_share
    total = partial(jax.ops.segment_sum, segment_ids=firms.market, num_segments=markets)
    size = jnp.exp(firms.log_size)
    share = size / total(size)[firms.market]
    alone = (productivity - eta * (taste + market_taste)) / (1 + eta * kappa)
    mean = jnp.log(total(share[:, None] * jnp.exp(taste + (1 + kappa) * alone))) / (1 + kappa)
    market_wage = ((1 + eta * kappa) / (1 + eta * nu) * mean)[firms.market]
    wage = alone + eta * (kappa - nu) / (1 + eta * kappa) * market_wage
    return kappa * wage - (kappa - nu) * market_wage + taste + market_taste, wage


def _firm_table(market: np.ndarray, committed: np.ndarray, sectors: int) -> pd.DataFrame:
    place = {"location": (market // sectors).astype(np.int32), "sector": (market % sectors).astype(np.int32)}
    share = committed / np.bincount(market, committed)[market]
    return pd.DataFrame({"firm": np.arange(market.size), **place, "committed": committed, "share": share})


def _panel(firms: pd.DataFrame, log_ratio, log_wage, parameters: Parameters, first_year: int) -> pd.DataFrame:
    count, years = log_ratio.shape
    employment = (firms.committed.to_numpy()[:, None] * np.exp(log_ratio)).ravel()
    wage_bill = employment * np.exp(log_wage).ravel()
    columns = {name: np.repeat(firms[name].to_numpy(), years) for name in ("location", "sector", "firm")}
    columns["year"] = np.tile(np.arange(first_year, first_year + years, dtype=np.int16), count)
    sales = wage_bill / (1 - float(parameters.profit_share))
    return pd.DataFrame({**columns, "employment": employment, "wage_bill": wage_bill, "sales": sales})


def _product_table(firms: _Firms, count: int) -> pd.DataFrame:
    first, second, share = (np.asarray(x)[:count] for x in (firms.first, firms.second, firms.first_share))
    columns = {"firm": np.repeat(np.arange(count), 2), "product": np.stack([first, second], 1).ravel()}
    return pd.DataFrame({**columns, "share": np.stack([share, 1 - share], 1).ravel()})


def _shipments(demand: np.ndarray, first_year: int) -> pd.DataFrame:
    products, years = demand.shape
    columns = {"product": np.repeat(np.arange(products), years)}
    columns["year"] = np.tile(np.arange(first_year, first_year + years, dtype=np.int16), products)
    return pd.DataFrame({**columns, "shipments": np.exp(demand).ravel()})
