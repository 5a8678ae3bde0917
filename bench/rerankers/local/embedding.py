"""The base of bi-encoders and late interaction: cuts and counts tokens, and embeds each text only once."""

import hashlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from bench.rerankers.base import CandidateList, Card, Lazy, Options, Scored
from bench.rerankers.local import loading
from bench.rerankers.local.batching import Encoder, Vectors
from bench.rerankers.local.truncation import Cutter


class EmbeddingReranker(ABC):
    """A reranker that embeds queries and documents separately and compares the embeddings.

    A text's embedding depends on that text alone, to the last bit, and not on its batch: a list's scores are the same
    whatever was scored before it.
    """

    chunk_characters = 500_000
    """Lists are scored together up to so many: batches of few texts are small, or mostly filled up."""

    def __init__(self, card: Card, cutter: Cutter, encoder: Encoder, options: Options, cache_bytes: int) -> None:
        self.card = card
        self._cutter = cutter
        self._encoder = encoder
        self._options = options
        self._cache = Cache(cache_bytes)

    @abstractmethod
    def _window(self, is_query: bool) -> int | None:
        """The most tokens of a text that the model reads, special tokens and prompt included; None for any number."""

    def _embed(self, texts: Sequence[str], is_query: bool) -> Sequence[Vectors]:
        """Embed some texts, in their order."""
        return self._encoder.encode(texts, is_query, self._window(is_query))

    @abstractmethod
    def _compare(self, query: Vectors, documents: Sequence[Vectors]) -> list[float]:
        """The score of each document."""

    def _room(self, is_query: bool) -> int | None:
        """The most tokens of a text that the model reads, special tokens and prompt excluded; None for any number."""
        window = self._window(is_query)
        if window is None:
            return None
        return window - self._cutter.special_tokens - len(self._cutter.ids([self._encoder.prompt(is_query) or ""])[0])

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Score lists together: a document in several of them is embedded once."""
        queries = self._cutter.cut([each.query for each in lists], self._options.max_query_length)
        texts = list(dict.fromkeys(text for each in lists for text in each.texts))
        documents = dict(zip(texts, self._cutter.cut(texts, self._options.max_doc_length), strict=True))
        with loading.running(self.card.name):
            query_vectors = self._embed([query.text for query in queries], is_query=True) if queries else []
            vectors = self._cache.vectors(
                [cut.text for cut in documents.values()], lambda missing: self._embed(missing, is_query=False)
            )
        query_room, document_room = self._room(is_query=True), self._room(is_query=False)
        for candidates, query, query_vector in zip(lists, queries, query_vectors, strict=True):
            cuts = [documents[text] for text in candidates.texts]
            read = [cut.within(document_room) for cut in cuts]
            asked = query.within(query_room)
            yield Scored(
                query_id=candidates.query_id,
                scores=tuple(self._compare(query_vector, [vectors[cut.text] for cut in cuts]) if cuts else ()),
                tokens=asked.tokens + sum(cut.tokens for cut in read),
                documents_cut=sum(cut.lost > 0 for cut in read),
                tokens_lost=asked.lost + sum(cut.lost for cut in read),
                queries_cut=int(asked.lost > 0),
            )

    def forget(self) -> None:
        """See `bench.rerankers.base.Remembers`."""
        self._cache.clear()


class LazyEmbedding(Lazy):
    """An embedding model that is loaded when the first list must be scored."""

    chunk_characters = EmbeddingReranker.chunk_characters


class Cache:
    """An LRU cache of vectors by their text's hash, limited in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._cached: OrderedDict[bytes, Vectors] = OrderedDict()
        self._bytes = 0

    def vectors(self, texts: Sequence[str], compute: Callable[[list[str]], Sequence[Vectors]]) -> dict[str, Vectors]:
        """Each text's vectors; missing ones are computed, once for each distinct text."""
        found = {text: self._get(text) for text in texts}
        missing = [text for text, vectors in found.items() if vectors is None]
        computed = dict(zip(missing, compute(missing), strict=True)) if missing else {}
        for text, vectors in computed.items():
            self._put(text, vectors)
        return computed | {text: vectors for text, vectors in found.items() if vectors is not None}

    def clear(self) -> None:
        """Drop all vectors."""
        self._cached.clear()
        self._bytes = 0

    def _get(self, text: str) -> Vectors | None:
        key = _key(text)
        if key in self._cached:
            self._cached.move_to_end(key)
        return self._cached.get(key)

    def _put(self, text: str, vectors: Vectors) -> None:
        self._cached[_key(text)] = vectors
        self._bytes += vectors.nbytes
        while self._bytes > self._limit:
            self._bytes -= self._cached.popitem(last=False)[1].nbytes


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
