"""Chunks: lists that are scored together. The unit of caching and of distribution over workers."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic

from typing_extensions import TypeVar

from bench.evaluation import memory
from bench.rerankers.answers import checked
from bench.rerankers.base import CandidateList, Lazy, Reranker, Scored
from bench.rerankers.fusion import innermost

if TYPE_CHECKING:
    from bench.collections.collection import Collection
    from bench.evaluation.prepare import PreparedTask

Answer = TypeVar("Answer", default=Scored, covariant=True)

CHUNK_CHARACTERS = 100_000
CHUNK_LISTS = 256


class Chunk:
    """Lists that are scored together; ``characters`` is the length of their texts.

    The lists can be dropped and read again: those of all chunks of a large task do not fit in memory.
    """

    def __init__(self, lists: Sequence[CandidateList], read: Callable[[], Sequence[CandidateList]]) -> None:
        """``read`` gives the same lists once more."""
        self.queries = tuple(each.query_id for each in lists)
        self.characters = sum(map(_characters, lists))
        self._lists = lists
        self._read = read

    @property
    def about(self) -> str:
        """What it is about, for messages."""
        return f"queries {', '.join(map(repr, self.queries))}"

    def lists(self) -> Sequence[CandidateList]:
        """The lists, in the first stage's order of their queries."""
        return self._lists or self._read()

    def forget(self) -> None:
        """Drop the lists from memory; `lists` reads them again."""
        self._lists = ()


@dataclass(frozen=True, slots=True)
class Answered(Generic[Answer]):
    """A chunk's checked answers, in the lists' order, and the seconds that the reranker took for them.

    ``cache`` names the score cache that the answers come from; it is empty where the reranker scored them now.
    ``waited`` is the seconds that the command did nothing else for them: scoring, and loading the model, in this
    process, or waiting for a worker. ``workers`` is how many workers were alive then; 0 for this process.
    ``peak_memory_bytes`` is an accelerator's; 0 where it is not known.
    """

    answers: Sequence[Answer]
    seconds: float
    cache: str = ""
    waited: float = 0.0
    workers: int = 0
    peak_memory_bytes: int = 0


ScoreChunks = Callable[[Iterable[Chunk]], Iterator[Answered]]
"""Scores chunks; their answers come in any order."""


def ask(reranker: Reranker, lists: Sequence[CandidateList]) -> Answered:
    """Score a chunk in this process, as `timed` does.

    Raises:
        BenchError: for answers that are not one finite score for each candidate of each list.
    """
    return timed(reranker, lambda: checked(reranker.card.name, reranker.score(lists), lists))


def timed(reranker: Reranker, work: Callable[[], Sequence[Answer]]) -> Answered[Answer]:
    """Time a reranker's work in this process. A model that is not loaded yet is loaded first."""
    asked = time.perf_counter()
    if isinstance(reranker, Lazy) and not reranker.is_loaded:
        reranker.load()
    memory.reset(reranker.card)
    started = time.perf_counter()
    answers = work()
    ended = time.perf_counter()
    return Answered(answers, ended - started, waited=ended - asked, peak_memory_bytes=memory.peak(reranker.card))


def chunks(prepared: "PreparedTask", reranker: Reranker) -> Iterator[Chunk]:
    """A task's lists in chunks, with what the reranker's card asks for.

    A chunk is scored and cached as a whole, and its borders depend on the lists alone: a command that resumes, or that
    has other workers, batches every list with the same others, and so gives the same scores to the last bit.
    """
    scored = innermost(reranker)  # whose cached scores a fusion shares
    return grouped(prepared, reranker.card.needs, getattr(scored, "chunk_characters", CHUNK_CHARACTERS))


def grouped(
    prepared: "PreparedTask", needs: frozenset[str], most_characters: int = CHUNK_CHARACTERS
) -> Iterator[Chunk]:
    """Group a task's lists by the length of their texts: a long list alone, many short ones together."""
    chunk: list[CandidateList] = []
    characters = 0
    for query_id in prepared.candidates.rankings:
        chunk.append(candidate_list(prepared, needs, query_id))
        characters += _characters(chunk[-1])
        if characters >= most_characters or len(chunk) == CHUNK_LISTS:
            yield _chunk(prepared, needs, chunk)
            chunk, characters = [], 0
    if chunk:
        yield _chunk(prepared, needs, chunk)


def _chunk(prepared: "PreparedTask", needs: frozenset[str], lists: Sequence[CandidateList]) -> Chunk:
    queries = [each.query_id for each in lists]
    return Chunk(lists, lambda: list(map(partial(candidate_list, prepared, needs), queries)))


def candidate_list(prepared: "PreparedTask", needs: frozenset[str], query_id: str) -> CandidateList:
    """A query's candidates with what the reranker's card asks for."""
    ids = tuple(prepared.candidates.ids(query_id))
    grades = prepared.judgements.get(query_id, {})
    return CandidateList(
        query_id=query_id,
        query=prepared.collection.queries[query_id],
        ids=ids,
        first_stage_scores=tuple(value for _, value in prepared.candidates.rankings[query_id]),
        texts=_texts(prepared.collection, ids) if "texts" in needs else (),
        grades=tuple(grades.get(document_id, 0) for document_id in ids) if "grades" in needs else (),
        task=prepared.protocol.task if "task" in needs else "",
    )


def _texts(collection: "Collection", ids: tuple[str, ...]) -> tuple[str, ...]:
    texts = collection.documents.texts(ids)
    return tuple(texts[document_id] for document_id in ids)


def _characters(candidates: CandidateList) -> int:
    return sum(map(len, candidates.texts))
