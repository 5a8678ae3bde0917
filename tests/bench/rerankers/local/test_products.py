from unittest.mock import Mock

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from bench.rerankers.local import products
from bench.rerankers.local.products import use_onednn
from reranker import cpu


def test_layers_give_what_they_gave_with_and_without_gradients() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 40), nn.Tanh(), nn.Linear(40, 3, bias=False))
    states = torch.randn(2, 5, 24)
    before = model(states)
    use_onednn(model)
    assert torch.equal(model(states), before)  # outside of inference, torch's own
    with torch.inference_mode():
        fast = model(states)
    assert fast.shape == before.shape and torch.allclose(fast, before, atol=1e-6)
    before.sum().backward()
    model(states.double().float()).sum().backward()
    assert model[0].weight.grad is not None


def test_other_products_and_precisions_are_told_apart() -> None:
    layers = [nn.Embedding(3, 24), nn.Linear(24, 40), nn.LayerNorm(40)]
    assert use_onednn(nn.Sequential(*layers))
    assert not use_onednn(nn.Sequential(*layers, Conv1D(3, 40)))  # a product that is no linear layer
    assert not use_onednn(nn.Sequential(*layers).bfloat16())


def test_results_do_not_depend_on_whether_weights_are_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, states, found = nn.Sequential(nn.Linear(384, 200), nn.Linear(200, 384)), torch.randn(300, 384), []
    packed = Mock(wraps=cpu.packed)
    monkeypatch.setattr(cpu, "packed", packed)
    weights = 2 * 384 * 200 * 4
    for limit, calls in ((weights - 1, 0), (weights, 2)):
        monkeypatch.setattr(products, "_PACKED_BYTES", limit)
        use_onednn(model)
        assert packed.call_count == calls
        with torch.inference_mode():
            found.append(model(states))
    assert torch.equal(*found)


def test_a_row_does_not_depend_on_the_number_of_rows() -> None:
    torch.manual_seed(0)
    for wide, high in ((384, 1536), (1536, 384), (24, 40), (1000, 333)):
        model = nn.Sequential(nn.Linear(wide, high))
        assert use_onednn(model)
        states = torch.randn(1100, wide)
        with torch.inference_mode():
            whole = model(states)
            for count in (1, 7, 128, 129, 500, 1024, 1099):
                assert torch.equal(model(states[-count:]), whole[-count:]), (wide, high, count)
