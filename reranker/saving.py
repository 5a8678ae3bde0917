"""Writes checkpoints, and the files beside them: whatever ends the process, each is there whole or not at all.

A checkpoint has several files that belong together. They are written into a folder within the checkpoint's, which is
then renamed to `checkpoint.INCOMING`: from that moment on they are the checkpoint, wherever each of them is on its way
to its place.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from reranker.checkpoint import CONFIG, INCOMING, TOKENIZER, TOKENIZER_CONFIG, Checkpoint

_PART = f"{INCOMING}.part"


def write_checkpoint(
    folder: Path,
    config: Mapping[str, Any],
    name: str,
    tensors: Mapping[str, Tensor],
    tokenizer: Checkpoint | Tokenizer | None,
) -> None:
    """Write a checkpoint that `Reranker.from_pretrained` loads, in place of one that the folder may have.

    Args:
        folder: is made where it is missing.
        config: what `config.json` says.
        name: of the file of weights.
        tensors: the weights, in the precision that they are kept in.
        tokenizer: its own, or the checkpoint whose tokenizer it has; None for that of the config's `backbone`.

    Raises:
        OSError: a file cannot be written; a checkpoint that the folder had is as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _settle(folder)
    part = folder / _PART
    if part.exists():
        shutil.rmtree(part)
    part.mkdir()
    if isinstance(tokenizer, Checkpoint):
        for file in tokenizer.tokenizer_files:
            _write(part / file, tokenizer.file(file).read_bytes())
    else:
        write_json(part / TOKENIZER_CONFIG, {"model_max_length": config["max_position_embeddings"]})
    if isinstance(tokenizer, Tokenizer):
        write_json(part / TOKENIZER, json.loads(tokenizer.to_str()))
    write_json(part / CONFIG, config)
    write_tensors(part / name, tensors)
    part.rename(folder / INCOMING)
    _settle(folder)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file."""
    _write(path, (json.dumps(content, indent=1) + "\n").encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: dict[str, str] | None = None) -> None:
    """Write a safetensors file; `about` is its metadata."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch()
    mode = part.stat().st_mode  # the usual one: the library's own file is for its owner alone
    save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, part, about)
    part.chmod(mode)
    _into_place(part, path)


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    _into_place(part, path)


def _into_place(part: Path, path: Path) -> None:
    """Rename a written file, once the disk has its content."""
    _sync(part)
    part.replace(path)
    _sync(path.parent)


def _settle(folder: Path) -> None:
    """Move the files of a complete checkpoint to their places, also where an earlier process was ended at it."""
    incoming = folder / INCOMING
    if not incoming.is_dir():
        return
    _sync(folder)
    for path in sorted(incoming.iterdir()):
        path.replace(folder / path.name)
    _sync(folder)
    incoming.rmdir()


def _sync(path: Path) -> None:
    """Have the disk hold a file's content, or a folder's names."""
    if path.is_dir() and os.name == "nt":
        return  # a folder cannot be opened there
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
