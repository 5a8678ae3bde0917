"""Joins a strategy, a prompt and a speaker: lists in, scores out.

A speaker that runs here is asked about the windows of all queries together; a server is asked about several queries at
the same time, each by itself. In both, the windows of one query follow each other. An order has no scores: a list of n
documents gets n for the first, n - 1 for the second, and so on.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from bench.console import note
from bench.errors import BenchError
from bench.rerankers.base import CandidateList, Card, Scored
from bench.rerankers.generative import parsing, texts
from bench.rerankers.generative.answers import Answers, Said
from bench.rerankers.generative.parsing import Reading
from bench.rerankers.generative.spec import Spec
from bench.rerankers.generative.strategies import Window
from bench.rerankers.http_call import CallFailed


@dataclass(frozen=True, slots=True)
class Ask:
    """One window as a speaker is given it: clean texts, not cut yet."""

    query: str
    passages: tuple[str, ...]


Say = Callable[[Sequence[Ask]], Sequence[Said]]


class Speaker(Protocol):
    """Whoever answers prompts."""

    @property
    def parallel(self) -> int:
        """How many queries are asked about at the same time, each by itself; 0 where all are asked about together."""
        ...

    def session(self) -> AbstractContextManager[Say]:
        """Answer prompts for as long as the context is open.

        ``say`` raises CallFailed where a call failed for good, and BenchError where all others would fail too.
        """
        ...


@dataclass(slots=True)
class _Tally:
    """What one list's windows took."""

    counts: Counter[str] = field(default_factory=Counter)
    lost: dict[int, int] = field(default_factory=dict)
    query_lost: int = 0

    def add(self, window: Window, said: Said, kind: str, restored: bool) -> None:
        self.counts.update(
            {
                "calls": 1,
                "restored": int(restored),
                "tokens in": said.tokens_in,
                "tokens out": said.tokens_out,
                "tokens thinking": said.tokens_thinking,
                "unmetered": int(not said.is_metered),
                "milliseconds": round(1000 * said.seconds),
                kind: 1,
            }
        )
        for document, lost in zip(window, said.lost, strict=True):
            self.lost[document] = max(lost, self.lost.get(document, 0))
        self.query_lost = max(self.query_lost, said.query_lost)

    def scored(self, query_id: str, order: Sequence[int]) -> Scored:
        scores = [0.0] * len(order)
        for rank, document in enumerate(order):
            scores[document] = float(len(order) - rank)
        return Scored(
            query_id,
            tuple(scores),
            tokens=self.counts["tokens in"],
            documents_cut=sum(lost > 0 for lost in self.lost.values()),
            tokens_lost=sum(self.lost.values()) + self.query_lost,
            queries_cut=int(self.query_lost > 0),
            counts={name: count for name, count in self.counts.items() if count},
        )


class Generative:
    """A reranker whose speaker writes orders."""

    chunk_characters = 500_000
    """Lists are scored together up to this many characters, so that windows of different queries share batches."""

    def __init__(self, card: Card, speaker: Speaker, spec: Spec, answers: Answers, who: Sequence[str]) -> None:
        """``who`` is everything besides a window that decides its answer."""
        self.card = card
        self.answers = answers
        self.speaker = speaker
        self._spec = spec
        self._who = who

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Rank some lists.

        Raises:
            BenchError: where a call failed for good and failures are not allowed, naming the query, or where every
                call would fail.
        """
        with self.speaker.session() as say:
            if not self.speaker.parallel:
                yield from self._rank_or_fail(say, lists)
                return
            pool = ThreadPoolExecutor(self.speaker.parallel)
            try:
                for scored in pool.map(lambda each: self._rank_or_fail(say, [each]), lists):
                    yield from scored
            finally:
                pool.shutdown(cancel_futures=True)

    def _rank_or_fail(self, say: Say, lists: Sequence[CandidateList]) -> list[Scored]:
        try:
            return self._rank(say, lists)
        except CallFailed as error:
            said = [f"{self.card.name}, query {each.query_id!r} ({each.query[:60]!r}): {error}" for each in lists]
            if not self.answers.allow_failures:
                raise BenchError(
                    f"{said[0]} No order is made up for it. Run the same command again to resume, or leave such "
                    "queries out with --allow-failures."
                ) from None
            for each in said:
                note(f"{each} The query gets no order and counts as 0.")
            return [Scored(each.query_id, (), failure=str(error)) for each in lists]

    def _rank(self, say: Say, lists: Sequence[CandidateList]) -> list[Scored]:
        """Walk through some lists, window by window."""
        walks = [self._spec.walk(len(each.ids)) for each in lists]
        tallies = [_Tally() for _ in lists]
        orders: dict[int, list[int]] = {}
        due: dict[int, Sequence[Window]] = {}

        def step(number: int, advance: Callable[[], Sequence[Window]]) -> None:
            try:
                due[number] = advance()
            except StopIteration as done:
                orders[number] = done.value

        for number, walk in enumerate(walks):
            step(number, lambda walk=walk: next(walk))  # type: ignore[misc]
        while due:
            now, due = due, {}
            asked = [(number, window) for number, windows in now.items() for window in windows]
            read = iter(self._read(say, lists, tallies, asked))
            for number, windows in now.items():
                found = [next(read).order for _ in windows]
                step(number, lambda walk=walks[number], found=found: walk.send(found))  # type: ignore[misc]
        return [
            tally.scored(each.query_id, orders[number])
            for number, (each, tally) in enumerate(zip(lists, tallies, strict=True))
        ]

    def _read(
        self,
        say: Say,
        lists: Sequence[CandidateList],
        tallies: Sequence[_Tally],
        asked: Sequence[tuple[int, Window]],
    ) -> list[Reading]:
        """The orders of some windows, each from its kept answer or else from the speaker."""
        asks = [self.ask(lists[number], window) for number, window in asked]
        keys = [self._key(ask) for ask in asks]
        found = {key: said for key in keys if (said := self.answers.get(key)) is not None}
        new = {key: place for place, key in enumerate(keys) if key not in found}
        for (key, place), said in zip(new.items(), say([asks[place] for place in new.values()]), strict=True):
            number, window = asked[place]
            ids = [lists[number].ids[document] for document in window]
            about = {"reranker": self.card.fingerprint, "query": lists[number].query_id, "ids": ids}
            self.answers.keep(key, said, about)
            found[key] = said
        readings = []
        for place, ((number, window), key) in enumerate(zip(asked, keys, strict=True)):
            reading = self._reading(found[key], len(window))
            tallies[number].add(window, found[key], reading.kind, restored=new.get(key) != place)
            readings.append(reading)
        return readings

    def _reading(self, said: Said, count: int) -> Reading:
        if self._spec.first_token:
            order = sorted(range(count), key=lambda place: -said.logits[place])
            return Reading(tuple(order), "whole")
        names = self._spec.prompt.names(count)
        return parsing.read(said.text, said.finish, names, self._spec.prompt.rules, self._spec.best_only)

    def ask(self, candidates: CandidateList, window: Window) -> Ask:
        """What the speaker is asked about one window of a list."""
        return Ask(texts.clean(candidates.query), tuple(texts.clean(candidates.texts[each]) for each in window))

    def _key(self, ask: Ask) -> str:
        content = json.dumps(["window 1", *self._who, ask.query, *ask.passages])
        return hashlib.sha256(content.encode()).hexdigest()
