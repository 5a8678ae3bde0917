"""Batches whose texts do not affect each other's embeddings, to the last bit.

Padding and the number of rows decide which kernels run and in which order they add, so a text's embedding would differ
by some 1e-7 with the other texts in its batch; and an interrupted command that resumes, with some texts already scored,
would give other scores. So the shape of a text's batch depends on the text's length alone: padded to the next of a few
widths, and filled up to a fixed number of rows. Within a fixed shape a row's result depends neither on its position nor
on the other rows. Where all products are oneDNN's (`bench.rerankers.local.products`), it does not depend on the number
of rows either, and batches are not filled up.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from bench.rerankers.embeddings import Vectors
from bench.rerankers.local import products, threads
from bench.rerankers.local.tokens import Tokens

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer

QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""The names under which sentence-transformers looks for a prompt, in its order."""

WIDTHS = tuple(base << doublings for doublings in range(16) for base in (16, 24))
"""The lengths that texts are padded to, 16, 24, 32, 48, 64 …: padding is at most a third, save for the shortest."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The bounds of a batch: tokens, padding included, and rows."""

    tokens: int
    rows: int


CPU, CPU_FILLED_UP, ACCELERATOR = Budget(1536, 96), Budget(1024, 16), Budget(4096, 256)
"""A CPU gains little from larger batches, and loses by rows that only fill up, where batches are filled up."""

_AT_ONCE = 64
"""Texts given to the library in one call, where the number of them decides nothing."""

Part = TypeVar("Part", Sequence[str], Sequence[int])


@dataclass(frozen=True, slots=True)
class Shape:
    """A batch's shape: ``rows`` texts, or fewer where it is not filled up, padded to ``width`` tokens.

    Width 0 is a single row without padding.

    ``full`` batches have no padding. They are separate, since attention runs other kernels without a mask.
    """

    rows: int
    width: int
    full: bool


ALONE = Shape(rows=1, width=0, full=True)


def shape(length: int, budget: Budget, limit: int | None) -> Shape:
    """The shape of the batch that a text of ``length`` tokens goes into.

    Args:
        length: Tokens that the model reads of the text, special tokens and prompt included.
        budget: What a batch may have.
        limit: Tokens that the model reads at most: nothing is padded beyond; None for any number.
    """
    width = next((width for width in WIDTHS if width >= length), length)
    if budget.tokens < 2 * width or (limit is not None and width > limit):
        return ALONE
    return Shape(min(budget.rows, budget.tokens // width), width, full=width == length)


class Encoder:
    """Encodes texts with a sentence-transformers model, each independently of the others."""

    def __init__(self, model: "SentenceTransformer | MultiVectorEncoder") -> None:
        # The two kinds declare the same methods, but share no base class.
        self._model: Any = model
        self._reader = model[0]
        threads.tokenise_in_turn(model)
        self._tokens = Tokens(model)
        self._fill_up = not products.use_onednn(model)
        on_cpu = CPU_FILLED_UP if self._fill_up else CPU
        self._budget = on_cpu if model.device.type == "cpu" else ACCELERATOR

    def encode(self, texts: Sequence[str], is_query: bool, limit: int | None) -> list[Vectors]:
        """Each text's embedding in float32; the model reads at most ``limit`` tokens, None for any number."""
        batches = list(self._batches(texts, is_query, limit))

        def encoded(batch: tuple[Shape, Sequence[int]]) -> list[Vectors]:
            batch_shape, places = batch
            return self._encode_batch([texts[place] for place in places], is_query, batch_shape)

        vectors: list[Vectors] = [np.empty(0, np.float32)] * len(texts)
        for (_, places), found in zip(batches, threads.answers(encoded, batches, self._model.device), strict=True):
            for place, vector in zip(places, found, strict=True):
                vectors[place] = vector
        return vectors

    def _batches(
        self, texts: Sequence[str], is_query: bool, limit: int | None
    ) -> Iterator[tuple[Shape, Sequence[int]]]:
        """The batches, as a shape and the places of at most so many texts."""
        from sentence_transformers.base.modules import Transformer

        reader = self._reader
        if not isinstance(reader, Transformer) or reader.can_flatten_inputs:
            # Such a model's batches have no width that could be fixed: each text is a batch, some of them in one call.
            yield from ((ALONE, some) for some in _split(range(len(texts)), _AT_ONCE))
            return
        groups: dict[Shape, list[int]] = {}
        for place, length in enumerate(self._tokens.lengths(texts, self._side(is_query))):
            groups.setdefault(shape(length, self._budget, limit), []).append(place)
        for batch_shape, places in groups.items():
            yield from ((batch_shape, some) for some in _split(places, batch_shape.rows))

    def _encode_batch(self, texts: list[str], is_query: bool, batch_shape: Shape) -> list[Vectors]:
        filler = texts[-1:] * (-len(texts) % batch_shape.rows) if self._fill_up else []
        padding = {"padding": "max_length", "max_length": batch_shape.width}
        encoded = self._model.encode(
            texts + filler,
            batch_size=batch_shape.rows,
            show_progress_bar=False,
            convert_to_numpy=True,
            # A full batch needs no padding, and a model that expands queries to one width allows none.
            **({} if batch_shape.full else {"processing_kwargs": {"text": padding}}),
            **self._side(is_query),
        )
        # Copies, so that a cached vector does not hold its whole batch in memory.
        return [np.array(vector, dtype=np.float32) for vector in encoded[: len(texts)]]

    def prompt(self, is_query: bool) -> str | None:
        """What the model itself puts before a text."""
        names = (*(QUERY_PROMPTS if is_query else DOCUMENT_PROMPTS), self._model.default_prompt_name)
        prompts: Mapping[str | None, str] = self._model.prompts
        return next((prompts[name] for name in names if name in prompts), None)

    def _side(self, is_query: bool) -> dict[str, str | None]:
        """The arguments that say whether texts are queries or documents."""
        return {"prompt": self.prompt(is_query), "task": "query" if is_query else "document"}


def _split(whole: Part, size: int) -> Iterator[Part]:
    return (whole[start : start + size] for start in range(0, len(whole), size))
