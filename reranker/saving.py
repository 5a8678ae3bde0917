"""Writes checkpoints, and the JSON files beside them: each file is there whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from reranker.checkpoint import CONFIG, TOKENIZER, TOKENIZER_CONFIG, Checkpoint


def write_checkpoint(
    folder: Path,
    config: Mapping[str, Any],
    name: str,
    tensors: Mapping[str, Tensor],
    tokenizer: Checkpoint | Tokenizer | None,
) -> None:
    """Write a checkpoint that `Reranker.from_pretrained` loads.

    Args:
        folder: is made where it is missing.
        config: what `config.json` says.
        name: of the file of weights.
        tensors: the weights, in the precision that they are kept in.
        tokenizer: its own, or the checkpoint whose tokenizer it has; None for that of the config's `backbone`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(tokenizer, Checkpoint):
        for file in tokenizer.tokenizer_files:
            (folder / file).write_bytes((tokenizer.folder / file).read_bytes())
    else:
        write_json(folder / TOKENIZER_CONFIG, {"model_max_length": config["max_position_embeddings"]})
    if isinstance(tokenizer, Tokenizer):
        write_json(folder / TOKENIZER, json.loads(tokenizer.to_str()))
    write_json(folder / CONFIG, config)
    part = folder / f"{name}.part"
    save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, part)
    part.replace(folder / name)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
