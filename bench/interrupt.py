"""Ctrl-C that is heard while a long computation runs.

Python raises KeyboardInterrupt between two of its own instructions, and one call into a model can take minutes. The
system tells of the signal at once, through a pipe that a second thread reads; where the main thread has not come round
in time, that thread ends the process. What is on disk must be safe from that, as from a kill.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from bench.console import note
from bench.errors import Stopped
from bench.escape import shell_word

GRACE = 1.5
"""Seconds from Ctrl-C until the process ends by force."""


@contextmanager
def interruptible(kept: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C into `Stopped`, whose message is what ``kept()`` says and the command to go on with.

    Raises:
        Stopped: for Ctrl-C, where the main thread hears it within `GRACE`; else the process has ended with status 130.
    """
    over = threading.Event()

    def end_unless_over() -> None:
        if not over.wait(GRACE):
            _end(_farewell(kept()))

    with _watched(end_unless_over):
        try:
            yield
        except KeyboardInterrupt:
            raise Stopped(_farewell(kept())) from None
        finally:
            over.set()


@contextmanager
def _watched(interrupted: Callable[[], None]) -> Iterator[None]:
    """Call a function, in a thread of its own, as soon as the system delivers an interrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)
    thread = threading.Thread(target=_listen, args=(ear, interrupted), daemon=True)
    before = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(mouth)
        thread.join()
        os.close(ear)


def _listen(ear: int, interrupted: Callable[[], None]) -> None:
    while heard := os.read(ear, 1):
        if heard[0] == signal.SIGINT:
            interrupted()


def _end(message: str) -> None:
    Console(stderr=True).show_cursor()  # a progress bar hides it, and does not get to show it again
    note(message)
    os._exit(130)


def _farewell(kept: str) -> str:
    command = " ".join(["python -m bench", *map(shell_word, sys.argv[1:])])
    return f"Stopped. {kept}. The same command goes on from there: {command}"
