"""Linear layers by oneDNN's product where that is the fast path: float32 inference on a CPU.

It takes between half of the time of torch's own choice, MKL, and all of it, by processor (`results/speed.md`). Scores
differ from MKL's in the last bits, as they do between processors.
"""

from functools import partial

from torch import Tensor, nn

from reranker import cpu


def use_onednn(model: nn.Module) -> None:
    """Let a model's linear layers use oneDNN; on any other path they do what they did."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.forward = partial(_linear, module)  # type: ignore[method-assign]


def _linear(layer: nn.Linear, states: Tensor) -> Tensor:
    """Apply a layer: [..., X] to [..., Y]."""
    if not cpu.is_fast(states):
        return nn.Linear.forward(layer, states)
    rows = states.reshape(-1, states.shape[-1])
    return cpu.product(rows, layer.weight, layer.bias).view(*states.shape[:-1], layer.out_features)
