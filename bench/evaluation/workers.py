"""Workers: score these chunks, in any order, as they come. Nothing above knows who does it.

Three makers: this process (`Here`), a team of processes on this machine (`bench.evaluation.processes`), and a team of
Ray actors on a cluster (`bench.evaluation.ray_workers`). A `Crew` keeps a team busy: chunks go out two to a worker, so
that none waits for the next; the chunks of a worker that dies are sent again. The first go out while the command still
reads the others. The command alone reads and writes the score cache, so a command that dies loses no more than the
chunks in flight.
"""

import math
import time
from abc import ABC, abstractmethod
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import count
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

from bench.console import note
from bench.errors import BenchError
from bench.evaluation.chunks import Answer, Answered, Chunk, ScoreChunks, ask
from bench.evaluation.worker import Request, Score
from bench.rerankers.base import Reranker, Scored, Step

IN_FLIGHT = 2
"""Chunks that a worker has: the one being scored, and the next."""
DEATHS = 3
"""Workers that one chunk may kill, and starts that may fail, before the command stops."""


class Workers(Protocol):
    """Who scores chunks that are not in the cache. Answers come in any order."""

    def take(self, chunk: Chunk) -> Iterator[tuple[Chunk, Answered]]:
        """Take a chunk that is to be scored; gives the answers that are there by now, to any chunk.

        Raises:
            BenchError: a list cannot be scored, or no worker can be had.
        """
        ...

    def rest(self) -> Iterator[tuple[Chunk, Answered]]:
        """Score what was taken and not answered yet.

        Raises:
            BenchError: as `take`.
        """
        ...


class Here:
    """The reranker itself, in this process: one chunk after the other, in the order given."""

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker

    def take(self, chunk: Chunk) -> Iterator[tuple[Chunk, Answered]]:
        """See `Workers`."""
        yield chunk, ask(self._reranker, chunk.lists())

    def rest(self) -> Iterator[tuple[Chunk, Answered]]:
        """See `Workers`."""
        return iter(())


def in_process(reranker: Reranker) -> ScoreChunks:
    """Scores chunks by the reranker itself, without a cache."""
    return lambda chunks: (ask(reranker, chunk.lists()) for chunk in chunks)


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has its model and may be sent chunks."""

    worker: int


@dataclass(frozen=True, slots=True)
class Done:
    """A worker's answer to the chunk that was sent with this ticket."""

    worker: int
    ticket: int
    answered: Answered[Any]


@dataclass(frozen=True, slots=True)
class Died:
    """A worker has ended, and what was sent to it is lost; ``how`` says what is known. Another one is started."""

    worker: int
    how: str


Event = Ready | Done | Died


class Team(Protocol):
    """Started workers, known by numbers."""

    def send(self, worker: int, ticket: int, request: Request[object]) -> None:
        """Send a request to a worker that is ready; one that has died meanwhile is reported by `next`.

        A worker answers in the order sent. The answer has the same ``ticket``.
        """
        ...

    def next(self, wait: bool) -> Event | None:
        """The next event; None where there is none yet and the caller does not want to ``wait``.

        Raises:
            BenchError: a worker refuses its work, or no worker can be had any more.
        """
        ...

    def close(self) -> None:
        """End all workers."""
        ...


class Listener(ABC):
    """A team's events, from listening to its workers for some seconds at a time."""

    def __init__(self, patience: float) -> None:
        """``patience`` is the most seconds to listen before `_listen` looks for workers that ended in silence."""
        self._patience = patience
        self._known: deque[Event] = deque()

    def next(self, wait: bool) -> Event | None:
        """See `Team`."""
        if not self._known:
            self._listen(0)
        while wait and not self._known:
            self._listen(self._patience)
        return self._known.popleft() if self._known else None

    @abstractmethod
    def _listen(self, seconds: float) -> None:
        """Append what workers send within some seconds to ``_known``, and the ends of those that have ended."""


class Work(Protocol):
    """What a worker does in one go: a chunk of lists, or a block of a corpus."""

    @property
    def about(self) -> str:
        """What it is about, for messages."""
        ...

    def forget(self) -> None:
        """Drop what can be read again."""
        ...


Item = TypeVar("Item", bound=Work)


class Crew(ABC, Generic[Item, Answer]):
    """Keeps a team busy. The team is started with the first work: with everything cached, no model is loaded."""

    less_memory = "take fewer --workers or lower --max-doc-length"
    """What the user can do where memory runs out."""

    def __init__(
        self, name: str, start: Callable[[], Team], loading: Step = nullcontext, most_waiting: float = math.inf
    ) -> None:
        """``start`` makes the team; ``loading`` is open while its first worker is waited for.

        ``name`` is the reranker's. No work is taken before at most ``most_waiting`` have no worker yet.
        """
        self._name = name
        self._start = start
        self._loading = loading
        self._most_waiting = most_waiting
        self._team: Team | None = None
        self._waiting: list[Item] = []  # not sent yet; the first to be sent is at the end
        # What each worker that is ready was sent, by ticket, in that order.
        self._flying: dict[int, dict[int, Item]] = {}
        self._tickets = count()
        self._killed: Counter[Item] = Counter()
        self._suspects: set[Item] = set()  # were lost with a worker; sent alone, so that a second death has one cause
        self._was_ready = False
        self._failed_starts = 0
        self._waited = 0.0

    @abstractmethod
    def _request(self, item: Item) -> Request[Answer]:
        """What a worker is asked to do; the same as often as this is called."""

    def _queue(self, item: Item) -> None:
        """Add some work to what is waiting: the last to be sent."""
        self._waiting.insert(0, item)

    def close(self) -> None:
        """End the workers."""
        if self._team:
            self._team.close()

    def _give(self, item: Item) -> Iterator[tuple[Item, Answered[Answer]]]:
        """Have some work done; gives the answers that are there by now, to any work."""
        if not self._team:
            asked = time.perf_counter()
            self._team = self._start()
            self._waited += time.perf_counter() - asked
        self._queue(item)
        yield from self._answers(self._team, to_the_last=False)
        item.forget()

    def _left(self) -> Iterator[tuple[Item, Answered[Answer]]]:
        """Wait for all answers that are still to come."""
        if self._team:
            yield from self._answers(self._team, to_the_last=True)

    def _answers(self, team: Team, to_the_last: bool) -> Iterator[tuple[Item, Answered[Answer]]]:
        """The answers that are there by now or, ``to_the_last``, all that are still to come."""
        self._feed(team)
        while self._waiting or any(self._flying.values()):
            event = self._next(team, to_the_last or len(self._waiting) > self._most_waiting)
            if event is None:
                return
            if isinstance(event, Done):
                item = self._flying[event.worker].pop(event.ticket)
                self._suspects.discard(item)
                self._feed(team)  # before the answer is written, so that no worker waits for that
                yield item, replace(event.answered, waited=self._waited, workers=len(self._flying))
                self._waited = 0.0
            else:
                self._note(event)
                self._feed(team)

    def _feed(self, team: Team) -> None:
        """Give every worker something before any gets its second."""
        for few in range(IN_FLIGHT):
            for worker, sent in self._flying.items():
                if self._waiting and len(sent) <= few and self._may_follow(sent):
                    item = self._waiting.pop()
                    ticket = next(self._tickets)
                    sent[ticket] = item
                    team.send(worker, ticket, self._request(item))
                    item.forget()

    def _may_follow(self, sent: Mapping[int, Item]) -> bool:
        """Whether what is next may be sent to a worker that has these."""
        return not sent or self._suspects.isdisjoint((*sent.values(), self._waiting[-1]))

    def _next(self, team: Team, wait: bool) -> Event | None:
        asked = time.perf_counter()
        with self._loading() if wait and not self._was_ready else nullcontext():
            event = team.next(wait)
        self._waited += time.perf_counter() - asked
        return event

    def _note(self, event: Ready | Died) -> None:
        """Note a worker's start or end; what was sent to one that has ended is sent again, before all others."""
        if isinstance(event, Ready):
            self._flying.setdefault(event.worker, {})
            self._was_ready = True
            self._failed_starts = 0
            return
        if event.worker not in self._flying:
            self._failed_starts += 1
            if self._failed_starts == DEATHS:
                raise BenchError(
                    f"No worker can load {self._name}: {DEATHS} ended before they were ready, the last {event.how}."
                )
            return
        lost = list(self._flying.pop(event.worker).values())
        if lost:
            self._blame(lost[0], event.how)
        self._suspects.update(lost)
        self._waiting += reversed(lost)

    def _blame(self, item: Item, how: str) -> None:
        """Count a death against what was being done."""
        self._killed[item] += 1
        if self._killed[item] == DEATHS:
            raise BenchError(
                f"{self._name}: {DEATHS} workers ended, {how}, while they worked on {item.about}. "
                f"Everything before is cached. If memory ran out, {self.less_memory}; else run these without --workers "
                "to see why."
            )
        note(f"A worker ended, {how}, while it worked on {item.about}. They are sent to another.")


class ScoringCrew(Crew[Chunk, Scored]):
    """A crew whose workers score lists, the longest chunks first.

    ``block_size`` is how many documents the reranker reads together in the chunks taken from now on, 0 for as many as
    usual. It may change when every chunk is answered.
    """

    block_size = 0

    def take(self, chunk: Chunk) -> Iterator[tuple[Chunk, Answered]]:
        """See `Workers`."""
        return self._give(chunk)

    def rest(self) -> Iterator[tuple[Chunk, Answered]]:
        """See `Workers`."""
        return self._left()

    def _queue(self, item: Chunk) -> None:
        insort(self._waiting, item, key=attrgetter("characters"))

    def _request(self, item: Chunk) -> Request:
        return Score(item.lists(), self.block_size)
