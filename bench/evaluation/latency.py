"""Latency: seconds that a list takes when lists are scored one at a time, as a service with one user scores them.

It is measured in the command's own process, on one device, whoever scored the lists for the figures: throughput comes
from chunks of lists, perhaps from many workers, and does not tell how long one user waits. Nothing is taken from the
score cache or written to it, and a model embeds, tokenises or asks again what it has seen before.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from bench.console import Advance, note
from bench.evaluation.chunks import ask, candidate_list
from bench.evaluation.prepare import PreparedTask
from bench.render.numbers import count
from bench.rerankers.base import Lazy, Remembers, Reranker
from bench.rerankers.fusion import innermost
from bench.rerankers.generative.answers import answers_of
from bench.results import Latency

MOST_LISTS = 50


def latency(prepared: PreparedTask, reranker: Reranker, progress: Advance) -> Latency | None:
    """Score some of a task's lists, one at a time, each as if its texts were new.

    The first list is not counted: it loads the model, and with it the device's kernels.

    Returns:
        The seconds of a list; None where no list has candidates, or none gets an order.

    Raises:
        BenchError: as the reranker does.
    """
    queries = timed(prepared)
    seconds: list[float] = []
    calls = 0
    with _nothing_logged(reranker):
        for place, query_id in enumerate(queries):
            _forget(reranker)
            answered = ask(reranker, [candidate_list(prepared, reranker.card.needs, query_id)])
            (answer,) = answered.answers
            calls += answer.counts.get("calls", 0)
            if place and not answer.failure:
                seconds.append(answered.seconds)
            progress(1)
    if calls:
        note(f"{reranker.card.name}: {count(calls)} calls for --latency, which the result does not count.")
    if not seconds:
        return None
    p50, p95 = np.quantile(seconds, (0.5, 0.95)).tolist()
    return Latency(len(seconds), p50, p95)


def timed(prepared: PreparedTask) -> list[str]:
    """The queries whose lists are scored, evenly spread: one that is not counted, then at most `MOST_LISTS`.

    A single list is scored twice.
    """
    queries = [query_id for query_id, ranking in prepared.candidates.rankings.items() if ranking]
    number = min(len(queries), MOST_LISTS + 1)
    spread = [queries[place * len(queries) // number] for place in range(number)]
    return spread * 2 if number == 1 else spread


@contextmanager
def _nothing_logged(reranker: Reranker) -> Iterator[None]:
    """Keep a generative reranker from its logged answers for a while."""
    answers = answers_of(reranker)
    if answers is None:
        yield
        return
    log, answers.log = answers.log, None
    try:
        yield
    finally:
        answers.log = log


def _forget(reranker: Reranker) -> None:
    """Have a model drop what it keeps of texts that it has read."""
    inner = innermost(reranker)
    inner = inner.load() if isinstance(inner, Lazy) else inner
    if isinstance(inner, Remembers):
        inner.forget()
