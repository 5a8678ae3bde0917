"""Walks a folder and leaves nothing out in silence: links are followed, and what cannot be read is an error."""

import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from bench.errors import BenchError
from bench.files import kind


def files_below(root: Path) -> Iterator[Path]:
    """The files below a folder. Each folder is read once, under its own name rather than a link's where it has one.

    Raises:
        BenchError: for a folder that cannot be listed, a link that leads nowhere, and what is neither file nor folder.
    """
    seen: set[tuple[int, int]] = set()
    folders, links = [root], deque[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.popleft()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise BenchError(f"Cannot read {folder}: {error.strerror or error}.") from error
        for entry in entries:
            found = kind(entry)
            if found == stat.S_IFDIR:
                (links if entry.is_symlink() else folders).append(entry)
            elif found == stat.S_IFREG:
                yield entry
            elif found:
                # It would be waited for, or read for ever.
                raise BenchError(f"Cannot read {entry}: it is a pipe, a socket or a device. Put a file there.")
            elif entry.is_symlink():
                raise BenchError(f"Cannot read {entry}: the link leads nowhere. Restore what it led to, or remove it.")
