"""Workers: score these chunks, in any order, as they come. Nothing above knows who does it.

Three makers: this process (`Here`), a team of processes on this machine (`bench.evaluation.processes`), and a team of
Ray actors on a cluster (`bench.evaluation.ray_workers`). A `Crew` keeps a team busy: chunks go out longest first, two
to a worker, so that none waits for the next; the chunks of a worker that dies are sent again. The command alone reads
and writes the score cache, so a command that dies loses no more than the chunks in flight.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

from bench.console import note
from bench.errors import BenchError
from bench.evaluation.chunks import Answered, Chunk, ScoreChunks, ask
from bench.rerankers.base import CandidateList, Reranker, Step

IN_FLIGHT = 2
"""Chunks that a worker has: the one being scored, and the next."""
DEATHS = 3
"""Workers that one chunk may kill, and starts that may fail, before the command stops."""


class Workers(Protocol):
    """Who scores chunks that are not in the cache.

    ``at_once`` is how many chunks it wants to be given together.
    """

    at_once: int

    def score(self, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, Answered]]:
        """Score chunks; the answers come in any order.

        Raises:
            BenchError: a list cannot be scored, or no worker can be had.
        """
        ...


class Here:
    """The reranker itself, in this process: one chunk after the other, in the order given."""

    at_once = 1

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker

    def score(self, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, Answered]]:
        """See `Workers`."""
        for chunk in chunks:
            yield chunk, ask(self._reranker, chunk.lists())


def in_process(reranker: Reranker) -> ScoreChunks:
    """Scores chunks by the reranker itself, without a cache."""
    return lambda chunks: (answered for chunk in chunks for _, answered in Here(reranker).score([chunk]))


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has its model and may be sent chunks."""

    worker: int


@dataclass(frozen=True, slots=True)
class Done:
    """A worker's answer to the chunk that was sent with this ticket."""

    worker: int
    ticket: int
    answered: Answered


@dataclass(frozen=True, slots=True)
class Died:
    """A worker has ended, and what was sent to it is lost; ``how`` says what is known. Another one is started."""

    worker: int
    how: str


Event = Ready | Done | Died


class Team(Protocol):
    """Started workers, known by numbers."""

    def send(self, worker: int, ticket: int, lists: Sequence[CandidateList]) -> None:
        """Send a chunk to a worker that is ready; one that has died meanwhile is reported by `next`.

        A worker scores its chunks in the order sent. The answer has the same ``ticket``.
        """
        ...

    def next(self) -> Event:
        """Wait for the next event.

        Raises:
            BenchError: a worker refuses its work, or no worker can be had any more.
        """
        ...

    def close(self) -> None:
        """End all workers."""
        ...


class Crew:
    """Keeps a team busy. The team is started with the first chunk: with everything cached, no model is loaded."""

    at_once = sys.maxsize

    def __init__(self, name: str, start: Callable[[], Team], loading: Step = nullcontext) -> None:
        """``start`` makes the team; ``loading`` is open until its first worker is ready. ``name`` is the reranker's."""
        self._name = name
        self._start = start
        self._loading = loading
        self._team: Team | None = None
        # What each worker that is ready was sent, by ticket, in that order.
        self._flying: dict[int, dict[int, Chunk]] = {}
        self._tickets = count()
        self._killed: Counter[Chunk] = Counter()
        self._failed_starts = 0
        self._waited = 0.0

    def score(self, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, Answered]]:
        """See `Workers`."""
        waiting = sorted(chunks, key=lambda chunk: chunk.characters)  # the longest is taken first, from the end
        while waiting or any(self._flying.values()):
            team = self._team or self._begin()
            self._feed(team, waiting)
            event = self._next(team)
            if isinstance(event, Done):
                chunk = self._flying[event.worker].pop(event.ticket)
                self._feed(team, waiting)  # before the answer is written, so that no worker waits for that
                yield chunk, replace(event.answered, waited=self._waited, workers=len(self._flying))
                self._waited = 0.0
            else:
                waiting += self._take(event)

    def close(self) -> None:
        """End the workers."""
        if self._team:
            self._team.close()

    def _begin(self) -> Team:
        """Start the team and wait for its first worker."""
        asked = time.perf_counter()
        with self._loading():
            team = self._team = self._start()
            self._waited += time.perf_counter() - asked
            while not self._flying:
                self._take(self._next(team))
        return team

    def _feed(self, team: Team, waiting: list[Chunk]) -> None:
        """Give every worker a chunk before any gets its second."""
        for few in range(IN_FLIGHT):
            for worker, sent in self._flying.items():
                if waiting and len(sent) <= few:
                    chunk = waiting.pop()
                    ticket = next(self._tickets)
                    sent[ticket] = chunk
                    team.send(worker, ticket, chunk.lists())
                    chunk.forget()

    def _next(self, team: Team) -> Event:
        asked = time.perf_counter()
        event = team.next()
        self._waited += time.perf_counter() - asked
        return event

    def _take(self, event: Event) -> list[Chunk]:
        """Note a worker's start or end; gives the chunks that must be sent again, the first one last."""
        if not isinstance(event, Died):
            self._flying.setdefault(event.worker, {})
            self._failed_starts = 0
            return []
        if event.worker not in self._flying:
            self._failed_starts += 1
            if self._failed_starts == DEATHS:
                raise BenchError(
                    f"No worker can load {self._name}: {DEATHS} ended before they were ready, the last {event.how}."
                )
            return []
        lost = list(self._flying.pop(event.worker).values())
        if lost:
            self._blame(lost[0], event.how)
        return [*reversed(lost)]

    def _blame(self, chunk: Chunk, how: str) -> None:
        """Count a death against the chunk that was being scored."""
        queries = ", ".join(map(repr, chunk.queries))
        self._killed[chunk] += 1
        if self._killed[chunk] == DEATHS:
            raise BenchError(
                f"{self._name}: {DEATHS} workers ended, {how}, while they scored queries {queries}. "
                "Everything scored before is cached. If memory ran out, take fewer --workers or lower "
                "--max-doc-length; else measure these queries without --workers to see why."
            )
        note(f"A worker ended, {how}, while it scored queries {queries}. They are scored again.")
