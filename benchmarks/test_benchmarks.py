"""The main costs under pytest-benchmark: `pytest benchmarks`. Compilation is done before the clock starts.

Not collected by the default test run; `python benchmarks/run.py` measures more.
"""

import jax
import jax.numpy as jnp
import pytest
import xarray as xr

import spatialjax

jax.config.update("jax_enable_x64", True)

cases = pytest.importorskip("cases", reason="run from benchmarks/, or with benchmarks/ on the Python path")
pytest.importorskip("pytest_benchmark")

ROUNDS = 5


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    """The embedded data."""
    return spatialjax.load_data("us-metros")


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
    assert timed(lambda: spatialjax.optimum(economy, equilibrium)).found


def test_granular_monte_carlo(timed):
    """A hundred thousand sectors at five firms per sector."""
    granular_cases = pytest.importorskip("granular_cases")
    found = timed(lambda: granular_cases.simulate(10**5))
    assert found.mean.psi < 0


@pytest.mark.parametrize("conduct", ["competitive", "cournot"])
def test_granular_places(timed, conduct):
    """The equilibrium of the embedded zones from a start that is off."""
    granular_cases = pytest.importorskip("granular_cases")
    places = granular_cases.places(conduct)
    assert timed(lambda: granular_cases.solve_perturbed(places)).converged


def test_density_premium(timed):
    """Eq. (2) with all controls on a hundred thousand establishment-years."""
    density_cases = pytest.importorskip("density_cases")
    panel = spatialjax.density.with_regressors(density_cases.simulated(50_000), spatialjax.density.cbsa_table())
    found = timed(lambda: spatialjax.density.premium(panel))
    theirs = density_cases.absorbing_least_squares(panel)
    assert (found.coefficients - theirs).abs().max() < 1e-8


@pytest.mark.parametrize("estimator", ["2sls", "cue"])
def test_externalities(timed, data, economy, estimator):
    """Externalities by occupation with more instruments than endogenous columns."""
    density_cases = pytest.importorskip("density_cases")
    columns = density_cases.instruments(data, economy)
    found = timed(lambda: density_cases.spillovers(economy, estimator, columns))
    assert all(one.observations > 7_000 for one in found.regressions.values())
