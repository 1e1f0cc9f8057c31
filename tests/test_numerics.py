"""The solvers on problems that are no economies."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from spatialjax.numerics.anderson import Iterate
from spatialjax.numerics.batched_inverse import determinant_signs, inverses
from spatialjax.numerics.linear import solve_linear
from spatialjax.numerics.local_inverse import apply_local, local_inverse
from spatialjax.numerics.newton_krylov import krylov_step
from spatialjax.numerics.packing import pack, unpack
from spatialjax.numerics.root import (
    BRAKE,
    CALMER,
    FASTER,
    HURRY,
    LONGEST_PACE,
    PACE,
    SLOWER,
    Status,
    _gradual,
    _hurried,
    find_root,
)
from spatialjax.numerics.safe_math import masked_divide, masked_log


def coupled(state, args):
    """Places with a strong loop inside and weak ties between them."""
    mean = args["tie"] * jnp.tanh(state["x"]).mean()
    return {
        "x": args["target"] + 1.5 * jnp.sin(state["y"][:, 0]) + mean - state["x"],
        "y": jnp.stack([jnp.cos(state["x"]), 0.3 * state["x"] ** 2], axis=1) - state["y"],
    }


def identity(state, args):
    return args


def start(places=7):
    return {"x": jnp.zeros(places), "y": jnp.zeros((places, 2))}


def arguments(places=7, tie=0.4):
    return {"tie": jnp.asarray(tie), "target": jnp.linspace(-1, 1, places)}


def solve(args, **options):
    options = {"tolerance": 1e-12, "max_evaluations": 500} | options
    return find_root(coupled, identity, start(), args, {"x": 0.3, "y": 1.0}, **options)


def test_finds_a_root():
    found = solve(arguments())
    assert found.status == Status.converged
    for leaf in jax.tree.leaves(coupled(found.state, arguments())):
        assert float(jnp.abs(leaf).max()) < 1e-12


def test_derivative_is_implicit():
    def value(tie):
        return (solve(arguments(tie=tie)).state["x"] ** 2).sum()

    h = 1e-5
    finite = (value(0.4 + h) - value(0.4 - h)) / (2 * h)
    assert float(jax.grad(value)(0.4)) == pytest.approx(float(finite), rel=1e-8)
    curvature = (jax.grad(value)(0.4 + h) - jax.grad(value)(0.4 - h)) / (2 * h)
    assert float(jax.hessian(value)(0.4)) == pytest.approx(float(curvature), rel=1e-6)


def test_counts_evaluations_and_stops_at_their_limit():
    found = solve(arguments(), max_evaluations=4)
    assert found.status == Status.out_of_evaluations
    assert int(found.evaluations) == 4


def test_says_when_the_start_is_not_finite():
    args = arguments() | {"target": jnp.full(7, jnp.nan)}
    assert solve(args).status == Status.not_finite


def test_says_when_there_is_no_root():
    def no_root(state, args):
        return {"x": 1 + state["x"] ** 2}

    found = find_root(
        no_root, identity, {"x": jnp.ones(3)}, arguments(), {"x": 0.1}, tolerance=1e-10, max_evaluations=10_000
    )
    assert found.status == Status.stalled
    assert int(found.evaluations) < 10_000


def folded(state, args):
    """Places whose local solution near -1 has just vanished: what is left of it lies between the start and the root."""
    x = state["x"]
    return {"x": args["rate"] * (args["level"] + args["tie"] * jnp.tanh(x).mean() - (x**3 - 3 * x))}


FOLDS = {
    "alike": ([2.1, 2.1, 2.1, 2.1], [1.0, 1.0, 1.0, 1.0]),
    "in some places": ([2.2, 2.05, -1.0, 3.0], [1.0, 1.0, 1.0, 1.0]),
    "each at its own speed": ([2.1, 2.1, 2.1, 2.1], [0.1, 1.0, 3.0, 10.0]),
}


def solve_folded(name, **options):
    level, rate = (jnp.asarray(x) for x in FOLDS[name])
    args = {"level": level, "rate": rate, "tie": jnp.asarray(0.02)}
    options = {"tolerance": 1e-11, "max_evaluations": 1000} | options
    return args, find_root(folded, identity, {"x": jnp.full(4, -2.0)}, args, {"x": 0.3}, **options)


class TestBatchedInverse:
    @pytest.fixture
    def matrices(self):
        rng = np.random.default_rng(5)
        made = rng.normal(size=(7, 6, 6))
        made[0, 0, 0] = made[1, :3, :3] = 0.0  # without swaps of rows there is no elimination
        made[2] = np.eye(6)[rng.permutation(6)]
        return made

    def test_is_that_of_lapack(self, matrices):
        for found in (inverses(matrices), jax.jit(inverses)(matrices)):
            np.testing.assert_allclose(found, np.linalg.inv(matrices), rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(determinant_signs(jnp.asarray(matrices)), np.linalg.slogdet(matrices)[0])

    def test_of_batches_of_batches(self, matrices):
        many = jnp.stack([jnp.asarray(matrices), 2 * jnp.asarray(matrices)])
        np.testing.assert_allclose(jax.jit(jax.vmap(inverses))(many), np.linalg.inv(many), rtol=1e-10, atol=1e-12)

    def test_several_at_a_time_do_not_wait_for_each_other(self):
        """In a process of its own, which is stopped if they do: on few cores LAPACK's batched kernels would."""
        program = (
            "import jax, jax.numpy as jnp, numpy as np;"
            "from spatialjax.numerics.batched_inverse import inverses;"
            "many = jnp.asarray(np.random.default_rng(0).normal(size=(8, 300, 40, 40)) + 9 * np.eye(40));"
            "run = jax.jit(lambda *parts: sum(inverses(part).sum() for part in parts));"
            "print([float(run(*many)) for _ in range(20)][-1])"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stderr

    def test_of_a_singular_matrix_is_no_number(self, matrices):
        matrices[3, 4] = 2 * matrices[3, 1]
        matrices[4] = 0.0
        found = np.asarray(inverses(jnp.asarray(matrices)))
        assert not np.isfinite(found[4]).all()
        assert not abs(found[3]).max() < 1e12
        others = [0, 1, 2, 5, 6]
        np.testing.assert_allclose(found[others], np.linalg.inv(matrices[others]), rtol=1e-10, atol=1e-12)

    def test_has_derivatives(self, matrices):
        first = jnp.asarray(matrices[5:])
        check_grads(inverses, (first,), order=2, modes=["fwd", "rev"], rtol=1e-5)


def coupled_signs(state, args):
    """Neither contracting nor local: places are tied in a ring, and directions of both signs grow."""
    x = state["x"]
    return {"x": args["tie"] @ x + 0.3 * x**3 - args["level"]}


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(2)
    tie = rng.normal(size=(60, 60)) - np.diag(rng.normal(size=60))
    root = rng.normal(0, 0.3, 60)
    level = tie @ root + 0.3 * root**3
    return {"tie": jnp.asarray(tie), "level": jnp.asarray(level)}, root + 0.01 * rng.normal(size=60)


class TestWholeNewton:
    """Where local steps and accelerated ones fail, the whole Jacobian finds the root."""

    def test_finds_a_root_around_which_directions_of_both_signs_grow(self, problem):
        args, start = problem
        found = find_root(
            coupled_signs, identity, {"x": jnp.asarray(start)}, args, {"x": 0.3}, tolerance=1e-11, max_evaluations=600
        )
        assert found.status == Status.converged
        assert float(jnp.abs(coupled_signs(found.state, args)["x"]).max()) < 1e-11

    def test_a_step_falls_or_is_not_taken(self, problem):
        args, start = problem
        evaluate = lambda x: coupled_signs({"x": x[:, 0]}, args)["x"][:, None]  # noqa: E731
        at = Iterate(jnp.asarray(start)[:, None], evaluate(jnp.asarray(start)[:, None]))
        local = jnp.ones((60, 1, 1))
        step = krylov_step(evaluate, at, local, wanted=jnp.asarray(True), max_evaluations=jnp.asarray(500))
        assert bool(step.accepted)
        assert float(jnp.linalg.norm(step.at.residual)) == pytest.approx(float(step.norm))
        assert float(step.norm) < 0.5 * float(step.norm_before)
        none = krylov_step(evaluate, at, local, wanted=jnp.asarray(False), max_evaluations=jnp.asarray(500))
        assert not bool(none.accepted)
        assert int(none.evaluations) == 0
        np.testing.assert_array_equal(none.at.state, at.state)

    def one_step(self, evaluate, start):
        at = Iterate(jnp.array([[start]]), evaluate(jnp.array([[start]])))
        return krylov_step(
            evaluate, at, jnp.ones((1, 1, 1)), wanted=jnp.asarray(True), max_evaluations=jnp.asarray(500)
        )

    def test_a_step_is_whole_where_that_helps_and_no_longer_than_needed_where_not(self):
        straight = self.one_step(lambda x: -x, 0.5)
        assert bool(straight.accepted)
        assert float(straight.at.state[0, 0]) == pytest.approx(0.0, abs=1e-12)
        # Newton's step leads 3.6 to the other side, a step of one log point no nearer, half of that to the root.
        bent = self.one_step(lambda x: -jnp.arctan(10 * x), 0.5)
        assert bool(bent.accepted)
        assert float(bent.at.state[0, 0]) == pytest.approx(0.0, abs=1e-12)

    def test_a_step_of_which_no_part_helps_is_not_taken(self):
        step = self.one_step(lambda x: -jnp.arctan(1e5 * x), 0.03)
        assert not bool(step.accepted)
        assert float(step.at.state[0, 0]) == 0.03
        assert float(step.norm) == float(step.norm_before)

    def test_a_step_keeps_to_the_limit_of_evaluations(self, problem):
        args, start = problem
        evaluate = lambda x: coupled_signs({"x": x[:, 0]}, args)["x"][:, None]  # noqa: E731
        at = Iterate(jnp.asarray(start)[:, None], evaluate(jnp.asarray(start)[:, None]))
        for limit in (3, 12, 30):
            step = krylov_step(
                evaluate, at, jnp.ones((60, 1, 1)), wanted=jnp.asarray(True), max_evaluations=jnp.asarray(limit)
            )
            assert int(step.evaluations) <= limit


class TestMarch:
    @pytest.mark.parametrize("name", FOLDS)
    def test_passes_where_a_local_solution_has_vanished(self, name):
        args, found = solve_folded(name)
        assert found.status == Status.converged
        assert float(jnp.abs(folded(found.state, args)["x"]).max()) < 1e-11
        gone = np.asarray(args["level"]) > 2
        assert (np.asarray(found.state["x"])[gone] > 2).all()
        assert (np.asarray(found.state["x"])[~gone] < -1.5).all()

    def test_is_needed_there(self):
        """Newton's method that wants its residual to fall ends where the local solution was."""
        args, _ = solve_folded("alike")
        x = jnp.full(4, -2.0)
        for _ in range(200):
            value, slope = jax.jvp(lambda x: folded({"x": x}, args)["x"], (x,), (jnp.ones(4),))
            for size in 0.5 ** np.arange(40):
                trial = x - size * value / slope
                if float(jnp.abs(folded({"x": trial}, args)["x"]).max()) < float(jnp.abs(value).max()):
                    x = trial
                    break
        np.testing.assert_allclose(x, -1, atol=0.01)
        assert float(jnp.abs(folded({"x": x}, args)["x"]).min()) > 0.05

    def test_slows_down_the_places_that_turn_back_alone(self):
        pace = jnp.asarray([[2.0], [2.0], [2.0], [PACE]])
        move = jnp.asarray([[0.1, 0.2], [-0.1, -0.2], [0.3, 0.0], [0.1, 0.1]])
        last = jnp.asarray([[0.1, 0.1], [0.1, 0.1], [0.0, 0.0], [0.2, 0.2]])
        expected = [[2 * FASTER], [2 * SLOWER], [2 * FASTER], [PACE]]
        np.testing.assert_allclose(_gradual(pace, move, last), expected)

    def test_speeds_up_places_that_crawl_and_stops_those_that_would_go_backwards(self):
        pace = jnp.asarray([[2.0], [2.0], [2.0], [2 * PACE], [LONGEST_PACE], [2.0]])
        move = jnp.asarray([[0.01, 0.02], [-0.01, -0.02], [0.3, 0.0], [0.1, 0.1], [0.01, 0.0], [0.0, 0.0]])
        last = jnp.asarray([[0.1, 0.1], [0.1, 0.1], [0.0, 0.0], [0.2, 0.2], [0.01, 0.0], [0.1, 0.1]])
        waits = jnp.asarray([[False], [False], [False], [False], [False], [True]])
        expected = [[2 * HURRY], [2 * BRAKE], [2.0], [2 * PACE * CALMER], [LONGEST_PACE], [2 * BRAKE]]
        np.testing.assert_allclose(_hurried(pace, move, last, waits), expected)

    def test_stops_at_the_limit_of_evaluations(self):
        _, found = solve_folded("alike", max_evaluations=40)
        assert found.status == Status.out_of_evaluations
        assert int(found.evaluations) == 40
        _, enough = solve_folded("alike")
        assert int(enough.evaluations) > 40

    def test_says_when_nothing_lies_beyond(self):
        def without_root(state, args):
            return {"x": args["target"] ** 2 + 0.1 + (state["x"] + 1) ** 2}

        found = find_root(
            without_root,
            identity,
            {"x": jnp.full(7, -3.0)},
            arguments(),
            {"x": 0.3},
            tolerance=1e-10,
            max_evaluations=500,
        )
        assert found.status in (Status.stalled, Status.out_of_evaluations)
        assert float(jnp.abs(found.residual["x"]).max()) > 0.1


def test_local_inverse_is_the_inverse_of_the_blocks():
    state = pack(start()) + 0.3
    args = arguments(tie=0.0)  # without ties the Jacobian is block-diagonal
    residual = lambda packed: pack(coupled(unpack(packed, start()), args))  # noqa: E731
    inverse = local_inverse(residual, state)
    jacobian = jax.jacfwd(lambda v: residual(v.reshape(state.shape)).ravel())(state.ravel())
    for place in range(7):
        rows = slice(3 * place, 3 * place + 3)
        np.testing.assert_allclose(inverse[place], np.linalg.inv(-jacobian[rows, rows]), rtol=1e-5, atol=1e-6)


def test_a_singular_block_is_left_alone():
    inverse = local_inverse(lambda v: v * jnp.asarray([[0.0], [2.0]]), jnp.ones((2, 1)))
    np.testing.assert_allclose(inverse[:, 0, 0], [1.0, -0.5])


def test_ill_conditioned_blocks_precondition_still():
    """The inverse is in single precision: a block of condition 1e6 must still help, not harm."""
    block = jnp.asarray([[1.0, 1.0], [1.0, 1.0 + 1e-6]])
    inverse = local_inverse(lambda v: -v @ block.T, jnp.ones((3, 2)))
    right = jnp.asarray(np.random.default_rng(0).standard_normal((3, 2)))
    found = solve_linear(
        lambda v: (v.reshape(3, 2) @ block.T).ravel(),
        right.ravel(),
        lambda v: apply_local(inverse, v.reshape(3, 2)).ravel(),
        tolerance=1e-8,
    )
    assert bool(found.converged)
    assert int(found.products) < 20


@pytest.mark.parametrize("memory", [5, 40])
def test_linear_solver(memory):
    rng = np.random.default_rng(0)
    matrix = jnp.asarray(np.eye(60) + 0.1 * rng.standard_normal((60, 60)))
    right = jnp.asarray(rng.standard_normal(60))
    found = solve_linear(lambda v: matrix @ v, right, lambda v: v, memory=memory, max_cycles=200)
    assert bool(found.converged)
    np.testing.assert_allclose(found.value, np.linalg.solve(matrix, right), rtol=1e-8)


def test_linear_solver_says_when_it_fails():
    found = solve_linear(lambda v: jnp.zeros_like(v), jnp.ones(5), lambda v: v)
    assert not bool(found.converged)


def test_linear_solver_of_nothing_is_nothing():
    found = solve_linear(lambda v: 2 * v, jnp.zeros(5), lambda v: v)
    assert bool(found.converged)
    assert (np.asarray(found.value) == 0).all()


def test_masked_functions_have_finite_derivatives_at_zero():
    assert float(jax.grad(masked_log)(0.0)) == 0
    assert float(jax.grad(masked_log)(2.0)) == 0.5
    slope = jax.grad(lambda d: masked_divide(jnp.ones(()), d, d > 0))(0.0)
    assert float(slope) == 0
