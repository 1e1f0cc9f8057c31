import gc
import os
import shutil
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
# Compilation is most of what tests cost: a third of the time without the compiler's optimisations, and with the simpler
# of its two ways to write loops.
FASTER_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FASTER_TO_COMPILE}"
# Tracing makes many objects that live on: looked through by the collector at its default pace, they cost a tenth more.
gc.set_threshold(20_000, 20, 20)
# What was compiled for one file of tests, in one process, is read back in the others; the folder goes with the session.
CACHE = "JAX_COMPILATION_CACHE_DIR"
OWN_CACHE = None if CACHE in os.environ else tempfile.mkdtemp(prefix="spatialjax-tests-")
if OWN_CACHE:
    os.environ[CACHE] = OWN_CACHE
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"

import jax

jax.config.update("jax_enable_x64", True)

import equinox as eqx
import pytest

import spatialjax as sj

LONGEST = (
    "test_docs",
    "test_notebooks",
    "test_planner",
    "test_us_metros",
    "test_workflow_granular",
    "test_policy_search",
)
"""Files that take minutes. They go first, so that no worker is left alone with one in the end."""


def pytest_unconfigure():
    if OWN_CACHE:
        shutil.rmtree(OWN_CACHE, ignore_errors=True)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="module", autouse=True)
def _compiled_programs_are_let_go():
    """A process with hundreds of compiled programs runs out of memory maps, and the compiler crashes."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def us_data():
    return sj.load_data("us-metros")


@pytest.fixture(scope="session")
def us_economy(us_data):
    return sj.invert(us_data)


@pytest.fixture(scope="session")
def us_equilibrium(us_economy):
    return sj.solve(us_economy, tolerance=1e-12)


@pytest.fixture(scope="session")
def us_no_externalities(us_economy):
    return eqx.tree_at(lambda e: e.spillover, us_economy, sj.NoSpillover())


@pytest.fixture(scope="session")
def us_optimum(us_economy, us_equilibrium):
    return sj.optimum(us_economy, us_equilibrium)
