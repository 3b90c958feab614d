"""Elementary functions and instructions against float64."""

import numpy as np
from numba import njit

from model.decoding.native.product import Floats
from model.decoding.native.scalar_math import LOWEST, exponential, sigmoid
from model.decoding.native.vector import SCAN, largest, pointer, widen


@njit
def each(x, exponentials, sigmoids):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        exponentials[i], sigmoids[i] = exponential(x[i]), sigmoid(x[i])


def test_exponential_and_sigmoid() -> None:
    x: Floats = np.concatenate(
        [np.linspace(-100, 80, 200_001), [0.0, -0.0, LOWEST, -1e30, -np.inf]]
    ).astype(np.float32)
    exponentials, sigmoids = np.empty_like(x), np.empty_like(x)
    each(x, exponentials, sigmoids)
    wide = np.maximum(x, LOWEST).astype(np.float64)
    np.testing.assert_allclose(exponentials, np.exp(wide), rtol=3e-7)
    np.testing.assert_allclose(sigmoids, 1 / (1 + np.exp(-wide)), rtol=1e-6)


@njit
def largest_of(x):  # type: ignore[no-untyped-def]
    return largest(pointer(x, 1))


def test_the_largest_of_a_block() -> None:
    for place in range(SCAN):
        x = np.random.default_rng(place).normal(size=SCAN + 1).astype(np.float32)
        x[0], x[1 + place] = 100.0, 50.0
        assert largest_of(x) == 50.0
    assert largest_of(np.full(SCAN + 1, -np.inf, np.float32)) == -np.inf


@njit
def widened(x):  # type: ignore[no-untyped-def]
    return widen(x)


def test_halves_are_widened_by_their_bits() -> None:
    for value in (0.0, 1.5, -3.25, 1e-30):
        bits = np.float32(value).view(np.uint32)
        assert widened(np.uint16(bits >> 16)) == (bits >> 16 << 16).view(np.float32)
