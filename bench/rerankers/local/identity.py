"""A hash of a checkpoint's content: the same wherever its files are, and however its weights are cut into files."""

import hashlib
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from bench.rerankers.local import adapters
from bench.rerankers.local.staging import INDEX, WEIGHTS, weight_files

WANTED = ("*.json", "*.jinja", "*.txt", "*.model", "*.metadata", "*.safetensors")
"""The files of a repository that a model can be made of."""

UNWANTED = ("onnx", "openvino")
"""Folders of a repository with the same model for other libraries."""

_CHUNK = 1 << 24  # bytes read at once
_LARGEST_HEADER = 100_000_000  # bytes, as safetensors itself has it
_ORDER = "U64 I64 F64 F32 U32 I32 BF16 F16 U16 I16 F8_E4M3 F8_E5M2 I8 U8 BOOL".split()  # noqa: SIM905
"""safetensors writes tensors in this order of precisions, and those of one precision by name."""


class Tensor(NamedTuple):
    """One tensor of a safetensors file."""

    name: str
    dtype: str
    shape: list[int]
    path: Path
    start: int
    size: int  # bytes


def content_hash(folder: Path) -> str:
    """Hash of the names and bytes of all files that can change a score.

    Weights count as the one file that safetensors would write of them, so that cutting them into shards, or a file's
    metadata, changes nothing.
    """
    digest = hashlib.sha256()
    for path in _files(folder):
        size, sha256 = _weights(path.parent) if path.name == WEIGHTS else _whole(path)
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        digest.update(sha256)
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    """The files that count, in order; weights are one file, which need not exist under that name."""
    files = set()
    # A pattern does not go through links, but a library does: a module's folder may be one.
    links = (each for each in folder.iterdir() if each.is_symlink() and each.is_dir())
    for path in chain(folder.rglob("*"), *(link.rglob("*") for link in links)):
        inside = path.relative_to(folder).parts
        # Download tools keep notes with times in hidden folders.
        if inside[0] in UNWANTED or any(part.startswith(".") for part in inside) or not path.is_file():
            continue
        is_adapter = path.name == adapters.WEIGHTS and path.parent != folder
        is_wanted = path.suffix != ".safetensors" and any(path.match(pattern) for pattern in WANTED)
        if path.name in (WEIGHTS, INDEX):
            files.add(path.parent / WEIGHTS)
        elif is_adapter or is_wanted:
            files.add(path)
    return sorted(files)


def _whole(path: Path) -> tuple[int, bytes]:
    """Size and hash of a file's bytes."""
    with path.open("rb") as stream:
        return path.stat().st_size, hashlib.file_digest(stream, "sha256").digest()


def _weights(folder: Path) -> tuple[int, bytes]:
    """Size and hash of the file that safetensors would write of a folder's weights."""
    files = weight_files(folder)
    found = [tensor for path in files for tensor in tensors(path)]
    if not found:
        # Whoever loads the file says what is wrong with it.
        return _whole(files[0])
    found.sort(key=lambda tensor: (_rank(tensor.dtype), tensor.name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in found:
        offsets = [end, end + tensor.size]
        header[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": offsets}
        end += tensor.size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256(len(text).to_bytes(8, "little") + text)
    for tensor in found:
        for chunk in _bytes(tensor):
            digest.update(chunk)
    return 8 + len(text) + end, digest.digest()


def tensors(path: Path) -> list[Tensor]:
    """The tensors of a safetensors file, from its header; empty for a file of another format."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        text = stream.read(length) if length <= _LARGEST_HEADER else b""
    try:
        rows = {name: row for name, row in json.loads(text).items() if name != "__metadata__"}
        return [
            Tensor(name, row["dtype"], row["shape"], path, 8 + length + row["data_offsets"][0], _size(row))
            for name, row in rows.items()
        ]
    except (ValueError, RecursionError, AttributeError, KeyError, IndexError, TypeError):
        return []


def _size(row: dict[str, Any]) -> int:
    start, end = row["data_offsets"]
    if not 0 <= start <= end:
        raise ValueError
    return int(end - start)


def _rank(dtype: str) -> int:
    return _ORDER.index(dtype) if dtype in _ORDER else len(_ORDER)


def _bytes(tensor: Tensor) -> Iterator[bytes]:
    with tensor.path.open("rb") as stream:
        stream.seek(tensor.start)
        left = tensor.size
        while left and (chunk := stream.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
