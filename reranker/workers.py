"""Runs pieces of one computation side by side on the CPU, each piece on one thread.

Torch by itself divides every single operation among its threads and waits for all of them before the next. The model's
operations are short, so a thread that is held up, as on a machine that does something else as well, holds up all others
thousands of times a pass. Whole pieces side by side wait for each other only a few times a layer.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor

Piece = TypeVar("Piece")


def in_pieces(states: Tensor) -> bool:
    """Whether work on these states is best cut into pieces: inference on a CPU in float32, by a torch with oneDNN.

    Gradients are recorded by one thread only, and a GPU is kept busy by one.
    """
    return (
        states.device.type == "cpu"
        and states.dtype == torch.float32
        and torch.is_inference_mode_enabled()
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


def each(function: Callable[[Piece], None], pieces: Iterable[Piece], states: Tensor) -> None:
    """Call the function with every piece of the states: side by side where that pays, else one after another."""
    threads = torch.get_num_threads()
    if threads == 1 or not in_pieces(states):
        for piece in pieces:
            function(piece)
        return
    for _ in _pool(threads).map(torch.inference_mode()(function), pieces):
        pass  # an error of any piece is raised here


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """As many workers as torch has threads, in each of which torch uses one."""
    together = Barrier(threads + 1)

    def begin() -> None:
        torch.get_num_threads()  # a thread takes over the setting of the process first, and would do so later
        torch.set_num_threads(1)
        together.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="reranker", initializer=begin)
    for _ in range(threads):
        pool.submit(int)
    together.wait()
    torch.set_num_threads(threads)  # the workers keep theirs, and every other thread what it had
    return pool
