"""Latency and workers in a table: two columns, and what a reader must know of figures of speed."""

from collections.abc import Iterator, Mapping

from bench.render.numbers import BLANK, count, seconds
from bench.results import Latency

COLUMNS = ("s/list\np50", "s/list\np95")


def cells(latency: Latency | None) -> tuple[str, str]:
    """The cells of `COLUMNS`."""
    return (seconds(latency.p50), seconds(latency.p95)) if latency else (BLANK, BLANK)


def fields(latency: Latency | None) -> dict[str, float | None]:
    """The same as raw numbers."""
    return {
        "latency_p50_seconds": latency.p50 if latency else None,
        "latency_p95_seconds": latency.p95 if latency else None,
    }


def notes(workers: Mapping[str, int], latencies: Mapping[str, Latency | None]) -> Iterator[str]:
    """Notes below a table of speeds.

    Args:
        workers: By reranker, the most workers that shared its lists.
        latencies: By reranker, its latency where it was measured.
    """
    if shared := ", ".join(f"{name} by {number}" for name, number in workers.items() if number > 1):
        yield f"documents/s is per device, or on a CPU per worker. Scored by several workers: {shared}."
    if lists := ", ".join(f"{name} {count(each.lists)}" for name, each in latencies.items() if each):
        yield (
            "s/list: seconds of a list when lists are scored one at a time, in one process on one device: the median "
            f"and the 95th percentile, of several tasks their means. Lists timed: {lists}."
        )
