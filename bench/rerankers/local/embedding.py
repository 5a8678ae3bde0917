"""The base of bi-encoders and late interaction: cuts and counts tokens, and embeds each text only once."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from bench.rerankers.base import CandidateList, Card, Options, Scored
from bench.rerankers.embeddings import Cache, Comparison, Embedded, LazyEmbedding, Vectors
from bench.rerankers.local import loading
from bench.rerankers.local.batching import Encoder
from bench.rerankers.local.truncation import Cutter


class EmbeddingReranker(ABC):
    """A reranker that embeds queries and documents separately and compares the embeddings.

    A text's embedding depends on that text alone, to the last bit, and not on its batch: a list's scores are the same
    whatever was scored before it.
    """

    chunk_characters = LazyEmbedding.chunk_characters

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
        """See `bench.rerankers.embeddings.Embeds`."""
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
        known, missing = self._cache.find(variant, (text for each in lists for text in each.texts))
        queries = self.embedded([each.query for each in lists], is_query=True, task=task)
        for text, embedded in zip(missing, self.embedded(missing, is_query=False, task=task), strict=True):
            known[text] = embedded
            self._cache.put(variant, text, embedded)
        for candidates, query in zip(lists, queries, strict=True):
            yield self._comparison.scored(candidates, query, [known[text] for text in candidates.texts])

    def forget(self) -> None:
        """See `bench.rerankers.base.Remembers`."""
        self._cache.clear()
