from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize
from scipy.special import logsumexp

from tfautolabel.heads.lbfgs import minimize


def quadratic(condition):
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    matrix = directions * np.geomspace(1, condition, 20) @ directions.T
    offset = rng.normal(size=20)
    return lambda x: (0.5 * x @ matrix @ x - offset @ x + 40.0, matrix @ x - offset), np.zeros(20)


def log_sum_exp():
    rng = np.random.default_rng(1)
    rows, shift = rng.normal(size=(60, 10)), rng.normal(size=60)

    def function(x):
        scores = rows @ x + shift
        top = logsumexp(scores)
        return top, rows.T @ np.exp(scores - top)

    return function, np.zeros(10)


def rosenbrock():
    def function(x):
        a, b = x[1:] - x[:-1] ** 2, 1 - x[:-1]
        gradient = np.zeros_like(x)
        gradient[:-1] = -400 * a * x[:-1] - 2 * b
        gradient[1:] += 200 * a
        return float((100 * a**2 + b**2).sum()) + 1.0, gradient

    return function, np.full(6, -0.7)


def flat_valley():
    """Convex with a fourth power: no curvature at the minimum."""
    return lambda x: (float(np.sum((x - 3.0) ** 4)) + 2.0, 4 * (x - 3.0) ** 3), np.zeros(5)


@pytest.mark.parametrize(
    "problem", [quadratic(1), quadratic(1e4), log_sum_exp(), rosenbrock(), flat_valley()]
)
def test_minimum_is_scipys(problem):
    function, start = problem
    expected = scipy_minimize(
        function, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10}
    )
    found = minimize(function, start, tolerance=1e-12)
    assert function(found)[0] <= expected.fun + 1e-6 * abs(expected.fun)


def test_shape_and_type_are_kept():
    start = np.ones((3, 4), np.float32)
    found = minimize(lambda x: (float((x**2).sum()) + 1, 2 * x), start, tolerance=1e-6)
    assert (found.shape, found.dtype) == ((3, 4), np.float32)
    np.testing.assert_allclose(found, 0, atol=1e-3)
    np.testing.assert_array_equal(start, 1)


def test_minimum_to_begin_with():
    start = np.zeros(3)
    np.testing.assert_array_equal(minimize(lambda x: (1.0, np.zeros(3)), start, tolerance=1e-6), start)


def test_steps_are_bounded():
    calls = []

    def falling(x):
        calls.append(x)
        return -float(x.sum()), -np.ones_like(x)

    minimize(falling, np.zeros(2), tolerance=0.0, max_steps=7)
    assert len(calls) == 8


def test_value_never_rises():
    function, start = rosenbrock()
    values = [function(minimize(function, start, tolerance=0.0, max_steps=steps))[0] for steps in range(30)]
    assert all(after <= before for before, after in pairwise(values))


@pytest.mark.parametrize("beyond", [np.nan, np.inf])
def test_a_point_without_a_value_is_no_result(beyond):
    def bounded(x):
        inside = float(x[0]) > 0.0
        return (float((x[0] - 1.0) ** 2), 2.0 * (x - 1.0)) if inside else (beyond, np.full_like(x, beyond))

    np.testing.assert_allclose(minimize(bounded, np.array([9.0], np.float32), tolerance=1e-9), 1.0, atol=1e-3)

    def only_the_start(x):
        return (1.0, np.ones_like(x)) if not x.any() else (beyond, np.full_like(x, beyond))

    np.testing.assert_array_equal(minimize(only_the_start, np.zeros(2, np.float32), tolerance=1e-6), 0.0)


def test_gradients_too_small_for_their_squares_do_no_harm():
    scale = np.float32(1e-22)
    found = minimize(
        lambda x: (float(scale) * float((x**2).sum()), 2 * scale * x), np.ones(3, np.float32), tolerance=1e-9
    )
    assert np.isfinite(found).all()
