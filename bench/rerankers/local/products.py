"""Linear layers by oneDNN's product where that is the fast path: float32 inference on a CPU.

It takes between half of the time of torch's own choice, MKL, and all of it, by processor (`results/speed.md`). Scores
differ from MKL's in the last bits, as they do between processors.
"""

from functools import partial

import torch
from torch import Tensor, nn

from reranker import cpu

_PACKED_BYTES = 512 * 1024**2
"""Weights that are packed at most: the packed copy takes as much memory again, and makes a product 3% faster."""


def use_onednn(model: nn.Module) -> bool:
    """Let a model's linear layers use oneDNN; on any other path they do what they did.

    Call it when the weights are final: smaller models get a packed copy of them.

    Gives whether all products with the model's weights are oneDNN's now. Then the result of a row does not depend on
    the number of rows, which decides how MKL adds.
    """
    only_linear, layers = True, []
    for module in model.modules():
        if type(module) is nn.Linear:
            layers.append(module)
        elif type(module) is not nn.Embedding:
            only_linear &= all(weights.dim() < 2 for weights in module.parameters(recurse=False))
    with torch.inference_mode():
        fast = all(map(cpu.is_fast, model.parameters()))
        pack = fast and sum(layer.weight.nbytes for layer in layers) <= _PACKED_BYTES
        for layer in layers:
            weight = cpu.packed(layer.weight) if pack else layer.weight
            layer.forward = partial(_linear, layer, weight)  # type: ignore[method-assign]
    return only_linear and fast


def _linear(layer: nn.Linear, weight: Tensor, states: Tensor) -> Tensor:
    """Apply a layer, whose weight may be packed: [..., X] to [..., Y]."""
    if not cpu.is_fast(states):
        return nn.Linear.forward(layer, states)
    rows = states.reshape(-1, states.shape[-1])
    return cpu.product(rows, weight, layer.bias).view(*states.shape[:-1], layer.out_features)
