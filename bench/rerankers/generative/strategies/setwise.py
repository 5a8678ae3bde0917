"""Heap sort by the most relevant of a few documents (arXiv 2310.09497)."""

from collections.abc import Generator, Sequence

from bench.rerankers.generative.strategies import Order, Walk, Window


def walk(n: int, of: int, top: int) -> Walk:
    """The best ``top`` documents in order, then the others as they came.

    Args:
        n: Documents of the list.
        of: Documents of a window: a node of the heap and its ``of - 1`` children.
        top: How many documents are taken from the heap.
    """
    heap = list(range(n))
    for node in reversed(range(n)):
        yield from _sift(heap, node, n, of - 1)
    found: list[int] = []
    for end in reversed(range(n)):
        found.append(heap[0])
        if len(found) == top:
            break
        heap[0] = heap[end]
        yield from _sift(heap, 0, end, of - 1)
    return found + sorted(set(range(n)) - set(found))


def _sift(heap: list[int], node: int, end: int, children: int) -> Generator[Sequence[Window], Sequence[Order], None]:
    """Let the document at a node sink below children that are more relevant."""
    while True:
        family = [node, *range(children * node + 1, min(children * node + children + 1, end))]
        if len(family) == 1:
            return
        (answer,) = yield [tuple(heap[place] for place in family)]
        best = family[answer[0]]
        if best == node:
            return
        heap[node], heap[best] = heap[best], heap[node]
        node = best
