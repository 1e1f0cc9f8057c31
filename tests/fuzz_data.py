"""Ways to spoil a data set: each a name and what it draws, so that a failing case can be read."""

import numpy as np
import xarray as xr
from hypothesis import strategies as st

ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, -1e9, 5e-324, 1e-300, 1e-12, 1e12, 1e150, 1e300, 1.7e308)
"""Numbers that data should not have, and some that they may have."""
KINDS = ("text", "complex", "flags", "objects", "times", "single", "whole")
FRACTION = st.floats(0, 1, exclude_max=True)


def spoilt(variables, dimensions):
    """Strategies for one to three changes of a data set with these variables and dimensions."""
    variable, dimension = st.sampled_from(variables), st.sampled_from(dimensions)
    change = st.one_of(
        st.tuples(st.just("cell"), variable, FRACTION, st.sampled_from(ODD)),
        st.tuples(st.just("cell"), variable, FRACTION, st.floats(width=64)),
        st.tuples(st.just("all"), variable, st.sampled_from(ODD)),
        st.tuples(st.just("scaled"), variable, st.sampled_from((-1.0, 0.0, 1e-300, 1e-9, 1e-3, 1e3, 1e9, 1e300))),
        st.tuples(st.just("scaled cell"), variable, FRACTION, st.floats(0.2, 3.0)),
        st.tuples(st.just("scaled cell"), variable, FRACTION, st.floats(0.9, 1.1)),
        st.tuples(st.just("shuffled"), variable, st.integers(0, 99)),
        st.tuples(st.just("missing"), variable),
        st.tuples(st.just("renamed"), variable),
        st.tuples(st.just("kind"), variable, st.sampled_from(KINDS)),
        st.tuples(st.just("wider"), variable),
        st.tuples(st.just("narrower"), variable),
        st.tuples(st.just("turned"), variable),
        st.tuples(st.just("no labels"), dimension),
        st.tuples(st.just("no dimension"), dimension),
        st.tuples(st.just("renamed dimension"), dimension),
        st.tuples(st.just("repeated label"), dimension),
        st.tuples(st.just("shuffled labels"), dimension),
        st.tuples(st.just("odd labels"), dimension),
        st.tuples(st.just("shorter"), dimension, st.integers(0, 2)),
        st.tuples(st.just("odd title"), dimension),
    )
    return st.lists(change, min_size=1, max_size=3)


def apply(data, changes):
    """The data set with these changes, each as far as the ones before leave it possible."""
    for kind, name, *rest in changes:
        if name in data.variables or name in data.dims:
            data = CHANGES[kind](data, name, *rest)
    return data


def _cell(data, name, where, value):
    return _with_cell(data, name, where, lambda old: value)


def _scaled_cell(data, name, where, factor):
    return _with_cell(data, name, where, lambda old: old * factor)


def _with_cell(data, name, where, new):
    if data[name].dtype.kind not in "fiub" or not data[name].size:
        return data
    values = data[name].values.astype(float)
    at = np.unravel_index(int(where * values.size), values.shape)
    values[at] = new(values[at])
    return data.assign({name: (data[name].dims, values)})


def _all(data, name, value):
    return data.assign({name: (data[name].dims, np.full(data[name].shape, value))})


def _scaled(data, name, factor):
    if data[name].dtype.kind not in "fiub":
        return data
    with np.errstate(all="ignore"):
        return data.assign({name: (data[name].dims, data[name].values.astype(float) * factor)})


def _shuffled(data, name, seed):
    values = np.random.default_rng(seed).permutation(data[name].values.flatten()).reshape(data[name].shape)
    return data.assign({name: (data[name].dims, values)})


def _kind(data, name, kind):
    values = data[name].values
    made = {
        "text": lambda: values.astype(str),
        "complex": lambda: values.astype(complex),
        "flags": lambda: values.astype(bool),
        "objects": lambda: np.full(values.shape, None, dtype=object),
        "times": lambda: np.full(values.shape, np.datetime64("2017-01-01", "ns")),
        "single": lambda: values.astype("float32"),
        "whole": lambda: np.nan_to_num(values.astype(float), posinf=9.0).astype("int32"),
    }
    try:
        return data.assign({name: (data[name].dims, made[kind]())})
    except (ValueError, TypeError):  # a second change of what a first one has made
        return data


def _wider(data, name):
    if name in data.dims or "year" in data[name].dims:
        return data
    return data.assign({name: data[name].variable.set_dims({"year": 2, **data[name].sizes})})


def _narrower(data, name):
    if name in data.dims or not data[name].ndim or not data[name].size:
        return data
    return data.assign({name: data[name].variable.isel({data[name].dims[0]: 0})})


def _turned(data, name):
    return data.assign({name: data[name].transpose()}) if name in data.data_vars else data


def _no_dimension(data, name):
    return data.isel({name: 0}, drop=True) if name in data.dims and data.sizes[name] else data


def _renamed_dimension(data, name):
    return data.rename({name: f"{name}_2"}) if name in data.dims else data


def _relabelled(data, name, change):
    if name not in data.dims or data.sizes[name] < 2:
        return data
    labels = data[name].values.astype(object)
    return data.assign_coords({name: change(labels)})


def _repeated(data, name):
    return _relabelled(data, name, lambda labels: np.array([labels[0], *labels[:-1]]).astype(str))


def _shuffled_labels(data, name):
    return _relabelled(data, name, lambda labels: np.roll(labels, 1).astype(str))


def _odd_labels(data, name):
    return _relabelled(data, name, lambda labels: np.full(len(labels), np.nan))


def _shorter(data, name, size):
    return data.isel({name: slice(0, size)}) if name in data.dims else data


def _odd_title(data, name):
    return data.assign(title=(name, np.arange(data.sizes[name]))) if name in data.dims else data


CHANGES = {
    "cell": _cell,
    "scaled cell": _scaled_cell,
    "all": _all,
    "scaled": _scaled,
    "shuffled": _shuffled,
    "missing": lambda data, name: data.drop_vars(name, errors="ignore"),
    "renamed": lambda data, name: data.rename({name: f"{name}s"}),
    "kind": _kind,
    "wider": _wider,
    "narrower": _narrower,
    "turned": _turned,
    "no labels": lambda data, name: data.drop_vars(name, errors="ignore"),
    "no dimension": _no_dimension,
    "renamed dimension": _renamed_dimension,
    "repeated label": _repeated,
    "shuffled labels": _shuffled_labels,
    "odd labels": _odd_labels,
    "shorter": _shorter,
    "odd title": _odd_title,
}


def spoil_bytes(content, how):
    """A file's bytes cut off, overwritten in places, or with others in front or behind."""
    kind, where, payload = how
    at = int(where * len(content))
    match kind:
        case "cut":
            return content[:at]
        case "overwritten":
            return content[:at] + payload + content[at + len(payload) :]
        case "in front":
            return payload + content
        case "zeros":
            return content[:at] + bytes(len(content) - at)
    return content + payload


BYTES = st.tuples(
    st.sampled_from(("cut", "cut", "cut", "overwritten", "overwritten", "zeros", "in front", "behind")),
    FRACTION,
    st.binary(min_size=1, max_size=64),
)


def zones():
    """Three zones with names, in a data set without the variables that are optional."""
    return xr.Dataset(
        {
            "population": ("zone", [9e5, 2e5, 1e4]),
            "wage": ("zone", [480.0, 350.0, 290.0]),
            "establishments": ("zone", [5000.0, 400.0, 12.0]),
            "title": ("zone", ["Big", "Middle", "Small"]),
            "sectors": 148,
        },
        {"zone": ["a", "b", "c"]},
    )
