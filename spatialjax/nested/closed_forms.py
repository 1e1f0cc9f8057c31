"""Models whose results are known in closed form, as economies of the library: numbers that it must give to rounding.

Every case is small and made here, and asks no data. The largest difference among places is the one that is shown.
"""

from collections.abc import Iterator
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium, solve
from spatialjax.cities.flows import expenditure_share
from spatialjax.cities.income import LaissezFaire, LocalLandRents, TradeDeficits
from spatialjax.cities.location import FixedEmployment, FreeMobility, MobilityWithinGroups
from spatialjax.cities.spillovers import OccupationAmenitySpillover, OccupationSpillover
from spatialjax.cities.stability import find_equilibria, stability
from spatialjax.nested.exact_hat import exact_hat
from spatialjax.nested.fundamentals import economy_from_fundamentals
from spatialjax.nested.row import ValidationRow
from spatialjax.nested.trade_flows import economy_from_flows, observed_deficits, read_flows

EXACT = 1e-8
"""What solves to twelve digits leave of a closed form."""
EIGENVALUE = 1e-6
"""What implicit derivatives at solves to nine digits leave of an eigenvalue."""
PRECISE = 1e-12
ACR = "Arkolakis, Costinot and Rodriguez-Clare (2012)"
EATON_KORTUM = "Eaton and Kortum (2002)"
ALLEN_ARKOLAKIS = "Allen and Arkolakis (2014)"
DEKLE_EATON_KORTUM = "Dekle, Eaton and Kortum (2008)"


def rows() -> list[ValidationRow]:
    """All of them."""
    return [row for case in CASES for row in case()]


Inputs = Literal["none", "alike", "own"]
"""Of sectors: no input links, links alike in all countries, or of each its own, as then are consumption shares."""
GAINS_CASES: tuple[tuple[str, int, Inputs], ...] = (
    ("one sector", 1, "none"),
    ("three sectors", 3, "none"),
    ("three sectors with input links", 3, "alike"),
    ("three sectors with input links and consumption of each country's own", 3, "own"),
)


def gains_from_trade() -> Iterator[ValidationRow]:
    """Real income over autarky is pi_nn^(-1/theta), a Leontief-weighted product of these where there are inputs.

    ln C - ln C_autarky = -sum_jk alpha_j a_jk ln pi_nn,k / theta_k, with a = (1 - G)^-1 and G[j, k] the share of input
    k in the cost of sector j (eqs. 1, 28 and 31 of the paper); alpha and G may be a country's own.
    """
    for name, sectors, inputs in GAINS_CASES:
        economy = _trading_countries(sectors, inputs)
        autarky = eqx.tree_at(lambda e: e.log_iceberg_cost, economy, _alone(economy))
        open_, closed = _solved(economy), _solved(autarky)
        known = _gains_by_own_shares(economy, open_)
        yield _worst(ACR, f"gains from trade, {name}", known, open_.consumption[:, 0] / closed.consumption[:, 0])


def _gains_by_own_shares(economy: Economy, equilibrium: Equilibrium) -> np.ndarray:
    own = np.einsum("jnn->nj", np.asarray(expenditure_share(economy, equilibrium)))
    bought = 1 - np.asarray(economy.value_added_share)
    mix = np.broadcast_to(economy.input_links.mix, (*own.shape, own.shape[1]))  # type: ignore[attr-defined]
    basket = np.asarray(economy.consumption_share)
    # Countries' own baskets have an axis of occupations, of which there is one.
    basket = basket[:, 0] if basket.ndim == 3 else np.broadcast_to(basket, own.shape)
    saved = np.log(own) / np.asarray(economy.trade_elasticity)
    links = np.swapaxes(mix * bought[:, None, :], 1, 2)
    leontief = np.linalg.inv(np.eye(own.shape[1]) - links)
    return np.exp(-np.einsum("nj,njk,nk->n", basket, leontief, saved))


def frictionless_wages() -> Iterator[ValidationRow]:
    """Without trade costs wages are proportional to (T/L)^(1/(1+theta)), T = lambda^theta."""
    theta, level, people = 4.0, np.array([1.0, 1.5, 0.7, 2.0]), np.array([100.0, 300.0, 50.0, 20.0])
    data = _places(level, np.ones((4, 4))).assign(population=(("city", "occupation"), people[:, None]))
    found = _solved(economy_from_fundamentals(data, trade_elasticity=theta, mobility="fixed"))
    known = (level**theta / people) ** (1 / (1 + theta))
    yield _worst(EATON_KORTUM, "wages without trade costs", _relative(known), _relative(found.wage[:, 0]))


def frictionless_cities() -> Iterator[ValidationRow]:
    """One occupation, one sector, no land, no trade costs: L is proportional to (A lambda^(theta/(1+theta)))^e.

    e = nu (1 + theta) / (1 + theta + nu), from L proportional to (A w)^nu and the wages above.
    """
    theta, nu, level, amenity = 4.0, 2.5, np.array([1.0, 1.5, 0.7, 2.0]), np.array([1.0, 0.8, 1.3, 1.1])
    data = _places(level, np.ones((4, 4)), amenity)
    found = _solved(economy_from_fundamentals(data, trade_elasticity=theta, location_elasticity=nu))
    known = (amenity * level ** (theta / (1 + theta))) ** (nu * (1 + theta) / (1 + theta + nu))
    yield _worst("Roback (1982) with tastes", "city sizes", _relative(known), _relative(found.employment[:, 0]))


def split_in_two() -> Iterator[ValidationRow]:
    """Two occupations or sectors without a difference are one: CES of two equal halves is 2^(1/(epsilon-1)) of one."""
    one = _cities(5)
    epsilon = 3.0
    two = one.drop_vars("population").drop_dims("occupation", errors="ignore")
    two = two.assign_coords(occupation=["a", "b"]).assign(
        population=("occupation", [PEOPLE / 2] * 2),
        productivity=("city", one["productivity"].values * 0.5 ** (1 / (epsilon - 1))),
    )
    size = _solved(economy_from_fundamentals(one)).employment.sum(1)
    halves = _solved(economy_from_fundamentals(two, occupation_substitution=epsilon))
    yield _worst("One occupation", "city sizes as with two alike", size, halves.employment.sum(1), PEOPLE * EXACT)
    twins = _solved(economy_from_fundamentals(one.drop_vars("sector").assign_coords(sector=["a", "b"])))
    yield _worst("One sector", "city sizes as with two alike", size, twins.employment.sum(1), PEOPLE * EXACT)


def local_rents() -> Iterator[ValidationRow]:
    """Housing consumed with share 1 - a, rents received locally: r H = (1 - a)/a w L (Helpman 1998)."""
    share = 0.7
    economy = economy_from_fundamentals(_with_housing(_cities(5), share), mobility="perfect")
    found = solve(economy, income=LocalLandRents(), tolerance=PRECISE)
    known = (1 - share) / share * found.wage[:, 0] * found.employment[:, 0]
    yield _worst("Helpman (1998)", "land rents over the mean", known / known.mean(), found.land_income / known.mean())
    utility = np.asarray(found.consumption[:, 0])
    yield _worst("Helpman (1998)", "real income, the same everywhere", np.full(5, 1.0), utility / utility.mean())


def tastes_that_vanish() -> Iterator[ValidationRow]:
    """As the location elasticity rises, free mobility becomes perfect mobility, at the rate of one over it."""
    economy = economy_from_fundamentals(_with_housing(_cities(5), 0.7), mobility="perfect")
    perfect = solve(economy, income=LocalLandRents(), tolerance=PRECISE)
    distances = []
    for elasticity in (1e4, 1e5):
        changed = eqx.tree_at(lambda e: e.location_elasticity, economy, jnp.asarray(elasticity))
        free = solve(changed, income=LocalLandRents(), mobility=FreeMobility(), initial=perfect)
        distances.append(float(jnp.abs(jnp.log(free.employment / perfect.employment)).max()))
    model, what = "Perfect mobility", "log city sizes under tastes of elasticity 1e5, less those under perfect mobility"
    yield ValidationRow(model, what, 0.0, distances[1], 1e-3, "limit")
    what, ratio = "that distance at elasticity 1e4 over that at 1e5", distances[0] / distances[1]
    yield ValidationRow(model, what, 10.0, ratio, 0.01, "limit")


def groups_of_cities() -> Iterator[ValidationRow]:
    """Mobility within one group is free mobility; with each city its own group nobody moves."""
    economy = economy_from_fundamentals(_cities(5))
    free = _solved(economy)
    one = MobilityWithinGroups((0,) * 5, economy.population[None])
    grouped = solve(economy, mobility=one, tolerance=PRECISE)
    model = "Mobility within groups"
    yield _worst(model, "city sizes, one group", free.employment[:, 0], grouped.employment[:, 0], PEOPLE * EXACT)
    people = jnp.linspace(50.0, 400.0, 5)[:, None]
    fixed = solve(economy, mobility=FixedEmployment(jnp.log(people)), tolerance=PRECISE)
    each = solve(economy, mobility=MobilityWithinGroups(tuple(range(5)), people), tolerance=PRECISE)
    yield _worst(model, "wages, each city a group", fixed.wage[:, 0], each.wage[:, 0])


SPILLOVER_CASES = (
    ("the condition holds", 0.1, -0.3, 1.8),
    ("it fails, trade costs are low", 0.1, 0.0, 1.15),
    ("it fails, trade costs are high", 0.1, 0.0, 1.6),
    ("gamma1 is negative, trade costs are low", 0.3, 0.0, 1.15),
)
"""Of Allen and Arkolakis: alpha, beta, and the iceberg cost between any two places."""
SUBSTITUTION = 5.0
NO_LIMIT = "a symmetric economy, linearised by hand"


def spillovers_and_uniqueness() -> Iterator[ValidationRow]:
    """Productivity L^alpha, amenity L^beta, perfect mobility: stability of places alike, and how many equilibria.

    With z the own expenditure share less that of another place, between 0 and 1, utility moves with a place's log
    employment by m = (z gamma2 - gamma1) / (1 + (sigma - 1)(1 + z)), gamma1 = 1 - alpha (sigma - 1) - beta sigma and
    gamma2 = 1 + alpha sigma + (sigma - 1) beta. Theorem 2 of the paper: where gamma1 is not 0, there is an equilibrium
    with people everywhere; it is the only one if gamma1 > 0 and |gamma2 / gamma1| <= 1. Then m is negative whatever
    trade costs, and the symmetric equilibrium stable. Where gamma1 < 0 and gamma2 >= gamma1, m is positive whatever
    trade costs. The theorem is about trade costs alike both ways, and places that differ: here five of them are solved
    from several starts.
    """
    for name, alpha, beta, cost in SPILLOVER_CASES:
        for places in (2, 4):
            economy = symmetric_places(places, alpha, beta, cost)
            slope = utility_slope(places, alpha, beta, cost)
            pace = economy.mobility.pace  # type: ignore[attr-defined]
            yield _leading(economy, f"{places} places, {name}", 1 + pace * slope)
        elasticity = float(economy.location_elasticity)
        tastes = symmetric_places(4, alpha, beta, cost, mobility="free")
        yield _leading(tastes, f"4 places, tastes of elasticity {elasticity:g}, {name}", elasticity * slope)
        economy, known = symmetric_places(2, alpha, beta, cost), _number_of_equilibria(alpha, beta, cost)
        yield _found(economy, f"2 places, {name}", known, NO_LIMIT)
    name, alpha, beta, _ = SPILLOVER_CASES[0]
    yield _found(places_that_differ(alpha, beta), f"5 places that differ, {name}", 1, "Theorem 2 of the paper")


def _found(economy: Economy, name: str, known: int, source: str) -> ValidationRow:
    found = find_equilibria(economy, key=jax.random.key(0), starts=8, spread=2.0, same=1e-3)
    quantity = f"equilibria with people everywhere found from 8 starts, {name}"
    return ValidationRow(ALLEN_ARKOLAKIS, quantity, known, len(found.equilibria), 0, source)


def _leading(economy: Economy, name: str, known: float) -> ValidationRow:
    leading = stability(economy, _solved(economy), count=1).eigenvalues[0].real
    return ValidationRow(ALLEN_ARKOLAKIS, f"leading eigenvalue, {name}", known, float(leading), EIGENVALUE, NO_LIMIT)


def _number_of_equilibria(alpha: float, beta: float, cost: float) -> int:
    """With people in both of two places alike: one, or also one with each of them the larger.

    Utility in a place that empties tends to infinity beside the other's if gamma1 > 0, to zero if it is negative. If
    places alike are unstable, people who gather in one must stop short of all of them in the first case only.
    """
    return 3 if condition(alpha, beta)[0] > 0 and utility_slope(2, alpha, beta, cost) > 0 else 1


def condition(alpha: float, beta: float, substitution: float = SUBSTITUTION) -> tuple[float, float]:
    """gamma1 and gamma2 of Allen and Arkolakis (2014): one equilibrium if gamma1 > 0 and |gamma2 / gamma1| <= 1.

    gamma2 <= gamma1 is alpha + beta <= 0, and gamma1 + gamma2 >= 0 is alpha - beta >= -2.
    """
    return (
        1 - alpha * (substitution - 1) - beta * substitution,
        1 + alpha * substitution + (substitution - 1) * beta,
    )


def utility_slope(places: int, alpha: float, beta: float, cost: float, substitution: float = SUBSTITUTION) -> float:
    """Slope d ln utility / d ln employment of places alike, between moves that add up to zero."""
    theta = substitution - 1
    own_less_other = (1 - cost**-theta) / (1 + (places - 1) * cost**-theta)
    gamma1, gamma2 = condition(alpha, beta, substitution)
    return (own_less_other * gamma2 - gamma1) / (1 + theta * (1 + own_less_other))


def symmetric_places(
    places: int, alpha: float, beta: float, cost: float, mobility: Literal["free", "perfect"] = "perfect"
) -> Economy:
    """Places alike, with spillovers in productivity and amenities."""
    data = _places(np.ones(places), np.where(np.eye(places, dtype=bool), 1.0, cost))
    return _with_spillovers(data, alpha, beta, mobility)


def places_that_differ(alpha: float, beta: float) -> Economy:
    """Five places that differ, trade costs alike both ways, with the same spillovers and perfect mobility."""
    data = _cities(5)
    cost = data["iceberg_cost"].values
    return _with_spillovers(data.assign(iceberg_cost=(("city", "origin"), np.maximum(cost, cost.T))), alpha, beta)


def _with_spillovers(
    data: xr.Dataset, alpha: float, beta: float, mobility: Literal["free", "perfect"] = "perfect"
) -> Economy:
    return economy_from_fundamentals(
        data,
        trade_elasticity=SUBSTITUTION - 1,
        spillover=OccupationSpillover((0.0,), (alpha,)),
        amenity_spillover=OccupationAmenitySpillover([[beta]]),
        mobility=mobility,
    )


def exact_hat_algebra() -> Iterator[ValidationRow]:
    """Changes from observed flows are those of the equations in changes, iterated apart from the library.

    Three counterfactuals: tariffs halved; deficits removed; trade costs changed between all countries at once.
    """
    data = observed_flows()
    flows, economy = read_flows(data), economy_from_flows(data)
    deficit, tariff = observed_deficits(data), data["tariff"].values
    before = solve(economy, income=TradeDeficits(jnp.asarray(deficit)), tolerance=PRECISE)
    eased = np.where(np.eye(len(deficit), dtype=bool), 1.0, np.random.default_rng(3).uniform(0.7, 1.2, tariff.shape))
    for name, rates, held, change in (
        ("tariffs halved", tariff / 2, deficit, np.ones_like(tariff)),
        ("deficits removed", tariff, np.zeros_like(deficit), np.ones_like(tariff)),
        ("trade costs changed", tariff, deficit, eased),
    ):
        known = exact_hat(flows, tariff=rates, deficit=held, cost_change=change)
        costs = jnp.asarray(economy.log_iceberg_cost) + jnp.log(change)
        changed = eqx.tree_at(lambda e: (e.tariff, e.log_iceberg_cost), economy, (jnp.asarray(rates), costs))
        after = solve(changed, income=TradeDeficits(jnp.asarray(held)), initial=before, tolerance=PRECISE)
        for quantity, one, other in (
            ("real income", known.real_income, after.consumption[:, 0] / before.consumption[:, 0]),
            ("prices", known.price, after.price / before.price),
        ):
            what = f"{quantity}, after over before, exact hat: {name}"
            yield _worst(DEKLE_EATON_KORTUM, what, one, other, source="iteration of the equations in changes")


def observed_flows() -> xr.Dataset:
    """Four countries and three sectors with deficits, tariffs, and inputs of each country's own, for flows' readers."""
    rng = np.random.default_rng(2)
    countries, sectors = [f"country {n}" for n in range(4)], [f"sector {j}" for j in range(3)]
    own = np.eye(4, dtype=bool)
    directions = ("sector", "city", "origin")
    return xr.Dataset(
        {
            "trade_flow": (directions, np.where(own, 100.0, 20.0) * rng.uniform(0.5, 1.5, (3, 4, 4))),
            "tariff": (directions, np.where(own, 0.0, rng.uniform(0.02, 0.4, (3, 4, 4)))),
            "trade_elasticity": ("sector", [3.0, 5.0, 8.0]),
            "value_added_share": (("city", "sector"), rng.uniform(0.4, 0.8, (4, 3))),
            "input_mix": (("city", "sector", "input"), rng.dirichlet(np.full(3, 5.0), (4, 3))),
        },
        {"city": countries, "origin": countries, "sector": sectors, "input": sectors},
    )


CASES = (
    gains_from_trade,
    frictionless_wages,
    frictionless_cities,
    split_in_two,
    local_rents,
    tastes_that_vanish,
    groups_of_cities,
    spillovers_and_uniqueness,
    exact_hat_algebra,
)
PEOPLE = 1000.0


def _places(level: np.ndarray, cost: np.ndarray, amenity: np.ndarray | float = 1.0) -> xr.Dataset:
    """One occupation and one sector, with these productivities, iceberg costs and amenities."""
    places = len(level)
    return xr.Dataset(
        {
            "productivity": ("city", level),
            "amenity": ("city", np.broadcast_to(amenity, places)),
            "population": ("occupation", [PEOPLE]),
            "iceberg_cost": (("city", "origin"), cost),
        },
        {"city": [f"place {n}" for n in range(places)], "occupation": ["workers"], "sector": ["goods"]},
    )


def _cities(places: int) -> xr.Dataset:
    """Places that differ, some far apart."""
    rng = np.random.default_rng(0)
    cost = np.where(np.eye(places, dtype=bool), 1.0, rng.uniform(1.1, 2.0, (places, places)))
    return _places(np.exp(rng.normal(0, 0.3, places)), cost, np.exp(rng.normal(0, 0.2, places)))


def _with_housing(data: xr.Dataset, goods_share: float) -> xr.Dataset:
    """The same with amenities alike, and housing that is land alone."""
    level = np.stack([data["productivity"].values, np.zeros(data.sizes["city"])], axis=1)
    return (
        data.drop_vars(["sector", "productivity", "amenity"])
        .assign_coords(sector=["goods", "housing"])
        .assign(
            productivity=(("city", "sector"), level),
            consumption_share=("sector", [goods_share, 1 - goods_share]),
            land_share=("sector", [0.0, 1.0]),
            traded=("sector", [True, False]),
        )
    )


def _trading_countries(sectors: int, inputs: Inputs) -> Economy:
    """Four countries whose workers stay, with trade costs both ways unlike."""
    rng = np.random.default_rng(1)
    names = [f"sector {j}" for j in range(sectors)]
    countries = 4
    own = np.eye(countries, dtype=bool)
    data = xr.Dataset(
        {
            "productivity": (("city", "sector"), np.exp(rng.normal(0, 0.4, (countries, sectors)))),
            "population": (("city", "occupation"), rng.uniform(50, 500, (countries, 1))),
            "iceberg_cost": (
                ("sector", "city", "origin"),
                np.where(own, 1.0, rng.uniform(1.2, 2.5, (sectors, countries, countries))),
            ),
            "consumption_share": ("sector", rng.dirichlet(np.ones(sectors))),
        },
        {"city": [f"country {n}" for n in range(countries)], "occupation": ["workers"], "sector": names},
    )
    if inputs == "alike":
        data["value_added_share"] = "sector", rng.uniform(0.3, 0.7, sectors)
        data["input_share"] = ("input", "sector"), rng.dirichlet(np.ones(sectors), sectors).T
    if inputs == "own":
        mix = rng.dirichlet(np.ones(sectors), (countries, sectors))
        data["value_added_share"] = ("city", "sector"), rng.uniform(0.3, 0.7, (countries, sectors))
        data["input_share"] = ("city", "sector", "input"), mix
        data["consumption_share"] = ("city", "sector"), rng.dirichlet(np.ones(sectors), countries)
    elasticity = rng.uniform(3, 8, sectors)
    return economy_from_fundamentals(data, trade_elasticity=elasticity, mobility="fixed")


def _alone(economy: Economy) -> jnp.ndarray:
    """The trade costs of an economy whose places do not trade."""
    return jnp.where(jnp.eye(len(economy.land), dtype=bool), jnp.asarray(economy.log_iceberg_cost), jnp.inf)


def _solved(economy: Economy) -> Equilibrium:
    return solve(economy, income=LaissezFaire(), tolerance=PRECISE)


def _relative(values) -> np.ndarray:
    return np.asarray(values) / np.asarray(values)[0]


def _worst(
    model: str, quantity: str, known: Any, computed: Any, tolerance: float = EXACT, source: str = "closed form"
) -> ValidationRow:
    """The place where the two differ most."""
    wanted, found = np.asarray(known, float), np.asarray(computed, float)
    at = np.unravel_index(np.abs(found - wanted).argmax(), wanted.shape)
    what = f"{quantity} (the worst of {wanted.size})"
    return ValidationRow(model, what, float(wanted[at]), float(found[at]), tolerance, source)
