"""Cross-encoders: a classifier with one output reads query and document together.

monoBERT, Nogueira and Cho 2019, https://arxiv.org/abs/1901.04085, through the library sentence-transformers. The score
is the classifier's raw output: published probabilities are its sigmoid, which orders alike but runs into ties near 1.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from bench.errors import BenchError
from bench.rerankers.base import CandidateList, Card, Lazy, Options, Reranker, Scored
from bench.rerankers.local import checkpoint, loading, products, stored, threads
from bench.rerankers.local.pointwise import Pair, by_length, score_pairs
from bench.rerankers.local.truncation import Cut, Cutter, longest_first
from bench.rerankers.rows import Row

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder as Model

ACCELERATOR_BUDGET = 16_384
"""Tokens of a batch, padding included."""


class CrossEncoder:
    """A sentence-transformers cross-encoder; pairs too long for its window lose tokens of the longer text first."""

    def __init__(self, card: Card, model: "Model", cutter: Cutter, options: Options) -> None:
        self.card = card
        self._model = model
        self._options = options
        self._cutter = cutter
        self._special_tokens = self._cutter.special_tokens_of_pair
        threads.tokenise_in_turn(model)
        products.use_onednn(model)

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Score the pairs of all lists, batched by length."""
        with loading.running(self.card.name):
            yield from score_pairs(
                lists, self._cutter, self._options, self._fit, self._predict, template_tokens=self._special_tokens
            )

    def _fit(self, query: Cut, document: Cut) -> Pair:
        window = self._model.max_seq_length
        if window is None:
            return query, document
        kept = longest_first(query.tokens, document.tokens, window - self._special_tokens)
        return query.within(kept[0]), document.within(kept[1])

    def _predict(self, pairs: list[Pair]) -> Sequence[float]:
        def outputs(group: list[int]) -> list[float]:
            texts = [(pairs[at][0].text, pairs[at][1].text) for at in group]
            found = self._model.predict(
                texts, batch_size=len(texts), show_progress_bar=False, activation_fn=nn.Identity()
            )
            return [float(output) for output in found]

        lengths = [query.tokens + document.tokens + self._special_tokens for query, document in pairs]
        return by_length(lengths, ACCELERATOR_BUDGET, outputs, self._model.device)


def build(row: Row, options: Options) -> Reranker:
    """A cross-encoder.

    Raises:
        BenchError: the model is not available, needs code of its own, or is not a trained classifier with one output.
    """
    files = checkpoint.find(row)
    architecture = checkpoint.architecture(files.folder)
    is_saved_as_one = checkpoint.library_kind(files.folder) == "CrossEncoder"
    if not (architecture.endswith("ForSequenceClassification") or is_saved_as_one):
        # The library would put an untrained classifier on such a model, or guess at a prompt.
        raise BenchError(
            f"{row.model} is a {architecture or 'model of unknown kind'}, not a trained sequence classifier. "
            f"A generator is reranked with as 'yes-no:{row.model}', an embedding model as 'bi-encoder:{row.model}'."
        )
    _check_reads_pairs(files.folder, row.model)
    kind = "a cross-encoder"

    def settings(folder: Path) -> loading.Settings:
        return {"score": "raw output", "window": stored.window(folder)}

    card = loading.card(row, files, options, kind, settings)

    def load() -> Reranker:
        from sentence_transformers import CrossEncoder as Model

        with loading.loading(files, kind) as folder:
            model = Model(str(folder), **loading.arguments(options, folder))
        if model.num_labels != 1:
            raise BenchError(f"{row.model} has {model.num_labels} outputs; a reranker has one, the relevance.")
        return loading.tried(CrossEncoder(card, model, Cutter(model.tokenizer, row.model), options))

    return Lazy(card, load)


def _check_reads_pairs(folder: Path, model: str) -> None:
    """Refuse a classifier made from a generator: without its prompt, query and document would not be separated.

    Raises:
        BenchError: it is one; the message names the family that has such prompts.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    kind = checkpoint.model_type(folder)
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise BenchError(
            f"{model} is a classifier made of the generator {kind}: its scores need the prompt that it was trained "
            f"with, which a cross-encoder does not have. If it comes from Qwen3-Reranker, take 'yes-no:{model}'."
        )
