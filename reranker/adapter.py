"""What is trained on top of a backbone that stays as it is, and the file that it is kept in.

`adapter.safetensors` holds for a trained matrix W [out, in] of the backbone two narrow ones, `<name>.lora_A.weight`
[rank, in] and `<name>.lora_B.weight` [out, rank], with W + B A in its place (LoRA, arXiv 2106.09685; its scale is
multiplied into B); for the two markers their token ids, `markers.ids` [2], and their embeddings, `markers.weight`
[2, hidden]; and the projector.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

FILE = "adapter.safetensors"
_IDS, _ROWS = "markers.ids", "markers.weight"
INTEGERS = (_IDS,)
"""The tensors that are not weights."""
_A, _B = ".lora_A.weight", ".lora_B.weight"


class MarkedEmbedding(nn.Module):
    """Token embeddings that stay as they are, but for a few tokens' own."""

    def __init__(self, base: nn.Embedding, tokens: tuple[int, ...]) -> None:
        """Take the whole table and the tokens whose rows are trained."""
        super().__init__()
        self.base = base
        self.tokens = tokens
        self.rows = nn.Parameter(base.weight[list(tokens)].detach().clone())

    def forward(self, ids: Tensor) -> Tensor:
        """Embeddings of token ids: [T] to [T, H]."""
        embedded = self.base(ids)
        for token, row in zip(self.tokens, self.rows, strict=True):
            embedded = torch.where((ids == token)[..., None], row, embedded)
        return embedded  # type: ignore[no-any-return]


def collect(backbone: Any) -> dict[str, Tensor]:
    """The adapter of a backbone that peft has put LoRA matrices into, under the file's names."""
    embedding = backbone.embed_tokens
    tensors = {_IDS: torch.tensor(embedding.tokens), _ROWS: embedding.rows}
    for name, module in backbone.named_modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            tensors[name + _A] = module.lora_A["default"].weight
            tensors[name + _B] = module.lora_B["default"].weight * module.scaling["default"]
    return {name: tensor.detach() for name, tensor in tensors.items()}


def base(backbone: Any) -> dict[str, Tensor]:
    """The weights of such a backbone under their own names, without the adapter."""
    return {
        name.replace(".base_layer.", ".").replace("embed_tokens.base.", "embed_tokens."): tensor
        for name, tensor in backbone.state_dict().items()
        if ".lora_" not in name and name != "embed_tokens.rows"
    }


def join(weights: Mapping[str, Tensor], adapter: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's weights with the adapter in them, and the adapter's other tensors (the projector) as they are.

    Raises:
        KeyError: the adapter is for a matrix that the backbone does not have, or lacks a part.
        IndexError, RuntimeError: a part of it has another shape.
    """
    joined = dict(weights)
    parts = dict(adapter)
    ids, rows = parts.pop(_IDS), parts.pop(_ROWS)
    joined["embed_tokens.weight"] = joined["embed_tokens.weight"].index_copy(0, ids, rows)
    for name in [name for name in parts if name.endswith(_A)]:
        target = name.removesuffix(_A)
        down, up = parts.pop(name), parts.pop(target + _B)
        joined[f"{target}.weight"] = joined[f"{target}.weight"] + up @ down
    return joined | parts


def merge(adapters: Sequence[Mapping[str, Tensor]], weights: Sequence[float]) -> dict[str, Tensor]:
    """The adapter that adds the weighted mean of what others add: their narrow matrices lie side by side in it."""
    merged: dict[str, Tensor] = {}
    for name, tensor in adapters[0].items():
        parts = [adapter[name] for adapter in adapters]
        if name.endswith(_A):
            merged[name] = torch.cat(parts)
        elif name.endswith(_B):
            merged[name] = torch.cat([weight * part for weight, part in zip(weights, parts, strict=True)], dim=1)
        else:
            merged[name] = tensor if name == _IDS else mean(parts, weights)
    return merged


def mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted mean of tensors of one shape, in their precision."""
    total = sum(weight * tensor.float() for weight, tensor in zip(weights, tensors, strict=True))
    assert isinstance(total, Tensor)
    return total.to(tensors[0].dtype)
