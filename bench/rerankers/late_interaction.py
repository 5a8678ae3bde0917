"""Late interaction: every token of query and document is embedded, and each query token adds its best match.

ColBERT, Khattab and Zaharia 2020, https://arxiv.org/abs/2004.12832. The library sentence-transformers reads both
formats that such models come in, Stanford's and PyLate's, with the markers, query expansion and skipped punctuation
that their files state.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.errors import BenchError
from bench.rerankers.base import Card, Options, Reranker
from bench.rerankers.embeddings import Comparison, LazyEmbedding, Vectors
from bench.rerankers.local import checkpoint, loading, stored
from bench.rerankers.local.batching import Encoder
from bench.rerankers.local.embedding import EmbeddingReranker
from bench.rerankers.local.truncation import Cutter
from bench.rerankers.rows import Row

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

CACHE_BYTES = 1024**3
STANFORD = "HF_ColBERT"


class LateInteraction(EmbeddingReranker):
    """MaxSim over a ColBERT model's token embeddings, unit vectors of the tokens that take part, in float32."""

    def __init__(self, card: Card, model: "MultiVectorEncoder", cutter: Cutter, options: Options) -> None:
        super().__init__(card, cutter, Encoder(model), options, _COMPARISON)
        self._query_window, self._document_window = windows(model)

    def _window(self, is_query: bool) -> int:
        return self._query_window if is_query else self._document_window


def max_sim(query: Vectors, documents: Sequence[Vectors]) -> list[float]:
    """For each document the sum, over the query's vectors, of the largest product with one of the document's."""
    from sentence_transformers.util.similarity import maxsim

    scores = maxsim([torch.from_numpy(query)], [torch.from_numpy(each) for each in documents])
    return [float(score) for score in scores[0]]


_COMPARISON = Comparison(max_sim, CACHE_BYTES)


def windows(model: "MultiVectorEncoder") -> tuple[int, int]:
    """Tokens that the model reads of a query and of a document, all markers included."""
    from sentence_transformers.base.modules import Transformer

    reader = model[0]
    if not isinstance(reader, Transformer) or model.max_seq_length is None:
        raise BenchError("This late-interaction model does not say how many tokens it reads.")
    expansion = reader.query_expansion
    query = reader.query_length or model.max_seq_length
    if expansion is not None:
        fixed = expansion["strategy"] == "fixed"
        query = expansion["length"] if fixed else max(query, expansion["length"])
    return query, reader.document_length or model.max_seq_length


def is_trained_for_it(folder: Path) -> bool:
    """Whether a checkpoint is a ColBERT model: of Stanford's format, or with a projection of tokens, and no pooling."""
    names = checkpoint.modules(folder)
    if not names:
        return checkpoint.architecture(folder) == STANFORD
    saved_as_one = checkpoint.library_kind(folder) == "MultiVectorEncoder" and "MultiVectorMask" in names
    return (saved_as_one or "Dense" in names) and "Pooling" not in names


def build(row: Row, options: Options) -> Reranker:
    """A ColBERT model.

    Raises:
        BenchError: the model is not available, needs code of its own, or was not trained for late interaction.
    """
    files = checkpoint.find(row)
    if not is_trained_for_it(files.folder):
        # The library would put an untrained projection on such a model.
        kind = checkpoint.architecture(files.folder) or "model of unknown kind"
        raise BenchError(
            f"{row.model} is a {kind} in neither of the two formats of ColBERT models, Stanford's (HF_ColBERT) and "
            f"PyLate's. Is it a 'bi-encoder:{row.model}'?"
        )
    what = "a late-interaction model"

    def settings(folder: Path) -> loading.Settings:
        query_window, document_window = stored.windows(folder)
        # The files may name no other similarity: see `bench.rerankers.local.settings.LibraryConfig`.
        return {"similarity": "maxsim", "query_window": query_window, "document_window": document_window}

    card = loading.card(row, files, options, what, settings)

    def load() -> Reranker:
        from sentence_transformers import MultiVectorEncoder

        with loading.loading(files, what) as folder:
            model = MultiVectorEncoder(str(folder), **loading.arguments(options, folder))
        return loading.tried(LateInteraction(card, model, Cutter(model.tokenizer, row.model), options))

    return LazyEmbedding(card, load, _COMPARISON)
