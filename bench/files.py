"""Reading text files, plain or gzipped, and writing files whole."""

import errno
import gzip
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.errors import BenchError

_NAME = 40  # characters of a file's name in its temporary one, which must not be too long where the name is not


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text file, plain or gzipped (told by its first bytes, not by its name).

    A byte order mark is dropped: it would become part of the first id, and that query would score 0 in silence.

    Raises:
        BenchError: for a file that cannot be opened, is torn, or is not UTF-8.
    """
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig") as stream:
            yield from stream
    except (EOFError, UnicodeDecodeError, zlib.error, gzip.BadGzipFile) as error:
        raise BenchError(f"{path} is torn or not UTF-8 text ({error}). Get the file again.") from error
    except OSError as error:
        raise BenchError(f"Cannot read {path}: {error.strerror or error}.") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that it is there whole or not at all.

    Raises:
        BenchError: where the folder cannot be made or written (a full disk, a read-only one); nothing is left behind.
    """
    write_together({path: content})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together; the last one, which vouches for the others, is there only beside these.

    All are written under temporary names (``.NAME.PID``) and then renamed in their order. Where one of the others
    changes, the last one's old version is removed first. A process killed at any moment leaves the old files, the new
    ones, or the last one missing, and never an old one beside what it does not vouch for.

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
