"""Products: each dtype against exact arithmetic, and rows that do not see one another."""

import pytest
import torch

from model.decoding.torch.inference_layer import FloatProduct

DTYPES = [torch.float32, torch.bfloat16]


@pytest.mark.parametrize(("dtype", "error"), [(DTYPES[0], 1e-5), (DTYPES[1], 0.05)])
def test_the_product_is_the_float64_product(dtype: torch.dtype, error: float) -> None:
    torch.manual_seed(0)
    weight, bias = torch.randn(48, 64) / 8, torch.randn(48)
    x = torch.rand(20, 64) * 2 - 1
    exact = x.double() @ weight.double().t() + bias.double()
    with torch.inference_mode():
        ours = FloatProduct(weight, bias, dtype)(x.to(dtype))
    assert ours.dtype == torch.float32
    assert (ours - exact).abs().max() < error


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_has_the_same_bits_whatever_rows_are_beside_it(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    product = FloatProduct(torch.randn(96, 64), torch.randn(96), dtype)
    x = (torch.rand(160, 64) * 2 - 1).to(dtype)
    with torch.inference_mode():
        alone = product(x[:1])
        for rows in (2, 5, 16, 31, 80, 160):
            assert product(x[:rows])[:1].equal(alone)
