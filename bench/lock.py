"""A lock on an output folder, so that one command at a time writes there."""

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from bench.console import note
from bench.errors import BenchError
from bench.suites import OTHERS, SUITES

LOCK = ".lock"
PATIENCE = 5.0
"""Seconds to wait for another command that has the folder locked."""

_HOLDER = re.compile(rb"(\d+\n)?")
_TEMPORARY = re.compile(r"\.(result\.json|run\.trec\.gz|sensitivity(?:-\d+--?\d+)?\.json)\.\d+")


@contextmanager
def locked(output: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Lock an output folder, and remove the temporary files that killed commands left in it.

    The kernel releases the lock when the process ends, however it ends. The lock file is never removed: one command
    could have the removed file locked, and another a new one of the same name.

    Raises:
        BenchError: naming the process that still has the folder locked after ``patience`` seconds, or where the folder
            cannot be written.
    """
    with _lock_file(output) as stream:
        _take(stream, output, patience)
        _remove_leftovers(output)
        yield


def _lock_file(output: Path) -> IO[bytes]:
    path = output / LOCK
    try:
        output.mkdir(parents=True, exist_ok=True)
        # Not through a link: the process id is written to the file, and a link could lead to any file of the user's.
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if path.is_symlink():
            raise _foreign(path) from error
        raise _unwritable(output, error) from error
    stream = open(number, "a+b", buffering=0)
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode) or not _HOLDER.fullmatch(os.pread(number, 20, 0)):
        stream.close()
        raise _foreign(path)
    return stream


def _foreign(path: Path) -> BenchError:
    return BenchError(f"{path} is not a lock file of this program. Remove it, or choose another folder with --output.")


def _remove_leftovers(output: Path) -> None:
    """Remove the temporary files of `bench.files.write_whole` that a kill left; under the lock, none is in use."""
    for suite in (*SUITES, *OTHERS):
        for folder, _, names in os.walk(output / suite):
            for name in filter(_TEMPORARY.fullmatch, names):
                # A file that cannot be removed does no harm.
                with suppress(OSError):
                    (Path(folder) / name).unlink()


def _unwritable(output: Path, error: OSError) -> BenchError:
    return BenchError(f"Cannot write results to {output}: {error.strerror}. Choose another folder with --output.")


def _take(stream: IO[bytes], output: Path, patience: float) -> None:
    """Take the lock and write this process's id to its file."""
    until = time.monotonic() + patience
    told = False
    while not _try(stream, output):
        stream.seek(0)
        holder = f"process {stream.read(20).decode('ascii', 'replace').strip() or 'unknown'}"
        if time.monotonic() >= until:
            raise BenchError(
                f"{output} is being written by another command ({holder}). Wait until it has ended, or choose another "
                "folder with --output."
            )
        if not told:
            note(f"{output} is being written by another command ({holder}); waiting {patience:.0f} seconds.")
            told = True
        time.sleep(0.1)
    try:
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n".encode())
    except OSError as error:
        raise _unwritable(output, error) from error


def _try(stream: IO[bytes], output: Path) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        note(f"{output} cannot be locked ({error.strerror}). Make sure that no other command writes there.")
    return True
