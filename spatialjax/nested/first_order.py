"""What tariffs do to welfare to the first order: terms of trade and volume of trade (Caliendo and Parro 2015, eq. 15).

Their formula is exact for small changes. They evaluate it once for a large one, with weights of the base: each dollar
of imports gained is then worth the whole tariff before the cut, though what it is worth beyond its cost falls with the
tariff. `welfare_terms_along_path` adds the formula up over small steps, which gives the exact change.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, solve
from spatialjax.cities.flows import expenditure_share
from spatialjax.cities.income import IncomeRule, LaissezFaire
from spatialjax.errors import ModelError
from spatialjax.numerics.safe_math import masked_divide, masked_log
from spatialjax.typing import ByCity, SectorCityOrigin


class WelfareTerms(NamedTuple):
    """Parts of the first-order change of welfare by city, as fractions."""

    terms_of_trade: ByCity
    volume_of_trade: ByCity

    @property
    def welfare(self) -> ByCity:
        """Their sum."""
        return self.terms_of_trade + self.volume_of_trade


class Trade(NamedTuple):
    """What the formula asks of an equilibrium; dollars a year."""

    flow: SectorCityOrigin
    unit_cost: Float[Array, "sector origin"]
    income: ByCity
    tariff: SectorCityOrigin


@eqx.filter_jit
def trade_flow(economy: Economy, equilibrium: Equilibrium) -> SectorCityOrigin:
    """What sellers of an origin receive from buyers of a city, dollars a year: pi X / (1 + tau)."""
    paid = expenditure_share(economy, equilibrium) * equilibrium.expenditure.T[:, :, None]
    return paid if economy.tariff is None else paid / (1 + economy.tariff)


def welfare_terms(
    economy: Economy, equilibrium: Equilibrium, economy_after: Economy, equilibrium_after: Equilibrium
) -> WelfareTerms:
    """First-order change of welfare between two equilibria (Caliendo and Parro 2015, eq. 15), in fractions.

    With M[j, n, i] what i sells to n, c unit costs, I income, tau tariffs, all of the base, and dx = x'/x - 1,

    - terms of trade: sum_j,i (M[j, i, n] dc[j, n] - M[j, n, i] dc[j, i]) / I[n];
    - volume of trade: sum_j,i tau[j, n, i] M[j, n, i] (dM[j, n, i] - dc[j, i]) / I[n].

    At a change that is not small this is not the change of real income, which is the ratio of `consumption` at the
    two equilibria.

    **Arguments:**

    - `economy`, `equilibrium`: the base. `economy_after`, `equilibrium_after`: after tariffs have changed.

    **Raises:** `ModelError` without tariffs in the base.
    """
    before, after = _trade(economy, equilibrium), _trade(economy_after, equilibrium_after)
    cost = jnp.where(before.unit_cost > 0, _ratio(after.unit_cost, before.unit_cost) - 1, 0.0)
    quantity = jnp.where(before.flow > 0, _ratio(after.flow, before.flow) - 1, 0.0) - cost[:, None, :]
    return _terms(before.flow, before.tariff, before.income, cost, quantity)


def welfare_terms_along_path(
    economy: Economy,
    tariff: SectorCityOrigin,
    *,
    income: IncomeRule = LaissezFaire(),
    initial: Equilibrium | None = None,
    steps: int = 16,
) -> WelfareTerms:
    """The two terms added up over equal steps from the economy's tariffs to others: log changes.

    Their sum tends to the log change of real income as steps become small, with an error of the square of their size.

    **Arguments:**

    - `economy`: the base, with tariffs. `tariff`: those at the end of the path.
    - `income`: the income rule. `initial`: where to start the first solve.
    - `steps`: equilibria after the first.

    **Raises:** the errors of [`solve`][]; `ModelError` without tariffs in the base.
    """
    found = solve(economy, income=income, initial=initial)
    before = _trade(economy, found)
    parts = []
    for part in np.linspace(0, 1, steps + 1)[1:]:
        moved = eqx.tree_at(lambda e: e.tariff, economy, (1 - part) * economy.tariff + part * jnp.asarray(tariff))
        found = solve(moved, income=income, initial=found)
        after = _trade(moved, found)
        parts.append(_step(before, after))
        before = after
    return WelfareTerms(*(jnp.stack(part).sum(0) for part in zip(*parts, strict=True)))


def changes(
    economy: Economy, equilibrium: Equilibrium, economy_after: Economy, equilibrium_after: Equilibrium
) -> pd.DataFrame:
    """Changes by city, in percent, of an economy with one occupation.

    `terms_of_trade`, `volume_of_trade` and their sum `welfare` are of [`welfare_terms`][]; `real_wage` is w / P and
    `real_income` consumption per worker, tariff revenue and deficits included: exact.
    """
    terms = welfare_terms(economy, equilibrium, economy_after, equilibrium_after)
    real = lambda e: e.wage[:, 0] / e.price_index.reshape(len(e.wage), -1)[:, 0]  # noqa: E731
    columns = {
        "terms_of_trade": terms.terms_of_trade,
        "volume_of_trade": terms.volume_of_trade,
        "welfare": terms.welfare,
        "real_wage": real(equilibrium_after) / real(equilibrium) - 1,
        "real_income": equilibrium_after.consumption[:, 0] / equilibrium.consumption[:, 0] - 1,
    }
    index = pd.Index(economy.labels.city, name="country")
    return pd.DataFrame({name: 100 * np.asarray(value) for name, value in columns.items()}, index=index)


def _trade(economy: Economy, equilibrium: Equilibrium) -> Trade:
    if economy.tariff is None:
        raise ModelError("terms of trade and volume of trade need an economy with tariffs: set tariff, zero if need be")
    produced = equilibrium.unit_cost < jnp.inf
    cost = jnp.where(produced, equilibrium.unit_cost, 0.0).T
    income = (equilibrium.income * equilibrium.employment).sum(1)
    return Trade(trade_flow(economy, equilibrium), cost, income, economy.tariff)


@eqx.filter_jit
def _step(before: Trade, after: Trade) -> WelfareTerms:
    """Log changes with weights that are means of both ends."""
    mean = lambda name: (getattr(before, name) + getattr(after, name)) / 2  # noqa: E731
    cost = masked_log(_ratio(after.unit_cost, before.unit_cost))
    quantity = masked_log(_ratio(after.flow, before.flow)) - cost[:, None, :]
    return _terms(mean("flow"), mean("tariff"), mean("income"), cost, quantity)


def _terms(flow, tariff, income, cost, quantity) -> WelfareTerms:
    sold = flow.sum(1) * cost
    bought = (flow * cost[:, None, :]).sum(2)
    volume = (tariff * flow * quantity).sum((0, 2))
    return WelfareTerms((sold - bought).sum(0) / income, volume / income)


def _ratio(after, before):
    return masked_divide(after, before, before > 0)
