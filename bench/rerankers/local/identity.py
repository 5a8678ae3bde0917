"""A hash of a checkpoint's content: independent of where its files are and of how its weights are split."""

import hashlib
from itertools import chain
from pathlib import Path

from bench.rerankers.local import adapters
from bench.rerankers.local.staging import INDEX, WEIGHTS, weight_files
from reranker.identity import merged, tensors

WANTED = ("*.json", "*.jinja", "*.txt", "*.model", "*.metadata", "*.safetensors")
"""The files of a repository that a model can be made of."""

UNWANTED = ("onnx", "openvino")
"""Folders of a repository with the same model for other libraries."""


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
    unused = adapters.without_effect(folder)
    # A pattern does not go through links, but a library does: a module's folder may be one.
    links = (each for each in folder.iterdir() if each.is_symlink() and each.is_dir())
    for path in chain(folder.rglob("*"), *(link.rglob("*") for link in links)):
        inside = path.relative_to(folder).parts
        # Download tools keep notes with times in hidden folders.
        if inside[0] in UNWANTED or any(part.startswith(".") for part in inside) or not path.is_file():
            continue
        if path.parent.relative_to(folder).as_posix() in unused:
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
    return merged(found, {"format": "pt"})
