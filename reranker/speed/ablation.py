"""`python -m reranker.speed.ablation`: what each optimisation of the reranker gives on this machine's CPU.

The same lists are scored with and without one optimisation in turn. The figure is the time without it over the time
with it, the median of five pairs; 1.00 means that it gives nothing. The model is that of
`python -m reranker.speed --size small`, the lists are made up: 100 documents of 30 tokens, 100 of 150, and ten of 30.
"""

from reranker.startup import fill_standard_streams, forget_working_folder

if __name__ == "__main__":
    forget_working_folder()  # before the imports that a file in it could take the place of
    fill_standard_streams()

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any
from unittest.mock import patch

from reranker import command

if __name__ == "__main__":
    command.end_at_once_on_interrupt()  # before the imports that take seconds

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import linear

from reranker import attention, cpu, engine, model, tokens
from reranker.prompt import Markers
from reranker.rerank import Reranker
from reranker.speed import synthetic
from reranker.tokens import PromptTokens

_PAIRS = 5
_LISTS = {"100 x 30": (2, 100, 30), "100 x 150": (1, 100, 150), "10 x 30": (20, 10, 30)}


class _Inline:
    """An executor that does the work when it is submitted, so that nothing runs in the background."""

    def __init__(self, _: int) -> None: ...

    def __enter__(self) -> "_Inline":
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(function(*arguments))
        return done


def _whole_last_layer(
    layer: Any,
    window: int | None,
    hidden_states: Tensor,
    cos: Tensor,
    sin: Tensor,
    lengths: Sequence[int],
    markers: Sequence[Tensor],
) -> Tensor:
    output = model._layer(layer, hidden_states, cos, sin, lengths, window)
    return output[model._marker_rows(markers, lengths)]


def _one_by_one(function: Callable[[Any], None], tiles: Iterable[Any]) -> None:
    for tile in tiles:
        function(tile)


def _in_all(name: str, replacement: Any) -> AbstractContextManager[Any]:
    """Replace a function of `reranker.cpu` wherever it is used."""
    with ExitStack() as stack:
        for module in (cpu, attention):
            stack.enter_context(patch.object(module, name, replacement))
        return stack.pop_all()


ABLATIONS: dict[str, Callable[[Reranker], AbstractContextManager[Any]]] = {
    "nothing (the noise of this table)": lambda _: nullcontext(),
    "last layer at the markers only": lambda _: patch.object(model, "_last_layer", _whole_last_layer),
    "products by oneDNN": lambda _: _in_all("product", linear),
    "tiles on parallel threads": lambda _: _in_all("parallel", _one_by_one),
    "the whole fast path": lambda _: _in_all("is_fast", lambda _: False),
    "prompts tokenised by pieces": lambda one: patch.object(one._engine._tokens, "by_pieces", False),
    "cached tokens of earlier documents": lambda _: patch.object(tokens, "_CACHED_UNITS", 0),
    "tokenising in the background": lambda _: patch.object(engine, "ThreadPoolExecutor", _Inline),
    "lists packed into one pass": lambda one: patch.object(one._engine, "_budget", 1),
}
"""Each takes one optimisation away from a reranker while its context lasts."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    argparse.ArgumentParser(prog="python -m reranker.speed.ablation", description=__doc__.split("\n")[0]).parse_args(
        arguments
    )
    return command.run(_measure)


def _measure() -> int:
    tokenizer = synthetic.tokenizer()
    weights = synthetic.model("small", torch.device("cpu"), torch.float32)
    sys.stdout.write(f"{'taken away':36}" + "".join(f"{name:>12}" for name in _LISTS) + "\n")
    for name in ABLATIONS:
        ratios = _ratios(name, weights, tokenizer)
        sys.stdout.write(f"{name:36}" + "".join(f"{ratio:12.2f}" for ratio in ratios) + "\n")
        sys.stdout.flush()
    return 0


def _ratios(name: str, weights: model.ListModel, tokenizer: Tokenizer) -> Iterator[float]:
    for count, documents, length in _LISTS.values():
        lists = synthetic.lists(tokenizer, count, documents, range(length, length + 1))

        def seconds(without: bool, lists: Sequence[tuple[str, list[str]]] = lists) -> float:
            # Documents are cached from an earlier call, as they are when lists of one collection share them.
            reranker = Reranker(weights, PromptTokens(tokenizer, Markers()), synthetic.CAPACITY, lambda: "")
            with ABLATIONS[name](reranker) if without else nullcontext():
                reranker._engine._tokens.documents([text for _, texts in lists for text in texts], 2048)
                start = time.perf_counter()
                reranker.score(lists)
                return time.perf_counter() - start

        seconds(False), seconds(True)
        ratios = []
        for number in range(_PAIRS):
            first = number % 2 == 0
            spent = {first: seconds(first), not first: seconds(not first)}
            ratios.append(spent[True] / spent[False])
        yield statistics.median(ratios)


if __name__ == "__main__":
    sys.exit(main())
