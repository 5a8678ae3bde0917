"""The core model of the package ``reranker``, which reads a query and all its candidates in one prompt."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import torch

from bench.errors import BenchError
from bench.rerankers.base import CandidateList, Card, Lazy, Options, Reranker, Scored
from bench.rerankers.local import checkpoint, loading
from bench.rerankers.rows import ROWS, Row
from reranker import Reranker as Model
from reranker import RerankerError
from reranker.blocks import MAX_DOCUMENTS
from reranker.checkpoint import find


class Core:
    """The core model as a reranker of the harness."""

    def __init__(self, card: Card, model: Model, options: Options, max_block: int = MAX_DOCUMENTS) -> None:
        self.card = card
        self._model = model
        self._options = options
        self._max_block = max_block

    def with_block_size(self, documents: int) -> "Core":
        """The same model with at most so many documents in one prompt."""
        return Core(_in_blocks(self.card, documents), self._model, self._options, documents)

    def forget(self) -> None:
        """See `bench.rerankers.base.Remembers`."""
        self._model.forget()

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Score lists as they are finished; a list's scores do not depend on its company."""
        answers = self._model.score_iter(
            ((each.query, each.texts) for each in lists),
            max_query_length=self._options.max_query_length,
            max_doc_length=self._options.max_doc_length,
            max_block=self._max_block,
        )
        with _explained(self.card.name):
            for answer in answers:
                yield Scored(
                    query_id=lists[answer.index].query_id,
                    scores=tuple(answer.scores),
                    tokens=answer.tokens,
                    documents_cut=answer.documents_cut,
                    tokens_lost=answer.tokens_lost,
                    queries_cut=int(answer.query_cut),
                )


class LazyCore(Lazy):
    """The core model, loaded when it is needed."""

    def with_block_size(self, documents: int) -> Reranker:
        """See `Core.with_block_size`."""
        return Lazy(_in_blocks(self.card, documents), lambda: cast(Core, self.load()).with_block_size(documents))


def build(row: Row, options: Options) -> Reranker:
    """A checkpoint of the core model.

    Raises:
        BenchError: there is none, it is damaged, or the device cannot be used.
    """
    device, dtype = loading.place(options)
    files = checkpoint.locate(row)
    with _explained(row.model):
        found = find(files.folder)
        model = checkpoint.shown(row.model)
        card = _card(row.name, model, found.fingerprint(dtype), found.parameters, device, dtype)
        card = replace(card, revision=files.revision)

    def load() -> Reranker:
        with _explained(row.model):
            return Core(card, Model.from_pretrained(files.folder, options.device, options.dtype), options)

    return LazyCore(card, load)


def name_of(model: Model) -> str:
    """What a checkpoint is called on the command line: ``embedded``, or ``core:MODEL``."""
    return model.name if model.name in ROWS else f"core:{checkpoint.shown(model.name)}"


def loaded(model: Model, options: Options, name: str) -> Reranker:
    """A model that is in memory already, as a reranker."""
    source = ROWS[model.name].model if model.name in ROWS else checkpoint.shown(model.name)
    return Core(_card(name, source, model.fingerprint, model.parameters, model.device, model.dtype), model, options)


def _card(name: str, model: str, fingerprint: str, parameters: int, device: torch.device, dtype: torch.dtype) -> Card:
    return Card(
        name=name,
        fingerprint=fingerprint,
        family="core",
        model=model,
        parameters=parameters,
        device="cpu" if device.type == "cpu" else f"{device.type}:{device.index or 0}",
        dtype=str(dtype).removeprefix("torch."),
        listwise=True,
    )


def _in_blocks(card: Card, documents: int) -> Card:
    return replace(
        card,
        fingerprint=f"{card.fingerprint}-blocks-of-{documents}",
        settings={**card.settings, "max_block": documents},
    )


@contextmanager
def _explained(model: str) -> Iterator[None]:
    try:
        yield
    except RerankerError as error:
        raise BenchError(f"{model}: {error}") from error
