"""Ctrl-C: the process ends at once, with one line and exit status 130.

Python calls signal handlers on the main thread, between two of its own instructions, and one call into a model can take
minutes. So a second thread, which Python's C handler wakes through a pipe, prints the line and ends the process. For
what is on disk, that is no different from a kill.
"""

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bench.escape import shell_word, terminal, without_login

_BEYOND_SHELLS = 100  # shells give numbers up to 63 to the files they open

_cached: list[Callable[[], str]] = []


def end_on_interrupt() -> None:
    """Have Ctrl-C end this process, whatever its main thread is doing."""
    reader, writer = map(_out_of_the_way, os.pipe())
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, _wait_for_the_end)
    threading.Thread(target=_end, args=(reader,), daemon=True).start()


@contextmanager
def resumable(cached: Callable[[], str]) -> Iterator[None]:
    """Within the context, Ctrl-C also prints what ``cached()`` says, and the command that resumes."""
    _cached.append(cached)
    try:
        yield
    finally:
        _cached.pop()


def _end(reader: int) -> None:
    while os.read(reader, 1) != bytes([signal.SIGINT]):  # other signals wake the thread too
        continue
    # A progress bar has hidden the cursor, and its line is not finished.
    cursor = "\x1b[?25h\n" if os.isatty(2) else ""
    with suppress(OSError):
        os.write(2, f"{cursor}{terminal(without_login(_message()))}\n".encode(errors="backslashreplace"))
    os._exit(130)


def _message() -> str:
    if not _cached:
        return "Interrupted."
    command = " ".join(["python -m bench", *map(shell_word, sys.argv[1:])])
    return f"Interrupted. {_cached[-1]()} Rerun this command to resume: {command}"


def _wait_for_the_end(*_: object) -> None:
    time.sleep(5)
    raise KeyboardInterrupt  # in a forked process, which has no second thread


def _out_of_the_way(descriptor: int) -> int:
    """Move an open file to a high number, so that nobody reads our pipe by ``/dev/fd/3`` without ``3<file``."""
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _BEYOND_SHELLS)
    except OSError:  # no more than 100 files may be open
        return descriptor
    os.close(descriptor)
    return moved
