"""Checkpoints of Jina's XLM-RoBERTa with flash attention, in the terms of architectures that transformers has.

Their repositories name Python code of their own, `XLMRobertaFlashConfig`, which is never run. What that code computes
is in transformers under other names: with absolute positions it is XLM-RoBERTa, whose tensors are renamed here; with
rotary positions it is jina_embeddings_v3, whose class reads such tensors as they are.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Json = Mapping[str, Any]

_OWN_CLASS = "XLMRobertaFlashConfig"
_RENAMED = (
    (r"^roberta\.emb_ln\.", "roberta.embeddings.LayerNorm."),
    (r"\.encoder\.layers\.", ".encoder.layer."),
    (r"\.mixer\.out_proj\.", ".attention.output.dense."),
    (r"\.norm1\.", ".attention.output.LayerNorm."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.norm2\.", ".output.LayerNorm."),
)
_JOINED = ".mixer.Wqkv."
_APART = tuple(f".attention.self.{name}." for name in ("query", "key", "value"))
_THETA = 10000.0  # what that class takes where a config names no base


def is_known(config: Json) -> bool:
    """Whether a config.json names that code, and a model that transformers has: no adapters inside its layers."""
    code = config.get("auto_map")
    named = code.get("AutoConfig") if isinstance(code, dict) else None
    return isinstance(named, str) and named.rpartition(".")[2] == _OWN_CLASS and not config.get("lora_adaptations")


def translated(config: Json) -> dict[str, Any]:
    """A known config.json as transformers reads it; any other as it is."""
    if not is_known(config):
        return dict(config)
    kept = {name: value for name, value in config.items() if name not in ("auto_map", "position_embedding_type")}
    if not _is_rotary(config):
        return kept | {"model_type": "xlm-roberta"}
    rope = {"rope_type": "default", "rope_theta": config.get("rotary_emb_base", _THETA)}
    return kept | {"model_type": "jina_embeddings_v3", "rope_parameters": rope}


def renames(config: Json) -> bool:
    """Whether a checkpoint's tensors have names, or are joined, as transformers' class does not read them."""
    return is_known(config) and not _is_rotary(config)


def renamed(files: list[Path]) -> "dict[str, torch.Tensor]":
    """The tensors of a checkpoint whose config `renames`, under XLM-RoBERTa's names; queries, keys, values apart."""
    from safetensors.torch import load_file

    return {
        name: tensor for path in files for stored, each in load_file(path).items() for name, tensor in _of(stored, each)
    }


def _is_rotary(config: Json) -> bool:
    return bool(config.get("position_embedding_type") == "rotary")


def _of(stored: str, tensor: "torch.Tensor") -> "Iterator[tuple[str, torch.Tensor]]":
    for pattern, name in _RENAMED:
        stored = re.sub(pattern, name, stored)
    if _JOINED not in stored:
        yield stored, tensor
        return
    for name, part in zip(_APART, tensor.chunk(3), strict=True):
        yield stored.replace(_JOINED, name), part.contiguous()
