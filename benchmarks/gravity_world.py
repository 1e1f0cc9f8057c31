"""One-sector structural gravity as an economy of the library: countries with fixed output, one good from each.

What gravity calls t[i, j]^(1 - sigma), the ease of shipping from i to j, is kappa^(-theta) with theta = sigma - 1. One
traded sector without inputs or land, one occupation, and workers who stay where they are (`FixedEmployment`): with as
many workers as dollars of output in the baseline, a country's wage is the change of its factory-gate price. The
technology A^theta that makes baseline trade add up to output and expenditure is the potential of a matrix scaling. What
a country spends beyond its output (a trade deficit) is an income rule.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

import spatialjax
from spatialjax import Economy, Equilibrium, IncomeRule, Labels, NationalInputMix, NoSpillover, State
from spatialjax.numerics.matrix_scaling import Scaling, scale_matrix

TOLERANCE = 1e-12

ByCountry = Float[Array, " country"]


class World(NamedTuple):
    """Output and expenditure by country, the log ease of shipping (exporter, importer), and what changes it."""

    name: str
    countries: tuple[str, ...]
    reference: str
    sigma: float
    output: np.ndarray
    expenditure: np.ndarray
    log_ease: np.ndarray
    change: np.ndarray

    @property
    def theta(self) -> float:
        """The trade elasticity."""
        return self.sigma - 1


class Counterfactual(NamedTuple):
    """Changes by country: factory-gate prices and price indices, relative to the reference importer's index."""

    price: np.ndarray
    price_index: np.ndarray


class ProportionalImbalance(IncomeRule):
    """Expenditure is a fixed multiple of output, up to one factor that makes the world spend what it earns."""

    ratio: Float[Array, "country occupation"]

    def __call__(self, state, economy):
        """Income (country, occupation)."""
        spending = self.ratio * state.wage
        earned = (state.wage * state.employment).sum()
        return spending * earned / (spending * state.employment).sum()


class FixedTransfers(IncomeRule):
    """Every country receives an amount that does not change, at the numeraire: the world's output."""

    amount: Float[Array, "country occupation"]

    def __call__(self, state, economy):
        """Income (country, occupation)."""
        return state.wage + self.amount / state.employment


def kernel(world: World, changed: bool) -> Float[Array, "importer exporter"]:
    """Ease of shipping (importer, exporter), each row divided by its largest element."""
    log_ease = (world.log_ease + (world.change if changed else 0.0)).T
    return jnp.asarray(np.exp(log_ease - log_ease.max(1, keepdims=True)))


scale = jax.jit(scale_matrix)


def calibrate(world: World) -> Scaling:
    """Potentials log A^theta with which baseline trade adds up to output and expenditure, wages being one."""
    return scale(kernel(world, False), jnp.asarray(world.expenditure), jnp.asarray(world.output))


def economy_of(world: World, log_technology: ByCountry, changed: bool) -> Economy:
    """The economy: wages are one in the baseline and the wage bill is the world's output."""
    countries, theta = len(world.countries), world.theta
    log_output = jnp.log(jnp.asarray(world.output))
    log_cost = -(world.log_ease + (world.change if changed else 0.0)).T / theta
    total = jnp.asarray(world.output.sum())
    price = -(np.log(np.exp(-theta * log_cost) @ np.exp(np.asarray(log_technology)))) / theta
    return Economy(
        spillover=NoSpillover(),
        fundamental_productivity=jnp.exp(log_technology / theta)[:, None, None],
        amenity=jnp.ones((countries, 1)),
        trade_elasticity=jnp.asarray(theta),
        location_elasticity=jnp.asarray(2.0),
        occupation_substitution=jnp.asarray(2.0),
        consumption_share=jnp.ones(1),
        value_added_share=jnp.ones((countries, 1)),
        land_share=jnp.zeros((countries, 1)),
        input_links=NationalInputMix(jnp.ones((1, 1))),
        log_iceberg_cost=jnp.asarray(log_cost)[None],
        land=jnp.zeros(countries),
        population=total[None],
        wage_bill=total,
        reference=State(
            log_wage=jnp.zeros((countries, 1)),
            log_employment=log_output[:, None],
            log_rent=jnp.zeros(countries),
            log_price=jnp.asarray(price)[:, None],
            log_expenditure=jnp.log(jnp.asarray(world.expenditure))[:, None],
        ),
        traded=(0,),
        labels=Labels(city=world.countries, occupation=("workers",), sector=("goods",)),
    )


def held(world: World) -> Counterfactual:
    """The counterfactual in which output and expenditure are held at the baseline: two matrix scalings."""
    before, after = (
        scale(kernel(world, changed), jnp.asarray(world.expenditure), jnp.asarray(world.output))
        for changed in (False, True)
    )
    index = np.asarray(_log_index(world, after.potential, True) - _log_index(world, before.potential, False))
    price = -np.asarray(after.potential - before.potential) / world.theta
    reference = index[world.countries.index(world.reference)]
    return Counterfactual(np.exp(price - reference), np.exp(index - reference))


def _log_index(world: World, potential: ByCountry, changed: bool) -> ByCountry:
    log_ease = (world.log_ease + (world.change if changed else 0.0)).T
    return -jax.scipy.special.logsumexp(jnp.asarray(log_ease) + potential, axis=1) / world.theta


def full(world: World, income: IncomeRule | None = None) -> tuple[Counterfactual, Equilibrium]:
    """The equilibrium in which output and expenditure move with prices, by the library's solver."""
    technology = calibrate(world).potential
    economy = economy_of(world, technology, True)
    rule = proportional(world) if income is None else income
    found = spatialjax.solve(
        economy,
        income=rule,
        mobility=spatialjax.FixedEmployment(economy.reference.log_employment),
        tolerance=TOLERANCE,
    )
    index = found.price[:, 0] / jnp.exp(economy_of(world, technology, False).reference.log_price[:, 0])
    reference = float(index[world.countries.index(world.reference)])
    return Counterfactual(np.asarray(found.wage[:, 0]) / reference, np.asarray(index) / reference), found


def proportional(world: World) -> IncomeRule:
    """The rule that gives the baseline's expenditure."""
    return ProportionalImbalance(jnp.asarray(world.expenditure / world.output)[:, None])


def transfers(world: World) -> IncomeRule:
    """Trade deficits of the baseline, which do not change."""
    return FixedTransfers(jnp.asarray(world.expenditure - world.output)[:, None])


def synthetic(countries: int, seed: int = 0) -> World:
    """Countries on a plane, of very different sizes, with deficits; two of the larger ones sign an agreement."""
    generator = np.random.default_rng(seed)
    place = generator.uniform(0, 5000, (countries, 2))
    distance = np.linalg.norm(place[:, None] - place[None], axis=2) + np.diag(generator.uniform(50, 500, countries))
    foreign = 1.0 - np.eye(countries)
    agreement = np.triu(generator.uniform(size=(countries, countries)) < 0.2, 1)
    agreement = (agreement | agreement.T).astype(float)
    log_ease = 16.0 - 0.4 * np.log(distance) - 3.4 * foreign + 0.5 * agreement
    log_ease += foreign * generator.normal(0, 0.3, (countries, countries))
    output = np.exp(generator.normal(13, 1.0, countries))
    expenditure = output * generator.uniform(0.85, 1.15, countries)
    large = np.argsort(-output)[:2]
    change = np.zeros((countries, countries))
    change[large[0], large[1]] = change[large[1], large[0]] = 0.5 - 0.5 * agreement[large[0], large[1]] + 0.1
    names = tuple(f"C{n:03d}" for n in range(countries))
    expenditure *= output.sum() / expenditure.sum()
    return World("synthetic", names, names[0], 5.0, output, expenditure, log_ease, change)


EXAMPLE = {
    "lndist": -0.3898623,
    "contiguity": 0.891577,
    "common_language": 0.0326249,
    "pta": 0.4711383,
    "international": -3.412584,
}
"""Coefficients of gravity with which gegravity's example script computes trade costs."""


def gegravity_example(frame: pd.DataFrame) -> World:
    """Gegravity's example data (`sample_data_set.dlm`): Canada and Japan sign an agreement, sigma is 5."""
    log_ease = sum(coefficient * _matrix(frame, name) for name, coefficient in EXAMPLE.items())
    countries = tuple(sorted(frame["exporter"].unique()))
    output = frame.groupby("exporter")["Y"].mean().loc[list(countries)].to_numpy(float)
    expenditure = frame.groupby("importer")["E"].mean().loc[list(countries)].to_numpy(float)
    partners = [countries.index(name) for name in ("CAN", "JPN")]
    change = np.zeros((len(countries), len(countries)))
    for i, j in (partners, partners[::-1]):
        change[i, j] = EXAMPLE["pta"] * (1 - _matrix(frame, "pta")[i, j])
    expenditure = expenditure * (output.sum() / expenditure.sum())
    return World("gegravity's example", countries, "DEU", 5.0, output, expenditure, log_ease, change)


def ge_gravity_example(frame: pd.DataFrame) -> tuple[World, np.ndarray]:
    """Example data of ge_gravity (EU enlargement of 2004 on trade of 2000, theta 4), and its published welfare changes.

    Baseline trade is what was observed: its ease is each importer's share.
    """
    flow, countries = _matrix(frame, "trade"), tuple(sorted(frame["exporter"].unique()))
    output, expenditure = flow.sum(1), flow.sum(0)
    log_ease = np.log(flow / expenditure / output[:, None])
    welfare = frame.groupby("exporter")["w_eu"].first().loc[list(countries)].to_numpy(float)
    change = _matrix(frame, "eu_effect")
    return World("ge_gravity's example", countries, "DEU", 5.0, output, expenditure, log_ease, change), welfare


def _matrix(frame: pd.DataFrame, name: str) -> np.ndarray:
    table = frame.pivot(index="exporter", columns="importer", values=name)
    return table.sort_index().sort_index(axis=1).to_numpy(float)


def welfare_of(world: World, equilibrium: Equilibrium, found: Counterfactual) -> np.ndarray:
    """Change of real expenditure by country."""
    index = found.price_index * (np.asarray(equilibrium.wage[:, 0]) / found.price)
    return np.asarray(equilibrium.expenditure[:, 0]) / world.expenditure / index
