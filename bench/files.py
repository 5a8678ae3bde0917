"""Reads text files, plain or gzipped, finds files below a folder, and writes files atomically."""

import errno
import gzip
import os
import stat
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from bench.errors import BenchError

_NAME = 40  # characters of a file's name in its temporary one, which must not be too long where the name is not


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text file, plain or gzipped, which may be a pipe.

    A byte order mark is dropped: it would become part of the first id, and that query would score 0 in silence.

    Raises:
        BenchError: for a file that cannot be opened, is damaged, or is not UTF-8.
    """
    with unpacked(path) as stream, readable(path):
        yield from TextIOWrapper(stream, encoding="utf-8-sig")


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, unpacked if it is gzipped, whatever its name. It is opened once: a pipe gives its bytes once.

    Raises:
        BenchError: for a file that cannot be opened.
    """
    with readable(path), open(path, "rb") as raw:
        # One byte tells: a text of ours never begins with this control character, and a pipe may give one at a time.
        if raw.peek(1)[:1] == b"\x1f":
            with gzip.GzipFile(fileobj=raw, mode="rb") as stream:
                yield stream  # type: ignore[misc]  # it reads like any binary file
        else:
            yield raw


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in words what reading a file within this context can fail on.

    Raises:
        BenchError: naming the file, the fault and the fix.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BenchError(f"{path} is a damaged gzip file ({error}). Download it or pack it again.") from error
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is not UTF-8 text ({error}). Convert it, or unpack it if it is no text.") from error
    except OSError as error:
        raise BenchError(f"Cannot read {path}: {error.strerror or error}.") from error


def kind(path: Path) -> int:
    """What a path leads to, as `stat.S_IFMT` says it (``stat.S_IFREG``, ``stat.S_IFDIR``, ...); 0 for nothing.

    Raises:
        BenchError: where that cannot be told: a folder on the way may not be entered, or the name is too long.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise BenchError(f"Cannot read {path}: {reason}.") from error


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


def cache_folder() -> Path:
    """``$RERANK_BENCH_CACHE``, or ``rerank-bench`` in the user's cache folder; a ``~`` is the user's home.

    Raises:
        BenchError: where the user has no home folder.
    """
    given = os.environ.get("RERANK_BENCH_CACHE")
    place = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "rerank-bench"
    try:
        return place.expanduser()
    except RuntimeError as error:
        raise BenchError(
            f"{place} names no folder ({error}). Set RERANK_BENCH_CACHE to a folder for caches."
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that it is there whole or not at all.

    Raises:
        BenchError: where the folder cannot be made or written (a full disk, a read-only one); nothing is left behind.
    """
    write_together({path: content})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together; the last one, which vouches for the others, exists only together with them.

    All are written under temporary names (``.NAME.PID``) and then renamed in their order. Where one of the others
    changes, the last one's old version is removed first. A process killed at any moment leaves the old files, the new
    ones, or the last one missing, and never an old one next to what it does not vouch for.

    Raises:
        BenchError: where a folder cannot be made or written (a full disk, a read-only one); nothing is left behind.
    """
    *others, last = files
    temporary = {path: path.with_name(f".{path.name[:_NAME]}.{os.getpid()}") for path in files}
    path = last
    try:
        try:
            for path, content in files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_synced(temporary[path], content)
            if not all(_holds(path, files[path]) for path in others):
                last.unlink(missing_ok=True)
            for path in files:
                temporary[path].replace(path)
        finally:
            for each in temporary.values():
                each.unlink(missing_ok=True)
    except OSError as error:
        raise BenchError(f"Cannot write {path}: {error.strerror or error}. {_remedy(error)}") from error


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free the disk or choose another folder."
    return "Choose a shorter name." if error.errno == errno.ENAMETOOLONG else "Choose another folder."
