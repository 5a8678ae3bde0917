"""Linear layers by oneDNN's product where that is the fast path: float32 inference on a CPU.

It takes between half of the time of torch's own choice, MKL, and all of it, by processor (`results/speed.md`). Scores
differ from MKL's in the last bits, as they do between processors.
"""

from functools import partial

import torch
from torch import Tensor, nn

from reranker import cpu


def use_onednn(model: nn.Module) -> bool:
    """Let a model's linear layers use oneDNN; on any other path they do what they did.

    Gives whether all products with the model's weights are oneDNN's now. Then the result of a row does not depend on
    the number of rows, which decides how MKL adds.
    """
    only_linear = True
    for module in model.modules():
        if type(module) is nn.Linear:
            module.forward = partial(_linear, module)  # type: ignore[method-assign]
        elif type(module) is not nn.Embedding:
            only_linear &= all(weights.dim() < 2 for weights in module.parameters(recurse=False))
    with torch.inference_mode():
        return only_linear and all(map(cpu.is_fast, model.parameters()))


def _linear(layer: nn.Linear, states: Tensor) -> Tensor:
    """Apply a layer: [..., X] to [..., Y]."""
    if not cpu.is_fast(states):
        return nn.Linear.forward(layer, states)
    rows = states.reshape(-1, states.shape[-1])
    return cpu.product(rows, layer.weight, layer.bias).view(*states.shape[:-1], layer.out_features)
