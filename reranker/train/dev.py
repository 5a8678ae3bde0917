"""Validation during training: nDCG@10 on held-out queries."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytrec_eval

from reranker.rerank import Reranker
from reranker.train.collection import RankedList


def measure(reranker: Reranker, lists: Sequence[RankedList], max_doc_length: int) -> dict[str, float]:
    """nDCG@10 of the reranked lists, by the order of the candidates: BM25's ("first stage") and "shuffled"."""
    figures = {}
    for order, given in (("first stage", lists), ("shuffled", [_shuffled(one) for one in lists])):
        scores = reranker.score([(one.query, one.documents) for one in given], max_doc_length=max_doc_length)
        figures[order] = _ndcg(given, scores)
    return figures


def shown(figures: Mapping[str, float]) -> str:
    """The figures as one line of text."""
    return f"dev nDCG@10 {100 * figures['first stage']:.2f} in BM25's order, {100 * figures['shuffled']:.2f} shuffled"


def first_stage(lists: Sequence[RankedList]) -> float:
    """nDCG@10 of BM25's lists."""
    return _ndcg(lists, [[-float(place) for place in range(len(one.ids))] for one in lists])


def _shuffled(one: RankedList) -> RankedList:
    order = random.Random(one.name).sample(range(len(one.ids)), len(one.ids))
    ids, documents = (tuple(values[place] for place in order) for values in (one.ids, one.documents))
    return replace(one, ids=ids, documents=documents)


def _ndcg(lists: Sequence[RankedList], scores: Sequence[Sequence[float]]) -> float:
    """The mean as trec_eval computes it; a list without candidates counts as 0."""
    grades = {one.name: dict(one.grades) for one in lists}
    run = {
        one.name: dict(zip(one.ids, map(float, found), strict=True))
        for one, found in zip(lists, scores, strict=True)
        if one.ids
    }
    rows = pytrec_eval.RelevanceEvaluator(grades, {"ndcg_cut_10"}).evaluate(run)
    return sum(row["ndcg_cut_10"] for row in rows.values()) / max(len(lists), 1)
