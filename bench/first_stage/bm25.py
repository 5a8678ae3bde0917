"""BM25, the lexical first stage.

A document's score for a query is the sum, over the query's tokens t, of

    idf(t) * tf / (tf + k1 * (1 - b + b * dl / avgdl)),    idf(t) = ln(1 + (N - df + .5) / (df + .5))

with tf the count of t in the document, df the number of documents that hold t, N the number of documents, dl the
document's length in tokens and avgdl the mean length. This is the variant named "Lucene (accurate)" in Kamphuis et
al., "Which BM25 do you mean?" (ECIR 2020), and ``method="lucene"`` in bm25s; Lucene itself differs only in rounding
document lengths. The queries are known before the corpus is read, so only the postings of their tokens are kept:
memory grows with those, and the corpus is read once, as a stream.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.console import Advance
from bench.first_stage.counting import Analyse, Count, Counted, count_all
from bench.first_stage.shared import CAN_SHARE, Shareable
from bench.first_stage.weights import Found, Search, Weights, search_all

K1 = 0.9
B = 0.4
DEPTH = 100

Ranking = list[tuple[str, float]]

_OPEN_TOKENS = 1 << 20  # tokens gathered before they are counted: bounds counting's memory, and its work at the end
_BATCH = 1000  # documents that are analysed together, between two calls of ``progress``
_BATCH_CHARACTERS = 1 << 20  # or as many as reach this


def build_run(
    documents: Iterable[tuple[str, str]],
    queries: Mapping[str, str],
    analyser: Analyse,
    *,
    depth: int = DEPTH,
    k1: float = K1,
    b: float = B,
    identical_ids: bool = False,
    progress: Advance | None = None,
    workers: int = 1,
) -> dict[str, Ranking]:
    """Rank a corpus for every query.

    Args:
        documents: The corpus as (id, text), each id once; read once, from first to last.
        queries: Query texts by id.
        analyser: What cuts documents and queries into tokens.
        depth: How many documents a query keeps, at least 1.
        k1: How slowly repeated tokens saturate.
        b: How much long documents are held back, 0 to 1.
        identical_ids: Whether a document whose id is the query's own is dropped, before the cut to ``depth``.
        progress: Called with the number of documents read since its last call.
        workers: How many processes analyse, and then search where that takes long; with 1 it is this one. The run is
            the same.

    Returns:
        For every query id (document id, score), highest score first, equal scores in corpus order. Documents that
        share no token with the query are no candidates, so that a list may be short or empty.

    Raises:
        BenchError: a process that analysed or searched was killed.
    """
    tokens = {query_id: analyser(text) for query_id, text in queries.items()}
    vocabulary = (token for query_tokens in tokens.values() for token in query_tokens)
    index = Bm25Index(documents, vocabulary, analyser, k1=k1, b=b, progress=progress, workers=workers)
    return index.search_all(tokens, depth, identical_ids=identical_ids, workers=workers)


class Bm25Index:
    """What each token of a vocabulary adds to the score of each document that holds it."""

    def __init__(
        self,
        documents: Iterable[tuple[str, str]],
        vocabulary: Iterable[str],
        analyser: Analyse,
        *,
        k1: float = K1,
        b: float = B,
        progress: Advance | None = None,
        workers: int = 1,
    ) -> None:
        """Read the corpus once; the arguments are those of ``build_run``, ``vocabulary`` the tokens to be kept."""
        numbers = {token: number for number, token in enumerate(dict.fromkeys(vocabulary))}
        self.ids: list[str] = []
        postings = _Postings(len(numbers))
        with closing(count_all(self._texts(documents), Count(analyser, numbers), workers)) as batches:
            for counted in batches:
                postings.add(counted)
                if progress is not None:
                    progress(len(counted.lengths))
        # counts, replaced by scores in place: float32 holds counts exactly
        self._weights = Weights(len(self.ids), numbers, *postings.join(shared=workers > 1 and CAN_SHARE))
        self._score(np.asarray(postings.lengths, dtype=np.int64), k1, b)

    def _texts(self, documents: Iterable[tuple[str, str]]) -> Iterator[list[str]]:
        """The texts in batches; the ids are noted as they come."""
        texts: list[str] = []
        characters = 0
        for document_id, text in documents:
            self.ids.append(document_id)
            texts.append(text)
            characters += len(text)
            if len(texts) == _BATCH or characters >= _BATCH_CHARACTERS:
                yield texts
                texts, characters = [], 0
        if texts:
            yield texts

    def _score(self, lengths: npt.NDArray[np.int64], k1: float, b: float) -> None:
        """Turn the postings' counts into scores, in place; reckoned in float64, kept in float32."""
        mean_length = int(lengths.sum()) / max(len(lengths), 1) or 1.0
        held_back = k1 * (1 - b + b * lengths / mean_length)
        documents, scores = self._weights.documents.array, self._weights.scores.array
        for number in range(len(self._weights.numbers)):
            posting = self._weights.posting(number)
            counts = scores[posting].astype(np.float64)
            # math.log, since the last digit of numpy's depends on the processor
            idf = math.log(1 + (len(lengths) - len(counts) + 0.5) / (len(counts) + 0.5))
            scores[posting] = idf * (counts / (counts + held_back[documents[posting]]))

    def scores(self, tokens: Sequence[str]) -> npt.NDArray[np.float32]:
        """Score every document, in corpus order; a token that occurs twice in the query counts twice.

        The sum is taken in float32 in the order in which the tokens first occur in the query, so that it is the same
        on every machine.
        """
        return np.concatenate([np.empty(0, np.float32), *(scores.copy() for _, scores in self._weights.blocks(tokens))])

    def search(self, tokens: Sequence[str], depth: int = DEPTH, *, leave_out: str | None = None) -> Ranking:
        """The ``depth`` best documents, highest score first, without the one whose id is ``leave_out``."""
        return self._ranking(self._weights.best(tokens, depth + (leave_out is not None)), depth, leave_out)

    def search_all(
        self, queries: Mapping[str, Sequence[str]], depth: int = DEPTH, *, identical_ids: bool = False, workers: int = 1
    ) -> dict[str, Ranking]:
        """Search for the tokens of each query; the arguments are those of ``build_run``."""
        search = Search(self._weights, depth + identical_ids)
        with closing(search_all(search, list(queries.values()), workers)) as answers:
            return {
                query_id: self._ranking(found, depth, query_id if identical_ids else None)
                for query_id, found in zip(queries, answers, strict=True)
            }

    def _ranking(self, found: Found, depth: int, leave_out: str | None) -> Ranking:
        """What was found, with the documents' ids."""
        documents, scores = found
        ranking = zip((self.ids[document] for document in documents.tolist()), scores.tolist(), strict=True)
        return [pair for pair in ranking if pair[0] != leave_out][:depth]


class _Postings:
    """Collects which document holds which token how often, in arrays that take a few bytes an entry.

    Token numbers are gathered as they come; whenever enough are open, they are counted into a block.
    """

    def __init__(self, vocabulary: int) -> None:
        self.lengths = array("i")
        self._vocabulary = vocabulary
        self._open_tokens = array("i")
        self._open_sizes = array("i")  # how many of them each document has
        self._blocks: list[_Block] = []

    def add(self, counted: Counted) -> None:
        """Add the next documents."""
        self.lengths.extend(counted.lengths)
        self._open_sizes.extend(counted.sizes)
        self._open_tokens.extend(counted.tokens)
        if len(self._open_tokens) >= _OPEN_TOKENS:
            self._close()

    def _close(self) -> None:
        """Count the open tokens into a block."""
        from scipy.sparse import csr_array  # takes .2 s to import

        size = len(self._open_sizes)
        first = len(self.lengths) - size
        starts = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(self._open_sizes, out=starts[1:])
        ones = np.ones(len(self._open_tokens), dtype=np.int32)
        # Turned from rows of documents to columns of tokens in linear time; sorting takes ten times as long.
        rows = csr_array((ones, np.asarray(self._open_tokens), starts), shape=(size, self._vocabulary))
        held = rows.tocsc()
        held.sum_duplicates()
        self._blocks.append(
            _Block(
                sizes=np.diff(held.indptr).astype(np.int32),
                documents=(held.indices + first).astype(np.int32),
                counts=held.data.astype(np.min_scalar_type(held.data.max(initial=0))),
            )
        )
        self._open_tokens, self._open_sizes = array("i"), array("i")

    def join(self, shared: bool) -> tuple[npt.NDArray[np.int64], Shareable, Shareable]:
        """Join the blocks into one: where each token's posting starts, its documents, ascending, and its counts."""
        self._close()
        starts = np.zeros(self._vocabulary + 1, dtype=np.int64)
        starts[1:] = np.cumsum(sum(block.sizes.astype(np.int64) for block in self._blocks))
        documents = Shareable.empty(int(starts[-1]), np.int32, shared)
        counts = Shareable.empty(int(starts[-1]), np.float32, shared)
        free = starts[:-1].copy()
        while self._blocks:
            # taken out one by one, so that the blocks go while the joined arrays fill
            block = self._blocks.pop(0)
            gaps = free - (np.cumsum(block.sizes, dtype=np.int64) - block.sizes)
            places = np.arange(len(block.documents)) + np.repeat(gaps, block.sizes)
            documents.array[places] = block.documents
            counts.array[places] = block.counts
            free += block.sizes
        return starts, documents, counts


@dataclass(frozen=True, slots=True)
class _Block:
    """The postings of some documents in a row, one token's after the other's."""

    sizes: npt.NDArray[np.int32]  # of each token's posting
    documents: npt.NDArray[np.int32]
    counts: npt.NDArray[np.unsignedinteger]  # of the smallest type that holds them
