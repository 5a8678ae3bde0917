"""The core model: the package ``reranker``, which reads a query and all its candidates in one prompt."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.errors import BenchError
from bench.rerankers.base import CandidateList, Card, Options, Reranker, Scored
from bench.rerankers.local import checkpoint
from bench.rerankers.options import check_options
from bench.rerankers.rows import Row
from reranker import Reranker as Model
from reranker import RerankerError
from reranker.blocks import MAX_DOCUMENTS


class Core:
    """The core model as the harness sees it."""

    def __init__(self, card: Card, model: Model, options: Options, max_block: int = MAX_DOCUMENTS) -> None:
        self.card = card
        self._model = model
        self._options = options
        self._max_block = max_block

    def with_block_size(self, documents: int) -> "Core":
        """The same model, reading at most so many documents in one prompt."""
        card = replace(
            self.card,
            fingerprint=f"{self.card.fingerprint}-blocks-of-{documents}",
            settings={**self.card.settings, "max_block": documents},
        )
        return Core(card, self._model, self._options, documents)

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Score lists as they are finished; a list's scores do not depend on its company."""
        answers = self._model.score_iter(
            ((each.query, each.texts) for each in lists),
            max_query_length=self._options.max_query_length,
            max_doc_length=self._options.max_doc_length,
            max_block=self._max_block,
        )
        try:
            for answer in answers:
                yield Scored(
                    query_id=lists[answer.index].query_id,
                    scores=tuple(answer.scores),
                    tokens=answer.tokens,
                    documents_cut=answer.documents_cut,
                    tokens_lost=answer.tokens_lost,
                    queries_cut=int(answer.query_cut),
                )
        except RerankerError as error:
            raise BenchError(f"{self.card.name}: {error}") from error


def build(row: Row, options: Options) -> Reranker:
    """Load a checkpoint of the core model.

    Raises:
        BenchError: where there is none, it is damaged, or the device cannot be used.
    """
    check_options(options)
    files = checkpoint.locate(row)
    try:
        model = Model.from_pretrained(files.folder, device=options.device, dtype=options.dtype)
    except RerankerError as error:
        raise BenchError(f"{row.model}: {error}") from error
    card = Card(
        name=row.name,
        fingerprint=model.fingerprint,
        family="core",
        model=checkpoint.shown(row.model),
        revision=files.revision,
        parameters=model.parameters,
        device=str(model.device),
        dtype=str(model.dtype).removeprefix("torch."),
        listwise=True,
    )
    return Core(card, model, options)
