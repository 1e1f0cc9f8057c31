"""Tax and transfer systems: formulas by hand, budgets, an independent solver, derivatives."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from economies import planner_economy, random_allocation, random_economy
from leaves import central_difference
from raw_model import near, raw_economy, solve_raw

import spatialjax as sj

TIGHT = 1e-13
ECONOMY = {"cities": 5, "sectors": 4, "occupations": 2, "seed": 21}
TRANSFER = jnp.asarray(np.random.default_rng(0).normal(0, 10, (5, 2)))
RULES = {
    "transfers": sj.Transfers(TRANSFER),
    "flat tax": sj.FlatTax(0.2),
    "phased-out payment": sj.PhasedOutPayment(12.0, 90.0, 0.3),
    "part of a flat tax": sj.ScaledPolicy(sj.FlatTax(0.2), jnp.asarray(0.4)),
}
"""For economies in which wages are around 100 dollars."""
NOTHING = {
    "transfers": sj.Transfers(jnp.zeros((5, 2))),
    "the same transfer for all": sj.Transfers(jnp.full((5, 2), 7.0)),
    "flat tax": sj.FlatTax(0.0),
    "payment": sj.PhasedOutPayment(0.0, 90.0, 0.3),
    "no part": sj.ScaledPolicy(sj.PhasedOutPayment(12.0, 90.0, 0.3), jnp.asarray(0.0)),
}


class Together(sj.IncomeRule):
    """Several rules in force at once: their net transfers added up."""

    rules: tuple[sj.IncomeRule, ...]

    def __call__(self, state, economy):
        none = sj.LaissezFaire()(state, economy)
        return none + sum(rule(state, economy) - none for rule in self.rules)


@pytest.fixture(scope="module")
def economy():
    return random_economy(**ECONOMY)


@pytest.fixture(scope="module")
def allocation(economy):
    return random_allocation(economy, seed=2)


def laissez_faire(at):
    """w + chi, with land income shared in proportion to wage bills (CH eq. 1)."""
    w, L = np.asarray(at.wage), np.asarray(at.employment)
    wage_bill = (w * L).sum(0)
    return w + wage_bill / wage_bill.sum() * float(at.land_income.sum()) / L.sum(0)


def mean(values, at):
    L = np.asarray(at.employment)
    return (values * L).sum() / L.sum()


class TestFormula:
    @pytest.mark.parametrize("name", RULES)
    def test_pays_out_what_is_earned(self, name, economy, allocation):
        paid = (RULES[name](allocation, economy) * allocation.employment).sum()
        earned = (allocation.wage * allocation.employment).sum() + allocation.land_income.sum()
        assert float(paid) == pytest.approx(float(earned), rel=1e-14)

    def test_of_laissez_faire(self, economy, allocation):
        np.testing.assert_allclose(sj.LaissezFaire()(allocation, economy), laissez_faire(allocation), rtol=1e-14)

    def test_of_transfers(self, economy, allocation):
        expected = laissez_faire(allocation) + TRANSFER - mean(TRANSFER, allocation)
        np.testing.assert_allclose(RULES["transfers"](allocation, economy), expected, rtol=1e-13)

    def test_of_a_flat_tax(self, economy, allocation):
        w = np.asarray(allocation.wage)
        expected = laissez_faire(allocation) - 0.2 * w + 0.2 * mean(w, allocation)
        np.testing.assert_allclose(RULES["flat tax"](allocation, economy), expected, rtol=1e-13)

    def test_of_a_phased_out_payment(self, economy, allocation):
        w, L = np.asarray(allocation.wage), np.asarray(allocation.employment)
        received = np.vectorize(lambda wage: max(0.0, 12.0 - 0.3 * max(0.0, wage - 90.0)))(w)
        assert {0.0, 12.0} < set(received.ravel())  # all of it, a part of it, and nothing
        rate = (received * L).sum() / (w * L).sum()
        expected = laissez_faire(allocation) + received - rate * w
        np.testing.assert_allclose(RULES["phased-out payment"](allocation, economy), expected, rtol=1e-13)

    def test_of_the_pandemic_payment_at_its_kinks(self):
        """6,200 dollars, five cents less for each dollar above 75,000: nothing from 199,000 on."""
        wage = jnp.asarray([0.0, 74_999.0, 75_000.0, 75_100.0, 137_000.0, 198_980.0, 199_000.0, 199_001.0, 1e6])
        received = sj.PhasedOutPayment().received(wage)
        np.testing.assert_allclose(received, [6200, 6200, 6200, 6195, 3100, 1, 0, 0, 0], atol=1e-9)

    def test_of_a_part_of_a_policy(self, economy, allocation):
        none, all_of_it = laissez_faire(allocation), RULES["flat tax"](allocation, economy)
        found = RULES["part of a flat tax"](allocation, economy)
        np.testing.assert_allclose(found, 0.6 * none + 0.4 * all_of_it, rtol=1e-13)
        np.testing.assert_allclose(found, sj.FlatTax(0.08)(allocation, economy), rtol=1e-13)

    @pytest.mark.parametrize("name", NOTHING)
    def test_of_no_policy_is_laissez_faire(self, name, economy, allocation):
        np.testing.assert_allclose(NOTHING[name](allocation, economy), laissez_faire(allocation), rtol=1e-13)

    def test_of_net_transfers(self, economy, allocation):
        lives = np.asarray(allocation.employment) > 0
        expected = np.where(lives, np.asarray(allocation.income) - laissez_faire(allocation), 0.0)
        assert not lives.all()
        np.testing.assert_allclose(sj.net_transfer(allocation), expected, rtol=1e-11)


@pytest.fixture(scope="module")
def policies():
    return Together(tuple(RULES.values()))


@pytest.fixture(scope="module")
def found(economy, policies):
    return sj.solve(economy, income=policies, tolerance=TIGHT)


class TestEquilibrium:
    def test_agrees_with_scipy_on_the_raw_equations(self, economy, policies, found):
        def transfer(w, L):
            def spread(x):
                return x - (x * L).sum() / L.sum()

            received = np.maximum(12.0 - 0.3 * np.maximum(w - 90.0, 0.0), 0.0)
            payment = received - (received * L).sum() / (w * L).sum() * w
            return spread(np.asarray(TRANSFER)) - spread(0.2 * w) + payment - 0.4 * spread(0.2 * w)

        theirs = solve_raw(raw_economy(economy, transfer=transfer), near(found))
        for name, values in theirs.items():
            np.testing.assert_allclose(getattr(found, name), values, rtol=1e-9)
        untaxed = solve_raw(raw_economy(economy), near(found))
        assert np.abs(untaxed["employment"] / theirs["employment"] - 1).max() > 0.01

    def test_net_transfers_are_those_of_the_policy(self, economy, policies, found):
        net = np.asarray(sj.net_transfer(found))
        np.testing.assert_allclose(net, found.income - laissez_faire(found), rtol=1e-11)
        assert abs(mean(net, found)) < 1e-9 < np.abs(net).max()

    def test_the_same_transfer_for_all_changes_nothing(self, economy, found):
        one, other = (sj.solve(economy, income=sj.Transfers(TRANSFER + t), tolerance=TIGHT) for t in (0.0, 1e3))
        np.testing.assert_allclose(other.income, one.income, rtol=1e-10)
        np.testing.assert_allclose(other.welfare, one.welfare, rtol=1e-10)
        assert float(jnp.abs(one.income / found.income - 1).max()) > 1e-3


LEAVES = {
    "transfer": lambda p: p.rules[0].transfer,
    "flat tax": lambda p: p.rules[1].rate,
    "payment": lambda p: p.rules[2].payment,
    "threshold": lambda p: p.rules[2].threshold,
    "phase-out": lambda p: p.rules[2].phase_out,
    "part": lambda p: p.rules[3].strength,
    "rate of the part": lambda p: p.rules[3].rule.rate,
}


@pytest.fixture(scope="module")
def welfare_gradient(economy, policies):
    """The gradient of welfare in every leaf of the policies, at once."""

    def welfare(policies):
        return jnp.log(sj.solve(economy, income=policies, tolerance=TIGHT).welfare) @ jnp.asarray([1.0, 0.7])

    return eqx.filter_jit(eqx.filter_grad(welfare))(policies)


@pytest.mark.parametrize("name", LEAVES)
def test_gradient_of_welfare_in_every_leaf(name, economy, policies, welfare_gradient):
    leaf = LEAVES[name](policies)
    step = jnp.asarray(np.random.default_rng(4).uniform(0.5, 1.5, leaf.shape)) * leaf

    def welfare(size):
        moved = eqx.tree_at(LEAVES[name], policies, leaf + size * step)
        return float(jnp.log(sj.solve(economy, income=moved, tolerance=TIGHT).welfare) @ jnp.asarray([1.0, 0.7]))

    implicit = float((LEAVES[name](welfare_gradient) * step).sum())
    assert abs(implicit) > 1e-5
    assert implicit == pytest.approx(central_difference(welfare, 1e-3), rel=1e-6)


@pytest.fixture(scope="module")
def several():
    """An economy with all that variants change."""
    return planner_economy()


@pytest.fixture(scope="module")
def effect(several):
    return sj.policy_effect(several, RULES["phased-out payment"])


class TestEffect:
    """What a policy does, phased in from the equilibrium."""

    def test_is_the_equilibrium_under_the_policy(self, several, effect):
        direct = sj.solve(several, income=RULES["phased-out payment"], tolerance=TIGHT)
        np.testing.assert_allclose(effect.equilibrium.wage, direct.wage, rtol=1e-8)
        np.testing.assert_allclose(effect.equilibrium.employment, direct.employment, rtol=1e-8)
        none = sj.solve(several, tolerance=TIGHT)
        np.testing.assert_allclose(effect.reference.welfare, none.welfare, rtol=1e-9)
        np.testing.assert_allclose(effect.gain, direct.welfare / none.welfare - 1, rtol=1e-6)
        np.testing.assert_allclose(effect.transfer, sj.net_transfer(direct), rtol=1e-6)
        np.testing.assert_allclose(effect.wedge, sj.wedge(several, direct), rtol=1e-7)
        assert effect.path.complete
        assert effect.outcome == "the policy is in force"

    def test_is_no_optimum(self, effect):
        assert effect.certificate.residual > 0.01
        assert not effect.certificate.first_order

    def test_cannot_be_traced(self, several):
        with pytest.raises(sj.errors.ModelError, match=r"outside of jit.*solve\(economy, income=policy\)"):
            eqx.filter_jit(lambda e: sj.policy_effect(e, RULES["flat tax"]).gain)(several)

    def test_is_relative_to_an_equilibrium(self, several):
        none = sj.solve(several, max_evaluations=3, throw=False)
        with pytest.raises(sj.errors.ModelError, match="relative to an equilibrium, and this is none: the evaluations"):
            sj.policy_effect(several, RULES["flat tax"], none)
