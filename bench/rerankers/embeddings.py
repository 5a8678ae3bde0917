"""Embeddings of texts, and their comparison: what of an embedding model needs no model, nor the library of one."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bench.rerankers.base import CandidateList, Card, Lazy, Reranker, Scored

Vectors = NDArray[np.float32]
"""A text's embedding: shape (dimensions,) or (tokens, dimensions)."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text's embedding; ``tokens`` of the text were read, special tokens not counted, and ``lost`` cut away."""

    vectors: Vectors
    tokens: int
    lost: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What of an embedding model is needed once the texts are embedded.

    ``compare`` gives the score of each document from a query's vectors and the documents'. ``variant`` says what of a
    task, given by its id, decides how its texts are embedded; "" where none of it does. At most ``cache_bytes`` of
    vectors are kept.
    """

    compare: Callable[[Vectors, Sequence[Vectors]], list[float]]
    cache_bytes: int
    variant: Callable[[str], str] = lambda task: ""

    def scored(self, candidates: CandidateList, query: Embedded, documents: Sequence[Embedded]) -> Scored:
        """A list's answer, from its query and the document of each of its ids."""
        vectors = [document.vectors for document in documents]
        return Scored(
            query_id=candidates.query_id,
            scores=tuple(self.compare(query.vectors, vectors) if vectors else ()),
            tokens=query.tokens + sum(document.tokens for document in documents),
            documents_cut=sum(document.lost > 0 for document in documents),
            tokens_lost=query.lost + sum(document.lost for document in documents),
            queries_cut=int(query.lost > 0),
        )


@runtime_checkable
class Embeds(Protocol):
    """A reranker that compares embeddings, and gives them."""

    def embedded(self, texts: Sequence[str], is_query: bool, task: str = "") -> list[Embedded]:
        """Embed a task's queries or documents, each cut to the command's most tokens; ``task`` is its id.

        Raises:
            BenchError: they do not fit in memory, or one does not fit the model.
        """
        ...


class LazyEmbedding(Lazy):
    """An embedding model that is loaded when the first text must be embedded; it can compare without."""

    chunk_characters = 500_000
    """Lists are scored together up to so many: batches of few texts are small, or mostly filled up."""

    def __init__(self, card: Card, make: Callable[[], Reranker], comparison: Comparison) -> None:
        super().__init__(card, make)
        self.comparison = comparison


class Cache:
    """An LRU cache of embeddings by their text's hash, limited in bytes.

    Embeddings of one text in several variants (see `Comparison`) are separate.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._cached: OrderedDict[bytes, Embedded] = OrderedDict()
        self._bytes = 0

    def find(self, variant: str, texts: Iterable[str]) -> tuple[dict[str, Embedded], list[str]]:
        """The embeddings of those of some texts that have one here, and the other texts, each once."""
        found = {text: self._get(_key(variant, text)) for text in dict.fromkeys(texts)}
        known = {text: embedded for text, embedded in found.items() if embedded is not None}
        return known, [text for text in found if text not in known]

    def put(self, variant: str, text: str, embedded: Embedded) -> None:
        """Add an embedding; what was not used for longest is dropped where there is no room."""
        self._cached[_key(variant, text)] = embedded
        self._bytes += embedded.vectors.nbytes
        while self._bytes > self._limit:
            self._bytes -= self._cached.popitem(last=False)[1].vectors.nbytes

    def clear(self) -> None:
        """Drop all embeddings."""
        self._cached.clear()
        self._bytes = 0

    def _get(self, key: bytes) -> Embedded | None:
        if key in self._cached:
            self._cached.move_to_end(key)
        return self._cached.get(key)


def _key(variant: str, text: str) -> bytes:
    return hashlib.blake2b(f"{variant}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
