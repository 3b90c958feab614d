"""Products of bytes against exact arithmetic, and rows that do not see one another."""

import numpy as np
import pytest
from numba import njit

from model.decoding.native.int8_rows import STEPS
from model.decoding.native.product import Bytes, Floats, Int8Product
from model.decoding.native.rows import place_narrow
from model.decoding.native.vector import BLOCK, WIDTH, dot_rows, pointer


def random(*shape: int, seed: int = 0) -> Floats:
    """Between -1 and 1."""
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def narrow(x: Floats, bound: float = 1.0) -> Bytes:
    out = np.empty(x.shape, np.uint8)
    place_narrow(out, 0, np.ascontiguousarray(x), len(x), STEPS / bound)
    return out


def result(product: Int8Product, x: Bytes) -> Floats:
    out = np.full((len(x), product.width), np.nan, np.float32)
    product(x, len(x), out)
    return out[:, : product.outputs]


@pytest.mark.parametrize("outputs", [1, 48, 64, 200])
def test_the_product_is_the_float64_product(outputs: int) -> None:
    weight, bias, x = (
        random(outputs, 64) * np.float32(0.5),
        random(outputs, seed=1),
        random(20, 64, seed=2),
    )
    exact = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    assert np.abs(result(Int8Product(weight, bias), narrow(x)) - exact).max() < 0.05


def test_it_is_the_integer_product_times_the_scales() -> None:
    """Equal to arithmetic on integers, in the worst case too: nothing saturates on the way."""
    weight = np.random.default_rng(0).integers(-127, 128, (32, 128)).astype(np.float32)
    weight[:, 0] = 127.0  # so that the scale of each output is 1
    product = Int8Product(weight, np.zeros(32, np.float32))
    for x in (np.ones((5, 128)), -np.ones((5, 128)), random(5, 128)):
        bytes_ = narrow(x.astype(np.float32))
        exact = (bytes_.astype(np.int64) - 128) @ weight.T.astype(np.int64) / 127
        np.testing.assert_allclose(result(product, bytes_), exact, rtol=1e-6)


def test_the_worst_case_of_all() -> None:
    """255 * 127 in every place, of both signs."""
    for sign in (1.0, -1.0):
        product = Int8Product(np.full((64, 512), sign, np.float32), np.zeros(64, np.float32))
        out = result(product, np.full((3, 512), 255, np.uint8))
        np.testing.assert_allclose(out, sign * 512, rtol=1e-6)


def test_parts_with_other_bounds_are_scaled_back() -> None:
    weight = random(16, 48)
    small, large = random(9, 16, seed=1), 3 * random(9, 32, seed=2)
    product = Int8Product(weight, np.zeros(16, np.float32), [(16, 1.0), (32, 3.0)])
    ours = result(product, np.concatenate([narrow(small), narrow(large, 3.0)], axis=1))
    exact = np.concatenate([small, large], axis=1) @ weight.T
    assert np.abs(ours - exact).max() < 0.02 * np.abs(exact).max()


def test_nothing_is_clipped_at_the_bounds() -> None:
    values = np.array([[-2.0, -1.0, 0.0, 1.0, 2.0]], np.float32)
    assert narrow(values, 2.0).tolist() == [[1, 65, 128, 192, 255]]


def test_a_row_has_the_same_bits_whatever_rows_are_beside_it() -> None:
    product, x = Int8Product(random(96, 64), random(96, seed=1)), narrow(random(160, 64, seed=2))
    alone = result(product, x[:1])
    for rows in (2, 3, 4, 5, 16, 31, 160):
        assert np.array_equal(result(product, x[:rows])[:1], alone)


def test_processors_without_the_instruction_give_the_same() -> None:
    plain, own = dot_rows(2, vnni=False), dot_rows(2)

    @njit
    def run(x, w, less, scale, bias, one, other):  # type: ignore[no-untyped-def]
        given, weights, corrections = pointer(x, 0), pointer(w, 0), pointer(less, 0)
        n, scales, biases = x.shape[1] // 4, pointer(scale, 0), pointer(bias, 0)
        plain(given, n, weights, n, corrections, scales, biases, pointer(one, 0), BLOCK)
        own(given, n, weights, n, corrections, scales, biases, pointer(other, 0), BLOCK)

    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (2, 64)).astype(np.uint8)
    w = generator.integers(-128, 128, (16, BLOCK, 4)).astype(np.int8)
    less = generator.integers(-999, 999, BLOCK).astype(np.int32)
    out = np.zeros((2, 2, BLOCK), np.float32)
    run(x, w.reshape(16, -1).view(np.int32), less, random(BLOCK), random(BLOCK), out[0], out[1])
    exact = np.einsum("rij,ioj->ro", x.reshape(2, 16, 4).astype(int), w.astype(int))
    np.testing.assert_allclose(out[0], (exact - less) * random(BLOCK) + random(BLOCK), rtol=1e-5)
    assert np.array_equal(out[0], out[1])
    assert BLOCK % WIDTH == 0
