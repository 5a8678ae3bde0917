"""The part of a name after the model: which strategy, with which numbers, and which prompt.

``#sliding,window=10,stride=5,passes=3,prompt=rank-zephyr,thinking=4096``: a strategy's name, then what differs from its
defaults.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from bench.errors import BenchError
from bench.rerankers.generative import prompts
from bench.rerankers.generative.prompts import Prompt
from bench.rerankers.generative.strategies import Walk, pairwise, setwise, sliding, whole
from bench.rerankers.rows import Row

_SWEEP = {"window": 20, "stride": 10, "passes": 1}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A strategy: its walk, the numbers that it takes, and the zero-shot prompt that fits it."""

    walk: Callable[..., Walk]
    numbers: Mapping[str, int]
    prompt: str = "zero-shot"
    asks: str = "order"
    first_token: bool = False


STRATEGIES: Mapping[str, _Kind] = {
    "sliding": _Kind(sliding.walk, _SWEEP),
    "first": _Kind(sliding.walk, _SWEEP, "zero-shot-letters", first_token=True),
    "whole": _Kind(whole.walk, {"passes": 1}),
    "setwise": _Kind(setwise.walk, {"of": 4, "top": 10}, "zero-shot-best", "best"),
    "pairwise": _Kind(pairwise.walk, {"top": 10}, "zero-shot-best", "best"),
}
"""By name. ``first`` reads the identifiers' logits at the first token of the answer (FIRST, arXiv 2406.15657)."""


@dataclass(frozen=True, slots=True)
class Spec:
    """How a list is ranked: ``walk(n)`` over n documents, the prompt, and how its answers are read."""

    strategy: str
    numbers: Mapping[str, int]
    prompt_name: str
    prompt: Prompt
    thinking: int
    first_token: bool
    best_only: bool

    def walk(self, n: int) -> Walk:
        """The strategy's walk over a list of ``n`` documents."""
        return partial(STRATEGIES[self.strategy].walk, **self.numbers)(n)

    @property
    def settings(self) -> dict[str, str | int | float | bool]:
        """What a card says of it."""
        shown: dict[str, str | int | float | bool] = {"strategy": self.strategy, **self.numbers}
        prompt = self.prompt
        return shown | {
            "prompt": self.prompt_name,
            "passage": f"{prompt.passage} {prompt.unit}",
            "thinking": self.thinking,
            "scores": "derived from ranks",
        }


def spec_of(row: Row) -> Spec | None:
    """The strategy that a row's model names; None for a row of another family.

    Raises:
        BenchError: see `read`.
    """
    parts = row.model.split("#")
    place = {"generative": 1, "chat": 2}.get(row.family)
    return None if place is None else read("".join(parts[place : place + 1]))


def read(text: str) -> Spec:
    """A strategy by its text, "" for a sliding window with the zero-shot prompt.

    Raises:
        BenchError: there is no such strategy, number or prompt, or they do not fit each other.
    """
    name, *given = (text or "sliding").split(",")
    if name not in STRATEGIES:
        raise BenchError(f"There is no strategy {name!r}. Choose one of {', '.join(STRATEGIES)}.")
    kind = STRATEGIES[name]
    numbers, prompt_name, thinking = dict(kind.numbers), kind.prompt, -1
    for part in given:
        key, _, value = part.partition("=")
        if key == "prompt":
            prompt_name = value
        elif key == "thinking" and re.fullmatch(r"\d{1,6}", value):
            thinking = int(value)
        elif key in numbers and re.fullmatch(r"[1-9]\d{0,5}", value):
            numbers[key] = int(value)
        else:
            known = [f"{each}=N" for each in (*numbers, "thinking")]
            raise BenchError(f"{part!r} does not fit the strategy {name}. It takes {', '.join(known)}, prompt=NAME.")
    prompt = prompts.read(prompt_name)
    _check(name, kind, numbers, prompt_name, prompt)
    thinks = prompt.thinking if thinking < 0 else thinking
    return Spec(name, numbers, prompt_name, prompt, thinks, kind.first_token, kind.asks == "best")


def _check(name: str, kind: _Kind, numbers: Mapping[str, int], prompt_name: str, prompt: Prompt) -> None:
    if prompt.asks != kind.asks:
        raise BenchError(
            f"The prompt {prompt_name} asks for the {prompt.asks}, and the strategy {name} needs the {kind.asks}. "
            f"Leave prompt= out, or choose one as {kind.prompt} is."
        )
    if numbers.get("stride", 0) > numbers.get("window", 0):
        raise BenchError("stride is larger than window, so that documents would be left out. Choose a smaller stride.")
    if min(numbers.get("window", 2), numbers.get("of", 2)) < 2:
        raise BenchError("A window needs at least 2 documents. Choose a larger one.")
    if numbers.get("window", numbers.get("of", 2)) > 26 and prompt.identifiers == "letters":
        raise BenchError(f"The prompt {prompt_name} has letters for 26 passages. Choose a window of at most 26.")
