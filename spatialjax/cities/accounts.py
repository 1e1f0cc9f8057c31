"""National and local accounts from data: the first half of inversion (CH section 4.4, Lemma 1 item 1).

Plain NumPy: these numbers depend on the data and two calibration choices only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from spatialjax.data.schema import city_names, given_land_shares, land_sector, source_of, traded_sectors, values
from spatialjax.errors import DataError

Array = np.ndarray
SMALLEST_LABOUR_SHARE = 1e-10
"""Of value added in the land-using sector: less is lost in rounding, because its complement is what is kept."""


@dataclass(frozen=True)
class MendedSector:
    """A sector whose value-added share was lowered so that final demand for it is not negative."""

    sector: str
    value_added_share_in_data: float
    value_added_share: float
    consumption_share_implied: float


@dataclass(frozen=True)
class Accounts:
    """Who earns, spends and produces what, in dollars a year; consistent with every adding-up identity.

    `wage` (city, occupation), `employment` (city, occupation, sector), `input_mix` (input, sector),
    `consumption_share` (sector), or (occupation, sector) where housing shares differ by occupation,
    `value_added_share`, `land_share`, `gross_output`, `expenditure` (city, sector), `income` (city,
    occupation): wage plus land dividend.
    """

    wage: Array
    employment: Array
    input_mix: Array
    consumption_share: Array
    value_added_share: Array
    land_share: Array
    gross_output: Array
    expenditure: Array
    income: Array
    mended: tuple[MendedSector, ...]


@dataclass(frozen=True)
class _Inputs:
    """The data as arrays in the library's axis order."""

    wage: Array
    employment: Array
    value_added_share: Array
    input_share: Array
    traded: Array
    land_sector: int
    land_share: Array
    cities: list[str]
    sectors: list[str]

    @classmethod
    def of(cls, data: xr.Dataset) -> "_Inputs":
        return cls(
            wage=np.where(values(data, "employment").sum(2) > 0, values(data, "wage"), 0.0),
            employment=values(data, "employment"),
            value_added_share=values(data, "value_added_share"),
            input_share=values(data, "input_share"),
            traded=traded_sectors(data),
            land_sector=land_sector(data),
            land_share=given_land_shares(data),
            cities=city_names(data),
            sectors=[str(name) for name in data["sector"].values],
        )

    @property
    def wage_bill(self) -> Array:
        """WB[n, j], dollars a year by city and sector."""
        return np.einsum("nk,nkj->nj", self.wage, self.employment)

    @property
    def value_added(self) -> Array:
        """Wage bills, and the rent of land in sectors whose land share the data give."""
        return self.wage_bill / (1 - self.land_share)

    @property
    def input_mix(self) -> Array:
        """mu[i, j] = G[i, j] / (1 - gamma[j]); zero for a sector without inputs."""
        total = self.input_share.sum(0)
        return np.divide(self.input_share, total, out=np.zeros_like(self.input_share), where=total > 0)


def build_accounts(
    data: xr.Dataset,
    *,
    housing_share: float | Sequence[float] = 0.2,
    minimum_consumption_share: float | None = 0.001,
) -> Accounts:
    """Accounts that the data imply.

    **Arguments:**

    - `housing_share`: consumption share of the land-using sector, a number or one by occupation.
    - `minimum_consumption_share`: a sector with a smaller implied consumption share is raised to it by
      lowering its value-added share at an unchanged input mix; `None` refuses such data instead.

    **Raises:** `DataError` naming every city and sector for which there are no such accounts.
    """
    inputs, source = _Inputs.of(data), source_of(data)
    aggregate_share = _aggregate_housing_share(inputs, housing_share, source)
    output, consumption, mended = _national(inputs, aggregate_share, minimum_consumption_share, source)
    national = inputs.value_added.sum(0)
    value_added_share = np.where(
        np.arange(output.size) == inputs.land_sector, inputs.value_added_share, national / output
    )

    income = inputs.wage + _land_dividend(inputs, output)
    if np.ndim(housing_share):
        consumption = _shares_by_occupation(consumption, np.asarray(housing_share), inputs.land_sector)
    demand = _final_demand(inputs, consumption, income)
    gross_output = _local_output(inputs, value_added_share, demand)
    local_share, land_share = _local_shares(inputs, value_added_share, gross_output)
    expenditure = demand + ((1 - local_share) * gross_output) @ inputs.input_mix.T

    problems = [
        *_share_problems(inputs, local_share, land_share),
        *_expenditure_problems(inputs, expenditure),
    ]
    if problems:
        raise DataError(source, problems)
    return Accounts(
        wage=inputs.wage,
        employment=inputs.employment,
        input_mix=inputs.input_mix,
        consumption_share=consumption,
        value_added_share=local_share,
        land_share=land_share,
        gross_output=gross_output,
        expenditure=expenditure,
        income=income,
        mended=mended,
    )


def _national(inputs: _Inputs, housing_share: float, minimum: float | None, source: str):
    """National gross output, consumption shares, and the sectors mended to keep the latter positive.

    Output is wage bills over value-added shares, except in the land-using sector and the mended ones,
    where it makes final demand what is wanted: linear equations, because a sector's spending on inputs
    is its output less its wage bill. Mending one sector raises demand for others, so it repeats.
    """
    floor = 0.0 if minimum is None else minimum
    floored = np.zeros(len(inputs.sectors), bool)
    implied = _consumption_shares(inputs, _national_output(inputs, floored, housing_share, floor))
    consumption = implied
    while True:
        low = (consumption < floor - 1e-13) & ~floored
        low[inputs.land_sector] = False
        if not low.any():
            break
        if minimum is None:
            raise DataError(source, [_negative_demand(inputs, consumption, int(j)) for j in np.flatnonzero(low)])
        floored |= low
        output = _national_output(inputs, floored, housing_share, floor)
        consumption = _consumption_shares(inputs, output)
    output = _national_output(inputs, floored, housing_share, floor)
    if (bad := output <= 0).any():
        names = ", ".join(inputs.sectors[j] for j in np.flatnonzero(bad))
        raise DataError(source, [f"no positive national output of {names} agrees with housing_share={housing_share}"])
    national = inputs.value_added.sum(0)
    mended = tuple(
        MendedSector(
            inputs.sectors[j],
            float(inputs.value_added_share[j]),
            float(national[j] / output[j]),
            float(implied[j]),
        )
        for j in np.flatnonzero(floored)
    )
    return output, consumption, mended


def _negative_demand(inputs: _Inputs, consumption: Array, sector: int) -> str:
    return (
        f"sector {inputs.sectors[sector]}: other sectors buy more of it as an input than it produces (implied "
        f"consumption share {consumption[sector]:.5f}); lower its value_added_share, or let "
        "minimum_consumption_share (0.001, say) do it"
    )


def _national_output(inputs: _Inputs, floored: Array, housing_share: float, floor: float) -> Array:
    """Yn[j], solving for the output of the land-using and the floored sectors."""
    value_added, mix, land = inputs.value_added.sum(0), inputs.input_mix, inputs.land_sector
    # Spending on inputs is slope * output + intercept: a land-using sector also pays for land.
    slope = np.where(np.arange(value_added.size) == land, 1 - inputs.value_added_share, 1.0)
    slope = np.where(inputs.input_share.sum(0) > 0, slope, 0.0)
    intercept = np.where(np.arange(value_added.size) == land, 0.0, -value_added) * (slope > 0)
    share = np.where(floored, floor, 0.0)
    share[land] = housing_share
    # Final demand for a sector: output less use as an input = share * (wage bills + land income).
    final_demand = np.eye(value_added.size) - mix * slope
    final_demand[:, land] -= share * inputs.value_added_share[land]
    right = mix @ intercept + share * (value_added.sum() - value_added[land])
    solved = floored.copy()
    solved[land] = True
    matrix = np.where(solved[:, None], final_demand, np.eye(value_added.size))
    return np.linalg.solve(matrix, np.where(solved, right, value_added / inputs.value_added_share))


def _consumption_shares(inputs: _Inputs, output: Array) -> Array:
    """alpha[i] = (Yn[i] - sum_j G[i, j] Yn[j]) / total spending."""
    value_added, land = inputs.value_added.sum(0), inputs.land_sector
    spent_on_inputs = output - value_added
    spent_on_inputs[land] = (1 - inputs.value_added_share[land]) * output[land]
    spending = inputs.wage_bill.sum() + _land_income(inputs, output)
    return (output - inputs.input_mix @ spent_on_inputs) / spending


def _land_income(inputs: _Inputs, output: Array) -> float:
    land = inputs.land_sector
    elsewhere = (inputs.value_added - inputs.wage_bill).sum()
    return inputs.value_added_share[land] * output[land] - inputs.wage_bill[:, land].sum() + elsewhere


def _land_dividend(inputs: _Inputs, output: Array) -> Array:
    """chi[k] (CH eq. 1)."""
    employment = inputs.employment.sum(2)
    wage_bill = (inputs.wage * employment).sum(0)
    return wage_bill / wage_bill.sum() * _land_income(inputs, output) / employment.sum(0)


def _aggregate_housing_share(inputs: _Inputs, housing_share: float | Sequence[float], source: str) -> float:
    """Housing's share in all consumption: occupations spend in proportion to their wage bills."""
    if not np.ndim(housing_share):
        return float(housing_share)  # type: ignore[arg-type]
    occupations = inputs.wage.shape[1]
    if np.shape(housing_share) != (occupations,):
        raise DataError(source, [f"housing_share has {np.size(housing_share)} values for {occupations} occupations"])
    wage_bill = np.einsum("nk,nkj->k", inputs.wage, inputs.employment)
    return float(np.asarray(housing_share) @ wage_bill / wage_bill.sum())


def _shares_by_occupation(consumption: Array, housing_share: Array, land: int) -> Array:
    """Consumption shares (occupation, sector): housing as given, the others in proportion (CH section 7.4)."""
    shares = np.outer((1 - housing_share) / (1 - consumption[land]), consumption)
    shares[:, land] = housing_share
    return shares


def _final_demand(inputs: _Inputs, consumption: Array, income: Array) -> Array:
    """Consumers' spending by city and sector."""
    spending = income * inputs.employment.sum(2)
    return spending @ np.broadcast_to(consumption, (spending.shape[1], consumption.shape[-1]))


def _local_output(inputs: _Inputs, value_added_share: Array, final_demand: Array) -> Array:
    """Y[n, j]: value added over value-added shares in traded sectors; local demand in the others.

    In a non-traded sector without land the input share is city-specific: spending on inputs is output
    less its value added (CH section 4.4).
    """
    value_added, mix = inputs.value_added, inputs.input_mix
    output = value_added / value_added_share
    local = np.flatnonzero(~inputs.traded)
    uses_land = local == inputs.land_sector
    slope = np.where(uses_land, 1 - value_added_share[local], 1.0)
    intercept = np.where(uses_land, 0.0, -value_added[:, local])
    spent_on_inputs = np.where(inputs.traded, (1 - value_added_share) * output, 0.0)
    spent_on_inputs[:, local] = intercept
    demand = final_demand[:, local] + spent_on_inputs @ mix[local].T
    within = np.eye(local.size) - mix[np.ix_(local, local)] * slope
    output[:, local] = np.linalg.solve(within, demand.T).T
    return output


def _local_shares(inputs: _Inputs, value_added_share: Array, output: Array) -> tuple[Array, Array]:
    """gamma[n, j] and beta[n, j]: city-specific in the sectors that are not traded."""
    wage_bill, land = inputs.wage_bill, inputs.land_sector
    local = ~inputs.traded
    local[land] = False
    share = np.broadcast_to(value_added_share, output.shape).copy()
    share[:, local] = inputs.value_added[:, local] / output[:, local]
    land_share = np.broadcast_to(inputs.land_share, output.shape).copy()
    land_share[:, land] = 1 - wage_bill[:, land] / (value_added_share[land] * output[:, land])
    return share, land_share


def _share_problems(inputs: _Inputs, value_added_share: Array, land_share: Array):
    """Shares that must lie in (0, 1) and do not."""
    local = ~inputs.traded
    local[inputs.land_sector] = False
    for j in np.flatnonzero(local):
        for n in np.flatnonzero(~((value_added_share[:, j] > 0) & (value_added_share[:, j] < 1))):
            yield (
                f"sector {inputs.sectors[j]} in {inputs.cities[n]}: the wage bill is {value_added_share[n, j]:.3f} of "
                "what the city can spend there, which must lie between 0 and 1; check employment and wage"
            )
    land = inputs.land_sector
    paid = inputs.wage_bill[:, land] > 0
    for n in np.flatnonzero(~((land_share[:, land] > 0) & (land_share[:, land] < 1))):
        yield (
            f"sector {inputs.sectors[land]} in {inputs.cities[n]}: land would receive {land_share[n, land]:.3f} of "
            "value added, which must lie between 0 and 1; check employment and wage there, or housing_share"
        )
    for n in np.flatnonzero(paid & (land_share[:, land] < 1) & (1 - land_share[:, land] < SMALLEST_LABOUR_SHARE)):
        yield (
            f"sector {inputs.sectors[land]} in {inputs.cities[n]}: labour would receive {1 - land_share[n, land]:.1e} "
            "of value added, too little to be told from nothing; check employment and wage there and in other cities"
        )


def _expenditure_problems(inputs: _Inputs, expenditure: Array):
    for n, j in np.argwhere(~(expenditure > 0)):
        yield (
            f"sector {inputs.sectors[j]} in {inputs.cities[n]}: expenditure would be {expenditure[n, j]:.3g}, "
            "not positive"
        )
