"""The identity of weights by their content, however they are cut into files."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

_ORDER = ("F64", "F32", "BF16", "F16")
"""safetensors writes tensors in this order of precisions, and those of one precision by name."""


def weights(paths: Sequence[Path]) -> bytes:
    """The sha256 of the one file that safetensors would write of some files' tensors, with the first one's metadata.

    Raises:
        OSError, SafetensorError: a file cannot be read.
    """
    if len(paths) == 1:
        with paths[0].open("rb") as whole:
            return hashlib.file_digest(whole, "sha256").digest()
    header: dict[str, Any] = {}
    rows = []
    for path in paths:
        with safe_open(path, "pt") as file:
            if path == paths[0] and file.metadata():
                header["__metadata__"] = file.metadata()
            for name in file.keys():  # noqa: SIM118  (not a dict: it cannot be iterated over)
                part = file.get_slice(name)
                rows.append((_rank(part.get_dtype()), name, part.get_dtype(), part.get_shape(), path))
    rows.sort(key=lambda row: row[:2])
    end = 0
    for _, name, dtype, shape, path in rows:
        size = _bytes(path, name).nbytes
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256(len(text).to_bytes(8, "little") + text)
    for _, name, _, _, path in rows:
        digest.update(_bytes(path, name))
    return digest.digest()


def _rank(dtype: str) -> int:
    return _ORDER.index(dtype) if dtype in _ORDER else len(_ORDER)


def _bytes(path: Path, name: str) -> Any:
    """A tensor's bytes, read from the file when they are used."""
    with safe_open(path, "pt") as file:
        return file.get_tensor(name).reshape(-1).view(torch.uint8).numpy()
