"""Batches worked on by processes of this machine; answers come in the batches' order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import cycle
from multiprocessing.connection import Connection
from typing import TypeVar

from bench.errors import BenchError
from bench.spawn import Child, end, how_ended, receiving, spawn, tell

Batch = TypeVar("Batch")
Answer = TypeVar("Answer")

_IN_FLIGHT = 2
"""Batches that a worker has: the one being worked on, and the next."""


def in_order(
    work: Callable[[Batch], Answer],
    batches: Iterable[Batch],
    *,
    environments: Sequence[Mapping[str, str]],
    lost: Callable[[str], BenchError],
) -> Generator[Answer]:
    """Work on batches in processes; some batches are read ahead.

    Args:
        work: Travels to each process once, and is called there with each of its batches.
        batches: Dealt out in turn, so that batches of about the same effort keep all processes busy.
        environments: One for each process: variables that it gets before it imports anything.
        lost: The error for a process that has ended; it is given how.

    Raises:
        BenchError: from ``work``, or from ``lost``.
    """
    children = [spawn(__name__, environment) for environment in environments]

    def send(child: Child, what: object) -> None:
        with suppress(OSError):  # `answer` finds it ended, and whether it said why
            child[1].send(what)

    def answer(child: Child) -> Answer:
        try:
            said: Answer | BenchError = child[1].recv()
        except (EOFError, OSError):
            child[0].kill()
            raise lost(how_ended(child[0].wait())) from None
        if isinstance(said, BenchError):
            raise said
        return said

    flying: deque[Child] = deque()
    try:
        for child in children:
            send(child, work)
        for child, batch in zip(cycle(children), batches, strict=False):
            if len(flying) == _IN_FLIGHT * len(children):
                yield answer(flying.popleft())
            send(child, batch)
            flying.append(child)
        for child in flying:
            yield answer(child)
    finally:
        end(children)


def serve(descriptor: int) -> None:
    """A process's whole life: receive the work, then do it on one batch after another."""
    connection = Connection(descriptor)
    inbox = receiving(connection)
    work = inbox.get()
    try:
        while True:
            tell(connection, work(inbox.get()))
    except BenchError as error:
        tell(connection, error)
