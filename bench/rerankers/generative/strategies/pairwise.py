"""Heap sort by comparing two documents, each pair shown both ways round (arXiv 2306.17563)."""

from collections.abc import Generator, Sequence

from bench.rerankers.generative.strategies import Order, Walk, Window

Asking = Generator[Sequence[Window], Sequence[Order], bool]


def walk(n: int, top: int) -> Walk:
    """The best ``top`` documents in order, then the others as they came."""
    heap = list(range(n))
    for node in reversed(range(n // 2)):
        yield from _sift(heap, node, n)
    found: list[int] = []
    for end in reversed(range(n)):
        found.append(heap[0])
        if len(found) == top:
            break
        heap[0] = heap[end]
        yield from _sift(heap, 0, end)
    return found + sorted(set(range(n)) - set(found))


def _sift(heap: list[int], node: int, end: int) -> Generator[Sequence[Window], Sequence[Order], None]:
    while True:
        best = node
        for child in (2 * node + 1, 2 * node + 2):
            if child < end and (yield from _beats(heap[child], heap[best])):
                best = child
        if best == node:
            return
        heap[node], heap[best] = heap[best], heap[node]
        node = best


def _beats(one: int, other: int) -> Asking:
    """Whether one document beats another; where the two answers contradict each other, the first stage decides."""
    forth, back = yield [(one, other), (other, one)]
    wins = (forth[0] == 0) + (back[0] == 1)
    return one < other if wins == 1 else wins == 2
