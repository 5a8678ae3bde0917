"""Batches of fixed shape, so that a text's embedding does not depend on the texts in its batch, to the last bit.

Padding and the number of rows decide which kernels run and in which order they add, so a text's embedding would differ
by some 1e-7 with the other texts in its batch; and an interrupted command that resumes, with some texts already scored,
would give other scores. So the shape of a text's batch depends on the text's length alone: padded to the next of a few
widths, and filled up to a fixed number of rows. Within a fixed shape a row's result depends neither on its position nor
on the other rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer

Vectors = NDArray[np.float32]
"""A text's embedding: shape (dimensions,) or (tokens, dimensions)."""

QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""The names under which sentence-transformers looks for a prompt, in its order."""

WIDTHS = tuple(base << doublings for doublings in range(16) for base in (16, 24))
"""The lengths that texts are padded to, 16, 24, 32, 48, 64 …: padding is at most a third, save for the shortest."""

CPU_BUDGET, ACCELERATOR_BUDGET = 128, 4096
"""Tokens of a batch, padding included. A CPU gains nothing from more, and would lose by filling up rows."""

_MEASURED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """A batch's shape: ``rows`` texts, padded to ``width`` tokens; width 0 is a single row without padding.

    ``full`` batches have no padding. They are separate, since attention runs other kernels without a mask.
    """

    rows: int
    width: int
    full: bool


ALONE = Shape(rows=1, width=0, full=True)


def shape(length: int, budget: int, limit: int | None) -> Shape:
    """The shape of the batch that a text of ``length`` tokens goes into.

    Args:
        length: Tokens that the model reads of the text, special tokens and prompt included.
        budget: Tokens that a batch may have.
        limit: Tokens that the model reads at most: nothing is padded beyond; None for any number.
    """
    width = next((width for width in WIDTHS if width >= length), length)
    if budget < 2 * width or (limit is not None and width > limit):
        return ALONE
    return Shape(budget // width, width, full=width == length)


class Encoder:
    """Encodes texts with a sentence-transformers model, each independently of the others."""

    def __init__(self, model: "SentenceTransformer | MultiVectorEncoder") -> None:
        # The two kinds declare the same methods, but share no base class.
        self._model: Any = model
        self._reader = model[0]
        self._budget = CPU_BUDGET if model.device.type == "cpu" else ACCELERATOR_BUDGET

    def encode(self, texts: Sequence[str], is_query: bool, limit: int | None) -> list[Vectors]:
        """Each text's embedding in float32; the model reads at most ``limit`` tokens, None for any number."""
        vectors: list[Vectors] = [np.empty(0, np.float32)] * len(texts)
        for batch_shape, places in self._groups(texts, is_query, limit).items():
            group = [texts[place] for place in places]
            for place, vector in zip(places, self._encode_group(group, is_query, batch_shape), strict=True):
                vectors[place] = vector
        return vectors

    def _groups(self, texts: Sequence[str], is_query: bool, limit: int | None) -> Mapping[Shape, list[int]]:
        """The places of the texts that go into batches of one shape."""
        from sentence_transformers.base.modules import Transformer

        reader = self._reader
        if not isinstance(reader, Transformer) or reader.can_flatten_inputs:
            # Such a model's batches have no width that could be fixed.
            return {ALONE: list(range(len(texts)))} if texts else {}
        groups: dict[Shape, list[int]] = {}
        for place, length in enumerate(self._lengths(texts, is_query)):
            groups.setdefault(shape(length, self._budget, limit), []).append(place)
        return groups

    def _lengths(self, texts: Sequence[str], is_query: bool) -> Iterator[int]:
        """How many tokens the model reads of each text, query expansion included."""
        for start in range(0, len(texts), _MEASURED_AT_ONCE):
            some = list(texts[start : start + _MEASURED_AT_ONCE])
            features = self._model.preprocess(some, **self._side(is_query))
            read = features["attention_mask"].bool()
            if "query_expansion_positions" in features:
                read = read | features["query_expansion_positions"]
            yield from read.sum(dim=1).tolist()

    def _encode_group(self, texts: list[str], is_query: bool, batch_shape: Shape) -> Iterator[Vectors]:
        filler = texts[-1:] * (-len(texts) % batch_shape.rows)
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
        for vector in encoded[: len(texts)]:
            # A copy, so that a cached vector does not hold its whole batch in memory.
            yield np.array(vector, dtype=np.float32)

    def prompt(self, is_query: bool) -> str | None:
        """What the model itself puts before a text."""
        names = (*(QUERY_PROMPTS if is_query else DOCUMENT_PROMPTS), self._model.default_prompt_name)
        prompts: Mapping[str | None, str] = self._model.prompts
        return next((prompts[name] for name in names if name in prompts), None)

    def _side(self, is_query: bool) -> dict[str, str | None]:
        """The arguments that say whether texts are queries or documents."""
        return {"prompt": self.prompt(is_query), "task": "query" if is_query else "document"}
