"""Bi-encoders: query and document are embedded separately; the score is the cosine of the two vectors.

Sentence-BERT, Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084, through the library sentence-transformers.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BenchError
from bench.rerankers.base import Card, Lazy, Options, Reranker
from bench.rerankers.local import checkpoint, loading, stored
from bench.rerankers.local.batching import Encoder, Vectors
from bench.rerankers.local.embedding import EmbeddingReranker
from bench.rerankers.local.truncation import Cutter
from bench.rerankers.rows import Row
from reranker.prompt import well_formed

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

CACHE_BYTES = 256 * 1024**2


class BiEncoder(EmbeddingReranker):
    """Cosine of a sentence-transformers model's embeddings, with the prompts that the model itself defines."""

    def __init__(self, card: Card, model: "SentenceTransformer", cutter: Cutter, options: Options) -> None:
        super().__init__(card, cutter, Encoder(model), options, CACHE_BYTES)
        self._model = model

    def embed(self, texts: Sequence[str], is_query: bool) -> Vectors:
        """Unit vectors of at least one text, shape (texts, dimensions), each text cut to the model's own window."""
        with loading.running(self.card.name):
            return np.stack(self._embed([well_formed(text) for text in texts], is_query))

    def _embed(self, texts: Sequence[str], is_query: bool) -> Sequence[Vectors]:
        """Unit vectors, shape (dimensions,), float32; zeros stay zeros."""
        tiny = np.finfo(np.float32).tiny
        return [vector / max(np.linalg.norm(vector), tiny) for vector in super()._embed(texts, is_query)]

    def _compare(self, query: Vectors, documents: Sequence[Vectors]) -> list[float]:
        return [float(document @ query) for document in documents]

    def _window(self, is_query: bool) -> int | None:
        # Only a transformer has lengths of its own for queries and documents.
        own: int | None = getattr(self._model[0], "query_length" if is_query else "document_length", None)
        return own or self._model.max_seq_length


def build(row: Row, options: Options) -> Reranker:
    """A sentence-transformers model.

    Raises:
        BenchError: the model is not available, needs code of its own, or is not an embedding model for text.
    """
    files = checkpoint.find(row)
    _check_kind(files.folder, row.model)
    kind = "a sentence-transformers model"

    def settings(folder: Path) -> loading.Settings:
        return {"similarity": "cosine", "window": stored.window(folder)}

    card = loading.card(row, files, options, kind, settings)

    def load() -> Reranker:
        from sentence_transformers import SentenceTransformer

        with loading.loading(files, kind) as folder:
            model = SentenceTransformer(str(folder), **loading.arguments(options, folder))
        if model.tokenizer is None:
            raise BenchError(f"{row.model} does not read text.")
        return loading.tried(BiEncoder(card, model, Cutter(model.tokenizer, row.model), options))

    return Lazy(card, load)


def _check_kind(folder: Path, model: str) -> None:
    """Refuse a model of another kind, which the library would turn into an embedding model by mean pooling.

    Raises:
        BenchError: it is of another kind; the message names the family that it may belong to.
    """
    saved_as = checkpoint.library_kind(folder)
    names = checkpoint.modules(folder)
    architecture = checkpoint.architecture(folder)
    if saved_as == "CrossEncoder" or (not names and architecture.endswith("ForSequenceClassification")):
        kind, family = "a sequence classifier", "cross-encoder"
    elif saved_as in ("ColBERT", "MultiVectorEncoder") or architecture == "HF_ColBERT":
        kind, family = "a ColBERT model", "late-interaction"
    elif names and not {"Pooling", "StaticEmbedding"} & set(names):
        kind, family = "a list of modules without pooling", "late-interaction"
    elif saved_as not in ("", "SentenceTransformer") or (not names and re.search(r"For[A-Z]\w+$", architecture)):
        kind, family = f"a {saved_as or architecture}", "yes-no"
    else:
        return
    raise BenchError(f"{model} is {kind}, not an embedding model. Is it a '{family}:{model}'?")
