"""The main costs under pytest-benchmark: `pytest benchmarks`. Compilation is done before the clock starts.

Each is measured at a small size and, marked `full_size`, on the embedded data: `-m "not full_size"` leaves these out.
Not collected by the default test run; `spatialjax bench` measures more.
"""

import importlib.util

import jax
import jax.numpy as jnp
import pytest
import xarray as xr

import spatialjax

jax.config.update("jax_enable_x64", True)

pytest.importorskip("pytest_benchmark")

from . import cases, gravity_world, numpy_baseline, numpy_newton_krylov  # noqa: E402
from .protocol import Setting  # noqa: E402

ROUNDS = 5
SCENARIOS = 16


@pytest.fixture(scope="module", params=["small", pytest.param("us-metros", marks=pytest.mark.full_size)])
def data(request) -> xr.Dataset:
    """Few random cities, or the embedded data."""
    return Setting(quick=request.param == "small").data()


@pytest.fixture(scope="module")
def economy(data: xr.Dataset) -> spatialjax.Economy:
    """The economy of which they are an equilibrium."""
    return spatialjax.invert(data)


@pytest.fixture
def timed(benchmark):
    """Time a call, in rounds after one that compiles."""

    def run(call):
        return benchmark.pedantic(lambda: jax.block_until_ready(call()), rounds=ROUNDS, warmup_rounds=1)

    return run


def test_evaluation(timed, economy):
    """A loop of evaluations of the equilibrium system."""
    system, step = cases.system_of(economy), jnp.asarray(1e-3)
    state = timed(lambda: cases.repeat_evaluations(system, economy.reference, step))
    assert jax.tree.all(jax.tree.map(lambda x, y: jnp.allclose(x, y, atol=1e-9), state, economy.reference))


def test_inversion(timed, data):
    """Inversion from data to fundamentals."""
    economy = timed(lambda: spatialjax.invert(data))
    assert jnp.isfinite(economy.amenity).all()


@pytest.mark.parametrize("externalities", [False, True])
def test_solve(timed, economy, externalities):
    """Without externalities from the data; with them from a start off by 5 percent."""
    case = economy if externalities else cases.without_externalities(economy)
    start = cases.perturbed(economy.reference, 0.05) if externalities else economy.reference
    assert timed(lambda: cases.solve(case, start)).converged


@pytest.mark.parametrize("solver", ["sweeps", "newton_krylov"])
def test_baseline(timed, economy, solver):
    """The same without externalities in NumPy and SciPy, the kernel stored."""
    problem = numpy_baseline.Problem.of(cases.without_externalities(economy))
    options = {"stored_kernel": True} if solver == "sweeps" else {"preconditioned": True}
    solve = numpy_baseline.solve if solver == "sweeps" else numpy_newton_krylov.solve
    assert timed(lambda: solve(problem, economy.reference, **options)).converged


@pytest.mark.parametrize("parameter", ["spillover", "productivity"])
def test_gradient(timed, economy, parameter):
    """The gradient of total welfare, with the solve that it needs."""
    case = cases.with_zero_externalities(economy)
    gradient = getattr(cases, f"gradient_in_{parameter}")
    _, slopes = timed(lambda: gradient(case))
    assert jax.tree.all(jax.tree.map(lambda x: jnp.isfinite(x).all(), slopes))


def test_optimum(timed, economy):
    """The optimum with equal gains, with its certificate."""
    equilibrium = spatialjax.solve(economy)
    assert timed(lambda: spatialjax.optimum(economy, equilibrium, throw=False)).certificate is not None


@pytest.mark.parametrize("shocks", ["productivity", "trade_cost"])
def test_batch(timed, economy, shocks):
    """Sixteen scenarios with shocks of 5 percent."""
    changes = getattr(cases, f"{shocks}_shocks")(economy, SCENARIOS)
    assert timed(lambda: spatialjax.solve_many(economy, changes)).converged.all()


def test_gravity(timed):
    """A one-sector world of 30 countries, from data to the counterfactual."""
    world = gravity_world.synthetic(30)
    found, _ = timed(lambda: gravity_world.full(world))
    assert found.price[0] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("sectors", [10**4, pytest.param(10**6, marks=pytest.mark.full_size)])
def test_granular_monte_carlo(timed, sectors):
    """Sectors at five firms per sector."""
    from . import granular_cases

    assert timed(lambda: granular_cases.simulate(sectors)).mean.psi < 0


@pytest.mark.full_size
@pytest.mark.parametrize("conduct", ["competitive", "cournot"])
def test_granular_places(timed, conduct):
    """The equilibrium of the embedded zones from a start that is off."""
    from . import granular_cases

    places = granular_cases.places(conduct)
    assert timed(lambda: granular_cases.solve_perturbed(places)).converged


needs_estimation = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("pyfixest", "linearmodels")),
    reason="needs pip install 'spatialjax[estimation]'",
)


@needs_estimation
@pytest.mark.full_size
def test_density_premium(timed):
    """Eq. (2) with all controls on a hundred thousand establishment-years."""
    from . import density_cases

    panel = spatialjax.density.with_regressors(density_cases.simulated(50_000), spatialjax.density.cbsa_table())
    found = timed(lambda: spatialjax.density.premium(panel))
    theirs = density_cases.absorbing_least_squares(panel)
    assert (found.coefficients - theirs).abs().max() < 1e-8


@needs_estimation
@pytest.mark.full_size
@pytest.mark.parametrize("estimator", ["2sls", "cue"])
def test_externalities(timed, data, economy, estimator):
    """Externalities by occupation with more instruments than endogenous columns."""
    from . import density_cases

    columns = density_cases.instruments(data, economy)
    found = timed(lambda: density_cases.spillovers(economy, estimator, columns))
    assert all(one.observations > 0 for one in found.regressions.values())
