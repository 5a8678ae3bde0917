import torch
from torch import nn

from bench.rerankers.local.products import use_onednn


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
