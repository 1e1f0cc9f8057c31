"""The public package gegravity on the same worlds: `pip install gegravity`.

Version 0.3 solves both of its systems, "conditional" and "full GE", with shares of output and expenditure held at the
baseline: prices follow from the multilateral resistances, and output is multiplied by them afterwards. The equilibrium
in which output and expenditure move with prices is reached here by giving it output and expenditure anew until they do
not change, as users of the method do.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from io import StringIO
from time import perf_counter

import numpy as np
import pandas as pd

from .gravity_world import Counterfactual, World

YEAR = "2000"
MOST_CALLS = 60
ACCEPTED = 1e-10
"""Log change of prices at which the repeated calls end."""


def installed() -> bool:
    """Whether the package is there."""
    return find_spec("gegravity") is not None


def package_version() -> str:
    """Of the installed package."""
    return version("gegravity")


def frame_of(world: World, output: np.ndarray, expenditure: np.ndarray, changed: bool) -> pd.DataFrame:
    """A world in the package's format: a row for each pair of countries."""
    count, names = len(world.countries), np.array(world.countries)
    exporter, importer = (axis.ravel() for axis in np.meshgrid(range(count), range(count), indexing="ij"))
    return pd.DataFrame(
        {
            "exporter": names[exporter],
            "importer": names[importer],
            "year": YEAR,
            "trade": 1.0,
            "Y": output[exporter],
            "E": expenditure[importer],
            "log_ease": (world.log_ease - world.log_ease.max()).ravel(),
            "change": world.change.ravel() * changed,
        }
    )


def _model(world: World, output: np.ndarray, expenditure: np.ndarray, changed: bool):
    import gegravity

    frame = frame_of(world, output, expenditure, changed)
    baseline = gegravity.BaselineData(frame, trade_var_name="trade", expend_var_name="E", output_var_name="Y")
    names = ["log_ease", "change"]
    coefficients = pd.DataFrame({"name": names, "coefficient": [1.0, 1.0], "error": [0.0, 0.0]})
    costs = gegravity.CostCoeffs(coefficients, identifier_col="name", coeff_col="coefficient", stderr_col="error")
    return gegravity.OneSectorGE(
        baseline,
        year=YEAR,
        reference_importer=world.reference,
        sigma=world.sigma,
        cost_variables=names,
        cost_coeff_values=costs,
        quiet=True,
    )


def _built(world: World, output: np.ndarray, expenditure: np.ndarray, changed: bool, rescale: float):
    with _quiet(*OUTDATED):
        model = _model(world, output, expenditure, changed)
        model.build_baseline(omr_rescale=rescale)
    return model


def suitable_rescale(world: World) -> float:
    """A scale of outward resistances with which the package solves its baseline: users are to choose one."""
    with _quiet(Warning):
        tried = _model(world, world.output, world.expenditure, False).check_omr_rescale(omr_rescale_range=3)
    solved = tried[tried["solved"]]
    if solved.empty:
        raise RuntimeError(f"gegravity solves the baseline of {world.name} with no scale that it suggests")
    return float(solved.sort_values("max_func_value")["omr_rescale"].iloc[0])


@contextmanager
def _quiet(*categories: type[Warning]) -> Iterator[None]:
    """Without what the package prints, and without these warnings."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        for category in categories:
            warnings.simplefilter("ignore", category)
        yield


OUTDATED = (DeprecationWarning, FutureWarning, PendingDeprecationWarning)
"""What pandas says of calls that the package makes."""


def simulate(world: World, rescale: float) -> tuple[Counterfactual, dict[str, bool]]:
    """From data to the package's counterfactual, and whether its searches succeeded."""
    model = _built(world, world.output, world.expenditure, False, rescale)
    experiment = model.baseline_data.drop(columns="index")
    experiment["change"] = frame_of(world, world.output, world.expenditure, True)["change"].to_numpy()
    with _quiet(*OUTDATED):
        model.define_experiment(experiment)
        model.simulate()
    countries = list(world.countries)
    price = model.factory_gate_prices.iloc[:, 0].loc[countries].to_numpy(float)
    index = model.country_results["imr change (percent)"].loc[countries].to_numpy(float)
    succeeded = {name: bool(found.success) for name, found in model.solver_diagnostics.items()}
    return Counterfactual(price, 1 + index / 100), succeeded


def repeat(world: World, rescale: float, time_limit: float = float("inf")) -> tuple[Counterfactual, int, float]:
    """The package called again on the output and expenditure that its prices give, until prices stay.

    Returns the counterfactual, the number of calls, and the last log change of prices.
    """
    began = perf_counter()
    before = _built(world, world.output, world.expenditure, False, rescale).baseline_mr.loc[list(world.countries)]
    ratio, power = world.expenditure / world.output, 1 - world.sigma
    technology = _share(world.output) * before["baseline omr"].to_numpy(float) ** -power
    price, step, calls = np.ones(len(world.countries)), np.inf, 0
    while step > ACCEPTED and calls < MOST_CALLS and perf_counter() - began < time_limit:
        output = world.output * price
        expenditure = ratio * output * output.sum() / (ratio * output).sum()
        after = _built(world, output, expenditure, True, rescale).baseline_mr.loc[list(world.countries)]
        resistance = after["baseline omr"].to_numpy(float)
        found = (_share(output) * resistance**-power / technology) ** (1 / power)
        step, calls, price = float(np.abs(np.log(found / price)).max()), calls + 1, found
    index = after["baseline imr"].to_numpy(float) / before["baseline imr"].to_numpy(float)
    return Counterfactual(price, index), calls, step


def _share(output: np.ndarray) -> np.ndarray:
    return output / output.sum()


@contextmanager
def time_in_root() -> Iterator[list[float]]:
    """Seconds of each call of `scipy.optimize.root` that the package makes: its time without its tables."""
    import gegravity  # noqa: F401

    module = sys.modules["gegravity.OneSectorGE"]
    root, spent = module.root, []

    def timed(*arguments, **options):
        began = perf_counter()
        try:
            return root(*arguments, **options)
        finally:
            spent.append(perf_counter() - began)

    module.root = timed
    try:
        yield spent
    finally:
        module.root = root
