"""Arrays that other processes of this machine map, so that a large index is not copied to each of them."""

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CAN_SHARE = hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()
"""Whether this system has memory that other processes can open as a file, as Linux has."""


@dataclass(frozen=True, slots=True)
class Shareable:
    """An array; one with a file is pickled as a reference to it, and can be read as long as this process holds it."""

    array: npt.NDArray[Any]
    file: FileIO | None = None

    @classmethod
    def empty(cls, size: int, dtype: npt.DTypeLike, shared: bool) -> "Shareable":
        """A one-dimensional array of any content, in memory that other processes can map if it is to be shared."""
        if not shared:
            return cls(np.empty(size, dtype))
        file = FileIO(os.memfd_create("array"), "r+")
        file.truncate(max(1, size * np.dtype(dtype).itemsize))  # an empty file cannot be mapped
        return cls(np.frombuffer(mmap.mmap(file.fileno(), 0), dtype, size), file)

    def __reduce__(self) -> tuple[Callable[..., "Shareable"], tuple[Any, ...]]:
        if self.file is None:
            return Shareable, (self.array,)
        return _mapped, (f"/proc/{os.getpid()}/fd/{self.file.fileno()}", self.array.dtype.str, len(self.array))


def _mapped(path: str, dtype: str, size: int) -> Shareable:
    with FileIO(path) as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return Shareable(np.frombuffer(memory, dtype, size))
