"""Check that a loaded model got all tensors of its checkpoint, and no others.

transformers initialises missing tensors with random numbers, and ignores unexpected ones.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from reranker.stored import BUFFERS, LANGUAGE_HEAD, is_language_model

_POOLER = re.compile(r"^(\w+\.)?pooler\.")
"""BERT's layer for next-sentence prediction, which embeddings do not use: libraries store it or leave it out."""

_STANFORD_PROJECTION = "linear.weight"


@dataclass(frozen=True, slots=True)
class Report:
    """The tensors that transformers found missing and unexpected when it loaded a model."""

    kind: str
    architecture: str
    missing: frozenset[str]
    unexpected: frozenset[str]

    def check(self, model: str, error: type[Exception]) -> None:
        """Refuse a model that is partly random, or whose files are of another kind of model.

        Args:
            model: Its name in the message.
            error: The exception class to raise.

        Raises:
            error: naming the tensors.
        """
        missing = [name for name in self.missing if not (self._is_bare and _POOLER.match(name))]
        if missing:
            raise error(
                f"{model} lacks tensors that {self.kind} needs: {_some(missing)}. They would be random numbers, and so "
                "would the scores. Check that the files are whole and that the family is the right one."
            )
        unexpected = [name for name in self.unexpected if not self._is_harmless(name)]
        if unexpected:
            raise error(
                f"{model} holds tensors that {self.kind} has no use for: {_some(unexpected)}. "
                "It is a checkpoint of another kind. Check the family."
            )

    @property
    def _is_bare(self) -> bool:
        """Whether the model has no head: its output is a hidden state for each token."""
        return not re.search(r"For[A-Z]\w+$", self.kind)

    def _is_harmless(self, name: str) -> bool:
        if BUFFERS.search(name):
            return True
        if not self._is_bare:
            return False
        return bool(
            _POOLER.match(name)
            or (is_language_model(self.architecture) and LANGUAGE_HEAD.match(name))
            or (self.architecture == "HF_ColBERT" and name == _STANFORD_PROJECTION)
        )


@contextmanager
def reports() -> Iterator[list[Report]]:
    """Collect a report of every model that transformers loads in the context.

    transformers returns one to the caller of ``from_pretrained``, which is often sentence-transformers, which does not
    request it.
    """
    collected: list[Report] = []
    original = PreTrainedModel.__dict__["from_pretrained"]

    def reporting(kind: type[PreTrainedModel], *given: Any, **options: Any) -> Any:
        model, info = original.__func__(kind, *given, **options | {"output_loading_info": True})
        names = getattr(model.config, "architectures", None) or [""]
        collected.append(
            Report(
                type(model).__name__, str(names[0]), frozenset(info["missing_keys"]), frozenset(info["unexpected_keys"])
            )
        )
        return model

    PreTrainedModel.from_pretrained = classmethod(reporting)  # type: ignore[method-assign, assignment]
    try:
        yield collected
    finally:
        PreTrainedModel.from_pretrained = original  # type: ignore[method-assign]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(sorted(names)[:4]) + more
