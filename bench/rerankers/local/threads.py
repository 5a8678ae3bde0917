"""Batches on parallel threads: on a CPU a whole batch runs on one thread, and several batches run at once.

Left to itself torch divides every single operation among its threads, which then wait for the slowest of them hundreds
of times a batch: on a processor with other work to do that takes longer than one thread alone. It also makes a score's
last bits depend on the number of threads; here they do not.
"""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar

import torch

from reranker import cpu

Batch = TypeVar("Batch")
Answer = TypeVar("Answer")


def answers(function: Callable[[Batch], Answer], batches: Sequence[Batch], device: torch.device) -> list[Answer]:
    """What a function gives for each batch, in their order; on an accelerator it is called for one after the other."""
    if device.type != "cpu":
        return [function(batch) for batch in batches]
    found: dict[int, Answer] = {}

    def answer(place: int) -> None:
        found[place] = function(batches[place])

    cpu.parallel(answer, range(len(batches)))
    return [found[place] for place in range(len(batches))]


def tokenise_in_turn(model: Any) -> None:
    """Let a sentence-transformers model tokenise on one thread at a time: its tokeniser holds each call's settings."""
    preprocess, lock = model.preprocess, Lock()

    def preprocess_in_turn(*arguments: Any, **settings: Any) -> Any:
        with lock:
            return preprocess(*arguments, **settings)

    model.preprocess = preprocess_in_turn
