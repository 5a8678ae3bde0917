"""The identity of weights by their content, however they are split into files."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open

_CHUNK = 1 << 24  # bytes read at once
_LARGEST_HEADER = 100_000_000  # bytes, as in safetensors itself
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


def weights(paths: Sequence[Path]) -> bytes:
    """The sha256 of the one file that safetensors would write of some files' tensors, with the first one's metadata.

    Raises:
        OSError, SafetensorError: a file cannot be read.
    """
    if len(paths) == 1:
        with paths[0].open("rb") as whole:
            return hashlib.file_digest(whole, "sha256").digest()
    metadata: list[dict[str, str]] = []
    for path in paths:
        with safe_open(path, "pt") as file:  # it checks the header
            metadata.append(file.metadata() or {})
    return merged([tensor for path in paths for tensor in tensors(path)], metadata[0])[1]


def merged(found: Sequence[Tensor], metadata: Mapping[str, str]) -> tuple[int, bytes]:
    """Size in bytes and sha256 of the one file that safetensors would write of some tensors.

    Raises:
        OSError: a file cannot be read.
    """
    found = sorted(found, key=lambda tensor: (_rank(tensor.dtype), tensor.name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
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
    """The tensors of a safetensors file, from its header; empty for a file of another format.

    Raises:
        OSError: the file cannot be read.
    """
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
