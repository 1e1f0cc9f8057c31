"""Running hypothesis over cases, and how a case may end: a named error, or a result that was verified."""

import os
from collections import Counter

import jax
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from spatialjax.errors import SpatialJAXError

FACTOR = int(os.environ.get("SPATIALJAX_FUZZ", "1"))
"""Above one, so many times the cases, drawn anew each time instead of the same ones."""

CASES = {
    "city data": 800,
    "relabelled cities": 40,
    "arguments of inversion": 200,
    "economies": 300,
    "zones": 400,
    "metropolitan areas": 150,
    "panels": 150,
    "truncated and spoilt files": 300,
    "files of other kinds": 150,
    "configurations": 800,
    "overrides": 300,
    "text of configurations": 300,
    "files of scenarios": 150,
    "scenarios": 48,
    "validate": 150,
    "run": 80,
    "disks": 150,
    "granular runs": 50,
    "spillover runs": 60,
    "density runs": 16,
    "histories": 60,
    "folders of tables": 100,
    "files of agencies": 300,
    "data sets from agencies": 24,
    "configurations of builders": 200,
    "folders of runs": 250,
    "folders of sweeps": 50,
}
"""How many cases each test has."""


def fuzz(name, strategy, check):
    """Check as many cases as are promised, drawn from a strategy, and count how they end, by what `check` returns."""
    endings: Counter = Counter()

    @settings(
        max_examples=CASES[name] * FACTOR,
        deadline=None,
        derandomize=FACTOR == 1,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(case):
        endings[check(case)] += 1

    one()
    assert endings.total() >= CASES[name], f"{name}: {endings.total()} cases were run, {CASES[name]} are promised"
    print(f"{name}: {dict(endings)}")
    return endings


def ending(action, verify, *names):
    """What an action on spoilt input ends in: "refused", by an error that says one of these names, or "verified".

    Any other exception is let through, and fails the test.
    """
    refusal = None
    try:
        result = action()
    except SpatialJAXError as error:
        refusal = error
    if refusal is None:
        verify(result)
        return "verified"
    message = str(refusal)
    assert type(refusal) is not SpatialJAXError
    assert any(str(name) in message for name in names), f"{type(refusal).__name__} names none of {names}: {message}"
    return "refused"


def assert_finite(tree, but=()):
    """Every number in a tree of arrays is finite; leaves whose path has one of the words in `but` may be infinite."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jax.dtypes.issubdtype(getattr(leaf, "dtype", None), jax.dtypes.prng_key):
            continue
        where, values = jax.tree_util.keystr(path), np.asarray(leaf)
        if values.dtype.kind == "f":
            bad = np.isnan(values) if any(word in where for word in but) else ~np.isfinite(values)
            assert not bad.any(), f"{where} is not finite: {values}"
