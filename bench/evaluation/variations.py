"""Variations of a prepared task: other candidate orders, fewer candidates, smaller blocks, a distractor."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from bench.evaluation.prepare import PreparedTask
from bench.rerankers.base import CandidateList, Reranker, VariesBlocks
from bench.rerankers.order_only import shuffled
from bench.run import Ranking, Run, rank_by_score

DEPTHS = (10, 20, 50, 100)
BLOCKS = (10, 25, 50)
_TRIES = 5  # documents looked at for a query's distractor where texts decide what is relevant


@dataclass(frozen=True, slots=True)
class Variation:
    """A prepared task with one thing varied.

    ``block_size`` is how many documents the reranker reads together, 0 for as many as usual. ``distractors`` maps a
    query to its added document.
    """

    group: str
    name: str
    prepared: PreparedTask
    reranker: Reranker
    block_size: int = 0
    distractors: Mapping[str, str] = field(default_factory=dict)


def variations(prepared: PreparedTask, reranker: Reranker, orders: int, seed: int) -> Iterator[Variation]:
    """Vary one thing at a time: random orders, reverse order, depths, block sizes, a distractor."""
    for number in range(seed, seed + orders):
        name = f"random order {number}"
        yield Variation("random order", name, _varied(prepared, name, _shuffle(number)), reranker)
    yield Variation("reverse order", "reverse order", _varied(prepared, "reverse order", _reverse), reranker)
    for depth in (depth for depth in DEPTHS if depth < prepared.protocol.depth):
        protocol = replace(prepared.protocol, depth=depth)
        cut = replace(prepared, candidates=prepared.candidates.top(depth), protocol=protocol)
        yield Variation("depth", f"depth {depth}", cut, reranker)
    if isinstance(reranker, VariesBlocks):
        for size in (size for size in BLOCKS if size < prepared.protocol.depth):
            yield Variation("block size", f"blocks of {size}", prepared, reranker.with_block_size(size), size)
    distractors = distractors_for(prepared, seed)
    places = {"distractor last": _last, "distractor at a random place": _anywhere(seed)} if distractors else {}
    for name, place in places.items():
        varied = _varied(prepared, name, _adding(distractors, place))
        yield Variation("distractor", name, varied, reranker, distractors=distractors)


Order = Callable[[str, list[str]], list[str]]
"""From a query's id and its documents' ids to the ids in the order they are to be given in."""


def _varied(prepared: PreparedTask, name: str, order: Order) -> PreparedTask:
    """The same task after another candidate order: scores stay with the ranks."""
    rankings: dict[str, Ranking] = {}
    for query_id, ranking in prepared.candidates.rankings.items():
        ids = order(query_id, prepared.candidates.ids(query_id))
        scores = [score for _, score in ranking]
        rankings[query_id] = list(zip(ids, scores + scores[-1:] * (len(ids) - len(scores)), strict=True))
    protocol = replace(prepared.protocol, candidate_order=name)
    return replace(prepared, candidates=Run(prepared.candidates.name, rankings), protocol=protocol)


def _reverse(_: str, ids: list[str]) -> list[str]:
    return ids[::-1]


def _shuffle(seed: int) -> Order:
    def order(query_id: str, ids: list[str]) -> list[str]:
        scores = shuffled(CandidateList(query_id, "", tuple(ids), ()), seed)
        return [document_id for document_id, _ in rank_by_score(ids, scores)]

    return order


Place = Callable[[str, int], int]
"""From a query's id and its number of candidates to the place of one more."""


def _last(_: str, count: int) -> int:
    return count


def _anywhere(seed: int) -> Place:
    return lambda query_id, count: _number(seed, "place", query_id) % (count + 1)


def _adding(distractors: Mapping[str, str], at: Place) -> Order:
    def order(query_id: str, ids: list[str]) -> list[str]:
        place = at(query_id, len(ids))
        return [*ids[:place], distractors[query_id], *ids[place:]] if query_id in distractors else ids

    return order


def distractors_for(prepared: PreparedTask, seed: int) -> dict[str, str]:
    """For each query a document from the other queries' candidates, neither its own candidate nor judged for it.

    Where relevance is told by the text, a document that its text makes relevant is none either. A query that has
    no candidates, or for which every document is taken, gets none.
    """
    orders = prepared.candidates.orders
    pool = list(dict.fromkeys(document_id for ids in orders.values() for document_id in ids))
    options: dict[str, Ranking] = {}
    for query_id, ids in orders.items():
        taken = {query_id, *prepared.judgements.get(query_id, {}), *ids}
        start = _number(seed, "distractor", query_id) % len(pool) if pool else 0
        free = (document_id for document_id in _from(pool, start) if document_id not in taken)
        options[query_id] = [(document_id, 0.0) for document_id in islice(free, _TRIES)] if ids else []
    offered = Run("distractors", options)
    grades = prepared.collection.judged(offered)
    found = {
        query_id: [document_id for document_id in ids if grades.get(query_id, {}).get(document_id, 0) <= 0]
        for query_id, ids in offered.orders.items()
    }
    return {query_id: ids[0] for query_id, ids in found.items() if ids}


def _from(pool: Sequence[str], start: int) -> Iterator[str]:
    """The pool from a place on, and round to it again."""
    return (pool[(start + step) % len(pool)] for step in range(len(pool)))


def _number(seed: int, purpose: str, query_id: str) -> int:
    digest = hashlib.sha256(f"{seed}\0{purpose}\0{query_id}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")
