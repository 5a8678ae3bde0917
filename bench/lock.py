"""A lock on an output folder: one command at a time writes there."""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.errors import BenchError

LOCK = ".lock"
PATIENCE = 5.0
"""Seconds that a second command waits for the first one's output folder."""

_log = logging.getLogger(__name__)


@contextmanager
def locked(output: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold an output folder's lock. The kernel lets go of it when the process ends, however it ends.

    The lock file is never removed: one command could hold the removed file, and another a new one of the same name.

    Raises:
        BenchError: naming the process that still holds the folder after ``patience`` seconds.
    """
    with _lock_file(output) as stream:
        _take(stream, output, patience)
        yield


def _lock_file(output: Path) -> IO[bytes]:
    try:
        output.mkdir(parents=True, exist_ok=True)
        return open(output / LOCK, "a+b", buffering=0)
    except OSError as error:
        raise _unwritable(output, error) from error


def _unwritable(output: Path, error: OSError) -> BenchError:
    return BenchError(f"Cannot write results to {output}: {error.strerror}. Choose another folder with --output.")


def _take(stream: IO[bytes], output: Path, patience: float) -> None:
    """Take the lock and write down who has it."""
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
            _log.warning(f"{output} is being written by another command ({holder}); waiting {patience:.0f} seconds.")
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
        _log.warning(f"{output} cannot be locked ({error.strerror}). See that no other command writes there.")
    return True
