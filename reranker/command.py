"""What the command lines share: how they end when something goes wrong, or when the user stops them."""

import os
import signal
import sys
from collections.abc import Callable

from reranker.errors import RerankerError

_FAILED = 2
_INTERRUPTED = 130  # 128 and the number of the signal, as shells have it


def end_at_once_on_interrupt() -> None:
    """Have Ctrl-C end the process with one line, while modules are imported and nothing is to be tidied up."""
    signal.signal(signal.SIGINT, _end)


def run(work: Callable[[], int], advice: str = "") -> int:
    """The exit status of a command's work.

    A fault that the user can fix is one line on standard error and status 2; Ctrl-C is one line, with the advice, and
    status 130.
    """
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return work()
    except RerankerError as error:
        _say(f"error: {error}")
        return _FAILED
    except OSError as error:
        _say(f"error: {error}. Free the disk or give another folder, and run the same command again.")
        return _FAILED
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would be a traceback after all
        _say(f"Interrupted. {advice}".rstrip())
        return _INTERRUPTED


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _end(*_: object) -> None:
    os.write(2, b"Interrupted.\n")
    os._exit(_INTERRUPTED)
