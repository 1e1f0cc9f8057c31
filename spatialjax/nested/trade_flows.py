"""An economy in which observed trade flows stand in the place of trade costs: exact-hat algebra as levels.

What a solve needs of trade costs and productivity is one combination of them, which observed shares reveal (Dekle,
Eaton and Kortum 2008). Units of goods are chosen so that unit costs and prices are one at the factor prices of the
data; the kernel of trade then is the observed shares: log kappa = -log(pi) / theta - log(1 + tau), infinite where
nothing is bought. Changes are ratios of equilibria of the one economy that results.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float

from spatialjax.cities.economy import Economy, Labels
from spatialjax.cities.input_links import CityInputMix, InputLinks, NationalInputMix
from spatialjax.cities.location import FixedEmployment, Mobility
from spatialjax.cities.spillovers import NoSpillover
from spatialjax.cities.state import State
from spatialjax.data.schema import Array, Variable, not_negative, ordered_values, place_names, positive
from spatialjax.data.structure import label_problems, not_a_dataset, raise_all, variable_problems

SHARE_TOLERANCE = 1e-6
"""How far a sum of shares may be from one, and a sum of deficits from zero as a part of spending."""

FLOW_VARIABLES = {
    "trade_flow": Variable(
        ("sector", "city", "origin"),
        "US dollars a year",
        "what sellers of an origin receive from buyers of a city, tariffs not included",
        "zero or positive",
        not_negative,
    ),
    "trade_elasticity": Variable(("sector",), "1", "theta", "positive", positive),
    "value_added_share": Variable(
        ("city", "sector"),
        "1",
        "value added over gross output",
        "above 0 and at most 1",
        lambda x: positive(x) & (x <= 1),
    ),
    "input_mix": Variable(
        ("city", "input", "sector"),
        "1",
        "share of an input in what a sector spends on inputs",
        "zero or positive",
        not_negative,
        required=False,
    ),
    "consumption_share": Variable(
        ("city", "sector"), "1", "share of a sector in consumption", "zero or positive", not_negative, required=False
    ),
    "tariff": Variable(
        ("sector", "city", "origin"),
        "1",
        "ad valorem tariff of a city on what it buys from an origin, 0.05 for five percent",
        "above -1",
        lambda x: np.isfinite(x) & (x > -1),
        required=False,
    ),
    "trade_share": Variable(
        ("sector", "city", "origin"),
        "1",
        "share of an origin in what a city spends on a sector, tariffs included",
        "zero or positive",
        not_negative,
        required=False,
    ),
    "expenditure": Variable(
        ("city", "sector"),
        "US dollars a year",
        "what a city spends on a sector, tariffs included",
        "zero or positive",
        not_negative,
        required=False,
    ),
    "deficit": Variable(("city",), "US dollars a year", "what a city spends beyond its income", required=False),
    "workers": Variable(("city",), "workers", "workers of a city", "positive", positive, required=False),
}
"""The variables of a data set of flows; `trade_share` and `expenditure` may stand in the place of `trade_flow`."""

SHORTER: dict[str, list[tuple[str, ...]]] = {
    "trade_elasticity": [()],
    "value_added_share": [("sector",)],
    "input_mix": [("input", "sector")],
    "consumption_share": [("sector",)],
}
"""Dimensions that a variable may have besides those of `FLOW_VARIABLES`: alike for all."""


class Flows(NamedTuple):
    """Data of trade flows as arrays, checked and complete; dollars a year."""

    flow: Float[Array, "sector city origin"]
    tariff: Float[Array, "sector city origin"] | None
    elasticity: Float[Array, " sector"]
    value_added_share: Float[Array, "city sector"]
    mix: Float[Array, "*city input sector"] | None
    consumption_share: Float[Array, "city sector"]
    workers: Float[Array, " city"]

    @property
    def paid(self) -> Float[Array, "sector city origin"]:
        """What buyers pay, tariffs included."""
        return self.flow if self.tariff is None else self.flow * (1 + self.tariff)

    @property
    def expenditure(self) -> Float[Array, "city sector"]:
        """What cities spend, tariffs included."""
        return self.paid.sum(2).T

    @property
    def output(self) -> Float[Array, "city sector"]:
        """What cities sell: gross output."""
        return self.flow.sum(1).T

    @property
    def value_added(self) -> Float[Array, " city"]:
        """What the workers of a city earn."""
        return (self.value_added_share * self.output).sum(1)


def economy_from_flows(
    data: xr.Dataset, *, mobility: Mobility | None = None, location_elasticity: float = 2.0
) -> Economy:
    """The economy in which cities trade as observed when factor prices are those of the data.

    One occupation, no land, no externalities. Goods are measured so that unit costs and prices are one at the data's
    wages (value added over `workers`); trade costs are what makes shares those of the data.

    The data need not be an equilibrium: where final demand is negative it is set to zero, as in Caliendo and Parro
    (2015), and [`solve`][] finds the equilibrium nearby, which serves as the base of comparisons. Data that add up are
    an equilibrium under [`TradeDeficits`][] of [`observed_deficits`][spatialjax.nested.trade_flows.observed_deficits].

    **Arguments:**

    - `data`: labelled dimensions `sector`, `city` and `origin` (the same places), `input` (the same sectors), with
        - `trade_flow` (sector, city, origin): dollars a year that sellers receive, tariffs not included, a city's
          sales to itself included; or `trade_share` (sector, city, origin) and `expenditure` (city, sector), tariffs
          included;
        - `trade_elasticity` (sector) or a number; `value_added_share` (city, sector) or (sector);
        - `input_mix` (city, input, sector) or (input, sector), summing to one over inputs; needed where value-added
          shares are below one;
        - `consumption_share` (city, sector) or (sector); by default what sectors do not buy of each good, negative
          numbers set to zero;
        - `tariff` (sector, city, origin), `workers` (city; by default as many as dollars of value added), optional.
    - `mobility`: where workers may live; by default where they are. Under another closure amenities are one.
    - `location_elasticity`: nu, which matters if workers move.

    A sector in which nothing is bought from other cities is not traded.

    **Raises:** `DataError` listing what is wrong, by variable, place and sector.
    """
    flows = read_flows(data)
    traded = _traded(flows.flow)
    unused = flows.expenditure == 0
    operates = (flows.output > 0) | unused
    wage = flows.value_added / flows.workers
    # A cell that sells nothing buys no inputs: its good only has a price.
    value_added_share = np.where(flows.output > 0, flows.value_added_share, 1.0)
    cities, sectors = unused.shape
    log_workers = jnp.log(jnp.asarray(flows.workers))[:, None]
    mix = np.eye(sectors) if flows.mix is None else flows.mix
    return Economy(
        spillover=NoSpillover(),
        fundamental_productivity=jnp.asarray(np.where(operates, wage[:, None], 0.0)[:, None, :]),
        amenity=jnp.ones((cities, 1)),
        trade_elasticity=jnp.asarray(flows.elasticity),
        location_elasticity=jnp.asarray(float(location_elasticity)),
        occupation_substitution=jnp.asarray(2.0),
        consumption_share=jnp.asarray(flows.consumption_share)[:, None, :],
        value_added_share=jnp.asarray(value_added_share),
        land_share=jnp.zeros((cities, sectors)),
        input_links=_links(mix),
        log_iceberg_cost=jnp.asarray(_log_cost(flows)),
        land=jnp.zeros(cities),
        population=jnp.asarray(flows.workers.sum())[None],
        wage_bill=jnp.asarray(flows.value_added.sum()),
        reference=State(
            log_wage=jnp.log(jnp.asarray(wage))[:, None],
            log_employment=log_workers,
            log_rent=jnp.zeros(cities),
            log_price=jnp.zeros((cities, sectors)),
            log_expenditure=jnp.asarray(np.log(np.where(unused, 1.0, flows.expenditure))),
        ),
        traded=traded,
        labels=Labels(tuple(place_names(data, "city")), ("workers",), tuple(place_names(data, "sector"))),
        mobility=FixedEmployment(log_workers) if mobility is None else mobility,
        tariff=None if flows.tariff is None else jnp.asarray(flows.tariff),
    )


def observed_deficits(data: xr.Dataset) -> Float[Array, " city"]:
    """What each city spends beyond its income, dollars a year: `deficit`, or imports less exports where that is absent.

    Imports are valued without tariffs, whose revenue is income. The numbers sum to zero.

    **Raises:** `DataError` as [`economy_from_flows`][].
    """
    flows = read_flows(data)
    if "deficit" in data:
        return ordered_values(data, "deficit", FLOW_VARIABLES["deficit"])
    return flows.flow.sum((0, 2)) - flows.flow.sum((0, 1))


def read_flows(data: xr.Dataset) -> Flows:
    """The arrays of a data set of flows.

    **Raises:** `DataError` listing everything that is wrong with it.
    """
    raise_all(data, _form_problems(data))
    flows = _flows(data)
    raise_all(data, list(_content_problems(data, flows)))
    return flows


def residual_consumption(
    expenditure: Float[Array, "city sector"], inputs: Float[Array, "city sector"]
) -> Float[Array, "city sector"]:
    """Shares of what cities buy and do not use as inputs; where that is negative it is set to zero."""
    left = np.maximum(expenditure - inputs, 0.0)
    total = left.sum(1, keepdims=True)
    return np.divide(left, total, out=np.zeros_like(left), where=total > 0)


def _variables(data: xr.Dataset) -> dict[str, Variable]:
    """The variables with the dimensions that these data give them, and with what these data need."""
    by_shares = "trade_flow" not in data and "trade_share" in data
    found = {}
    for name, variable in FLOW_VARIABLES.items():
        for shorter in SHORTER.get(name, []):
            if name in data and set(data[name].dims) == set(shorter):
                variable = replace(variable, dimensions=shorter)
        found[name] = variable
    found["trade_flow"] = replace(found["trade_flow"], required=not by_shares)
    found["expenditure"] = replace(found["expenditure"], required=by_shares)
    return found


def _form_problems(data: xr.Dataset) -> list[str]:
    """What keeps the arrays from being read."""
    if not isinstance(data, xr.Dataset):
        return not_a_dataset(data)
    problems: list[str] = []
    for name in ("sector", "city", "origin"):
        problems.extend(label_problems(data, name))
    for name, same in (("origin", "city"), ("input", "sector")):
        if name in data.coords and same in data.coords and data[name].values.tolist() != data[same].values.tolist():
            problems.append(f"dimension {name} must have the labels of {same}, in the same order")
    found, _ = variable_problems(data, _variables(data))
    problems.extend(found)
    if not problems and "input_mix" not in data and (data["value_added_share"] < 1).any():
        problems.append(
            "variable input_mix (city, input, sector) or (input, sector) is missing: sectors buy inputs, because "
            "value_added_share is below one"
        )
    return problems


def _flows(data: xr.Dataset) -> Flows:
    variables = _variables(data)
    read = lambda name: ordered_values(data, name, variables[name])  # noqa: E731
    tariff = read("tariff") if "tariff" in data else None
    if "trade_flow" in data:
        flow = read("trade_flow")
    else:
        flow = read("trade_share") * read("expenditure").T[:, :, None]
        flow = flow if tariff is None else flow / (1 + tariff)
    by_city = (data.sizes["city"], data.sizes["sector"])
    mix = read("input_mix") if "input_mix" in data else None
    known = Flows(
        flow=flow,
        tariff=tariff,
        elasticity=np.broadcast_to(read("trade_elasticity"), by_city[1:]),
        value_added_share=np.broadcast_to(read("value_added_share"), by_city),
        mix=mix,
        consumption_share=np.zeros(by_city),
        workers=np.zeros(by_city[0]),
    )
    if "consumption_share" in data:
        consumption = np.broadcast_to(read("consumption_share"), by_city)
    else:
        consumption = residual_consumption(known.expenditure, _inputs(known))
    workers = read("workers") if "workers" in data else known.value_added
    return known._replace(consumption_share=consumption, workers=workers)


def _inputs(flows: Flows) -> Float[Array, "city sector"]:
    """What the sectors of a city spend on each good, dollars a year."""
    if flows.mix is None:
        return np.zeros_like(flows.output)
    demand = _links(flows.mix).demand(jnp.asarray(flows.output), jnp.asarray(flows.value_added_share))
    return np.asarray(demand)


def _links(mix: Array) -> InputLinks:
    return (NationalInputMix if mix.ndim == 2 else CityInputMix)(jnp.asarray(mix))


def _content_problems(data: xr.Dataset, flows: Flows) -> Iterator[str]:
    """Arrays that can be read but do not fit together."""
    cities, sectors = place_names(data, "city"), place_names(data, "sector")
    idle = flows.value_added <= 0
    for n in np.flatnonzero(idle)[:1]:
        yield f"variable trade_flow: {cities[n]} sells nothing; leave it out"
    if flows.tariff is not None:
        for j, n in np.argwhere(np.einsum("jnn->jn", flows.tariff) != 0)[:1]:
            yield f"variable tariff must be 0 on a city's own goods, but is not in {sectors[j]} of {cities[n]}"
    yield from _share_problems(data, flows)
    needed = (flows.consumption_share > 0) | (_inputs(flows) > 0)
    for n, j in np.argwhere(needed & (flows.expenditure == 0))[:1]:
        yield (
            f"variable trade_flow: {cities[n]} buys {sectors[j]} from nobody, but its consumption or inputs need it; "
            "give it a flow, or set consumption_share and input_mix of that good to zero there"
        )


def _share_problems(data: xr.Dataset, flows: Flows) -> Iterator[str]:
    """Shares that do not sum to one, deficits that do not sum to zero."""
    cities, sectors = place_names(data, "city"), place_names(data, "sector")
    totals = flows.consumption_share.sum(1)
    for n in np.flatnonzero(np.abs(totals - 1) > SHARE_TOLERANCE)[:1]:
        if "consumption_share" in data:
            yield f"variable consumption_share must sum to 1 over sectors, but sums to {totals[n]:.8f} in {cities[n]}"
        else:
            yield f"nothing that {cities[n]} buys is left for consumption after inputs: give consumption_share"
    if flows.mix is not None:
        total = np.broadcast_to(flows.mix.sum(-2), flows.output.shape)
        bad = (np.abs(total - 1) > SHARE_TOLERANCE) & (flows.value_added_share < 1)
        for n, j in np.argwhere(bad)[:1]:
            yield (
                f"variable input_mix must sum to 1 over inputs where value_added_share is below one, but sums to "
                f"{total[n, j]:.8f} in {sectors[j]} of {cities[n]}"
            )
    if "trade_share" in data and "trade_flow" not in data:
        share = ordered_values(data, "trade_share", FLOW_VARIABLES["trade_share"]).sum(2)
        for j, n in np.argwhere((np.abs(share - 1) > SHARE_TOLERANCE) & (flows.expenditure.T > 0))[:1]:
            yield (
                f"variable trade_share must sum to 1 over origins, but sums to {share[j, n]:.8f} in {sectors[j]} of "
                f"{cities[n]}"
            )
    if "deficit" in data:
        left = float(data["deficit"].sum())
        if abs(left) > SHARE_TOLERANCE * flows.expenditure.sum():
            yield f"variable deficit must sum to 0 over cities, but sums to {left:g}"


def _traded(flow: Float[Array, "sector city origin"]) -> tuple[int, ...]:
    """Sectors in which some city buys from another."""
    own = np.eye(flow.shape[1], dtype=bool)
    return tuple(j for j in range(len(flow)) if (flow[j][~own] > 0).any())


def _log_cost(flows: Flows) -> Float[Array, "sector city origin"]:
    """Log iceberg costs: what makes shares those observed where all unit costs are one."""
    total = flows.expenditure.T[:, :, None]
    own = np.eye(total.shape[1], dtype=bool)
    share = np.divide(flows.paid, total, out=np.where(own, 1.0, 0.0) + 0 * flows.paid, where=total > 0)
    bought = share > 0
    log_share = np.log(np.where(bought, share, 1.0))
    log_tariff = 0.0 if flows.tariff is None else np.log1p(flows.tariff)
    return np.where(bought, -log_share / flows.elasticity[:, None, None] - log_tariff, np.inf)
