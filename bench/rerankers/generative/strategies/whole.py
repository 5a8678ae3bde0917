"""The whole list in one window."""

from bench.rerankers.generative.strategies import Walk, sliding


def walk(n: int, passes: int) -> Walk:
    """Sort the list at once; a further pass shows it in the order that the last one made."""
    return sliding.walk(n, n, n, passes)
