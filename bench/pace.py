"""How long a step will still take, from how long its work has taken until now."""

import time
from collections.abc import Callable


class Pace:
    """Units done of a step, and the seconds that they took. Restored units took none, and are not reckoned with."""

    def __init__(self, total: int | None, clock: Callable[[], float] = time.perf_counter) -> None:
        self.total = total
        self.done = self.workers = 0
        self._clock = clock
        self._started = self._last = clock()
        self._fresh = 0
        self._seconds = 0.0

    def advance(self, units: int, restored: bool, workers: int = 0) -> None:
        """Count some units, done since the last call, and note how many workers are alive."""
        now = self._clock()
        self.workers = workers or self.workers
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
    def so_far(self) -> str:
        """What is known of the step's speed, such as ``12.3/s, 8 workers, 4 min left``; without workers the last."""
        crew = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        team = [f"{self._fresh / self._seconds:.1f}/s", crew] if self.workers else []
        return ", ".join(filter(None, (*team, self.left)))

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
