"""A worker's own side: it loads one reranker, once, and does what it is asked: score lists, or embed texts."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bench import __version__
from bench.errors import BenchError
from bench.evaluation.chunks import Answer, Answered, ask, timed
from bench.provenance import ARITHMETIC, versions
from bench.rerankers import load
from bench.rerankers.base import CandidateList, Card, Options, Reranker, VariesBlocks
from bench.rerankers.embeddings import Embedded, Embeds, Vectors


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to load: a reranker's name with the worker's options, and what it must turn out to be.

    ``threads`` is how many torch uses. 0 leaves torch as it is.
    """

    name: str
    options: Options
    card: Card
    packages: Mapping[str, str]
    threads: int = 0


def packages() -> dict[str, str]:
    """The versions that decide scores, and so must be the same in all processes of one run."""
    python = ".".join(map(str, sys.version_info[:2]))
    return {"rerank-bench": __version__, "python": python, **versions(ARITHMETIC)}


class Worker:
    """One reranker in one process."""

    def __init__(self, order: Order) -> None:
        """Loads nothing: that is `load`'s, which a worker that was restarted does with its first chunk."""
        self._order = order
        self._reranker: Reranker | None = None
        self._sized: tuple[int, Reranker] | None = None

    def load(self) -> Reranker:
        """The reranker with its model, loaded once.

        Raises:
            BenchError: it cannot be loaded here, or is not the one that the command has: two versions of a model
                never share a result.
        """
        if self._reranker is None:
            order = self._order
            _check("packages", order.packages, packages(), "Install the same versions everywhere.")
            if order.threads:
                import torch

                torch.set_num_threads(order.threads)
            reranker = load(order.name, order.options)
            _check(order.name, _identity(order.card), _identity(reranker.card), "Give all workers the same files.")
            self._reranker = reranker
        return self._reranker

    def score(self, lists: Sequence[CandidateList], block_size: int = 0) -> Answered:
        """Score a chunk, reading at most ``block_size`` documents together; 0 for as many as usual.

        Raises:
            BenchError: as `load`; or a list cannot be scored.
        """
        return ask(self._in_blocks(block_size), lists)

    def embed(self, queries: Sequence[str], documents: Sequence[str], task: str) -> Answered[Embedded]:
        """Embed a task's texts, and give the queries' embeddings before the documents'.

        Raises:
            BenchError: as `load`; or a text cannot be embedded.
        """
        model = self.load()
        assert isinstance(model, Embeds)  # as in the command, which asks for this
        return timed(model, lambda: [*model.embedded(queries, True, task), *model.embedded(documents, False, task)])

    def embed_corpus(self, texts: Sequence[str], task: str) -> Answered[Vectors]:
        """Embed documents of a first stage's corpus, cut by the model's own window alone.

        Raises:
            BenchError: as `load`; or a text cannot be embedded.
        """
        model: Any = self.load()  # a bi-encoder, as in the command, which asks for this
        return timed(model, lambda: list(model.embed(texts, False, task)))

    def _in_blocks(self, size: int) -> Reranker:
        reranker = self.load()
        if not size or not isinstance(reranker, VariesBlocks):
            return reranker
        if self._sized is None or self._sized[0] != size:
            self._sized = size, reranker.with_block_size(size)
        return self._sized[1]


class Request(Protocol[Answer]):
    """What a worker is asked."""

    def __call__(self, worker: Worker) -> Answered[Answer]:
        """Have a worker do it."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """A request for a chunk's scores; see `Worker.score`."""

    lists: Sequence[CandidateList]
    block_size: int = 0

    def __call__(self, worker: Worker) -> Answered:
        """See `Request`."""
        return worker.score(self.lists, self.block_size)


@dataclass(frozen=True, slots=True)
class Embed:
    """A request for texts' embeddings; see `Worker.embed`."""

    queries: Sequence[str]
    documents: Sequence[str]
    task: str

    def __call__(self, worker: Worker) -> Answered[Embedded]:
        """See `Request`."""
        return worker.embed(self.queries, self.documents, self.task)


@dataclass(frozen=True, slots=True)
class EmbedCorpus:
    """A request for documents' embeddings; see `Worker.embed_corpus`."""

    texts: Sequence[str]
    task: str

    def __call__(self, worker: Worker) -> Answered[Vectors]:
        """See `Request`."""
        return worker.embed_corpus(self.texts, self.task)


def _identity(card: Card) -> dict[str, str]:
    return {
        "fingerprint": card.fingerprint,
        "device": card.device,
        "precision": card.dtype,
        "settings": repr(sorted(card.settings.items())),
    }


def _check(what: str, expected: Mapping[str, str], found: Mapping[str, str], fix: str) -> None:
    differences = [
        f"{key} is {found.get(key, 'missing')} on the worker and {expected.get(key, 'missing')} here"
        for key in {**expected, **found}
        if expected.get(key) != found.get(key)
    ]
    if differences:
        raise BenchError(f"A worker is refused, {what} of another version: {'; '.join(differences)}. {fix}")
