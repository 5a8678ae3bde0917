"""Products by oneDNN: the figures of torch's own, for any number of rows, and only where they may be used."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from reranker.cpu import STEP, linear, product

SIZES = st.integers(1, 300)


@given(SIZES, SIZES, SIZES, st.booleans(), st.booleans())
def test_products_are_those_of_torch(rows: int, inner: int, outer: int, with_bias: bool, transposed: bool) -> None:
    left, weight = torch.randn(rows, inner), torch.randn(outer, inner)
    if transposed:
        weight = weight.T.contiguous().T
    bias = torch.randn(outer) if with_bias else None
    with torch.inference_mode():
        found = product(left, weight, bias)
    expected = left.double() @ weight.double().T + (0 if bias is None else bias.double())
    torch.testing.assert_close(found, expected.float(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rows", [0, 1, STEP - 1, STEP, STEP + 1])
def test_as_many_rows_come_out_as_went_in(rows: int) -> None:
    with torch.inference_mode():
        assert product(torch.randn(rows, 5), torch.randn(7, 5)).shape == (rows, 7)


class Doubled(nn.Linear):
    """Stands for an adapter or a quantised layer: its weight is not all it does."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(rows)


def test_a_layer_of_another_kind_is_asked_itself() -> None:
    layer, rows = Doubled(5, 7), torch.randn(3, 5)
    with torch.inference_mode():
        torch.testing.assert_close(linear(layer, rows), layer(rows))


def test_gradients_pass_through_a_layer() -> None:
    layer, rows = nn.Linear(5, 7), torch.randn(3, 5)
    linear(layer, rows).sum().backward()
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, rows.sum(0).expand(7, 5))
