"""Sliding window from the back of the list to its front, so that the best climb (RankGPT, arXiv 2304.09542)."""

from collections.abc import Iterator

from bench.rerankers.generative.strategies import Walk


def walk(n: int, window: int, stride: int, passes: int) -> Walk:
    """Sort each window in turn; a further pass starts from the order that the last one made."""
    order = list(range(n))
    for _ in range(passes):
        for start, end in spans(n, window, stride):
            (answer,) = yield [tuple(order[start:end])]
            order[start:end] = [order[start + place] for place in answer]
    return order


def spans(n: int, window: int, stride: int) -> Iterator[tuple[int, int]]:
    """Each window's first position and the one after its last, from the back.

    The window at the front starts at 0 whatever the depth: the loop published with RankGPT stops before a negative
    start, so that at depth 95 the first five documents are never seen.
    """
    end = n
    while end > 1:
        start = max(0, end - window)
        yield start, end
        if start == 0:
            return
        end -= stride
