"""Progress of a command: what the work reports, whoever shows it, and how long a step will still take."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Advance(Protocol):
    """Takes the units of work done since its last call."""

    def __call__(self, units: int, /, *, restored: bool = False) -> None:
        """Count some units; ``restored`` ones took no work now, and tell nothing about how long the others take."""
        ...


class Progress(Protocol):
    """Shows the steps of a command, one after the other."""

    def step(self, label: str, total: int | None) -> AbstractContextManager[Advance]:
        """Show one step of ``total`` units (None where nobody can say) for as long as the context is open."""
        ...


class Numbered:
    """Progress of one of several like parts: each step also says which one, as in ``task 3 of 13``."""

    def __init__(self, progress: Progress, number: int, of: int) -> None:
        self._progress = progress
        self._suffix = f"  task {number} of {of}" if of > 1 else ""

    def step(self, label: str, total: int | None) -> AbstractContextManager[Advance]:
        """See `Progress`."""
        return self._progress.step(f"{label}{self._suffix}", total)


class Pace:
    """Units done of a step, and the seconds that they took. Restored units took none, and are not reckoned with."""

    def __init__(self, total: int | None, clock: Callable[[], float] = time.perf_counter) -> None:
        self.total = total
        self.done = 0
        self._clock = clock
        self._started = self._last = clock()
        self._fresh = 0
        self._seconds = 0.0

    def advance(self, units: int, restored: bool) -> None:
        """Count some units, done since the last call."""
        now = self._clock()
        self.done += units
        if not restored:
            self._fresh += units
            self._seconds += now - self._last
        self._last = now

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return self._clock() - self._started

    @property
    def left(self) -> str:
        """The time left in words, such as ``4 min left``; empty while nobody can tell."""
        if self.total is None or not self._fresh or self.done >= self.total:
            return ""
        spent_on_next = self._clock() - self._last
        return f"{in_words(max(0.0, (self.total - self.done) * self._seconds / self._fresh - spent_on_next))} left"


def in_words(seconds: float) -> str:
    """A time of some seconds as ``42 s``, ``4 min`` or ``2 h 05 min``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
