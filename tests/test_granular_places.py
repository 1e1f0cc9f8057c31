"""Places with granular firms: calibration, equilibrium, policies, optimum and stability."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import central_difference
from scipy import optimize

import spatialjax as sj
from spatialjax import granular
from spatialjax.errors import ConvergenceError, ModelError
from spatialjax.granular.place_optimum import CERTIFIED
from spatialjax.granular.places import System, accounts_at, correction_of, localise, residual
from spatialjax.granular.policies import FINANCING, Payments, PlacePolicy
from spatialjax.granular.regional_production import production_from
from spatialjax.numerics.implicit import TOLERANCE as ADJOINT_TOLERANCE

CONDUCTS = ("competitive", "cournot")
DRAWS = 2**11
COUNT = 5
"""Places of every small economy here: one shape."""


def close(a, b, tolerance=1e-9):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=tolerance)


def zones():
    """The zones with the fewest, some, and the most firms per sector: population, wage, firms, names."""
    data = sj.load_data("japan-zones")
    firms = (data["establishments"] / data["sectors"]).values
    chosen = np.argsort(firms)[[0, 60, 120, 210, 228]]
    return (
        data["population"].values[chosen] / 1e6,
        data["wage"].values[chosen],
        firms[chosen],
        data["title"].values[chosen],
    )


POPULATION, WAGE, FIRMS, TITLES = zones()
SOME = granular.Policy(np.array([0.03, 0.0, -0.02, 0.05, 0.01]), np.array([0.0, 0.1, -0.05, 0.02, 0.01]), "lump-sum")


def places_of(conduct="competitive", parameters=None, firms=FIRMS):
    return granular.calibrate(POPULATION, WAGE, firms, parameters, conduct, labels=TITLES, draws=DRAWS)


@pytest.fixture(scope="module", params=CONDUCTS)
def places(request):
    return places_of(request.param)


@pytest.fixture(scope="module")
def equilibrium(places):
    return granular.solve(places)


@pytest.fixture(scope="module")
def competitive():
    return places_of()


@pytest.fixture(scope="module")
def best(places, equilibrium):
    """The optimum by either objective."""
    return {
        welfare: granular.optimum(places, welfare, equilibrium=equilibrium)
        for welfare in ("efficiency", "expected_utility")
    }


def technology(places):
    """Phi and Psi of a place's log number of firms, and their derivatives."""
    table = correction_of(places)

    def at(log_firms):
        found = production_from(table, jnp.exp(log_firms), places.parameters)
        return found.phi, found.psi

    return lambda log_firms: jax.jvp(at, (log_firms,), (jnp.ones_like(log_firms),))


def nearby(places, seed=0):
    rng = np.random.default_rng(seed)
    at = places.reference
    return granular.PlacesState(at.log_firms + rng.normal(0, 0.3, COUNT), at.log_population + rng.normal(0, 0.3, COUNT))


def balances(places, found):
    """What is produced is consumed or spent on entry, and nobody is lost."""
    spent = (found.consumption * found.population).sum() + (places.entry_cost * found.firms).sum()
    close(spent, found.output.sum())
    close(found.population.sum(), places.population)
    close(found.kept_profit, places.entry_cost)
    close(found.wage * found.population + found.profit * found.firms, found.output)


class TestCalibration:
    def test_reproduces_its_data_from_elsewhere(self, places):
        found = granular.solve(places, initial=nearby(places))
        close(found.population, POPULATION, 1e-10)
        close(found.wage, WAGE, 1e-10)
        close(found.firms, FIRMS, 1e-10)
        balances(places, found)

    def test_normalises_utility_to_the_mean_wage(self, places, equilibrium):
        close(equilibrium.utility, (WAGE * POPULATION).sum() / POPULATION.sum())
        close(places.amenity * WAGE / equilibrium.utility, (POPULATION / POPULATION.sum()) ** (1 / 3))

    def test_of_competitive_places_has_its_closed_form(self, competitive):
        """Profits are eta Y (KO eq. 10), and wages (1 - eta) Y / l (eq. 9)."""
        output = WAGE * POPULATION / 0.87
        close(competitive.entry_cost, 0.13 * output / FIRMS)
        phi, _ = granular.production(FIRMS, granular.Parameters())
        close(competitive.productivity * FIRMS**0.13 * POPULATION**0.87 * phi, output)

    def test_units_do_not_matter(self, places, equilibrium):
        other = granular.calibrate(2 * POPULATION, 3 * WAGE, FIRMS, None, places.conduct, draws=DRAWS, labels=TITLES)
        ours, theirs = granular.solve(places, SOME), granular.solve(other, SOME)
        close(theirs.population, 2 * ours.population)
        close(theirs.wage, 3 * ours.wage)
        close(theirs.firms, ours.firms)
        close(theirs.instrument, 3 * ours.instrument)
        close(theirs.utility, 3 * ours.utility)

    def test_place_order_does_not_matter(self, competitive):
        turned = granular.calibrate(POPULATION[::-1], WAGE[::-1], FIRMS[::-1], labels=TITLES, draws=DRAWS)
        policy = granular.Policy(SOME.tau_wage[::-1], SOME.tau_profit[::-1], "lump-sum")
        close(granular.solve(turned, policy).population, granular.solve(competitive, SOME).population[::-1])


class TestEquilibrium:
    @pytest.mark.parametrize("financing", FINANCING)
    def test_balances_under_every_financing(self, competitive, financing):
        policy = granular.Policy(SOME.tau_wage, SOME.tau_profit, financing)
        found = granular.solve(competitive, policy)
        balances(competitive, found)
        received = (1 + np.asarray(policy.tau_wage)) * found.wage
        kept = (1 + np.asarray(policy.tau_profit)) * found.profit
        left = 1 - found.instrument
        if financing == "lump-sum":
            close(found.consumption, received - found.instrument)
            close(found.kept_profit, kept)
        else:
            close(found.consumption, left * received)
            close(found.kept_profit, kept * (left if financing == "income-and-profit-tax" else 1))

    def test_balances_with_one_subsidy_for_all_and_with_market_power(self, places):
        balances(places, granular.solve(places, granular.Policy(0.02, -0.1)))
        balances(places, granular.solve(places, SOME))

    def test_from_another_start_is_the_same(self, places):
        ours = granular.solve(places, SOME)
        for start in (nearby(places, 1), nearby(places, 2)):
            theirs = granular.solve(places, SOME, initial=start)
            close(theirs.population, ours.population)
            close(theirs.firms, ours.firms)
        again = granular.solve(places, SOME, initial=ours)
        assert again.evaluations < ours.evaluations

    def test_location_choice(self, places):
        found = granular.solve(places, SOME)
        attraction = (places.amenity * found.consumption) ** 3
        close(found.population / places.population, attraction / attraction.sum())
        close(found.utility, attraction.sum() ** (1 / 3))

    def test_subsidy_to_workers_everywhere_moves_nobody(self, places, equilibrium):
        found = granular.solve(places, granular.Policy(0.2, 0.0))
        close(found.population, equilibrium.population)
        close(found.consumption, equilibrium.consumption)
        close(1 - found.instrument, 1 / 1.2)

    def test_effect_of_subsidies_by_hand(self):
        """Without externalities, m is proportional to (1 + tau_profit) Y: wages to (1 + tau_profit)^(eta/(1 - eta))."""
        parameters = granular.Parameters(elasticity_across_sectors=2.48)
        alike = granular.calibrate(
            np.ones(COUNT), np.full(COUNT, 2.0), np.full(COUNT, 3.0), parameters, labels=TITLES, draws=DRAWS
        )
        tau_wage, tau_profit = np.array([0.1, 0, 0, 0, 0]), np.array([0, 0.2, 0, 0, 0])
        found = granular.solve(alike, granular.Policy(tau_wage, tau_profit, "income-tax"))
        wage = (1 + tau_profit) ** (0.13 / 0.87)
        close(found.wage, 2.0 * wage)
        attraction = ((1 + tau_wage) * wage) ** 3
        close(found.population, COUNT * attraction / attraction.sum())
        close(found.firms, 3.0 * (1 + tau_profit) * wage * found.population)
        paid = (wage * found.population * (0.87 * (1 + tau_wage) + 0.13 * (1 + tau_profit))).sum()
        subsidised = (wage * found.population * (1 + tau_wage)).sum() * 0.87
        close(found.instrument, (paid - (wage * found.population).sum()) / subsidised)

    def test_wedges(self, places, equilibrium):
        """Factor payments over marginal products, the latter by differences of output (KO 6.2)."""
        phi, psi = equilibrium.phi, equilibrium.psi
        close(equilibrium.labour_wedge, (phi + psi) / phi)
        table = correction_of(places)

        def output(log_firms, log_population):
            state = granular.PlacesState(jnp.log(FIRMS) + log_firms, jnp.log(POPULATION) + log_population)
            return accounts_at(state, places, table).output

        by_firms = central_difference(lambda h: output(h, 0.0), 1e-3)
        by_people = central_difference(lambda h: output(0.0, h), 1e-3)
        close(equilibrium.firm_wedge, equilibrium.profit * FIRMS / by_firms, 1e-8)
        close(equilibrium.labour_wedge, equilibrium.wage * POPULATION / by_people, 1e-8)
        if places.conduct == "competitive":
            close(equilibrium.labour_wedge, 1.0)
            assert (equilibrium.firm_wedge < 1).all()
        else:
            assert (equilibrium.labour_wedge < 1).all()


class TestWageElasticity:
    def test_is_that_of_proposition_1(self, competitive):
        (phi, _), (slope, _) = technology(competitive)(competitive.reference.log_firms)
        x = slope / phi / 0.87
        found = granular.wage_elasticity(competitive, granular.solve(competitive))
        close(found, x / (1 - x), 1e-10)

    def test_is_what_wages_do_where_firms_enter(self, places, equilibrium):
        """An experiment: more people in every place, and entry until profits pay for it."""
        table = correction_of(places)

        @jax.jit
        def accounts(log_firms, log_population):
            return accounts_at(granular.PlacesState(log_firms, log_population), places, table)

        def log_wage(h):
            log_firms, log_population = jnp.log(FIRMS), jnp.log(POPULATION) + h
            for _ in range(100):
                log_firms += jnp.log(accounts(log_firms, log_population).profit / places.entry_cost)
            return jnp.log(accounts(log_firms, log_population).wage)

        found = granular.wage_elasticity(places, equilibrium)
        close(found, central_difference(log_wage, 0.01), 1e-6)

    @pytest.mark.full_size
    def test_at_the_data(self):
        """Hump-shaped: KO report 0.0048 in the smallest place and 0.0014 in Tokyo."""
        data = sj.load_data("japan-zones")
        firms = (data["establishments"] / data["sectors"]).values
        everywhere = granular.calibrate(data["population"].values, data["wage"].values, firms)
        equilibrium = granular.solve(everywhere)
        close(equilibrium.population, data["population"].values, 1e-10)
        found = np.asarray(granular.wage_elasticity(everywhere, equilibrium))
        assert firms.min() == 11 / 148
        assert found[firms.argmin()] == pytest.approx(0.00078, abs=5e-6)
        assert found.max() == pytest.approx(0.0081, abs=5e-5)
        assert 2 < firms[found.argmax()] < 3
        order = np.argsort(firms)
        peak = int(found[order].argmax())
        assert (np.diff(found[order][: peak + 1]) > -1e-12).all()
        assert (np.diff(found[order][peak:]) < 1e-12).all()
        stability = granular.stability(everywhere, equilibrium)
        assert stability.stable
        # The leading eigenvalue is between the largest elasticities times theta: people of no one place move alone.
        assert 0.9 * 3 * found.max() < stability.eigenvalues[0].real < 3 * found.max()

    def test_in_a_place_like_tokyo(self):
        tokyo = places_of(firms=np.array([105.8, 1.0, 2.0, 3.0, 10 / 148]))
        found = granular.wage_elasticity(tokyo, granular.solve(tokyo))
        assert float(found[0]) == pytest.approx(0.0021, abs=5e-5)
        assert float(found[-1]) == pytest.approx(0.0007, abs=5e-5)


class TestDerivatives:
    @staticmethod
    def log_utility(conduct):
        def value(tau_wage, tau_profit, data, parameters):
            places = granular.calibrate(*data, parameters, conduct, draws=DRAWS)
            policy = granular.Policy(tau_wage, tau_profit, "lump-sum")
            return jnp.log(granular.solve(places, policy, tolerance=1e-13, throw=False).utility)

        return value

    point = (SOME.tau_wage, SOME.tau_profit, tuple(map(jnp.asarray, (POPULATION, WAGE, FIRMS))), granular.Parameters())

    @staticmethod
    def directions():
        """One direction in each argument, by name: (index of the argument, tangent)."""
        rng = np.random.default_rng(0)
        found = {"tau_wage": (0, rng.normal(size=COUNT)), "tau_profit": (1, rng.normal(size=COUNT))}
        zero = tuple(np.zeros(COUNT) for _ in range(3))
        for i, (name, values) in enumerate({"population": POPULATION, "wage": WAGE, "firms": FIRMS}.items()):
            found[name] = (2, (*zero[:i], values * rng.normal(size=COUNT), *zero[i + 1 :]))
        parameters = granular.Parameters()
        still = jax.tree.map(jnp.zeros_like, parameters)
        for name in ("elasticity_across_firms", "elasticity_across_sectors", "profit_share", "productivity_tail",
                     "sector_variance", "firm_variance", "migration_elasticity"):  # fmt: skip
            size = 0.1 * getattr(parameters, name)
            found[name] = (3, eqx.tree_at(lambda p: getattr(p, name), still, size))  # noqa: B023
        return found

    @classmethod
    def moved(cls, index, tangent, h):
        arguments = list(cls.point)
        arguments[index] = jax.tree.map(lambda x, t: x + h * t, arguments[index], tangent)
        return arguments

    def test_of_utility_are_its_differences(self):
        """In subsidies, in data and in parameters, through calibration and equilibrium."""
        value = jax.jit(self.log_utility("competitive"))
        slopes = jax.jit(jax.grad(self.log_utility("competitive"), (0, 1, 2, 3)))(*self.point)
        for name, (index, tangent) in self.directions().items():
            products = jax.tree.map(lambda s, t: (s * t).sum(), slopes[index], tangent)
            found = sum(map(float, jax.tree.leaves(products)))
            difference = central_difference(lambda h: value(*self.moved(index, tangent, h)), 2e-3)  # noqa: B023
            np.testing.assert_allclose(found, difference, rtol=1e-6, atol=1e-10, err_msg=name)

    def test_with_market_power_forwards(self):
        """Along one direction in subsidies and data; what parameters do to market power, production's tests see to."""
        value = self.log_utility("cournot")
        at = self.point[:3]
        tangents = [jax.tree.map(jnp.zeros_like, argument) for argument in at]
        for index, tangent in self.directions().values():
            if index < 3:
                tangents[index] = jax.tree.map(jnp.add, tangents[index], tangent)

        def along(h):
            return value(*jax.tree.map(lambda x, t: x + h * t, at, tuple(tangents)), self.point[3])

        close(jax.jvp(along, (0.0,), (1.0,))[1], central_difference(along, 2e-3), 1e-6)

    def test_policies_at_once_are_those_one_by_one(self, competitive):
        tau = jnp.linspace(-0.1, 0.1, 3)[:, None] * jnp.arange(COUNT)
        together = jax.vmap(lambda t: granular.solve(competitive, granular.Policy(t, -t, "lump-sum")).firms)(tau)
        one_by_one = [granular.solve(competitive, granular.Policy(t, -t, "lump-sum")).firms for t in tau]
        close(together, np.stack(one_by_one))

    def test_compile_once(self, competitive, caplog):
        granular.solve(competitive, SOME)
        other = places_of(parameters=granular.Parameters(firm_variance=0.1, migration_elasticity=2.0))
        policy = granular.Policy(SOME.tau_profit, SOME.tau_wage, "lump-sum")
        with jax.log_compiles():
            granular.solve(other, policy, tolerance=1e-12, max_evaluations=400)
            assert "_solve" not in caplog.text
            granular.solve(other, granular.Policy(SOME.tau_profit, 0.0, "lump-sum"))  # another shape
        assert "_solve" in caplog.text


class TestOptimum:
    def test_is_certified(self, best):
        for found in best.values():
            assert found.certificate.first_order
            assert found.certificate.residual < ADJOINT_TOLERANCE
            close(found.firms_change, found.equilibrium.firms / found.reference.firms - 1)
            close(found.population_change, found.equilibrium.population / found.reference.population - 1)
        assert best["expected_utility"].gain > best["efficiency"].gain
        assert best["efficiency"].gain > 0

    def test_efficient_subsidies_are_those_of_proposition_4(self, places, best):
        """Equation 13, at the new numbers of firms."""
        found = best["efficiency"]
        (phi, psi), (slope, _) = technology(places)(jnp.log(found.equilibrium.firms))
        eta = 0.13
        close(1 + found.policy.tau_wage, 1 / (1 + psi / phi))
        close(1 + found.policy.tau_profit, (1 + slope / phi / eta) / (1 - (1 - eta) / eta * psi / phi))
        if places.conduct == "competitive":
            assert (found.policy.tau_profit > 0).all()  # KO Proposition 3
        else:
            assert (found.policy.tau_wage > 0).all()

    def test_efficient_entry_is_first_best(self, places, best):
        """KO eq. 12: given its people, no other number of firms yields a place more output less the cost of entry."""
        found, table = best["efficiency"].equilibrium, correction_of(places)

        def net(log_change):
            state = granular.PlacesState(jnp.log(found.firms) + log_change, jnp.log(found.population))
            return accounts_at(state, places, table).output - places.entry_cost * jnp.exp(log_change) * found.firms

        for change in (-1.0, -0.1, -0.001, 0.001, 0.1, 1.0):
            assert (net(change) < net(0.0)).all()

    def test_subsidies_lead_to_the_allocation(self, places, best):
        for found in best.values():
            again = granular.solve(places, found.policy)
            close(again.population, found.equilibrium.population)
            close(again.firms, found.equilibrium.firms)
            balances(places, found.equilibrium)

    def test_certificate_fails_elsewhere(self, places, best):
        rng = np.random.default_rng(0)
        nothing = granular.Policy(0.0, 0.0, "lump-sum")
        for welfare, found in best.items():
            beside = granular.Policy(
                found.policy.tau_wage + 1e-3 * rng.normal(size=COUNT), found.policy.tau_profit, "lump-sum"
            )
            for policy in (beside, nothing):
                policy = granular.Policy(
                    *np.broadcast_arrays(policy.tau_wage, policy.tau_profit + np.zeros(COUNT)), "lump-sum"
                )
                allocation = granular.solve(places, policy)
                certificate = granular.certify(places, policy, allocation, welfare)
                assert not certificate.first_order
                assert certificate.residual > 100 * CERTIFIED
                with pytest.raises(ModelError, match="no equilibrium under the policy"):
                    granular.certify(places, policy, found.equilibrium, welfare)

    def test_gradient_is_that_of_utility(self, competitive):
        allocation = granular.solve(competitive, SOME)
        certificate = granular.certify(competitive, SOME, allocation, "expected_utility")
        step = np.zeros(COUNT)
        step[3] = 1.0

        def utility(h):
            policy = granular.Policy(SOME.tau_wage, SOME.tau_profit + h * step, "lump-sum")
            return jnp.log(granular.solve(competitive, policy, tolerance=1e-13).utility)

        close(certificate.profit_gradient[3], central_difference(utility, 1e-2), 1e-6)

    def test_no_subsidies_serve_workers_better(self, competitive):
        """A search over all subsidies, which knows no formula, comes as far and no further."""
        found = granular.optimum(competitive, "expected_utility")
        at = np.concatenate([found.policy.tau_wage, found.policy.tau_profit])

        def loss(tau):
            policy = granular.Policy(tau[:COUNT], tau[COUNT:], "lump-sum")
            reached = granular.solve(competitive, policy, throw=False)
            return -float(jnp.log(reached.utility / found.equilibrium.utility)) if reached.converged else 1.0

        start = at + 0.05 * np.random.default_rng(0).normal(size=at.size)
        assert loss(start) > 1e-5
        searched = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-7, "eps": 1e-6})
        assert -1e-8 < searched.fun < 1e-8

    def test_income_tax_leaves_a_gradient(self, competitive):
        """Those who move pay less tax than others do: KO's financing is no optimum, and the certificate says so."""
        found = granular.optimum(competitive, financing="income-tax")
        assert found.certificate.residual > 1e-6
        assert not found.certificate.first_order
        (phi, _), (slope, _) = technology(competitive)(jnp.log(found.equilibrium.firms))
        close(found.policy.tau_profit, slope / phi / 0.13)
        balances(competitive, found.equilibrium)

    @pytest.mark.parametrize("conduct", CONDUCTS)
    def test_no_externality_no_subsidy(self, conduct):
        """Where workers move as easily between sectors as between firms (nu = kappa)."""
        found = granular.optimum(places_of(conduct, granular.Parameters(elasticity_across_sectors=2.48)))
        np.testing.assert_allclose(found.policy.tau_wage, 0.0, atol=1e-10)
        np.testing.assert_allclose(found.policy.tau_profit, 0.0, atol=1e-10)
        assert float(found.gain) == pytest.approx(0.0, abs=1e-12)


def test_one_place_alone_is_stable():
    """Nobody can move: the map from population to population is zero."""
    places = granular.calibrate([5e4], [300.0], [1.5])
    report = granular.stability(places, granular.solve(places))
    np.testing.assert_array_equal(report.eigenvalues, [0.0])
    assert report.stable


class Crowding(PlacePolicy):
    """Pays firms the more, the more of them there are."""

    strength: jax.Array

    def instrument(self, accounts, parameters):
        return jnp.zeros(())

    def payments(self, accounts, parameters, instrument):
        return Payments(accounts.wage, accounts.profit * (accounts.firms / FIRMS) ** self.strength)


@eqx.filter_jit
def attracted(log_population, log_firms, system):
    """The log population that a population attracts once firms have entered, by Newton's method, and those firms."""

    def gaps(log_firms):
        return residual(granular.PlacesState(log_firms, log_population), system)

    def newton(_, log_firms):
        slope = jax.jacfwd(lambda f: gaps(f).log_firms)(log_firms)
        return log_firms - jnp.linalg.solve(slope, gaps(log_firms).log_firms)

    log_firms = jax.lax.fori_loop(0, 8, newton, log_firms)
    return log_population + gaps(log_firms).log_population, log_firms


def dense_eigenvalues(places, equilibrium, policy):
    system, state = System(places, policy, correction_of(places), None), equilibrium.state()
    columns = [
        central_difference(lambda h: attracted(state.log_population + h * step, state.log_firms, system)[0], 1e-3)  # noqa: B023
        for step in np.eye(COUNT)
    ]
    return np.sort_complex(np.linalg.eigvals(np.stack(columns, axis=1)))[::-1]


class TestStability:
    def test_of_the_data(self, places, equilibrium):
        found = granular.stability(places, equilibrium)
        assert found.stable
        assert found.describe(places.labels).startswith("stable (leading eigenvalue 0.0")
        assert (found.residuals < 1e-8).all()
        (phi, psi), (phi_slope, psi_slope) = technology(places)(equilibrium.state().log_firms)
        eta = 0.13
        profit, its_slope = (eta * x - (1 - eta) * y for x, y in ((phi, psi), (phi_slope, psi_slope)))
        close(found.entry_slope, its_slope / profit + eta - 1)
        if places.conduct == "competitive":  # the denominator of KO Proposition 1, times eta - 1
            close(found.entry_slope, phi_slope / phi - 0.87)

    def test_eigenvalues_are_those_of_the_map_by_differences(self, competitive):
        for policy in (
            granular.Policy(),
            granular.Policy(SOME.tau_wage, 8 * SOME.tau_profit, "income-and-profit-tax"),
        ):
            equilibrium = granular.solve(competitive, policy)
            found = granular.stability(competitive, equilibrium, policy)
            dense = dense_eigenvalues(competitive, equilibrium, policy)
            np.testing.assert_allclose(found.eigenvalues, dense[:4], rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("strong", [False, True])
    def test_is_what_gradual_migration_does(self, strong):
        """A little more people in one place: they leave again, or more follow."""
        changed = {"firm_variance": 2.0, "migration_elasticity": 80.0}
        places = places_of(parameters=granular.Parameters(**changed) if strong else None)
        equilibrium = granular.solve(places)
        found = granular.stability(places, equilibrium)
        assert found.stable != strong
        assert found.describe(places.labels).startswith("unstable: people who move" if strong else "stable")
        system = System(places, granular.Policy(), None, None)
        state = equilibrium.state()
        log_population = state.log_population + 1e-4 * np.array([0, 0, 1.0, 0, 0])
        log_firms = state.log_firms
        gaps = []
        for _ in range(12):
            wanted, log_firms = attracted(log_population, log_firms, system)
            log_population += 0.25 * (wanted - log_population)
            gaps.append(float(jnp.abs(log_population - state.log_population).max()))
        if strong:
            pace = 1 + 0.25 * (found.eigenvalues[0].real - 1)
            assert gaps[-1] > 10 * gaps[0]
            close(gaps[-1] / gaps[-2], pace, 0.03)
        else:
            assert gaps[-1] < 0.1 * gaps[0]

    def test_entry_that_feeds_on_itself_is_named(self, competitive):
        policy = Crowding(jnp.array([0.0, 0.0, 0.0, 2.0, 0.0]))
        found = granular.stability(competitive, granular.solve(competitive), policy)
        assert not found.stable
        assert found.describe(competitive.labels) == f"unstable: in {TITLES[3]} more firms make entry more profitable"
        np.testing.assert_array_equal(found.entry_slope >= 0, np.arange(COUNT) == 3)
        local = localise(competitive.reference, System(competitive, policy, None, None))
        assert local.held is not None


class TestRefusals:
    @pytest.mark.parametrize("name", ["population", "wage", "firms"])
    @pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
    def test_data_that_are_not_positive(self, name, value):
        data = {"population": POPULATION.copy(), "wage": WAGE.copy(), "firms": FIRMS.copy()}
        data[name][2] = value
        with pytest.raises(ModelError, match=rf"{name} must be positive, found {value} in {TITLES[2]} \(1 such"):
            granular.calibrate(**data, labels=TITLES)
        with pytest.raises(ModelError, match=f"{name} must be positive, found {value} in place 2"):
            granular.calibrate(**data)

    def test_data_of_different_lengths(self):
        with pytest.raises(ModelError, match=r"vectors of one length, found shapes .*'wage': \(3,\)"):
            granular.calibrate(POPULATION, WAGE[:3], FIRMS)
        with pytest.raises(ModelError, match="4 labels for 5 places"):
            granular.calibrate(POPULATION, WAGE, FIRMS, labels=TITLES[:4])

    def test_unknown_names(self, competitive):
        with pytest.raises(ModelError, match="conduct must be one of 'competitive', 'cournot', found 'monopsony'"):
            granular.calibrate(POPULATION, WAGE, FIRMS, conduct="monopsony")
        with pytest.raises(ModelError, match="financing must be one of 'income-tax'.*found 'debt'"):
            granular.Policy(financing="debt")
        with pytest.raises(ModelError, match="welfare must be 'efficiency' or 'expected_utility', found 'utility'"):
            granular.optimum(competitive, "utility")
        with pytest.raises(ModelError, match="welfare must be"):
            granular.certify(competitive, granular.Policy(), granular.solve(competitive), "utility")
        with pytest.raises(ModelError, match="'expected_utility' is financed by a sum per head"):
            granular.optimum(competitive, "expected_utility", financing="income-tax")

    @pytest.mark.parametrize("name", ["tau_wage", "tau_profit"])
    def test_subsidies(self, competitive, name):
        with pytest.raises(
            ModelError, match=rf"{name} must be a number or one for each of 5 places, found shape \(3,\)"
        ):
            granular.solve(competitive, granular.Policy(**{name: np.zeros(3)}))
        with pytest.raises(ModelError, match=rf"{name} must be above -1, found -1.0 in {TITLES[4]}"):
            granular.solve(competitive, granular.Policy(**{name: np.array([0, 0, 0, 0, -1.0])}))

    def test_no_solution_is_described(self, competitive):
        with pytest.raises(
            ConvergenceError,
            match=rf"used up, after 2 evaluations.*in (free entry|location choice) in ({'|'.join(TITLES)})",
        ):
            granular.solve(competitive, SOME, initial=nearby(competitive), max_evaluations=2)
        found = granular.solve(competitive, SOME, initial=nearby(competitive), max_evaluations=2, throw=False)
        assert not found.converged
        assert found.outcome == "the evaluations allowed were used up"

    def test_workers_left_with_nothing(self, competitive):
        """A sum per head beyond what some earn: no equilibrium, though the search comes to rest."""
        greedy = granular.Policy(np.array([0, 0, 0, 0, 8.0]), np.zeros(COUNT), "lump-sum")
        with pytest.raises(ConvergenceError, match=r"would be left with -\d"):
            granular.solve(competitive, greedy)

    def test_inside_jit(self, competitive):
        greedy = np.array([0, 0, 0, 0, 8.0])
        inside = jax.jit(lambda tau: granular.solve(competitive, granular.Policy(tau, tau - tau, "lump-sum")).wage)
        close(inside(jnp.zeros(COUNT)), WAGE)
        with pytest.raises(Exception, match="no equilibrium: call solve outside of jit"):
            jax.block_until_ready(inside(jnp.asarray(greedy)))
