"""A crew for an embedding model: whichever lists a text is in, one worker embeds it once, and this process compares.

The lists of a task share documents, so that workers who scored whole lists would embed most texts several times.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np

from bench.evaluation.chunks import Answered, Chunk
from bench.evaluation.worker import Embed, Request
from bench.evaluation.workers import IN_FLIGHT, Crew, Team
from bench.rerankers.answers import checked
from bench.rerankers.base import CandidateList, Step
from bench.rerankers.embeddings import Cache, Embedded, LazyEmbedding


@dataclass(eq=False, slots=True)
class _Open:
    """A chunk whose lists cannot all be compared yet.

    ``new`` are the texts that are embedded for it; others may be embedded for an open chunk before it. ``known`` is
    complete when it has ``documents`` texts. ``answered`` has the embeddings of the lists' queries, then of ``new``.
    """

    lists: Sequence[CandidateList]
    new: Sequence[str]
    known: dict[str, Embedded]
    documents: int
    answered: Answered[Embedded] | None = None


class EmbeddingCrew(Crew[Chunk, Embedded]):
    """A crew whose workers embed texts, in the chunks' order: a chunk may wait for the texts of those before it."""

    def __init__(
        self, name: str, start: Callable[[], Team], reranker: LazyEmbedding, loading: Step = nullcontext
    ) -> None:
        """``reranker`` is the model; it is not loaded here. For the others see `Crew`."""
        # An open chunk has its texts in memory, and their embeddings.
        super().__init__(name, start, loading, most_waiting=IN_FLIGHT)
        self._card = reranker.card
        self._comparison = reranker.comparison
        self._cache = Cache(reranker.comparison.cache_bytes)
        self._open: dict[Chunk, _Open] = {}
        self._asked: dict[tuple[str, str], list[_Open]] = {}  # who waits for a text, by its task's variant

    def take(self, chunk: Chunk) -> Iterator[tuple[Chunk, Answered]]:
        """See `Workers`."""
        self._open[chunk] = self._opened(chunk.lists())
        yield from self._compared(self._give(chunk))

    def rest(self) -> Iterator[tuple[Chunk, Answered]]:
        """See `Workers`."""
        yield from self._compared(self._left())

    def _request(self, item: Chunk) -> Request[Embedded]:
        opened = self._open[item]
        return Embed([each.query for each in opened.lists], opened.new, opened.lists[0].task)

    def _opened(self, lists: Sequence[CandidateList]) -> _Open:
        """Find what is embedded already, and what is on its way."""
        variant = self._comparison.variant(lists[0].task)
        known, missing = self._cache.find(variant, (text for each in lists for text in each.texts))
        new = [text for text in missing if (variant, text) not in self._asked]
        opened = _Open(lists, new, known, len(known) + len(missing))
        for text in missing:
            self._asked.setdefault((variant, text), []).append(opened)
        return opened

    def _compared(self, answers: Iterator[tuple[Chunk, Answered[Embedded]]]) -> Iterator[tuple[Chunk, Answered]]:
        """The scores of the chunks all of whose texts are embedded, while answers come."""
        for chunk, answered in answers:
            self._learn(self._open[chunk], answered)
            for each, opened in list(self._open.items()):
                if opened.answered and len(opened.known) == opened.documents:
                    del self._open[each]
                    yield each, self._scored(opened, opened.answered)

    def _learn(self, opened: _Open, answered: Answered[Embedded]) -> None:
        """Pass on the embeddings of the texts that were embedded for a chunk."""
        # Copies, since the answer's memory may be Ray's, and read-only.
        found = [replace(each, vectors=np.array(each.vectors)) for each in answered.answers]
        opened.answered = replace(answered, answers=found)
        variant = self._comparison.variant(opened.lists[0].task)
        for text, embedded in zip(opened.new, found[len(opened.lists) :], strict=True):
            self._cache.put(variant, text, embedded)
            for waiting in self._asked.pop((variant, text)):
                waiting.known[text] = embedded

    def _scored(self, opened: _Open, answered: Answered[Embedded]) -> Answered:
        started = time.perf_counter()
        scored = checked(
            self._card.name,
            (
                self._comparison.scored(each, query, [opened.known[text] for text in each.texts])
                for each, query in zip(opened.lists, answered.answers, strict=False)
            ),
            opened.lists,
        )
        seconds = time.perf_counter() - started
        return Answered(
            scored,
            answered.seconds + seconds,
            waited=answered.waited + seconds,
            workers=answered.workers,
            peak_memory_bytes=answered.peak_memory_bytes,
        )
