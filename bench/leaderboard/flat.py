"""A result as one flat row of raw numbers, for JSON and data frames."""

from typing import Any

from bench import statistics
from bench.leaderboard import speed
from bench.results import Result


def row(result: Result) -> dict[str, Any]:
    """A result's figures from 0 to 1, what they depend on, and what they cost; hashes and per-query figures left out.

    ``score`` is the mean of the main measure ``measure``, with its 95% interval. Every measure is also there under its
    own name.
    """
    protocol, card, cost, cut = result.protocol, result.reranker, result.cost, result.cut
    low, high = statistics.interval(list(result.per_query.values()), lowest=0.0)
    return {
        "task": result.task,
        "reranker": card.name,
        "measure": protocol.measure,
        "score": result.main,
        "interval_low": low,
        "interval_high": high,
        "first_stage_score": result.candidates.first_stage,
        "ceiling": result.candidates.ceiling,
        "recall": result.candidates.recall,
        **result.measures,
        "queries": protocol.queries,
        "query_subset": protocol.query_subset,
        "first_stage": protocol.first_stage,
        "depth": protocol.depth,
        "protocol": protocol.id,
        "documents": cost.documents,
        "documents_truncated": cut.documents,
        "queries_truncated": cut.queries,
        "tokens_lost": cut.tokens,
        "seconds": cost.seconds,
        "documents_per_second": cost.documents_per_second or None,
        **speed.fields(cost.latency),
        "peak_memory_bytes": cost.peak_memory_bytes or None,
        "lists": cost.lists,
        "lists_from_cache": result.provenance.get("kept_lists", 0),
        "parameters": card.parameters or None,
        "family": card.family,
        "model": card.model,
        "revision": card.revision,
        "fingerprint": card.fingerprint,
        "device": card.device,
        "dtype": card.dtype,
        "result": (result.folder / "result.json").as_posix(),
    }
