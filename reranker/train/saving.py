"""Write checkpoints and training files atomically: a process killed at any moment leaves the old files or the new ones.

The files of a checkpoint belong together. They are written to a subfolder of the checkpoint, which is then renamed to
`checkpoint.INCOMING`: from that moment on they are the checkpoint, and each is moved to its own path.
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

from reranker.checkpoint import CONFIG, INCOMING, TOKENIZER, TOKENIZER_CONFIG, TOKENIZER_FILES, WEIGHTS, Checkpoint

_PART = f"{INCOMING}.part"


def write_checkpoint(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: Checkpoint | Tokenizer
) -> None:
    """Write a checkpoint that `Reranker.from_pretrained` loads, replacing one in the folder.

    Args:
        folder: created if missing.
        config: of `config.json`.
        tensors: the weights in the precision to be stored, by the names of the released file.
        tokenizer: a tokenizer, or the checkpoint whose tokenizer files are copied.

    Raises:
        OSError: a file cannot be written; a checkpoint in the folder is unchanged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _settle(folder)
    part = folder / _PART
    if part.exists():
        shutil.rmtree(part)
    part.mkdir()
    if isinstance(tokenizer, Checkpoint):
        for file in TOKENIZER_FILES:
            _write(part / file, tokenizer.file(file).read_bytes())
    else:
        write_json(part / TOKENIZER_CONFIG, {"model_max_length": config["max_position_embeddings"]})
        write_json(part / TOKENIZER, json.loads(tokenizer.to_str()))
    write_json(part / CONFIG, config)
    write_tensors(part / WEIGHTS, tensors)
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
    """Rename a written file once its content is on disk."""
    _sync(part)
    part.replace(path)
    _sync(path.parent)


def _settle(folder: Path) -> None:
    """Move the files of a complete incoming checkpoint to their own paths; also finishes an interrupted move."""
    incoming = folder / INCOMING
    if not incoming.is_dir():
        return
    _sync(folder)
    for path in sorted(incoming.iterdir()):
        path.replace(folder / path.name)
    _sync(folder)
    incoming.rmdir()


def _sync(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
