"""Embeddings of a corpus on disk: a float16 matrix that grows block by block, so that a killed command can resume."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from typing_extensions import TypedDict

from bench.console import note
from bench.errors import BenchError
from bench.files import kind, write_whole
from bench.render.numbers import storage
from reranker.schema import read_model

HALF = np.dtype("<f2")
"""A component keeps 11 significant bits, so that a cosine changes by less than 0.0005."""


class _State(TypedDict):
    """state.json: how much of the matrix is on the disk."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    rows: int
    dimensions: int


@dataclass(slots=True)
class Store:
    """A matrix in a folder; ``rows`` of it are complete. What is in the file beyond them is overwritten."""

    folder: Path
    dimensions: int
    rows: int = 0

    def __post_init__(self) -> None:
        """Find what an earlier command left.

        Raises:
            BenchError: the folder's files are damaged.
        """
        if kind(self._state):
            found = read_model(self._state, _State, BenchError)
            held = self._file.stat().st_size if self._file.is_file() else 0
            if found["dimensions"] != self.dimensions or not 0 <= found["rows"] * self._row <= held:
                raise BenchError(
                    f"{self.folder} is damaged: its matrix is not what state.json says. Remove the folder."
                )
            self.rows = found["rows"]

    def check_room(self, rows: int) -> None:
        """Check that the disk has room for a matrix of so many rows.

        Raises:
            BenchError: naming both sizes.
        """
        missing = (rows - self.rows) * self._row
        existing = next(place for place in (self.folder, *self.folder.parents) if place.is_dir())
        free = shutil.disk_usage(existing).free
        if missing > free:
            raise BenchError(
                f"The embeddings need {storage(missing)} in {self.folder}, and its disk has {storage(free)}. Free the "
                "disk, or set RERANK_BENCH_CACHE to a folder on another disk."
            )

    def append(self, vectors: NDArray[np.float32]) -> None:
        """Add rows of shape (rows, dimensions); they are on the disk when this returns.

        Raises:
            BenchError: they cannot be written; the rows before them stay.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self._file, "r+b" if self._file.exists() else "w+b") as stream:
                stream.seek(self.rows * self._row)
                stream.write(np.ascontiguousarray(vectors, HALF).tobytes())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise BenchError(
                f"Cannot write {self._file}: {error.strerror or error}. {self.rows:,} embeddings are stored. Free the "
                "disk, then run the same command again."
            ) from error
        self.rows += len(vectors)
        write_whole(self._state, json.dumps({"rows": self.rows, "dimensions": self.dimensions}).encode())

    def matrix(self) -> NDArray[np.float16]:
        """The complete rows, shape (rows, dimensions), mapped into memory."""
        if not self.rows:
            return np.empty((0, self.dimensions), HALF)
        return np.memmap(self._file, HALF, "r", shape=(self.rows, self.dimensions))

    def tell(self, task: str, encoder: str, rows: int) -> None:
        """Say how much there is to do, before it is done."""
        there = f" {self.rows:,} are stored already." if self.rows else ""
        note(
            f"{task}: {rows:,} documents are embedded by {encoder}: {self.dimensions:,} dimensions, "
            f"{storage(rows * self._row)} in {self.folder}.{there} If interrupted, the same command resumes."
        )

    @property
    def _file(self) -> Path:
        return self.folder / "documents.f16"

    @property
    def _state(self) -> Path:
        return self.folder / "state.json"

    @property
    def _row(self) -> int:
        return self.dimensions * HALF.itemsize
