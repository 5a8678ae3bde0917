"""`python -m tests.scripts.speed_means`: what each optimisation of the core model gains on this CPU.

One optimisation at a time is disabled, and the same lists are scored with and without it in turn. The figure is the
time without it over the time with it, the median of five pairs; 1.00 means no gain. The model is that of
`python -m reranker.speed --size small`; the lists are synthetic: 100 documents of 30 tokens, 100 of 150, and ten of 30.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch.nn.functional import linear

from reranker import attention, cpu, engine, model, tokens, workers
from reranker.prompt import Markers
from reranker.rerank import Reranker
from reranker.speed import synthetic
from reranker.tokens import PromptTokens

PAIRS = 5
LISTS = {"100 x 30": (2, 100, 30), "100 x 150": (1, 100, 150), "10 x 30": (20, 10, 30)}
Taken = Callable[[Reranker], AbstractContextManager[Any]]


class AtOnce:
    """An executor that does the work when it is handed in, so that nothing happens beside the model."""

    def __init__(self, _: int) -> None: ...

    def __enter__(self) -> "AtOnce":
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(function(*arguments))
        return done


def whole_last_layer(layer: Any, window: Any, hidden: Any, rope: Any, lengths: Sequence[int], markers: Any) -> Any:
    whole = model._layer(layer, hidden, rope, lengths, window)
    spans = model._spans(lengths)
    return whole[torch.cat([places + span.start for places, span in zip(markers, spans, strict=True)])]


def one_after_another(function: Callable[[Any], None], pieces: Iterable[Any], _: object) -> None:
    for piece in pieces:
        function(piece)


def together(*parts: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    with ExitStack() as stack:
        for part in parts:
            stack.enter_context(part)
        return stack.pop_all()


MEANS: dict[str, Taken] = {
    "nothing taken away (the noise of this table)": lambda _: nullcontext(),
    "last layer at the markers alone": lambda _: patch.object(model, "_last_layer", whole_last_layer),
    "products by oneDNN": lambda _: together(*(patch.object(module, "product", linear) for module in (cpu, attention))),
    "pieces side by side, each on one thread": lambda _: patch.object(model, "each", one_after_another),
    "products and pieces, and attention made of them": lambda _: together(
        *(patch.object(module, "in_pieces", lambda _: False) for module in (workers, model, cpu, attention))
    ),
    "prompts tokenised by pieces, each text once": lambda one: patch.object(one._engine._tokens, "by_pieces", False),
    "documents' tokens remembered from earlier lists": lambda _: patch.object(tokens, "_CACHED_UNITS", 0),
    "tokenising beside the model": lambda _: patch.object(engine, "ThreadPoolExecutor", AtOnce),
    "lists packed into one pass": lambda one: patch.object(one._engine, "_budget", 1),
}


def main() -> None:
    device = torch.device("cpu")
    tokenizer = synthetic.tokenizer()
    weights = synthetic.model("small", device, torch.float32)
    print(f"{'':50}" + "".join(f"{name:>12}" for name in LISTS))
    for name, taken in MEANS.items():
        row = _row(taken, weights, tokenizer)
        print(f"{name:50}" + "".join(f"{ratio:12.2f}" for ratio in row), flush=True)


def _row(taken: Taken, weights: Any, tokenizer: Any) -> Iterator[float]:
    for count, documents, length in LISTS.values():
        lists = list(synthetic.lists(tokenizer, count, documents, length))

        def seconds(without: bool, lists: Any = lists) -> float:
            # Documents are known from an earlier call, as they are when lists of one collection share them.
            reranker = Reranker(weights, PromptTokens(tokenizer, Markers()), synthetic.CAPACITY, lambda: "")
            with taken(reranker) if without else nullcontext():
                reranker._engine._tokens.documents([text for _, texts in lists for text in texts], 2048)
                start = time.perf_counter()
                reranker.score(lists)
                return time.perf_counter() - start

        seconds(False), seconds(True)
        ratios = []
        for number in range(PAIRS):
            first = number % 2 == 0
            spent = {first: seconds(first), not first: seconds(not first)}
            ratios.append(spent[True] / spent[False])
        yield statistics.median(ratios)


if __name__ == "__main__":
    main()
