"""Products: each precision against exact arithmetic, and rows that do not see one another."""

import pytest
import torch

from model.decoding.products import DTYPES, PRECISIONS, Precision, Product, int8_is_exact, narrow


def skip_without_int8(precision: Precision) -> None:
    if precision == "int8" and not int8_is_exact():
        pytest.skip("this machine has no exact int8 products")


@pytest.mark.parametrize(("precision", "error"), [("fp32", 1e-5), ("bf16", 0.05), ("int8", 0.05)])
def test_the_product_is_the_float64_product(precision: Precision, error: float) -> None:
    skip_without_int8(precision)
    torch.manual_seed(0)
    weight, bias = torch.randn(48, 64) / 8, torch.randn(48)
    x = torch.rand(20, 64) * 2 - 1
    exact = x.double() @ weight.double().t() + bias.double()
    with torch.inference_mode():
        ours = Product(weight, bias, precision)(narrow(x, precision))
    assert ours.dtype == torch.float32
    assert (ours - exact).abs().max() < error


def test_int8_is_the_integer_product_times_the_scales() -> None:
    """Equal to arithmetic on integers, in the worst case too: nothing saturates on the way."""
    skip_without_int8("int8")
    torch.manual_seed(0)
    weight = torch.randint(-127, 128, (32, 128)).float()
    weight[:, 0] = 127.0  # so that the scale of each output is 1
    for x in (torch.ones(5, 128), -torch.ones(5, 128), torch.randint(-127, 128, (5, 128)) / 127):
        steps = (x.double() * 127).round()
        exact = steps @ weight.double().t() / 127
        ours = Product(weight, torch.zeros(32), "int8")(narrow(x, "int8"))
        torch.testing.assert_close(ours.double(), exact, rtol=1e-6, atol=1e-3)


def test_parts_with_other_bounds_are_scaled_back() -> None:
    skip_without_int8("int8")
    torch.manual_seed(0)
    weight, bias = torch.randn(16, 48), torch.zeros(16)
    small, large = torch.rand(9, 16) * 2 - 1, torch.rand(9, 32) * 6 - 3
    product = Product(weight, bias, "int8", [(16, 1.0), (32, 3.0)])
    ours = product(torch.cat([narrow(small, "int8"), narrow(large, "int8", 3.0)], dim=1))
    exact = torch.cat([small, large], dim=1) @ weight.t()
    assert (ours - exact).abs().max() < 0.02 * exact.abs().max()


def test_nothing_is_clipped_at_the_bounds() -> None:
    values = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert narrow(values, "int8", 2.0).tolist() == [1, 65, 128, 192, 255]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_row_has_the_same_bits_whatever_rows_are_beside_it(precision: Precision) -> None:
    skip_without_int8(precision)
    torch.manual_seed(0)
    product = Product(torch.randn(96, 64), torch.randn(96), precision)
    x = narrow(torch.rand(160, 64) * 2 - 1, precision)
    with torch.inference_mode():
        alone = product(x[:1])
        for rows in (2, 5, 16, 31, 80, 160):
            assert product(x[:rows])[:1].equal(alone)


def test_the_types_that_products_take() -> None:
    for precision in PRECISIONS:
        assert narrow(torch.zeros(1), precision).dtype == DTYPES[precision]
