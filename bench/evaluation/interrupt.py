"""Ctrl-C that is heard while a long computation runs.

Python raises KeyboardInterrupt between two of its own instructions, and one call into a model can take minutes. The
system tells of the signal at once, through a pipe that a second thread reads; where the main thread has not come round
in time, that thread ends the process. What is on disk must be safe from that, as from a kill.
"""

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.errors import Stopped
from bench.escape import shell_word, terminal

GRACE = 1.5
"""Seconds from Ctrl-C until the process ends by force."""

_BEYOND_SHELLS = 100  # shells give numbers up to 63 to what they open


@contextmanager
def interruptible(kept: Callable[[], str] | None = None) -> Iterator[None]:
    """Turn Ctrl-C into `Stopped`, whose message is what ``kept()`` says and the command to go on with.

    Contexts may be nested; the innermost one's message is told. ``kept`` is None where nothing can be gone on with.

    Raises:
        Stopped: for Ctrl-C, where the main thread hears it within `GRACE`; else the process has ended with status 130.
    """
    over = threading.Event()

    def end_unless_over() -> None:
        if not over.wait(GRACE):
            _end(_farewell(kept))

    with _watched(end_unless_over) as heard:
        try:
            yield
        except BaseException as error:
            # Libraries turn a KeyboardInterrupt into an error of theirs, or an exit.
            if heard.is_set() or isinstance(error, KeyboardInterrupt):
                raise Stopped(_farewell(kept)) from None
            raise
        finally:
            over.set()


@contextmanager
def _watched(interrupted: Callable[[], None]) -> Iterator[threading.Event]:
    """Call a function, in a thread of its own, as soon as the system delivers an interrupt.

    The event that is given is set when the main thread hears of it too, which then gets a KeyboardInterrupt.
    """
    heard = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield heard  # signals are the main thread's
        return

    def hear(*_: object) -> None:
        heard.set()
        raise KeyboardInterrupt

    ear, mouth = map(_out_of_the_way, os.pipe())
    os.set_blocking(mouth, False)
    thread = threading.Thread(target=_listen, args=(ear, interrupted), daemon=True)
    descriptor = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    handler = signal.signal(signal.SIGINT, hear)
    thread.start()
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.set_wakeup_fd(descriptor)
        os.close(mouth)
        thread.join()
        os.close(ear)


def _out_of_the_way(descriptor: int) -> int:
    """The same open file under a number that nobody means who writes ``/dev/fd/3`` and forgets ``3<file``.

    Our own pipe would be read for ever; a number that is not open is an error at once.
    """
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _BEYOND_SHELLS)
    except OSError:  # fewer files than that may be open
        return descriptor
    os.close(descriptor)
    return moved


def _listen(ear: int, interrupted: Callable[[], None]) -> None:
    while heard := os.read(ear, 1):
        if heard[0] == signal.SIGINT:
            interrupted()


def _end(message: str) -> None:
    # A progress bar hides the cursor, and does not get to show it again.
    cursor = "\x1b[?25h" if os.isatty(2) else ""
    os.write(2, f"{cursor}{terminal(message)}\n".encode(errors="backslashreplace"))
    os._exit(130)


def _farewell(kept: Callable[[], str] | None) -> str:
    if kept is None:
        return "Stopped."
    command = " ".join(["python -m bench", *map(shell_word, sys.argv[1:])])
    return f"Stopped. {kept()} The same command goes on from there: {command}"
