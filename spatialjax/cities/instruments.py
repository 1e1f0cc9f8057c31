"""Instruments of a planner who cannot do all: transfers that follow a few parameters (spec section 7).

An instrument says what a vector of parameters pays to whom. Its income rule is I = w + chi + T less the mean
of T over workers: every worker gives or receives the same lump sum to balance the budget.
"""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from spatialjax.cities.economy import Economy
from spatialjax.cities.equilibrium import Equilibrium
from spatialjax.cities.income import IncomeRule, IncomeState
from spatialjax.cities.policies import Transfers
from spatialjax.errors import ModelError
from spatialjax.typing import CityOccupation, Scalar

Parameters = Float[Array, " parameter"]
Limits = tuple[Parameters, Parameters]
Bounds = tuple[ArrayLike | None, ArrayLike | None] | None
"""Lower and upper bound, each a number, an array, or `None` where there is none."""


class Instrument(eqx.Module):
    """A family of transfers with a vector of parameters.

    Subclasses say where a search starts (`initial`), how far it may go (`bounds`), and what parameters pay
    (`transfer`, differentiable in the parameters and in the state).
    """

    def initial(self, economy: Economy, equilibrium: Equilibrium) -> Parameters:
        """Parameters from which a search starts."""
        raise NotImplementedError

    def bounds(self) -> Limits | None:
        """Lower and upper bounds of the parameters, or of the length one for all alike; `None` without."""
        raise NotImplementedError

    def transfer(self, parameters: Parameters, state: IncomeState, economy: Economy) -> CityOccupation:
        """T (city, occupation), dollars a year for each worker, before the budget is balanced."""
        raise NotImplementedError


class InstrumentRule(IncomeRule):
    """The income rule of an instrument at some parameters: I = w + chi + T - mean T."""

    instrument: Instrument
    parameters: Parameters

    def __call__(self, state: IncomeState, economy: Economy) -> CityOccupation:
        """Income (city, occupation), dollars a year."""
        return Transfers(self.instrument.transfer(self.parameters, state, economy))(state, economy)


class CellTransfers(Instrument):
    """Transfers with one parameter for each group of cells (city, occupation), in dollars a year.

    Subclasses say how many groups there are and to which each cell belongs; `limits` are bounds in dollars.
    """

    limits: eqx.AbstractVar[Limits | None]

    def groups(self, economy: Economy) -> int:
        """Number of groups."""
        raise NotImplementedError

    def group(self, economy: Economy) -> Int[Array, "city occupation"]:
        """The group of each cell."""
        raise NotImplementedError

    def initial(self, economy: Economy, equilibrium: Equilibrium) -> Parameters:
        """No transfers, or the bounds nearest to none."""
        return within_bounds(jnp.zeros(self.groups(economy)), self)

    def bounds(self) -> Limits | None:
        """The bounds in dollars."""
        return self.limits

    def transfer(self, parameters: Parameters, state: IncomeState | None, economy: Economy) -> CityOccupation:
        """What each group receives; the state of the economy has no part in it."""
        return parameters[self.group(economy)]


class CityOccupationTransfers(CellTransfers):
    """A transfer for each city and occupation: all that a planner who sees both can do.

    **Arguments:**

    - `bounds`: (lower, upper) in dollars a year before the budget is balanced, numbers or arrays (city, occupation).
    """

    limits: Limits | None

    def __init__(self, bounds: Bounds = None):
        self.limits = _limits(bounds)

    def groups(self, economy: Economy) -> int:
        """One for each cell."""
        return economy.amenity.size

    def group(self, economy: Economy) -> Int[Array, "city occupation"]:
        """Cells in the order of an array (city, occupation)."""
        return jnp.arange(economy.amenity.size).reshape(economy.amenity.shape)


class OccupationTransfers(CellTransfers):
    """A transfer for each occupation, alike in all cities; `bounds` in dollars a year, by occupation."""

    limits: Limits | None

    def __init__(self, bounds: Bounds = None):
        self.limits = _limits(bounds)

    def groups(self, economy: Economy) -> int:
        """One for each occupation."""
        return economy.amenity.shape[1]

    def group(self, economy: Economy) -> Int[Array, "city occupation"]:
        """The occupation."""
        return jnp.broadcast_to(jnp.arange(economy.amenity.shape[1]), economy.amenity.shape)


class CityTransfers(CellTransfers):
    """A transfer for each city, alike for all occupations; `bounds` in dollars a year, by city."""

    limits: Limits | None

    def __init__(self, bounds: Bounds = None):
        self.limits = _limits(bounds)

    def groups(self, economy: Economy) -> int:
        """One for each city."""
        return economy.amenity.shape[0]

    def group(self, economy: Economy) -> Int[Array, "city occupation"]:
        """The city."""
        return jnp.broadcast_to(jnp.arange(economy.amenity.shape[0])[:, None], economy.amenity.shape)


class SizeClassTransfers(CellTransfers):
    """A transfer for each class of cities, by occupation or alike for all.

    The class of a city is given: it does not change when the policy makes the city grow.

    **Arguments:**

    - `city_class`: the class of each city, from 0; or any other classification of cities, such as regions.
    - `by_occupation`: a parameter for each class and occupation (in the order of an array (class, occupation)).
    - `bounds`: (lower, upper) in dollars a year, numbers or arrays of the shape of the parameters.

    **Raises:** `ModelError` where classes are not whole numbers from 0 on, each with a city.
    """

    city_class: Int[Array, " city"]
    classes: int = eqx.field(static=True)
    by_occupation: bool = eqx.field(static=True)
    limits: Limits | None

    def __init__(self, city_class: ArrayLike, *, by_occupation: bool = True, bounds: Bounds = None):
        found = np.asarray(city_class)
        if found.ndim != 1 or found.size == 0 or found.dtype.kind not in "iu" or found.min() < 0:
            raise ModelError(
                "city_class must be a vector of whole numbers from 0, the class of each city, found "
                f"{found.dtype} of shape {found.shape}"
            )
        if missing := sorted(set(range(int(found.max()) + 1)) - set(found.tolist())):
            raise ModelError(f"no city is in class {missing[0]}: number classes from 0 without gaps")
        self.city_class = jnp.asarray(found)
        self.classes = int(found.max()) + 1
        self.by_occupation = by_occupation
        self.limits = _limits(bounds)

    @classmethod
    def by_employment(
        cls,
        equilibrium: Equilibrium,
        thresholds: Sequence[float],
        *,
        by_occupation: bool = True,
        bounds: Bounds = None,
    ) -> "SizeClassTransfers":
        """Classes by employment at an equilibrium.

        **Arguments:**

        - `thresholds`: workers at which a city is in the next class, increasing: one less than there are classes.
        - `by_occupation`, `bounds`: as for the class.

        **Raises:** `ModelError` where thresholds do not increase, or leave a class without a city.
        """
        limits = np.asarray(thresholds, dtype=float)
        if limits.ndim != 1 or not np.isfinite(limits).all() or not (np.diff(limits) > 0).all():
            raise ModelError(f"thresholds must be increasing numbers of workers, found {thresholds}")
        size = np.asarray(equilibrium.employment).sum(1)
        found = np.digitize(size, limits)
        for empty in sorted(set(range(limits.size + 1)) - set(found.tolist())):
            raise ModelError(
                f"no city is in size class {empty} of thresholds {limits.tolist()}: cities have from {size.min():,.0f} "
                f"to {size.max():,.0f} workers"
            )
        return cls(found, by_occupation=by_occupation, bounds=bounds)

    def groups(self, economy: Economy) -> int:
        """One for each class, or for each class and occupation."""
        return self.classes * (economy.amenity.shape[1] if self.by_occupation else 1)

    def group(self, economy: Economy) -> Int[Array, "city occupation"]:
        """The class, or the class and occupation."""
        cities, occupations = economy.amenity.shape
        if self.city_class.shape != (cities,):
            raise ModelError(f"city_class classifies {self.city_class.size} cities, but the economy has {cities}")
        if not self.by_occupation:
            return jnp.broadcast_to(self.city_class[:, None], (cities, occupations))
        return self.city_class[:, None] * occupations + jnp.arange(occupations)


class IncomeTestedTransfers(Instrument):
    """A benefit phased out with the wage, and a flat tax on wages: T = b - tax w, piecewise linear in the wage.

    b = max(0, benefit - phase_out max(0, w - threshold)). Like that of [`PhasedOutPayment`][], but the lump sum from
    every worker, not the tax, balances the budget. With a positive tax it is paid back as a demogrant. The
    government sees wages alone, neither occupations nor cities.

    Parameters: `benefit` and `threshold` in dollars a year, `phase_out` and `tax_rate` in dollars per dollar of wage.

    **Arguments:**

    - `bounds`: (lower, upper) by the name of a parameter; equal bounds fix it. By default `benefit` and `threshold`
      are at least zero, `phase_out` between 0 and 1, and `tax_rate` at most 1 in size.
    - `rounding`: part of the economy's mean wage over which kinks are rounded. Wages within a cell are dispersed, so
      that its mean benefit has no kinks; and with kinks an optimum need not have first-order conditions.

    **Raises:** `ModelError` for bounds of a parameter that does not exist, or a `rounding` that is not positive.
    """

    limits: Limits
    rounding: Scalar

    def __init__(self, bounds: Mapping[str, tuple[float, float]] | None = None, *, rounding: float = 0.1):
        given = dict(bounds or {})
        if unknown := sorted(set(given) - set(INCOME_TEST_BOUNDS)):
            raise ModelError(f"bounds name {unknown[0]!r}, but the parameters are {', '.join(INCOME_TEST_BOUNDS)}")
        if not rounding > 0:
            raise ModelError(f"rounding must be positive, found {rounding}: kinks have no derivatives")
        bounds_by_name = [given.get(name, default) for name, default in INCOME_TEST_BOUNDS.items()]
        lower, upper = zip(*(_pair(pair) for pair in bounds_by_name), strict=True)
        self.limits = jnp.concatenate(lower), jnp.concatenate(upper)
        self.rounding = jnp.asarray(rounding, dtype=float)

    def initial(self, economy: Economy, equilibrium: Equilibrium) -> Parameters:
        """A small programme: 2 percent of the mean wage, phased out at 5 percent above it."""
        wage = _mean_wage(economy)
        return within_bounds(jnp.stack([0.02 * wage, wage, jnp.asarray(0.05), jnp.asarray(0.0)]), self)

    def bounds(self) -> Limits:
        """Bounds in the order of the parameters."""
        return self.limits

    def transfer(self, parameters: Parameters, state: IncomeState, economy: Economy) -> CityOccupation:
        """The benefit that a wage entitles to, less the tax on it."""
        benefit, threshold, phase_out, tax_rate = parameters
        width = self.rounding * _mean_wage(economy)

        def positive_part(dollars):
            return width * jax.nn.softplus(dollars / width)

        received = positive_part(benefit - phase_out * positive_part(state.wage - threshold))
        return received - tax_rate * state.wage


INCOME_TEST_BOUNDS = {
    "benefit": (0.0, None),
    "threshold": (0.0, None),
    "phase_out": (0.0, 1.0),
    "tax_rate": (-1.0, 1.0),
}
"""Parameters of an income test, in their order, and bounds unless told otherwise."""


def rule_of(instrument: Instrument, parameters: Parameters, economy: Economy) -> IncomeRule:
    """The income rule of an instrument in the form that is solved.

    Transfers that do not depend on the state become [`Transfers`][], whatever their parameters: one compiled program
    serves them all.
    """
    if isinstance(instrument, CellTransfers):
        return Transfers(instrument.transfer(parameters, None, economy))
    return InstrumentRule(instrument, parameters)


def bounds_of(instrument: Instrument, parameters: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of each parameter, infinite where there are none.

    **Raises:** `ModelError` for bounds of another number of parameters.
    """
    size = np.size(parameters)
    limits = instrument.bounds()
    if limits is None:
        return np.full(size, -np.inf), np.full(size, np.inf)
    for side, values in zip(("lower", "upper"), limits, strict=True):
        if np.shape(values) not in {(), (1,), (size,)}:
            raise ModelError(
                f"{side} bounds of {type(instrument).__name__} have {np.size(values)} values, but it has {size} "
                "parameters"
            )
    lower, upper = (np.broadcast_to(np.asarray(side, dtype=float), (size,)) for side in limits)
    return lower, upper


def within_bounds(parameters: Parameters, instrument: Instrument) -> Parameters:
    """Parameters moved to the nearest that bounds allow."""
    return jnp.clip(parameters, *bounds_of(instrument, parameters))


def at_bound(instrument: Instrument, parameters: ArrayLike) -> Int[np.ndarray, " parameter"]:
    """Which bounds bind: -1 for parameters at their lower bound, 1 at their upper one, 0 in between."""
    at_lower, at_upper = reached_bounds(instrument, parameters)
    return np.where(at_lower, -1, np.where(at_upper, 1, 0))


def reached_bounds(instrument: Instrument, parameters: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Whether parameters are at their lower bounds, and at their upper ones; fixed ones are at both."""
    found = np.asarray(parameters)
    lower, upper = bounds_of(instrument, found)
    closeness = BOUND_TOLERANCE * np.maximum(1.0, np.abs(found))
    return found <= lower + closeness, found >= upper - closeness


BOUND_TOLERANCE = 1e-10
"""Relative distance from a bound at which it counts as reached."""


def _limits(bounds: Bounds) -> Limits | None:
    """Bounds as vectors, or none."""
    return None if bounds is None else _pair(bounds)


def _pair(bounds) -> Limits:
    """A lower and an upper bound as vectors, infinite where there are none."""
    try:
        lower, upper = bounds
    except (TypeError, ValueError):
        raise ModelError(f"bounds must be a pair (lower, upper), found {bounds!r}") from None
    lower = jnp.ravel(jnp.asarray(-jnp.inf if lower is None else lower, dtype=float))
    upper = jnp.ravel(jnp.asarray(jnp.inf if upper is None else upper, dtype=float))
    if lower.size != upper.size and 1 not in (lower.size, upper.size):
        raise ModelError(f"bounds have {lower.size} lower and {upper.size} upper values")
    if not bool((lower <= upper).all()):
        raise ModelError(f"lower bounds must not be above upper ones, found {bounds!r}")
    return lower, upper


def _mean_wage(economy: Economy) -> Scalar:
    return economy.wage_bill / economy.population.sum()
