"""Bi-encoders: query and document are embedded separately; the score is the cosine of the two vectors.

Sentence-BERT, Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084, through the library sentence-transformers.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BenchError
from bench.rerankers.base import Card, Options, Reranker
from bench.rerankers.embeddings import Comparison, Embedded, LazyEmbedding, Vectors
from bench.rerankers.local import adapters, checkpoint, loading, lora, stored
from bench.rerankers.local.adapters import Rule
from bench.rerankers.local.batching import Encoder
from bench.rerankers.local.embedding import EmbeddingReranker
from bench.rerankers.local.truncation import Cutter
from bench.rerankers.rows import Row
from reranker.prompt import well_formed

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

CACHE_BYTES = 256 * 1024**2


class BiEncoder(EmbeddingReranker):
    """Cosine of a sentence-transformers model's embeddings, with the prompts that the model itself defines."""

    def __init__(
        self,
        card: Card,
        model: "SentenceTransformer",
        cutter: Cutter,
        options: Options,
        comparison: Comparison,
    ) -> None:
        super().__init__(card, cutter, Encoder(model), options, comparison)
        self._model = model

    def embed(self, texts: Sequence[str], is_query: bool, task: str = "") -> Vectors:
        """Unit vectors of at least one text, shape (texts, dimensions), each text cut to the model's own window.

        ``task`` is the id of the task that the texts are of; only a model with adapters embeds by it.
        """
        with loading.running(self.card.name):
            return np.stack(self._embed([well_formed(text) for text in texts], is_query))

    def variant(self, task: str) -> str:
        """See `Comparison`."""
        return self._comparison.variant(task)

    def _embed(self, texts: Sequence[str], is_query: bool) -> Sequence[Vectors]:
        """Unit vectors, shape (dimensions,), float32; zeros stay zeros."""
        tiny = np.finfo(np.float32).tiny
        return [vector / max(np.linalg.norm(vector), tiny) for vector in super()._embed(texts, is_query)]

    def _window(self, is_query: bool) -> int | None:
        # Only a transformer has lengths of its own for queries and documents.
        own: int | None = getattr(self._model[0], "query_length" if is_query else "document_length", None)
        return own or self._model.max_seq_length


class Adapted(BiEncoder):
    """A bi-encoder with adapters: the task decides which of them embeds queries and documents, after which prompts."""

    def __init__(
        self,
        card: Card,
        model: "SentenceTransformer",
        cutter: Cutter,
        options: Options,
        comparison: Comparison,
        rule: Rule,
    ) -> None:
        super().__init__(card, model, cutter, options, comparison)
        self._rule = rule
        self._choose("")

    def embed(self, texts: Sequence[str], is_query: bool, task: str = "") -> Vectors:
        self._choose(task)
        return super().embed(texts, is_query)

    def embedded(self, texts: Sequence[str], is_query: bool, task: str = "") -> list[Embedded]:
        self._choose(task)
        return super().embedded(texts, is_query)

    def _choose(self, task: str) -> None:
        self._sides = self._rule.sides(task)
        query, document = self._sides
        self._model.prompts = {"query": query.prompt, "document": document.prompt}

    def _embed(self, texts: Sequence[str], is_query: bool) -> Sequence[Vectors]:
        query, document = self._sides
        reader: Any = self._model[0]
        reader.auto_model.set_adapter((query if is_query else document).adapter)
        return super()._embed(texts, is_query)


def cosines(query: Vectors, documents: Sequence[Vectors]) -> list[float]:
    """The cosine of each document with the query, from unit vectors."""
    return [float(document @ query) for document in documents]


def build(row: Row, options: Options) -> Reranker:
    """A sentence-transformers model.

    Raises:
        BenchError: the model is not available, needs code of its own, or is not an embedding model for text.
    """
    files = checkpoint.find(row)
    _check_kind(files.folder, row.model)
    kind = "a sentence-transformers model"
    rule = adapters.rule(files.folder)
    if rule:
        lora.check_installed(row.model)

    def settings(folder: Path) -> loading.Settings:
        stated: loading.Settings = {"similarity": "cosine", "window": stored.window(folder)}
        return {**stated, "adapters": str(rule)} if rule else stated

    card = loading.card(row, files, options, kind, settings, prompt=repr(rule) if rule else "")
    comparison = Comparison(cosines, CACHE_BYTES)
    if rule:
        card = replace(card, needs=frozenset({"texts", "task"}))
        comparison = replace(comparison, variant=lambda task: repr(rule.sides(task)))

    def load() -> Reranker:
        from sentence_transformers import SentenceTransformer

        with loading.loading(files, kind) as folder:
            model = SentenceTransformer(str(folder), **loading.arguments(options, folder))
            if rule:
                lora.attach(model[0].auto_model, folder, rule.adapters)
        if model.tokenizer is None:
            raise BenchError(f"{row.model} does not read text.")
        cutter = Cutter(model.tokenizer, row.model)
        if rule:
            return loading.tried(Adapted(card, model, cutter, options, comparison, rule))
        return loading.tried(BiEncoder(card, model, cutter, options, comparison))

    return LazyEmbedding(card, load, comparison)


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
