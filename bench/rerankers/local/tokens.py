"""Tokens that were computed to learn a text's length, used again for its batch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_AT_ONCE = 64
"""Texts tokenised in one call to learn their lengths."""

Features = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Row:
    """A text's place among features [texts, padded], whose padding is on one side."""

    features: Features
    place: int
    length: int
    padded: int
    on_right: bool

    def cells(self, name: str, width: int) -> Tensor:
        """One of the features, with less padding: [width]."""
        row: Tensor = self.features[name][self.place]
        return row[:width] if self.on_right else row[self.padded - width :]


class Tokens:
    """Takes the place of a sentence-transformers model's `preprocess`, and remembers the texts measured last."""

    def __init__(self, model: Any) -> None:
        self._preprocess = model.preprocess
        self._rows: dict[str, _Row] = {}
        self._side: dict[str, str | None] = {}
        model.preprocess = self._features

    def lengths(self, texts: Sequence[str], side: dict[str, str | None]) -> Iterator[int]:
        """How many tokens the model reads of each text, query expansion included."""
        self._rows, self._side = {}, side
        for start in range(0, len(texts), _AT_ONCE):
            some = list(texts[start : start + _AT_ONCE])
            features = self._preprocess(some, **side)
            expansion = features.get("query_expansion_positions")
            read = features["attention_mask"].bool()
            lengths = (read if expansion is None else read | expansion).sum(dim=1).tolist()
            if expansion is None:
                self._remember(some, features, lengths, read)
            yield from lengths

    def _remember(self, texts: Sequence[str], features: Features, lengths: Sequence[int], read: Tensor) -> None:
        on_right, on_left = bool(read[:, 0].all()), bool(read[:, -1].all())
        by_token = all(each.shape == read.shape for each in features.values() if isinstance(each, Tensor))
        if by_token and (on_right or on_left):
            for place, (text, length) in enumerate(zip(texts, lengths, strict=True)):
                self._rows[text] = _Row(features, place, length, read.shape[1], on_right)

    def _features(
        self, texts: Sequence[str], processing_kwargs: Mapping[str, Any] | None = None, **side: str | None
    ) -> Features:
        """Features of texts that are padded to a width, or else all have one length."""
        rows = [self._rows[text] for text in texts if text in self._rows] if side == self._side else []
        if texts and len(rows) == len(texts):
            width = processing_kwargs["text"]["max_length"] if processing_kwargs else max(row.length for row in rows)
            if all(row.padded >= width for row in rows):
                tensors = [name for name, each in rows[0].features.items() if isinstance(each, Tensor)]
                stacked = {name: torch.stack([row.cells(name, width) for row in rows]) for name in tensors}
                return {**rows[0].features, **stacked}
        settings = {"processing_kwargs": processing_kwargs} if processing_kwargs else {}
        found: Features = self._preprocess(texts, **settings, **side)
        return found
