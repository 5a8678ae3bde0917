"""The base of bi-encoders and late interaction: cuts and counts tokens, and embeds each text only once."""

import hashlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from bench.rerankers.base import CandidateList, Card, Lazy, Options, Reranker, Scored
from bench.rerankers.local import loading
from bench.rerankers.local.batching import Encoder, Vectors
from bench.rerankers.local.truncation import Cutter


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


class EmbeddingReranker(ABC):
    """A reranker that embeds queries and documents separately and compares the embeddings.

    A text's embedding depends on that text alone, to the last bit, and not on its batch: a list's scores are the same
    whatever was scored before it.
    """

    chunk_characters = 500_000
    """Lists are scored together up to so many: batches of few texts are small, or mostly filled up."""

    def __init__(self, card: Card, cutter: Cutter, encoder: Encoder, options: Options, comparison: Comparison) -> None:
        self.card = card
        self._cutter = cutter
        self._encoder = encoder
        self._options = options
        self._comparison = comparison
        self._cache = Cache(comparison.cache_bytes)

    @abstractmethod
    def _window(self, is_query: bool) -> int | None:
        """The most tokens of a text that the model reads, special tokens and prompt included; None for any number."""

    def _embed(self, texts: Sequence[str], is_query: bool) -> Sequence[Vectors]:
        """Embed some texts, in their order."""
        return self._encoder.encode(texts, is_query, self._window(is_query))

    def _room(self, is_query: bool) -> int | None:
        """The most tokens of a text that the model reads, special tokens and prompt excluded; None for any number."""
        window = self._window(is_query)
        if window is None:
            return None
        return window - self._cutter.special_tokens - len(self._cutter.ids([self._encoder.prompt(is_query) or ""])[0])

    def embedded(self, texts: Sequence[str], is_query: bool, task: str = "") -> list[Embedded]:
        """Embed a task's queries or documents, each cut to the command's most tokens; ``task`` is its id.

        Raises:
            BenchError: they do not fit in memory, or one does not fit the model.
        """
        options = self._options
        cuts = self._cutter.cut(texts, options.max_query_length if is_query else options.max_doc_length)
        if not cuts:
            return []
        with loading.running(self.card.name):
            vectors = self._embed([cut.text for cut in cuts], is_query)
        room = self._room(is_query)
        read = [cut.within(room) for cut in cuts]
        return [Embedded(found, cut.tokens, cut.lost) for found, cut in zip(vectors, read, strict=True)]

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Score lists together: a document in several of them is embedded once."""
        for task, some in groupby(lists, key=attrgetter("task")):
            yield from self._score(list(some), task)

    def _score(self, lists: Sequence[CandidateList], task: str) -> Iterator[Scored]:
        variant = self._comparison.variant(task)
        known = self._cache.find(variant, (text for each in lists for text in each.texts))
        missing = list(dict.fromkeys(text for each in lists for text in each.texts if text not in known))
        queries = self.embedded([each.query for each in lists], is_query=True, task=task)
        for text, embedded in zip(missing, self.embedded(missing, is_query=False, task=task), strict=True):
            known[text] = embedded
            self._cache.put(variant, text, embedded)
        for candidates, query in zip(lists, queries, strict=True):
            yield self._comparison.scored(candidates, query, [known[text] for text in candidates.texts])

    def forget(self) -> None:
        """See `bench.rerankers.base.Remembers`."""
        self._cache.clear()


class LazyEmbedding(Lazy):
    """An embedding model that is loaded when the first text must be embedded; it can compare without."""

    chunk_characters = EmbeddingReranker.chunk_characters

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

    def find(self, variant: str, texts: Iterable[str]) -> dict[str, Embedded]:
        """The embeddings of those of some texts that have one here."""
        found = {text: self._get(_key(variant, text)) for text in texts}
        return {text: embedded for text, embedded in found.items() if embedded is not None}

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
