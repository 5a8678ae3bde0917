"""Strategies: which windows of a list are shown, in which order, and what their answers make of the list.

A strategy is a generator over one list of ``n`` documents, given by their positions in the first stage's order. It
yields windows that may be answered together, receives an order for each of them, and returns the list's new order.
Open `sliding.py` first.
"""

from collections.abc import Generator, Sequence

Window = tuple[int, ...]
"""The documents that one prompt shows, in the order in which it shows them."""
Order = tuple[int, ...]
"""A window's answer: the places within the window, best first; a window of w has all of 0 to w - 1."""
Walk = Generator[Sequence[Window], Sequence[Order], list[int]]


def spread(walk: Walk) -> tuple[int, int]:
    """How many windows a walk asks for and how many documents they show, with answers that each reverse their window.

    That is exact where the windows do not depend on the answers, and close to the most where they do.
    """
    asked = shown = 0
    try:
        windows = next(walk)
        while True:
            asked += len(windows)
            shown += sum(map(len, windows))
            windows = walk.send([tuple(reversed(range(len(window)))) for window in windows])
    except StopIteration:
        return asked, shown
