"""What is said of a planner's optimum under estimated externalities, as a function of the parameters estimated."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from spatialjax.cities.economy import Economy, Labels
from spatialjax.cities.equilibrium import Equilibrium, income_state
from spatialjax.cities.externalities import checked_shift
from spatialjax.cities.market_clearing import Markets, System, clear_markets, excess, localise
from spatialjax.cities.optimal_policy import OptimalPolicy
from spatialjax.cities.policies import net_transfer
from spatialjax.cities.state import State
from spatialjax.cities.wedge import social_value_ratio, wedge
from spatialjax.numerics.implicit import LinearisedRoot
from spatialjax.numerics.packing import pack, unpack
from spatialjax.numerics.safe_math import masked_log
from spatialjax.typing import ByOccupation, CityOccupation

Parameters = Float[Array, " parameter"]
Family = Callable[[Parameters], Any]
Outcomes = dict[str, Array]

DOLLARS = "US dollars a year"


class Quantity(NamedTuple):
    """How an outcome is labelled."""

    dimensions: tuple[str, ...]
    units: str
    description: str


QUANTITIES = {
    "gain": Quantity(("occupation",), "1", "gain in welfare of the optimum over the equilibrium"),
    "base_transfer": Quantity(("occupation",), DOLLARS, "part of the net transfer that is alike in all cities"),
    "mean_transfer": Quantity(("occupation",), DOLLARS, "mean net transfer over the optimum's workers"),
    "social_value_ratio": Quantity(("occupation",), "1", "social over private value of labour in equilibrium"),
    "city_size": Quantity(("city",), "workers", "employment at the optimum"),
    "size_change": Quantity(("city",), "log points", "log employment at the optimum less that in equilibrium"),
    "employment": Quantity(("city", "occupation"), "workers", "employment at the optimum"),
    "transfer": Quantity(("city", "occupation"), DOLLARS, "net transfer per worker at the optimum"),
    "wedge": Quantity(("city", "occupation"), DOLLARS, "social less private value of a worker at the optimum"),
}
"""Outcomes that uncertainty is carried to, by name."""


class ModuleFamily(eqx.Module):
    """Externalities of one form: from the floating-point numbers of a module, in the order of its leaves, to it."""

    template: Any

    def __call__(self, parameters: Parameters) -> Any:
        """The module with these numbers in the place of the template's."""
        floats, fixed = eqx.partition(self.template, eqx.is_inexact_array)
        return eqx.combine(ravel_pytree(floats)[1](parameters), fixed)

    def parameters(self) -> Parameters:
        """The template's own numbers."""
        return ravel_pytree(eqx.filter(self.template, eqx.is_inexact_array))[0]

    def names(self, labels: Labels) -> tuple[str, ...]:
        """A name for each number: its leaf and, where they are clear, its occupation and sector."""
        leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(self.template, eqx.is_inexact_array))
        named = [(jax.tree_util.keystr(path, simple=True, separator="."), leaf.shape) for path, leaf in leaves]
        return tuple(name for leaf, shape in named for name in _element_names(leaf, shape, labels))


def _element_names(leaf: str, shape: tuple[int, ...], labels: Labels) -> list[str]:
    """Names of a leaf's elements in the order in which it is raveled."""
    occupations, sectors = list(labels.occupation), list(labels.sector)
    known: dict[tuple[int, ...], list[list[str]]] = {(len(sectors),): [sectors], (len(occupations),): [occupations]}
    known[len(occupations), len(sectors)] = [occupations, sectors]
    ambiguous = len(shape) == 1 and len(occupations) == len(sectors)
    numbered = [[str(i) for i in range(size)] for size in shape]
    names = [""]
    for axis in numbered if ambiguous else known.get(shape, numbered):
        names = [f"{name}, {label}" if name else label for name in names for label in axis]
    return [f"{leaf}[{name}]" if name else leaf for name in names]


def with_spillover(economy: Economy, spillover: Any, employment: CityOccupation) -> Economy:
    """The economy that the same data are an equilibrium of under other externalities (CH Lemma 1).

    log lambda_hat = log lambda - shift(L): only the exogenous part of productivity changes, by the difference of the
    two shifts at the data's employment (city, occupation). Differentiable in the leaves of `spillover`.
    """
    full = economy.fundamental_productivity.shape
    shift = checked_shift(economy.spillover, employment, full) - checked_shift(spillover, employment, full)
    employed = economy.fundamental_productivity > 0
    factor = jnp.exp(jnp.where(employed, shift, 0.0))
    fundamental = jnp.where(employed, economy.fundamental_productivity * factor, 0.0)
    return eqx.tree_at(lambda e: (e.spillover, e.fundamental_productivity), economy, (spillover, fundamental))


@eqx.filter_jit
def planner_outcomes(
    economy: Economy, policy: OptimalPolicy, allocation: Equilibrium, equilibrium: Equilibrium
) -> Outcomes:
    """The `QUANTITIES` at an optimum of an economy of which `equilibrium` is the equilibrium."""
    return _outcomes(economy, policy, allocation, allocation.welfare, equilibrium)


@eqx.filter_jit
def outcomes_and_derivatives(
    parameters: Parameters,
    family: Family,
    economy: Economy,
    policy: OptimalPolicy,
    equilibrium: Equilibrium,
    state: State,
) -> tuple[Outcomes, Outcomes]:
    """The `QUANTITIES` at the optimum that is at `state`, and their derivatives in each parameter.

    By the implicit function theorem, through inversion at other parameters and the optimum's response: one linear
    system a parameter. Derivatives have the parameter as first axis.
    """

    def outcomes(packed, parameters):
        """Outcomes, and excess demand, which is zero at an optimum."""
        here = with_spillover(economy, family(parameters), equilibrium.employment)
        system, at = System.of(here, policy), unpack(packed, state)
        markets = clear_markets(at, system)
        welfare = here.preferences.welfare(markets.attraction, here.location_elasticity)
        return _outcomes(here, policy, markets, welfare, equilibrium), pack(excess(at, system))

    packed = pack(state)
    here = with_spillover(economy, family(parameters), equilibrium.employment)
    linearised = LinearisedRoot(excess, localise, state, System.of(here, policy))

    def derivative(unit: Parameters) -> Outcomes:
        forcing = jax.jvp(lambda p: outcomes(packed, p)[1], (parameters,), (unit,))[1]
        return jax.jvp(outcomes, (packed, parameters), (linearised.tangent(forcing), unit))[1][0]

    units = jnp.eye(parameters.size, dtype=parameters.dtype)
    return outcomes(packed, parameters)[0], jax.lax.map(derivative, units)


def _outcomes(
    economy: Economy,
    policy: OptimalPolicy,
    allocation: Equilibrium | Markets,
    welfare: ByOccupation,
    equilibrium: Equilibrium,
) -> Outcomes:
    transfer, size = net_transfer(allocation), allocation.employment.sum(1)
    state = income_state(economy, allocation)  # type: ignore[arg-type]
    return {
        "gain": policy.reference.gain(welfare),
        "base_transfer": policy.schedule(state, economy).base_transfer,
        "mean_transfer": (transfer * allocation.employment).sum(0) / allocation.employment.sum(0),
        "social_value_ratio": social_value_ratio(wedge(economy, equilibrium), equilibrium),
        "city_size": size,
        "size_change": masked_log(size) - masked_log(equilibrium.employment.sum(1)),
        "employment": allocation.employment,
        "transfer": transfer,
        "wedge": wedge(economy, allocation),  # type: ignore[arg-type]
    }
