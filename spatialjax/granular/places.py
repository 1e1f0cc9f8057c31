"""Places with granular firms: calibration and equilibrium of people and firms over places (KO 3 and 4.4).

    Y = z m^eta l^(1 - eta) Phi(m),   w l = (1 - eta) z m^eta l^(1 - eta) (Phi(m) + Psi(m)),   psi m = Y - w l,
    l[i] = (ubar[i] c[i])^theta / sum_j (ubar[j] c[j])^theta times the population.

The equilibrium is a root of free entry and location choice in every place, found by the one solver
(`numerics.root`); derivatives are implicit.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from spatialjax.errors import ConvergenceError, ModelError
from spatialjax.granular.conduct import Conduct, internalised
from spatialjax.granular.parameters import Parameters, check_parameters
from spatialjax.granular.policies import Accounts, ByPlace, Payments, PlacePolicy, Policy
from spatialjax.granular.regional_production import Correction, production_from, production_with_error, tabulate
from spatialjax.numerics.root import Status, find_root
from spatialjax.typing import Scalar

DRAWS = 2**17
SMALLEST_CONSUMPTION = 1e-3
"""Of its mean: where consumption is held during a search that overshoots."""


class PlacesState(eqx.Module):
    """Unknowns of the equilibrium, in logs; also the residuals of free entry and of location choice."""

    log_firms: ByPlace
    log_population: ByPlace


class Places(eqx.Module):
    """Fundamentals of places.

    - `productivity`: z. `amenity`: ubar, in units that make expected utility the mean wage of the data.
    - `entry_cost`: psi, of opening a firm in one unit of m: output per firm and sector.
    - `population`: of all places together.
    - `reference`: the allocation calibrated to, where solves start.
    - `key`, `draws`: of the simulation that Cournot conduct takes.
    """

    productivity: ByPlace
    amenity: ByPlace
    entry_cost: ByPlace
    population: Scalar
    parameters: Parameters
    reference: PlacesState
    key: Key[Array, ""]
    conduct: Conduct = eqx.field(static=True)
    draws: int = eqx.field(static=True)
    labels: tuple[str, ...] = eqx.field(static=True)


class PlacesEquilibrium(eqx.Module):
    """An equilibrium of places; values in the unit of wages in the data, per year.

    - `population`, `firms` (mean number in a sector), `wage`, `output`, `profit` of a firm before policy, `phi`, `psi`.
    - `consumption` per worker, `kept_profit` of a firm: after policy. `instrument`: the tax rate or sum per head.
    - `utility`: expected utility u, alike for all workers.
    - `marginal_labour`, `marginal_firm`: dY/dl and dY/dm.
    - `residual`: largest log gap between profit kept and entry cost, and between population and the demand for places.
    """

    population: ByPlace
    firms: ByPlace
    wage: ByPlace
    output: ByPlace
    profit: ByPlace
    phi: ByPlace
    psi: ByPlace
    consumption: ByPlace
    kept_profit: ByPlace
    instrument: Scalar
    utility: Scalar
    marginal_labour: ByPlace
    marginal_firm: ByPlace
    residual: PlacesState
    evaluations: Int[Array, ""]
    status: Status

    @property
    def converged(self) -> Any:
        """Whether this is an equilibrium (a boolean array)."""
        return self.status == Status.converged

    @property
    def outcome(self) -> str:
        """How the solve ended, in words."""
        return str(Status[self.status])  # type: ignore[misc]

    @property
    def labour_wedge(self) -> ByPlace:
        """Wage over the marginal product of labour, (Phi + Psi) / Phi (KO 6.2)."""
        return self.wage / self.marginal_labour

    @property
    def firm_wedge(self) -> ByPlace:
        """Profit over the marginal product of a firm (KO 6.2)."""
        return self.profit / self.marginal_firm

    def state(self) -> PlacesState:
        """The unknowns, to start another solve from."""
        return PlacesState(jnp.log(self.firms), jnp.log(self.population))


class _Held(eqx.Module):
    """Sums over all places."""

    instrument: Scalar
    log_attraction: Scalar


class System(eqx.Module):
    """Arguments of the equilibrium's equations; `held` fixes the ties between places."""

    places: Places
    policy: PlacePolicy
    correction: Correction | None
    held: _Held | None


def calibrate(
    population: ByPlace,
    wage: ByPlace,
    firms: ByPlace,
    parameters: Parameters | None = None,
    conduct: Conduct = "competitive",
    *,
    labels: Sequence[str] | None = None,
    key: Key[Array, ""] | None = None,
    draws: int = DRAWS,
) -> Places:
    """The places of which data on people, wages and firms are an equilibrium (KO 4.4).

    **Arguments:**

    - `population`: people by place. `wage`: mean wage by place, per year.
    - `firms`: m, the mean number of firms in a sector: establishments over the number of sectors (148 in KO).
    - `conduct`: "competitive" or "cournot". `labels`: names of places for messages.
    - `key`, `draws`: as in [`production`][].

    Differentiable in the data and the parameters.

    **Raises:** `ModelError` naming the place for data that are not positive numbers.
    """
    parameters = Parameters() if parameters is None else parameters
    check_parameters(parameters)
    internalised(conduct)
    population, wage, firms = (jnp.asarray(x, dtype=float) for x in (population, wage, firms))
    names = _check_data({"population": population, "wage": wage, "firms": firms}, labels)
    key = jax.random.key(0) if key is None else key
    eta, theta = parameters.profit_share, parameters.migration_elasticity
    phi, psi, *_ = production_with_error(firms, parameters, conduct, key=key, draws=draws)
    scale = wage * population / ((1 - eta) * (phi + psi))
    total = population.sum()
    mean_wage = (wage * population).sum() / total
    return Places(
        productivity=scale / (firms**eta * population ** (1 - eta)),
        amenity=mean_wage / wage * (population / total) ** (1 / theta),
        entry_cost=(scale * phi - wage * population) / firms,
        population=total,
        parameters=parameters,
        reference=jax.tree.map(jax.lax.stop_gradient, PlacesState(jnp.log(firms), jnp.log(population))),
        key=key,
        conduct=conduct,
        draws=draws,
        labels=names,
    )


def solve(
    places: Places,
    policy: PlacePolicy | None = None,
    *,
    initial: "PlacesEquilibrium | PlacesState | None" = None,
    tolerance: float = 1e-11,
    max_evaluations: int = 500,
    throw: bool = True,
) -> PlacesEquilibrium:
    """Equilibrium of people and firms over places under a policy (KO 3, spec 4).

    Works under `jax.jit`, `jax.vmap`, `jax.grad` and `jax.jvp`; derivatives are implicit and flow to every array of
    `places` and `policy`.

    **Arguments:**

    - `policy`: by default none, `Policy()`.
    - `initial`: where to start; by default the allocation that was calibrated to.
    - `tolerance`: on the largest log gap in free entry and in location choice.
    - `throw`: raise where there is no solution; otherwise look at `status`.

    **Raises:** `ConvergenceError` naming the place with the largest gap.
    """
    check_parameters(places.parameters)
    policy = Policy() if policy is None else policy
    _check_policy(policy, places)
    start = places.reference if initial is None else initial
    start = start.state() if isinstance(start, PlacesEquilibrium) else start
    found = solve_from(correction_of(places), places, policy, start, tolerance, max_evaluations)
    return _raise_unless_converged(found, places) if throw else found


def correction_of(places: Places) -> Correction | None:
    """What conduct adds to competitive moments, at the parameters of places."""
    return tabulate(places.parameters, places.conduct, key=places.key, draws=places.draws)


def solve_from(
    correction: Correction | None,
    places: Places,
    policy: PlacePolicy,
    start: PlacesState,
    tolerance: float,
    max_evaluations: int = 500,
) -> PlacesEquilibrium:
    """[`solve`][] from a table that is at hand, without raising."""
    return _solve(correction, places, policy, start, jnp.asarray(tolerance), jnp.asarray(max_evaluations))


@eqx.filter_jit
def _solve(correction, places: Places, policy: PlacePolicy, start: PlacesState, tolerance, max_evaluations):
    system = System(places, policy, correction, None)
    relaxation = PlacesState(jnp.asarray(1.0), jnp.asarray(1.0))
    root = find_root(
        residual, localise, start, system, relaxation, tolerance=tolerance, max_evaluations=max_evaluations
    )
    accounts = accounts_at(root.state, places, system.correction)
    instrument = policy.instrument(accounts, places.parameters)
    paid = policy.payments(accounts, places.parameters, instrument)
    log_attraction = _log_attraction(paid.consumption, accounts, places)
    # A root at which consumption is held up is none.
    held_up = paid.consumption < _smallest_consumption(accounts)
    gaps = eqx.tree_at(
        lambda r: r.log_population, root.residual, jnp.where(held_up, jnp.inf, root.residual.log_population)
    )
    return PlacesEquilibrium(
        **accounts._asdict(),
        consumption=paid.consumption,
        kept_profit=paid.profit,
        instrument=instrument,
        utility=jnp.exp(jax.nn.logsumexp(log_attraction) / places.parameters.migration_elasticity),
        residual=gaps,
        evaluations=root.evaluations,
        status=Status.where(
            (root.status == Status.converged) & held_up.any(),
            Status.stalled,  # type: ignore[arg-type]
            root.status,
        ),
    )


def residual(state: PlacesState, system: System) -> PlacesState:
    """Log profit kept over entry cost, and log demand for places over population."""
    places = system.places
    accounts = accounts_at(state, places, system.correction)
    held = _sums(accounts, system) if system.held is None else system.held
    paid = system.policy.payments(accounts, places.parameters, held.instrument)
    desired = _log_attraction(paid.consumption, accounts, places) - held.log_attraction + jnp.log(places.population)
    return PlacesState(jnp.log(paid.profit / places.entry_cost), desired - state.log_population)


def localise(state: PlacesState, system: System) -> System:
    """The system with sums over places held at a state."""
    held = _sums(accounts_at(state, system.places, system.correction), system)
    return eqx.tree_at(lambda s: s.held, system, held, is_leaf=lambda x: x is None)


def _sums(accounts: Accounts, system: System) -> _Held:
    instrument = system.policy.instrument(accounts, system.places.parameters)
    paid: Payments = system.policy.payments(accounts, system.places.parameters, instrument)
    return _Held(instrument, jax.nn.logsumexp(_log_attraction(paid.consumption, accounts, system.places)))


def _log_attraction(consumption: ByPlace, accounts: Accounts, places: Places) -> ByPlace:
    """Log of (ubar c)^theta."""
    held = jnp.maximum(consumption, _smallest_consumption(accounts))
    return places.parameters.migration_elasticity * jnp.log(places.amenity * held)


def _smallest_consumption(accounts: Accounts) -> Scalar:
    return SMALLEST_CONSUMPTION * accounts.output.sum() / accounts.population.sum()


def accounts_at(state: PlacesState, places: Places, correction: Correction | None) -> Accounts:
    """Production, pay and marginal products at any numbers of people and firms."""
    parameters, eta = places.parameters, places.parameters.profit_share

    def shape(log_firms):
        found = production_from(correction, jnp.exp(log_firms), parameters)
        return found.phi, found.psi

    (phi, psi), (phi_slope, _) = jax.jvp(shape, (state.log_firms,), (jnp.ones_like(state.log_firms),))
    firms, population = jnp.exp(state.log_firms), jnp.exp(state.log_population)
    scale = places.productivity * jnp.exp(eta * state.log_firms + (1 - eta) * state.log_population)
    output, pay = scale * phi, (1 - eta) * scale * (phi + psi)
    return Accounts(
        population=population,
        firms=firms,
        phi=phi,
        psi=psi,
        output=output,
        wage=pay / population,
        profit=(output - pay) / firms,
        marginal_labour=(1 - eta) * output / population,
        marginal_firm=scale * (eta * phi + phi_slope) / firms,
    )


def wage_elasticity(places: Places, equilibrium: PlacesEquilibrium) -> Float[Array, " place"]:
    """Elasticity d log w / d log l in each place, with firms free to enter (KO Proposition 1), by differentiation."""
    return _wage_elasticity(correction_of(places), places, equilibrium.state())


@eqx.filter_jit
def _wage_elasticity(correction: Correction | None, places: Places, state: PlacesState) -> ByPlace:
    def local(log_firms, log_population):
        accounts = accounts_at(PlacesState(log_firms, log_population), places, correction)
        return jnp.log(accounts.profit), jnp.log(accounts.wage)

    ones, zeros = jnp.ones_like(state.log_firms), jnp.zeros_like(state.log_firms)
    at = (state.log_firms, state.log_population)
    _, (profit_by_firms, wage_by_firms) = jax.jvp(local, at, (ones, zeros))
    _, (profit_by_people, wage_by_people) = jax.jvp(local, at, (zeros, ones))
    return wage_by_people - wage_by_firms * profit_by_people / profit_by_firms


def _check_data(data: dict[str, Float[Array, " place"]], labels: Sequence[str] | None) -> tuple[str, ...]:
    sizes = {name: values.shape for name, values in data.items()}
    if len(set(sizes.values())) > 1 or len(next(iter(sizes.values()))) != 1:
        raise ModelError(f"population, wage and firms must be vectors of one length, found shapes {sizes}")
    count = sizes["population"][0]
    names = tuple(f"place {i}" for i in range(count)) if labels is None else tuple(str(label) for label in labels)
    if len(names) != count:
        raise ModelError(f"{len(names)} labels for {count} places: give one for each")
    for name, values in data.items():
        if isinstance(values, jax.core.Tracer):
            continue
        array = np.asarray(values)
        bad = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
        if bad.size:
            raise ModelError(
                f"{name} must be positive, found {array[bad[0]]} in {names[bad[0]]} ({bad.size} such places)"
            )
    return names


def _check_policy(policy: PlacePolicy, places: Places) -> None:
    count = places.productivity.shape[0]
    for name in ("tau_wage", "tau_profit"):
        value = getattr(policy, name, None)
        if value is None:
            continue
        if value.ndim and value.shape != (count,):
            raise ModelError(f"{name} must be a number or one for each of {count} places, found shape {value.shape}")
        if isinstance(value, jax.core.Tracer):
            continue
        array = np.broadcast_to(np.asarray(value), (count,))
        bad = np.flatnonzero(~(np.isfinite(array) & (array > -1)))
        if bad.size:
            raise ModelError(f"{name} must be above -1, found {array[bad[0]]} in {places.labels[bad[0]]}")


def _raise_unless_converged(equilibrium: PlacesEquilibrium, places: Places) -> PlacesEquilibrium:
    converged = equilibrium.converged
    if isinstance(converged, jax.core.Tracer):
        message = "no equilibrium: call solve outside of jit, or with throw=False, to see where it fails"
        return eqx.error_if(equilibrium, ~converged, message)
    if not bool(np.all(converged)):
        raise ConvergenceError(_describe_failure(equilibrium, places))
    return equilibrium


def _describe_failure(equilibrium: PlacesEquilibrium, places: Places) -> str:
    gaps = {
        "free entry": np.abs(np.asarray(equilibrium.residual.log_firms)),
        "location choice": np.abs(np.asarray(equilibrium.residual.log_population)),
    }
    market = max(gaps, key=lambda name: np.nan_to_num(gaps[name], nan=np.inf).max())
    worst = int(np.nan_to_num(gaps[market], nan=np.inf).argmax())
    if np.isinf(gaps[market][worst]):
        return (
            f"no equilibrium: workers in {places.labels[worst]} would be left with "
            f"{float(equilibrium.consumption[worst]):.3g} each. Try smaller subsidies, or an income tax to pay for them"
        )
    return (
        f"no equilibrium: {equilibrium.outcome}, after {int(equilibrium.evaluations)} evaluations. The largest log gap "
        f"is {gaps[market][worst]:.1e}, in {market} in {places.labels[worst]}. Try smaller subsidies, or a start "
        "nearer to the solution (initial=)"
    )
