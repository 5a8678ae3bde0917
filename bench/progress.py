"""How far a command is: what the work calls, whoever shows it."""

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
