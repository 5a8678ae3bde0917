"""What tokens add to documents' scores, and the search for the documents with the highest sums."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.first_stage.ordered import in_order
from bench.first_stage.shared import CAN_SHARE, Shareable

Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Numbers of documents and their scores, highest first, equal ones in corpus order."""

PAYS_FROM = 500_000_000
"""Documents times queries from which processes pay: one core takes half a second or more, and two start in .3."""
_BATCH = 16  # queries that a process searches together
_BLOCK = 1 << 18  # documents scored together: their scores fit in a core's cache, and a search takes 5 MB at most
_GROUP = 32  # documents, at most, whose highest score alone is looked at to bound the last place's score from below
_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 26)}
"""Keeps glibc from giving a block's memory back after each block: getting it again takes as long as the search."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each token of a vocabulary adds to the score of each document that has it.

    Attributes:
        size: The number of documents.
        numbers: A number for each token.
        starts: Where each token's posting starts in the two arrays below, and at last where they end.
        documents: int32, the documents that have the token, ascending.
        scores: float32, what the token adds to each document's score.
    """

    size: int
    numbers: Mapping[str, int]
    starts: npt.NDArray[np.int64]
    documents: Shareable
    scores: Shareable

    def posting(self, number: int) -> slice:
        """The slice of a token's posting."""
        return slice(self.starts[number], self.starts[number + 1])

    def blocks(self, tokens: Sequence[str]) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Each block of documents: the first one's number, and all scores, in an array that the next block reuses."""
        starts = np.arange(0, self.size + _BLOCK, _BLOCK, dtype=np.int32)
        counted = [(self.numbers[token], count) for token, count in Counter(tokens).items() if token in self.numbers]
        postings = [
            (np.float32(count), self.documents.array[posting], self.scores.array[posting])
            for posting, count in ((self.posting(number), count) for number, count in counted)
        ]
        cuts = [np.searchsorted(documents, starts).tolist() for _, documents, _ in postings]
        block = np.empty(min(_BLOCK, self.size), dtype=np.float32)
        for number, start in enumerate(starts[:-1].tolist()):
            scores = block[: self.size - start]
            scores.fill(0)
            for (count, documents, values), cut in zip(postings, cuts, strict=True):
                part = slice(cut[number], cut[number + 1])
                places = documents[part].astype(np.intp)
                places -= start
                np.add.at(scores, places, count * values[part])
            yield start, scores

    def best(self, tokens: Sequence[str], depth: int) -> Found:
        """The documents of the ``depth`` highest scores above 0, and those scores; equal ones in corpus order."""
        documents, best = np.empty(0, np.int64), np.empty(0, np.float32)
        for start, scores in self.blocks(tokens):
            floor = best[-1] if len(best) == depth else _floor(scores, depth)
            found = np.flatnonzero(scores > floor)
            documents, best = np.concatenate([documents, start + found]), np.concatenate([best, scores[found]])
            # stable, so that documents of earlier blocks come first among equals
            order = np.argsort(-best, kind="stable")[:depth]
            documents, best = documents[order], best[order]
        return documents, best


@dataclass(frozen=True, slots=True)
class Search:
    """Searches a batch of queries, each given as its tokens, for its ``depth`` best documents."""

    weights: Weights
    depth: int

    def __call__(self, queries: Sequence[Sequence[str]]) -> list[Found]:
        """Search, in the order given."""
        return [self.weights.best(tokens, self.depth) for tokens in queries]


def search_all(search: Search, queries: Sequence[Sequence[str]], workers: int = 1) -> Generator[Found]:
    """Search for each query, in the order given; with several workers, in that many processes where they pay.

    They map the index and do not copy it. Threads do not pay: numpy holds Python's lock while it adds up scores.

    Raises:
        BenchError: a process was killed.
    """
    batches = (queries[start : start + _BATCH] for start in range(0, len(queries), _BATCH))
    if workers == 1 or search.weights.size * len(queries) < PAYS_FROM or not CAN_SHARE:
        for batch in batches:
            yield from search(batch)
    else:
        with closing(in_order(search, batches, environments=[_ENVIRONMENT] * workers, lost=_lost)) as answers:
            for found in answers:
                yield from found


def _lost(how: str) -> BenchError:
    return BenchError(
        f"BM25 was not built: a process that searched ended, {how}. Free memory and run the command again; on one core "
        "('taskset -c 0') it searches in one process."
    )


def _floor(scores: npt.NDArray[np.float32], depth: int) -> np.float32:
    """A bound that the ``depth`` highest scores exceed, close to the lowest of them; 0 where fewer exceed 0."""
    if len(scores) < depth:
        return np.float32(0)
    size = max(1, min(_GROUP, len(scores) // (4 * depth)))
    groups = len(scores) // size
    highest = scores[: groups * size].reshape(size, groups).max(axis=0)
    return np.float32(np.nextafter(np.partition(highest, groups - depth)[groups - depth], np.float32(0)))
