"""Lines and progress on the terminal; text from outside is escaped, so that nothing in it acts.

Pages are `bench.render`'s, which escapes them itself.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from bench.escape import shell_word, terminal, without_login
from bench.pace import Pace, in_words


@dataclass(slots=True)
class Output:
    """What the command line was asked to show: no progress, or more on errors."""

    quiet: bool = False
    verbose: bool = False


output = Output()


class Terminal(Console):
    """A console that lets the command line decide what a closed pipe means; rich would end with exit status 1."""

    def on_broken_pipe(self) -> None:
        """Raise on; called where the error is handled."""
        raise


_bars: list[Console] = []
"""The consoles of the bars that are on the terminal now."""


def note(text: str) -> None:
    """Print one line on standard error: what a reader of the figures must know, or why a command ended.

    A message may quote an argument, and an argument may be a URL with a password, which is not printed.
    """
    # A bar's own console prints above it; another one would print at its end, and leave it on the screen.
    console = _bars[-1] if _bars else Terminal(stderr=True)
    console.print(Text(terminal(without_login(text))), soft_wrap=True)


def say(text: str) -> None:
    """Print one line on standard output."""
    Terminal(soft_wrap=True).print(Text(terminal(text)))


def say_page(text: str) -> None:
    """Print a page that `bench.render` wrote on standard output, unchanged: each format has escaped its text."""
    if sys.stdout:  # None where it was closed before the start
        sys.stdout.write(text)


def say_path(path: Path) -> None:
    """Print a path on standard output so that it can be pasted into a shell: plain where nothing in it acts."""
    text = str(path)
    say(text if terminal(text) == text else shell_word(text))


def note_lines(text: str) -> None:
    """Print text of several lines on standard error: a usage message, a traceback."""
    for line in text.rstrip("\n").split("\n"):
        note(line)


def note_traceback(error: BaseException) -> None:
    """Print where an error came from, for whoever fixes it."""
    note_lines("".join(traceback.format_exception(error)))


class Formatter(logging.Formatter):
    """Log records as harmless lines: a message on one line, then its traceback if it has one."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message without what acts on a terminal."""
        return terminal(super().formatMessage(record))

    def formatException(self, ei: object) -> str:
        """The traceback's lines without what acts on a terminal."""
        return "\n".join(map(terminal, super().formatException(ei).split("\n")))  # type: ignore[arg-type]


class _Above:
    """Standard error for log records: above the progress bar, where one is on the terminal."""

    def __init__(self, of_worker: bool) -> None:
        self._of_worker = of_worker

    def write(self, text: str) -> None:
        """Write whole lines."""
        if _bars:
            _bars[-1].print(Text(text), end="", soft_wrap=True)
        elif self._of_worker and sys.stderr.isatty():
            # The command's bar is one line, which the command draws again below.
            sys.stderr.write(f"\r\x1b[K{text}")
        else:
            sys.stderr.write(text)

    def flush(self) -> None:
        """Write what is buffered."""
        sys.stderr.flush()


def log_to_stderr(of_worker: bool = False) -> None:
    """Print warnings and errors of every library, and Python's own warnings, as harmless lines on standard error.

    ``of_worker`` says that another process shows a bar on the same terminal.
    """
    handler = logging.StreamHandler(_Above(of_worker))
    handler.setFormatter(Formatter())
    logging.basicConfig(handlers=[handler])
    logging.captureWarnings(True)


class Advance(Protocol):
    """Counts the units of work done since its last call."""

    def __call__(self, units: int, /, *, restored: bool = False, workers: int = 0) -> None:
        """Count some units; ``restored`` ones took no work now, so they are left out of the time estimate.

        ``workers`` is how many workers are alive; 0 where the command itself does the work.
        """
        ...


class Progress(Protocol):
    """Shows the steps of a command, one after the other."""

    def step(self, label: str, total: int | None) -> AbstractContextManager[Advance]:
        """Show one step of ``total`` units (None if unknown) while the context is open."""
        ...


class Silent:
    """Progress that is not shown."""

    @contextmanager
    def step(self, label: str, total: int | None) -> Iterator[Advance]:
        """See `Progress`."""

        def advance(units: int, /, *, restored: bool = False, workers: int = 0) -> None:
            pass

        yield advance


class Numbered:
    """Progress of one of several tasks: each step also says which one, as in ``task 3 of 13``."""

    def __init__(self, progress: Progress, number: int, of: int) -> None:
        self._progress = progress
        self._suffix = f"  task {number} of {of}" if of > 1 else ""

    def step(self, label: str, total: int | None) -> AbstractContextManager[Advance]:
        """See `Progress`."""
        return self._progress.step(f"{label}{self._suffix}", total)


INTERVAL = 60.0
"""Seconds between two lines about one step, where standard error is no terminal."""


class Bar:
    """A progress bar per step, on standard error, so that the table on standard output can be piped.

    Where standard error is no terminal, as in a CI log, each step is one line when it is done, and a long one says
    every ``interval`` seconds how far it is. Nothing is shown where the command line was asked to be quiet.
    """

    def __init__(self, console: Console | None = None, interval: float = INTERVAL) -> None:
        self._console = console or Terminal(stderr=True)
        self._interval = interval

    @contextmanager
    def step(self, label: str, total: int | None) -> Iterator[Advance]:
        """See `Progress`."""
        if output.quiet:
            with Silent().step(label, total) as advance_silently:
                yield advance_silently
            return
        pace = Pace(total)
        with (self._bar if self._console.is_terminal else self._lines)(label, pace) as shown:

            def advance(units: int, /, *, restored: bool = False, workers: int = 0) -> None:
                pace.advance(units, restored, workers)
                shown()

            yield advance

    @contextmanager
    def _bar(self, label: str, pace: Pace) -> Iterator[Callable[[], None]]:
        # Slow to import, and most commands need none of it.
        from rich import progress
        from rich.table import Column

        # On a narrow terminal the bar gives way, and not the figures.
        whole = Column(no_wrap=True)
        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=24),
            progress.MofNCompleteColumn(table_column=whole.copy()),
            progress.TimeElapsedColumn(table_column=whole.copy()),
            progress.TextColumn("{task.fields[pace].so_far}"),
        )
        with progress.Progress(*columns, console=self._console, transient=True) as shown:
            task = shown.add_task(escape(terminal(label)), total=pace.total, pace=pace)
            _bars.append(self._console)
            try:
                yield lambda: shown.update(task, completed=pace.done)
            finally:
                _bars.remove(self._console)

    @contextmanager
    def _lines(self, label: str, pace: Pace) -> Iterator[Callable[[], None]]:
        over = threading.Event()

        def tell() -> None:
            while not over.wait(self._interval):
                self._line(f"{label}  {_so_far(pace)}")

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield lambda: None
        finally:
            over.set()
            thread.join()
        self._line(f"{label}  {pace.elapsed:.1f} s")

    def _line(self, text: str) -> None:
        self._console.print(Text(terminal(text)), soft_wrap=True)


def _so_far(pace: Pace) -> str:
    """How far a step is: ``120 of 300, 4 min left``, or only how long it takes already."""
    counted = f"{pace.done:,} of {pace.total:,}" if pace.total is not None else ""
    return ", ".join(filter(None, (counted, pace.so_far or f"{in_words(pace.elapsed)} so far")))
