"""Lines for people, in which nothing from outside acts on the terminal: all that the commands print goes through here.

Tables are rich's; their cells are ``Text(terminal(...))`` of `bench.escape`.
"""

import logging
import sys
import traceback
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bench.escape import shell_word, terminal, without_login


class Terminal(Console):
    """A console that lets the command line decide what a closed pipe means; rich would end with exit status 1."""

    def on_broken_pipe(self) -> None:
        """Raise on; called where the error is handled."""
        raise


def note(text: str) -> None:
    """Print one line on standard error: what a reader of the figures must know, or why a command ended.

    A message may quote an argument, and an argument may be a URL with a password, which is not printed.
    """
    Terminal(stderr=True, soft_wrap=True).print(Text(terminal(without_login(text))))


def say(text: str) -> None:
    """Print one line on standard output."""
    Terminal(soft_wrap=True).print(Text(terminal(text)))


def say_page(text: str) -> None:
    """Print a page of `bench.render` on standard output, as it is: each format has escaped its cells in its own way."""
    if sys.stdout:  # None where it was closed before the start
        sys.stdout.write(text + "\n")


def say_path(path: Path) -> None:
    """Print a path on standard output so that it can be pasted into a shell: plain where nothing in it acts."""
    text = str(path)
    say(text if terminal(text) == text else shell_word(text))


def note_lines(text: str) -> None:
    """Print text of several lines on standard error: a usage message, a traceback."""
    for line in text.rstrip("\n").split("\n"):
        note(line)


def note_traceback(error: BaseException) -> None:
    """Print where an error came from, for whoever mends it."""
    note_lines("".join(traceback.format_exception(error)))


class Formatter(logging.Formatter):
    """Log records as harmless lines: a message on one line, then its traceback if it has one."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message without what acts on a terminal."""
        return terminal(super().formatMessage(record))

    def formatException(self, ei: object) -> str:
        """The traceback's lines without what acts on a terminal."""
        return "\n".join(map(terminal, super().formatException(ei).split("\n")))  # type: ignore[arg-type]


def log_to_stderr() -> None:
    """Print warnings and errors of every library, and Python's own warnings, as harmless lines on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter())
    logging.basicConfig(handlers=[handler])
    logging.captureWarnings(True)
