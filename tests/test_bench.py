import os
import sys
import time
from operator import truediv
from pathlib import Path

import numpy as np
import pytest
from economies import random_economy
from typer.testing import CliRunner

import spatialjax as sj
from spatialjax import bench, cli

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import (  # noqa: E402
    command,
    document,
    floors,
    gegravity_baseline,
    gravity_world,
    numpy_baseline,
    numpy_newton_krylov,
    recorded,
)
from benchmarks.figure import draw  # noqa: E402
from benchmarks.hard_cases import CASES, PUBLISHED_CASES, cases_of, hard_row, hard_table  # noqa: E402
from benchmarks.parts import PARTS  # noqa: E402
from benchmarks.processes import PartError, in_own_process  # noqa: E402
from benchmarks.protocol import Part, Setting  # noqa: E402


class TestCommand:
    def test_of_the_repository(self):
        assert bench.program() == [sys.executable, str(ROOT / "benchmarks" / "run.py")]

    def test_of_an_installed_wheel(self, tmp_path):
        package = tmp_path / "spatialjax"
        (package / "_benchmarks").mkdir(parents=True)
        (package / "_benchmarks" / "__main__.py").touch()
        assert bench.program(package) == [sys.executable, "-m", "spatialjax._benchmarks"]

    def test_says_where_it_looked(self, tmp_path):
        with pytest.raises(bench.BenchmarksMissingError, match="_benchmarks"):
            bench.program(tmp_path / "spatialjax")

    def test_passes_options_on_and_its_status_back(self, monkeypatch):
        seen = []
        monkeypatch.setattr(bench, "bench", lambda arguments: seen.append(arguments) or 3)
        done = CliRunner().invoke(cli.app, ["bench", "--only", "floor", "peers", "--help"])
        assert done.exit_code == 3
        assert seen == [["--only", "floor", "peers", "--help"]]

    def test_measures_parts_in_their_order(self, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["bench", "--only", "sizes", "floor"])
        assert command._names(command._arguments()) == ("floor", "sizes")
        monkeypatch.setattr(sys, "argv", ["bench"])
        standard = command._names(command._arguments())
        assert "batches" in standard
        assert "density" not in standard


class TestOwnProcess:
    def test_returns_what_the_function_does(self):
        assert in_own_process(truediv, 1, 4) == 0.25

    def test_says_what_went_wrong(self):
        with pytest.raises(PartError, match="ZeroDivisionError"):
            in_own_process(truediv, 1, 0)
        with pytest.raises(PartError, match="exit code 3"):
            in_own_process(os._exit, 3)

    def test_is_stopped_in_time(self):
        began = time.perf_counter()
        with pytest.raises(PartError, match=r"stopped after 0\.2 s"):
            in_own_process(time.sleep, 60, limit=0.2)
        assert time.perf_counter() - began < 20


class TestRecord:
    @pytest.fixture
    def measured(self, monkeypatch):
        def fails(setting):
            raise PartError("Traceback ...\nMemoryError: too large\n---\nA note of JAX.")

        parts = {
            "first": Part(
                lambda part: f"First at {part['value']}", lambda _: {"value": 1}, lambda part, _: ["a table"]
            ),
            "broken": Part(lambda _: "Broken", fails, lambda part, _: ["never"]),
        }
        machine = {"platform": "cpu", "cores": 2, "device": "cpu", "jax": "1.2"}
        monkeypatch.setattr(recorded, "in_own_process", lambda function: machine)
        for module in (recorded, document):
            monkeypatch.setattr(module, "PARTS", parts)
        return parts

    def test_is_merged_part_by_part(self, measured, tmp_path):
        path = recorded.measure_into(["first"], Setting(), tmp_path)
        assert path.name.endswith("-cpu-2-cores.json")
        assert recorded.measure_into(["broken"], Setting(), tmp_path) == path
        page = path.with_suffix(".md").read_text()
        assert "## First at 1\n\na table\n" in page
        assert "## Broken\n\nNot measured: MemoryError: too large." in page
        assert sorted(file.suffix for file in tmp_path.iterdir()) == [".json", ".md"]

    def test_is_written_between_marks_of_the_docs(self, measured, tmp_path):
        path = recorded.measure_into(["first"], Setting(), tmp_path)
        docs = tmp_path / "docs"
        docs.mkdir()
        page = "by hand\n<!-- benchmarks: {} -->\nold\n<!-- end -->\n"
        (docs / "performance.md").write_text(page.format("first") + page.format("broken"))
        assert list(document.write_docs(path, docs)) == [docs / "performance.md"]
        written = (docs / "performance.md").read_text()
        assert "by hand\n<!-- benchmarks: first -->\na table\n" in written
        assert page.format("broken") in written


def test_every_part_has_its_place_in_the_docs():
    page = (ROOT / "docs" / "performance.md").read_text()
    by_hand = {"density", "estimation"}
    assert set(document.BLOCK.findall(page)) == (set(PARTS) - by_hand) | {document.MACHINE}


def test_the_floor_is_of_the_bandwidth_at_the_kernels_size():
    bandwidth = [{"bytes": 2e6, "bytes_per_second": 4e9}, {"bytes": 1e9, "bytes_per_second": 1e9}]
    results = {"floor": {"bandwidth": bandwidth, "operations_per_second": 8e9}}
    assert floors.evaluation_floor(results, 100) == pytest.approx(2 * 1.6e6 / 4e9)
    assert floors.evaluation_floor(results, 400) == pytest.approx(2 * 25.6e6 / 1e9)
    assert floors.batched_floor(results, 100) == pytest.approx(4 * 20 * 1e4 / 8e9)
    assert floors.evaluation_floor({}, 100) is None


def test_hard_cases_are_told_by_evaluations_and_eigenvalues(tmp_path):
    """The first case on few random cities; those of published files are among them where a folder is named."""
    setting = Setting(quick=True, repeats=1, limit=5.0)
    row = hard_row(CASES[0].name, setting)
    assert row["problem"] == CASES[0].name
    assert row["evaluations"] > 1
    assert row["moved"] < 1e-6
    assert row["growing"] == (row["leading"] - 1 > row["leading_residual"]) or row["growing"] > 1
    lines = hard_table([row])
    assert "the data's" in lines[-1]
    assert len(cases_of(Setting(peers=tmp_path))) == len(CASES) + len(PUBLISHED_CASES)
    assert cases_of(Setting()) == CASES


def test_the_figure_shows_what_was_measured():
    def row(problem, solver, seconds, outcome="converged"):
        return {"problem": problem, "solver": solver, "median_seconds": seconds, "outcome": outcome, "evaluations": 9}

    timing = {"median_seconds": 1.0}
    solves = [row("a", "spatialjax", 0.1), row("a", "SciPy Newton-Krylov", 2.0, "no convergence")]
    sizes = [{"cities": n, "solves": solves[:1], "inversion": timing, "gradient": timing} for n in (10, 20)]
    batch = {"rows": [{"name": "f: loop", "per_second": 4.0}, {"name": "f: 16", "per_second": 9.0, "count": 16}]}
    results = {
        "counterfactuals": {"cities": 10, "rows": solves},
        "sizes": {"rows": [*sizes, {"cities": 30, "left_out": "too large"}]},
        "batches": {"cities": 10, "families": {"f": batch, "none": {"rows": []}}},
    }
    assert [axes.get_title(loc="left") for axes in draw(results).axes] == [
        "A solve, 10 cities",
        "Growth with the number of cities",
        "Batches, 10 cities",
    ]
    assert draw({"sizes": {"failed": "no memory"}}) is None


@pytest.fixture(scope="module")
def solved():
    economy = random_economy()
    return economy, sj.solve(economy, tolerance=1e-11)


@pytest.mark.parametrize("preconditioned", [False, True])
def test_newton_krylov_finds_the_same_equilibrium(solved, preconditioned):
    economy, equilibrium = solved
    problem = numpy_baseline.Problem.of(economy)
    found = numpy_newton_krylov.solve(problem, economy.reference, preconditioned=preconditioned)
    assert found.converged, found.outcome
    lives = np.asarray(equilibrium.employment) > 0
    np.testing.assert_allclose(found.wage[lives], np.asarray(equilibrium.wage)[lives], rtol=1e-8)
    np.testing.assert_allclose(found.employment[lives], np.asarray(equilibrium.employment)[lives], rtol=1e-8)


def test_newton_krylov_reports_that_it_ran_out_of_time(solved):
    problem = numpy_baseline.Problem.of(solved[0])
    found = numpy_newton_krylov.solve(problem, solved[0].reference, preconditioned=False, time_limit=0.0)
    assert (found.outcome, found.sweeps) == ("time limit", 0)


@pytest.fixture(scope="module")
def world():
    return gravity_world.synthetic(6)


class TestGravity:
    """One-sector gravity as an economy: hat algebra by plain iteration, and the package gegravity where it is there."""

    def test_without_a_change_nothing_changes(self, world):
        found, _ = gravity_world.full(world._replace(change=np.zeros((6, 6))))
        np.testing.assert_allclose(found.price, 1, atol=1e-10)
        np.testing.assert_allclose(found.price_index, 1, atol=1e-10)

    @pytest.mark.parametrize("rule", [gravity_world.proportional, gravity_world.transfers])
    def test_is_the_equilibrium_in_changes(self, world, rule):
        found, equilibrium = gravity_world.full(world, rule(world))
        wage, index = hat_algebra(world, fixed=rule is gravity_world.transfers)
        np.testing.assert_allclose(equilibrium.wage[:, 0], wage, rtol=1e-9)
        np.testing.assert_allclose(found.price / found.price_index, wage / index, rtol=1e-9)
        assert np.abs(wage / index - 1).max() > 1e-3

    def test_as_gegravity_has_it(self, world):
        pytest.importorskip("gegravity")
        theirs, succeeded = gegravity_baseline.simulate(world, rescale=100.0)
        ours = gravity_world.held(world)
        assert all(succeeded.values())
        np.testing.assert_allclose(theirs.price, ours.price, rtol=1e-8)
        np.testing.assert_allclose(theirs.price_index, ours.price_index, rtol=1e-8)

    def test_called_again_gegravity_ends_in_the_equilibrium(self, world):
        pytest.importorskip("gegravity")
        theirs, calls, step = gegravity_baseline.repeat(world, rescale=100.0)
        ours, _ = gravity_world.full(world)
        assert (calls > 3, step < 1e-10) == (True, True)
        np.testing.assert_allclose(theirs.price, ours.price, rtol=1e-8)
        np.testing.assert_allclose(theirs.price_index, ours.price_index, rtol=1e-8)


def hat_algebra(world, fixed):
    """Changes of wages, world output held, and of price indices, by damped iteration on baseline shares."""
    potential = np.asarray(gravity_world.calibrate(world).potential)
    strength = np.exp(world.log_ease + potential[:, None])
    share = strength / strength.sum(0)
    assert np.allclose(share @ world.expenditure, world.output)
    wage, total = np.ones(world.output.size), world.output.sum()
    for _ in range(2000):
        access = share * np.exp(world.change) * wage[:, None] ** -world.theta
        if fixed:
            spending = world.output * wage + world.expenditure - world.output
        else:
            spending = world.expenditure * wage
            spending *= (world.output * wage).sum() / spending.sum()
        sold = access / access.sum(0) @ spending
        wage = wage * (sold / (world.output * wage)) ** 0.2
        wage *= total / (world.output * wage).sum()
    return wage, access.sum(0) ** (-1 / world.theta)


def test_worlds_of_other_packages_are_read(tmp_path):
    import pandas as pd

    names = ("CAN", "DEU", "JPN")
    pairs = pd.MultiIndex.from_product([names, names], names=["exporter", "importer"]).to_frame(index=False)
    foreign = (pairs["exporter"] != pairs["importer"]).astype(int)
    output = pairs["exporter"].map({"CAN": 2.0, "DEU": 3.0, "JPN": 5.0})
    spent = pairs["importer"].map({"CAN": 4.0, "DEU": 6.0, "JPN": 10.0})
    frame = pairs.assign(Y=output, E=spent, lndist=7.0 + foreign, contiguity=0, common_language=0, pta=0)
    world = gravity_world.gegravity_example(frame.assign(international=foreign).sample(frac=1, random_state=0))
    np.testing.assert_allclose(world.expenditure, world.output)
    wanted = np.zeros((3, 3))
    wanted[0, 2] = wanted[2, 0] = gravity_world.EXAMPLE["pta"]
    np.testing.assert_array_equal(world.change, wanted)
    assert world.log_ease[0, 1] - world.log_ease[0, 0] == pytest.approx(
        gravity_world.EXAMPLE["lndist"] + gravity_world.EXAMPLE["international"]
    )

    flows = frame.assign(trade=np.arange(1.0, 10.0), eu_effect=foreign * 0.1, w_eu=output)
    observed, welfare = gravity_world.ge_gravity_example(flows)
    np.testing.assert_allclose(welfare, [2.0, 3.0, 5.0])
    potential = np.asarray(gravity_world.calibrate(observed).potential)
    assert np.ptp(potential - np.log(observed.output)) < 1e-9
