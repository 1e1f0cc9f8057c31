"""Ways to spoil a configuration: as a tree of keys, as text, and as overrides of a command."""

import copy
import string
import tomllib
from datetime import date
from pathlib import Path

from hypothesis import strategies as st

CONFIGS = Path(__file__).parents[1] / "configs"
NAMES = sorted(path.name for path in CONFIGS.glob("*.toml") if not path.name.startswith("data_"))
WORDS = (
    "",
    "x",
    "none",
    "optimal",
    "occupation",
    "0.5",
    "nan",
    "equal-gains",
    "stored",
    "a.b",
    "\x00",
    "naïve ✓",
    "../..",
)
NUMBERS = (
    0,
    1,
    -1,
    2,
    10**30,
    -(10**400),
    0.0,
    0.5,
    1.0,
    -2.5,
    1e-300,
    1e300,
    float("nan"),
    float("inf"),
    -float("inf"),
)
LISTS = (
    [],
    [0.5],
    [0.5, 0.4],
    [1, "a"],
    [[0.5], []],
    [[0.7, 0.1], [0.2, 0.3]],
    [{}],
    [True],
    [float("nan"), 1.0],
    [1] * 30,
)
TABLES = (
    {},
    {"kind": "none"},
    {"kind": "odd"},
    {"kind": 1},
    {"x": {"y": 1}},
    {"": 1},
    {"a b": {}},
    {"kind": "flat-tax", "rate": 2},
)
VALUES = (*WORDS, *NUMBERS, *LISTS, *TABLES, True, False, date(2017, 1, 1))
POSITION = st.integers(0, 10**6)

CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("replaced"), POSITION, st.sampled_from(range(len(VALUES)))),
        st.tuples(st.just("replaced"), POSITION, st.sampled_from(range(len(VALUES)))),
        st.tuples(st.just("removed"), POSITION, st.just(0)),
        st.tuples(st.just("misspelt"), POSITION, st.integers(0, 99)),
        st.tuples(st.just("added"), POSITION, st.sampled_from(range(len(VALUES)))),
        st.tuples(st.just("swapped"), POSITION, POSITION),
    ),
    min_size=1,
    max_size=3,
)


def tree(name):
    """The tables of one of the configurations that are shipped, laid over what it extends."""
    from spatialjax.workflow.config import _read

    return _read(CONFIGS / name)


def paths(node, before=()):
    """Where every key and every element is in a tree."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*before, key)
        yield from paths(value, (*before, key))


def changed(node, changes):
    """The tree with these changes."""
    node = copy.deepcopy(node)
    for kind, position, other in changes:
        known = list(paths(node))
        if known:
            _change(node, kind, known[position % len(known)], other, known)
    return node


def _change(node, kind, path, other, known):
    parent = _at(node, path[:-1])
    match kind:
        case "replaced":
            parent[path[-1]] = copy.deepcopy(VALUES[other])
        case "removed":
            del parent[path[-1]]
        case "misspelt" if isinstance(parent, dict):
            key = path[-1]
            parent[key[: other % (len(key) + 1)] + "q" + key[other % (len(key) + 1) :]] = parent.pop(key)
        case "added" if isinstance(parent, dict):
            parent["zz"] = copy.deepcopy(VALUES[other])
        case "swapped":
            parent[path[-1]] = copy.deepcopy(_at(node, known[other % len(known)]))


def _at(node, path):
    for part in path:
        node = node[part]
    return node


def spoil_text(text, how):
    """A file's text with a piece removed, doubled or replaced."""
    kind, where, length, payload = how
    at = int(where * len(text))
    match kind:
        case "cut":
            return text[:at]
        case "removed":
            return text[:at] + text[at + length :]
        case "doubled":
            return text[: at + length] + text[at:]
    return text[:at] + payload + text[at:]


TEXT = st.tuples(
    st.sampled_from(("cut", "removed", "doubled", "inserted", "inserted")),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 40),
    st.one_of(st.text(alphabet="[]{}=\"'\n\\.#,", min_size=1, max_size=4), st.text(min_size=1, max_size=6)),
)

KEY = st.one_of(
    st.sampled_from(
        (
            *(
                "model.trade_elasticity",
                "model.location_elasticity",
                "spillover.kind",
                "spillover.share",
                "data.source",
            ),
            *("planner.weights", "planner.objective", "policy.tax.rate", "policy.tax.kind", "counterfactual.a.optimum"),
            *("economy", "output.folder", "solver.tolerance", "stability.starts", "variant.x.amenities", "sweep.kind"),
            *("sweep.parameter.a.draw.mean", "simulation.draws", "conducts", "uncertainty", "decomposition.steps"),
            *("model", "spillover", "spillover.share.0", "", ".", "a..b", "extends"),
        )
    ),
    st.text(alphabet=string.ascii_lowercase + "._ ", max_size=12),
)
WRITTEN = st.one_of(
    st.sampled_from(
        (
            "1",
            "-1",
            "0",
            "nan",
            "inf",
            "1e400",
            "true",
            "[]",
            "[1, 2]",
            "[1,",
            "{}",
            "{kind='none'}",
            '"x"',
            "'",
            ".3",
            "none",
        )
    ),
    st.sampled_from(
        ("granular", "spillovers", "density", "history", "cities", "x=y", "1\n[model]\nx=1", "flat-tax", "\x00")
    ),
    st.text(max_size=10),
)
OVERRIDES = st.lists(st.one_of(st.builds("{}={}".format, KEY, WRITTEN), st.text(max_size=12)), min_size=1, max_size=3)


def toml(node):
    """A tree as TOML; what TOML cannot have is left out."""
    import tomli_w

    text = tomli_w.dumps(node)
    tomllib.loads(text)
    return text
