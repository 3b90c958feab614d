"""The linear model is that of least squares, chosen on the dev set; differences are paired."""

import numpy as np
import pytest

from benchmarks.forecasting import best_linear, comparison, fitted
from training.vectors.run_windows import WindowPairs


def pairs(count: int, seed: int, noise: float = 0.0) -> WindowPairs:
    """Two columns; the second goes on as a weighted sum of what was: any level, any unit."""
    generator = np.random.default_rng(seed)
    windows, targets = [], []
    for _ in range(count):
        window = generator.normal(0, 1, (6, 2)) * generator.uniform(1, 90)
        window += generator.normal(0, 500, 2)
        after = window[:, 1].mean() + 0.5 * (window[[0, 3], 1] - window[:, 1].mean())
        after = after + noise * window[:, 1].std() * generator.normal(size=2)
        windows.append(window.astype(np.float32))
        targets.append(after[:, None].astype(np.float32))
    return WindowPairs(windows, targets, [], (1,))


def test_least_squares_find_what_is_linear_at_any_level() -> None:
    model = fitted(pairs(60, seed=1), 0.0, scaled=True)
    unseen = pairs(20, seed=2)
    found = np.array(model.forecast(unseen.windows))
    np.testing.assert_allclose(found, np.array(unseen.targets), rtol=1e-3, atol=0.05)
    # (6 steps of 2 columns and a constant) to 2 steps of 1 column
    expected = np.zeros((13, 2))
    expected[1, 0] = expected[7, 1] = 0.5
    expected[1:12:2] -= 0.5 / 6  # a scaled window has mean 0: nothing depends on the mean of these
    np.testing.assert_allclose(model.weights, expected, atol=1e-3)


def test_a_penalty_is_that_of_ridge_regression_and_leaves_the_constant_free() -> None:
    learned = pairs(40, seed=3, noise=0.3)
    x = np.array([window.ravel() for window in learned.windows], np.float64)
    y = np.array([target.ravel() for target in learned.targets], np.float64)
    middle = x.mean(axis=0)
    held = (x - middle).T @ (x - middle) + 7 * np.eye(12)
    slopes = np.linalg.solve(held, (x - middle).T @ (y - y.mean(axis=0)))
    model = fitted(learned, 7.0, scaled=False)
    np.testing.assert_allclose(model.weights[:-1], slopes, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.weights[-1], y.mean(axis=0) - middle @ slopes, rtol=1e-4)


def test_the_dev_set_chooses_the_penalty() -> None:
    chosen = pairs(200, seed=5, noise=1.0)
    few, _ = best_linear(pairs(14, seed=4, noise=1.0), chosen, 2, scaled=True)
    exact, _ = best_linear(pairs(300, seed=4), pairs(50, seed=5), 2, scaled=True)
    assert few > exact == 0


def test_a_difference_is_that_of_the_same_windows() -> None:
    """Windows differ much, but the second is worse by 0.1 in each of them."""
    first = np.random.default_rng(0).uniform(0, 5, (30, 1))
    shown = comparison({"a": first, "b": first + 0.1}, 3, {"a": 12.0, "b": 1234.5})
    a, b = (line.split() for line in shown.splitlines()[1:3])
    assert a[:6] == ["a", f"{first.mean():.3f}", "±", a[3], "+0.000", "±"]
    assert float(a[3]) == pytest.approx(1.96 * first.std() / 30**0.5, rel=0.1)
    assert b[4:] == ["-0.100", "±", "0.000", "1,234.5"]
