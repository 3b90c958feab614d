"""Scalar math: the exponential, the sigmoid and the conversion to a byte, inlined into kernels."""

import numpy as np
from numba import njit

from model.decoding.native.vector import greater, nearest, power_of_two, to_byte

LOWEST = np.float32(-87.0)
"""Below this, exp(x) is 0 in fp32 except for subnormal numbers."""
_LOG2_E = np.float32(1.44269504088896341)
# ln 2 in two parts, the first with few bits, so that n * _LN2_HIGH is exact.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
# exp on [-ln 2 / 2, ln 2 / 2]: Cephes, expf (Moshier 1984-1992); relative error below 2e-7.
_C5, _C4, _C3 = (
    np.float32(1.9875691500e-4),
    np.float32(1.3981999507e-3),
    np.float32(8.3334519073e-3),
)
_C2, _C1, _C0 = (
    np.float32(4.1665795894e-2),
    np.float32(1.6666665459e-1),
    np.float32(5.0000001201e-1),
)
_ONE, _HALF_UP = np.float32(1.0), np.float32(128.5)


@njit(inline="always")
def exponential(x):  # type: ignore[no-untyped-def]
    """Return exp(x) in fp32, for x up to 88; below `LOWEST`, exp(LOWEST)."""
    x = greater(x, LOWEST)
    n = nearest(x * _LOG2_E)
    rest = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = ((((_C5 * rest + _C4) * rest + _C3) * rest + _C2) * rest + _C1) * rest + _C0
    return (p * rest * rest + rest + _ONE) * power_of_two(n)


@njit(inline="always")
def sigmoid(x):  # type: ignore[no-untyped-def]
    """Return 1 / (1 + exp(-x)) in fp32."""
    return _ONE / (_ONE + exponential(-greater(x, LOWEST)))


@njit(inline="always")
def narrowed(x, steps):  # type: ignore[no-untyped-def]
    """Return round(x * steps) + 128 as uint8, for x between -127 / steps and 127 / steps."""
    return to_byte(x * steps + _HALF_UP)
